"""Names to addresses, each judged by the policy before anything connects to it."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from net.errors import Refused
from net.policy import Policy

Sockaddr = tuple[Any, ...]
Lookup = Callable[[str, int], Sequence[tuple[int, int, int, str, Sockaddr]]]

LOOKUPS = 16  # names looked up at once; a name server that hangs holds a thread for up to half a minute


def system_lookup(host: str, port: int) -> Sequence[tuple[int, int, int, str, Sockaddr]]:
    """getaddrinfo for TCP. Blocks; OSError when the name has no address."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class CheckedResolver(AbstractResolver):
    """aiohttp's resolver: gives back only the addresses that the policy lets pass; Refused when none is left.

    aiohttp connects to what it is given and never asks again for that connection, so a name that answers
    differently the second time (DNS rebinding) gains nothing.
    """

    def __init__(self, policy: Policy, lookup: Lookup = system_lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._free = asyncio.Semaphore(LOOKUPS)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        results: list[ResolveResult] = []
        reason = "the name has no address"
        for found_family, _, proto, _, sockaddr in await self._addresses(host, port):
            text = str(sockaddr[0])
            refused = self._policy.refuses(host, port, ip_address(text))
            if refused is not None:
                reason = refused
                continue
            results.append(
                ResolveResult(
                    hostname=host,
                    host=text,
                    port=port,
                    family=found_family,
                    proto=proto,
                    flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
                )
            )
        if not results:
            raise Refused(f"//{host}:{port}", reason)
        return results

    async def _addresses(self, host: str, port: int) -> Sequence[tuple[int, int, int, str, Sockaddr]]:
        """The lookup in a daemon thread of its own: a slow name server must neither fill the loop's executor
        nor hold up the end of the process."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[tuple[int, int, int, str, Sockaddr]]] = loop.create_future()

        def settle(outcome: Callable[[], None]) -> None:
            self._free.release()
            if not found.done():
                outcome()

        def work() -> None:
            try:
                answer = self._lookup(host, port)
            except (OSError, UnicodeError) as error:  # UnicodeError: labels that IDNA cannot write
                outcome = partial(found.set_exception, OSError(f"the name does not resolve: {error}"))
            else:
                outcome = partial(found.set_result, answer)
            try:
                loop.call_soon_threadsafe(settle, outcome)
            except RuntimeError:
                return  # the loop closed while the name server thought: nobody waits any more

        await self._free.acquire()
        threading.Thread(target=work, name=f"resolve {host}", daemon=True).start()
        return await found

    async def close(self) -> None:
        """Nothing to close: threads end with their lookups."""
