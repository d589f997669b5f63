"""The process that mixes is killed under load: how long until the next call is answered and hears something.

    python -m benchmarks.recovery

A person who is told 503 dials again at once; so does this.
"""

import argparse
import os
import signal
import statistics
import sys
import time
from typing import Any

from benchmarks import host, results
from benchmarks.generator import Generator, Leg
from benchmarks.latency import STEAL
from benchmarks.load import amplitude, tone_frames
from benchmarks.rig import Subject, subject

AGAIN = 0.02  # seconds between a refusal and the next INVITE
PATIENCE = 20.0
HEARD = 5  # packets
IDLE = 0.25


def measure(found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    generator = Generator(found.target)
    try:
        return _measure(generator, found, options)
    finally:
        generator.close()


def _measure(generator: Generator, found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    assert found.server is not None
    found.clean = False
    frames = tone_frames(1000, amplitude(4))
    share, lost, took = host.CpuShare(), [], []
    for again in range(options.times):
        legs = [generator.add(room, seat, frames) for room in range(options.calls // 4) for seat in range(4)]
        generator.dial(legs, rate=50.0)
        generator.run(lambda: False, seconds=1.0)
        up = [leg for leg in legs if leg.state == "up"]
        began = time.monotonic()
        for pid in found.server.pids["media"]:
            os.kill(pid, signal.SIGKILL)
        if (after := _next_call(generator, 1000 + again, frames)) is not None:
            took.append(time.monotonic() - began)
            generator.hang_up([after])
        generator.run(lambda up=up: all(leg.state == "failed" for leg in up), seconds=PATIENCE)
        lost.append(sum(leg.state != "failed" for leg in up))
    return {
        "calls": options.calls,
        "times": options.times,
        "recovered": len(took),
        "seconds_median": round(statistics.median(took), 3) if took else None,
        "seconds_worst": round(max(took), 3) if took else None,
        "calls_not_told": sum(lost),
        "steal": round((machine := share.since()).steal, 4),
        "idle": round(machine.idle, 4),
        "void": machine.steal > STEAL or machine.idle < IDLE,
    }


def _next_call(generator: Generator, room: int, frames: list[bytes]) -> Leg | None:
    """One that is answered, and hears so many packets; None when there is none in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        leg = generator.add(room, 0, frames)
        generator.dial([leg], rate=50.0, patience=1.0)
        # One who was answered while the end had not been noticed is hung up on.
        generator.run(lambda leg=leg: leg.received >= HEARD or leg.state != "up", seconds=PATIENCE)
        if leg.received >= HEARD:
            return leg
        generator.run(lambda: False, seconds=AGAIN)
    return None


def show(figures: dict[str, Any]) -> None:
    results.table(
        f"recovery: the mixing process killed {figures['times']} times under {figures['calls']} calls",
        [
            ("until the next call hears, worst", f"{figures['seconds_worst']} s", "<= 2 s"),
            ("until the next call hears, median", f"{figures['seconds_median']} s", ""),
            ("times that there was a next call", f"{figures['recovered']}", f"{figures['times']}"),
            ("calls whose end was not told", f"{figures['calls_not_told']}", "0"),
            ("steal, idle of the host", f"{figures['steal']:.1%}, {figures['idle']:.1%}", "steal <= 2 %"),
        ],
    )


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.recovery", description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="under 20 s")
    options = parser.parse_args(argv)
    if options.short:
        options.times = min(options.times, 4)
    return options


def run(argv: list[str] | None = None) -> dict[str, Any]:
    options = arguments(argv)
    with subject(None, None, pinned=True) as found:
        figures = measure(found, options)
    results.save("recovery", figures)
    return figures


def main(argv: list[str] | None = None) -> int:
    """0; 3 when the run is void."""
    figures = run(argv)
    show(figures)
    return results.verdict(figures["void"], "the host stole time, or others had the CPU")


if __name__ == "__main__":
    sys.exit(main())
