"""Who hears whom, as data: seats, flags and coach lists in; one order of rows and a few masks out.

hears(a, b) = a and b sit in one room and are two, neither is on hold, b is not muted,
              and b is no coach or has a on his list.

A coach hears everybody so. (Conference guide, sections 4 and 5.2.) Nobody is "connected" to anybody: a leg
that is neither muted, held nor a coach *contributes* to his room, and a coach is a private share of those he
coaches.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixer import g711, mix
from mixer.formats import PLAIN, RATE, ULAW
from mixer.rows import Handle, Rows

NOWHERE = -1
"""The room of a leg that sits in none."""


class NotSeated(LookupError):
    """The leg sits in no room."""


@dataclass(frozen=True)
class Block:
    """The legs of one rate in one tick: n open rows, room by room, those in none last; r rooms."""

    rate: int
    order: NDArray[np.intp]  # (n,) rows
    position: NDArray[np.intp]  # (capacity,) where in `order` a row stands; -1: nowhere
    rounds: list[mix.Round]  # how the rooms are summed
    room: NDArray[np.intp]  # (n,) each position's room, 0 to r - 1; r for those in none
    rooms: dict[int, int]  # the room's number -> 0 to r - 1
    numbers: NDArray[np.int64]  # (r + 1,) the other way round; NOWHERE for none
    speaks: NDArray[np.int32]  # (n, 1) 1: contributes to the room, else 0
    hears: NDArray[np.int32]  # (n, 1) all bits: hears the room, 0: hears nothing
    coached: NDArray[np.intp]  # positions that hear a coach of this rate, each once
    coached_starts: NDArray[np.intp]  # where each one's coaches begin in `coaches`
    coaches: NDArray[np.intp]  # positions of their coaches
    packed: NDArray[np.intp]  # positions of those whose packets are decoded one by one
    coded: NDArray[np.intp]  # positions of those that do not hear G.711
    plain: NDArray[np.intp] | None  # positions of those that do; None for all
    encode_base: NDArray[np.int32]  # (n, 1) of the law that each hears; nothing for `coded`

    @property
    def frame(self) -> int:
        """Samples in a tick."""
        return self.rate // 50


@dataclass(frozen=True)
class Crossing:
    """What of one block (`source`, its place among them) is heard in another: rooms with legs in both."""

    source: int
    target: int
    numbers: tuple[int, ...]
    source_rooms: NDArray[np.intp]
    target_rooms: NDArray[np.intp]


@dataclass(frozen=True)
class Whisper:
    """Coaches of one block whom legs of another hear: listener `listeners[i]` hears `coaches[which[i]]`."""

    source: int
    target: int
    rows: tuple[int, ...]  # of the coaches, each once
    coaches: NDArray[np.intp]  # their positions in the source
    listeners: NDArray[np.intp]  # positions in the target, in order
    which: NDArray[np.intp]


@dataclass(frozen=True)
class Plan:
    """The routing of one tick."""

    blocks: tuple[Block, ...]  # by rate, those that have legs
    crossings: tuple[Crossing, ...]
    whispers: tuple[Whisper, ...]

    def place(self, row: int) -> tuple[int, int]:
        """The block of an open row, and its position there."""
        for place, block in enumerate(self.blocks):
            if block.position[row] >= 0:
                return place, int(block.position[row])
        raise LookupError(f"row {row} is not open")


class Routing:
    """Seats, flags and coach lists of all rows. Verbs return the rows whose audience they widened."""

    def __init__(self, rows: Rows, packed: NDArray[np.bool_]) -> None:
        """`packed`: a column, of the rows whose packets are decoded one by one."""
        self._rows = rows
        self._packed = packed
        self._room: NDArray[np.int64] = rows.column(np.int64, NOWHERE)
        self._mute: NDArray[np.bool_] = rows.column(np.bool_)
        self._hold: NDArray[np.bool_] = rows.column(np.bool_)
        self._format: NDArray[np.uint8] = rows.column(np.uint8)
        self._lists: dict[Handle, frozenset[Handle]] = {}
        self._plan: Plan | None = None

    def closed(self, handle: Handle) -> None:
        """The leg is gone; its own coach list with it."""
        self._lists.pop(handle, None)
        self._plan = None

    def seat(
        self,
        handle: Handle,
        room: int,
        *,
        mute: bool,
        hold: bool,
        coaches: Iterable[Handle] | None,
        coached_by: Iterable[Handle],
    ) -> list[int]:
        """Put a leg into a room, wherever it was before, with exactly these flags and this list."""
        if room < 0:
            raise ValueError(f"room: expected a number from 0, got {room}")
        row = self._rows.row(handle)
        self._room[row], self._mute[row], self._hold[row] = room, mute, hold
        self._set_list(handle, None if coaches is None else frozenset(coaches))
        for coach in coached_by:
            if coach in self._lists:
                self._lists[coach] |= {handle}
        self._plan = None
        return [row, *self._coaches_of(handle)]

    def unseat(self, handle: Handle) -> None:
        """Take a leg out of its room; its flags and its list are gone, others' lists still name it."""
        row = self._rows.row(handle)
        self._room[row], self._mute[row], self._hold[row] = NOWHERE, False, False
        self._set_list(handle, None)
        self._plan = None

    def members(self, room: int) -> NDArray[np.intp]:
        """The rows that sit in a room."""
        return np.flatnonzero(self._rows.open & (self._room == room))

    def unseat_all(self, room: int) -> None:
        """As `unseat`, for all who sit in the room."""
        for row in self.members(room):
            self.unseat(self._rows.handle(row))

    def flags(self, handle: Handle, *, mute: bool, hold: bool) -> list[int]:
        """Both flags anew. Who speaks again has an audience; who hears again joins that of his coaches."""
        row = self._seated(handle)
        was_silent, was_deaf = self._mute[row] or self._hold[row], self._hold[row]
        self._mute[row], self._hold[row] = mute, hold
        self._plan = None
        widened = [row] if was_silent and not (mute or hold) else []
        return [*widened, *self._coaches_of(handle)] if was_deaf and not hold else widened

    def coach(self, handle: Handle, coaches: Iterable[Handle] | None) -> list[int]:
        """A new list, or none at all. It widens where it names somebody new, or where it ends."""
        row = self._seated(handle)
        before = self._lists.get(handle)
        after = None if coaches is None else frozenset(coaches)
        self._set_list(handle, after)
        self._plan = None
        widened = before is not None and (after is None or not after <= before)
        return [row] if widened else []

    def set_format(self, handle: Handle, format: int) -> None:
        """The format in which a leg hears."""
        self._format[self._rows.row(handle)] = format
        self._plan = None

    def format(self, handle: Handle) -> int:
        """The format in which a leg hears."""
        return int(self._format[self._rows.row(handle)])

    def stale(self) -> None:
        """Which rows are packed has changed."""
        self._plan = None

    def plan(self) -> Plan:
        """The routing as it stands; built anew only if a verb came since."""
        if self._plan is None:
            self._plan = self._build()
        return self._plan

    def _seated(self, handle: Handle) -> int:
        row = self._rows.row(handle)
        if self._room[row] == NOWHERE:
            raise NotSeated(f"handle {handle:#x} sits in no room")
        return row

    def _set_list(self, handle: Handle, names: frozenset[Handle] | None) -> None:
        if names is None:
            self._lists.pop(handle, None)
        else:
            self._lists[handle] = names

    def _coaches_of(self, handle: Handle) -> list[int]:
        """The rows that coach this one."""
        mine = self._rows.row(handle)
        named_by = (self._rows.row(coach) for coach, names in self._lists.items() if handle in names)
        return [row for row in named_by if row != mine and self._room[row] == self._room[mine]]

    def _build(self) -> Plan:
        used = np.flatnonzero(self._rows.open)
        number = self._room[used]
        by_room = np.argsort(np.where(number == NOWHERE, np.iinfo(np.int64).max, number), kind="stable")
        order = used[by_room]
        rate = RATE[self._format[order]]
        silent = self._mute | self._hold
        pairs = self._pairs(silent)
        silent[[self._rows.row(handle) for handle in self._lists]] = True
        blocks = tuple(self._block(int(each), order[rate == each], silent, pairs) for each in np.unique(rate))
        both = [(a, b) for a in range(len(blocks)) for b in range(len(blocks)) if a != b]
        crossings = (_crossing(blocks, a, b) for a, b in both)
        whispers = (_whisper(blocks, a, b, pairs) for a, b in both)
        return Plan(
            blocks,
            tuple(crossing for crossing in crossings if crossing.numbers),
            tuple(whisper for whisper in whispers if whisper.rows),
        )

    def _pairs(self, silent: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """(listener, coach), as rows, of all who hear a coach."""
        return [
            (listener, coach)
            for handle, names in self._lists.items()
            if not silent[coach := self._rows.row(handle)]
            for listener in (row for row in map(self._rows.find, names) if row is not None)
            if listener != coach and self._room[listener] == self._room[coach]
        ]

    def _block(
        self, rate: int, order: NDArray[np.intp], silent: NDArray[np.bool_], pairs: list[tuple[int, int]]
    ) -> Block:
        number = self._room[order]
        seated = int((number != NOWHERE).sum())
        number = number[:seated]
        begins = np.append(True, number[1:] != number[:-1])[:seated]
        starts = np.flatnonzero(begins)
        room = np.full(order.size, starts.size, np.intp)
        room[:seated] = np.cumsum(begins) - 1
        position = np.full(self._rows.capacity, -1, np.intp)
        position[order] = np.arange(order.size)
        within = sorted((int(position[listener]), int(position[coach])) for listener, coach in pairs)
        within = [pair for pair in within if min(pair) >= 0]
        coached, coached_starts = np.unique([pair[0] for pair in within], return_index=True)
        speaks = ~silent[order]
        speaks[seated:] = False
        format = self._format[order]
        plain = np.flatnonzero(format <= PLAIN)
        return Block(
            rate=rate,
            order=order,
            position=position,
            rounds=mix.rounds(np.diff(starts, append=seated)),
            room=room,
            rooms={int(number[start]): index for index, start in enumerate(starts)},
            numbers=np.append(number[starts], NOWHERE),
            speaks=speaks.astype(np.int32)[:, None],
            hears=np.where(self._hold[order], 0, -1).astype(np.int32)[:, None],
            coached=coached.astype(np.intp),
            coached_starts=coached_starts.astype(np.intp),
            coaches=np.array([pair[1] for pair in within], np.intp),
            packed=np.flatnonzero(self._packed[order]),
            coded=np.flatnonzero(format > PLAIN),
            plain=None if plain.size == order.size else plain,
            encode_base=g711.encode_base(np.where(format <= PLAIN, format, ULAW)),
        )


def _crossing(blocks: tuple[Block, ...], source: int, target: int) -> Crossing:
    ours, theirs = blocks[source].rooms, blocks[target].rooms
    numbers = tuple(number for number in ours if number in theirs)
    return Crossing(
        source,
        target,
        numbers,
        np.array([ours[number] for number in numbers], np.intp),
        np.array([theirs[number] for number in numbers], np.intp),
    )


def _whisper(blocks: tuple[Block, ...], source: int, target: int, pairs: list[tuple[int, int]]) -> Whisper:
    ours, theirs = blocks[source].position, blocks[target].position
    across = sorted(
        (int(theirs[listener]), coach)
        for listener, coach in pairs
        if theirs[listener] >= 0 and ours[coach] >= 0
    )
    rows = tuple(sorted({coach for _, coach in across}))
    return Whisper(
        source,
        target,
        rows,
        ours[list(rows)],
        np.array([listener for listener, _ in across], np.intp),
        np.array([rows.index(coach) for _, coach in across], np.intp),
    )
