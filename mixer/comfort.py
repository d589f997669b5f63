"""Comfort noise received: what is heard of a sender who has stopped because he is silent. Source: RFC 3389.

A comfort noise packet says that nothing will be said for a while, and how loud the noise there is. From where
speech ends it is not continued (see `mixer.conceal`), and wherever no sample comes noise of that level is
heard, until samples come again. Its spectrum is left flat: the level is what makes a line sound alive.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.g711 import VALID
from mixer.noise import square
from mixer.rows import Rows

LOUDEST = -36.0
"""dBov that comfort noise has at most, whatever a sender says."""

_FAINTEST = -84.0  # dBov: what is less is silence
_NOISE = 1 << 14  # samples that are used again and again, from another place each time
_STEPS = 7919, 104_729  # of that place, by row and by tick: no row's noise depends on who else has some
_LEVELS = np.array(
    [0 if -level < _FAINTEST else np.sqrt(square(min(-level, LOUDEST))) for level in range(128)], np.float32
)


class Comfort:
    """Column by row, to be read: `pausing` bool, whether the sender has stopped on purpose."""

    def __init__(self, rows: Rows) -> None:
        self.pausing: NDArray[np.bool_] = rows.column(np.bool_)
        self._level: NDArray[np.float32] = rows.column(np.float32)  # the noise's root mean square
        self._sequence: NDArray[np.uint16] = rows.column(np.uint16)  # of the packet that said so
        self._over: NDArray[np.bool_] = rows.column(np.bool_)  # speech behind it has arrived
        self._ticks = 0
        random = np.random.default_rng(3389)
        noise = random.normal(0, 1, _NOISE + 960).astype(np.float32)
        self._windows = np.lib.stride_tricks.sliding_window_view(noise, 960)

    def begin(self, rows: NDArray[np.intp], level: NDArray[np.uint8], sequence: NDArray[np.uint16]) -> None:
        """These rows' senders have stopped; `level`: of their noise, in -dBov."""
        self.pausing[rows] = True
        self._over[rows] = False
        self._level[rows] = _LEVELS[level & 0x7F]
        self._sequence[rows] = sequence

    def heard(self, rows: NDArray[np.intp], sequence: NDArray[np.uint16]) -> None:
        """The newest packet of audio of these rows, each once."""
        self._over[rows] |= self.pausing[rows] & ((sequence - self._sequence[rows]).view(np.int16) > 0)

    def forget(self, rows: NDArray[np.intp]) -> None:
        """What these rows' senders said of their noise was private, too."""
        self.pausing[rows] = False

    def fill(self, rows: NDArray[np.intp], words: NDArray[np.uint16], speech: NDArray[np.int16]) -> None:
        """Add noise, in place, where the frames (n, samples) of pausing rows have no sample; `words` have
        VALID where one came."""
        which = np.flatnonzero(self.pausing[rows])
        if not which.size:
            return
        rows = rows[which]
        absent = words[which] & VALID == 0
        place = (rows * _STEPS[0] + self._ticks * _STEPS[1]) % _NOISE
        noise = self._windows[place][:, : speech.shape[1]] * self._level[rows, None]
        speech[which] = np.clip(speech[which] + np.rint(np.where(absent, noise, 0)), -32768, 32767)
        over = rows[self._over[rows] & ~absent.any(axis=1)]
        self.pausing[over] = False

    def advance(self, ticks: int) -> None:
        """So many ticks are over."""
        self._ticks += ticks
