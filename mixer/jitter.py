"""What each leg says, from packets to frames: the ring of payload and where in it a leg is read.

    plane:    slot                slot+1              slot+2            ...
    row r    |aaaaaaaa aaaaaaaa| |bbbbbbbb ........| |........ ........|
              ^ read[r]                     ^ frontier[r]

The ring is `SLOTS` planes of (capacity, FRAME) words. All rows are read at the same plane, so a tick's frames
are one contiguous block; what differs between legs is which RTP timestamp lies at the front of that plane
(`read`). A leg whose play-out moves is moved in the ring, which is rare; reading, which is not, stays plain.

Differences of timestamps and sequence numbers are taken in the width of the field: a wrap is nothing special.

A packet's *margin* is the time from its arrival to the beat that cuts the frame its first sample is in. A
negative one is too late. `slack` is the margin that a leg is placed with, at least.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixer.conceal import Concealment
from mixer.g711 import VALID
from mixer.mix import spread
from mixer.rows import FRAME, Rows

SLOTS = 16
SPAN = SLOTS * FRAME
"""Samples a ring holds, 320 ms: what is further ahead is no jitter but another timeline."""

LONGEST = 960
"""Samples in the longest packet taken, 120 ms (10 to 60 ms are promised)."""

PIECE = FRAME // 2
"""Packets of 10, 20, ... 60 ms are laid in 10 ms pieces, whole; odd ones sample by sample."""

WINDOW = 100
"""Ticks, 2 s, over which the least margin is taken before the play-out is moved."""

_FORMER = 50  # ticks for which the packets of a source that was replaced are taken for late ones
_STARVED = 25  # ticks without a packet in time after which any packet places the play-out anew
_DISTANT = 80_000  # samples, 10 s: a timestamp so far behind is a new timeline, whatever its sequence number
_DROPOUT = 3_000  # sequence numbers, RFC 3550 A.1: a greater step is a restart and not a loss
_MEMORY = 64  # sequence numbers remembered per leg, the bits of a word
_LATE, _IN_TIME, _TOO_OFTEN = 8, 1, 24  # three late ticks close together, or one in nine for long
_SPURT = 5  # frames of silence after which speech that comes begins anew
_NEVER = -(1 << 20)  # samples: a horizon so far back that it stops nothing
_UNCOUNTED = -4 * SPAN  # for a margin, less than any
_UNSEEN = np.iinfo(np.int32).max
_ALL_SEEN = np.iinfo(np.uint64).max
_WORDS = np.dtype((np.void, 2 * PIECE))
_BYTES = np.dtype((np.void, PIECE))
_FRAME_WORDS = np.dtype((np.void, 2 * FRAME))


class _Packets(NamedTuple):
    """A batch as columns, a row's packets side by side and in order of arrival."""

    row: NDArray[np.intp]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    law: NDArray[np.uint8]
    age: NDArray[np.int32]
    start: NDArray[np.intp]  # of the audio, in the batch's payload taken as one run of bytes
    length: NDArray[np.int32]

    def only(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "_Packets":
        return _Packets(*(column[which] for column in self))  # type: ignore[arg-type]


class Jitter:
    """The rings of all rows and the columns that place them."""

    def __init__(self, rows: Rows, concealment: Concealment, slack: int) -> None:
        self._rows = rows
        self._concealment = concealment
        self.ticks = 0
        self._slot = 0
        self._ring = np.zeros((SLOTS, rows.capacity, FRAME), np.uint16)
        rows.adopt(self._ring.transpose(1, 0, 2))
        self._flat = self._ring.reshape(-1)
        self._pieces = self._flat.view(_WORDS)
        self._planes = self._ring.view(_FRAME_WORDS)[:, :, 0]
        # By length of packet: where in a frame the packets of a stream may begin, every so many samples.
        # Those of 20 ms begin at its start only; of others the worst lies FRAME - grid into the frame.
        self._grid = np.gcd(np.arange(LONGEST + 1), FRAME).astype(np.int32)

        column = rows.column
        self.slack: NDArray[np.int32] = column(np.int32, slack)
        self._placed: NDArray[np.bool_] = column(np.bool_)
        self._ssrc: NDArray[np.uint32] = column(np.uint32)
        self._former: NDArray[np.uint32] = column(np.uint32)
        self._former_until: NDArray[np.int64] = column(np.int64)
        self._read: NDArray[np.uint32] = column(np.uint32)  # timestamp of the next sample to be read
        self._frontier: NDArray[np.uint32] = column(np.uint32)  # one past the newest timestamp received
        self._horizon: NDArray[np.uint32] = column(np.uint32)  # what has older timestamps stays unheard
        self._top: NDArray[np.uint16] = column(np.uint16)  # the newest sequence number
        self._seen: NDArray[np.uint64] = column(np.uint64)  # bit i: top - i has come
        self._least: NDArray[np.int32] = column(np.int32, _UNSEEN)  # margin, in this window
        self._lateness: NDArray[np.int32] = column(np.int32)
        self._best: NDArray[np.int32] = column(np.int32, _UNCOUNTED)  # greatest margin of those late
        self._fed: NDArray[np.int64] = column(np.int64)  # the last tick with a packet in time
        self.quiet: NDArray[np.int32] = column(np.int32)
        self.received: NDArray[np.int64] = column(np.int64)
        self.lost: NDArray[np.int64] = column(np.int64)
        self.late: NDArray[np.int64] = column(np.int64)
        self.duplicate: NDArray[np.int64] = column(np.int64)
        self.reset_count: NDArray[np.int64] = column(np.int64)
        self.delay: NDArray[np.int32] = column(np.int32)

    # --- packets in

    def push(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        law: NDArray[np.uint8],
        age: NDArray[np.int32],
        payload: NDArray[np.uint8],
        offset: NDArray[np.int32],
        length: NDArray[np.int32],
    ) -> None:
        """Take a batch of one packet or more; see `Mixer.push`."""
        order = np.argsort(rows.astype(np.uint16), kind="stable")
        starts = np.arange(0, payload.size, payload.shape[1]) + offset
        packets = _Packets(rows, sequence, timestamp, ssrc, law, age, starts, length).only(order)
        known = (packets.ssrc == self._ssrc[packets.row]) & self._placed[packets.row]
        known &= (packets.length - 1).view(np.uint32) < LONGEST
        if not known.all():
            packets = packets.only(self._admitted(packets))
        if packets.row.size:
            self._take(packets, payload)

    def _admitted(self, packets: _Packets) -> NDArray[np.bool_]:
        """Which packets count: an open row's, with audio, from the source that its last packet is from.

        A source that was replaced a moment ago is late, and not back again.
        """
        row = packets.row
        kept = self._rows.open[row] & (packets.length > 0) & (packets.length <= LONGEST)
        former = (packets.ssrc == self._former[row]) & (self.ticks < self._former_until[row])
        self.late += np.bincount(row[kept & former], minlength=self._rows.capacity)
        kept &= ~former
        index = np.flatnonzero(kept)
        if index.size:
            first, counts = _runs(row[index])
            last = index[first + counts - 1]
            last = last[(packets.ssrc[last] != self._ssrc[row[last]]) | ~self._placed[row[last]]]
            changed = row[last]
            replaced = changed[self._placed[changed]]
            self._concealment.end(replaced)
            self._former[replaced] = self._ssrc[replaced]
            self._former_until[replaced] = self.ticks + _FORMER
            self.reset_count[replaced] += 1
            self._placed[changed] = False
            self._ssrc[changed] = packets.ssrc[last]
            self._seen[changed] = 0
        kept &= packets.ssrc == self._ssrc[row]
        return kept

    def _take(self, packets: _Packets, payload: NDArray[np.uint8]) -> None:
        row = packets.row
        first, counts = _runs(row)
        legs = row[first]
        self.quiet[legs] = 0
        self.received[legs] += counts

        ahead = self._ahead(packets)
        newest = (ahead.astype(np.int64) << 20) | np.arange(row.size)
        newest = np.maximum.reduceat(newest, first) & 0xFFFFF
        length = packets.length[newest]
        if self._moved(packets.only(newest), legs, ahead[newest], length):
            ahead = self._ahead(packets)
        front = ahead[newest]
        repeated = self._follow_sequence(packets, first, counts, legs, front)
        self.late[legs] += np.add.reduceat((ahead < 0) & ~repeated, first)
        margin = packets.age + ahead // FRAME * FRAME
        self._fed[legs] = np.where(front >= 0, self.ticks, self._fed[legs])
        self.delay[legs] = np.where(front >= 0, packets.age[newest] + front, self.delay[legs])
        counted = (ahead < 0) & (ahead >= -SPAN) & ~repeated
        if self._fell_back(legs, np.maximum.reduceat(np.where(counted, margin, _UNCOUNTED), first)):
            ahead = self._ahead(packets)
            margin = packets.age + ahead // FRAME * FRAME
        margin = np.where(ahead < 0, self.slack[row], margin)
        self._least[legs] = np.minimum(self._least[legs], np.minimum.reduceat(margin, first))
        end = packets.timestamp[newest] + length.view(np.uint32)
        further = (end - self._frontier[legs]).view(np.int32) > 0
        self._frontier[legs] = np.where(further, end, self._frontier[legs])
        self._lay(packets, ahead, payload)

    def _ahead(self, packets: _Packets) -> NDArray[np.int32]:
        """Samples from the read position to each packet's first one; negative: that was read already."""
        return (packets.timestamp - self._read[packets.row]).view(np.int32)

    # --- placing

    def _moved(
        self, newest: _Packets, legs: NDArray[np.intp], front: NDArray[np.int32], length: NDArray[np.int32]
    ) -> bool:
        """Place legs that begin, and legs whose newest packet cannot belong to the timeline they were on.

        Of a burst it is the newest packet that counts: what a stall held up is old, and must not become
        delay. In silence moving is free, so that the first packet of a spurt is placed afresh too; a late
        one is not, as it may be the first of a burst.
        """
        surplus = newest.age + front // FRAME * FRAME - self.slack[legs]
        silent = (self._frontier[legs] - self._read[legs]).view(np.int32) <= -_SPURT * FRAME
        spurt = silent & (front >= 0) & ((surplus < 0) | (surplus >= FRAME))
        jumped = ~self._placed[legs] | (front + length > SPAN) | (front < -SPAN)
        if not (spurt | jumped).any():
            return False
        newer = (newest.sequence - self._top[legs]).view(np.int16) > 0
        starved = self.ticks - self._fed[legs] > _STARVED
        straggler = self._placed[legs] & (front < -SPAN) & (front >= -_DISTANT) & ~newer & ~starved
        jumped &= ~straggler
        self.reset_count[legs] += jumped & self._placed[legs]
        self._place(newest.only(jumped | spurt))
        jumpers = legs[jumped]
        self._horizon[jumpers] = self._read[jumpers] + np.uint32(_NEVER & 0xFFFFFFFF)
        self._frontier[jumpers] = self._read[jumpers]
        return True

    def _place(self, packets: _Packets) -> None:
        """Read these legs, one packet each, so that it plays at the first beat that leaves it the slack."""
        row = packets.row
        grid = self._grid[packets.length]
        short = self.slack[row] + FRAME - grid - packets.age
        wait = -(-short // grid) * grid
        self._read[row] = packets.timestamp - wait.view(np.uint32)
        self._ring[:, row] = 0
        self._concealment.cut(row)
        self._placed[row] = True
        self._least[row] = self.slack[row]  # a part of a window moves nothing
        self._lateness[row] = 0
        self._best[row] = _UNCOUNTED
        self._fed[row] = self.ticks

    def _fell_back(self, legs: NDArray[np.intp], latest: NDArray[np.int32]) -> bool:
        """Count ticks with late packets; where they persist, play later, so that the least late is in time.

        `latest`: the greatest margin of each leg's late packets, `_UNCOUNTED` where it has none.
        """
        late = latest > _UNCOUNTED
        score = np.maximum(self._lateness[legs] + np.where(late, _LATE, -_IN_TIME), 0)
        self._lateness[legs] = score
        self._best[legs] = np.where(score == 0, _UNCOUNTED, np.maximum(self._best[legs], latest))
        often = score >= _TOO_OFTEN
        if not often.any():
            return False
        for row in legs[often].tolist():
            self._shift(row, -int(-(-(self.slack[row] - self._best[row]) // FRAME)))
        return True

    def _shift(self, row: int, frames: int) -> None:
        """Play a leg `frames` earlier (a part is dropped) or, if negative, later (a gap is put in)."""
        planes = (self._slot + np.arange(SLOTS)) % SLOTS
        old = self._ring[planes, row]
        new = np.zeros_like(old)
        if 0 < frames < SLOTS:
            new[:-frames] = old[frames:]
            self._concealment.cut(row)
        elif -SLOTS < frames < 0:
            new[-frames:] = old[:frames]
        self._ring[planes, row] = new
        self._read[row] = (int(self._read[row]) + frames * FRAME) & 0xFFFFFFFF
        self._least[row] = self.slack[row]
        self._lateness[row] = 0
        self._best[row] = _UNCOUNTED

    def _settle(self) -> None:
        """Once a window: nobody waits a frame longer than he need; who runs out of slack waits one more.

        A clock that drifts needs nothing else.
        """
        spare = self._least - self.slack
        in_use = self._rows.open & self._placed & (self._least != _UNSEEN)
        for row in np.flatnonzero(in_use & (spare > FRAME)).tolist():
            self._shift(row, int(spare[row]) // FRAME)
        for row in np.flatnonzero(in_use & (self._least < self.slack // 6)).tolist():
            self._shift(row, -1)
        self._least[:] = _UNSEEN
        passed = (self._read - self._horizon).view(np.int32) > -_NEVER
        self._horizon[passed] = self._read[passed] + np.uint32(_NEVER & 0xFFFFFFFF)

    # --- sequence numbers

    def _follow_sequence(
        self,
        packets: _Packets,
        first: NDArray[np.intp],
        counts: NDArray[np.intp],
        legs: NDArray[np.intp],
        front: NDArray[np.int32],
    ) -> NDArray[np.bool_]:
        """Count the lost (as RFC 3550 A.3: late is not lost) and the doubled; tell which came before."""
        step = (packets.sequence - self._top[packets.row]).view(np.int16)
        furthest = np.maximum.reduceat(step, first)
        restarted = (furthest > _DROPOUT) | (furthest <= -_MEMORY) & (front >= 0) | (self._seen[legs] == 0)
        if restarted.any():  # nothing was missed before the lowest number of this batch
            lowest = np.minimum.reduceat(step, first)[restarted]
            self._top[legs[restarted]] += (lowest - np.int16(1)).view(np.uint16)
            self._seen[legs[restarted]] = _ALL_SEEN
            step = (packets.sequence - self._top[packets.row]).view(np.int16)
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

    # --- laying down and reading

    def _lay(self, packets: _Packets, ahead: NDArray[np.int32], payload: NDArray[np.uint8]) -> None:
        """Put the audio into the ring; what lies behind the read position or the horizon is left out."""
        behind = (packets.timestamp - self._horizon[packets.row]).view(np.int32)
        allowed = np.minimum(ahead, behind)
        tag = (packets.law.astype(np.uint16) << 8 | VALID)[:, None]
        even = (ahead % PIECE | packets.length % PIECE) == 0
        if not even.all():
            odd = ~even
            self._lay_samples(packets.only(odd), ahead[odd], allowed[odd], tag[odd], payload)
            packets, ahead, allowed, tag = packets.only(even), ahead[even], allowed[even], tag[even]
        owner, shift = spread(packets.length // PIECE)
        shift *= PIECE
        at = ahead[owner] + shift
        kept = (allowed[owner] + shift >= 0) & (at < SPAN)
        if not kept.all():
            owner, shift, at = owner[kept], shift[kept], at[kept]
        piece = at // PIECE + 2 * self._slot
        slot = (piece >> 1) % SLOTS
        runs = np.ndarray((max(payload.size - PIECE + 1, 0),), _BYTES, payload, strides=(1,))
        audio = runs[packets.start[owner] + shift].view(np.uint8).reshape(-1, PIECE)
        words = np.bitwise_or(audio, tag[owner])
        place = (slot * self._rows.capacity + packets.row[owner]) * 2 + (piece & 1)
        self._pieces[place] = words.view(_WORDS)[:, 0]

    def _lay_samples(
        self,
        packets: _Packets,
        ahead: NDArray[np.int32],
        allowed: NDArray[np.int32],
        tag: NDArray[np.uint16],
        payload: NDArray[np.uint8],
    ) -> None:
        """As `_lay`, for packets off the 10 ms grid: a sample at a time, some 40 times the work."""
        owner, shift = spread(packets.length)
        at = ahead[owner] + shift
        kept = (allowed[owner] + shift >= 0) & (at < SPAN)
        owner, shift, at = owner[kept], shift[kept], at[kept]
        slot = (at // FRAME + self._slot) % SLOTS
        place = (slot * self._rows.capacity + packets.row[owner]) * FRAME + at % FRAME
        self._flat[place] = payload.reshape(-1)[packets.start[owner] + shift] | tag[owner, 0]

    def read(self, order: NDArray[np.intp], out: NDArray[np.uint16]) -> None:
        """This tick's frames of these rows, as words, shape (n, FRAME)."""
        out.view(_FRAME_WORDS)[:, 0] = self._planes[self._slot][order]

    def advance(self) -> None:
        """The tick is over: what was read is wiped, so that it never comes twice, and all go on."""
        self._ring[self._slot] = 0
        self._slot = (self._slot + 1) % SLOTS
        self._read += np.uint32(FRAME)
        self.quiet += 1
        self.ticks += 1
        if self.ticks % WINDOW == 0:
            self._settle()

    def skip(self, beats: int) -> None:
        """Beats that were missed: what would have been read in them is gone, and its edges are faded."""
        for slot in range(min(beats, SLOTS)):
            self._ring[(self._slot + slot) % SLOTS] = 0
        self._slot = (self._slot + beats) % SLOTS
        self._read += np.uint32(beats * FRAME & 0xFFFFFFFF)
        self.quiet += beats
        self.ticks += beats
        self._concealment.cut(np.arange(self._rows.capacity))

    def silence(self, row: int) -> None:
        """What has been received so far is never heard: not what is buffered, and not what comes late."""
        self._ring[:, row] = 0
        self._concealment.forget(row)
        self._horizon[row] = self._frontier[row]


def _runs(values: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each run of equal values begins, and its length; of at least one value."""
    begins = np.empty(values.size, np.bool_)
    begins[0] = True
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    first = begins.nonzero()[0]
    counts = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=counts[:-1])
    counts[-1] = values.size - first[-1]
    return first, counts
