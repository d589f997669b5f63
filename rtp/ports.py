"""Which local port a new leg shares, so that each packet can be told from every other leg's.

A port carries many legs and a packet finds its leg by source (`rtp.demux`). That fails where two legs on
one port may send from the same place, so placing keeps them apart while there are ports: legs whose far
ends may share an address before either has been heard, and legs whose far ends name one address and port.
Otherwise few ports are used, because each ready port costs a system call per beat.

Pure: no sockets, no clock. Ports are indexes, addresses are dotted text, times are monotonic seconds.
"""

import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

Remote = tuple[str, int]
_Key = TypeVar("_Key")

BASE_PORTS = 8
LEGS_PER_PORT = 64
CLAIM_SECONDS = 11.0  # one more than rtp.demux lets a leg learn: the media process hears of it a little later
QUIET_SECONDS = 30.0  # how long a port is kept from the far end of a leg that has just ended there


class NoPort(Exception):
    """No port can carry the leg."""


@dataclass(slots=True)
class _Placed:
    port: int
    signalling: str | None
    named: Remote | None = None  # by the far end's SDP
    pinned: Remote | None = None  # where its packets come from
    learns: bool = True
    lapses: float = math.inf  # until the answer there is no telling when the far end will speak
    addresses: set[str] = field(default_factory=set)

    def expected(self) -> set[str]:
        """The addresses it may be heard from."""
        return {address for address in (self.signalling, self.named[0] if self.named else None) if address}

    def remotes(self) -> set[Remote]:
        return {remote for remote in (self.named, self.pinned) if remote is not None}


