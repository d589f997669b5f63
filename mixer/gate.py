"""The gate: what a leg says while nobody speaks there becomes exactly zero.

Microphones are never silent, and a listener who contributes a whisper of noise hears a sum of his own, which
must be encoded for him alone. Behind a gate those who are silent contribute nothing and share one encoder.

    speech   noise noise  word  word  noise ... noise noise
    gate     0     0     /1    1     1     ... 1    \\ 0
                         ^ RISE      ^ HANG ticks    ^ FALL

It opens in the very frame in which a part of 5 ms is louder than the noise, and rises in less time than a
consonant takes. To such parts it listens by differences of samples 1/8000 s apart: the noise of rooms and
lines is mostly deep, and seems to come and go in them. What hums opens it as a whole frame. The same gate is
shut while it is `hushed`, as when a leg's keys sound.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.noise import Noise, square
from mixer.rows import Rows
from mixer.talk import Talk

HANG = 15
"""Ticks, 300 ms, that the gate stays open behind the last sound."""

RISE_MS, FALL_MS = 2, 5
PARTS = 4

_STEPS_PER_TICK = 160
_OVER = np.float32(10 ** (7.5 / 10))  # how much louder than the noise something must be
_QUIETEST, _LOUDEST = square(-64.0), square(-48.0)
"""What differs less never opens a gate, what differs more always does."""
_HUM = np.float32(10 ** (9 / 10))  # how much louder a whole frame must be, as it is
_DEEPEST = square(-66.0)


class Gate:
    """Columns by row: `on` bool, whether the row has a gate; `hushed` bool, whether it is shut for now."""

    def __init__(self, rows: Rows, talk: Talk) -> None:
        self._talk = talk
        self._noise = Noise(rows, usual=-58.0, least=-80.0, most=-48.0)
        self.on: NDArray[np.bool_] = rows.column(np.bool_)
        self.hushed: NDArray[np.bool_] = rows.column(np.bool_)
        self._shut: NDArray[np.bool_] = rows.column(np.bool_)
        self._hang: NDArray[np.int16] = rows.column(np.int16)
        self._ramps: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """What these rows said was private: nothing of it may tell in what becomes of the next they say."""
        self._noise.forget(rows)
        self._hang[rows] = 0
        self._shut[rows] = self.on[rows]

    def hear(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> None:
        """The frames (n, samples) of these rows, each once, in this tick, after `Talk` has heard them."""
        which = self.on[rows].nonzero()[0]
        if not which.size:
            return
        if which.size < rows.size:
            rows, speech = rows[which], speech[which]
        samples = speech.shape[1]
        step = samples // _STEPS_PER_TICK
        frames = speech.astype(np.float32)
        differences = np.empty((rows.size, PARTS, samples // PARTS), np.float32)
        flat = differences.reshape(rows.size, samples)
        flat[:, :step] = 0
        np.subtract(frames[:, step:], frames[:, :-step], out=flat[:, step:])
        energies = np.einsum("rps,rps->pr", differences, differences) * np.float32(PARTS / samples)
        bar = np.clip(self._noise.floor[rows] * _OVER, _QUIETEST, _LOUDEST)
        sounds = energies.max(axis=0) > bar
        sounds |= self._talk.level[rows] > np.maximum(self._talk.noise[rows], _DEEPEST) * _HUM
        self._hang[rows] = np.where(sounds, HANG, np.maximum(self._hang[rows] - 1, 0))
        self._noise.note(rows, energies.sum(axis=0) * np.float32(1 / PARTS))

    def apply(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> None:
        """Shut out, in place, what is not to be heard of the frames (n, samples) of these rows; all others
        stay as they are, bit for bit."""
        on, hushed, was = self.on[rows], self.hushed[rows], self._shut[rows]
        if not (on | hushed | was).any():
            return
        shut = on & (self._hang[rows] == 0) | hushed
        self._shut[rows] = shut
        speech[was & shut] = 0
        turning = np.flatnonzero(was != shut)
        if turning.size:
            rise, fall = self._ramp(speech.shape[1])
            frames = speech[turning]
            speech[turning] = np.rint(frames * np.where(shut[turning, None], fall, rise))

    def advance(self) -> None:
        """The tick is over."""
        self._noise.advance()

    def _ramp(self, samples: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The gains of a frame in which a gate opens, and of one in which it shuts."""
        if samples not in self._ramps:
            at = np.arange(1, samples + 1, dtype=np.float32) * (20 / samples)  # ms
            rise = np.minimum(at / RISE_MS, 1).astype(np.float32)
            fall = np.maximum(1 - at / FALL_MS, 0).astype(np.float32)
            self._ramps[samples] = rise, fall
        return self._ramps[samples]
