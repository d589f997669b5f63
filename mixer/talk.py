"""Who talks: the level of every leg, its noise, and when speech begins and ends; all rows at once.

A leg's *noise* is the least that its level has come down to in the last one to two blocks of `BLOCK` ticks:
speech pauses more often than that, a fan does not. It begins at what is usual, so that nobody is taken for a
talker, nor for silent, before he is known. What is louder than any noise (`NOISIEST`) is always speech, so
that music and tones are not taken for noise when they last.

Levels are mean squares here, and dBov (ITU-T G.100.1: 0 is a square wave of full scale) where they are told.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows

BLOCK = 75
"""Ticks, 1.5 s, whose least level is kept as one."""

START = 3
"""Ticks, 60 ms, that somebody must be loud in a row to be a talker: a click is none."""

HANG = 20
"""Ticks, 400 ms, that a talker is silent before he has stopped: a pause between words is no stop."""

PARTS = 4
"""Parts of a frame, 5 ms each, whose energies are told apart: a word may begin in the last of them."""

_USUAL = -60.0
_QUIETEST, NOISIEST = -72.0, -38.0  # dBov, between which noise is believed to lie
_RISE = 9.0  # dB over the noise that make a talker
_STAY = 6.0  # and that keep him one
_NOTHING = 4.0  # a mean square that no microphone falls below: what is told there is not noise but silence
_UNKNOWN = np.float32(1e30)
_FULL = 32768.0


def square(dbov: float) -> np.float32:
    """The mean square of so many dBov."""
    return np.float32(_FULL**2 * 10 ** (dbov / 10))


def dbov(square: NDArray[np.float32]) -> NDArray[np.float32]:
    """dBov of mean squares, -96 at least: the step of 16 bits."""
    levels: NDArray[np.float32] = np.maximum(10 * np.log10(np.maximum(square, 1e-9) / _FULL**2), -96)
    return levels.astype(np.float32)


class Talk:
    """Columns by row, to be read: `level` float32, the mean square of the last frame, and `loudest`, that of
    its loudest part; `noise` float32, a mean square; `talking` bool."""

    def __init__(self, rows: Rows) -> None:
        self.level: NDArray[np.float32] = rows.column(np.float32)
        self.loudest: NDArray[np.float32] = rows.column(np.float32)
        self.noise: NDArray[np.float32] = rows.column(np.float32, square(_USUAL))
        self.talking: NDArray[np.bool_] = rows.column(np.bool_)
        self._loud: NDArray[np.int16] = rows.column(np.int16)  # ticks in a row, up to START
        self._quiet: NDArray[np.int16] = rows.column(np.int16)  # ticks in a row, up to HANG
        self._least: NDArray[np.float32] = rows.column(np.float32, _UNKNOWN)  # in this block
        self._before: NDArray[np.float32] = rows.column(np.float32, _UNKNOWN)  # in the one before
        self._ticks = 0

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """What these rows said was private: nothing of it may tell in what becomes of the next they say."""
        self.noise[rows] = square(_USUAL)
        self.talking[rows] = False
        self._loud[rows] = self._quiet[rows] = 0
        self._least[rows] = self._before[rows] = _UNKNOWN

    def hear(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> NDArray[np.float32]:
        """The frames (n, samples) that these rows, each once, say in this tick. Returns the energies of
        their parts, (PARTS, n)."""
        n, samples = speech.shape
        parts = speech.reshape(n, PARTS, samples // PARTS).astype(np.float32)
        energies: NDArray[np.float32] = np.einsum("rps,rps->pr", parts, parts)
        level = energies.sum(axis=0)
        level *= np.float32(1 / samples)
        noise, talking = self.noise[rows], self.talking[rows]

        bar = noise * np.where(talking, _STAY_FACTOR, _RISE_FACTOR)
        loud = level > bar
        run = np.where(loud, self._loud[rows] + 1, 0)
        pause = np.where(loud, 0, self._quiet[rows] + 1)
        talking &= pause < HANG
        talking |= run >= START
        self.level[rows] = level
        self.loudest[rows] = energies.max(axis=0) * np.float32(PARTS / samples)
        self.talking[rows] = talking
        self._loud[rows] = np.minimum(run, START)
        self._quiet[rows] = np.minimum(pause, HANG)

        least = np.minimum(self._least[rows], np.where(level > _NOTHING, level, _UNKNOWN))
        self._least[rows] = least
        floor = np.minimum(least, self._before[rows])
        self.noise[rows] = np.where(floor < noise, np.maximum(floor, _QUIETEST_SQUARE), noise)
        return energies

    def advance(self) -> None:
        """The tick is over. Once a block the noise may rise: to the least level of the last two."""
        self._ticks += 1
        if self._ticks % BLOCK == 0:
            floor = np.minimum(self._least, self._before)
            known = np.clip(floor, _QUIETEST_SQUARE, _NOISIEST_SQUARE)
            self.noise[:] = np.where(floor < _UNKNOWN, known, self.noise)
            self._before[:] = self._least
            self._least[:] = _UNKNOWN


_RISE_FACTOR, _STAY_FACTOR = np.float32(10 ** (_RISE / 10)), np.float32(10 ** (_STAY / 10))
_QUIETEST_SQUARE, _NOISIEST_SQUARE = square(_QUIETEST), square(NOISIEST)
