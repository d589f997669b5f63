"""How long a leg has to wait for its packets: a quantile of their margins, for all legs at once.

A packet's *margin* is the time from its arrival to the beat that cuts the frame its first sample is in, were
the leg where it ought to be. A negative one is too late. The least margin of each second is kept for `BLOCKS`
seconds; the one that `RANK` of them undercut is a quantile of the packets' own (of 50 packets a second about
one in a hundred is later), and one odd second, or a storm that is over, does not count. A clock that drifts
needs nothing else.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import FRAME, Rows

BLOCK = 50
"""Ticks whose least margin is kept as one."""

BLOCKS = 8
RANK = 3

_LATE, _IN_TIME, _TOO_OFTEN = 8, 1, 24  # three late ticks close together, or one in nine for long
_UNSEEN = 1 << 30  # for a margin, more than any
_UNCOUNTED = -_UNSEEN
_SEEN = _UNSEEN >> 1  # a margin below this is one, moved or not

_Moves = tuple[NDArray[np.intp], NDArray[np.int32]]
"""Rows, and by how many frames each is to be played earlier; negative: later."""


class Target:
    """The margins of all rows, and what follows from them.

    `floor`: samples, the margin that a leg is placed with and kept at, at least; `extra`: samples that it
    waits beyond that for a packet that repeats the one before (see `mixer.redundancy`). `ceiling`: samples,
    the margin of a leg's quickest packets that is never exceeded, however late others are.
    """

    def __init__(self, rows: Rows, floor: int, ceiling: int) -> None:
        self._rows = rows
        column = rows.column
        self.floor: NDArray[np.int32] = column(np.int32, floor)
        self.extra: NDArray[np.int32] = column(np.int32)
        self.ceiling: NDArray[np.int32] = column(np.int32, ceiling)
        self._least: NDArray[np.int32] = column(np.int32, _UNSEEN)  # in this block
        self._most: NDArray[np.int32] = column(np.int32, _UNCOUNTED)
        self._former: NDArray[np.int32] = column(np.int32, _UNCOUNTED)  # the most in the block before
        self._blocks: NDArray[np.int32] = column(np.int32, _UNSEEN, width=BLOCKS)
        self._lateness: NDArray[np.int32] = column(np.int32)  # a score of late ticks
        self._best: NDArray[np.int32] = column(
            np.int32, _UNSEEN
        )  # the least of its ticks, of each the greatest

    def begin(self, rows: NDArray[np.intp]) -> None:
        """These legs are placed anew: nothing is known of them."""
        self._least[rows] = _UNSEEN
        self._blocks[rows] = _UNSEEN
        self._most[rows] = self._former[rows] = _UNCOUNTED
        self._best[rows] = _UNSEEN
        self._lateness[rows] = 0

    def wanted(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """The margin that these rows are placed with."""
        wanted: NDArray[np.int32] = self.floor[rows] + self.extra[rows]
        return wanted

    def known(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Of which rows at least a second is known."""
        known: NDArray[np.bool_] = np.any(self._blocks[rows] < _SEEN, axis=1)
        return known

    def quickest(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """The greatest margin of the last seconds."""
        return np.maximum(self._most[rows], self._former[rows])

    def moved(self, rows: NDArray[np.intp], frames: NDArray[np.int32]) -> None:
        """These rows are to be played so much earlier: all margins shrink."""
        samples = frames * FRAME
        self._least[rows] -= samples
        self._most[rows] -= samples
        self._former[rows] -= samples
        self._blocks[rows] -= samples[:, None]
        self._lateness[rows] = 0
        self._best[rows] = _UNSEEN

    def note(self, rows: NDArray[np.intp], least: NDArray[np.int32], most: NDArray[np.int32]) -> None:
        """The margins of the packets that these rows, each once, got in this tick."""
        self._least[rows] = np.minimum(self._least[rows], least)
        self._most[rows] = np.maximum(self._most[rows], most)

    def hurried(self, rows: NDArray[np.intp], latest: NDArray[np.int32], none: int) -> _Moves | None:
        """Which of these rows, each once, must wait longer at once, as again and again packets are too late.

        `latest`: the greatest margin of each row's late packets in this tick, `none` where it had none.
        """
        late = latest > none
        score = np.maximum(self._lateness[rows] + np.where(late, _LATE, -_IN_TIME), 0)
        self._lateness[rows] = score
        latest = np.where(late, latest, _UNSEEN)
        self._best[rows] = np.where(score == 0, _UNSEEN, np.minimum(self._best[rows], latest))
        often = score >= _TOO_OFTEN
        if not often.any():
            return None
        rows = rows[often]
        return self._bounded(rows, (self._best[rows] - self.wanted(rows)) // FRAME)

    def settle(self, block: int, placed: NDArray[np.bool_]) -> _Moves:
        """Once a block, its number given: nobody waits a frame longer than he need, nor too short.

        Where packets come at different times, a few seconds' worth of them do not yet make anybody wait less:
        each move back and forth would be heard.
        """
        self._blocks[:, block % BLOCKS] = self._least
        ordered = np.sort(self._blocks, axis=1)
        seen = (ordered < _SEEN).sum(axis=1)
        rows = np.flatnonzero(self._rows.open & placed & (seen > 0))
        margin = ordered[rows, seen[rows] * RANK // BLOCKS]
        spare = margin - self.wanted(rows)
        sure = (seen[rows] == BLOCKS) | (self.quickest(rows) - margin < FRAME)
        frames = np.where((spare > FRAME) & sure, spare // FRAME, 0)
        frames = np.where(margin < self.floor[rows] // 3 + self.extra[rows], spare // FRAME, frames)
        moves = self._bounded(rows[frames != 0], frames[frames != 0].astype(np.int32))
        self._former[:] = self._most
        self._most[:] = _UNCOUNTED
        self._least[:] = _UNSEEN
        return moves

    def _bounded(self, rows: NDArray[np.intp], frames: NDArray[np.int32]) -> _Moves:
        room = np.maximum(self.ceiling[rows] - self.quickest(rows), 0) // FRAME
        frames = np.maximum(frames, -room)
        self.moved(rows, frames)
        return rows, frames
