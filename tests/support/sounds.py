"""What a phone says: sounds as encoded bytes, asked for by position."""

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tests.support import g711

RATE = 8000


class Sound(Protocol):
    def payload(self, law: str, position: int, count: int) -> bytes:
        """`count` encoded samples from sample `position` of the sound on."""
        ...


@functools.lru_cache(maxsize=256)
def _tone_second(law: str, frequency: int, amplitude: int) -> bytes:
    turns = 2 * np.pi * frequency * np.arange(RATE) / RATE
    return g711.encode(law, np.rint(amplitude * np.sin(turns)).astype(np.int16)) * 2


@dataclass(frozen=True)
class Tone:
    """A sine of a whole number of Hz, so that one second of it is a loop without a seam."""

    frequency: int
    amplitude: int = 3000  # six of them sum to 18,000: no clipping in a room of seven

    def payload(self, law: str, position: int, count: int) -> bytes:
        start = position % RATE
        return _tone_second(law, self.frequency, self.amplitude)[start : start + count]


class Silence:
    def payload(self, law: str, position: int, count: int) -> bytes:
        return g711.SILENT_BYTE[law] * count


SILENCE = Silence()


class Samples:
    """Given samples (int16, 8 kHz), once or for ever, silence after them."""

    def __init__(self, samples: np.typing.ArrayLike, *, loop: bool = False) -> None:
        self.samples = np.asarray(samples, np.int16)
        self.loop = loop
        self._encoded: dict[str, bytes] = {}

    def payload(self, law: str, position: int, count: int) -> bytes:
        if law not in self._encoded:
            self._encoded[law] = g711.encode(law, self.samples)
        encoded = self._encoded[law]
        if self.loop:
            start = position % len(encoded)
            taken = encoded[start : start + count]
            while len(taken) < count:
                taken += encoded[: count - len(taken)]
            return taken
        return encoded[position : position + count].ljust(count, g711.SILENT_BYTE[law])


def noise(seed: int, seconds: float, amplitude: int = 2000) -> np.typing.NDArray[np.int16]:
    """Samples that are like nothing else: for finding their place in a recording."""
    generator = np.random.default_rng(seed)
    return generator.integers(-amplitude, amplitude, int(seconds * RATE), endpoint=True).astype(np.int16)
