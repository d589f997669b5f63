"""Sounds of the telephone network, as `MediaClient.play` takes them: 16-bit little-endian, mono, 8 kHz."""

import functools
from typing import Final

import numpy as np

from rtp.keys import plan

RATE: Final = 8000
RINGBACK_ON: Final = 2.0
RINGBACK_CYCLE: Final = 6.0
"""Seconds of tone, and from the beginning of one to the next. Source: ITU-T E.180, United States."""

_RINGBACK: Final = (440, 480)
_RINGBACK_LEVEL: Final = -19.0  # dBm0 of each tone
_LOW: Final = (697, 770, 852, 941)
_HIGH: Final = (1209, 1336, 1477, 1633)
_PLACES: Final = dict(zip("123A456B789C*0#D", ((low, high) for low in _LOW for high in _HIGH), strict=True))
_LOW_LEVEL, _HIGH_LEVEL = -9.0, -7.0
"""DTMF. Source: ITU-T Q.23."""
_FULL_SCALE: Final = 3.17  # dBm0 of the loudest sine that mu-law carries (ITU-T G.711), of amplitude 32,124


@functools.cache
def ringback() -> bytes:
    """One ring: RINGBACK_ON seconds of tone."""
    return _tones([(frequency, _RINGBACK_LEVEL) for frequency in _RINGBACK], RINGBACK_ON)


def keys(digits: str, *, tone: float, interval: float) -> bytes:
    """Keys as one hears them, for a far end that takes no telephone events; times in ms as `rtp.keys.plan`
    has them. Raises ValueError for what is no key."""
    sound = b""
    for key, silence in plan(digits, interval):
        if key:
            low, high = _PLACES[key]
            sound += _tones([(low, _LOW_LEVEL), (high, _HIGH_LEVEL)], tone / 1000)
        sound += bytes(2 * round(silence * RATE / 1000))
    return sound


def _tones(parts: list[tuple[int, float]], seconds: float) -> bytes:
    """Sines of these frequencies (Hz) and levels (dBm0)."""
    turns = 2 * np.pi * np.arange(round(seconds * RATE)) / RATE
    total = np.zeros(len(turns))
    for frequency, level in parts:
        total += 32_124 * 10 ** ((level - _FULL_SCALE) / 20) * np.sin(frequency * turns)
    return np.rint(total).astype("<i2").tobytes()