class Placing:
    """The legs of `ports` ports, and who may be heard where."""

    def __init__(self, ports: int) -> None:
        if ports < 1:
            raise NoPort("there is no RTP port")
        self._ports = ports
        self._legs: dict[int, _Placed] = {}
        self._load = [0] * ports
        self._seeking: defaultdict[str, set[int]] = defaultdict(set)
        self._towards: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._taken: Counter[tuple[int, Remote]] = Counter()
        self._quiet: dict[tuple[int, Remote | str], float] = {}
        self._ended: deque[tuple[float, tuple[int, Remote | str]]] = deque()

    def __len__(self) -> int:
        return len(self._legs)

    def place(self, leg: int, *, signalling: str | None, remote: Remote | None, now: float) -> int:
        """The port for a new leg: `remote` as the far end's SDP names it, None before its answer."""
        placed = _Placed(-1, signalling, remote)
        self._choose(placed, now)
        self._legs[leg] = placed
        self._enter(leg, placed)
        return placed.port

    def connect(self, leg: int, remote: Remote | None, now: float) -> tuple[bool, bool]:
        """The far end's SDP names `remote`. Returns (may stay, may learn): it may not stay where another
        leg of this port already has that address, if there is a port where none has. A leg told to leave
        remembers `remote` for `move`."""
        placed = self._legs[leg]
        if remote is None:  # on hold: it comes back to where it was
            return True, placed.learns
        self._leave(leg, placed)
        if remote != placed.named:
            placed.named, placed.pinned = remote, None
        placed.learns = placed.port not in self._seekers(placed.expected(), now)
        placed.lapses = now + CLAIM_SECONDS
        stays = not self._taken[placed.port, remote] or not self._free_of(remote)
        self._enter(leg, placed)
        return stays, placed.learns

    def readdress(self, leg: int, signalling: str | None) -> None:
        """Another far end, not heard yet, gets the leg; its SIP comes from there. `connect` follows."""
        placed = self._legs.get(leg)
        if placed is not None:
            self._leave(leg, placed)
            placed.signalling, placed.pinned = signalling, None
            self._enter(leg, placed)

    def move(self, leg: int, now: float) -> int:
        """Another port for a leg that may not stay. Raises NoPort when none is better."""
        placed = self._legs[leg]
        if placed.named is not None and not self._free_of(placed.named):
            raise NoPort("every RTP port already has a leg with this far end's address and port")
        self._leave(leg, placed)
        old, placed.pinned = placed.pinned, None
        self._retire(placed.port, (old,), now)
        self._choose(placed, now)
        self._enter(leg, placed)
        return placed.port

    def pin(self, leg: int, source: Remote) -> None:
        """The leg's packets come from `source`: it seeks no more."""
        placed = self._legs.get(leg)
        if placed is not None:
            self._leave(leg, placed)
            placed.pinned = source
            self._enter(leg, placed)

    def close(self, leg: int, now: float) -> None:
        """The leg has ended; its far end may go on sending for a while, and gets no new leg there."""
        placed = self._legs.pop(leg, None)
        if placed is not None:
            self._leave(leg, placed)
            self._retire(placed.port, (placed.named, placed.pinned, *placed.addresses), now)

    def addresses(self) -> set[str]:
        """Those that live legs may be heard from or sent to."""
        placed = self._legs.values()
        remotes = {remote[0] for each in placed for remote in each.remotes()}
        return remotes.union(*(each.addresses for each in placed))

    # Choosing

    def _choose(self, placed: _Placed, now: float) -> None:
        """Give the leg a port other than its own, by the first rule that leaves any, and say if it learns."""
        self._forget(now)
        remote, signalling = placed.named, placed.signalling
        addresses = placed.expected()
        seekers = self._seekers(addresses, now)
        avoided: set[int] = set()
        if remote is None:
            avoided.update(*(self._towards[address] for address in addresses if address in self._towards))
        elif signalling is not None and remote[0] != signalling:
            # Behind a NAT: its source must be learnt, and may be one that has just been given up.
            avoided.update(port for port in range(self._ports) if (port, signalling) in self._quiet)

        def apart(port: int) -> bool:
            return port not in avoided and heard_apart(port)

        def heard_apart(port: int) -> bool:
            return port not in seekers and not self._named_there(port, remote)

        def named_apart(port: int) -> bool:
            return not self._named_there(port, remote)

        def named_apart_now(port: int) -> bool:
            return remote is None or not self._taken[port, remote]

        rules: tuple[Callable[[int], bool], ...] = (apart, heard_apart, named_apart, named_apart_now)
        found = (self._fewest(allowed, placed.port) for allowed in rules)
        port = next((port for port in found if port is not None), None)
        if port is None:
            port = min(range(self._ports), key=self._load.__getitem__)
        placed.port, placed.learns = port, port not in seekers

    def _fewest(self, allowed: Callable[[int], bool], leaving: int | None) -> int | None:
        """Among the base ports the one with fewest legs, else the first one beyond that will do."""
        base = min(self._ports, max(BASE_PORTS, -(-(len(self._legs) + 1) // LEGS_PER_PORT)))
        inside = [port for port in range(base) if port != leaving and allowed(port)]
        if inside:
            return min(inside, key=self._load.__getitem__)
        beyond = (port for port in range(base, self._ports) if port != leaving and allowed(port))
        return next(beyond, None)

    def _seekers(self, addresses: set[str], now: float) -> set[int]:
        """The ports where a leg that has not been heard yet may be heard from one of these addresses."""
        legs = {leg for address in addresses if address in self._seeking for leg in self._seeking[address]}
        return {self._legs[leg].port for leg in legs if now < self._legs[leg].lapses}

    def _named_there(self, port: int, remote: Remote | None) -> bool:
        return remote is not None and (self._taken[port, remote] > 0 or (port, remote) in self._quiet)

    def _free_of(self, remote: Remote) -> bool:
        return any(not self._taken[port, remote] for port in range(self._ports))

    # Bookkeeping: whatever is entered is left again by the same figures

    def _enter(self, leg: int, placed: _Placed) -> None:
        placed.addresses = placed.expected()
        self._load[placed.port] += 1
        for remote in placed.remotes():
            self._taken[placed.port, remote] += 1
        for address in placed.addresses:
            self._towards[address][placed.port] += 1
            if placed.pinned is None and placed.learns:
                self._seeking[address].add(leg)

    def _leave(self, leg: int, placed: _Placed) -> None:
        self._load[placed.port] -= 1
        for remote in placed.remotes():
            _decrease(self._taken, (placed.port, remote))
        for address in placed.addresses:
            _decrease(self._towards[address], placed.port)
            if not self._towards[address]:
                del self._towards[address]
            self._seeking[address].discard(leg)
            if not self._seeking[address]:
                del self._seeking[address]

    def _retire(self, port: int, ended: Iterable[Remote | str | None], now: float) -> None:
        for known in ended:
            if known is not None:
                self._quiet[port, known] = now + QUIET_SECONDS
                self._ended.append((now + QUIET_SECONDS, (port, known)))

    def _forget(self, now: float) -> None:
        while self._ended and self._ended[0][0] <= now:
            _, key = self._ended.popleft()
            if self._quiet.get(key, math.inf) <= now:
                del self._quiet[key]


def _decrease(counter: Counter[_Key], key: _Key) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
