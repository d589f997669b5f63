"""Gain control: who speaks too low or too loud is brought towards the usual level, slowly.

Only speech moves the gain: in pauses it stands still, so that noise does not swell. What would exceed full
scale is limited at once.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.noise import square
from mixer.rows import Rows
from mixer.talk import Talk

TARGET = -26.0
"""dBov of active speech: the level that lines are built for (ITU-T P.56, G.115)."""

MOST, LEAST = 18.0, -12.0
"""dB of gain, at most and at least."""

_UP, _DOWN = 2.0, 6.0  # dB a second
_SLACK = 1.0  # dB off the target at which nothing is done
_SPEECH = np.float32(10 ** (12 / 10))  # over the noise: what is less may be the end of a word
_AVERAGE = np.float32(0.02)  # of a tick's level in the leg's: a second's worth of speech
_LIMIT = 30_000.0
_PER_TICK = 1 / 50


class Gain:
    """Columns by row: `on` bool; `gain` float32, as it is by now."""

    def __init__(self, rows: Rows, talk: Talk) -> None:
        self._talk = talk
        self.on: NDArray[np.bool_] = rows.column(np.bool_)
        self.gain: NDArray[np.float32] = rows.column(np.float32, 1)
        self._used: NDArray[np.float32] = rows.column(np.float32, 1)  # at the end of the last frame
        self._level: NDArray[np.float32] = rows.column(np.float32)  # of speech, a mean square; 0: unknown

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """As `Talk.forget`."""
        self.gain[rows] = self._used[rows] = 1
        self._level[rows] = 0

    def apply(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> None:
        """Bring, in place, the frames (n, samples) that `Talk` has heard to their level; those of rows that
        are not on stay as they are, bit for bit."""
        which = np.flatnonzero(self.on[rows] | (self._used[rows] != 1))
        if not which.size:
            return
        rows, talk, samples = rows[which], self._talk, speech.shape[1]
        on, level, noise = self.on[rows], talk.level[rows], talk.noise[rows]
        speaks = on & talk.talking[rows] & (level > noise * _SPEECH)
        known = self._level[rows]
        known = np.where(speaks, np.where(known > 0, known + (level - known) * _AVERAGE, level), known)
        self._level[rows] = known

        gain = self.gain[rows]
        wanted = np.clip(np.sqrt(square(TARGET) / np.maximum(known, 1)), _from_db(LEAST), _from_db(MOST))
        off = wanted / gain
        step = np.where(off > _from_db(_SLACK), _UP_STEP, np.where(off < _from_db(-_SLACK), _DOWN_STEP, 1))
        gain = np.where(on, np.where(speaks, gain * step, gain), 1).astype(np.float32)
        self.gain[rows] = gain

        frames = speech[which].astype(np.float32)
        peak = np.maximum(frames.max(axis=1), -frames.min(axis=1))
        used = np.minimum(gain, _LIMIT / np.maximum(peak, 1)).astype(np.float32)
        frames *= _ramps(self._used[rows], used, samples)
        speech[which] = np.clip(np.rint(frames), -32768, 32767)
        self._used[rows] = used


def _from_db(decibel: float) -> np.float32:
    return np.float32(10 ** (decibel / 20))


def _ramps(before: NDArray[np.float32], after: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
    """From one gain to the next within the first 2 ms: what is loud is limited from there on."""
    rise = np.minimum(np.arange(1, samples + 1, dtype=np.float32) * (10 / samples), 1).astype(np.float32)
    gains: NDArray[np.float32] = before[:, None] + (after - before)[:, None] * rise
    return gains


_UP_STEP, _DOWN_STEP = _from_db(_UP * _PER_TICK), _from_db(-_DOWN * _PER_TICK)
