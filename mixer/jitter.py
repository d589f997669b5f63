"""When each leg's packets are due: which count, where in its timeline a leg is read, and when that moves.

Packets lie in two stores by the time at which they are due: `mixer.ring` has the bytes of G.711,
`mixer.packets` whatever must be decoded packet by packet. All rows are read at the same place of both; what
differs between legs is which RTP timestamp lies there (`read`). All time is in units of 1/8000 s, whatever
the RTP clock.

Differences of timestamps and sequence numbers are taken in the width of the field: a wrap is nothing special.

Where a leg *ought* to be read follows from the margins of its packets alone (see `mixer.target`). Where it
is read may be some frames off, which it *owes*: it goes there in silence, or where two periods look the same.
That, and when senders who stop in silence go on, is all that depends on what was said; whatever silences
a leg pays its debt at once, so that no later timing tells of it.
"""

import numpy as np
from numpy.typing import NDArray

from mixer import formats, g711, join
from mixer.batch import Batch, runs
from mixer.clock import Clocks
from mixer.comfort import Comfort
from mixer.conceal import Ahead
from mixer.formats import PLAIN
from mixer.g711 import VALID
from mixer.packets import Packets
from mixer.redundancy import Redundancy
from mixer.ring import SPAN, Ring
from mixer.rows import FRAME, Rows
from mixer.sequence import Sequence
from mixer.smoothing import Smoothing
from mixer.target import BLOCK, UNSEEN, Target

LONGEST = 960
"""Units in the longest packet taken, 120 ms (10 to 60 ms are promised)."""

CEILING = 1600
"""Units, 200 ms: what a leg's quickest packets wait at most, if nothing else is said."""

HIGHEST = 4000
"""Units, 500 ms, of a ceiling: the stores hold as much and the longest packet."""

_FORMER = 50  # ticks for which the packets of a source that was replaced are taken for late ones
_STARVED = 25  # ticks without a packet in time after which any packet places the play-out anew
_DISTANT = 80_000  # samples, 10 s: a timestamp so far behind is a new timeline, whatever its sequence number
_SPURT = 5  # frames of silence after which speech that comes begins anew
_NEVER = -(1 << 20)  # samples: a horizon so far back that it stops nothing
_UNCOUNTED = -4 * SPAN  # for a margin, less than any that counts
_ALIKE = 0.05  # how unlike two frames may be to be joined at once
_PATIENCE = 50  # ticks, times frames owed, after which things that have nothing in common are joined
_JOINS = 256  # legs that have a turn to be joined in one tick


