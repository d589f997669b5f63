"""SIP over WebSocket (RFC 7118), plain or with TLS: connections that peers, mostly browsers, make to us."""

import asyncio
import itertools
import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from sip.flow import Address, Flow
from sip.limits import LogRate
from sip.message import MAX_MESSAGE
from sip.tcp import StreamLimits
from sip.tls import Tls

logger = logging.getLogger(__name__)

_library = logger.getChild("library")
_library.addFilter(lambda record: record.msg in ("connection handler failed", "process_request failed"))
"""The library tells of every stranger whose handshake fails, with a traceback. Faults of ours are news."""

SUBPROTOCOL = Subprotocol("sip")
PING = 25.0
"""Seconds between our pings; a peer that leaves one unanswered for as long is gone."""
ANY_ORIGIN = "*"


class Connection:
    """One peer. Each frame is one message, text or binary."""

    def __init__(self, socket: ServerConnection, flow: Flow, unsent: int) -> None:
        self.flow = flow
        self._socket = socket
        self._unsent = unsent
        self._waiting = 0
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()

    def send(self, data: bytes) -> bool:
        """Queues a message; False when the peer does not read and too much waits."""
        self._waiting += len(data)
        self._queue.put_nowait(data)
        return self._waiting <= self._unsent

    async def write(self) -> None:
        """Sends what is queued, for as long as the connection lives."""
        while True:
            data = await self._queue.get()
            try:
                await self._socket.send(_frame(data))
            except ConnectionClosed:
                return
            self._waiting -= len(data)

    def abort(self) -> None:
        """Breaks the connection off."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """Says that we go."""
        await self._socket.close(1001)


class _Guest(ServerConnection):
    """The library's connection, counted from its first byte on: half-open ones must not take all files."""

    def __init__(self, owner: "WebSockets", *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._owner = owner
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop: the stream is open."""
        self._counted = self._owner.has_room()
        if self._counted:
            self._owner.open += 1
            self._owner.half_open[self] = None
            super().connection_made(transport)
        else:
            cast(asyncio.Transport, transport).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop: the stream is closed, by whomever."""
        if self._counted:
            self._owner.open -= 1
            self._owner.half_open.pop(self, None)
            super().connection_lost(exc)


class WebSockets:
    """All WebSocket connections of a server by one transport, `ws` or, with `tls`, `wss`.

    `origins` are the web pages whose scripts may connect (the Origin header; `*`: any). Programs that are no
    browsers send none and may. Without that rule any page open in a browser of an allowed network could
    call in from there.
    """

    def __init__(
        self,
        on_message: Callable[[bytes, Flow], bool],
        on_lost: Callable[[Flow], None],
        limits: StreamLimits,
        statistics: Counter[str],
        tls: Tls | None = None,
        origins: Sequence[str] = (),
    ) -> None:
        self.transport = "ws" if tls is None else "wss"
        self._on_message = on_message
        self._on_lost = on_lost
        self._limits = limits
        self._statistics = statistics
        self._tls = tls
        self._origins = None if ANY_ORIGIN in origins else [None, *map(Origin, origins)]
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Connection] = {}
        self._by_remote: dict[Address, Connection] = {}
        self._servers: list[Server] = []
        self.open = 0
        """Connections, half-open ones too."""
        self.half_open: dict[ServerConnection, None] = {}
        """Those that have not said yet what they want, the oldest first."""
        self._rate = LogRate()
        self._strangers: dict[Connection, None] = {}
        """Those of peers who have said nothing yet for which they were let in, the oldest first."""

    def __len__(self) -> int:
        return len(self._by_number)

    def has_room(self) -> bool:
        """False, and counted, when a new connection is one too many: as many may be half open as connected,
        and of those who are the oldest makes room."""
        if self.open < 2 * self._limits.connections:
            return True
        if (oldest := next(iter(self.half_open), None)) is not None:
            del self.half_open[oldest]
            self._statistics[f"{self.transport}_made_room"] += 1
            oldest.transport.abort()
            return True
        self._statistics[f"{self.transport}_refused"] += 1
        return False

    async def listen(self, address: Address) -> Address:
        """Accepts connections at `address` and returns the one bound. OSError when it is in use or not
        ours."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        # Named by its protocol, so that asyncio knows it for TCP and sends small messages at once.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            bound: Address = listener.getsockname()[:2]
            server = await serve(
                lambda connection: self._serve(connection, bound[1]),
                sock=listener,
                create_connection=cast(type[ServerConnection], partial(_Guest, self)),
                ssl=None if self._tls is None else self._tls.server,
                subprotocols=[SUBPROTOCOL],
                origins=self._origins,
                process_request=self._admit,
                compression=None,
                server_header=None,
                max_size=MAX_MESSAGE,
                open_timeout=2 * self._limits.connect,
                ping_interval=PING,
                ping_timeout=PING,
                close_timeout=1,
                logger=_library,
                ssl_handshake_timeout=None if self._tls is None else self._limits.connect,
            )
        except OSError:
            listener.close()
            raise
        self._servers.append(server)
        return bound

    def send(self, data: bytes, flow: Flow, asked: Flow) -> None:
        """Over the flow's connection; without a number over the one from its address. Where there is none,
        none can be made: that is told of `asked`."""
        connection = self._by_number.get(flow.id) if flow.id else self._by_remote.get(flow.remote)
        if connection is None:
            asyncio.get_running_loop().call_soon(self._on_lost, asked)
        elif not connection.send(data):
            self._note_end(flow, "peer does not read")
            connection.abort()

    async def close(self) -> None:
        """Closes listeners and connections."""
        for server in self._servers:
            server.close(close_connections=False)
        await asyncio.gather(*(connection.close() for connection in list(self._by_number.values())))
        for server in self._servers:
            await server.wait_closed()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if len(self._by_number) >= self._limits.connections and not self._strangers:
            self._statistics[f"{self.transport}_refused"] += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections\n")
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        if SUBPROTOCOL not in (name.strip() for name in offered.split(",")):
            return connection.respond(HTTPStatus.BAD_REQUEST, "Expected the subprotocol sip\n")
        return None

    async def _serve(self, socket: ServerConnection, local_port: int) -> None:
        """One connection from its handshake to its end."""
        local, remote = socket.local_address[0], socket.remote_address[:2]
        flow = Flow(self.transport, (local, local_port), remote, next(self._numbers))
        connection = Connection(socket, flow, self._limits.unsent)
        self.half_open.pop(socket, None)
        if len(self._by_number) >= self._limits.connections:
            self._make_room()
        self._by_number[flow.id] = self._by_remote[remote] = connection
        self._strangers[connection] = None
        writer = asyncio.create_task(connection.write())
        # A page may wait for somebody to press its button; a program has connected to say something.
        seconds = self._limits.idle if "Origin" in _headers(socket) else self._limits.unused
        silence = asyncio.get_running_loop().call_later(seconds, self._unused, connection)
        try:
            async for message in socket:
                if self._receive(connection, message):
                    silence.cancel()
        except ConnectionClosed as error:
            self._note_end(flow, str(error))
        finally:
            silence.cancel()
            writer.cancel()
            del self._by_number[flow.id]
            self._strangers.pop(connection, None)
            if self._by_remote.get(remote) is connection:
                del self._by_remote[remote]
            self._on_lost(flow)
            self._on_lost(Flow(self.transport, flow.local, remote))

    def _make_room(self) -> None:
        """Who connects and says nothing, or only what is refused, keeps nobody out."""
        if (oldest := next(iter(self._strangers), None)) is not None:
            del self._strangers[oldest]
            self._statistics[f"{self.transport}_made_room"] += 1
            self._unused(oldest, "all places are taken")

    def _unused(self, connection: Connection, why: str = "no message yet") -> None:
        self._note_end(connection.flow, why)
        connection.abort()

    def _note_end(self, flow: Flow, why: str) -> None:
        if self._rate.takes(asyncio.get_running_loop().time()):
            logger.info("sip_connection_closed", extra={"source": flow.remote[0], "why": why})

    def _receive(self, connection: Connection, message: str | bytes) -> bool:
        """False for a mere keep-alive."""
        data = message.encode("utf-8", "surrogateescape") if isinstance(message, str) else message
        if not data.strip(b"\r\n"):
            if len(data) >= 4:
                connection.send(b"\r\n")  # a keep-alive (RFC 5626 section 3.5.1)
            return False
        if self._on_message(data, connection.flow):
            self._strangers.pop(connection, None)
        return True


def _headers(socket: ServerConnection) -> Headers:
    """Those of the handshake."""
    assert socket.request is not None, "the handshake is done"
    return socket.request.headers


def _frame(data: bytes) -> str | bytes:
    """As text where it is: scripts read that more easily."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
