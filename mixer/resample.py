"""Frames from one rate to another: a polyphase FIR for many rows as one matrix product.

All rates are multiples of each other, so that every output sample is a sum over one window of input. Cut
between 0.43 and 0.57 of the lower rate, so that speech up to 3.4 kHz passes 8 kHz whole; images and aliases
lie 60 dB down. Delay: 12 samples of the lower rate.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

TAPS: Final = 24
"""Samples of the lower rate that one output sample is made of."""

BLOCK: Final = 16
"""Samples of the lower rate that are made in one go: windows overlap, and copying them is what costs."""

_BETA = 5.65  # Kaiser's window for 60 dB


class Resampler:
    """From one rate to another, without a memory: who has a stream gives its past along."""

    def __init__(self, source: int, target: int) -> None:
        up, down = max(target // source, 1), max(source // target, 1)
        if source * up != target * down:
            raise ValueError(f"expected rates of which one divides the other, got {source} and {target}")
        factor = up * down
        at = np.arange(TAPS * factor) - (TAPS * factor - 1) / 2
        kernel = np.sinc(at / factor) * np.kaiser(at.size, _BETA)
        kernel *= up / kernel.sum()
        self._step = BLOCK * down
        self.past = TAPS - 1 if up > 1 else (TAPS - 1) * down
        """Samples that go before the frame."""
        self._window = self.past + self._step
        # Column j: what makes output sample j of a block; each column is the kernel, a place further on.
        matrix = np.zeros((self._window, BLOCK * up))
        for output in range(BLOCK * up):
            newest = self._window - self._step + (output // up + 1) * down - 1
            taps = kernel[output % up :: up]
            matrix[newest - taps.size + 1 : newest + 1, output] = taps[::-1]
        self._matrix = matrix.astype(np.float32)

    def convert(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of samples, (n, past + m), to rows of m * target / source; m: whole blocks."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._window, axis=1)[:, :: self._step]
        rows = np.ascontiguousarray(windows).reshape(-1, self._window)
        converted: NDArray[np.float32] = (rows @ self._matrix).reshape(len(samples), -1)
        return converted


@cache
def between(source: int, target: int) -> Resampler:
    """The one resampler of two rates."""
    return Resampler(source, target)


class Stream:
    """One row whose frames come one after another."""

    def __init__(self, source: int, target: int) -> None:
        self._resampler = between(source, target)
        self._past = np.zeros((1, self._resampler.past), np.float32)

    def convert(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """The next samples, whole blocks of them."""
        said = np.concatenate([self._past, samples[None, :].astype(np.float32)], axis=1)
        self._past = said[:, said.shape[1] - self._past.shape[1] :]
        heard = np.rint(self._resampler.convert(said)[0])
        converted: NDArray[np.int16] = np.clip(heard, -32768, 32767).astype(np.int16)
        return converted
