"""The packets of all legs that are sent to, a frame at a time. Source: RFC 3550 section 5.1, RFC 3551.

Every leg keeps one slot of the outbox (two for a ptime of 10 ms) and gathers frames in it until its ptime is
full. G.711 comes as rows of samples, every other codec as payloads of a size of their own, which may be none
at all where its encoder has nothing to say. Sequence number, timestamp and SSRC begin at random (RFC 3550
section 5.1). Timestamps follow the beat, whether or not a packet was sent, at the clock of the codec;
sequence numbers count packets, and the first one after a gap is marked. A leg whose clock changes goes on as
another stream.

While a key is sent, its events take the place of audio: one a beat, all with the timestamp at which it began,
the end in three beats (RFC 4733 section 2.5.1). A key begins where a packet of audio has ended.
"""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.datagrams import OUT_SLOT, Outbox
from rtp.dtmf import MAX_DURATION
from rtp.keys import PER_MILLISECOND, KeySender
from rtp.packet import HEADER, HEADER_BYTES
from rtp.reports import Sending

FRAME: Final = 160
HALF: Final = FRAME // 2
MOST_FRAMES: Final = 3
PTIMES: Final = (10, 20, 40, 60)
NO_EVENTS: Final = -1
CLOCK: Final = 8000
"""Hz of the beat's own clock; every other one is a multiple."""
_OUT_HEADER: Final = np.dtype(
    {"names": ["header"], "formats": [HEADER], "offsets": [0], "itemsize": OUT_SLOT}
)
_EVENT: Final = np.dtype(
    {
        "names": ["code", "end_and_volume", "duration"],
        "formats": ["u1", "u1", ">u2"],
        "offsets": [HEADER_BYTES, HEADER_BYTES + 1, HEADER_BYTES + 2],
        "itemsize": OUT_SLOT,
    }
)
_EVENT_BYTES: Final = 4
_END: Final = 0x80
_VOLUME: Final = 10  # -10 dBm0
_SLOTS: Final = 3  # of a leg


