"""What is heard in the sound of legs: its cost, keys found and keys imagined.

    python -m benchmarks.analysis [--short]

Cost: each part of `mixer.analysis` alone, CPU time per leg and frame, 200 legs at 8 kHz of which one in ten
talks and the others send room noise of -65 dBov; every leg has every part. Keys: 800 strings of eight keys
through mu-law, with noise of -65 dBov where nothing else is said, as long and loud as ITU-T Q.24 asks.
Talk-off: hours of recorded speech (see `benchmarks.recordings`), in which nobody presses a key.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import host, recordings, results
from mixer import ULAW, g711
from mixer.analysis import Analysis
from mixer.inband import HIGH, KEYS, LOW
from mixer.noise import square
from mixer.rows import FRAME, Rows

LEGS = 200
PARTS = ("talk", "keys", "gate, hearing", "gain", "gate, shutting")
TALKERS = 10
WANTED = 0.5  # us per leg and frame, of what legs of G.711 have; the gate is for codecs that cost far more
STRINGS, LENGTH = 800, 8
LEVELS = (-12, -20, -26, -36)  # dBov of active speech
STEAL = 0.05
_FULL_SCALE = 3.17  # dBm0 of a sine of amplitude 32,124 (ITU-T G.711)


class Trial(NamedTuple):
    """How keys are pressed: ms of tone and pause, dBm0 of both tones, how far off they are, dBov of noise."""

    tone: int = 40
    pause: int = 40
    low: float = -10
    high: float = -10
    off: float = 0.0
    noise: float = -65


TRIALS = {
    "40 ms, 0 dBm0": Trial(low=0, high=0),
    "40 ms, -10 dBm0": Trial(),
    "40 ms, -25 dBm0": Trial(low=-25, high=-25),
    "1.5 % off": Trial(off=0.015),
    "high tone 4 dB stronger": Trial(low=-14),
    "low tone 8 dB stronger": Trial(high=-18),
    "noise 15 dB below": Trial(noise=-10 - 3.2 - 15),
    "23 ms (no key)": Trial(tone=23, pause=60),
    "3.5 % off (no key)": Trial(tone=100, off=0.035),
}


class Booth:
    """Some legs whose frames are listened to."""

    def __init__(self, legs: int) -> None:
        rows = Rows(legs + 1)
        self.analysis = Analysis(rows)
        self.rows = np.array([rows.hand_out() & 0xFFFF for _ in range(legs)])
        self.analysis.inband.wanted[self.rows] = True

    def keys(self, sound: NDArray[np.int16]) -> list[str]:
        """The keys found in each leg's sound, (legs, samples)."""
        found = [""] * self.rows.size
        for at in range(0, sound.shape[1] - FRAME + 1, FRAME):
            self.analysis.begin()
            self.analysis.hear(self.rows, sound[:, at : at + FRAME].copy())
            self.analysis.advance()
            for row, key, _ in self.analysis.keys:
                found[row - 1] += key
        return found


def cost(beats: int) -> dict[str, float]:
    """Microseconds per leg and frame of each part, the median."""
    random = np.random.default_rng(1)
    booth = Booth(LEGS)
    analysis, rows = booth.analysis, booth.rows
    analysis.gate.on[rows] = analysis.gain.on[rows] = True
    talks = np.arange(LEGS) % TALKERS == 0
    level = np.sqrt(np.where(talks, square(-20), square(-65)))[:, None]
    frames = np.rint(random.normal(0, 1, (20, LEGS, FRAME)) * level).astype(np.int16)
    spent: dict[str, list[float]] = {name: [] for name in PARTS}

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        begun = time.thread_time_ns()
        result = work(rows, *arguments)
        spent[name].append((time.thread_time_ns() - begun) / 1000 / LEGS)
        return result

    for beat in range(beats):
        speech = frames[beat % 20].copy()
        energies = timed("talk", analysis.talk.hear, speech)
        timed("keys", analysis.inband.hear, speech, analysis.talk.level[rows], energies)
        timed("gate, hearing", analysis.gate.hear, speech)
        timed("gain", analysis.gain.apply, speech)
        timed("gate, shutting", analysis.gate.apply, speech)
        analysis.advance()
    return {name: round(statistics.median(times), 3) for name, times in spent.items()}


