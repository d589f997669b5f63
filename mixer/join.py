"""Joining two frames where they are alike, so that a leg can be played a frame earlier or later unnoticed.

A crossing in silence is not heard, nor is one between two pitch periods that look the same.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import FRAME

CROSS = 64
"""Samples, 8 ms, in which the one gives way to the other."""

_QUIET = 60  # a sample's size, some -55 dB, under which all things are alike


def likest(one: NDArray[np.int16], other: NDArray[np.int16]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where to cross each pair of frames, (m, FRAME), and how unlike they are there.

    Unlike is 0 what is equal or next to silent, 1 what has nothing in common, 2 what is opposite.
    """
    apart = _windows(np.square(one.astype(np.float64) - other))
    unlike = apart / (
        _windows(np.square(one, dtype=np.float64) + np.square(other, dtype=np.float64))
        + 2 * CROSS * _QUIET**2
    )
    place = unlike.argmin(axis=1)
    return place, np.take_along_axis(unlike, place[:, None], axis=1)[:, 0]


def cross(one: NDArray[np.int16], other: NDArray[np.int16], place: NDArray[np.intp]) -> NDArray[np.int32]:
    """The one up to `place`, the other from CROSS samples behind it on."""
    up = np.clip(np.arange(FRAME) - place[:, None] + 1, 0, CROSS)
    crossed: NDArray[np.int32] = ((one * (CROSS - up) + other * up) // CROSS).astype(np.int32)
    return crossed


def _windows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of CROSS values in a row, (m, FRAME) to (m, FRAME - CROSS + 1)."""
    sums = np.zeros((values.shape[0], FRAME + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    windows: NDArray[np.float64] = sums[:, CROSS:] - sums[:, :-CROSS]
    return windows
