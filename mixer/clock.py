"""Timestamps of any RTP clock as units of 1/8000 s, of all rows at once."""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows


class Clocks:
    """Where each row's two clocks stood last. Rows whose clock is 8000 have but one.

    `scale` int32, by row: timestamps in a unit, 0 while there were none; `anew` bool, by row: it has changed
    with the last packets; `any_anew`: some row's has.
    """

    def __init__(self, rows: Rows) -> None:
        self.scale: NDArray[np.int32] = rows.column(np.int32)
        self.anew: NDArray[np.bool_] = rows.column(np.bool_)
        self.any_anew = False
        self._stamp: NDArray[np.uint32] = rows.column(np.uint32)
        self._unit: NDArray[np.uint32] = rows.column(np.uint32)

    def units(
        self,
        rows: NDArray[np.intp],
        timestamp: NDArray[np.uint32],
        scale: NDArray[np.int32],
        first: NDArray[np.intp],
        counts: NDArray[np.intp],
        frontier: NDArray[np.uint32],
    ) -> NDArray[np.uint32]:
        """The times of packets, a row's side by side (`first`, `counts`: see `batch.runs`) and all of one
        clock, in units.

        A row whose clock has changed goes on at its `frontier`, a column of all rows. Parts of a unit are
        carried on, so that nothing drifts.
        """
        legs = rows[first]
        self.anew[legs] = changed = scale[first] != self.scale[legs]
        self.any_anew = bool(changed.any())
        anew = legs[changed]
        self.scale[anew] = scale[first[changed]]
        self._stamp[anew] = timestamp[first[changed]]
        self._unit[anew] = frontier[anew]
        whole = (timestamp - self._stamp[rows]).view(np.int32) // self.scale[rows]
        units = self._unit[rows] + whole.view(np.uint32)
        newest = first + counts - 1
        self._stamp[legs] += (whole[newest] * self.scale[legs]).view(np.uint32)
        self._unit[legs] = units[newest]
        return np.where(scale == 1, timestamp, units)