def heard(trial: Trial, strings: int) -> float:
    """The share of strings that were heard as they were pressed."""
    random = np.random.default_rng(2)
    pressed = ["".join(random.choice(list(KEYS), LENGTH)) for _ in range(strings)]
    sounds = [_dialled(keys, trial, random) for keys in pressed]
    whole = np.zeros((strings, max(map(len, sounds)) + 1600))
    for line, sound in zip(whole, sounds, strict=True):
        line[: len(sound)] = sound
    whole += random.normal(0, np.sqrt(square(trial.noise)), whole.shape)
    found = Booth(strings).keys(_coded(whole))
    return sum(one == other for one, other in zip(found, pressed, strict=True)) / strings


def imagined(seconds: float) -> tuple[float, int]:
    """Hours of speech heard, and the keys found in them."""
    hours, keys = 0.0, 0
    for name, speech in _speech(seconds):
        active = speech[np.abs(speech) > 300]
        for level in LEVELS:
            scaled = speech * np.sqrt(square(level) / np.mean(active.astype(np.float64) ** 2))
            lines = scaled[: scaled.size // (64 * FRAME) * 64 * FRAME].reshape(64, -1)
            found = [key for key in Booth(64).keys(_coded(lines)) if key]
            if found:
                sys.stdout.write(f"  {name} at {level} dBov: {found}\n")
            hours += lines.size / 8000 / 3600
            keys += len("".join(found))
    return hours, keys


def _speech(seconds: float) -> Iterator[tuple[str, NDArray[np.int16]]]:
    """Everything of a voice in one piece, so many seconds at most."""
    for name, sounds in recordings.voices().items():
        yield name, np.concatenate(sounds)[: round(seconds * 8000)]


def _dialled(keys: str, trial: Trial, random: np.random.Generator) -> NDArray[np.float64]:
    parts = [np.zeros(random.integers(1600, 2000))]
    for key in keys:
        number, at = KEYS.index(key), np.arange(8 * trial.tone) / 8000
        for frequency, level in (
            (LOW[number // 4] * (1 + trial.off), trial.low),
            (HIGH[number % 4] * (1 - trial.off), trial.high),
        ):
            phase = random.uniform(0, 2 * np.pi)
            tone = 32_124 * 10 ** ((level - _FULL_SCALE) / 20) * np.sin(2 * np.pi * frequency * at + phase)
            if frequency < HIGH[0] * 0.9:
                parts.append(tone)
            else:
                parts[-1] = parts[-1] + tone
        parts.append(np.zeros(8 * trial.pause + random.integers(0, 40)))
    return np.concatenate(parts)


def _coded(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    """What mu-law leaves of it."""
    linear = np.clip(np.rint(sound), -32768, 32767).astype(np.int32)
    payload, out = np.empty(linear.shape, np.uint8), np.empty(linear.shape, np.int16)
    g711.encode(linear, g711.encode_base(np.full(len(linear), ULAW, np.uint8)), payload)
    g711.decode(payload.astype(np.uint16) | g711.VALID, out)
    return out


def main(argv: list[str] | None = None) -> int:
    """0; 3 when the run was void."""
    parser = argparse.ArgumentParser(prog="benchmarks.analysis", description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a minute of each voice, fewer keys")
    short = parser.parse_args(argv).short
    share = host.CpuShare()
    spent = cost(400 if short else 2000)
    steal = share.since().steal
    found = {name: heard(trial, STRINGS // 8 if short else STRINGS) for name, trial in TRIALS.items()}
    hours, keys = imagined(60 if short else 3600)
    figures = {
        "us_per_leg_frame": spent,
        "strings_heard": {name: round(part, 4) for name, part in found.items()},
        "speech_hours": round(hours, 2),
        "keys_imagined": keys,
        "steal": round(steal, 4),
        "void": steal > STEAL,
    }
    results.save("analysis", figures)
    rows = [(f"{name}, us per leg and frame", f"{value:.2f}", "") for name, value in spent.items()]
    rows.append(("talk and keys together", f"{spent['talk'] + spent['keys']:.2f}", f"<= {WANTED}"))
    rows += [
        (f"keys, {name}", f"{part:.1%}", "0 %" if "no key" in name else ">= 99 %")
        for name, part in found.items()
    ]
    rows.append((f"keys imagined in {hours:.1f} h of speech", str(keys), "0"))
    results.table(f"what is heard in {LEGS} legs", rows)
    return results.verdict(steal > STEAL, "the host stole time")


if __name__ == "__main__":
    raise SystemExit(main())
