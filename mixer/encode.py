"""What legs that do not hear G.711 are sent: encoded once per distinct sound.

Legs that hear the same sum need one encoder between them: those of a room that contribute exactly nothing
and are told nothing in private hear the room's public sum, those that hear nothing all hear silence. An
encoder has a memory, and so has the decoder that follows it. A leg therefore joins a shared encoder only
after both have been fed the same for half a second, and a leg that leaves one takes a copy of it along.

Shared encoders are fed the public sum and nothing else from their first frame on, and who shares one is
decided by routing and by contributions that are exactly zero, never by how loud anything is: what a coach
says reaches no byte of anybody else's.

Silence costs nothing in Opus: whoever has been fed zeros for a while is sent the packet of an encoder that
has never been fed anything else, always the same, and goes on with a copy of it when something sounds. It
remembers of nobody what he heard, and no decoder tells it from the one it had (within one step).
"""

import ctypes
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from mixer import g722, opus
from mixer.formats import FORMATS
from mixer.packets import CELLS
from mixer.routing import NOWHERE, Block
from mixer.rows import Rows

WARM: Final = 25
"""Ticks that a leg hears the same as others before it shares their encoder."""

FADED: Final = 5
"""Ticks of zeros after which nothing is left in an encoder of Opus that its decoder could hear."""

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

_Encoder = opus.Encoder | g722.Encoder


class _Silence(NamedTuple):
    """What an encoder of Opus says to zeros, and the encoder, which says it again and again."""

    packet: bytes
    encoder: opus.Encoder