class Outgoing:
    """Columns of `rows` legs, by the mixer's rows. Slot `row` of the outbox is a leg's packet, slot
    `rows + row` the second one of a beat where the ptime is 10 ms, slot `2 * rows + row` its event."""

    def __init__(self, rows: int) -> None:
        self.outbox = Outbox(_SLOTS * rows)
        self.sent = np.zeros(rows, np.int64)
        self._octets = np.zeros(_SLOTS * rows, np.int64)  # of payload, by slot, since the stream began
        self._sent_before = np.zeros(rows, np.int64)  # in earlier streams
        self._rows = rows
        self._clock = 0
        self._header = self.outbox.slots.view(_OUT_HEADER)[:, 0]["header"]
        self._header["flags"] = 0x80
        self._event = self.outbox.slots.view(_EVENT)[:, 0]
        self.outbox.lengths[2 * rows :] = HEADER_BYTES + _EVENT_BYTES
        self._slots_of = np.arange(_SLOTS) * rows  # of row 0
        self._keys = KeySender(rows)
        payload = self.outbox.slots[:rows, HEADER_BYTES : HEADER_BYTES + MOST_FRAMES * FRAME]
        self._frames = payload.reshape(rows, MOST_FRAMES, FRAME, copy=False)
        self._sending = np.zeros(rows, bool)
        self._halves = np.zeros(rows, bool)  # two packets a beat
        self._port = np.zeros(rows, np.int32)
        self._type = np.zeros(rows, np.uint8)
        self._event_type = np.full(rows, NO_EVENTS, np.int16)
        self._sequence = np.zeros(rows, np.uint16)
        self._timestamp = np.zeros(rows, np.uint32)
        self._scale = np.ones(rows, np.uint32)  # timestamps in 1/8000 s
        self._event_scale = np.ones(rows, np.uint32)
        self._coded = np.zeros(rows, bool)  # comes as payloads
        self._every = np.ones(rows, np.int32)
        self._gathered = np.zeros(rows, np.int32)
        self._marker = np.zeros(rows, bool)
        self._active = np.zeros(0, np.intp)
        self._usual: list[tuple[int, int, int]] = []  # where each port's part of them is
        self._halved = np.zeros(0, np.intp)
        self._any_coded = False
        self._dirty = False

    # What control says

    def open(self, row: int, port: int) -> None:
        """A leg takes a row and a local port; it is sent nothing yet."""
        self._sending[row] = False
        self._port[row] = port
        self._timestamp[row] = secrets.randbits(32)
        self._scale[row] = 1
        self.begin_source(row)
        self._every[row] = 1
        self.sent[row] = 0
        self._sent_before[row] = 0
        self._dirty = True

    def close(self, row: int) -> None:
        self._keys.drop(row)
        self._sending[row] = False
        self._dirty = True

    def move(self, row: int, port: int) -> None:
        self._port[row] = port
        self._dirty = True

    def send_as(
        self,
        row: int,
        payload_type: int,
        ptime: int,
        sending: bool,
        events: int = NO_EVENTS,
        *,
        clock: int = CLOCK,
        events_clock: int = CLOCK,
        coded: bool = False,
    ) -> None:
        """How the leg is sent to from now on; ptime in ms, one of PTIMES; `events`: the payload type of its
        telephone-event; clocks in Hz; `coded`: it comes as payloads, not as samples of G.711."""
        every = max(1, ptime // 20)
        halved = ptime == 10
        begins = sending and not self._sending[row]
        if clock // CLOCK != self._scale[row]:
            self._timestamp[row] = secrets.randbits(32)
            self._scale[row] = clock // CLOCK
            self.begin_source(row)
            begins = sending
        if (
            begins
            or payload_type != self._type[row]
            or every != self._every[row]
            or coded != self._coded[row]
            or bool(self._halves[row]) != halved
        ):
            self._marker[row] |= self._gathered[row] > 0  # what was gathered is given up: time leaps
            self._gathered[row] = 0
        if begins:
            self._marker[row] = True
        self._type[row] = payload_type
        self._event_type[row] = events
        self._event_scale[row] = events_clock // CLOCK
        self._coded[row] = coded
        self._every[row] = every
        self._halves[row] = halved
        if not coded:
            self.outbox.lengths[row] = HEADER_BYTES + (HALF if halved else every * FRAME)
            self.outbox.lengths[self._rows + row] = HEADER_BYTES + HALF
        self._sending[row] = sending
        self._dirty = True

    def begin_source(self, row: int) -> None:
        """The leg's next packet is the first of another SSRC."""
        self._sequence[row] = secrets.randbits(15)  # far from the wrap: SRTP's receivers count those
        self._header["ssrc"][self._slots_of + row] = secrets.randbits(32)
        self._sent_before[row] = self.sent[row]
        self._octets[self._slots_of + row] = 0

    def send_to(self, row: int, address: int, port: int) -> None:
        """Where the leg's packets go: IPv4 in host order, UDP port."""
        slots = self._slots_of + row
        self.outbox.names["address"][slots] = address
        self.outbox.names["port"][slots] = port

    def press(self, row: int, id: int, keys: str, *, tone: float, interval: float) -> None:
        """Send keys, as `rtp.keys.plan` reads them, from the next beat on; `tone` and `interval` in ms. Time
        goes on where nothing is sent to the leg. Raises ValueError."""
        if self._event_type[row] == NO_EVENTS:
            raise ValueError("the far end takes no telephone events")
        scale = int(self._event_scale[row])
        if scale > 1:  # an event's duration has 16 bits, which at 48 kHz are 1.3 s
            tone = min(tone, MAX_DURATION // scale // PER_MILLISECOND)
        self._keys.send(id, row, keys, tone=tone, interval=interval, clock=self._clock)

    def release(self, id: int) -> None:
        """Send no more keys of that `press`."""
        self._keys.stop(id)

    def take_pressed(self) -> list[int]:
        """The ids of those `press` whose keys have been sent, and whose last silence is over."""
        pressed, self._keys.finished = self._keys.finished, []
        return pressed

    # What the beat does

    def skip(self, beats: int) -> None:
        """So many beats are left out: time goes on, half-gathered packets are given up, what comes next is
        marked."""
        self._clock += beats * FRAME
        self._keys.skip(beats * FRAME)
        self._gathered[:] = 0
        self._marker[self._sending] = True

    def gather(
        self, heard: NDArray[np.uint8], sent: NDArray[np.uint8], size: NDArray[np.int32]
    ) -> tuple[NDArray[np.intp], list[tuple[int, int, int]]]:
        """Take the beat's frame of each leg: from heard u8[rows, 160], or of coded ones the first `size`
        i32[rows] bytes of sent u8[rows, most]. Returns the slots that are due, in order of local port, and
        (port, start, stop) of each port's part."""
        if self._dirty:
            self._arrange()
        rows, halved = self._active, self._halved
        events: NDArray[np.intp] | None = None
        if self._keys.sending:
            self._keys.begin(self._clock, lambda row: not (self._sending[row] and self._gathered[row]))
            silenced = self._keys.on
            rows, halved = rows[~silenced[rows]], halved[~silenced[halved]]
            events = self._write_events()
        self._clock += FRAME
        if not len(rows) and events is None:
            return rows, []
        if self._any_coded:
            rows, halved = self._take_coded(rows, halved, heard, sent, size)
        else:
            self._frames[rows, self._gathered[rows]] = heard[rows]
        gathered = self._gathered[rows] + 1
        full = gathered == self._every[rows]
        gathered[full] = 0
        self._gathered[rows] = gathered
        due = rows if full.all() else rows[full]
        self._write_headers(due, due, 0)
        slots = due
        if len(halved):
            slots = self._in_order(due, self._write_second_halves(halved, heard, sent, size))
        self.sent[due] += 1
        if events is not None:
            slots = self._in_order(slots, events)
        if not len(slots):
            return slots, []
        self._octets[slots] += self.outbox.lengths[slots].astype(np.int64) - HEADER_BYTES
        return slots, self._usual if slots is self._active else self._runs(slots)

    def _take_coded(
        self,
        rows: NDArray[np.intp],
        halved: NDArray[np.intp],
        heard: NDArray[np.uint8],
        sent: NDArray[np.uint8],
        size: NDArray[np.int32],
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Take the frames of all legs; those that have one."""
        coded = self._coded[rows]
        plain = rows[~coded]
        self._frames[plain, self._gathered[plain]] = heard[plain]
        coded = rows[coded]
        said = size[coded] > 0
        quiet = coded[~said]
        if quiet.size:
            self._marker[quiet] = True
            rows, halved = rows[~np.isin(rows, quiet)], halved[~np.isin(halved, quiet)]
            coded = coded[said]
        if coded.size:
            length = size[coded]
            gathered = self._gathered[coded]
            width = int(length.max())
            if gathered.any():
                byte = np.arange(width)
                place = np.minimum(HEADER_BYTES + (gathered * length)[:, None] + byte, OUT_SLOT - 1)
                some = byte < length[:, None]
                self.outbox.slots[np.broadcast_to(coded[:, None], some.shape)[some], place[some]] = sent[
                    coded, :width
                ][some]
            else:
                self.outbox.slots[coded, HEADER_BYTES : HEADER_BYTES + width] = sent[coded, :width]
            part = length // (1 + self._halves[coded])
            self.outbox.lengths[coded] = HEADER_BYTES + gathered * length + part
        return rows, halved

    def sending(self, rows: NDArray[np.intp]) -> Sending:
        """What sender reports of these rows say; the time is that of the frame which is taken next."""
        now = np.uint32(self._clock & 0xFFFF_FFFF)
        return Sending(
            ssrc=self._header["ssrc"][rows].astype(np.uint32),
            timestamp=self._timestamp[rows] + now * self._scale[rows],
            packets=self.sent[rows] - self._sent_before[rows],
            octets=self._octets.reshape(_SLOTS, self._rows)[:, rows].sum(axis=0),
        )

    def wait(self, row: int) -> int:
        """Beats from the one just gathered until the packet with its frame has been played out."""
        every = int(self._every[row])
        left = (every - int(self._gathered[row])) % every
        return left + every

    def longest_wait(self) -> int:
        """The same, of the slowest leg of all."""
        every = int(self._every[self._active].max(initial=1))
        return 2 * every - 1

    @property
    def active(self) -> int:
        """How many legs are sent to."""
        return len(self._active)

    def _arrange(self) -> None:
        rows = np.flatnonzero(self._sending)
        self._active = rows[np.argsort(self._port[rows], kind="stable")]
        self._halved = self._active[self._halves[self._active]]
        self._any_coded = bool(self._coded[self._active].any())
        self._usual = self._runs(self._active)
        self._dirty = False

    def _write_headers(self, rows: NDArray[np.intp], slots: NDArray[np.intp], later: int) -> None:
        """Number each row's next packet in its slot; `later`: how far it ends after the beat's frame."""
        marked = self._marker[rows]
        self._header["type"][slots] = self._type[rows] | marked.astype(np.uint8) << 7
        self._header["sequence"][slots] = self._sequence[rows]
        now = np.uint32((self._clock + later) & 0xFFFF_FFFF)
        begun = now - self._every[rows].astype(np.uint32) * np.uint32(FRAME)
        self._header["timestamp"][slots] = self._timestamp[rows] + begun * self._scale[rows]
        self._sequence[rows] += 1
        self._marker[rows] = False

    def _write_second_halves(
        self,
        halved: NDArray[np.intp],
        heard: NDArray[np.uint8],
        sent: NDArray[np.uint8],
        size: NDArray[np.int32],
    ) -> NDArray[np.intp]:
        """The second packet of a beat for each leg of 10 ms; its slots."""
        coded = self._coded[halved]
        plain = halved[~coded] + self._rows
        self.outbox.slots[plain, HEADER_BYTES : HEADER_BYTES + HALF] = heard[halved[~coded], HALF:]
        for row in halved[coded].tolist():
            half = int(size[row]) // 2
            slot = row + self._rows
            self.outbox.slots[slot, HEADER_BYTES : HEADER_BYTES + half] = sent[row, half : 2 * half]
            self.outbox.lengths[slot] = HEADER_BYTES + half
        second = halved + self._rows
        self._write_headers(halved, second, HALF)
        self.sent[halved] += 1
        return second

    def _write_events(self) -> NDArray[np.intp]:
        """The events of this beat; their slots."""
        tones = self._keys.advance()
        self._marker[tones.rows[tones.last]] = True  # of the audio that follows
        said = self._sending[tones.rows] & (self._event_type[tones.rows] != NO_EVENTS)
        rows = tones.rows[said]
        slots: NDArray[np.intp] = rows + 2 * self._rows
        self._header["type"][slots] = self._event_type[rows] | tones.first[said].astype(np.int16) << 7
        self._header["sequence"][slots] = self._sequence[rows]
        began = (tones.began[said] & 0xFFFF_FFFF).astype(np.uint32)
        scale = self._event_scale[rows]
        self._header["timestamp"][slots] = self._timestamp[rows] + began * scale
        self._event["code"][slots] = tones.code[said]
        self._event["end_and_volume"][slots] = _VOLUME + _END * tones.over[said]
        self._event["duration"][slots] = np.minimum(tones.duration[said] * scale, MAX_DURATION)
        self._sequence[rows] += 1
        self.sent[rows] += 1
        return slots

    def _runs(self, slots: NDArray[np.intp]) -> list[tuple[int, int, int]]:
        """(port, start, stop) of each port's part of slots in order of local port."""
        ports = self._port[slots % self._rows]
        starts = np.flatnonzero(np.diff(ports, prepend=-1))
        stops = np.append(starts, len(slots))[1:]
        return list(zip(ports[starts].tolist(), starts.tolist(), stops.tolist(), strict=True))

    def _in_order(self, slots: NDArray[np.intp], more: NDArray[np.intp]) -> NDArray[np.intp]:
        """All of them in order of local port; those of one leg stay in the order given."""
        slots = np.concatenate([slots, more])
        return slots[np.argsort(self._port[slots % self._rows], kind="stable")]
