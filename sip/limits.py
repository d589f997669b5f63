"""How much work a stranger may cause: a token bucket per source."""

from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

BURST = 5.0
"""Seconds' worth of requests that may come at once: the phones behind one address start together."""
MAX_SOURCES = 10_000
"""Sources remembered; past that the one heard least recently starts anew."""


class RateLimit:
    """Each source may make `rate` requests a second, and the first `BURST` seconds' worth at once. 0: no
    limit."""

    def __init__(self, rate: float, statistics: Counter[str]) -> None:
        self._rate = rate
        self._burst = max(rate * BURST, 1.0)
        self._statistics = statistics
        self._sources: dict[int, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def takes(self, ip: str, now: float) -> bool:
        """True when one more request of this address is to be looked at; False is counted."""
        if not self._rate:
            return True
        key = source(ip)
        left, then = self._sources.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        allowed = left >= 1.0
        if not allowed:
            self._statistics["rate_limited"] += 1
        elif len(self._sources) >= MAX_SOURCES:
            del self._sources[next(iter(self._sources))]
        self._sources[key] = (left - allowed, now)
        return allowed


@lru_cache(maxsize=4_096)
def source(ip: str) -> int:
    """What counts as one source: an IPv4 address, or the 64 bits that name an IPv6 network, since a whole
    one belongs to every house."""
    address = ip_address(ip.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return int(address) >> 64 | 1 << 64
        address = address.ipv4_mapped
    return int(address)
