"""How many HTTP connections are held, and for how long one may keep us waiting for a request.

A descriptor is all that it takes to hold a connection, and anybody who reaches the port has some; without
bounds those who never finish a header would take ours. So a whole header has its time, and where all places
are taken, the oldest connection without a request under way makes room: who does ask something has asked
long before it is his turn to go.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast

from starlette.responses import Response
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from api.errors import refusal

logger = logging.getLogger(__name__)


def _written(response: Response) -> bytes:
    """An answer as it goes out where no application is asked."""
    status = HTTPStatus(response.status_code)
    head = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*head, b"", bytes(response.body)])


_CLOSE = {"Connection": "close"}
_BUSY = _written(
    refusal(503, "Too many connections have a request under way", headers={"Retry-After": "5"} | _CLOSE)
)
_MALFORMED = _written(refusal(400, "The request is not HTTP/1.1", headers=_CLOSE))

# Seconds between two lines of the log that say the same.
_QUIET = 60.0


class _Complaint:
    """What anybody may cause as often as he likes: said at most once in `_QUIET` seconds."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._told = -_QUIET
        self._unsaid = 0

    def log(self, now: float, **facts: object) -> None:
        if now - self._told < _QUIET:
            self._unsaid += 1
            return
        logger.warning(self._event, extra={**facts, "unsaid_before": self._unsaid})
        self._told, self._unsaid = now, 0


class _Door:
    """What the connections of one server share."""

    def __init__(self, connections: int, patience: float) -> None:
        self.patience = patience
        self._most = connections
        self._held: dict[_Connection, None] = {}
        """The oldest first."""
        self._full = _Complaint("http_connections_full")
        self.malformed = _Complaint("http_malformed")

    def enter(self, connection: "_Connection", now: float) -> bool:
        """False where all places are taken by requests under way."""
        if len(self._held) >= self._most:
            self._full.log(now, connections=self._most)
            idle = next((each for each in self._held if each.idle), None)
            if idle is None:
                return False
            idle.cut()
        self._held[connection] = None
        return True

    def leave(self, connection: "_Connection") -> None:
        self._held.pop(connection, None)


class _Connection(asyncio.Protocol):
    """What is put in front of uvicorn's protocol, whichever of its parsers that has."""

    door: _Door
    cycle: Any = None
    """uvicorn's: the last request whose header is complete."""
    _transport: asyncio.Transport | None = None
    """None for one that was not let in."""
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self.door.enter(self, asyncio.get_running_loop().time()):
            transport.write(_BUSY)
            transport.close()
            return
        self._transport = transport
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """uvicorn's, for what it cannot read."""
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        now = asyncio.get_running_loop().time()
        self.door.malformed.log(now, source=peer[0] if peer else None)
        self._transport.write(_MALFORMED)
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self.door.leave(self)
        self._stop_clock()
        super().connection_lost(exc)

    def cut(self) -> None:
        """The end, without a word; a place is free at once."""
        assert self._transport is not None
        self.door.leave(self)
        self._transport.abort()

    @property
    def idle(self) -> bool:
        """It is their turn: no request is under way."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _watch(self) -> None:
        """Their time begins with the connection, later with the first byte after our last answer; how long
        they may say nothing at all after that is uvicorn's to know."""
        if not self.idle:
            self._stop_clock()
        elif self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self.door.patience, self.cut)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded(connections: int, patience: float) -> type[asyncio.Protocol]:
    """uvicorn's protocol for at most so many connections at a time, each with `patience` seconds for the
    header of its next request. With all places taken a new connection takes that of the oldest one without a
    request under way; where all have one, the new one gets 503."""
    members = {"door": _Door(connections, patience)}
    return cast(type[asyncio.Protocol], type("Connection", (_Connection, AutoHTTPProtocol), members))
