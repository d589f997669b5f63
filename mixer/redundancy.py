"""Packets that say the one before again (Opus in-band FEC, RFC 6716 section 2.1.7): whom it pays to wait for.

What a lost packet said is known as soon as the next one is here. A leg that is played at the first moment has
no use for that; one that loses packets is played a packet later, as long as it loses some. Whether it does is
the network's doing: no timing tells of what was said.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.rows import Rows

_KEPT = 0.9  # of the score, each second
_MOST = 2.0
_WORTH, _WORTHLESS = 1.5, 0.3  # scores from which on it pays, and no more: 18 s without a loss


class Redundancy:
    """By row: `offered` bool, whether its packets repeat the one before."""

    def __init__(self, rows: Rows) -> None:
        self.offered: NDArray[np.bool_] = rows.column(np.bool_)
        self._lost: NDArray[np.int64] = rows.column(np.int64)  # packets, when last looked at
        self._score: NDArray[np.float32] = rows.column(np.float32)
        self._waited: NDArray[np.bool_] = rows.column(np.bool_)

    def worth(self, lost: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Once a second: for which rows a packet more is to be waited for; `lost`: packets of each so far."""
        self._score[:] = np.clip(self._score * _KEPT + np.maximum(lost - self._lost, 0), 0, _MOST)
        self._lost[:] = lost
        bar = np.where(self._waited, _WORTHLESS, _WORTH)
        self._waited[:] = self.offered & (self._score > bar)
        return self._waited
