"""How long a leg has to wait for its packets: a quantile of their margins, for all legs at once.

A packet's *margin* is the time from its arrival to the beat that cuts the frame its first sample is in, were
the leg where it ought to be. A negative one is too late. The least margin of each second is kept for `BLOCKS`
seconds; the one that `RANK` of them undercut is a quantile of the packets' own (of 50 packets a second about
one in a hundred is later), and one odd second, or a storm that is over, does not count. A clock that drifts
needs nothing else.

Of a leg that has just begun too little is known for that, and to find out by packets that are late is heard.
After a dozen packets it is taken that what they were later than the quickest is exponential, whose rare ones
follow from the mean; yet nobody waits much longer than for what was seen.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import FRAME, Rows

BLOCK = 50
"""Ticks whose least margin is kept as one."""

BLOCKS = 8
RANK = 3

UNSEEN = 1 << 30
"""For a margin: more than any."""

_DOZEN = 12  # packets by which a leg is judged first
_YOUNG = 125  # packets up to which the mean says more than the quantile
_BURST = 4  # packets in a tick, of which more are one that was held up
_RARE = 4.6  # times the mean: one in a hundred is later
_UNSEEN_YET = 1.6  # times the latest so far
_APART = 2 * FRAME  # samples that are worth a move back where packets come at different times

_LATE, _IN_TIME, _TOO_OFTEN = 8, 1, 24  # three late ticks close together, or one in nine for long
_UNCOUNTED = -UNSEEN
_SEEN = UNSEEN >> 1  # a margin below this is one, moved or not

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
        self._least: NDArray[np.int32] = column(np.int32, UNSEEN)  # in this block
        self._most: NDArray[np.int32] = column(np.int32, _UNCOUNTED)
        self._former: NDArray[np.int32] = column(np.int32, _UNCOUNTED)  # the most in the block before
        self._blocks: NDArray[np.int32] = column(np.int32, UNSEEN, width=BLOCKS)
        self._lateness: NDArray[np.int32] = column(np.int32)  # a score of late ticks
        # Packets of a leg that begins, and the sum of their margins; -1: the one it was placed by is next.
        self._count: NDArray[np.int32] = column(np.int32)
        self._sum: NDArray[np.int32] = column(np.int32)
        self._best: NDArray[np.int32] = column(
            np.int32, UNSEEN
        )  # the least of its ticks, of each the greatest

    def begin(self, rows: NDArray[np.intp]) -> None:
        """These legs are placed anew: nothing is known of them."""
        self._least[rows] = UNSEEN
        self._blocks[rows] = UNSEEN
        self._most[rows] = self._former[rows] = _UNCOUNTED
        self._best[rows] = UNSEEN
        self._lateness[rows] = 0
        self._count[rows], self._sum[rows] = -1, 0

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
        self._sum[rows] -= samples * self._count[rows]
        self._lateness[rows] = 0
        self._best[rows] = UNSEEN

    def note(self, rows: NDArray[np.intp], least: NDArray[np.int32], most: NDArray[np.int32]) -> None:
        """The margins of the packets that these rows, each once, got in this tick."""
        self._least[rows] = np.minimum(self._least[rows], least)
        self._most[rows] = np.maximum(self._most[rows], most)

    def begun(
        self,
        rows: NDArray[np.intp],
        first: NDArray[np.intp],
        margin: NDArray[np.int32],
        counted: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Which of these rows, each once, have just got their first dozen packets.

        `margin`, `counted`: of each packet of this tick, a row's side by side from `first` on. What was held
        up, and comes at once or with the packet that a row was placed by, says nothing.
        """
        before = self._count[rows]
        young = before < _YOUNG
        if not np.bitwise_or.reduce(young):
            return young
        count = np.add.reduceat(counted, first, dtype=np.int32)
        new = young & (before >= 0) & (count <= _BURST)
        count *= new
        self._sum[rows] += np.add.reduceat(margin * counted, first) * new
        self._count[rows] = count = np.maximum(before, 0) + count
        dozen: NDArray[np.bool_] = (before < _DOZEN) & (count >= _DOZEN)
        return dozen

    def _guess(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """The margin that one in a hundred packets of these rows undercuts, by their mean."""
        quickest = self.quickest(rows)
        least = np.minimum(self._least[rows], self._blocks[rows].min(axis=1))
        # A way may have become slower since: then even its quickest packets are later than the mean.
        later = np.maximum(quickest - self._sum[rows] / self._count[rows], 0)
        guess = np.minimum(_RARE * later, _UNSEEN_YET * (quickest - least)).astype(np.int32)
        margin: NDArray[np.int32] = np.where(quickest - least > FRAME, quickest - guess, least)
        return margin

    def hurried(
        self, rows: NDArray[np.intp], latest: NDArray[np.int32], none: int, begun: NDArray[np.bool_]
    ) -> _Moves | None:
        """Which of these rows, each once, must wait longer at once: again and again packets are too late, or
        the first dozen (`begun`) says that some will be.

        `latest`: the greatest margin of each row's late packets in this tick, `none` where it had none.
        """
        late = latest > none
        score = np.maximum(self._lateness[rows] + np.where(late, _LATE, -_IN_TIME), 0)
        self._lateness[rows] = score
        latest = np.where(late, latest, UNSEEN)
        self._best[rows] = np.where(score == 0, UNSEEN, np.minimum(self._best[rows], latest))
        often = score >= _TOO_OFTEN
        which = often | begun
        if not np.bitwise_or.reduce(which):
            return None
        rows, often, begun = rows[which], often[which], begun[which]
        margin = np.where(often, self._best[rows], UNSEEN)
        margin[begun] = np.minimum(margin[begun], self._guess(rows[begun]))
        frames = (margin - self.wanted(rows)) // FRAME
        return self._bounded(rows, np.where(self._pressed(rows, margin), frames, 0))

    def _pressed(self, rows: NDArray[np.intp], margin: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of these rows must wait longer, if this is their margin: a little less than they were placed
        with is not worth a move, which is heard."""
        pressed: NDArray[np.bool_] = margin < self.floor[rows] // 3 + self.extra[rows]
        return pressed

    def settle(self, block: int, placed: NDArray[np.bool_]) -> _Moves:
        """Once a block, its number given: nobody waits a frame longer than he need, nor too short.

        Where packets come at different times, a few seconds' worth of them do not yet make anybody wait less,
        nor does a single frame: each move back and forth would be heard.
        """
        self._blocks[:, block % BLOCKS] = self._least
        ordered = np.sort(self._blocks, axis=1)
        seen = (ordered < _SEEN).sum(axis=1)
        rows = np.flatnonzero(self._rows.open & placed & (seen > 0))
        margin = ordered[rows, seen[rows] * RANK // BLOCKS]
        young = (self._count[rows] >= _DOZEN) & (self._count[rows] < _YOUNG) & (self._least[rows] < _SEEN)
        margin[young] = self._guess(rows[young])
        spare = margin - self.wanted(rows)
        alike = self.quickest(rows) - margin < FRAME
        much = alike & (spare > FRAME) | (seen[rows] == BLOCKS) & (spare > _APART)
        frames = np.where(much, spare // FRAME, 0)
        frames = np.where(self._pressed(rows, margin), spare // FRAME, frames)
        moves = self._bounded(rows[frames != 0], frames[frames != 0].astype(np.int32))
        self._former[:] = self._most
        self._most[:] = _UNCOUNTED
        self._least[:] = UNSEEN
        return moves

    def _bounded(self, rows: NDArray[np.intp], frames: NDArray[np.int32]) -> _Moves:
        room = np.maximum(self.ceiling[rows] - self.quickest(rows), 0) // FRAME
        frames = np.maximum(frames, -room)
        self.moved(rows, frames)
        return rows, frames
