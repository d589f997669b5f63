"""The mixer as its owner sees it: verbs on legs and rooms, packets in, one tick, frames out."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mixer import g711, mix
from mixer.analysis import Analysis
from mixer.conceal import Concealment
from mixer.g711 import ULAW
from mixer.jitter import CEILING, Jitter
from mixer.play import Prompts, Room
from mixer.routing import Routing
from mixer.rows import FRAME, Handle, Rows
from mixer.target import Target

SLACK = 48
"""Samples, 6 ms: what a packet waits at least for the beat that needs it, when a leg is placed."""


class Mixer:
    """All legs at 8 kHz, FRAME samples a tick. Row 0 is silence and belongs to nobody.

    Columns, all (capacity,) and by row (`handle & 0xFFFF`), to be read and not written:

    - `quiet` int32: ticks since the last packet (since `open`, if there was none);
    - `level` int16: the greatest sample of the frame spoken in the last tick;
    - `delay` int32: samples from the last packet's arrival to the beat that plays its first sample;
    - `received`, `lost`, `late`, `duplicate` int64: packets, as RFC 3550 counts them; a late one is not lost;
    - `gaps` int64: times that speech broke off;
    - `reset_count` int64: times that a new source or timeline was followed.

    `heard` uint8 (capacity, FRAME): the payload that each row hears, after `tick`. `finished`: the prompts
    whose last sample went out in the last tick. `analysis`: levels, talkers, keys, gates and gains.
    """

    def __init__(
        self, capacity: int, *, slack: int = SLACK, ceiling: int = CEILING, keys_heard: bool = True
    ) -> None:
        """Allocate `capacity` rows, row 0 included; `slack`, `ceiling` (samples): see `SLACK`, `CEILING`;
        `keys_heard`: see `Analysis`."""
        self._rows = Rows(capacity)
        self._concealment = Concealment(self._rows)
        self._jitter = Jitter(self._rows, self._concealment, Target(self._rows, slack, ceiling))
        self._routing = Routing(self._rows)
        self._prompts = Prompts()
        self.analysis = Analysis(self._rows, keys_heard=keys_heard)
        self._plan = self._routing.plan()
        self.heard: NDArray[np.uint8] = self._rows.column(np.uint8, g711.SILENCE[ULAW], width=FRAME)
        self.level: NDArray[np.int16] = self._rows.column(np.int16)
        self.quiet = self._jitter.quiet
        self.delay = self._jitter.delay
        self.received, self.late = self._jitter.received, self._jitter.late
        self.lost, self.duplicate = self._jitter.sequence.lost, self._jitter.sequence.duplicate
        self.gaps, self.reset_count = self._concealment.gaps, self._jitter.reset_count

        self._words = np.empty((capacity, FRAME), np.uint16)
        self._speech = np.empty((capacity, FRAME), np.int16)
        self._contributions = np.empty((capacity, FRAME), np.int32)
        self._bus = np.empty((capacity, FRAME), np.int32)
        self._clipped = np.empty((capacity, FRAME), np.int32)
        self._encoded = np.empty((capacity, FRAME), np.uint8)

    @property
    def capacity(self) -> int:
        return self._rows.capacity

    @property
    def finished(self) -> list[int]:
        return self._prompts.finished

    # --- legs

    def open(self, law: int = ULAW) -> Handle:
        """A new leg that hears in `law`, in no room: it hears its own prompts alone. Raises `Full`."""
        handle = self._rows.hand_out()
        self._routing.opened(handle, law)
        self.heard[self._rows.row(handle)] = g711.SILENCE[law]
        return handle

    def close(self, handle: Handle) -> None:
        """The leg is gone, and its prompts; its handle matches nothing from now on, nor in coach lists."""
        self._routing.closed(handle)
        row = self._rows.take_back(handle)
        self._prompts.forget(row)
        self._rows.reset(row)  # late packets find no stream to continue

    def set_law(self, handle: Handle, law: int) -> None:
        """The law in which a leg hears; in which it speaks is said with each packet."""
        self._routing.set_law(handle, law)

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
        """Take n packets in order of arrival, best all of a tick at once.

        `age`: samples (1/8000 s) from arrival to this tick's beat. `payload`: C-contiguous, (n, slot); packet
        i's audio is `payload[i, offset[i] : offset[i] + length[i]]`. Dropped are packets of rows not in use,
        empty ones, and those of more than 960 samples.
        """
        if rows.size:
            self._jitter.push(rows, sequence, timestamp, ssrc, law, age, payload, offset, length)

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
        if rows:
            self.analysis.forget(np.array(rows, np.intp))

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

    def tick(self, skipped: int = 0) -> None:
        """One frame of everything: read, decode, sum, subtract, clip, encode. `skipped` as `skip` first."""
        if skipped:
            self.skip(skipped)
        plan = self._plan = self._routing.plan()
        n = plan.order.size
        words, speech = self._words[:n], self._speech[:n]
        self.analysis.begin()
        self._jitter.glide()
        self._jitter.read(plan.order, words)
        g711.decode(words, speech)
        self._concealment.smooth(plan.order, words, speech, self._jitter.coming)
        self.level[plan.order] = np.maximum.reduce(speech, axis=1)
        self.analysis.hear(plan.order, speech)

        contributions, bus = self._contributions[:n], self._bus[:n]
        np.multiply(speech, plan.speaks, out=contributions)
        self._contributions[n] = 0
        totals = mix.sums(self._contributions[: n + 1], plan.rounds)
        voices = self._prompts.speak(plan)
        if voices is not None:
            totals[voices.rooms] += voices.to_rooms
        np.take(totals, plan.room, axis=0, out=bus, mode="clip")
        np.subtract(bus, contributions, out=bus)
        if plan.coached.size:
            bus[plan.coached] += np.add.reduceat(
                speech[plan.coaches], plan.coached_starts, axis=0, dtype=np.int32
            )
        if voices is not None:
            bus[voices.legs] += voices.to_legs
        np.bitwise_and(bus, plan.hears, out=bus)

        clipped, encoded = self._clipped[:n], self._encoded[:n]
        np.clip(bus, -32768, 32767, out=clipped)
        g711.encode(clipped, plan.encode_base, encoded)
        self.heard[plan.order] = encoded
        self._jitter.advance()
        self.analysis.advance()

    def bus(self, handle: Handle) -> NDArray[np.int32]:
        """What the leg heard in the last tick before it was clipped and encoded; a copy, for tests."""
        bus: NDArray[np.int32] = self._bus[self._plan.position[self._rows.row(handle)]].copy()
        return bus
