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
from mixer.rows import Handle, Rows

_NOWHERE = -1


class NotSeated(LookupError):
    """The leg sits in no room."""


@dataclass(frozen=True)
class Plan:
    """The routing of one tick: n open rows, room by room, those in none last; r rooms."""

    order: NDArray[np.intp]  # (n,) rows
    position: NDArray[np.intp]  # (capacity,) where in `order` a row stands; -1: nowhere
    rounds: list[mix.Round]  # how the rooms are summed
    room: NDArray[np.intp]  # (n,) each position's room, 0 to r - 1; r for those in none
    rooms: dict[int, int]  # the room's number -> 0 to r - 1
    speaks: NDArray[np.int32]  # (n, 1) 1: contributes to the room, else 0
    hears: NDArray[np.int32]  # (n, 1) -1: hears, 0: silence; a mask
    coached: NDArray[np.intp]  # (c,) positions of those who hear a coach
    coached_starts: NDArray[np.intp]  # (c,) where in `coaches` theirs begin
    coaches: NDArray[np.intp]  # positions of their coaches
    encode_base: NDArray[np.int32]  # (n, 1) of the law that each hears


class Routing:
    """Seats, flags and coach lists of all rows. Verbs return the rows whose audience they widened."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._room: NDArray[np.int64] = rows.column(np.int64, _NOWHERE)
        self._mute: NDArray[np.bool_] = rows.column(np.bool_)
        self._hold: NDArray[np.bool_] = rows.column(np.bool_)
        self._law: NDArray[np.uint8] = rows.column(np.uint8)
        self._lists: dict[Handle, frozenset[Handle]] = {}
        self._plan: Plan | None = None

    def opened(self, handle: Handle, law: int) -> None:
        """A new leg, in no room, that hears in `law`."""
        self._law[self._rows.row(handle)] = law
        self._plan = None

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
        self._room[row], self._mute[row], self._hold[row] = _NOWHERE, False, False
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

    def set_law(self, handle: Handle, law: int) -> None:
        """The law in which a leg hears."""
        self._law[self._rows.row(handle)] = law
        self._plan = None

    def plan(self) -> Plan:
        """The routing as it stands; built anew only if a verb came since."""
        if self._plan is None:
            self._plan = self._build()
        return self._plan

    def _seated(self, handle: Handle) -> int:
        row = self._rows.row(handle)
        if self._room[row] == _NOWHERE:
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
        seated = int((number != _NOWHERE).sum())
        by_room = np.argsort(np.where(number == _NOWHERE, np.iinfo(np.int64).max, number), kind="stable")
        order = used[by_room]
        number = number[by_room][:seated]
        begins = np.append(True, number[1:] != number[:-1])[:seated]
        starts = np.flatnonzero(begins)
        room = np.full(order.size, starts.size, np.intp)
        room[:seated] = np.cumsum(begins) - 1
        position = np.full(self._rows.capacity, -1, np.intp)
        position[order] = np.arange(order.size)

        silent = self._mute | self._hold
        pairs = sorted(
            (int(position[listener]), int(position[coach]))
            for handle, names in self._lists.items()
            if not silent[coach := self._rows.row(handle)]
            for listener in (row for row in map(self._rows.find, names) if row is not None)
            if listener != coach and self._room[listener] == self._room[coach]
        )
        silent[[self._rows.row(handle) for handle in self._lists]] = True
        coached, coached_starts = np.unique([pair[0] for pair in pairs], return_index=True)
        speaks = ~silent[order]
        speaks[seated:] = False
        return Plan(
            order=order,
            position=position,
            rounds=mix.rounds(np.diff(starts, append=seated)),
            room=room,
            rooms={int(number[start]): index for index, start in enumerate(starts)},
            speaks=speaks.astype(np.int32)[:, None],
            hears=np.where(self._hold[order], 0, -1).astype(np.int32)[:, None],
            coached=coached.astype(np.intp),
            coached_starts=coached_starts.astype(np.intp),
            coaches=np.array([pair[1] for pair in pairs], np.intp),
            encode_base=g711.encode_base(self._law[order]),
        )