class Jitter:
    """The stores of all rows and the columns that place them."""

    def __init__(self, rows: Rows, smoothing: Smoothing, target: Target, comfort: Comfort) -> None:
        self._comfort = comfort
        self._rows = rows
        self._smoothing = smoothing
        self._target = target
        self.ring = Ring(rows)
        self.packets = Packets(rows)
        self.sequence = Sequence(rows)
        self.redundancy = Redundancy(rows)
        self.ticks = 0
        self._clocks = Clocks(rows)
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
        self._length: NDArray[np.int32] = column(np.int32)  # units of the last packet
        self.repacked = False
        """Which rows are packed has changed since somebody set this to False."""
        self._any_packed = False
        self._gliding = np.zeros(0, np.intp)

    # --- packets in

    def push(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        format: NDArray[np.uint8],
        age: NDArray[np.int32],
        payload: NDArray[np.uint8],
        offset: NDArray[np.int32],
        size: NDArray[np.int32],
    ) -> None:
        """Take a batch of one packet or more; see `Mixer.push`."""
        self._clocks.any_anew = False
        order = np.argsort(rows.astype(np.uint16), kind="stable")
        starts = np.arange(0, payload.size, payload.shape[1]) + offset
        packets = Batch(rows, sequence, timestamp, ssrc, format, age, starts, size, size).only(order)
        if (format > PLAIN).any() or self._any_packed:
            packets = self._unpacked(packets, payload)
            if not packets.row.size:
                return
        known = (packets.ssrc == self._ssrc[packets.row]) & self._placed[packets.row]
        known &= (packets.length - 1).view(np.uint32) < LONGEST
        if not known.all():
            packets = packets.only(self._admitted(packets))
        if packets.row.size:
            self._take(packets, payload)

    def note(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        ssrc: NDArray[np.uint32],
        level: NDArray[np.int16],
        spectrum: NDArray[np.uint8],
    ) -> None:
        """Packets without audio have come, in order of arrival: none of them is lost. See `Mixer.note`."""
        order = np.argsort(rows, kind="stable")
        order = order[self._placed[rows[order]] & (ssrc[order] == self._ssrc[rows[order]])]
        if not order.size:
            return
        rows, sequence, level, spectrum = rows[order], sequence[order], level[order], spectrum[order]
        first, counts = runs(rows)
        self.sequence.follow(rows, sequence, first, counts, np.zeros(first.size, np.bool_))
        comfort = np.flatnonzero(level >= 0)
        if comfort.size:
            first, counts = runs(rows[comfort])
            last = comfort[first + counts - 1]
            self._comfort.begin(rows[last], level[last].astype(np.uint8), sequence[last], spectrum[last])

    def coming(self, rate: int, rows: NDArray[np.intp]) -> Ahead:
        """The two frames after this tick's of rows of a rate, Hz; of packets that are decoded in order only
        one is known."""
        packed = self.packets.packed[rows]
        sound = np.zeros((rows.size, rate // 25), np.int16)
        here, exact = np.zeros(rows.size, np.bool_), np.ones(rows.size, np.bool_)
        if not packed.all():
            words = self.ring.coming(rows[~packed])
            here[~packed] = (words[:, :FRAME] & VALID != 0).all(axis=1)
            decoded = np.empty(words.shape, np.int16)
            g711.decode(words, decoded)
            sound[~packed] = decoded
        if packed.any():
            sound[packed], here[packed], exact[packed] = self.packets.coming(rate, rows[packed])
        return Ahead(sound, here, exact)

    def amend(self, rows: NDArray[np.intp], sound: NDArray[np.int16]) -> None:
        """The frames after this tick's of rows that are not exact begin otherwise: (m, samples)."""
        self.packets.amend(rows, sound)

    def pack(self, row: int, packed: bool, *, anew: bool) -> None:
        """A leg that hears (`packed`) or does not hear in a format whose packets must be decoded; `anew`: at
        another rate than before."""
        if anew or self.packets.packed[row] != packed:
            self._repack(np.array([row], np.intp), packed)

    def _unpacked(self, packets: Batch, payload: NDArray[np.uint8]) -> Batch:
        """The same with all times in units; a row that sends what must be decoded is packed from now on."""
        packets = self._of_one_clock(packets)
        if not packets.row.size:
            return packets
        row, format = packets.row, packets.format
        start = np.minimum(packets.start, payload.size - 2)
        first = payload.reshape(-1)[start[:, None] + np.arange(2)]
        length = formats.units(format, packets.size, first)
        strange = np.unique(row[(format > PLAIN) & ~self.packets.packed[row] & self._rows.open[row]])
        if strange.size:
            self._repack(strange, True)
        units = self._clocks.units(
            row, packets.timestamp, formats.SCALE[format], *runs(row), frontier=self._frontier
        )
        return packets._replace(timestamp=units, length=length)

    def _of_one_clock(self, packets: Batch) -> Batch:
        """The same without what is of another clock than a row's newest packet: stragglers of a codec that
        was replaced."""
        row, scale = packets.row, formats.SCALE[packets.format]
        if (scale == self._clocks.scale[row]).all():
            return packets
        first, counts = runs(row)
        legs, last = row[first], first + counts - 1
        old = self._placed[legs] & (packets.ssrc[last] == self._ssrc[legs])
        old &= self.sequence.recent(legs, packets.sequence[last])
        current = np.where(old, self._clocks.scale[legs], scale[last])
        return packets.only(scale == current.repeat(counts))

    def _repack(self, rows: NDArray[np.intp], packed: bool) -> None:
        """What these rows said in the store that they leave is lost."""
        self.packets.packed[rows] = packed
        self._any_packed = bool(self.packets.packed.any())
        self.ring.wipe(rows)
        for row in rows.tolist():
            self.packets.silence(row)
        self._smoothing.cut(rows)
        self.repacked = True

    def _admitted(self, packets: Batch) -> NDArray[np.bool_]:
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
            first, counts = runs(row[index])
            last = index[first + counts - 1]
            last = last[(packets.ssrc[last] != self._ssrc[row[last]]) | ~self._placed[row[last]]]
            changed = row[last]
            replaced = changed[self._placed[changed]]
            self._smoothing.end(replaced)
            self._comfort.forget(replaced)
            for gone in replaced[self.packets.packed[replaced]].tolist():
                self.packets.silence(gone)  # its coder has nothing in common with the next one's
            self._former[replaced] = self._ssrc[replaced]
            self._former_until[replaced] = self.ticks + _FORMER
            self.reset_count[replaced] += 1
            self._placed[changed] = False
            self._ssrc[changed] = packets.ssrc[last]
            self.sequence.restart(changed)
        kept &= packets.ssrc == self._ssrc[row]
        return kept

    def _take(self, packets: Batch, payload: NDArray[np.uint8]) -> None:
        row = packets.row
        first, counts = runs(row)
        legs = row[first]
        self.quiet[legs] = 0
        self.received[legs] += counts
        self._length[legs] = packets.length[first]

        ahead = self._ahead(packets)
        newest = (ahead.astype(np.int64) << 20) | np.arange(row.size)
        newest = np.maximum.reduceat(newest, first) & 0xFFFFF
        length = packets.length[newest]
        if self._moved(packets.only(newest), legs, ahead[newest], length):
            ahead = self._ahead(packets)
        front = ahead[newest]
        reach = self._reach(row)
        here = ahead + packets.length <= reach  # of another timeline is what a straggler brings
        in_time = (front >= 0) & here[newest]
        repeated = self.sequence.follow(row, packets.sequence, first, counts, in_time)
        self._fed[legs] = np.where(in_time, self.ticks, self._fed[legs])
        margin = packets.age + ahead // FRAME * FRAME
        counted = (ahead >= -reach) & here & ~repeated
        late = np.where(counted & (ahead < 0), margin, _UNCOUNTED)
        least = np.where(counted, margin, UNSEEN)
        most = np.where(counted, margin, _UNCOUNTED)
        self._target.note(legs, np.minimum.reduceat(least, first), np.maximum.reduceat(most, first))
        begun = self._target.begun(legs, first, margin, counted)
        hurried = self._target.hurried(legs, np.maximum.reduceat(late, first), _UNCOUNTED, begun)
        if hurried is not None:
            self._owe(*hurried)
            self._pay_at_once(hurried[0])
        self._comfort.heard(legs, packets.sequence[newest])
        end = packets.timestamp[newest] + length.view(np.uint32)
        further = here[newest] & ((end - self._frontier[legs]).view(np.int32) > 0)
        self._frontier[legs] = np.where(further, end, self._frontier[legs])
        played = (packets.timestamp - self._read[row]).view(np.int32)
        self.late[legs] += np.add.reduceat((played < 0) & ~repeated, first)
        to_wait = packets.age[newest] + played[newest]
        self.delay[legs] = np.where(played[newest] >= 0, to_wait, self.delay[legs])
        self._lay(packets, played, payload)

    def _ahead(self, packets: Batch) -> NDArray[np.int32]:
        """Samples from where each leg ought to be read to each packet's first one; negative: too late."""
        return (packets.timestamp - self._read[packets.row]).view(np.int32) - self._owed[packets.row]

    def _reach(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """Samples before and behind what is read that are jitter, and no other timeline."""
        reach: NDArray[np.int32] = np.maximum(self._target.ceiling[rows], CEILING) + LONGEST
        return reach

    # --- placing

    def _moved(
        self, newest: Batch, legs: NDArray[np.intp], front: NDArray[np.int32], length: NDArray[np.int32]
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
            surplus = margin - self._target.wanted(legs)
            strange = margin >= self._target.quickest(legs) + FRAME
            spurt &= np.where(self._target.known(legs), strange, (surplus < 0) | (surplus >= FRAME))
        reach = self._reach(legs)
        jumped = ~self._placed[legs] | (front + length > reach) | (front < -reach)
        anew = None
        if self._clocks.any_anew:  # at another clock, where it left off, which may be too late by now
            anew = self._clocks.anew[legs] & (front < 0)
            jumped |= anew
        if not np.bitwise_or.reduce(spurt | jumped):
            return False
        newer = self.sequence.newer(legs, newest.sequence)
        starved = self.ticks - self._fed[legs] > _STARVED
        behind = (front < -reach) & (front >= -_DISTANT) | self.sequence.recent(legs, newest.sequence)
        straggler = self._placed[legs] & behind & ~newer & ~starved
        if anew is not None:
            straggler &= ~anew
        jumped &= ~straggler
        self.reset_count[legs] += jumped & self._placed[legs]
        self._place(newest.only(jumped | spurt))
        jumpers = legs[jumped]
        self._horizon[jumpers] = self._read[jumpers] + np.uint32(_NEVER & 0xFFFFFFFF)
        self._frontier[jumpers] = self._read[jumpers]
        return True

    def _place(self, packets: Batch) -> None:
        """Read these legs, one packet each, so that it plays at the first beat that leaves it the floor."""
        row = packets.row
        grid = self._grid[packets.length]
        short = self._target.wanted(row) + FRAME - grid - packets.age
        wait = -(-short // grid) * grid
        self._read[row] = packets.timestamp - wait.view(np.uint32)
        self._owed[row] = 0
        self._wipe(row)
        self._smoothing.cut(row)
        self._placed[row] = True
        self._target.begin(row)
        self._fed[row] = self.ticks

    # --- moving

    def _owe(self, rows: NDArray[np.intp], frames: NDArray[np.int32]) -> None:
        """These rows ought to be read so many frames earlier than was thought; negative: later."""
        self._owing[rows] = np.where(self._owed[rows] == 0, self.ticks, self._owing[rows])
        self._owed[rows] += frames * FRAME

    def _pay_at_once(self, rows: NDArray[np.intp]) -> None:
        """Who ought to be read later is, with a gap; it is concealed. What comes late and fills it follows
        upon concealment that has led past it."""
        self._smoothing.cut(rows[self._owed[rows] < 0])
        for debt in np.unique(self._owed[rows]):
            if debt < 0:
                self._shift(rows[self._owed[rows] == debt], int(debt) // FRAME)

    def _shift(self, rows: NDArray[np.intp], frames: int) -> None:
        """Play legs `frames` earlier (a part is dropped) or, if negative, later (a gap is put in)."""
        packed = self.packets.packed[rows]
        self.ring.shift(rows[~packed], frames)
        if packed.any():
            self.packets.shift(rows[packed], frames)
        self._read[rows] += np.uint32(frames * FRAME & 0xFFFFFFFF)
        self._owed[rows] -= frames * FRAME
        self._owing[rows] = self.ticks

    def _wipe(self, rows: NDArray[np.intp] | int) -> None:
        self.ring.wipe(rows)
        if self._any_packed:
            self.packets.wipe(rows)

    def glide(self) -> None:
        """Before a tick is read: who owes a frame and is silent pays it; the others wait for `join`."""
        owing = self._owed.nonzero()[0]
        if owing.size:
            turns = -(-int(self._rows.open.sum()) // _JOINS)  # so that no leg's turn depends on who else owes
            owing = owing[(owing + self.ticks) % turns == 0]
        self._gliding = owing
        if not owing.size:
            return
        packed = self.packets.packed[owing]
        absent = np.empty(owing.size, np.bool_)
        absent[~packed] = ~(self.ring.front(owing[~packed]) & VALID).any(axis=1)
        absent[packed] = self.packets.idle(owing[packed])
        earlier = self._owed[owing] > 0
        self._smoothing.cut(owing[absent & earlier])
        for way, frames in ((earlier, 1), (~earlier, -1)):
            going = owing[absent & way]
            if going.size:
                self._shift(going, frames)
        self._gliding = owing[~absent]

    def join(
        self, rate: int, position: NDArray[np.intp], words: NDArray[np.uint16], speech: NDArray[np.int16]
    ) -> None:
        """After the frames of a rate were decoded: who owes a frame and repeats himself pays it. `position`:
        by row, where in `words` and `speech` its frame is, -1 for a row of another rate."""
        rows = self._gliding[position[self._gliding] >= 0]
        if not rows.size:
            return
        at = position[rows]
        earlier = self._owed[rows] > 0
        one = speech[at]
        follower, ready = self._following(rate, rows)
        smoothing = self._smoothing.at(rate)
        other = np.where(earlier[:, None], follower, smoothing.last(rows))
        place, unlike = join.likest(one, other)
        patience = (self.ticks - self._owing[rows]) * np.abs(self._owed[rows]) / (_PATIENCE * FRAME)
        whole = (words[at] & VALID != 0).all(axis=1)
        follows = np.where(earlier, ready, smoothing.clean(rows))
        joined = whole & follows & (unlike <= _ALIKE + patience)
        speech[at[joined]] = join.cross(one[joined], other[joined], place[joined])
        packed = joined & self.packets.packed[rows]
        if packed.any():
            self.packets.drop(rows[packed & earlier], speech.shape[1])
            self.packets.hold(rows[packed & ~earlier], one[packed & ~earlier])
        for way, frames in ((earlier, 1), (~earlier, -1)):
            if (joined & way).any():
                self._shift(rows[joined & way], frames)

    def _following(self, rate: int, rows: NDArray[np.intp]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """The frames after this tick's, and which of them are whole."""
        packed = self.packets.packed[rows]
        following = np.zeros((rows.size, rate // 50), np.int16)
        ready = np.zeros(rows.size, np.bool_)
        if not packed.all():
            words = self.ring.coming(rows[~packed])[:, :FRAME]
            ready[~packed] = (words & VALID != 0).all(axis=1)
            decoded = np.empty(words.shape, np.int16)
            g711.decode(words, decoded)
            following[~packed] = decoded
        if packed.any():
            following[packed], ready[packed] = self.packets.follow(rate, rows[packed])
        return following, ready

    def _settle(self) -> None:
        """Once a block: what the losses and margins of the last seconds say of each leg."""
        self._target.extra[:] = np.where(self.redundancy.worth(self.sequence.lost), self._length, 0)
        self._owe(*self._target.settle(self.ticks // BLOCK, self._placed))
        passed = (self._read - self._horizon).view(np.int32) > -_NEVER
        self._horizon[passed] = self._read[passed] + np.uint32(_NEVER & 0xFFFFFFFF)

    # --- laying down, and time

    def _lay(self, packets: Batch, ahead: NDArray[np.int32], payload: NDArray[np.uint8]) -> None:
        """Put the audio into its store; what lies behind the read position or the horizon is left out."""
        behind = (packets.timestamp - self._horizon[packets.row]).view(np.int32)
        allowed = np.minimum(ahead, behind)
        if self._any_packed:
            packed = self.packets.packed[packets.row]
            self.packets.lay(packets.only(packed), ahead[packed], allowed[packed], payload)
            packets, ahead, allowed = packets.only(~packed), ahead[~packed], allowed[~packed]
        self.ring.lay(packets, ahead, allowed, payload)

    def advance(self) -> None:
        """The tick is over: all go on."""
        self.ring.advance(1)
        if self._any_packed:
            self.packets.advance(1)
        self._pass(1)
        if self.ticks % BLOCK == 0:
            self._settle()

    def skip(self, beats: int) -> None:
        """Beats that were missed: what would have been read in them is gone, and its edges are faded."""
        self.ring.advance(beats)
        if self._any_packed:
            self.packets.skip(beats)
        self._pass(beats)
        self._smoothing.cut(np.arange(self._rows.capacity))

    def _pass(self, beats: int) -> None:
        self._read += np.uint32(beats * FRAME & 0xFFFFFFFF)
        self.quiet += beats
        self.ticks += beats

    def bound(self, row: int, floor: int, ceiling: int) -> None:
        """Other bounds for what a row's packets wait, in samples; who waits already goes there by and by."""
        self._target.floor[row], self._target.ceiling[row] = floor, ceiling

    def silence(self, row: int) -> None:
        """What has been received so far is never heard: not what is buffered, and not what comes late."""
        self.ring.wipe(row)
        if self._any_packed:
            self.packets.silence(row)
        self._smoothing.forget(row)
        self._horizon[row] = self._frontier[row]
        self._read[row : row + 1] += self._owed[row : row + 1].view(np.uint32)
        self._owed[row] = 0

    def forget(self, row: int) -> None:
        """The leg is gone."""
        if self._any_packed:
            self.packets.silence(row)
            self.packets.packed[row] = False
            self._any_packed = bool(self.packets.packed.any())
