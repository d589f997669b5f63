"""IPv6 addresses as 32-bit numbers, so that columns, keys and messages hold either family alike.

An IPv4 address is its own number. An IPv6 address has a number only once it was entered, as one that an SDP
names or that signalling comes from: no other may be learnt, so every other is 0, nobody's. The numbers are
those of 240.0.0.0/4, which is no host's (RFC 1112 section 4). Sockets of IPv6 carry IPv4 as ::ffff:0:0/96
(RFC 4291 section 2.5.5.2).
"""

import secrets
from typing import Final

import numpy as np
from numpy.typing import NDArray

FIRST: Final = 0xF000_0000
SIZE: Final = 1 << 14
"""Addresses that have a number at a time: all legs' and, a while longer, those of legs that have ended."""

_MAPPED: Final = 0xFFFF << 32
_Halves = NDArray[np.uint64]


class Book:
    """Which address has which number. Addresses come as their two halves, u64 each."""

    def __init__(self) -> None:
        self._high = np.zeros(SIZE, np.uint64)
        self._low = np.zeros(SIZE, np.uint64)
        # Keyed, so that nobody can choose addresses that are taken for one another's.
        self._key = [np.uint64(secrets.randbits(64) | 1) for _ in range(2)]
        self._mixes = np.zeros(0, np.uint64)
        self._places = np.zeros(0, np.intp)
        self._entered = np.zeros(SIZE, bool)
        self._dirty = False

    def enter(self, number: int, address: bytes) -> None:
        """From now on `number` means this address (16 bytes), and no longer what it meant before."""
        place = number - FIRST
        if len(address) != 16 or not 0 <= place < SIZE:
            raise ValueError(f"expected 16 bytes and a number from {FIRST}, got {len(address)} and {number}")
        self._high[place] = int.from_bytes(address[:8], "big")
        self._low[place] = int.from_bytes(address[8:], "big")
        self._entered[place] = True
        self._dirty = True

    def numbers(self, high: _Halves, low: _Halves) -> NDArray[np.uint32]:
        """The number of each address, 0 for those without."""
        mapped = (high == 0) & (low >> np.uint64(32) == np.uint64(_MAPPED >> 32))
        within = (low & np.uint64(0xFFFF_FFFF)).astype(np.uint32)
        numbers: NDArray[np.uint32] = np.where(mapped & (within < FIRST), within, 0).astype(np.uint32)
        if mapped.all():
            return numbers
        if self._dirty:
            self._sort()
        if len(self._mixes):
            found = np.searchsorted(self._mixes, self._mix(high, low))
            places = self._places[np.minimum(found, len(self._places) - 1)]
            same = (self._high[places] == high) & (self._low[places] == low) & ~mapped
            numbers[same] = places[same] + FIRST
        return numbers

    def halves(self, numbers: NDArray[np.uint32]) -> tuple[_Halves, _Halves]:
        """The address of each number."""
        six = numbers >= FIRST
        places = np.where(six, numbers & (SIZE - 1), 0)
        return (
            np.where(six, self._high[places], 0).astype(np.uint64),
            np.where(six, self._low[places], numbers.astype(np.uint64) | np.uint64(_MAPPED)),
        )

    def _mix(self, high: _Halves, low: _Halves) -> _Halves:
        mixed: _Halves = high * self._key[0] ^ low * self._key[1]
        return mixed

    def _sort(self) -> None:
        places = np.flatnonzero(self._entered)
        mixes = self._mix(self._high[places], self._low[places])
        order = np.argsort(mixes, kind="stable")
        self._mixes, self._places = mixes[order], places[order]
        self._dirty = False
