"""Looks after trunks on asyncio: asks whether they are there, and registers with those that want it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from sip.access import Trunk
from sip.errors import SipError
from sip.headers import NameAddr
from sip.message import Headers, Response
from sip.outside import Series
from sip.trunks import FAILURES, Condition, Trunks

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds for the answer to a health check, if checks are not more frequent than that."""
REFRESH = 0.9
"""Which part of a registration's time passes until it is renewed."""
RETRY, RETRY_MOST = 10.0, 300.0
"""Seconds until a registration that failed is tried again: at first, doubling up to."""
LAST_WORD = 1.0
"""Seconds that the end of a registration may take when the server stops."""

NO_ANSWER = Response(408, "No answer")


class Asker(Protocol):
    """As `sip.shell.SipServer`."""

    async def ask(
        self,
        method: str,
        *,
        uri: str,
        address: str,
        next_hop: str,
        transport: str,
        series: Series,
        headers: Headers = (),
    ) -> Response:
        """The final response. OSError and ValueError where the next hop cannot be reached."""


class TrunkCare:
    """Keeps `trunks` up to date from `start` to `close`."""

    def __init__(self, trunks: Trunks, sip: Asker) -> None:
        self._trunks = trunks
        self._sip = sip
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._begun: dict[str, Trunk] = {}

    async def start(self) -> None:
        """Begin with what `trunks` holds now."""
        await self.renew()

    async def renew(self) -> None:
        """`trunks` has other settings: end and begin what is different, and leave the rest alone."""
        wanted = {condition.trunk.name: condition for condition in self._trunks}
        for name, trunk in list(self._begun.items()):
            if name not in wanted or wanted[name].trunk != trunk:
                await self._end(name)
        for name, condition in wanted.items():
            if name not in self._begun:
                self._begin(condition)

    async def close(self) -> None:
        """End every registration, as far as the trunks answer in time."""
        await asyncio.gather(*(self._end(name) for name in list(self._begun)))

    def _begin(self, condition: Condition) -> None:
        trunk = condition.trunk
        self._begun[trunk.name] = trunk
        work: list[Callable[[Condition], Coroutine[Any, Any, None]]] = []
        if trunk.health_check:
            work.append(self._watch)
        if trunk.register:
            work.append(self._register)
        self._tasks[trunk.name] = [
            asyncio.create_task(each(condition), name=f"trunk {trunk.name}") for each in work
        ]

    async def _end(self, name: str) -> None:
        del self._begun[name]
        for task in self._tasks.pop(name):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # Is it there?

    async def _watch(self, condition: Condition) -> None:
        trunk, series = condition.trunk, Series(condition.trunk.credentials)
        while True:
            patience = min(PATIENCE, trunk.health_check)
            answer = await self._ask(trunk, "OPTIONS", series, f"sip:{trunk.host}", patience)
            was_up = condition.up
            # Whatever it answers, it is there; unless it says that it cannot serve.
            condition.failures = 0 if answer.status not in (408, 503) else condition.failures + 1
            fields = {"trunk": trunk.name, "status": answer.status, "reason": answer.reason}
            if was_up and not condition.up:
                logger.warning("trunk_down", extra={**fields, "checks": FAILURES})
            elif condition.up and not was_up:
                logger.info("trunk_up", extra=fields)
            await asyncio.sleep(trunk.health_check)

    # Registration

    async def _register(self, condition: Condition) -> None:
        trunk, series = condition.trunk, Series(condition.trunk.credentials)
        seconds, pause, registered = trunk.register_expires, RETRY, False
        try:
            while True:
                answer = await self._renew(trunk, series, seconds)
                if answer.status == 423 and (least := _seconds(answer.get("Min-Expires"))) > seconds:
                    seconds = least
                    continue
                registered = 200 <= answer.status < 300
                fields = {"trunk": trunk.name, "status": answer.status, "reason": answer.reason}
                if registered and not condition.registered:
                    logger.info("trunk_registered", extra=fields)
                elif not registered:
                    logger.warning("trunk_not_registered", extra=fields)
                condition.registered = registered
                if registered:
                    pause = RETRY
                    await asyncio.sleep(granted(answer, seconds) * REFRESH)
                else:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, RETRY_MOST)
        finally:
            if registered:
                await self._renew(trunk, series, 0, LAST_WORD)

    async def _renew(
        self, trunk: Trunk, series: Series, seconds: int, patience: float | None = None
    ) -> Response:
        address = f"sip:{trunk.username}@{trunk.host}"
        headers = (("Expires", str(seconds)),)
        return await self._ask(trunk, "REGISTER", series, address, patience, headers)

    async def _ask(
        self,
        trunk: Trunk,
        method: str,
        series: Series,
        address: str,
        patience: float | None,
        headers: Headers = (),
    ) -> Response:
        """The final response; what cannot be asked at all is a 503 of our own, and no answer a 408."""
        try:
            async with asyncio.timeout(patience):
                return await self._sip.ask(
                    method,
                    uri=f"sip:{trunk.host}",
                    address=address,
                    next_hop=trunk.host,
                    transport=trunk.transport,
                    series=series,
                    headers=headers,
                )
        except TimeoutError:
            return NO_ANSWER
        except (OSError, ValueError, SipError) as error:
            return Response(503, str(error))


def granted(answer: Response, asked: int) -> int:
    """The seconds that a 200 to a REGISTER gives us: the least that its Contacts and its Expires header name
    (RFC 3261 section 10.2.4); a minute at least, so that a strange registrar does not keep us busy."""
    given = [asked, _seconds(answer.get("Expires")) or asked]
    with suppress(SipError):  # what cannot be read says nothing
        for value in answer.get_list("Contact"):
            given.append(_seconds(NameAddr.parse(value).parameter("expires")) or asked)
    return max(min(given), 60)


def _seconds(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0
