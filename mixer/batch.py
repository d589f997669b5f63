"""A batch of packets as columns, and what is common to their rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Batch(NamedTuple):
    """Packets as columns, a row's packets side by side and in order of arrival."""

    row: NDArray[np.intp]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]  # in units of 1/8000 s
    ssrc: NDArray[np.uint32]
    format: NDArray[np.uint8]
    age: NDArray[np.int32]
    start: NDArray[np.intp]  # of the audio, in the batch's payload taken as one run of bytes
    size: NDArray[np.int32]  # bytes of audio
    length: NDArray[np.int32]  # units of audio

    def only(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> "Batch":
        """Some of them."""
        return Batch._make([column[which] for column in self])


def runs(values: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each run of equal values begins, and its length; of at least one value."""
    begins = np.empty(values.size, np.bool_)
    begins[0] = True
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    first = begins.nonzero()[0]
    counts = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=counts[:-1])
    counts[-1] = values.size - first[-1]
    return first, counts
