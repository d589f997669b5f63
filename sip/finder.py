"""The way to a peer: his name looked up, the listener of ours that reaches him, the address that it has."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from sip.address import DIALLED, Bound, is_ip, is_wildcard, parse_target
from sip.flow import Flow
from sip.locate import Resolver, locate
from sip.uri import DEFAULT_PORT

ROUTE_LIFETIME = 30.0
"""Seconds for which the local address towards a peer is believed."""
MAX_ROUTES = 4_096


class Finder:
    """Finds flows. `preferred` puts those last that led nowhere lately; `resolver` looks names up, None: the
    system's."""

    def __init__(
        self,
        preferred: Callable[[Sequence[Flow], float], list[Flow]],
        resolver: Resolver | None,
        random: Random,
    ) -> None:
        self.bound: tuple[Bound, ...] = ()
        """Where we listen, and send from."""
        self._preferred = preferred
        self._resolver = resolver
        self._random = random
        self._routes: dict[str, tuple[str, float]] = {}

    async def reach(self, target: str, transport: str | None = None) -> Flow:
        """The flow to a SIP URI or `host[:port]`, the name looked up (RFC 3263); what else it leads to is in
        the flow's `others`. The URI's transport counts, then `transport`, then what DNS says, then udp.
        OSError when the name is unknown or no listener can reach it; ValueError for a bad target."""
        wanted = parse_target(target, transport)
        if is_ip(wanted.host):
            host, port, transport = wanted.address
            return self.flow(transport, host, port)
        listened = {entry.transport for entry in self.bound}
        last = OSError(f"{wanted.host}: no address")
        flows = []
        for place in await locate(wanted, await self._names(), listened, self._random):
            try:
                flows.append(self.flow(place.transport, place.ip, place.port, wanted.host))
            except OSError as error:
                last = error
        if not flows:
            raise last
        first, *others = self._preferred(flows, asyncio.get_running_loop().time())
        return replace(first, others=tuple(others))

    async def _names(self) -> Resolver:
        """Who looks names up. What that takes is loaded by the first one to ask, beside the loop."""
        if self._resolver is None:
            made = await asyncio.to_thread(_system_resolver)
            self._resolver = self._resolver or made
        return self._resolver

    def flow(self, transport: str, host: str, port: int, name: str = "") -> Flow:
        """A flow to an IP address, from a listener of its transport and family, if there is one from that at
        the address which reaches it. `name` is what the address was looked up by."""
        if not is_ip(host):
            raise ValueError(f"{host}: expected an IP address")
        if transport not in DIALLED:
            raise ValueError(f"a peer is not reached by {transport}, he connects to us")
        name = name if transport == "tls" else ""
        local = self.towards(host)
        ours = [
            (local if is_wildcard(entry.host) else entry.host, entry.port)
            for entry in self.bound
            if entry.transport == transport and (":" in entry.host) == (":" in host)
        ]
        if not ours:
            raise OSError(f"no {transport} entry in sip.listen can reach {host}")
        here = next((place for place in ours if place[0] == local), ours[0])
        return Flow(transport, here, (host, port), name=name)

    def towards(self, ip: str) -> str:
        """The local address that the kernel would send from. OSError when there is no route."""
        now = asyncio.get_running_loop().time()
        known = self._routes.get(ip)
        if known is not None and known[1] > now:
            return known[0]
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((ip, DEFAULT_PORT))
            local: str = probe.getsockname()[0]
        if len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
        self._routes[ip] = (local, now + ROUTE_LIFETIME)
        return local


def _system_resolver() -> Resolver:
    from sip.resolver import SystemResolver

    return SystemResolver()
