"""What each codec costs: CPU time per packet of 20 ms, one call a packet.

    python -m benchmarks.codecs [--short]

One thread. The figure is the least mean of three runs over the same 250 packets. The signals: a tone,
recorded speech (`benchmarks.recordings`), a quiet room (white noise of -65 dBov). Opus with in-band FEC at
its default bitrates.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.recordings import WIDE, converted, recordings
from mixer import g722, opus

COMPLEXITIES = (0, 5, 10)
_RUNS = 3
_FRAMES = 250
_ROOM = 2500

Work = Callable[[], object]


def signals(rate: int) -> dict[str, NDArray[np.int16]]:
    """Each five seconds, (frames, rate / 50)."""
    size = _FRAMES * rate // 50
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(size) / rate)
    noise = np.random.default_rng(1).normal(0, 32768 * 10 ** (-65 / 20), size)
    speech = np.concatenate([converted(each.samples, WIDE, rate) for each in recordings(WIDE)])
    sounds = {"tone": tone, "speech": speech[:size], "room": noise}
    return {name: np.rint(sound).astype(np.int16).reshape(_FRAMES, -1) for name, sound in sounds.items()}


def microseconds(work: Callable[[], Iterator[Work]]) -> float:
    """Of CPU, per piece of work: the mean within a run, the least of the runs."""
    means = []
    for _ in range(_RUNS):
        times = []
        for piece in work():
            begun = time.thread_time_ns()
            piece()
            times.append(time.thread_time_ns() - begun)
        means.append(statistics.fmean(times) / 1000)
    return round(min(means), 1)


def of_opus(rate: int, complexity: int, frames: NDArray[np.int16]) -> dict[str, float]:
    """Encode, decode, recover by FEC, conceal (one packet in ten), copy an encoder."""
    size = rate // 50
    packets = np.zeros((len(frames), _ROOM), np.uint8)
    lengths = np.zeros(len(frames), np.int32)
    out = np.zeros(size, np.int16)
    target = out.ctypes.data

    def encoder() -> opus.Encoder:
        return opus.Encoder(
            rate,
            bitrate=opus.BITRATE[rate],
            complexity=complexity,
            fec=True,
            loss=opus.EXPECTED_LOSS,
            dtx=False,
        )

    def encode() -> Iterator[Work]:
        by = encoder()
        for number, frame in enumerate(frames):
            samples, packet = frame.ctypes.data, packets[number].ctypes.data

            def once(number: int = number, samples: int = samples, packet: int = packet) -> None:
                lengths[number] = by.encode(samples, size, packet, _ROOM)

            yield once

    def played(verb: str) -> Callable[[], Iterator[Work]]:
        def run() -> Iterator[Work]:
            by = opus.Decoder(rate)
            for number in range(len(frames) - 1):
                packet, length = packets[number].ctypes.data, int(lengths[number])
                if verb == "decode" or number % 10:
                    if verb == "decode":
                        yield lambda packet=packet, length=length: by.decode(packet, length, target, size)
                    else:
                        by.decode(packet, length, target, size)
                elif verb == "conceal":
                    yield lambda: by.conceal(target, size)
                else:
                    after, more = packets[number + 1].ctypes.data, int(lengths[number + 1])
                    yield lambda after=after, more=more: by.recover(after, more, target, size)

        return run

    def copied() -> Iterator[Work]:
        by = encoder()
        yield from (by.copy for _ in range(50))

    return {
        "encode": microseconds(encode),
        **{verb: microseconds(played(verb)) for verb in ("decode", "recover", "conceal")},
        "copy": microseconds(copied),
        "bytes": round(float(lengths.mean()), 1),
    }


def of_g722(frames: NDArray[np.int16]) -> dict[str, float]:
    payloads: list[bytes] = []

    def encode() -> Iterator[Work]:
        by = g722.Encoder()
        for frame in frames:
            yield lambda frame=frame: payloads.append(by.encode(frame))

    def decode() -> Iterator[Work]:
        by = g722.Decoder()
        for payload in payloads[: len(frames)]:
            yield lambda payload=payload: by.decode(payload)

    def copied() -> Iterator[Work]:
        by = g722.Encoder()
        yield from (by.copy for _ in range(50))

    return {
        "encode": microseconds(encode),
        "decode": microseconds(decode),
        "copy": microseconds(copied),
        "bytes": 160.0,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.codecs", description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the default complexity alone")
    options = parser.parse_args(argv)
    lines: dict[str, dict[str, Any]] = {}
    for name, frames in signals(WIDE).items():
        lines[f"G.722, {name}"] = of_g722(frames)
    for rate in opus.RATES:
        for complexity in (opus.COMPLEXITY,) if options.short else COMPLEXITIES:
            for name, frames in signals(rate).items():
                title = f"Opus {rate // 1000} kHz, complexity {complexity}, {name}"
                lines[title] = of_opus(rate, complexity, frames)
    results.save("codecs", {"bitrates": opus.BITRATE, "lines": lines})
    results.table(
        "CPU in us per packet of 20 ms: encode, decode, recover, conceal, copy; bytes of a packet",
        [
            (
                name,
                " ".join(
                    f"{line.get(key, float('nan')):6.1f}"
                    for key in ("encode", "decode", "recover", "conceal", "copy", "bytes")
                ),
                "",
            )
            for name, line in lines.items()
        ],
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
