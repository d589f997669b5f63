"""Sounds for whoever listens to legs: noise, tones, keys, and something that pauses as speech does."""

import numpy as np
from numpy.typing import NDArray

from mixer import g711
from mixer.inband import HIGH, KEYS, LOW
from mixer.noise import square

RATE = 8000
Sound = NDArray[np.float64]


def amplitude(dbm0: float) -> float:
    """Of a sine (ITU-T G.711: the loudest that mu-law carries has 3.17 dBm0)."""
    return float(32_124 * 10 ** ((dbm0 - 3.17) / 20))


def noise(seconds: float, dbov: float, seed: int = 1) -> Sound:
    random = np.random.default_rng(seed)
    return random.normal(0, np.sqrt(float(square(dbov))), round(seconds * RATE))


def silence(seconds: float) -> Sound:
    return np.zeros(round(seconds * RATE))


def tone(seconds: float, dbov: float, frequency: float = 430) -> Sound:
    at = np.arange(round(seconds * RATE)) / RATE
    return np.sqrt(2 * float(square(dbov))) * np.sin(2 * np.pi * frequency * at)


def syllables(seconds: float, dbov: float, seed: int = 1) -> Sound:
    """A buzz of 130 Hz in pieces of 150 ms with 70 ms between them; its loud parts have that level."""
    at = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 130 * harmonic * at) / harmonic for harmonic in range(1, 12))
    shape = np.clip(np.sin(2 * np.pi * at / 0.44) * 3, 0, 1) + np.clip(
        -np.sin(2 * np.pi * at / 0.44) * 3, 0, 1
    )
    buzz = np.asarray(buzz * np.where(at % 0.22 < 0.15, shape, 0))
    loud = np.abs(buzz) > 0.2
    return buzz * np.sqrt(float(square(dbov)) / np.mean(buzz[loud] ** 2))


def key(
    name: str,
    seconds: float = 0.07,
    *,
    low: float = -9,
    high: float = -7,
    off: tuple[float, float] = (0, 0),
    rate: int = RATE,
) -> Sound:
    """A key's two tones, levels in dBm0; `off`: by what part their frequencies are wrong."""
    number, at = KEYS.index(name), np.arange(round(seconds * rate)) / rate
    one = amplitude(low) * np.sin(2 * np.pi * LOW[number // 4] * (1 + off[0]) * at)
    return one + amplitude(high) * np.sin(2 * np.pi * HIGH[number % 4] * (1 + off[1]) * at + 1)


def samples(*parts: Sound) -> NDArray[np.int16]:
    """The parts one after the other, as samples."""
    return np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)


def payloads(sound: NDArray[np.int16]) -> list[bytes]:
    """Of its whole frames, in mu-law."""
    coded = np.empty((1, sound.size), np.uint8)
    g711.encode(sound[None].astype(np.int32), g711.encode_base(np.array([g711.ULAW], np.uint8)), coded)
    return [coded[0, at : at + 160].tobytes() for at in range(0, sound.size - 159, 160)]


def coded(sound: NDArray[np.int16], law: int) -> NDArray[np.int16]:
    """What G.711 leaves of it."""
    payload = np.empty((1, sound.size), np.uint8)
    base = g711.encode_base(np.array([law], np.uint8))
    g711.encode(sound[None].astype(np.int32), base, payload)
    heard = np.empty_like(payload, np.int16)
    g711.decode(payload.astype(np.uint16) | g711.VALID | law << 8, heard)
    return heard[0]
