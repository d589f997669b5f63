"""Telephone events: each key once, whatever is lost on the way. Source: RFC 4733 section 2.

All packets of one event carry its timestamp and a growing duration; the last three say "end". A key is
reported when its end arrives; when a later event begins first, or nothing more comes for `LOST_END` seconds,
its end was lost and it is reported as it is. Which packet comes first does not matter: any one will do. Nor
does the source, which may change while a key is held (new keys of SRTP, a gateway that moves a call).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.packet import Headers

KEYS: Final = "0123456789*#ABCD"
LOST_END: Final = 0.3
STRAGGLE: Final = 5  # seconds; a timestamp further back is a clock that was set anew
LATEST: Final = 1.0  # seconds; no straggler comes later, but one who plays a recorded key may do so again
MAX_DURATION: Final = 0xFFFF
EVENT_PACKETS: Final = 256
"""Telephone events looked at in a batch; more come only from one who floods."""

Press = tuple[int, str, int]
"""Row, key, duration in ms."""


@dataclass(slots=True)
class _Event:
    ssrc: int
    timestamp: int
    key: str
    duration: int
    seen: float
    before: int = 0  # the duration of earlier segments

    def goes_on_as(self, ssrc: int, timestamp: int, key: str) -> bool:
        """A key held for longer than the duration field can say goes on in a segment with a timestamp of its
        own (RFC 4733 section 2.5.1.3)."""
        follows = (timestamp - self.timestamp) & 0xFFFF_FFFF == MAX_DURATION
        return follows and (ssrc, key) == (self.ssrc, self.key)

    def has(self, timestamp: int, key: str) -> bool:
        return (timestamp, key) == (self.timestamp, self.key)


class KeyReceiver:
    """The telephone events of one leg. Clock rate: samples a second of the event's timestamps."""

    def __init__(self, clock_rate: int = 8000) -> None:
        self._rate = clock_rate
        self._current: _Event | None = None
        self._done: _Event | None = None  # the last one reported
        self._heard = 0.0  # when a packet of it or of the current key came

    def __repr__(self) -> str:
        return "KeyReceiver()"  # what was pressed may be a PIN

    def receive(self, payload: bytes, ssrc: int, timestamp: int, now: float) -> list[tuple[str, int]]:
        """(key, duration in ms) of each key that this packet completes. Packets too short and events that
        are no keys are passed over."""
        if len(payload) < 4 or payload[0] >= len(KEYS):
            return []
        key = KEYS[payload[0]]
        again = self._done is not None and self._done.has(timestamp, key) and now - self._heard <= LATEST
        if again:
            self._heard = now
        if again or self._is_old(ssrc, timestamp, now):
            return []
        self._heard = now
        keys = []
        current = self._current
        if current is not None and current.goes_on_as(ssrc, timestamp, key):
            current.before += MAX_DURATION
            current.timestamp, current.duration = timestamp, 0
        if current is None or not current.has(timestamp, key):
            keys = self._report()
            self._current = current = _Event(ssrc, timestamp, key, 0, now)
        current.duration = max(current.duration, int.from_bytes(payload[2:4], "big"))
        current.seen = now
        if payload[1] & 0x80:
            keys += self._report()
        return keys

    def expire(self, now: float) -> list[tuple[str, int]]:
        """The key whose end has been waited for long enough, if any."""
        if self._current is not None and now - self._current.seen >= LOST_END:
            return self._report()
        return []

    @property
    def idle(self) -> bool:
        return self._current is None

    def spent(self, now: float) -> bool:
        """No key is held, and no straggler of the last one comes any more."""
        return self.idle and now - self._heard > STRAGGLE

    def _report(self) -> list[tuple[str, int]]:
        current, self._current = self._current, None
        if current is None:
            return []
        self._done = current
        return [(current.key, (current.before + current.duration) * 1000 // self._rate)]

    def _is_old(self, ssrc: int, timestamp: int, now: float) -> bool:
        """A straggler of an event before the last one reported: its key has been reported already."""
        reference = self._current or self._done
        if reference is None or reference.ssrc != ssrc or now - self._heard > LATEST:
            return False
        behind = (reference.timestamp - timestamp) & 0xFFFF_FFFF
        return 0 < behind < STRAGGLE * self._rate


class KeyReceivers:
    """The telephone events of all rows. Of one that has sent none lately nothing is kept."""

    def __init__(self, rows: int) -> None:
        self._clock = np.full(rows, 8000, np.int32)
        self._receivers: dict[int, KeyReceiver] = {}

    def __repr__(self) -> str:
        return "KeyReceivers()"

    def __len__(self) -> int:
        """Of how many rows something is kept."""
        return len(self._receivers)

    def set_clock(self, row: int, hertz: int) -> None:
        """The clock of the events that the leg sends."""
        if hertz != self._clock[row]:
            self._clock[row] = hertz
            self.forget(row)

    def forget(self, row: int) -> None:
        """A key that is held now is never reported."""
        self._receivers.pop(row, None)

    def receive(
        self,
        which: NDArray[np.intp],
        rows: NDArray[np.intp],
        headers: Headers,
        slots: NDArray[np.uint8],
        now: float,
    ) -> list[Press]:
        """What those packets of a batch that are telephone events complete; `rows`: by packet."""
        pressed: list[Press] = []
        for packet in which[:EVENT_PACKETS].tolist():
            row, start = int(rows[packet]), int(headers.offset[packet])
            payload = slots[packet, start : start + int(headers.size[packet])].tobytes()
            receiver = self._receivers.setdefault(row, KeyReceiver(int(self._clock[row])))
            keys = receiver.receive(payload, int(headers.ssrc[packet]), int(headers.timestamp[packet]), now)
            pressed += [(row, key, duration) for key, duration in keys]
        return pressed

    def expire(self, now: float) -> list[Press]:
        """The keys whose ends have been waited for long enough."""
        pressed: list[Press] = []
        for row, receiver in list(self._receivers.items()):
            pressed += [(row, key, duration) for key, duration in receiver.expire(now)]
            if receiver.spent(now):
                del self._receivers[row]
        return pressed
