"""The mixer as its owner sees it: verbs on legs and rooms, packets in, one tick, frames out."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mixer import g711, mix
from mixer.analysis import Analysis
from mixer.comfort import Comfort
from mixer.crossing import Crossings
from mixer.encode import PLAIN_TUNING, Encoders, Tuning
from mixer.formats import FORMATS, PLAIN, ULAW
from mixer.jitter import CEILING, Jitter
from mixer.play import Prompts, Room, Voices
from mixer.routing import Block, Routing
from mixer.rows import FRAME, Handle, Rows
from mixer.smoothing import Smoothing
from mixer.target import Target

SLACK = 48
"""Units, 6 ms: what a packet waits at least for the beat that needs it, when a leg is placed."""


class Mixer:
    """All legs, 20 ms a tick. Row 0 is silence and belongs to nobody. A leg's rate is that of the format in
    which it hears; rooms may have legs of several rates.

    Columns, all (capacity,) and by row (`handle & 0xFFFF`), to be read and not written; time in units of
    1/8000 s:

    - `quiet` int32: ticks since the last packet (since `open`, if there was none);
    - `level` int16: the greatest sample of the frame spoken in the last tick;
    - `delay` int32: time from the last packet's arrival to the beat that plays its first sample;
    - `received`, `lost`, `late`, `duplicate` int64: packets, as RFC 3550 counts them; a late one is not lost;
    - `gaps` int64: times that speech broke off;
    - `reset_count` int64: times that a new source or timeline was followed.

    `heard` uint8 (capacity, FRAME): the payload that each row hears in G.711, after `tick`; `sent` uint8
    (capacity, most) and `sent_size` int32: those of all other formats. `finished`: the prompts whose last
    sample went out in the last tick. `analysis`: levels, talkers, keys, gates and gains.
    """

    def __init__(
        self, capacity: int, *, slack: int = SLACK, ceiling: int = CEILING, keys_heard: bool = True
    ) -> None:
        """Allocate `capacity` rows, row 0 included; `slack`, `ceiling` (units): see `SLACK`, `CEILING`;
        `keys_heard`: see `Analysis`."""
        self._rows = Rows(capacity)
        self._comfort = Comfort(self._rows)
        self._smoothing = Smoothing(self._rows, self._comfort.pausing)
        target = Target(self._rows, slack, ceiling)
        self._jitter = Jitter(self._rows, self._smoothing, target, self._comfort)
        self._routing = Routing(self._rows, self._jitter.packets.packed)
        self._crossings = Crossings()
        self._encoders = Encoders(self._rows)
        self._prompts = Prompts()
        self.analysis = Analysis(self._rows, keys_heard=keys_heard)
        self._plan = self._routing.plan()
        self._desks: dict[int, _Desk] = {}
        self._leaving: dict[int, tuple[Handle, int, Tuning]] = {}  # by row, those that go to another rate
        self.heard: NDArray[np.uint8] = self._rows.column(np.uint8, g711.SILENCE[ULAW], width=FRAME)
        self.sent, self.sent_size = self._encoders.sent, self._encoders.size
        self.level: NDArray[np.int16] = self._rows.column(np.int16)
        self.quiet = self._jitter.quiet
        self.delay = self._jitter.delay
        self.received, self.late = self._jitter.received, self._jitter.late
        self.lost, self.duplicate = self._jitter.sequence.lost, self._jitter.sequence.duplicate
        self.reset_count = self._jitter.reset_count

    @property
    def capacity(self) -> int:
        return self._rows.capacity

    @property
    def finished(self) -> list[int]:
        return self._prompts.finished

    @property
    def gaps(self) -> NDArray[np.int64]:
        return self._smoothing.gaps

    @property
    def encoded(self) -> int:
        """Payloads that were encoded one by one so far; a shared one counts once."""
        return self._encoders.made

    def rehearse(self) -> None:
        """Hear and be heard in every format once, so that no later tick loads a library or lays out a rate.
        Raises `opus.Missing`."""
        handles = [self.open(format) for format in range(min(len(FORMATS), self.capacity - 1))]
        for handle in handles:
            self.seat(handle, 0)
        for _ in range(2):
            self.tick()
        for handle in handles:
            self.close(handle)

    # --- legs

    def open(self, format: int = ULAW) -> Handle:
        """A new leg that hears in `format`, in no room: it hears its own prompts alone. Raises `Full`."""
        handle = self._rows.hand_out()
        self._hear_in(handle, format, PLAIN_TUNING)
        return handle

    def close(self, handle: Handle) -> None:
        """The leg is gone, and its prompts; its handle matches nothing from now on, nor in coach lists."""
        self._routing.closed(handle)
        row = self._rows.take_back(handle)
        self._prompts.forget(row)
        self._leaving.pop(row, None)
        self._jitter.forget(row)
        self._crossings.forget(row)
        self._encoders.forget(row)
        self._rows.reset(row)  # late packets find no stream to continue

    def set_format(self, handle: Handle, format: int, tuning: Tuning = PLAIN_TUNING) -> None:
        """The format in which a leg hears; in which it speaks is said with each packet. One of another rate
        holds from the tick after the next on: what the leg says dies away at the old rate first."""
        row = self._rows.row(handle)
        self._jitter.redundancy.offered[row] = tuning.fec
        before = self._routing.format(handle)
        self._leaving.pop(row, None)
        heard = any(block.position[row] >= 0 for block in self._plan.blocks)
        if heard and FORMATS[before].rate != FORMATS[format].rate:
            self._leaving[row] = handle, format, tuning
            self.heard[row] = g711.SILENCE[format if format <= PLAIN else ULAW]
        elif format != before:
            self._hear_in(handle, format, tuning)
        elif format > PLAIN:
            self._encoders.set(row, format, tuning)

    def _hear_in(self, handle: Handle, format: int, tuning: Tuning) -> None:
        row = self._rows.row(handle)
        known = FORMATS[format]
        changed = FORMATS[self._routing.format(handle)].rate != known.rate
        self._routing.set_format(handle, format)
        self._smoothing.at(known.rate)
        self._encoders.forget(row)
        if format > PLAIN:
            self._encoders.set(row, format, tuning)
        else:
            self.heard[row] = g711.SILENCE[format]
        self._jitter.pack(row, format > PLAIN, anew=changed)
        if changed:
            self._smoothing.forget(row)

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
        """Take n packets in order of arrival, best all of a tick at once.

        `format`: that of each payload; `timestamp`: on its clock. `age`: units from arrival to this tick's
        beat. `payload`: C-contiguous, (n, slot); packet i's audio is `payload[i, offset[i] : offset[i] +
        size[i]]`. Dropped are packets of rows not in use, empty ones, those of more than 120 ms, and what no
        decoder takes.
        """
        if rows.size:
            self._jitter.push(rows, sequence, timestamp, ssrc, format, age, payload, offset, size)

    def note(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        ssrc: NDArray[np.uint32],
        level: NDArray[np.int16],
        spectrum: NDArray[np.uint8] | None = None,
    ) -> None:
        """Take n packets of rows in use that carry no audio, in order of arrival, after those of this tick
        that do. `level`: of those that are comfort noise, -dBov (RFC 3389); -1 for all others. `spectrum`
        (n, order): see `Comfort.begin`; None where all are flat."""
        flat = np.empty((rows.size, 0), np.uint8)
        self._jitter.note(rows, sequence, ssrc, level, flat if spectrum is None else spectrum)

    # --- what is heard in a leg's sound

    def analyse(self, handle: Handle, *, gate: bool, keys: bool) -> None:
        """Whether silence of the leg is made exactly zero, and whether keys are looked for in its sound."""
        row = self._rows.row(handle)
        self.analysis.gate.on[row], self.analysis.inband.wanted[row] = gate, keys

    def control_gain(self, handle: Handle, on: bool) -> None:
        """Whether the leg is brought to the usual level."""
        self.analysis.gain.on[self._rows.row(handle)] = on

    def bound_delay(self, handle: Handle, floor: int, ceiling: int) -> None:
        """What a leg's packets wait at least and its quickest ones at most, in samples, from now on."""
        self._jitter.bound(self._rows.row(handle), floor, ceiling)

    def tell_keys(self, rows: NDArray[np.intp]) -> None:
        """Telephone events have come from these rows: see `Analysis.tell_keys`."""
        self.analysis.tell_keys(rows, self.delay[rows] // FRAME)

    # --- who hears whom

    def seat(
        self,
        handle: Handle,
        room: int,
        *,
        mute: bool = False,
        hold: bool = False,
        coaches: Iterable[Handle] | None = None,
        coached_by: Iterable[Handle] = (),
    ) -> None:
        """Put a leg into a room (0 or above), out of any other, with exactly these flags and this list.

        `coaches` None: not a coach; a list, even an empty one: heard by those alone, as far as they sit in
        the room. `coached_by`: coaches whose lists name this leg from now on. Also raises `StaleHandle`, as
        all verbs do.
        """
        widened = self._routing.seat(
            handle, room, mute=mute, hold=hold, coaches=coaches, coached_by=coached_by
        )
        self._silence(widened)

    def unseat(self, handle: Handle) -> None:
        """Take a leg out of its room; what it said there is not heard in the next."""
        self._routing.unseat(handle)

    def end_room(self, room: int) -> None:
        """Unseat all, and stop the room's prompts."""
        self._routing.unseat_all(room)
        self._prompts.forget(Room(room))

    def flags(self, handle: Handle, *, mute: bool, hold: bool) -> None:
        """Both flags anew; raises `NotSeated`."""
        self._silence(self._routing.flags(handle, mute=mute, hold=hold))

    def coach(self, handle: Handle, coaches: Iterable[Handle] | None) -> None:
        """A new coach list, as for `seat`; raises `NotSeated`."""
        self._silence(self._routing.coach(handle, coaches))

    def _silence(self, rows: list[int]) -> None:
        """An audience has grown: it hears what is received from now on, not what was said to fewer."""
        for row in rows:
            self._jitter.silence(row)
            self._crossings.forget(row)
        if rows:
            self.analysis.forget(np.array(rows, np.intp))
            self._comfort.forget(np.array(rows, np.intp))

    # --- prompts

    def play(self, target: Handle | Room, samples: NDArray[np.int16]) -> int:
        """Speak an array to a leg alone, or to all who sit in a room; the id that `finished` will name.

        It starts in the next tick. Whoever is on hold hears nothing. Several to one target are heard
        together. The array is kept by reference.
        """
        return self._prompts.play(target if isinstance(target, Room) else self._rows.row(target), samples)

    def stop(self, play: int) -> None:
        """End a prompt with a short fade; it is not reported as finished. It may have ended already."""
        self._prompts.stop(play)

    # --- time

    def skip(self, beats: int) -> None:
        """Beats were missed: all go on unheard. To be called before the packets of this beat are pushed."""
        self._jitter.skip(beats)
        self._prompts.skip(beats)
        self.analysis.advance(beats)
        self._comfort.advance(beats)

    def tick(self, skipped: int = 0) -> None:
        """One frame of everything: read, decode, sum, subtract, clip, encode. `skipped` as `skip` first."""
        if skipped:
            self.skip(skipped)
        if self._jitter.repacked:
            self._jitter.repacked = False
            self._routing.stale()
        plan = self._plan = self._routing.plan()
        self.analysis.begin()
        self._jitter.glide()
        self._encoders.begin()
        desks = [self._desk(block) for block in plan.blocks]
        for desk in desks:
            self._read(desk)
        totals = [mix.sums(desk.contributions_and_zeros, desk.block.rounds) for desk in desks]
        self._crossings.follow(plan)
        if plan.crossings:
            self._crossings.add(plan, totals)
        voices = self._prompts.speak(plan)
        for desk, total, voice in zip(desks, totals, voices, strict=True):
            self._sum(desk, total, voice)
        if plan.whispers:
            self._crossings.whisper(plan, [desk.speech for desk in desks], [desk.bus for desk in desks])
        for desk, voice in zip(desks, voices, strict=True):
            self._say(desk, voice)
        if self._leaving:
            leaving, self._leaving = self._leaving, {}
            for handle, format, tuning in leaving.values():
                self._hear_in(handle, format, tuning)
        self._jitter.advance()
        self.analysis.advance()
        self._comfort.advance(1)

    def _desk(self, block: Block) -> "_Desk":
        desk = self._desks.get(block.rate)
        if desk is None:
            desk = self._desks[block.rate] = _Desk(self.capacity, block.frame)
        desk.lay_out(block)
        return desk

    def _read(self, desk: "_Desk") -> None:
        """What each leg of a block says, and what of it his room may hear."""
        block, words, speech = desk.block, desk.words, desk.speech
        if block.packed.size < block.order.size:
            self._jitter.ring.read(block.order, words)
            g711.decode(words, speech)
        if block.packed.size:
            self._read_packed(block, words, speech)
        self._jitter.join(block.rate, block.position, words, speech)
        public = block.speaks[:, 0] > 0
        self._smoothing.at(block.rate).smooth(block.order, words, speech, self._jitter, public)
        self.level[block.order] = np.maximum.reduce(speech, axis=1)
        for row in self._leaving:
            if block.position[row] >= 0:
                speech[block.position[row]] = _dying(speech[block.position[row]])
        self._comfort.fill(block.order, words, speech)
        self.analysis.hear(block.order, speech)
        np.multiply(speech, block.speaks, out=desk.contributions)

    def _read_packed(self, block: Block, words: NDArray[np.uint16], speech: NDArray[np.int16]) -> None:
        packets = self._jitter.packets
        if block.packed.size == block.order.size:
            packets.read(block.rate, block.order, speech, words)
        else:
            some = np.empty((block.packed.size, block.frame), np.int16)
            tags = np.empty(some.shape, np.uint16)
            packets.read(block.rate, block.order[block.packed], some, tags)
            speech[block.packed], words[block.packed] = some, tags
        if packets.turned:
            self._smoothing.at(block.rate).cut(np.array(packets.turned, np.intp))
        if packets.broken:
            self._smoothing.at(block.rate).break_off(np.array(packets.broken, np.intp))

    def _sum(self, desk: "_Desk", total: NDArray[np.int32], voice: Voices | None) -> None:
        """What each leg of a block is to hear but for coaches of other rates."""
        block, bus = desk.block, desk.bus
        if voice is not None:
            total[voice.rooms] += voice.to_rooms
        np.take(total, block.room, axis=0, out=bus, mode="clip")
        np.subtract(bus, desk.contributions, out=bus)
        if block.coached.size:
            bus[block.coached] += np.add.reduceat(
                desk.speech[block.coaches], block.coached_starts, axis=0, dtype=np.int32
            )
        if voice is not None:
            bus[voice.legs] += voice.to_legs

    def _say(self, desk: "_Desk", voice: Voices | None) -> None:
        """Clip and encode what a block hears."""
        block, bus, clipped = desk.block, desk.bus, desk.clipped
        np.bitwise_and(bus, block.hears, out=bus)
        np.clip(bus, -32768, 32767, out=clipped)
        if block.coded.size:
            private = [
                block.coached,
                *(w.listeners for w in self._plan.whispers if self._hears(w.target, block)),
            ]
            if voice is not None:
                private.append(voice.legs)
            self._encoders.encode(block, clipped, desk.contributions, np.concatenate(private))
        if block.plain is None:
            g711.encode(clipped, block.encode_base, desk.encoded)
            self.heard[block.order] = desk.encoded
        elif block.plain.size:
            encoded = np.empty((block.plain.size, FRAME), np.uint8)
            g711.encode(clipped[block.plain], block.encode_base[block.plain], encoded)
            self.heard[block.order[block.plain]] = encoded

    def _hears(self, target: int, block: Block) -> bool:
        return self._plan.blocks[target] is block

    def bus(self, handle: Handle) -> NDArray[np.int32]:
        """What the leg heard in the last tick before it was clipped and encoded; a copy, for tests."""
        place, position = self._plan.place(self._rows.row(handle))
        bus: NDArray[np.int32] = self._desks[self._plan.blocks[place].rate].bus[position].copy()
        return bus


def _dying(frame: NDArray[np.int16]) -> NDArray[np.int16]:
    """A last frame: it ends before its end, by as much as a filter between rates remembers."""
    left = np.clip(4 - 5 * np.arange(frame.size) / frame.size, 0, 1)
    return np.rint(frame * left).astype(np.int16)


class _Desk:
    """The arrays that a tick of one rate works in, allocated once, and views of them for its block."""

    def __init__(self, capacity: int, frame: int) -> None:
        shape = (capacity, frame)
        self._words = np.empty(shape, np.uint16)
        self._speech = np.empty(shape, np.int16)
        self._contributions = np.empty((capacity + 1, frame), np.int32)
        self._bus = np.empty(shape, np.int32)
        self._clipped = np.empty(shape, np.int32)
        self._encoded = np.empty(shape, np.uint8)

    def lay_out(self, block: Block) -> None:
        """Views of n rows."""
        n = block.order.size
        self.block = block
        self.words, self.speech = self._words[:n], self._speech[:n]
        self.contributions, self.bus = self._contributions[:n], self._bus[:n]
        self.contributions_and_zeros = self._contributions[: n + 1]
        self.contributions_and_zeros[n] = 0
        self.clipped, self.encoded = self._clipped[:n], self._encoded[:n]
