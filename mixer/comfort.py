"""Comfort noise received: what is heard of a sender who has stopped because he is silent. Source: RFC 3389.

A comfort noise packet says that nothing will be said for a while, and how loud the noise there is. From where
speech ends it is not continued (see `mixer.conceal`), and wherever no sample comes noise of that level is
heard, until samples come again.

Its spectrum is flat, or that of the all-pole filter 1/A(z) whose reflection coefficients the packet tells:
white noise then goes through the first `TAPS` samples of that filter's answer, all such rows at once. How
many there are follows from the payload's length; the filter's rate is that of the codec beside which the
noise was agreed (section 3: by the bandwidth of what is sent), and so that of the leg. Which sign they have
the RFC leaves to its readers; here it is that of FFmpeg and WebRTC, in which the noise of a room, stronger
below, begins with a negative one.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixer.g711 import VALID
from mixer.noise import square
from mixer.rows import Rows

TAPS: Final = 64

FLAT: Final = 127
"""The index of a reflection coefficient that is zero (RFC 3389 section 3.2)."""

LOUDEST = -36.0
"""dBov that comfort noise has at most, whatever a sender says."""

_DEEPEST: Final = 1e-6  # of 1/A(z): what goes deeper is no room, but somebody who tries
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
        self._coloured: NDArray[np.bool_] = rows.column(np.bool_)
        self._taps: NDArray[np.float32] = rows.column(np.float32, width=TAPS)  # of which the energy is 1
        self._ticks = 0
        random = np.random.default_rng(3389)
        noise = random.normal(0, 1, _NOISE + 960).astype(np.float32)
        self._windows = np.lib.stride_tricks.sliding_window_view(noise, 960)

    def begin(
        self,
        rows: NDArray[np.intp],
        level: NDArray[np.uint8],
        sequence: NDArray[np.uint16],
        spectrum: NDArray[np.uint8],
    ) -> None:
        """The senders of these rows, each once, have stopped; `level`: of their noise, in -dBov; `spectrum`:
        indexes (n, order) of its reflection coefficients, `FLAT` behind the last."""
        self.pausing[rows] = True
        self._over[rows] = self._coloured[rows] = False
        self._level[rows] = _LEVELS[level & 0x7F]
        self._sequence[rows] = sequence
        told = (spectrum != FLAT).any(axis=1)
        if told.any():
            self._colour(rows[told], spectrum[told])

    def _colour(self, rows: NDArray[np.intp], indexes: NDArray[np.uint8]) -> None:
        reflection = 258 * (np.minimum(indexes, 254).astype(float) - FLAT) / 32768
        predictor = np.zeros((len(rows), indexes.shape[1] + 1))
        predictor[:, 0] = 1.0
        for order in range(indexes.shape[1]):
            turned = reflection[:, order, None] * predictor[:, order::-1]
            predictor[:, 1 : order + 2] += turned
        inverse = np.fft.rfft(predictor, 8 * TAPS)
        inverse[np.abs(inverse) < _DEEPEST] = _DEEPEST
        answer = np.fft.irfft(1.0 / inverse, 8 * TAPS)[:, :TAPS]
        self._taps[rows] = answer / np.sqrt(np.square(answer).sum(axis=1, keepdims=True))
        self._coloured[rows] = True

    def heard(self, rows: NDArray[np.intp], sequence: NDArray[np.uint16]) -> None:
        """The newest packet of audio of these rows, each once."""
        self._over[rows] |= self.pausing[rows] & ((sequence - self._sequence[rows]).view(np.int16) > 0)

    def forget(self, rows: NDArray[np.intp]) -> None:
        """What these rows' senders said of their noise was private, too."""
        self.pausing[rows] = False

    def fill(self, rows: NDArray[np.intp], words: NDArray[np.uint16], speech: NDArray[np.int16]) -> None:
        """Add noise, in place, where the frames (n, samples) of pausing rows have no sample; `words` have
        VALID where one came."""
        which = self.pausing[rows].nonzero()[0]
        if not which.size:
            return
        rows = rows[which]
        absent = words[which] & VALID == 0
        noise = self._white(rows, self._ticks, 0, speech.shape[1])
        coloured = self._coloured[rows]
        if coloured.any():
            noise[coloured] = self._filtered(rows[coloured], noise[coloured])
        noise *= self._level[rows, None]
        speech[which] = np.clip(speech[which] + np.rint(np.where(absent, noise, 0)), -32768, 32767)
        over = rows[self._over[rows] & ~absent.any(axis=1)]
        self.pausing[over] = False

    def advance(self, ticks: int) -> None:
        """So many ticks are over."""
        self._ticks += ticks

    def _white(self, rows: NDArray[np.intp], tick: int, start: int, stop: int) -> NDArray[np.float32]:
        """Those samples of what a tick's noise is made of, a copy."""
        place = (rows * _STEPS[0] + tick * _STEPS[1]) % _NOISE
        white: NDArray[np.float32] = self._windows[:, start:stop][place]
        return white

    def _filtered(self, rows: NDArray[np.intp], white: NDArray[np.float32]) -> NDArray[np.float32]:
        """The frames of white noise (n, samples) as these rows' filters answer to them and to what was before
        them."""
        samples = white.shape[1]
        before = self._white(rows, self._ticks - 1, samples - TAPS + 1, samples)
        size = 1 << (samples + TAPS - 2).bit_length()
        spectrum = np.fft.rfft(np.concatenate([before, white], axis=1), size)
        spectrum *= np.fft.rfft(self._taps[rows], size)
        return np.fft.irfft(spectrum, size)[:, TAPS - 1 : TAPS - 1 + samples].astype(np.float32)
