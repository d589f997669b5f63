"""The gate: what a leg says while nobody speaks there becomes exactly zero.

Microphones are never silent, and a listener who contributes a whisper of noise hears a sum of his own, which
must be encoded for him alone. Behind a gate those who are silent contribute nothing and share one encoder.

    speech   noise noise  word word  noise ... noise noise
    gate     0     0     /1    1     1     ... 1    \\ 0
                         ^ RISE      ^ HANG ticks    ^ FALL

It opens in the very frame in which something is louder than the noise, and rises in less time than a
consonant takes. The same gate is shut by `hush` while a leg's keys sound.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows
from mixer.talk import Talk, square

HANG = 15
"""Ticks, 300 ms, that the gate stays open behind the last sound."""

RISE_MS, FALL_MS = 2, 5

_OVER = np.float32(10 ** (6 / 10))  # how much louder than the noise something must be
_QUIETEST, _LOUDEST = square(-58.0), square(-45.0)
"""What is less never opens a gate, what is more always does."""


class Gate:
    """Columns by row: `on` bool, whether the row has a gate; `hushed` bool, whether it is shut for now."""

    def __init__(self, rows: Rows, talk: Talk) -> None:
        self._talk = talk
        self.on: NDArray[np.bool_] = rows.column(np.bool_)
        self.hushed: NDArray[np.bool_] = rows.column(np.bool_)
        self._shut: NDArray[np.bool_] = rows.column(np.bool_)
        self._hang: NDArray[np.int16] = rows.column(np.int16)
        self._ramps: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """As `Talk.forget`."""
        self._hang[rows] = 0
        self._shut[rows] = self.on[rows]

    def apply(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> None:
        """Shut out, in place, what is not to be heard of the frames (n, samples) that `Talk` has heard; all
        others stay as they are, bit for bit."""
        on, hushed, was = self.on[rows], self.hushed[rows], self._shut[rows]
        if not (on | hushed | was).any():
            return
        bar = np.clip(self._talk.noise[rows] * _OVER, _QUIETEST, _LOUDEST)
        sounds = self._talk.loudest[rows] > bar
        hang = np.where(sounds, HANG, np.maximum(self._hang[rows] - 1, 0))
        shut = on & (hang == 0) | hushed
        self._hang[rows] = hang
        self._shut[rows] = shut
        speech[was & shut] = 0
        turning = np.flatnonzero(was != shut)
        if turning.size:
            rise, fall = self._ramp(speech.shape[1])
            frames = speech[turning]
            speech[turning] = np.rint(frames * np.where(shut[turning, None], fall, rise))

    def _ramp(self, samples: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The gains of a frame in which a gate opens, and of one in which it shuts."""
        if samples not in self._ramps:
            at = np.arange(1, samples + 1, dtype=np.float32) * (20 / samples)  # ms
            rise = np.minimum(at / RISE_MS, 1).astype(np.float32)
            fall = np.maximum(1 - at / FALL_MS, 0).astype(np.float32)
            self._ramps[samples] = rise, fall
        return self._ramps[samples]
