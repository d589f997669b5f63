"""Timestamps of any RTP clock as units of 1/8000 s, of all rows at once."""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows


class Clocks:
    """Where each row's two clocks stood last. Rows whose clock is 8000 have but one."""

    def __init__(self, rows: Rows) -> None:
        self._scale: NDArray[np.int32] = rows.column(np.int32)  # timestamps in a unit; 0: none yet
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
        """The times of packets, a row's side by side (`first`, `counts`: see `batch.runs`), in units.

        A row whose clock has changed goes on at its `frontier`, a column of all rows. Parts of a unit are
        carried on, so that nothing drifts.
        """
        legs = rows[first]
        changed = scale[first] != self._scale[legs]
        anew = legs[changed]
        self._scale[anew] = scale[first[changed]]
        self._stamp[anew] = timestamp[first[changed]]
        self._unit[anew] = frontier[anew]
        whole = (timestamp - self._stamp[rows]).view(np.int32) // self._scale[rows]
        units = self._unit[rows] + whole.view(np.uint32)
        newest = first + counts - 1
        self._stamp[legs] += (whole[newest] * self._scale[legs]).view(np.uint32)
        self._unit[legs] = units[newest]
        return np.where(scale == 1, timestamp, units)
