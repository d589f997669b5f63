"""How much work one source may cause: a token bucket for strangers, and for all a bound on the calls that
wait for their caller's ACK, with a memory of those that were turned away."""

from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

BURST = 5.0
"""Seconds' worth of requests that may come at once: the phones behind one address start together."""
MAX_SOURCES = 10_000
"""Sources remembered; past that the one heard least recently starts anew."""
REPEATED = 32.0
"""Seconds for which a request may be repeated: 64 times T1."""
LOGGED_PER_SECOND = 10
"""Lines of all kinds that a `LogRate` takes."""
MAX_TURNED_AWAY = 10_000
"""Refusals remembered, the newest."""


class LogRate:
    """Lines of the log that anybody may cause: strangers must not fill our disk."""

    def __init__(self) -> None:
        self._second, self._lines = 0, 0

    def takes(self, now: float) -> bool:
        """False for one line too many."""
        if int(now) != self._second:
            self._second, self._lines = int(now), 0
        self._lines += 1
        return self._lines <= LOGGED_PER_SECOND


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


class Unsettled:
    """Inbound calls that have neither been acknowledged nor rung, by source. Whoever says INVITE and never
    ACK makes us keep a call for 32 s; who waits while it rings has taken nothing that he would not have
    anyway."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._source_of: dict[int, int] = {}
        self._calls: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._source_of)

    def full(self, ip: str, bound: int) -> bool:
        """True when this address has `bound` of them, or all together have too many."""
        return len(self) >= self._total or self._calls[source(ip)] >= bound

    def add(self, session: int, ip: str) -> None:
        """A call with that number has come in, or has been answered."""
        if session not in self._source_of:
            self._source_of[session] = source(ip)
            self._calls[source(ip)] += 1

    def remove(self, session: int) -> None:
        """It rings, has its ACK, or is over."""
        key = self._source_of.pop(session, None)
        if key is not None:
            self._calls[key] -= 1
            if not self._calls[key]:
                del self._calls[key]


class TurnedAway:
    """INVITEs that were refused without a transaction. Their repetitions get the same answer (RFC 3261
    section 8.2.7), even where there is room by then: one that waited behind others was sent before its caller
    heard the refusal, and nobody would acknowledge the call that it began. Names tell requests apart."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, name: str, now: float) -> None:
        """It has been refused now."""
        self._until[name] = now + REPEATED
        if len(self._until) > MAX_TURNED_AWAY:
            del self._until[next(iter(self._until))]

    def has(self, name: str, now: float) -> bool:
        """Whether it was refused while it may still be repeated."""
        return self._until.get(name, 0.0) > now


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
