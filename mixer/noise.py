"""The noise of every leg: the least that its level comes down to.

It is the least level of the last one to two blocks of `BLOCK` ticks: speech pauses more often than that, a
fan does not. It falls at once and rises at the end of a block. Until something is known it is what is usual,
so that nobody is taken for loud, nor for silent, before.

Levels are mean squares here, and dBov (ITU-T G.100.1: 0 is a square wave of full scale) where they are told.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows

BLOCK = 75
"""Ticks, 1.5 s, whose least level is kept as one."""

NOTHING = 4.0
"""A mean square that no microphone falls below: what is less is not noise but silence, and tells nothing."""

_UNKNOWN = np.float32(1e30)
_FULL = 32768.0


def square(dbov: float) -> np.float32:
    """The mean square of so many dBov."""
    return np.float32(_FULL**2 * 10 ** (dbov / 10))


def dbov(square: NDArray[np.float32]) -> NDArray[np.float32]:
    """dBov of mean squares, -96 at least: the step of 16 bits."""
    levels: NDArray[np.float32] = np.maximum(10 * np.log10(np.maximum(square, 1e-9) / _FULL**2), -96)
    return levels.astype(np.float32)


class Noise:
    """Column by row, to be read: `floor` float32. `usual`, `least`, `most`: dBov that it begins with, and
    between which it is believed to lie."""

    def __init__(self, rows: Rows, *, usual: float, least: float, most: float) -> None:
        self._usual, self._lowest, self._highest = square(usual), square(least), square(most)
        self.floor: NDArray[np.float32] = rows.column(np.float32, self._usual)
        self._least: NDArray[np.float32] = rows.column(np.float32, _UNKNOWN)  # in this block
        self._before: NDArray[np.float32] = rows.column(np.float32, _UNKNOWN)  # in the one before
        self._ticks = 0

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """Nothing is known of these rows."""
        self.floor[rows] = self._usual
        self._least[rows] = self._before[rows] = _UNKNOWN

    def note(self, rows: NDArray[np.intp], level: NDArray[np.float32]) -> None:
        """The levels of these rows, each once, in this tick."""
        least = np.minimum(self._least[rows], np.where(level > NOTHING, level, _UNKNOWN))
        self._least[rows] = least
        floor = self.floor[rows]
        self.floor[rows] = np.minimum(floor, np.maximum(np.minimum(least, self._before[rows]), self._lowest))

    def advance(self) -> None:
        """The tick is over."""
        self._ticks += 1
        if self._ticks % BLOCK == 0:
            floor = np.minimum(self._least, self._before)
            known = np.clip(floor, self._lowest, self._highest)
            self.floor[:] = np.where(floor < _UNKNOWN, known, self.floor)
            self._before[:] = self._least
            self._least[:] = _UNKNOWN
