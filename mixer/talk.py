"""Who talks: the level of every leg, and when speech begins and ends; all rows at once.

Somebody talks while he is louder than his noise (see `mixer.noise`) by so much. What is louder than any noise
is always speech, so that music and tones are not taken for noise when they last.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.noise import Noise, square
from mixer.rows import Rows

START = 3
"""Ticks, 60 ms, that somebody must be loud in a row to be a talker: a click is none."""

HANG = 20
"""Ticks, 400 ms, that a talker is silent before he has stopped: a pause between words is no stop."""

_HALVES = 2
_RISE = np.float32(10 ** (9 / 10))  # over the noise, that make a talker
_STAY = np.float32(10 ** (6 / 10))  # and that keep him one
_QUIETEST = square(-64.0)  # so that a room is no talker when its microphone, muted until now, is opened


class Talk:
    """Columns by row, to be read: `level` float32, the mean square of the last frame; `noise` float32, the
    same of what is not speech; `talking` bool."""

    def __init__(self, rows: Rows) -> None:
        self._noise = Noise(rows, usual=-60.0, least=-72.0, most=-38.0)
        self.noise = self._noise.floor
        self.level: NDArray[np.float32] = rows.column(np.float32)
        self.talking: NDArray[np.bool_] = rows.column(np.bool_)
        self._loud: NDArray[np.int16] = rows.column(np.int16)  # ticks in a row, up to START
        self._quiet: NDArray[np.int16] = rows.column(np.int16)  # ticks in a row, up to HANG

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """What these rows said was private: nothing of it may tell in what becomes of the next they say."""
        self._noise.forget(rows)
        self.talking[rows] = False
        self._loud[rows] = self._quiet[rows] = 0

    def hear(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> NDArray[np.float32]:
        """The frames (n, samples) that these rows, each once, say in this tick. Returns the energies of
        their halves, (2, n)."""
        n, samples = speech.shape
        halves = speech.reshape(n, _HALVES, samples // _HALVES).astype(np.float32)
        energies: NDArray[np.float32] = np.einsum("rps,rps->pr", halves, halves)
        level = (energies[0] + energies[1]) * np.float32(1 / samples)
        talking = self.talking[rows]

        bar = np.maximum(self.noise[rows], _QUIETEST) * np.where(talking, _STAY, _RISE)
        loud = level > bar
        run = np.where(loud, self._loud[rows] + 1, 0)
        pause = np.where(loud, 0, self._quiet[rows] + 1)
        talking &= pause < HANG
        talking |= run >= START
        self.level[rows] = level
        self.talking[rows] = talking
        self._loud[rows] = np.minimum(run, START)
        self._quiet[rows] = np.minimum(pause, HANG)
        self._noise.note(rows, level)
        return energies

    def advance(self) -> None:
        """The tick is over."""
        self._noise.advance()