class _Kind:
    """A format and a tuning: legs of one kind can be sent the same bytes. `number`: no other's, ever."""

    _numbers = itertools.count(1)

    def __init__(self, format: int, tuning: Tuning) -> None:
        self.number = next(self._numbers)
        self.format, self.tuning = format, tuning

    def encoder(self) -> _Encoder:
        """A new one."""
        known, tuning = FORMATS[self.format], self.tuning
        if known.codec == "G722":
            return g722.Encoder()
        return opus.Encoder(
            known.rate,
            bitrate=tuning.bitrate or opus.BITRATE[known.rate],
            complexity=opus.COMPLEXITY,
            fec=tuning.fec,
            loss=opus.EXPECTED_LOSS if tuning.fec else 0,
            dtx=tuning.dtx,
        )

    @cached_property
    def silence(self) -> _Silence | None:
        """None of G.722, whose decoders would crackle, and of Opus with DTX, which says silence by itself."""
        encoder = self.encoder()
        if not isinstance(encoder, opus.Encoder) or self.tuning.dtx:
            return None
        frame = np.zeros(FORMATS[self.format].rate // 50, np.int16)
        packet = np.empty(CELLS, np.uint8)
        for _ in range(FADED):
            size = encoder.encode(frame.ctypes.data, frame.size, packet.ctypes.data, packet.size)
        return _Silence(packet[:size].tobytes(), encoder)


@dataclass(eq=False)
class _Mouth:
    """What speaks to one leg, or to several (`shared`). `age`: ticks that it has spoken; `last`: the one in
    which it did; `silent`: ticks that it has been fed zeros. `encoder`: None while its kind's silence speaks.
    """

    kind: _Kind
    encoder: _Encoder | None
    shared: bool = False
    age: int = 0
    last: int = 0
    silent: int = 0

    def fork(self) -> "_Mouth":
        """One that goes on from here by itself."""
        encoder = None if self.encoder is None else self.encoder.copy()
        return _Mouth(self.kind, encoder, age=self.age, last=self.last, silent=self.silent)

    @property
    def warm(self) -> bool:
        """Whether others' decoders may follow from here. One of Opus needs the same past; one of G.722 never
        comes to agree with another encoder unless in silence."""
        past = self.silent if FORMATS[self.kind.format].codec == "G722" else self.age
        return past >= WARM

    def say(self, frames: "_Frames", place: int, out: int) -> int:
        """Encode a frame to the CELLS bytes at `out`; how many bytes, 0 where nothing need be sent."""
        self.age += 1
        self.silent = 0 if frames.sound[place] else self.silent + 1
        silence = self.kind.silence
        if silence is not None:
            if self.silent > FADED:
                self.encoder = None
                ctypes.memmove(out, silence.packet, len(silence.packet))
                return len(silence.packet)
            if self.encoder is None:
                self.encoder = silence.encoder.copy()
        if isinstance(self.encoder, opus.Encoder):
            size = self.encoder.encode(frames.address(place), frames.samples.shape[1], out, CELLS)
            return 0 if size <= _SILENT else size
        assert self.encoder is not None
        said = self.encoder.encode(frames.samples[place])
        ctypes.memmove(out, said, len(said))
        return len(said)


class _Frames:
    """What legs are to be told, `samples` int16 (n, frame); `sound`: whether it is any but zeros."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        self.samples = samples
        self.sound: list[bool] = (np.bitwise_or.reduce(samples, axis=1) != 0).tolist()
        self._begin, self._step = samples.ctypes.data, samples.strides[0]

    def address(self, place: int) -> int:
        return self._begin + place * self._step


class Encoders:
    """The encoders of all rows. `sent` uint8 (capacity, CELLS), `size` int32 (capacity,): each row's payload
    of this tick; `made`: payloads encoded so far, a shared one once."""

    def __init__(self, rows: Rows) -> None:
        self.sent: NDArray[np.uint8] = np.zeros((rows.capacity, CELLS), np.uint8)
        self.size: NDArray[np.int32] = rows.column(np.int32)
        self.made = 0
        self._ticks = 0
        self._format: NDArray[np.uint8] = rows.column(np.uint8)
        self._number: NDArray[np.int64] = rows.column(np.int64)  # of the row's kind
        self._route: NDArray[np.int64] = rows.column(np.int64, _APART)
        self._steady: NDArray[np.int32] = rows.column(np.int32)  # ticks on that route
        self._kinds: dict[int, _Kind] = {}  # by row
        self._known: WeakValueDictionary[tuple[int, Tuning], _Kind] = WeakValueDictionary()
        self._mouths: NDArray[np.object_] = np.full(rows.capacity, None)  # by row; shared ones several times
        self._shared: dict[tuple[int, _Kind], _Mouth] = {}  # by route

    def set(self, row: int, format: int, tuning: Tuning) -> None:
        """How the row hears from now on."""
        kind = self._known.get((format, tuning)) or _Kind(format, tuning)
        if self._kinds.get(row) is not kind:
            self.forget(row)
            self._known[format, tuning] = self._kinds[row] = kind
            self._format[row], self._number[row] = format, kind.number

    def forget(self, row: int) -> None:
        """The row hears nothing that is encoded here."""
        self._mouths[row] = None
        self._kinds.pop(row, None)
        self._steady[row], self._route[row], self.size[row] = 0, _APART, 0

    def begin(self) -> None:
        """Another tick; its blocks follow. Now and then encoders that nobody needs any more are dropped."""
        self._ticks += 1
        if self._ticks % WARM == 0 and self._shared:
            used = {group: mouth for group, mouth in self._shared.items() if mouth.last >= self._ticks - 1}
            self._shared = used

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
        samples = heard[at].astype(np.int16)
        linear = _LINEAR[self._format[rows]]
        if linear.any():
            self._say_linear(rows[linear], samples[linear])
            at, rows, samples = at[~linear], rows[~linear], samples[~linear]
        if not rows.size:
            return
        route = np.where(block.hears[at, 0] != 0, block.numbers[block.room[at]], NOWHERE)
        apart = (route != NOWHERE) & (np.bitwise_or.reduce(contributions, axis=1)[at] != 0) | np.isin(
            at, private
        )
        route[apart] = _APART
        steady = (route == self._route[rows]) & ~apart
        self._steady[rows] = np.where(steady, self._steady[rows] + 1, 0)
        self._route[rows] = route

        frames = _Frames(samples)
        places, first = self._together(rows, route)
        leaders = places[first].tolist()
        shared = [self._shared_by(int(route[place]), self._kinds[int(rows[place])]) for place in leaders]
        turn = np.full(rows.size, -1)
        turn[places] = np.arange(first.size).repeat(np.diff(np.append(first, places.size)))
        common = np.array([*shared, None])[turn]
        mouths = self._mouths[rows]
        alone = np.flatnonzero((mouths != common) | (turn < 0))
        for place in alone.tolist():
            mouths[place] = self._next(int(rows[place]), mouths[place], common[place])
        self._mouths[rows] = mouths

        said = np.empty((first.size, CELLS), np.uint8)
        sizes = self._say(shared, frames, leaders, said.ctypes.data + np.arange(first.size) * CELLS)
        sharing = np.flatnonzero((mouths == common) & (turn >= 0))
        self.sent[rows[sharing]] = said[turn[sharing]]
        self.size[rows[sharing]] = np.array(sizes, np.int32)[turn[sharing]]
        alone = alone[mouths[alone] != common[alone]]
        out = self.sent.ctypes.data + rows[alone] * CELLS
        self.size[rows[alone]] = self._say(mouths[alone].tolist(), frames, alone.tolist(), out)

    def _together(
        self, rows: NDArray[np.intp], route: NDArray[np.int64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Those of whom two or more hear the same in the same way: their places in `rows`, side by side, and
        where in those each group begins."""
        number = self._number[rows]
        places = np.lexsort((number, route))
        route, number = route[places], number[places]
        same = (route[1:] == route[:-1]) & (number[1:] == number[:-1]) & (route[1:] != _APART)
        group = np.append(0, np.cumsum(~same))
        many = np.bincount(group)[group] > 1
        return places[many], np.flatnonzero(np.diff(group[many], prepend=-1))

    def _shared_by(self, route: int, kind: _Kind) -> _Mouth:
        """What speaks to a group; a new one if the group was not there in the last tick."""
        mouth = self._shared.get((route, kind))
        if mouth is None or mouth.last != self._ticks - 1:
            mouth = self._shared[route, kind] = _Mouth(kind, kind.encoder(), shared=True)
        mouth.last = self._ticks
        return mouth

    def _next(self, row: int, mouth: _Mouth | None, common: _Mouth | None) -> _Mouth:
        """What speaks to a row from now on, which hitherto was not spoken to by the `common` mouth of those
        who hear the same."""
        if mouth is None:
            return _Mouth(self._kinds[row], self._kinds[row].encoder())
        if mouth.shared:
            return mouth.fork()
        if common is not None and common.warm and self._steady[row] >= WARM:
            return common
        return mouth

    def _say(
        self, mouths: list[_Mouth], frames: _Frames, places: list[int], out: NDArray[np.intp]
    ) -> list[int]:
        """Feed each mouth the frame at its place; how many bytes it said, to the address `out`."""
        sizes = []
        for mouth, place, address in zip(mouths, places, out.tolist(), strict=True):
            sizes.append(mouth.say(frames, place, address))
            self.made += mouth.encoder is not None
        return sizes

    def _say_linear(self, rows: NDArray[np.intp], frames: NDArray[np.int16]) -> None:
        """L16 needs no encoder: the samples, in network order (RFC 3551 section 4.5.11)."""
        payload = frames.astype(">i2").view(np.uint8)
        self.sent[rows, : payload.shape[1]] = payload
        self.size[rows] = payload.shape[1]
