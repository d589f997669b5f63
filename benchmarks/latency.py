"""Delay that a SIP conference server adds to sound, packet by packet.

Pairs in rooms of their own; of each pair one sends silence with a click every half second. Added delay is the
time from the arrival of the packet with the click at the server to the departure of the packet in which it
comes back, corrected for its place in each: 0 is ideal, and one beat of 20 ms alone makes 10 in the mean. On
loopback the arrival is the moment of sending and the departure is the kernel's receive time. The pairs send
at phases spread over the beat.
"""

import argparse
import bisect
import statistics
import sys
from typing import Any

import numpy as np

from benchmarks import host, results
from benchmarks.generator import FRAME, Generator, Leg
from benchmarks.load import VOID
from benchmarks.rig import Subject, subject
from tests.support import g711

EVERY = 25  # frames between clicks: half a second, longer than any delay worth measuring
PLACE = 80  # of the click in its packet, samples
CLICK = 16_000
STEAL = 0.02


def clicking_frames() -> list[bytes]:
    frame = np.zeros(160, np.int16)
    frame[PLACE] = CLICK
    silent = g711.SILENT_BYTE["PCMU"] * 160
    return [g711.encode("PCMU", frame), *[silent] * (EVERY - 1)]


class Clicks:
    """When clicks went out, and when and where in their packets they came back, by room."""

    def __init__(self) -> None:
        self.out: dict[int, list[float]] = {}
        self.back: dict[int, list[tuple[float, int]]] = {}

    def sent(self, leg: Leg, number: int, at: float) -> None:
        if leg.seat == 0 and number % EVERY == 0:
            self.out.setdefault(leg.room, []).append(at)

    def received(self, leg: Leg, packet: bytes, at: float) -> None:
        if leg.seat != 1 or len(packet) <= 12 or packet[1] & 127:
            return
        samples = np.abs(g711.decode("PCMU", packet[12:]).astype(np.int32))
        place = int(samples.argmax())
        if samples[place] > CLICK // 2:
            self.back.setdefault(leg.room, []).append((at, place))

    def delays(self, since: float) -> list[float]:
        """Milliseconds; each returned click belongs to the last that was sent before it."""
        found = []
        for room, returned in self.back.items():
            out = self.out.get(room, [])
            for at, place in returned:
                index = bisect.bisect_right(out, at) - 1
                if index >= 0 and out[index] >= since:
                    found.append((at - out[index]) * 1000 + (place - PLACE) / 8)
        return found


def measure(found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    clicks = Clicks()
    generator = Generator(found.target, on_sent=clicks.sent, on_received=clicks.received)
    try:
        return _measure(generator, clicks, found, options)
    finally:
        generator.close()


def _measure(
    generator: Generator, clicks: Clicks, found: Subject, options: argparse.Namespace
) -> dict[str, Any]:
    silent = [g711.SILENT_BYTE["PCMU"] * 160]
    for pair in range(options.pairs):
        phase = pair * FRAME / options.pairs
        generator.add(pair, 0, clicking_frames(), phase)
        generator.add(pair, 1, silent, phase)
    generator.dial(generator.legs, rate=20.0)
    up = [leg for leg in generator.legs if leg.state == "up"]
    generator.run(lambda: False, seconds=options.settle)
    sent, late = generator.sent, generator.late
    since = _last_click(clicks)
    share = host.CpuShare()
    generator.run(lambda: False, seconds=options.seconds)
    machine = share.since()
    sent, late = generator.sent - sent, generator.late - late
    generator.hang_up(generator.legs)
    delays = sorted(clicks.delays(since))
    speakers = sum(1 for leg in up if leg.seat == 0)
    late_share = late / max(1, sent)
    return {
        "pairs": options.pairs,
        "up": len(up),
        "failures": sorted({leg.failure for leg in generator.legs if leg.failure}),
        "clicks_sent": sum(1 for times in clicks.out.values() for at in times if at >= since),
        "clicks_back": len(delays),
        "speakers": speakers,
        "delay_ms_median": round(statistics.median(delays), 2) if delays else None,
        "delay_ms_p5": _quantile(delays, 0.05),
        "delay_ms_p95": _quantile(delays, 0.95),
        "delay_ms_max": _quantile(delays, 1.0),
        "delay_ms_by_pair": _by_pair(clicks, since),
        "steal": round(machine.steal, 4),
        "idle": round(machine.idle, 4),
        "generator_late_share": round(late_share, 5),
        "void": late_share > VOID or machine.steal > STEAL,
    }


def _last_click(clicks: Clicks) -> float:
    return max((times[-1] for times in clicks.out.values()), default=0.0)


def _quantile(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2) if ordered else None


def _by_pair(clicks: Clicks, since: float) -> list[float]:
    """The median of each pair in the order of their phases: a slope of 20 ms for a server with one beat."""
    medians = []
    for room in sorted(clicks.back):
        alone = Clicks()
        alone.out, alone.back = {room: clicks.out.get(room, [])}, {room: clicks.back[room]}
        if delays := alone.delays(since):
            medians.append(round(statistics.median(delays), 2))
    return medians


def show(figures: dict[str, Any]) -> None:
    results.table(
        f"latency: {figures['pairs']} pairs, {figures['clicks_back']} clicks",
        [
            ("delay added, median", f"{figures['delay_ms_median']} ms", "<= 22 ms"),
            ("p5 to p95", f"{figures['delay_ms_p5']} - {figures['delay_ms_p95']} ms", ""),
            ("longest", f"{figures['delay_ms_max']} ms", ""),
            ("clicks back", f"{figures['clicks_back']}", f"{figures['clicks_sent']}"),
            ("sent over 2 ms late", f"{figures['generator_late_share']:.2%}", "<= 1 %"),
            ("steal, idle of the host", f"{figures['steal']:.1%}, {figures['idle']:.1%}", "steal <= 2 %"),
        ],
    )
    for failure in figures["failures"]:
        sys.stdout.write(f"  failed: {failure}\n")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of measuring, after all have settled")
    parser.add_argument(
        "--settle", type=float, default=5.0, help="seconds between the last 200 and measuring"
    )
    parser.add_argument("--target", help="URI template of another server, {room} in it")
    parser.add_argument("--pid", type=int, help="root process of that server")
    parser.add_argument("--no-pin", action="store_true", help="leave the CPUs to the kernel")
    parser.add_argument("--short", action="store_true", help="under 40 s")
    options = parser.parse_args(argv)
    if options.short:
        options.seconds = min(options.seconds, 15.0)
    return options


def run(argv: list[str] | None = None) -> dict[str, Any]:
    options = arguments(argv)
    with subject(options.target, options.pid, pinned=not options.no_pin) as found:
        figures = measure(found, options)
    results.save("latency", figures)
    return figures


def main(argv: list[str] | None = None) -> int:
    """0; 3 when the run is void."""
    figures = run(argv)
    show(figures)
    return results.verdict(figures["void"], "the generator was late or the host stole time")


if __name__ == "__main__":
    sys.exit(main())
