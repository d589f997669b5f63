"""The edges of what is missing: speech never stops or starts with a click.

Where samples are missing the last one heard dies away over `FADE` samples, and what comes after rises over as
many. Only rows that have an edge in this tick are touched; whole frames between whole frames stay bit for bit
what came.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.g711 import VALID
from mixer.rows import FRAME, Rows

FADE = 32
"""Samples of a fade, 4 ms. A power of two, so that a sample at full gain is exactly itself."""

_SHIFT = FADE.bit_length() - 1
_FOUR_VALID = np.uint64(VALID * 0x0001_0001_0001_0001)


class Edges:
    """Each row's place in a fade, carried from frame to frame."""

    def __init__(self, rows: Rows) -> None:
        self._rise: NDArray[np.int32] = rows.column(np.int32)  # samples since speech began, at most FADE
        self._fall: NDArray[np.int32] = rows.column(
            np.int32, FADE
        )  # samples since the last one began to die away
        self._last: NDArray[np.int32] = rows.column(np.int32)  # the last sample spoken
        self.gaps: NDArray[np.int64] = rows.column(np.int64)  # times that speech broke off
        self._at = np.arange(FRAME, dtype=np.int32)

    def forget(self, row: int) -> None:
        """Nothing of what was spoken may be heard from now on, not even dying away."""
        self._rise[row] = 0
        self._fall[row] = FADE
        self._last[row] = 0

    def cut(self, rows: slice | NDArray[np.intp] | int) -> None:
        """The next frame does not continue the last one: cross from one to the other."""
        self._rise[rows] = 0
        self._fall[rows] = 0

    def smooth(self, order: NDArray[np.intp], words: NDArray[np.uint16], speech: NDArray[np.int16]) -> None:
        """Fade, in place, the edges in these rows' frames; `words` (n, FRAME) tell which samples came."""
        fours = words.view(np.uint64)
        whole = np.bitwise_and.reduce(fours, axis=1) & _FOUR_VALID == _FOUR_VALID
        empty = np.bitwise_or.reduce(fours, axis=1) & _FOUR_VALID == 0
        rise = self._rise[order]
        steady = whole & (rise == FADE) | empty & (rise == 0)
        steady &= self._fall[order] == FADE
        if not steady.all():
            edged = np.flatnonzero(~steady)
            speech[edged] = self._faded(order[edged], words[edged] & VALID != 0, speech[edged])
        self._last[order] = speech[:, -1]

    def _faded(
        self, rows: NDArray[np.intp], came: NDArray[np.bool_], speech: NDArray[np.int16]
    ) -> NDArray[np.int32]:
        at = self._at
        rise = self._rise[rows, None]
        missing_at = np.maximum.accumulate(np.where(came, -1 - rise, at), axis=1)
        gain = np.where(came, np.minimum(at - missing_at, FADE), 0)
        risen = speech * gain >> _SHIFT

        before = np.concatenate([rise > 0, came[:, :-1]], axis=1)
        breaks = before & ~came
        broke_at = np.maximum.accumulate(np.where(breaks, at, -self._fall[rows, None]), axis=1)
        rest = np.maximum(FADE - 1 - (at - broke_at), 0)
        inside = np.take_along_axis(risen, np.maximum(broke_at - 1, 0), axis=1)
        dying = np.where(broke_at > 0, inside, self._last[rows, None])

        self._rise[rows] = gain[:, -1]
        self._fall[rows] = np.minimum(FRAME - broke_at[:, -1], FADE)
        self.gaps[rows] += breaks.any(axis=1)
        return np.clip(risen + (dying * rest >> _SHIFT), -32768, 32767)
