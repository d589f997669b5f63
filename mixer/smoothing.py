"""Concealment at every rate that is in use."""

import numpy as np
from numpy.typing import NDArray

from mixer.conceal import Concealment
from mixer.rows import Rows


class Smoothing:
    """One `Concealment` a rate, made when the first leg of that rate comes. A row that is told of is one of
    any rate: those that know nothing of it do nothing."""

    def __init__(self, rows: Rows, pausing: NDArray[np.bool_]) -> None:
        """`pausing`: see `Concealment`."""
        self._rows, self._pausing = rows, pausing
        self._at: dict[int, Concealment] = {}

    def at(self, rate: int) -> Concealment:
        """That of one rate, Hz."""
        if rate not in self._at:
            self._at[rate] = Concealment(self._rows, self._pausing, rate)
        return self._at[rate]

    @property
    def gaps(self) -> NDArray[np.int64]:
        """Times that speech broke off, by row; not those that a decoder filled."""
        return sum((each.gaps for each in self._at.values()), np.zeros(self._rows.capacity, np.int64))

    def cut(self, rows: NDArray[np.intp] | int) -> None:
        """See `Concealment.cut`."""
        for each in self._at.values():
            each.cut(rows)

    def end(self, rows: NDArray[np.intp]) -> None:
        """See `Concealment.end`."""
        for each in self._at.values():
            each.end(rows)

    def forget(self, row: int) -> None:
        """See `Concealment.forget`."""
        for each in self._at.values():
            each.forget(row)
