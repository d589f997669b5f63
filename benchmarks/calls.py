"""New calls a second, each with webhooks, a leg in a conference of two and a BYE: set-up time, CPU, memory.

    python -m benchmarks.calls                  # 100 a second for 30 s
    python -m benchmarks.calls --seconds 600    # what a release is measured by

Memory is reported every 30 s. The server keeps what REST tells of the calls and conferences that ended last:
until that history is full (200 s at this rate) memory grows by so much a call, then it has to be flat.

One core carries control, which sets up the calls; the other the media process, the generator and the
application. With `--together` media has to share control's core. Of every ten pairs one talks, and what they
hear of each other is checked; the server sends to all.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from benchmarks import host, results
from benchmarks.generator import SILENT, Generator, Leg
from benchmarks.load import VOID, heard_tones, tone_frames
from benchmarks.memory import Memory, flatness
from benchmarks.rig import Subject, subject
from tests.support.free_ports import free_port

TONES = (500, 1100)
LOUDNESS = 4000
TALKS = 10
SHOWN = 10
WINDOW = 30.0
"""Seconds for which memory is reported as one figure."""
HEARD = 0.5
"""Seconds of sound that are judged: the last ones in which both of a pair were there."""


@contextlib.contextmanager
def application(cpus: set[int], *, urgent: bool) -> Iterator[str]:
    """The one that answers webhooks, on these CPUs, or where it likes if there are none; its URL."""
    port = free_port()
    line = [sys.executable, "-m", "benchmarks.application", str(port)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        if cpus:
            host.pin(process.pid, cpus)
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
    window = WINDOW if options.seconds >= 2 * WINDOW else options.seconds / 4
    memory, counted = Memory(found.processes, lambda: _kept(found), window=window), found.counters()
    cpu, machine, began = found.cpu_seconds(), host.CpuShare(), time.monotonic()
    memory.start()
    generator.churn(make, rate=options.rate, hold=options.hold, seconds=options.seconds)
    memory.end()
    lasted, share = time.monotonic() - began, machine.since()
    used = {name: value - cpu[name] for name, value in found.cpu_seconds().items()}
    counted = {name: value - counted.get(name, 0.0) for name, value in found.counters().items()}

    legs = generator.legs

    def partner(leg: Leg) -> Leg:
        return legs[min(leg.number ^ 1, len(legs) - 1)]  # the last may have come without one

    good = [leg for leg in legs if leg.state == "over" and not leg.failure]
    setups = sorted((leg.answered_at - leg.invited_at) * 1000 for leg in legs if leg.answered_at)
    pairs = [(leg, partner(leg)) for leg in good if leg.frames is not SILENT]
    together = [
        leg
        for leg, other in pairs
        if min(leg.left_at, other.left_at) - max(leg.answered_at, other.answered_at) >= HEARD
    ]
    wrong = [leg for leg in together if heard_tones(leg, LOUDNESS) != {TONES[1 - leg.seat]}]
    flat = flatness(memory.windows, options.seconds)
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
        "together": options.together,
        "seconds": round(lasted, 1),
        "failures": failures,
        "setup_ms_p50": _quantile(setups, 0.5),
        "setup_ms_p95": _quantile(setups, 0.95),
        "setup_ms_p99": _quantile(setups, 0.99),
        "setup_ms_max": _quantile(setups, 1.0),
        "cpu_ms_per_call": {name: round(value / len(legs) * 1000, 2) for name, value in used.items()},
        "cpu_share": {name: round(value / lasted, 3) for name, value in used.items()},
        "memory": [asdict(each) for each in memory.windows],
        "flatness": asdict(flat),
        "beats_skipped": round(counted.get("mixminus_media_skipped_beats_total", 0.0)),
        "retransmissions": round(counted.get("mixminus_sip_retransmissions_total", 0.0)),
        "talked": len(together),
        "apart": len(pairs) - len(together),
        "heard_wrongly": len(wrong),
        "wrong": [_evidence(leg, partner(leg)) for leg in wrong[:SHOWN]],
        "steal": round(share.steal, 4),
        "idle": round(share.idle, 4),
        "generator_late_share": round(late, 5),
        "generator_worst_late_ms": round(generator.worst_lateness * 1000, 1),
        "void": late > VOID,
    }


def _kept(found: Subject) -> tuple[int, int]:
    counted = found.counters()
    return tuple(round(counted.get(f"mixminus_ended_{what}", 0.0)) for what in ("calls", "conferences"))


def _evidence(leg: Leg, other: Leg) -> dict[str, Any]:
    """What is known of one who heard wrongly."""
    return {
        "call": leg.number,
        "heard": sorted(heard_tones(leg, LOUDNESS)),
        "answered_after_the_other_ms": round((leg.answered_at - other.answered_at) * 1000, 1),
        "sent": leg.sent,
        "received": leg.received,
        "lost": leg.lost,
        "longest_gap_ms": round(leg.longest_gap * 1000, 1),
    }


def _growth(figures: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What is said of memory: the growth a call while the history fills, and from then on."""
    flat = figures["flatness"]
    slope = flat["kilobytes_per_call"]
    first, last = figures["memory"][0], figures["memory"][-1]
    rows = [
        (f"MB of {name}, first and last", f"{first['megabytes'][name]:g}, {last['megabytes'][name]:g}", "")
        for name in first["megabytes"]
    ]
    if slope is not None:
        rows.append(("kB of control per ended call, filling", f"{slope:.1f}", ""))
    if not flat["growth"]:
        rows.append(("growth once the history is full", "not shown: the run is too short", "flat"))
    for name, grown in flat["growth"].items():
        rows.append((f"MB that {name} grew from {flat['since']:.0f} s on", f"{grown:+.1f}", "flat"))
    return rows


