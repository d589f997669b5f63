"""New calls a second, each with webhooks, a leg in a conference of two and a BYE: set-up time, CPU, memory.

    python -m benchmarks.calls                  # 100 a second for 30 s
    python -m benchmarks.calls --seconds 600    # what a release is measured by

One core carries the server, the other the generator and the application. Of every ten pairs one talks, and
what they hear of each other is checked; the server sends to all.
"""

import argparse
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import host, results
from benchmarks.generator import SILENT, Generator, Leg
from benchmarks.load import VOID, heard_tones, tone_frames
from benchmarks.rig import Subject, subject
from tests.support.free_ports import free_port

TONES = (500, 1100)
LOUDNESS = 4000
TALKS = 10
MEGABYTE = 1 << 20


class Memory(threading.Thread):
    """Resident bytes of each process, looked at twice a second."""

    def __init__(self, processes: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self._processes = processes
        self._over = threading.Event()
        self.seen: dict[str, list[int]] = {name: [] for name in processes}

    def run(self) -> None:
        while not self._over.wait(0.5):
            for name, pid in self._processes.items():
                self.seen[name].append(host.resident(pid))

    def end(self) -> None:
        self._over.set()
        self.join()

    def megabytes(self, name: str, share: float) -> float:
        """The most in the tenth of the run that ends at this share of it."""
        seen = self.seen[name]
        end = max(1, round(share * len(seen)))
        return round(max(seen[max(0, end - max(1, len(seen) // 10)) : end], default=0) / MEGABYTE, 1)


@contextlib.contextmanager
def application(*, urgent: bool) -> Iterator[str]:
    port = free_port()
    line = [sys.executable, "-m", "benchmarks.application", str(port)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if urgent:
            host.hurry(process.pid)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def measure(found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    generator = Generator(found.target)
    try:
        return _measure(generator, found, options)
    finally:
        generator.close()


def _measure(generator: Generator, found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    frames = [tone_frames(tone, LOUDNESS) for tone in TONES]

    def make() -> Leg:
        room, seat = divmod(len(generator.legs), 2)
        return generator.add(room, seat, frames[seat] if room % TALKS == 0 else SILENT)

    if options.urgent:
        found.hurry()
    memory, counted = Memory(found.processes), found.counters()
    cpu, machine, began = found.cpu_seconds(), host.CpuShare(), time.monotonic()
    memory.start()
    generator.churn(make, rate=options.rate, hold=options.hold, seconds=options.seconds)
    memory.end()
    lasted, share = time.monotonic() - began, machine.since()
    used = {name: value - cpu[name] for name, value in found.cpu_seconds().items()}
    counted = {name: value - counted.get(name, 0.0) for name, value in found.counters().items()}

    legs = generator.legs
    good = [leg for leg in legs if leg.state == "over" and not leg.failure]
    setups = sorted((leg.answered_at - leg.invited_at) * 1000 for leg in legs if leg.answered_at)
    talked = [leg for leg in good if leg.frames is not SILENT]
    wrong = [leg for leg in talked if heard_tones(leg, LOUDNESS) != {TONES[1 - leg.seat]}]
    failures: dict[str, int] = {}
    for leg in legs:
        if leg.failure or leg.state != "over":
            failures[leg.failure or leg.state] = failures.get(leg.failure or leg.state, 0) + 1
    late = generator.late / max(1, generator.sent)
    return {
        "calls": len(legs),
        "rate": options.rate,
        "hold": options.hold,
        "urgent": options.urgent,
        "seconds": round(lasted, 1),
        "failures": failures,
        "setup_ms_p50": _quantile(setups, 0.5),
        "setup_ms_p99": _quantile(setups, 0.99),
        "setup_ms_max": _quantile(setups, 1.0),
        "cpu_ms_per_call": {name: round(value / len(legs) * 1000, 2) for name, value in used.items()},
        "cpu_share": {name: round(value / lasted, 3) for name, value in used.items()},
        "memory_mb": {
            name: {f"{share:.0%}": memory.megabytes(name, share) for share in (0.1, 0.25, 0.5, 0.75, 1.0)}
            for name in found.processes
        },
        "beats_skipped": round(counted.get("mixminus_media_skipped_beats_total", 0.0)),
        "retransmissions": round(counted.get("mixminus_sip_retransmissions_total", 0.0)),
        "talked": len(talked),
        "heard_wrongly": len(wrong),
        "steal": round(share.steal, 4),
        "idle": round(share.idle, 4),
        "generator_late_share": round(late, 5),
        "generator_worst_late_ms": round(generator.worst_lateness * 1000, 1),
        "void": late > VOID,
    }


def _quantile(values: list[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(len(values) * share))], 2) if values else None


def show(figures: dict[str, Any]) -> None:
    cpu, part = figures["cpu_ms_per_call"], figures["cpu_share"]
    memory = figures["memory_mb"]["control"]
    results.table(
        f"calls: {figures['rate']:g} a second for {figures['seconds']:g} s, {figures['hold']:g} s each",
        [
            ("calls, of these failed", f"{figures['calls']}, {sum(figures['failures'].values())}", "0"),
            ("INVITE to 200, median", f"{figures['setup_ms_p50']} ms", ""),
            ("INVITE to 200, p99", f"{figures['setup_ms_p99']} ms", "<= 100 ms"),
            ("INVITE to 200, worst", f"{figures['setup_ms_max']} ms", ""),
            ("CPU of control per call", f"{cpu['control']} ms ({part['control']:.0%} of a core)", ""),
            ("CPU of media", f"{part['media']:.0%} of a core", ""),
            ("MB of control over the run", ", ".join(f"{value:g}" for value in memory.values()), "flat"),
            ("heard wrongly, of those who talked", f"{figures['heard_wrongly']} of {figures['talked']}", "0"),
            ("beats skipped", f"{figures['beats_skipped']}", "0"),
            (
                "sent over 2 ms late",
                f"{figures['generator_late_share']:.2%} (worst {figures['generator_worst_late_ms']} ms)",
                "<= 1 %",
            ),
            ("steal, idle of the host", f"{figures['steal']:.1%}, {figures['idle']:.1%}", ""),
        ],
    )
    for failure, times in figures["failures"].items():
        sys.stdout.write(f"  failed {times} times: {failure}\n")
    if figures["void"]:
        sys.stdout.write("  VOID: the generator was late itself; the set-up times say nothing.\n")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.calls", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second")
    parser.add_argument("--hold", type=float, default=2.0, help="seconds from answer to BYE")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--no-pin", action="store_true", help="leave the CPUs to the kernel")
    parser.add_argument(
        "--urgent", action="store_true", help="the server before all else: for a host that is not quiet"
    )
    parser.add_argument("--short", action="store_true", help="as without it: 30 s")
    return parser.parse_args(argv)


def run(argv: list[str] | None = None) -> dict[str, Any]:
    options = arguments(argv)
    with (
        application(urgent=options.urgent) as url,
        subject(None, None, pinned=not options.no_pin, application=url) as found,
    ):
        figures = measure(found, options)
    results.save("calls", figures)
    return figures


def main(argv: list[str] | None = None) -> int:
    """0; 1 when a call failed; 3 when the run is void."""
    figures = run(argv)
    show(figures)
    return 3 if figures["void"] else 1 if figures["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
