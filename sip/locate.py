"""Finding SIP servers by DNS (RFC 3263): from a name to places, the best one first."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from sip.address import Target, is_ip
from sip.uri import default_port


@dataclass(frozen=True, slots=True)
class Naptr:
    """A NAPTR record, as far as SIP needs it."""

    order: int
    preference: int
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """An SRV record."""

    priority: int
    weight: int
    port: int
    target: str


class Resolver(Protocol):
    """Looks names up. What does not exist is an empty answer; OSError where nobody knows."""

    async def naptr(self, name: str) -> Sequence[Naptr]: ...

    async def srv(self, name: str) -> Sequence[Srv]: ...

    async def addresses(self, name: str) -> Sequence[str]:
        """IPv4 and IPv6 addresses, the best one first."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """One server."""

    transport: str
    ip: str
    port: int


SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
"""What NAPTR calls our transports (section 4.1); WebSocket (SIP+D2W) is for browsers."""
PREFIXES = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
"""Where SRV has them."""
MAX_PLACES = 16


async def locate(
    target: Target, resolver: Resolver, transports: Iterable[str], random: Random
) -> list[Place]:
    """The places of a target, in the order in which they are to be tried. `transports` are those we can use.
    OSError when there are none."""
    host = target.host
    if is_ip(host) or target.port is not None or "." not in host.rstrip("."):
        _, port, transport = target.address
        return [Place(transport, ip, port) for ip in await _addresses(host, resolver)]
    usable = [t for t in PREFIXES if t in transports and (t == "tls" or not target.secure)]
    if target.transport is not None:
        services = [(target.transport, f"{PREFIXES[target.transport]}.{host}")]
    else:
        services = await _services(host, usable, resolver)
    places: list[Place] = []
    for transport, found in zip(
        [transport for transport, _ in services],
        await asyncio.gather(*(_srv(name, resolver) for _, name in services)),
        strict=True,
    ):
        for record in ordered(found, random):
            try:
                ips = await _addresses(record.target, resolver)
            except OSError:
                continue  # the others may still be there
            places += [Place(transport, ip, record.port) for ip in ips]
            if len(places) >= MAX_PLACES:
                return places[:MAX_PLACES]
    if places:
        return places
    transport = target.transport or ("tls" if target.secure else "udp")
    return [Place(transport, ip, default_port(transport)) for ip in await _addresses(host, resolver)]


def ordered(records: Sequence[Srv], random: Random) -> list[Srv]:
    """By priority, and by lot among equals: twice the weight comes first twice as often (RFC 2782). A target
    of `.` says that there is no such service."""
    left = sorted((r for r in records if r.target.rstrip(".")), key=lambda r: (r.priority, r.weight))
    chosen: list[Srv] = []
    while left:
        group = [r for r in left if r.priority == left[0].priority]
        ticket = random.randint(0, sum(r.weight for r in group))
        for record in group:
            ticket -= record.weight
            if ticket <= 0:
                break
        chosen.append(record)
        left.remove(record)
    return chosen


async def _services(host: str, usable: Sequence[str], resolver: Resolver) -> list[tuple[str, str]]:
    """Transports and the names of their SRV records: as NAPTR says, else as they are usually called."""
    try:
        records = await resolver.naptr(host)
    except OSError:
        records = ()
    said = [
        (SERVICES[record.service.upper()], record.replacement.rstrip("."))
        for record in sorted(records, key=lambda r: (r.order, r.preference))
        if SERVICES.get(record.service.upper()) in usable and record.replacement.rstrip(".")
    ]
    # UDP before TCP, as a peer that has both is most often spoken to by UDP.
    return said or [(transport, f"{PREFIXES[transport]}.{host}") for transport in usable]


async def _srv(name: str, resolver: Resolver) -> Sequence[Srv]:
    try:
        return await resolver.srv(name)
    except OSError:
        return ()


async def _addresses(host: str, resolver: Resolver) -> Sequence[str]:
    if is_ip(host):
        return [host]
    found = await resolver.addresses(host)
    if not found:
        raise OSError(f"{host}: no address")
    return found
