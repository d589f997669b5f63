"""DNS on asyncio: NAPTR and SRV by dnspython, addresses as the system finds them (`/etc/hosts` included)."""

import asyncio
import logging
import socket

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from sip.locate import Naptr, Srv

logger = logging.getLogger(__name__)

LIFETIME = 3.0
"""Seconds that a question may take; a caller waits for it."""


class SystemResolver:
    """The resolver that the system is configured for; answers are kept for as long as they say."""

    def __init__(self) -> None:
        try:
            self._dns: dns.asyncresolver.Resolver | None = dns.asyncresolver.Resolver()
            self._dns.cache = dns.resolver.LRUCache(1_000)
        except dns.exception.DNSException as error:
            # No name server is configured: names are those of /etc/hosts.
            logger.warning("no_name_server", extra={"error": str(error)})
            self._dns = None

    async def naptr(self, name: str) -> list[Naptr]:
        """See `sip.locate.Resolver`."""
        return [
            Naptr(r.order, r.preference, r.service.decode("ascii", "replace"), str(r.replacement))
            for r in await self._ask(name, "NAPTR")
            if isinstance(r, NAPTR)
        ]

    async def srv(self, name: str) -> list[Srv]:
        """See `sip.locate.Resolver`."""
        return [
            Srv(r.priority, r.weight, r.port, str(r.target).rstrip("."))
            for r in await self._ask(name, "SRV")
            if isinstance(r, SRV) and r.port
        ]

    async def addresses(self, name: str) -> list[str]:
        """See `sip.locate.Resolver`."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _ask(self, name: str, kind: str) -> list[object]:
        if self._dns is None:
            return []
        try:
            return list(await self._dns.resolve(name, kind, lifetime=LIFETIME, search=False))
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return []
        except dns.exception.DNSException as error:
            raise OSError(f"{name}: {kind} cannot be looked up ({error})") from error
