"""Sounds of the telephone network, as `MediaClient.play` takes them: 16-bit little-endian, mono, 8 kHz."""

import functools
from typing import Final

import numpy as np

RATE: Final = 8000
RINGBACK_ON: Final = 2.0
RINGBACK_CYCLE: Final = 6.0
"""Seconds of tone, and from the beginning of one to the next. Source: ITU-T E.180, United States."""

_RINGBACK: Final = (440, 480)
_RINGBACK_LEVEL: Final = -19.0  # dBm0 of each tone
_FULL_SCALE: Final = 3.17  # dBm0 of the loudest sine that mu-law carries (ITU-T G.711), of amplitude 32,124


@functools.cache
def ringback() -> bytes:
    """One ring: RINGBACK_ON seconds of tone."""
    return _tones(_RINGBACK, _RINGBACK_LEVEL, RINGBACK_ON)


def _tones(frequencies: tuple[int, ...], level: float, seconds: float) -> bytes:
    turns = 2 * np.pi * np.arange(round(seconds * RATE)) / RATE
    amplitude = 32_124 * 10 ** ((level - _FULL_SCALE) / 20)
    total = sum(amplitude * np.sin(frequency * turns) for frequency in frequencies)
    return np.rint(total).astype("<i2").tobytes()
