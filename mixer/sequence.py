"""Sequence numbers: what was lost, what came twice (RFC 3550, A.1 and A.3)."""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows

_DROPOUT = 3_000  # numbers, RFC 3550 A.1: a greater step is a restart and not a loss
_MEMORY = 64  # numbers remembered per leg, the bits of a word
_ALL_SEEN = np.iinfo(np.uint64).max


class Sequence:
    """The newest number of each row, and which of those before it have come."""

    def __init__(self, rows: Rows) -> None:
        self._top: NDArray[np.uint16] = rows.column(np.uint16)
        self._seen: NDArray[np.uint64] = rows.column(np.uint64)  # bit i: top - i has come; 0: nothing yet
        self.lost: NDArray[np.int64] = rows.column(np.int64)
        self.duplicate: NDArray[np.int64] = rows.column(np.int64)

    def restart(self, rows: NDArray[np.intp]) -> None:
        """A new source: its first numbers follow nothing."""
        self._seen[rows] = 0

    def newer(self, rows: NDArray[np.intp], sequence: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Whether these come after all that came."""
        newer: NDArray[np.bool_] = (sequence - self._top[rows]).view(np.int16) > 0
        return newer

    def recent(self, rows: NDArray[np.intp], sequence: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Whether these are among the last that were counted."""
        recent: NDArray[np.bool_] = (self._top[rows] - sequence < _MEMORY) & (self._seen[rows] != 0)
        return recent

    def follow(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        first: NDArray[np.intp],
        counts: NDArray[np.intp],
        in_time: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Count the lost (late is not lost) and the doubled; tell which came before.

        `rows`, `sequence`: of each packet, a row's side by side; `first`, `counts`: where each row's begin,
        and how many they are; `in_time`: of each row, whether its newest packet is to be played yet.
        """
        legs = rows[first]
        step = (sequence - self._top[rows]).view(np.int16)
        furthest = np.maximum.reduceat(step, first)
        restarted = (furthest > _DROPOUT) | (furthest <= -_MEMORY) & in_time | (self._seen[legs] == 0)
        if restarted.any():  # nothing was missed before the lowest number of this batch
            lowest = np.minimum.reduceat(step, first)[restarted]
            self._top[legs[restarted]] += (lowest - np.int16(1)).view(np.uint16)
            self._seen[legs[restarted]] = _ALL_SEEN
            step = (sequence - self._top[rows]).view(np.int16)
            furthest = np.maximum.reduceat(step, first)
        onward = np.maximum(furthest, 0)
        back = np.minimum(onward.repeat(counts).astype(np.int32) - step, _MEMORY)
        bit = np.left_shift(np.uint64(1), back.astype(np.uint64))
        seen = np.left_shift(self._seen[legs], onward.astype(np.uint64))
        arrived = np.bitwise_or.reduceat(bit, first)
        fresh = np.bitwise_count(arrived & ~seen)
        self._seen[legs] = seen | arrived
        self._top[legs] += onward.view(np.uint16)
        self.lost[legs] += onward - fresh.astype(np.int64)
        self.duplicate[legs] += counts - fresh
        repeated: NDArray[np.bool_] = seen.repeat(counts) & bit != 0
        return repeated
