"""A whole tick in every codec: CPU time per leg and frame, rooms of four, one leg in ten talking.

    python -m benchmarks.tick_codecs [--short]

One thread, no sockets. Those who do not talk send the noise of a quiet room, -65 dBov, as microphones do;
gates are as they are by default, so that listeners share their room's encoder. Packets are decoded, mixed and
encoded; the figure is the median over the beats. Beside it, how many legs of the codec fill 70 % of a core,
and how many payloads were encoded one by one per beat and leg.
"""

import argparse
import statistics
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import host, results
from benchmarks.recordings import WIDE, converted, recordings
from mixer import Mixer, g722, opus
from mixer.formats import FORMATS, number

LEGS = 200
ROOM = 4
TALKERS = 10  # one in so many
BEAT = 20_000  # microseconds
FULL = 0.7
CASES = (
    ("PCMU", 8000),
    ("L16", 16000),
    ("G722", 16000),
    ("OPUS", 8000),
    ("OPUS", 16000),
    ("OPUS", 48000),
)
_LOOP = 250  # packets that are said again and again


def payloads(format: int, sound: NDArray[np.int16]) -> list[bytes]:
    """The packets of 20 ms of a sound, to be said again and again. They are those of its second round, so
    that a decoder hears no seam: it would open a gate, as G.722 is loud there for 60 ms."""
    known = FORMATS[format]
    frames = sound[: _LOOP * known.rate // 50].reshape(_LOOP, -1)
    if known.codec == "L16":
        return [frame.astype(">i2").tobytes() for frame in frames]
    rounds = (*frames, *frames)
    if known.codec == "G722":
        wide = g722.Encoder()
        return [wide.encode(frame) for frame in rounds][_LOOP:]
    if known.codec == "OPUS":
        encoder = opus.Encoder(
            known.rate,
            bitrate=opus.BITRATE[known.rate],
            complexity=opus.COMPLEXITY,
            fec=True,
            loss=opus.EXPECTED_LOSS,
            dtx=False,
        )
        out = np.zeros(1500, np.uint8)
        return [
            out[: encoder.encode(frame.ctypes.data, frame.size, out.ctypes.data, out.size)].tobytes()
            for frame in rounds
        ][_LOOP:]
    law = 0xFF ^ np.clip(np.abs(frames) >> 8, 0, 127) ^ np.where(frames < 0, 0x80, 0)
    return [line.astype(np.uint8).tobytes() for line in law]


class House:
    """A mixer, its legs in rooms of four, and what each of them says."""

    def __init__(self, codec: str, rate: int, legs: int) -> None:
        random = np.random.default_rng(legs)
        self.format = number(codec, rate)
        self.legs = legs
        self.mixer = Mixer(legs + 1)
        handles = [self.mixer.open(self.format) for _ in range(legs)]
        for leg, handle in enumerate(handles):
            self.mixer.analyse(handle, gate=codec in ("G722", "OPUS"), keys=False)
            self.mixer.seat(handle, leg // ROOM)
        self.rows = np.array(handles, np.intp) & 0xFFFF
        said = np.concatenate([each.samples for each in recordings(WIDE, recorded=False)])
        speech = payloads(self.format, converted(said, WIDE, rate))
        noise = random.normal(0, 32768 * 10 ** (-65 / 20), _LOOP * rate // 50)
        room = payloads(self.format, np.rint(noise).astype(np.int16))
        self.talks = np.arange(legs) % TALKERS == 0
        self.said = [speech if talks else room for talks in self.talks.tolist()]
        self.offset = random.integers(0, _LOOP, legs)
        self.age = random.integers(0, 160, legs).astype(np.int32)
        self.beats = 0

    def beat(self) -> float:
        """Microseconds of CPU per leg."""
        texts = [said[(at + self.beats) % _LOOP] for said, at in zip(self.said, self.offset, strict=True)]
        payload = np.zeros((self.legs, 2048), np.uint8)
        for line, text in zip(payload, texts, strict=True):
            line[12 : 12 + len(text)] = np.frombuffer(text, np.uint8)
        clock = FORMATS[self.format].clock // 50
        columns = (
            self.rows,
            np.full(self.legs, self.beats, np.uint16),
            np.full(self.legs, self.beats * clock, np.uint32),
            self.rows.astype(np.uint32),
            np.full(self.legs, self.format, np.uint8),
            self.age,
            payload,
            np.full(self.legs, 12, np.int32),
            np.array([len(text) for text in texts], np.int32),
        )
        self.beats += 1
        begun = time.thread_time_ns()
        self.mixer.push(*columns)
        self.mixer.tick()
        return (time.thread_time_ns() - begun) / 1000 / self.legs


def measure(codec: str, rate: int, *, beats: int) -> dict[str, Any]:
    """The median over `beats` beats, after six seconds in which gates learn their noise (a decoder's first
    frame is quieter, and remembered for up to 4.5 s) and encoders find together."""
    house = House(codec, rate, LEGS)
    for _ in range(300):
        house.beat()
    made = house.mixer.encoded
    times = [house.beat() for _ in range(beats)]
    cost = statistics.median(times)
    return {
        "codec": codec,
        "rate": rate,
        "us_per_leg_frame": round(cost, 2),
        "encoded_per_leg_frame": round((house.mixer.encoded - made) / beats / LEGS, 3),
        "legs_at_70_percent": int(FULL * BEAT / cost),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.tick_codecs", description=__doc__.splitlines()[0])
    parser.add_argument("--beats", type=int, default=400)
    parser.add_argument("--short", action="store_true", help="under 20 s")
    options = parser.parse_args(argv)
    share = host.CpuShare()
    beats = min(options.beats, 100) if options.short else options.beats
    cases = [measure(codec, rate, beats=beats) for codec, rate in CASES]
    steal = share.since().steal
    results.save("tick_codecs", {"legs": LEGS, "cases": cases, "steal": round(steal, 4)})
    results.table(
        f"{LEGS} legs in rooms of {ROOM}, one in {TALKERS} talking: us of CPU per leg and frame",
        [
            (
                f"{case['codec']} at {case['rate']} Hz ({case['encoded_per_leg_frame']:.2f} encoded)",
                f"{case['us_per_leg_frame']:.1f}",
                f"{case['legs_at_70_percent']} legs at 70 %",
            )
            for case in cases
        ]
        + [("stolen by the host", f"{steal:.1%}", "")],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
