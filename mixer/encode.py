"""What legs that do not hear G.711 are sent: encoded once per distinct sound.

Legs that hear the same sum need one encoder between them: those of a room that contribute exactly nothing
and are told nothing in private hear the room's public sum, those that hear nothing all hear silence. An
encoder has a memory, and so has the decoder that follows it. A leg therefore joins a shared encoder only
after both have been fed the same for half a second, and a leg that leaves one takes a copy of it along.

Shared encoders are fed the public sum and nothing else from their first frame on, and who shares one is
decided by routing and by contributions that are exactly zero, never by how loud anything is: what a coach
says reaches no byte of anybody else's.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixer import g722, opus
from mixer.formats import FORMATS
from mixer.packets import CELLS
from mixer.routing import NOWHERE, Block
from mixer.rows import Rows

WARM: Final = 25
"""Ticks that a leg hears the same as others before it shares their encoder."""

_APART = -2  # the route of a leg that hears what nobody else does

_SILENT = 2  # bytes at most of an Opus packet that says nothing and need not be sent (RFC 6716 section 2.1.9)
_LINEAR = np.array([known.codec == "L16" for known in FORMATS])


class Tuning(NamedTuple):
    """How Opus is to be encoded for a leg; other formats have nothing to tune."""

    bitrate: int = 0
    """Bit/s on average; 0 for what is good at the rate."""
    fec: bool = False
    dtx: bool = False


PLAIN_TUNING: Final = Tuning()


@dataclass(eq=False)
class _Mouth:
    """An encoder, and since when. `age`: ticks that it was fed; `last`: the one it was fed in; `silent`:
    ticks that it has been fed zeros."""

    encoder: opus.Encoder | g722.Encoder
    age: int = 0
    last: int = 0
    silent: int = 0

    def fork(self) -> "_Mouth":
        """One that goes on from here by itself."""
        return _Mouth(self.encoder.copy(), self.age, self.last, self.silent)

    @property
    def warm(self) -> bool:
        """Whether others' decoders may follow from here. One of Opus needs the same past; one of G.722 never
        comes to agree with another encoder unless in silence."""
        past = self.age if isinstance(self.encoder, opus.Encoder) else self.silent
        return past >= WARM

    def say(self, frame: NDArray[np.int16], out: NDArray[np.uint8]) -> int:
        """Encode a frame into `out`; how many bytes, 0 where nothing need be sent."""
        self.age += 1
        self.silent = 0 if frame.any() else self.silent + 1
        if isinstance(self.encoder, opus.Encoder):
            size = self.encoder.encode(frame.ctypes.data, frame.size, out.ctypes.data, out.size)
            return 0 if size <= _SILENT else size
        said = self.encoder.encode(frame)
        out[: len(said)] = np.frombuffer(said, np.uint8)
        return len(said)


_Group = tuple[int, int, Tuning]
"""Who hears the same in the same way: the route, the format, the tuning."""


class Encoders:
    """The encoders of all rows. `sent` uint8 (capacity, CELLS), `size` int32 (capacity,): each row's payload
    of this tick; `made`: payloads encoded so far, a shared one once."""

    def __init__(self, rows: Rows) -> None:
        self.sent: NDArray[np.uint8] = np.zeros((rows.capacity, CELLS), np.uint8)
        self.size: NDArray[np.int32] = rows.column(np.int32)
        self.made = 0
        self._ticks = 0
        self._format: NDArray[np.uint8] = rows.column(np.uint8)
        self._route: NDArray[np.int64] = rows.column(np.int64, _APART)
        self._steady: NDArray[np.int32] = rows.column(np.int32)  # ticks on that route
        self._tuning: dict[int, Tuning] = {}
        self._own: dict[int, _Mouth] = {}
        self._shared: dict[_Group, _Mouth] = {}
        self._member: dict[int, _Group] = {}  # rows that share
        self._payload = np.zeros(CELLS, np.uint8)

    def set(self, row: int, format: int, tuning: Tuning) -> None:
        """How the row hears from now on."""
        if self._tuning.get(row) != tuning or self._format[row] != format:
            self.forget(row)
            self._tuning[row] = tuning
            self._format[row] = format

    def forget(self, row: int) -> None:
        """The row hears nothing that is encoded here."""
        self._own.pop(row, None)
        self._member.pop(row, None)
        self._tuning.pop(row, None)
        self._steady[row], self._route[row], self.size[row] = 0, _APART, 0

    def begin(self) -> None:
        """Another tick; its blocks follow. Now and then encoders that nobody needs any more are dropped."""
        self._ticks += 1
        if self._ticks % WARM == 0 and self._shared:
            kept = set(self._member.values())
            self._shared = {
                group: mouth
                for group, mouth in self._shared.items()
                if group in kept or mouth.last >= self._ticks - 1
            }

    def encode(
        self,
        block: Block,
        heard: NDArray[np.int32],
        contributions: NDArray[np.int32],
        private: NDArray[np.intp],
    ) -> None:
        """One block: `heard` and `contributions` (n, frame); `private`: positions of those that hear more
        than their room."""
        at = block.coded
        rows = block.order[at]
        frames = heard[at].astype(np.int16)
        linear = _LINEAR[self._format[rows]]
        if linear.any():
            self._say_linear(rows[linear], frames[linear])
            at, rows, frames = at[~linear], rows[~linear], frames[~linear]
        route = np.where(block.hears[at, 0] != 0, block.numbers[block.room[at]], NOWHERE)
        apart = (route != NOWHERE) & contributions[at].any(axis=1) | np.isin(at, private)
        route[apart] = _APART
        steady = (route == self._route[rows]) & ~apart
        self._steady[rows] = np.where(steady, self._steady[rows] + 1, 0)
        self._route[rows] = route

        groups = self._groups(rows, route)
        together = {int(rows[place]): group for group, places in groups.items() for place in places}
        for row in rows.tolist():
            shared = self._member.get(row)
            if shared is not None and together.get(row) != shared:
                del self._member[row]
                self._own[row] = self._shared[shared].fork()
        for group, places in groups.items():
            self._say_shared(group, rows[places], frames[places[0]])
        for place, row in enumerate(rows.tolist()):
            if row not in self._member:
                self._say_alone(row, frames[place])

    def _groups(self, rows: NDArray[np.intp], route: NDArray[np.int64]) -> dict[_Group, list[int]]:
        """Those of whom two or more hear the same: their places in `rows`."""
        groups: dict[_Group, list[int]] = {}
        for place in np.flatnonzero(route != _APART).tolist():
            row = int(rows[place])
            group = int(route[place]), int(self._format[row]), self._tuning[row]
            groups.setdefault(group, []).append(place)
        return {group: places for group, places in groups.items() if len(places) > 1}

    def _say_shared(self, group: _Group, rows: NDArray[np.intp], frame: NDArray[np.int16]) -> None:
        """Feed the encoder of a group, and send what it says to those who have heard the same long enough."""
        mouth = self._shared.get(group)
        if mouth is None or mouth.last != self._ticks - 1:
            mouth = self._shared[group] = self._mouth(group[1], group[2])
        if mouth.warm:
            ready = rows[self._steady[rows] >= WARM]
            for row in ready.tolist():
                self._own.pop(row, None)
                self._member[row] = group
        sharing = np.array([row for row in rows.tolist() if self._member.get(row) == group], np.intp)
        mouth.last = self._ticks
        payload = self._payload
        size = mouth.say(frame, payload)
        self.made += 1
        self.sent[sharing, :size] = payload[:size]
        self.size[sharing] = size

    def _say_alone(self, row: int, frame: NDArray[np.int16]) -> None:
        mouth = self._own.get(row)
        if mouth is None:
            mouth = self._own[row] = self._mouth(int(self._format[row]), self._tuning[row])
        self.size[row] = mouth.say(frame, self.sent[row])
        self.made += 1

    def _say_linear(self, rows: NDArray[np.intp], frames: NDArray[np.int16]) -> None:
        """L16 needs no encoder: the samples, in network order (RFC 3551 section 4.5.11)."""
        payload = frames.astype(">i2").view(np.uint8)
        self.sent[rows, : payload.shape[1]] = payload
        self.size[rows] = payload.shape[1]

    def _mouth(self, format: int, tuning: Tuning) -> _Mouth:
        known = FORMATS[format]
        if known.codec == "G722":
            return _Mouth(g722.Encoder())
        encoder = opus.Encoder(
            known.rate,
            bitrate=tuning.bitrate or opus.BITRATE[known.rate],
            complexity=opus.COMPLEXITY,
            fec=tuning.fec,
            loss=opus.EXPECTED_LOSS if tuning.fec else 0,
            dtx=tuning.dtx,
        )
        return _Mouth(encoder)
