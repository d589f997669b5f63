"""Streams on an asyncio loop, plain or with TLS: connections by number and by peer, with limits."""

import asyncio
import itertools
import logging
import socket
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from sip.flow import Address, Flow
from sip.framing import Framer
from sip.limits import LogRate
from sip.tls import Tls
from sip.uri import host_port

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamLimits:
    """What a peer may use up."""

    connections: int = 1_000
    """Open at once; a further one takes the place of the oldest of a stranger, or is closed."""
    idle: float = 900.0
    """Seconds without a byte after which a connection is closed. Calls outlive it."""
    unused: float = 30.0
    """Seconds in which whoever connects says his first message."""
    partial: float = 32.0
    """Seconds that a message may take from its first byte to its last."""
    connect: float = 5.0
    """Seconds for a connection to be made, as many for a handshake, and as many for a peer to read the rest
    of what he asked for when his connection is closed."""
    unsent: int = 1 << 20
    """Bytes that wait for a peer who does not read."""


class Connection(asyncio.Protocol):
    """One stream, made by us or by the peer."""

    def __init__(self, owner: "Connections", local_port: int, *, incoming: bool) -> None:
        """`local_port` is where we listen."""
        self.flows: set[Flow] = set()
        """Flows without a number that have used this connection."""
        self.flow: Flow | None = None
        """Its own, once it is open."""
        self._owner = owner
        self._local_port = local_port
        self.incoming = incoming
        self._transport: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._early = b""
        self._gone = False
        self._framer = Framer()
        self._opened = self._heard = self._began = 0.0
        self._used = not incoming
        self._watch: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> None:
        """Now, or as soon as the connection stands."""
        if self._transport is None:
            self._waiting.append(data)
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > self._owner.limits.unsent:
            self._close("peer does not read")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop: the stream is open."""
        stream = cast(asyncio.Transport, transport)  # other loops' transports do not inherit it
        if self.incoming and not self._owner.has_room():
            stream.abort()
            return
        self._open(stream)

    def secured(self, stream: asyncio.Transport) -> None:
        """The handshake of an incoming connection is done; bytes, or its end, may have come with it."""
        if self._gone:
            return
        self._open(stream)
        early, self._early = self._early, b""
        if early and self._transport is not None:
            self.data_received(early)

    def _open(self, stream: asyncio.Transport) -> None:
        local, remote = stream.get_extra_info("sockname"), stream.get_extra_info("peername")
        if local is None or remote is None:
            stream.abort()
            return
        self._transport = stream
        self._opened = self._heard = self._owner.now()
        self.flow = self._owner.opened(self, (local[0], self._local_port), remote[:2])
        for data in self._waiting:
            stream.write(data)
        self._waiting.clear()
        self._look()

    def data_received(self, data: bytes) -> None:
        """The loop: bytes."""
        if self._transport is None:
            self._early += data
            return
        assert self.flow is not None
        self._heard = self._owner.now()
        if not self._framer.partial:
            self._began = self._heard
        pings = self._framer.pings
        messages = self._framer.feed(data)
        if messages:
            self._began, self._used = self._heard, True
        for _ in range(self._framer.pings - pings):
            self._transport.write(b"\r\n")
        for message in messages:
            if self._owner.on_message(message, self.flow):
                self._owner.let_in(self)
        error = self._framer.error
        if error is not None:
            if error.head:
                self._owner.on_message(error.head, self.flow)
            self._close(error.reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop: the stream is closed, by whomever."""
        self._gone = True
        if self._watch is not None:
            self._watch.cancel()
        self._owner.lost(self)

    def close(self) -> None:
        """Sends what waits, then closes."""
        if self._transport is not None:
            self._transport.close()

    def make_room(self) -> None:
        """Somebody else wants its place."""
        assert self._transport is not None and self.flow is not None
        self._transport.abort()
        self._owner.note("sip_connection_closed", source=self.flow.remote[0], why="all places are taken")

    def _close(self, why: str) -> None:
        assert self._transport is not None and self.flow is not None
        self._owner.note("sip_connection_closed", source=self.flow.remote[0], why=why)
        limits = self._owner.limits
        if self._transport.get_write_buffer_size() > limits.unsent:
            self._transport.abort()
            return
        self._transport.close()
        if self._watch is not None:
            self._watch.cancel()
        # Closing waits for a peer to read, and one who never does would keep his connection.
        self._watch = self._owner.loop.call_later(limits.connect, self._transport.abort)

    def _look(self) -> None:
        """Closes an idle, unused or dawdling connection, else looks again when it could be one."""
        limits, now = self._owner.limits, self._owner.now()
        ends = [(self._heard + limits.idle, "idle")]
        if self._framer.partial:
            ends = [(self._began + limits.partial, "message takes too long")]
        if not self._used:
            ends.append((self._opened + limits.unused, "no message yet"))
        since, why = min(ends)
        if now >= since:
            self._close(why)
            return
        soon = min(since, now + limits.partial)
        self._watch = self._owner.loop.call_at(soon, self._look)


