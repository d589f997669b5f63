"""Rows, the columns over them, and the handles that name them.

Every quantity of a leg is one element of a column; a leg is a row. Columns are allocated once and registered
here, so that handing out a row wipes all of it: whoever adds a column cannot forget to reset it.
"""

import heapq
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Handle = int
"""generation << 16 | row. A closed leg's handle is never given out again."""

FRAME = 160
"""Samples in a tick: 20 ms at 8 kHz."""

_ROW_BITS = 16
_Array = TypeVar("_Array", bound=NDArray[Any])


class Full(Exception):
    """Every row is in use."""


class StaleHandle(LookupError):
    """The handle names no open leg: it was closed, or never given out."""


class Rows:
    """Which rows are in use, in which generation, and every column over them. Row 0 is never handed out."""

    def __init__(self, capacity: int) -> None:
        if not 2 <= capacity <= 1 << _ROW_BITS:
            raise ValueError(f"capacity: expected 2 to {1 << _ROW_BITS} rows, got {capacity}")
        self.capacity = capacity
        self.open = np.zeros(capacity, np.bool_)
        self.used = 1
        """One past the last row in use: what is done to all rows need not be done beyond."""
        self._generation = [0] * capacity
        self._free = list(range(1, capacity))  # a heap: low rows first, so that those in use lie together
        self._columns: list[tuple[NDArray[Any], Any]] = []

    def column(self, dtype: DTypeLike, initial: object = 0, *, width: int | None = None) -> NDArray[Any]:
        """A new column of shape (capacity,) or (capacity, width), every row at `initial`."""
        shape = (self.capacity,) if width is None else (self.capacity, width)
        return self.adopt(np.empty(shape, dtype), initial)

    def adopt(self, array: _Array, initial: object = 0) -> _Array:
        """Register an array (or a view) whose first axis is the row, and bring it to `initial`."""
        array[...] = initial
        self._columns.append((array, initial))
        return array

    def columns(self) -> list[NDArray[Any]]:
        """Every registered column, for whoever wants to look at (or, in a test, spoil) all of a row."""
        return [array for array, _ in self._columns]

    def reset(self, rows: int | NDArray[np.intp]) -> None:
        """Wipe every column of these rows."""
        for array, initial in self._columns:
            array[rows] = initial

    def hand_out(self) -> Handle:
        """Wipe the lowest free row and give it out under a new generation. Raises `Full`."""
        if not self._free:
            raise Full(f"all {self.capacity - 1} rows are in use")
        row = heapq.heappop(self._free)
        self.reset(row)
        self.open[row] = True
        self.used = max(self.used, row + 1)
        self._generation[row] += 1
        return self.handle(row)

    def take_back(self, handle: Handle) -> int:
        """The row is free again; the handle matches nothing from now on. Raises `StaleHandle`."""
        row = self.row(handle)
        self.open[row] = False
        if row == self.used - 1:
            self.used = 1 + int(self.open.nonzero()[0].max(initial=0))
        heapq.heappush(self._free, row)
        return row

    def handle(self, row: int) -> Handle:
        """The handle of an open row."""
        return self._generation[row] << _ROW_BITS | int(row)

    def find(self, handle: Handle) -> int | None:
        """The open row that the handle names, or None."""
        row = handle & ((1 << _ROW_BITS) - 1)
        if row < self.capacity and self.open[row] and self._generation[row] == handle >> _ROW_BITS:
            return row
        return None

    def row(self, handle: Handle) -> int:
        """The open row that the handle names. Raises `StaleHandle`."""
        row = self.find(handle)
        if row is None:
            raise StaleHandle(f"handle {handle:#x} names no open leg")
        return row
