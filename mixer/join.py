"""Joining two frames where they are alike, so that a leg can be played a frame earlier or later unnoticed.

A crossing in silence is not heard, nor is one between two pitch periods that look the same. Frames are 20 ms
at any rate.
"""

import numpy as np
from numpy.typing import NDArray

_QUIET = 60  # a sample's size, some -55 dB, under which all things are alike


def likest(one: NDArray[np.int16], other: NDArray[np.int16]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where to cross each pair of frames, (m, frame), and how unlike they are there.

    Unlike is 0 what is equal or next to silent, 1 what has nothing in common, 2 what is opposite.
    """
    size = _crossing(one.shape[1])
    apart = _windows(np.square(one.astype(np.float64) - other), size)
    power = _windows(np.square(one, dtype=np.float64) + np.square(other, dtype=np.float64), size)
    unlike = apart / (power + 2 * size * _QUIET**2)
    place = unlike.argmin(axis=1)
    return place, np.take_along_axis(unlike, place[:, None], axis=1)[:, 0]


def cross(one: NDArray[np.int16], other: NDArray[np.int16], place: NDArray[np.intp]) -> NDArray[np.int32]:
    """The one up to `place`, the other from 8 ms behind it on."""
    size = _crossing(one.shape[1])
    up = np.clip(np.arange(one.shape[1]) - place[:, None] + 1, 0, size)
    crossed: NDArray[np.int32] = ((one * (size - up) + other * up) // size).astype(np.int32)
    return crossed


def _crossing(frame: int) -> int:
    """Samples, 8 ms of a frame of 20, in which the one gives way to the other."""
    return frame * 2 // 5


def _windows(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sums of `size` values in a row, (m, frame) to (m, frame - size + 1)."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    windows: NDArray[np.float64] = sums[:, size:] - sums[:, :-size]
    return windows