class Handshake(asyncio.Protocol):
    """An incoming connection until TLS stands: counted from its first packet, so that half-open ones cannot
    pile up."""

    def __init__(self, owner: "Connections", local_port: int) -> None:
        self._owner = owner
        self._local_port = local_port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop: the stream is open."""
        stream = cast(asyncio.Transport, transport)
        if not self._owner.has_room():
            stream.abort()
            return
        stream.pause_reading()
        self._owner.secure(stream, Connection(self._owner, self._local_port, incoming=True))


class Connections:
    """All streams of a server by one transport, `tcp` or, with `tls`, `tls`."""

    def __init__(
        self,
        on_message: Callable[[bytes, Flow], bool],
        on_lost: Callable[[Flow], None],
        limits: StreamLimits,
        statistics: Counter[str],
        tls: Tls | None = None,
    ) -> None:
        self.transport = "tcp" if tls is None else "tls"
        self.on_message = on_message
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._statistics = statistics
        self._numbers = itertools.count(1)
        self._by_number: dict[int, Connection] = {}
        self._by_remote: dict[tuple[Address, str], Connection] = {}
        self._rate = LogRate()
        self._strangers: dict[Connection, None] = {}
        """Made by peers who have said nothing yet for which they were let in, the oldest first."""
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._handshakes: dict[asyncio.Task[None], asyncio.Transport] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def now(self) -> float:
        """The loop's clock."""
        return self.loop.time()

    def note(self, event: str, **facts: object) -> None:
        """Logs what anybody may cause."""
        if self._rate.takes(self.now()):
            logger.info(event, extra=facts)

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
            server = await self.loop.create_server(lambda: self._accept(bound[1]), sock=listener)
        except OSError:
            listener.close()
            raise
        self._servers.append(server)
        return bound

    def send(self, data: bytes, flow: Flow, asked: Flow) -> None:
        """Over the flow's connection; without a number over any to its peer, a new one if need be. A loss
        is told of `asked` too, which is the flow as its user knows it."""
        if flow.id:
            connection = self._by_number.get(flow.id)
            if connection is None:
                self._on_lost(asked)
                return
        else:
            connection = self._by_remote.get((flow.remote, flow.name))
            if connection is None:
                connection = self._connect(flow)
            connection.flows.add(asked)
        connection.send(data)

    def has_room(self) -> bool:
        """False, and counted, when a new connection is one too many. Who connects and says nothing, or only
        what is refused, keeps nobody out: he makes room."""
        if len(self._by_number) + len(self._handshakes) < self.limits.connections:
            return True
        if (oldest := next(iter(self._strangers), None)) is not None:
            del self._strangers[oldest]
            self._statistics[f"{self.transport}_made_room"] += 1
            oldest.make_room()
            return True
        if self._handshakes:
            stream = self._handshakes.pop(next(iter(self._handshakes)))
            self._statistics[f"{self.transport}_made_room"] += 1
            stream.abort()
            return True
        self._statistics[f"{self.transport}_refused"] += 1
        return False

    def secure(self, stream: asyncio.Transport, connection: Connection) -> None:
        """Begins the handshake of an incoming connection."""
        task = self.loop.create_task(self._shake_hands(stream, connection))
        self._handshakes[task] = stream
        task.add_done_callback(lambda task: self._handshakes.pop(task, None))

    def opened(self, connection: Connection, local: Address, remote: Address) -> Flow:
        """Gives a connection its number."""
        flow = Flow(self.transport, local, remote, next(self._numbers))
        self._by_number[flow.id] = connection
        if connection.incoming:
            self._strangers[connection] = None
            # One of ours is known by what was asked for, a name that its certificate has proved.
            self._by_remote[remote, ""] = connection
        return flow

    def let_in(self, connection: Connection) -> None:
        """Its peer is no stranger."""
        self._strangers.pop(connection, None)

    def lost(self, connection: Connection) -> None:
        """Forgets a connection and tells of every flow that it carried."""
        self._strangers.pop(connection, None)
        if connection.flow is not None:
            self._by_number.pop(connection.flow.id, None)
            self._on_lost(connection.flow)
        for remote in [r for r, c in self._by_remote.items() if c is connection]:
            del self._by_remote[remote]
        for flow in connection.flows:
            self._on_lost(flow)

    async def close(self) -> None:
        """Closes listeners and connections; what waits to be sent is sent first where the peer reads."""
        for server in self._servers:
            server.close()
        tasks = self._connecting | self._handshakes.keys()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._by_number.values()):
            connection.close()
        # One pass for the loop to tell the connections that they are closed.
        await asyncio.sleep(0)

    def _connect(self, flow: Flow) -> Connection:
        connection = Connection(self, flow.local[1], incoming=False)
        self._by_remote[flow.remote, flow.name] = connection
        task = self.loop.create_task(self._open(connection, flow))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return connection

    def _accept(self, local_port: int) -> asyncio.Protocol:
        if self._tls is None:
            return Connection(self, local_port, incoming=True)
        return Handshake(self, local_port)

    async def _shake_hands(self, stream: asyncio.Transport, connection: Connection) -> None:
        assert self._tls is not None
        if stream.is_closing():  # it has made room already, or has gone
            return
        peer = stream.get_extra_info("peername")
        try:
            secured = await self.loop.start_tls(
                stream,
                connection,
                self._tls.server,
                server_side=True,
                ssl_handshake_timeout=self.limits.connect,
            )
        except OSError as error:
            self._statistics["tls_handshake_errors"] += 1
            source = "" if peer is None else str(peer[0])
            self.note("sip_handshake_failed", source=source, error=str(error))
            stream.abort()
            # Else the error's frames keep the handshake's buffers, in a circle of which nobody looks at the
            # old ones for minutes.
            traceback.clear_frames(error.__traceback__)
            return
        if secured is not None:
            connection.secured(secured)

    async def _open(self, connection: Connection, flow: Flow) -> None:
        secured: dict[str, Any] = {}
        if self._tls is not None:
            secured = {"ssl": self._tls.client, "server_hostname": flow.name or flow.remote[0]}
        try:
            async with asyncio.timeout(self.limits.connect):
                await self.loop.create_connection(
                    lambda: connection, *flow.remote, local_addr=(flow.local[0], 0), **secured
                )
        except OSError as error:
            self._statistics[f"{self.transport}_connect_errors"] += 1
            self.note("sip_connect_failed", peer=host_port(*flow.remote), error=str(error))
            self.lost(connection)
