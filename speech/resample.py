"""One whole sound from an engine's rate to a leg's, in the frequency domain.

The sound is here as a whole, so the filter may be the ideal one: what a leg cannot carry is taken out of the
spectrum, together with the constant and the rumble below speech, with edges soft enough not to ring.
"""

from math import gcd

import numpy as np
import numpy.typing as npt

from speech.engine import Samples

_RUMBLE = (40.0, 90.0)  # Hz: nothing below the first, everything above the second
_TOP = (0.45, 0.5)  # of the lower rate: everything below the first, nothing from the second on
_GUARD = 0.03  # seconds of silence, so that the filter's tail does not come round to the beginning


def convert(samples: Samples, rate: int, to: int, gain: float = 1.0, ceiling: float = 0.9) -> Samples:
    """int16[n] at `rate` to int16[ceil(n * to / rate)] at `to`, without delay, aliasing or offset.

    `gain` is applied unless a peak would pass `ceiling` (of full scale): then the whole sound is scaled to
    it.
    """
    if len(samples) == 0:
        return np.zeros(0, np.int16)
    up, down = to // gcd(rate, to), rate // gcd(rate, to)
    blocks = _smooth(-(-(len(samples) + int(rate * _GUARD)) // down))
    length = -(-len(samples) * to // rate)
    spectrum = np.fft.rfft(samples.astype(np.float32), blocks * down)
    kept = spectrum[: min(blocks * up, blocks * down) // 2 + 1]
    kept *= _response(len(kept), rate / (blocks * down), min(rate, to))
    wave = np.fft.irfft(kept, blocks * up)[:length] * (gain * up / down)
    peak = float(np.abs(wave).max())
    if peak > ceiling * 32767:
        wave *= ceiling * 32767 / peak
    return np.rint(wave).astype(np.int16)


def _response(bins: int, width: float, lower: int) -> npt.NDArray[np.float32]:
    """The gain of each bin of `width` Hz: raised cosine edges at both ends of the band."""
    frequency = np.arange(bins, dtype=np.float32) * np.float32(width)
    rise = _ramp(frequency, *_RUMBLE)
    fall = _ramp(frequency, _TOP[0] * lower, _TOP[1] * lower)
    return rise * (1 - fall)


def _ramp(x: npt.NDArray[np.float32], start: float, end: float) -> npt.NDArray[np.float32]:
    phase = np.float32(np.pi) * np.clip((x - start) / (end - start), 0, 1)
    ramp: npt.NDArray[np.float32] = (1 - np.cos(phase)) / 2
    return ramp


def _smooth(least: int) -> int:
    """The smallest number from `least` on without prime factors above 5: other transforms are slow."""
    number = least
    while True:
        rest = number
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return number
        number += 1
