"""How fast each far end's clock runs beside ours, from when its packets come and what time they say it is.

The way of the quickest packets is as long as ever, so that what changes of the least transit time from one
window to the next is the clocks' difference: jitter only ever adds. Windows `SPAN` apart are compared, and
the median of all such pairs is taken, so that one change of route does not count.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW_SECONDS: Final = 5.0
WINDOWS: Final = 24
SPAN: Final = 6  # windows; the first figure comes with the seventh
PAIRS: Final = WINDOWS - SPAN  # of which a change concerns a third
_PPM: Final = 1e6
_UNSEEN: Final = np.inf

_Rows = NDArray[np.intp]


class Drift:
    """Columns of `rows` streams. `ppm` f8: how much faster than ours each one's clock runs, in millionths;
    NaN while that is not known, the first half minute."""

    def __init__(self, rows: int) -> None:
        self.ppm = np.full(rows, np.nan)
        self._least = np.full(rows, _UNSEEN)  # in this window
        self._windows = np.full((rows, WINDOWS), np.nan)
        self._times = np.full(WINDOWS, np.nan)
        self._turn = 0
        self._ends = -np.inf

    def restart(self, rows: int | _Rows) -> None:
        """Another timeline: nothing is known of it."""
        self._windows[rows] = np.nan
        self._least[rows] = _UNSEEN
        self.ppm[rows] = np.nan

    def note(self, rows: _Rows, transit: NDArray[np.float64]) -> None:
        """The least transit time, in seconds from any origin that stays, of what these rows, each once,
        got."""
        self._least[rows] = np.minimum(self._least[rows], transit)

    def advance(self, now: float) -> None:
        """Time goes on; every `WINDOW_SECONDS` the figures are made anew."""
        if now < self._ends:
            return
        late = now - self._ends > WINDOW_SECONDS
        self._ends = now + WINDOW_SECONDS if late else self._ends + WINDOW_SECONDS
        place = self._turn % WINDOWS
        self._windows[:, place] = np.where(self._least < _UNSEEN, self._least, np.nan)
        self._times[place] = now
        self._least[:] = _UNSEEN
        self._turn += 1
        later = np.arange(self._turn - PAIRS, self._turn) % WINDOWS
        sooner = (later - SPAN) % WINDOWS
        slopes = self._windows[:, later] - self._windows[:, sooner]
        slopes /= self._times[later] - self._times[sooner]
        slopes.sort(axis=1)  # what is not known comes last
        known = (~np.isnan(slopes)).sum(axis=1)
        each = np.arange(len(slopes))
        middle = (slopes[each, np.maximum(known - 1, 0) // 2] + slopes[each, known // 2 % PAIRS]) / 2.0
        self.ppm = np.where(known > 0, -_PPM * middle, np.nan)
