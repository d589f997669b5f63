"""The mixer alone: CPU time per leg and frame, everybody sending, in rooms of four.

    python -m benchmarks.tick [--short]

One thread, no sockets. A beat is one batch of packets taken and one tick; the figure is the median over the
beats of each run, and over the runs. Packets arrive at random phases, and half the legs are A-law.
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np

from benchmarks import host, results
from mixer import FRAME, Mixer

LEGS = (50, 200, 500, 1000, 2000)
WANTED = {200: 3.0, 1000: 1.5}
ROOM = 4
STEAL = 0.02


class House:
    """A mixer, its legs in rooms of four, and a stream of 20 ms packets from each."""

    def __init__(self, legs: int) -> None:
        random = np.random.default_rng(legs)
        self.legs = legs
        self.mixer = Mixer(legs + 1)
        handles = [self.mixer.open(leg % 2) for leg in range(legs)]
        for leg, handle in enumerate(handles):
            self.mixer.seat(handle, leg // ROOM)
        self.rows = np.array(handles, np.intp) & 0xFFFF
        self.sequence = random.integers(0, 2**16, legs).astype(np.uint16)
        self.timestamp = random.integers(0, 2**32, legs).astype(np.uint32)
        self.ssrc = random.integers(0, 2**32, legs).astype(np.uint32)
        self.law = (np.arange(legs) % 2).astype(np.uint8)
        self.age = random.integers(0, FRAME, legs).astype(np.int32)
        self.payload = random.integers(0, 256, (legs, 2048)).astype(np.uint8)
        self.offset = np.full(legs, 12, np.int32)
        self.length = np.full(legs, FRAME, np.int32)

    def beat(self) -> tuple[float, float]:
        """Microseconds of CPU per leg for the packets, and for the tick."""
        begun = time.process_time_ns()
        self.mixer.push(
            self.rows,
            self.sequence,
            self.timestamp,
            self.ssrc,
            self.law,
            self.age,
            self.payload,
            self.offset,
            self.length,
        )
        pushed = time.process_time_ns()
        self.mixer.tick()
        ticked = time.process_time_ns()
        self.sequence += np.uint16(1)
        self.timestamp += np.uint32(FRAME)
        return (pushed - begun) / 1000 / self.legs, (ticked - pushed) / 1000 / self.legs


def measure(legs: int, *, repeats: int, beats: int) -> dict[str, Any]:
    """Medians over `repeats` runs of `beats` beats each, after a warm-up."""
    runs = []
    for _ in range(repeats):
        house = House(legs)
        for _ in range(20):
            house.beat()
        times = [house.beat() for _ in range(beats)]
        runs.append([statistics.median(column) for column in zip(*times, strict=True)])
        if house.mixer.late.any() or house.mixer.lost.any():
            raise RuntimeError("packets were late or lost: the run measured something else")
    packets, tick = (statistics.median(column) for column in zip(*runs, strict=True))
    both = [sum(run) for run in runs]
    return {
        "legs": legs,
        "packets_us": round(packets, 3),
        "tick_us": round(tick, 3),
        "us_per_leg_frame": round(statistics.median(both), 3),
        "least": round(min(both), 3),
        "greatest": round(max(both), 3),
    }


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.tick", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--beats", type=int, default=300, help="in each repeat")
    parser.add_argument("--short", action="store_true", help="under 20 s")
    options = parser.parse_args(argv)
    if options.short:
        options.repeats, options.beats = min(options.repeats, 5), min(options.beats, 150)
    return options


def main(argv: list[str] | None = None) -> int:
    """0; 3 when the run was void."""
    options = arguments(argv)
    share = host.CpuShare()
    sizes = [measure(legs, repeats=options.repeats, beats=options.beats) for legs in LEGS]
    steal = share.since().steal
    void = steal > STEAL
    results.save("tick", {"sizes": sizes, "steal": round(steal, 4), "void": void})
    results.table(
        f"the mixer alone, rooms of {ROOM}, all sending: CPU in us per leg and frame",
        [
            (
                f"{size['legs']} legs (packets {size['packets_us']:.2f}, tick {size['tick_us']:.2f})",
                f"{size['us_per_leg_frame']:.2f}",
                f"<= {WANTED[size['legs']]}" if size["legs"] in WANTED else "",
            )
            for size in sizes
        ]
        + [("stolen by the host", f"{steal:.1%}", f"<= {STEAL:.0%}")],
    )
    return results.verdict(void, "the host stole time")


if __name__ == "__main__":
    raise SystemExit(main())
