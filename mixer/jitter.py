"""What each leg says, from packets to frames: the ring of payload and where in it a leg is read.

    plane:    slot                slot+1              slot+2            ...
    row r    |aaaaaaaa aaaaaaaa| |bbbbbbbb ........| |........ ........|
              ^ read[r]                     ^ frontier[r]

The ring is `SLOTS` planes of (capacity, FRAME) words. All rows are read at the same plane, so a tick's frames
are one contiguous block; what differs between legs is which RTP timestamp lies at the front of that plane
(`read`). A leg whose play-out moves is moved in the ring, which is rare; reading, which is not, stays plain.

Differences of timestamps and sequence numbers are taken in the width of the field: a wrap is nothing special.

Where a leg *ought* to be read follows from the margins of its packets alone (see `mixer.target`). Where it
is read may be some frames off, which it *owes*: it goes there in silence, or where two periods look the same.
That is the only thing that depends on what was said, and whatever silences a leg pays its debt at once, so
that no later timing tells of it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixer import g711, join
from mixer.conceal import Concealment
from mixer.g711 import VALID
from mixer.mix import spread
from mixer.rows import FRAME, Rows
from mixer.sequence import Sequence
from mixer.target import BLOCK, Target

SLOTS = 16
SPAN = SLOTS * FRAME
"""Samples a ring holds, 320 ms: what is further ahead is no jitter but another timeline."""

LONGEST = 960
"""Samples in the longest packet taken, 120 ms (10 to 60 ms are promised)."""

PIECE = FRAME // 2
"""Packets of 10, 20, ... 60 ms are laid in 10 ms pieces, whole; odd ones sample by sample."""

CEILING = 1600
"""Samples, 200 ms: what a leg's quickest packets wait at most, if nothing else is said. The ring holds as
much and the longest packet."""

_FORMER = 50  # ticks for which the packets of a source that was replaced are taken for late ones
_STARVED = 25  # ticks without a packet in time after which any packet places the play-out anew
_DISTANT = 80_000  # samples, 10 s: a timestamp so far behind is a new timeline, whatever its sequence number
_SPURT = 5  # frames of silence after which speech that comes begins anew
_NEVER = -(1 << 20)  # samples: a horizon so far back that it stops nothing
_UNCOUNTED = -4 * SPAN  # for a margin, less than any that counts
_ALIKE = 0.05  # how unlike two frames may be to be joined at once
_PATIENCE = 50  # ticks, times frames owed, after which things that have nothing in common are joined
_JOINS = 256  # legs that have a turn to be joined in one tick
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

    def __init__(self, rows: Rows, concealment: Concealment, target: Target) -> None:
        self._rows = rows
        self._concealment = concealment
        self._target = target
        self.sequence = Sequence(rows)
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
        self._placed: NDArray[np.bool_] = column(np.bool_)
        self._ssrc: NDArray[np.uint32] = column(np.uint32)
        self._former: NDArray[np.uint32] = column(np.uint32)
        self._former_until: NDArray[np.int64] = column(np.int64)
        self._read: NDArray[np.uint32] = column(np.uint32)  # timestamp of the next sample to be read
        self._frontier: NDArray[np.uint32] = column(np.uint32)  # one past the newest timestamp received
        self._horizon: NDArray[np.uint32] = column(np.uint32)  # what has older timestamps stays unheard
        self._owed: NDArray[np.int32] = column(np.int32)  # samples, whole frames, that it is read too late
        self._owing: NDArray[np.int64] = column(np.int64)  # the tick since when
        self._fed: NDArray[np.int64] = column(np.int64)  # the last tick with a packet in time
        self.quiet: NDArray[np.int32] = column(np.int32)
        self.received: NDArray[np.int64] = column(np.int64)
        self.late: NDArray[np.int64] = column(np.int64)
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
            self.sequence.restart(changed)
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
        in_time = front >= 0
        repeated = self.sequence.follow(row, packets.sequence, first, counts, in_time)
        self._fed[legs] = np.where(in_time, self.ticks, self._fed[legs])
        margin = packets.age + ahead // FRAME * FRAME
        counted = (ahead >= -SPAN) & ~repeated
        late = np.where(counted & (ahead < 0), margin, _UNCOUNTED)
        least = np.where(counted, margin, self._target.quickest(row))
        most = np.where(counted, margin, _UNCOUNTED)
        self._target.note(legs, np.minimum.reduceat(least, first), np.maximum.reduceat(most, first))
        hurried = self._target.hurried(legs, np.maximum.reduceat(late, first), _UNCOUNTED)
        if hurried is not None:
            self._owe(*hurried)
            self._pay_at_once(hurried[0])
        end = packets.timestamp[newest] + length.view(np.uint32)
        further = (end - self._frontier[legs]).view(np.int32) > 0
        self._frontier[legs] = np.where(further, end, self._frontier[legs])
        played = (packets.timestamp - self._read[row]).view(np.int32)
        self.late[legs] += np.add.reduceat((played < 0) & ~repeated, first)
        to_wait = packets.age[newest] + played[newest]
        self.delay[legs] = np.where(played[newest] >= 0, to_wait, self.delay[legs])
        self._lay(packets, played, payload)

    def _ahead(self, packets: _Packets) -> NDArray[np.int32]:
        """Samples from where each leg ought to be read to each packet's first one; negative: too late."""
        return (packets.timestamp - self._read[packets.row]).view(np.int32) - self._owed[packets.row]

    # --- placing

    def _moved(
        self, newest: _Packets, legs: NDArray[np.intp], front: NDArray[np.int32], length: NDArray[np.int32]
    ) -> bool:
        """Place legs that begin, and legs whose newest packet cannot belong to the timeline they were on.

        Of a burst it is the newest packet that counts: what a stall held up is old, and must not become
        delay. In silence moving is free, so that the first packet of a spurt is placed afresh too, if little
        is known of the leg or what is known no longer holds; a late one is not, as it may be the first of a
        burst.
        """
        lead = (self._frontier[legs] - self._read[legs]).view(np.int32) - self._owed[legs]
        spurt = (lead <= -_SPURT * FRAME) & (front >= 0)
        if spurt.any():
            margin = newest.age + front // FRAME * FRAME
            surplus = margin - self._target.floor[legs]
            strange = margin >= self._target.quickest(legs) + FRAME
            spurt &= np.where(self._target.known(legs), strange, (surplus < 0) | (surplus >= FRAME))
        jumped = ~self._placed[legs] | (front + length > SPAN) | (front < -SPAN)
        if not (spurt | jumped).any():
            return False
        newer = self.sequence.newer(legs, newest.sequence)
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
        """Read these legs, one packet each, so that it plays at the first beat that leaves it the floor."""
        row = packets.row
        grid = self._grid[packets.length]
        short = self._target.floor[row] + FRAME - grid - packets.age
        wait = -(-short // grid) * grid
        self._read[row] = packets.timestamp - wait.view(np.uint32)
        self._owed[row] = 0
        self._ring[:, row] = 0
        self._concealment.cut(row)
        self._placed[row] = True
        self._target.begin(row)
        self._fed[row] = self.ticks

    # --- moving

    def _owe(self, rows: NDArray[np.intp], frames: NDArray[np.int32]) -> None:
        """These rows ought to be read so many frames earlier than was thought; negative: later."""
        self._owing[rows] = np.where(self._owed[rows] == 0, self.ticks, self._owing[rows])
        self._owed[rows] += frames * FRAME

    def _pay_at_once(self, rows: NDArray[np.intp]) -> None:
        """Who ought to be read later is, with a gap; it is concealed."""
        for debt in np.unique(self._owed[rows]):
            if debt < 0:
                self._shift(rows[self._owed[rows] == debt], int(debt) // FRAME)

    def _shift(self, rows: NDArray[np.intp], frames: int) -> None:
        """Play legs `frames` earlier (a part is dropped) or, if negative, later (a gap is put in)."""
        planes = ((self._slot + np.arange(SLOTS)) % SLOTS)[:, None]
        old = self._ring[planes, rows]
        new = np.zeros_like(old)
        if 0 < frames < SLOTS:
            new[:-frames] = old[frames:]
        elif -SLOTS < frames < 0:
            new[-frames:] = old[:frames]
        self._ring[planes, rows] = new
        self._read[rows] += np.uint32(frames * FRAME & 0xFFFFFFFF)
        self._owed[rows] -= frames * FRAME
        self._owing[rows] = self.ticks

    def glide(self) -> None:
        """Before a tick is read: who owes a frame, and is silent or repeats himself, pays it."""
        owing = np.flatnonzero(self._owed)
        if owing.size:
            turns = -(-int(self._rows.open.sum()) // _JOINS)  # so that no leg's turn depends on who else owes
            owing = owing[(owing + self.ticks) % turns == 0]
        if owing.size:
            self._glide(owing)

    def _glide(self, rows: NDArray[np.intp]) -> None:
        earlier = self._owed[rows] > 0
        front = self._ring[self._slot, rows]
        whole = (front & VALID != 0).all(axis=1)
        follower = self._ring[(self._slot + 1) % SLOTS, rows]
        ready = ~earlier | (follower & VALID != 0).all(axis=1)
        one = np.empty(front.shape, np.int16)
        other = np.empty(front.shape, np.int16)
        g711.decode(front, one)
        g711.decode(follower, other)
        other = np.where(earlier[:, None], other, self._concealment.last(rows))
        place, unlike = join.likest(one, other)
        patience = (self.ticks - self._owing[rows]) * np.abs(self._owed[rows]) / (_PATIENCE * FRAME)
        joined = whole & ready & (unlike <= _ALIKE + patience)
        absent = ~(front & VALID).any(axis=1)

        crossed = join.cross(one[joined], other[joined], place[joined])
        law = (front[joined, 0] >> 8 & 1).astype(np.uint8)
        payload = np.empty(crossed.shape, np.uint8)
        g711.encode(crossed, g711.encode_base(law), payload)
        self._concealment.cut(rows[absent & earlier])
        for way, frames in ((earlier, 1), (~earlier, -1)):
            going = rows[(joined | absent) & way]
            if going.size:
                self._shift(going, frames)
        self._ring[self._slot, rows[joined]] = payload | (law.astype(np.uint16) << 8 | VALID)[:, None]

    def _settle(self) -> None:
        """Once a block: what the margins of the last seconds say of each leg."""
        self._owe(*self._target.settle(self.ticks // BLOCK, self._placed))
        passed = (self._read - self._horizon).view(np.int32) > -_NEVER
        self._horizon[passed] = self._read[passed] + np.uint32(_NEVER & 0xFFFFFFFF)

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

    def coming(self, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
        """The two frames after this tick's, of these rows, as words, shape (m, 2 * FRAME)."""
        planes = (self._slot + np.array([[1], [2]])) % SLOTS
        words: NDArray[np.uint16] = self._ring[planes, rows].transpose(1, 0, 2).reshape(-1, 2 * FRAME)
        return words

    def advance(self) -> None:
        """The tick is over: what was read is wiped, so that it never comes twice, and all go on."""
        self._ring[self._slot] = 0
        self._slot = (self._slot + 1) % SLOTS
        self._read += np.uint32(FRAME)
        self.quiet += 1
        self.ticks += 1
        if self.ticks % BLOCK == 0:
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

    def bound(self, row: int, floor: int, ceiling: int) -> None:
        """Other bounds for what a row's packets wait, in samples; who waits already goes there by and by."""
        self._target.floor[row], self._target.ceiling[row] = floor, ceiling

    def silence(self, row: int) -> None:
        """What has been received so far is never heard: not what is buffered, and not what comes late."""
        self._ring[:, row] = 0
        self._concealment.forget(row)
        self._horizon[row] = self._frontier[row]
        self._read[row : row + 1] += self._owed[row : row + 1].view(np.uint32)
        self._owed[row] = 0


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