def _quantile(values: list[float], share: float) -> float | None:
    return round(values[min(len(values) - 1, int(len(values) * share))], 2) if values else None


def show(figures: dict[str, Any]) -> None:
    cpu, part = figures["cpu_ms_per_call"], figures["cpu_share"]
    results.table(
        f"calls: {figures['rate']:g} a second for {figures['seconds']:g} s, {figures['hold']:g} s each"
        + (", control and media on one CPU" if figures["together"] else ""),
        [
            ("calls, of these failed", f"{figures['calls']}, {sum(figures['failures'].values())}", "0"),
            ("INVITE to 200, median", f"{figures['setup_ms_p50']} ms", ""),
            ("INVITE to 200, p95", f"{figures['setup_ms_p95']} ms", ""),
            ("INVITE to 200, p99", f"{figures['setup_ms_p99']} ms", "<= 100 ms"),
            ("INVITE to 200, worst", f"{figures['setup_ms_max']} ms", ""),
            ("CPU of control per call", f"{cpu['control']} ms ({part['control']:.0%} of a core)", ""),
            ("CPU of media", f"{part['media']:.0%} of a core", ""),
            *_growth(figures),
            ("heard wrongly, of those who talked", f"{figures['heard_wrongly']} of {figures['talked']}", "0"),
            ("half a second never both there", f"{figures['apart']}", "0"),
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
    for evidence in figures["wrong"]:
        sys.stdout.write(f"  heard wrongly: {evidence}\n")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.calls", description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second")
    parser.add_argument("--hold", type=float, default=2.0, help="seconds from answer to BYE")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--no-pin", action="store_true", help="leave the CPUs to the kernel")
    parser.add_argument("--together", action="store_true", help="control and media on one CPU")
    parser.add_argument(
        "--urgent", action="store_true", help="the server before all else: for a host that is not quiet"
    )
    parser.add_argument("--short", action="store_true", help="as without it: 30 s")
    return parser.parse_args(argv)


def run(argv: list[str] | None = None) -> dict[str, Any]:
    options = arguments(argv)
    cpus = sorted(os.sched_getaffinity(0))
    last = set() if options.no_pin or len(cpus) < 2 else {cpus[-1]}
    with (
        application(last, urgent=options.urgent) as url,
        subject(None, None, pinned=not options.no_pin, application=url) as found,
    ):
        if last and not options.together:
            found.pin(last, "media")
        figures = measure(found, options)
    results.save("calls", figures)
    return figures


def main(argv: list[str] | None = None) -> int:
    """0; 1 when a call failed; 3 when the run is void."""
    figures = run(argv)
    show(figures)
    return results.verdict(figures["void"], "the generator was late itself") or int(bool(figures["failures"]))


if __name__ == "__main__":
    sys.exit(main())
