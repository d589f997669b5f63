"""Keys heard as tones (DTMF), for legs whose far end sends no telephone events. Source: ITU-T Q.23, Q.24.

    half     |0         |1         |0         |1         |
    window        |0 and 1    |                            20 ms, every 10 ms
                        |1 and 0    |

The eight tones are looked for in each half of a frame by one matrix product over all legs that are loud
enough; a window is two halves, put together from their products. Of a window whose two strongest tones hold
most of its energy, and of no other, is asked in detail: both tones, separated from one another, must be as
strong in its second half as in its first, and of the right frequency, which the turn of their phases from
half to half tells more exactly than 20 ms could. Speech has such a pair now and then, but not for long.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixer.noise import square
from mixer.rows import Rows

KEYS = "123A456B789C*0#D"
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
"""Hz; key 4 * i + j is LOW[i] with HIGH[j]."""

LEAST_WINDOWS = 2
"""Windows in a row, 30 ms of steady tone: 40 ms hold as many wherever they begin."""

_MISSES = 4  # windows without it, 50 ms, that end a key: 10 ms are no end, a pause of 40 ms is (Q.24)
_HALVES = 100  # a second
_DBM0 = -6.18  # dBov of a sine of 0 dBm0 (ITU-T G.711: full scale is +3.17 dBm0)
_LEAST = square(_DBM0 - 29)  # of each tone; -25 dBm0 are to be heard, at any frequency within 1.5 %
_LOUD = square(_DBM0 - 28 + 2)  # of a frame that may hold two of them
_SHARE = 0.4  # of a frame's energy, in the two strongest: 1.5 % off take half of a high tone's
_PURE = 0.85  # of the energy, once the true frequencies are known
_FORWARD, _REVERSE = 10 ** (6 / 10), 10 ** (10 / 10)  # twist: the high tone stronger, the low tone stronger
_STEADY = 10 ** (3 / 20)  # one half's amplitude to the other's
_OFF = 0.027  # of a tone's frequency
_NONE = -1


class Pressed(NamedTuple):
    """A key whose tone has ended."""

    row: int
    key: str
    duration: int  # ms


class _Tones(NamedTuple):
    """What the detector needs to know of frames of one length."""

    matrix: NDArray[np.float32]  # (half, 16): cosines and sines of the eight tones
    turn: NDArray[np.complex64]  # (8,) of their phases from half to half
    apart: NDArray[np.complex64]  # (16, 2, 2) by key: amplitudes of both tones from their two products


class InBand:
    """Columns by row: `wanted` bool, whether keys are looked for; `sounding` bool, whether one sounds."""

    def __init__(self, rows: Rows) -> None:
        self.wanted: NDArray[np.bool_] = rows.column(np.bool_)
        self.sounding: NDArray[np.bool_] = rows.column(np.bool_)
        self._key: NDArray[np.int8] = rows.column(np.int8, _NONE)
        self._windows: NDArray[np.int32] = rows.column(np.int32)
        self._missed: NDArray[np.int8] = rows.column(np.int8)
        self._products: NDArray[np.complex64] = rows.column(np.complex64, width=8)  # of the last half
        self._energy: NDArray[np.float32] = rows.column(np.float32)  # of it
        self._tick: NDArray[np.int64] = rows.column(np.int64, -1)  # when that was
        self._ticks = 0
        self._tones: dict[int, _Tones] = {}

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """A key that sounds in these rows began in private; nothing may tell of it."""
        self._key[rows] = _NONE
        self._windows[rows] = 0
        self._tick[rows] = -1
        self.sounding[rows] = False

    def hear(
        self,
        rows: NDArray[np.intp],
        speech: NDArray[np.int16],
        level: NDArray[np.float32],
        energies: NDArray[np.float32],
    ) -> list[Pressed]:
        """The frames (n, samples) that these rows say in this tick, their mean squares and the energies of
        their halves. Returns the keys that have ended."""
        which = np.flatnonzero(self.wanted[rows] & ((level > _LOUD) | (self._key[rows] != _NONE)))
        if not which.size:
            return []
        rows, samples = rows[which], speech.shape[1]
        tones = self._of(samples)
        halves = speech[which].astype(np.float32).reshape(-1, samples // 2)
        products = (halves @ tones.matrix).view(np.complex64).reshape(-1, 2, 8)
        energy = energies[:, which]
        # 40 ms of a key fill one frame at least, wherever they begin: where the frame is none, no window is.
        concerned = self._likely(tones, samples // 2, products[:, 0], products[:, 1], energy[0] + energy[1])
        concerned |= self._key[rows] != _NONE
        pressed: list[Pressed] = []
        if concerned.any():
            pressed = self._look(tones, rows[concerned], samples, products[concerned], energy[:, concerned])
        self._products[rows], self._energy[rows], self._tick[rows] = products[:, 1], energy[1], self._ticks
        return pressed

    def _look(
        self,
        tones: _Tones,
        rows: NDArray[np.intp],
        samples: int,
        products: NDArray[np.complex64],
        energy: NDArray[np.float32],
    ) -> list[Pressed]:
        """The two windows that end in these rows' frames: across its begin, and the frame itself."""
        follows = self._tick[rows] == self._ticks - 1
        before = np.where(follows[:, None], self._products[rows], 0)
        first = np.stack([before, products[:, 0]])
        total = np.stack([np.where(follows, self._energy[rows], 0) + energy[0], energy[0] + energy[1]])
        second = products.transpose(1, 0, 2)
        keys = self._recognised(tones, samples // 2, first, second, total)
        return [*self._follow(rows, keys[0]), *self._follow(rows, keys[1])]

    def advance(self, ticks: int) -> None:
        """So many ticks are over."""
        self._ticks += ticks

    def _likely(
        self,
        tones: _Tones,
        half: int,
        first: NDArray[np.complex64],
        second: NDArray[np.complex64],
        energy: NDArray[np.float32],
    ) -> NDArray[np.bool_]:
        """Whether two tones hold most of the energy of windows; of the products of their halves (m, 8)."""
        power = self._power(tones, half, first, second)
        low, high = power[:, :4].max(axis=1), power[:, 4:].max(axis=1)
        likely: NDArray[np.bool_] = (low + high > _SHARE * energy) & (np.minimum(low, high) > _LEAST * half)
        return likely

    @staticmethod
    def _power(
        tones: _Tones, half: int, first: NDArray[np.complex64], second: NDArray[np.complex64]
    ) -> NDArray[np.float32]:
        """Of each tone in each window; a sine of amplitude A has A^2 / 2 for each of its samples."""
        window = first + second * tones.turn
        power: NDArray[np.float32] = window.real**2 + window.imag**2
        power *= np.float32(1 / half)
        return power

    def _recognised(
        self,
        tones: _Tones,
        half: int,
        first: NDArray[np.complex64],
        second: NDArray[np.complex64],
        energy: NDArray[np.float32],
    ) -> NDArray[np.int8]:
        """The key in each window: of the products of its halves (2, m, 8), and its energy (2, m)."""
        power = self._power(tones, half, first, second)
        key = 4 * power[..., :4].argmax(axis=-1) + power[..., 4:].argmax(axis=-1)
        pairs = np.stack([key // 4, 4 + key % 4], axis=-1)
        one, other = (
            np.einsum("wmab,wmb->wma", tones.apart[key], np.take_along_axis(part, pairs, axis=-1))
            for part in (first, second)
        )
        return np.where(self._is_key(pairs, half, one, other, energy), key, _NONE).astype(np.int8)

    def _is_key(
        self,
        pairs: NDArray[np.intp],
        half: int,
        one: NDArray[np.complex64],
        other: NDArray[np.complex64],
        energy: NDArray[np.float32],
    ) -> NDArray[np.bool_]:
        """Whether windows hold the two tones of their key and little else; of each half the amplitudes of
        both, (2, m, 2)."""
        was, now = np.abs(one), np.abs(other)
        steady = (was < _STEADY * now) & (now < _STEADY * was)
        frequency = _FREQUENCIES[pairs]
        turned = np.angle(other * one.conj() * np.exp(-2j * np.pi * frequency / _HALVES))
        off = turned / (2 * np.pi) * _HALVES  # Hz
        near = np.abs(off) < _OFF * frequency
        # Off their frequency they are stronger than they look, the more so the longer one looks.
        power = (was**2 + now**2) / np.square(np.sinc(off / _HALVES)) / 4  # the mean square of each
        low, high = power[..., 0], power[..., 1]
        pure = (low + high) * 2 * half > _PURE * energy
        twist = (high < _FORWARD * low) & (low < _REVERSE * high)
        loud = np.minimum(low, high) > _LEAST
        found: NDArray[np.bool_] = (steady & near).all(axis=-1) & pure & twist & loud
        return found

    def _follow(self, rows: NDArray[np.intp], key: NDArray[np.int8]) -> list[Pressed]:
        """One more window of each row."""
        current, windows, missed = self._key[rows], self._windows[rows], self._missed[rows]
        same = (key == current) & (key != _NONE)
        missed = np.where(same, 0, missed + 1)
        over = (current != _NONE) & ~same & ((key != _NONE) | (missed >= _MISSES))
        pressed = []
        for row in np.flatnonzero(over & (windows >= LEAST_WINDOWS)):
            duration = 10 * int(windows[row]) + 10
            pressed.append(Pressed(int(rows[row]), KEYS[current[row]], duration))
        anew = (key != _NONE) & ~same
        current = np.where(anew, key, np.where(over, _NONE, current)).astype(np.int8)
        windows = np.where(anew, 1, np.where(over, 0, windows + same))
        self._key[rows], self._windows[rows] = current, windows
        self._missed[rows] = np.where(current == _NONE, 0, np.where(anew, 0, missed))
        self.sounding[rows] = (current != _NONE) & (windows >= LEAST_WINDOWS)
        return pressed

    def _of(self, samples: int) -> _Tones:
        if samples not in self._tones:
            self._tones[samples] = _made(samples // 2)
        return self._tones[samples]


def _made(half: int) -> _Tones:
    rate = half * _HALVES
    turns = 2 * np.pi / rate * np.outer(np.arange(half), _FREQUENCIES)
    waves = np.exp(-1j * turns)
    matrix = np.ascontiguousarray(np.stack([waves.real, waves.imag], axis=-1).reshape(half, 16), np.float32)
    turn = np.exp(-2j * np.pi * _FREQUENCIES / _HALVES).astype(np.complex64)
    apart = np.empty((16, 2, 2), np.complex64)
    for key in range(16):
        pair = [key // 4, 4 + key % 4]
        # What each tone of amplitude 1 (half of it at the negative frequency) leaves in both products.
        gram = waves[:, pair].T @ waves[:, pair].conj() / 2
        apart[key] = np.linalg.inv(gram)
    return _Tones(matrix, turn, apart)


_FREQUENCIES = np.array((*LOW, *HIGH), np.float64)
