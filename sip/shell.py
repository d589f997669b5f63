"""The SIP endpoint on asyncio: sockets, the clock, one timer, and names looked up."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from sip.address import Bound, is_ip, is_wildcard, our_address, parse_listen, parse_target
from sip.endpoint import Endpoint, EndpointConfig
from sip.events import Event
from sip.finder import Finder
from sip.flow import Address, Flow
from sip.locate import Resolver
from sip.message import MAX_FORWARDS, Headers, Response
from sip.outside import Series
from sip.reason import Reason
from sip.replaces import Replaces
from sip.session import Session
from sip.tcp import Connections, StreamLimits
from sip.tls import Tls, TlsFiles
from sip.udp import UdpSocket
from sip.uri import host_port

if TYPE_CHECKING:
    from sip.websocket import WebSockets

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """Sees every message that passes, as it is on the wire."""

    def received(self, data: bytes, flow: Flow, now: float) -> None:
        """It has come."""

    def sent(self, data: bytes, flow: Flow, now: float) -> None:
        """It goes out, to an IP address."""


class SipServer:
    """One endpoint and its sockets. `on_event` is called on the loop; it may use the verbs. An exception
    that it raises goes to the loop's handler, and the server goes on. `tls` is needed for the transports tls
    and wss; `origins` are the web pages that may use ws and wss (see `sip.websocket`); `resolver` looks names
    up, None: the system's; `watchers` see what passes."""

    def __init__(
        self,
        config: EndpointConfig,
        on_event: Callable[[Event], None],
        limits: StreamLimits | None = None,
        *,
        tls: TlsFiles | None = None,
        origins: Sequence[str] = (),
        resolver: Resolver | None = None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.endpoint = Endpoint(config)
        self._finder = Finder(self.endpoint.preferred, resolver, config.random)
        self._config = config
        self._on_event = on_event
        self._limits = limits or StreamLimits()
        self._statistics: Counter[str] = Counter()
        self._datagrams: list[UdpSocket] = []
        self._streams: dict[str, Connections | WebSockets] = {}
        self._tls_files = tls
        self._tls: Tls | None = None
        self._origins = tuple(origins)
        self._watchers = tuple(watchers)
        self._timer: asyncio.TimerHandle | None = None
        self._lookups: set[asyncio.Task[None]] = set()
        self._pumping = False
        self._closed = False
        self._quiet: asyncio.Event | None = None

    async def start(self, listen: Sequence[str]) -> None:
        """Binds each entry, like `udp:127.0.0.1:5060` or `tls:[::1]:5061`. ValueError for an entry that is
        none of these, OSError naming the entry that cannot be bound or the file that is of no use; then
        nothing stays bound."""
        self._loop = asyncio.get_running_loop()
        bound = []
        try:
            for entry in listen:
                transport, address = parse_listen(entry)
                try:
                    bound.append(Bound(transport, *await self._bind(transport, address)))
                except OSError as error:
                    raise OSError(error.errno, f"{entry}: {error.strerror or error}") from error
        except (OSError, ValueError):
            await self.close()
            raise
        self._finder.bound = tuple(bound)
        for place in reversed(self.bound):
            self.endpoint.listens(place.transport, place.port)

    @property
    def bound(self) -> tuple[Bound, ...]:
        """What `start` has bound, with the ports that the kernel chose for 0."""
        return self._finder.bound

    async def close(self) -> None:
        """Closes all sockets. Calls are not ended: that is the owner's, and `settled` waits for it."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in self._lookups:
            task.cancel()
        await asyncio.gather(*self._lookups, return_exceptions=True)
        for datagrams in self._datagrams:
            datagrams.close()
        self._datagrams.clear()
        for streams in self._streams.values():
            await streams.close()

    def reload_certificate(self) -> None:
        """Reads certificate and key anew, for connections from now on. OSError naming the file that is of no
        use: then the old ones stay."""
        if self._tls is not None:
            self._tls.reload()

    async def settled(self, seconds: float) -> bool:
        """Waits until no call is left and every BYE is answered; False when that takes longer."""
        self._quiet = asyncio.Event()
        self._pump()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def port(self, transport: str) -> int:
        """The first port bound for a transport; ValueError when there is none."""
        for entry in self.bound:
            if entry.transport == transport:
                return entry.port
        raise ValueError(f"not listening on {transport}")

    # Peers.

    async def reach(self, target: str, transport: str | None = None) -> Flow:
        """The flow to a SIP URI or `host[:port]`; see `sip.finder`."""
        return await self._finder.reach(target, transport)

    def local_address(self, peer: Session | Flow | str, bound: str = "") -> str:
        """The IP to name to a peer in SDP: the advertised one, else `bound`, where all sound is received, or
        (it is empty) the local one that reaches him. A text is an IP address, or a target that has one."""
        if isinstance(peer, Session):
            peer = peer.flow if peer.dialog is None else peer.dialog.flow
        remote = peer.remote[0] if isinstance(peer, Flow) else parse_target(peer).host
        local = bound or (peer.local[0] if isinstance(peer, Flow) else self._finder.towards(remote))
        return our_address(self._config.advertise, local, remote, self._config.local_networks)

    # The verbs of the endpoint, each sent at once.

    def invite(
        self,
        *,
        to: str,
        from_uri: str,
        sdp: bytes,
        target: Flow | str | None = None,
        transport: str | None = None,
        headers: Headers = (),
        credentials: tuple[str, str] | None = None,
        display_name: str = "",
        max_forwards: int = MAX_FORWARDS,
    ) -> Session:
        """Calls `to` by way of `target`: a flow of `reach` or of a registration, or a URI or `host[:port]`
        with an IP address (None: `to` itself). OSError when no listener can reach it, ValueError for a
        name or a bad target, `SipError` for a bad URI."""
        flow = target
        if not isinstance(flow, Flow):
            host, port, transport = parse_target(flow or to, transport).address
            flow = self._finder.flow(transport, host, port)
        session = self.endpoint.invite(
            to=to,
            from_uri=from_uri,
            sdp=sdp,
            flow=flow,
            headers=headers,
            credentials=credentials,
            display_name=display_name,
            max_forwards=max_forwards,
            now=self._loop.time(),
        )
        self._pump()
        return session

    def ring(self, session: Session) -> None:
        """180."""
        self.endpoint.ring(session, self._loop.time())
        self._pump()

    def progress(self, session: Session, sdp: bytes) -> None:
        """183 with a session description."""
        self.endpoint.progress(session, sdp, self._loop.time())
        self._pump()

    def answer(self, session: Session, sdp: bytes) -> None:
        """200."""
        self.endpoint.answer(session, sdp, self._loop.time())
        self._pump()

    def reject(self, session: Session, status: int, reason: str = "", headers: Headers = ()) -> None:
        """A final response of 300 to 699."""
        self.endpoint.reject(session, status, reason, self._loop.time(), headers)
        self._pump()

    def hang_up(self, session: Session, cause: Reason | None = None) -> None:
        """BYE, CANCEL or a final response."""
        self.endpoint.hang_up(session, self._loop.time(), cause)
        self._pump()

    def reinvite(self, session: Session, sdp: bytes) -> None:
        """Offers new media."""
        self.endpoint.reinvite(session, sdp, self._loop.time())
        self._pump()

    def accept_media(self, session: Session, sdp: bytes) -> None:
        """Answers the peer's offer."""
        self.endpoint.accept_media(session, sdp, self._loop.time())
        self._pump()

    def refuse_media(self, session: Session, status: int, reason: str = "") -> None:
        """Refuses the peer's offer."""
        self.endpoint.refuse_media(session, status, self._loop.time(), reason)
        self._pump()

    def press(self, session: Session, key: str, milliseconds: int) -> None:
        """Tells a key by INFO."""
        self.endpoint.press(session, key, milliseconds, self._loop.time())
        self._pump()

    def refer(self, session: Session, target: str) -> None:
        """Asks the far end to call somebody else."""
        self.endpoint.refer(session, target, self._loop.time())
        self._pump()

    def accept_refer(self, session: Session) -> None:
        """Takes the far end's REFER on."""
        self.endpoint.accept_refer(session, self._loop.time())
        self._pump()

    def refuse_refer(self, session: Session, status: int) -> None:
        """Refuses the far end's REFER."""
        self.endpoint.refuse_refer(session, status, self._loop.time())
        self._pump()

    def tell_refer(self, session: Session, status: int, reason: str = "") -> None:
        """Tells how the call goes that the far end asked for."""
        self.endpoint.tell_refer(session, status, reason, self._loop.time())
        self._pump()

    def session_of(self, replaces: Replaces) -> Session | None:
        """The answered call of ours that a Replaces means."""
        return self.endpoint.session_of(replaces)

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
        """Sends a request outside of calls and waits for its final response (408: none came, 503: it could
        not be sent; both without headers). OSError, ValueError and `SipError` as for `reach` and `invite`."""
        flow = await self.reach(next_hop, transport)
        answered: asyncio.Future[Response] = self._loop.create_future()

        def on_answer(response: Response) -> None:
            if not answered.done():
                answered.set_result(response)

        self.endpoint.ask(
            method,
            uri=uri,
            address=address,
            flow=flow,
            series=series,
            headers=headers,
            on_answer=on_answer,
            now=self._loop.time(),
        )
        self._pump()
        return await answered

    def stop_accepting(self) -> None:
        """503 to new calls from now on."""
        self.endpoint.stop_accepting()

    @property
    def statistics(self) -> dict[str, int]:
        """The endpoint's counters and those of the sockets."""
        connections = {"tcp_connections": 0} | {
            f"{transport}_connections": len(streams) for transport, streams in self._streams.items()
        }
        return {**self.endpoint.statistics, **self._statistics, **connections}

    # The five doors.

    def _pump(self) -> None:
        """Sends what is to be sent, tells what happened, sets the timer. A verb used in `on_event` sends
        at once and leaves the telling to the pump that is at work."""
        if self._pumping:
            self._flush()
            return
        self._pumping = True
        try:
            self._flush()
            while (event := self.endpoint.next_event()) is not None:
                self._on_event(event)
                self._flush()
        finally:
            self._pumping = False
            self._arm()
        if self._quiet is not None and not self.endpoint.size()["dialogs"] + self.endpoint.size()["sessions"]:
            self._quiet.set()

    def _flush(self) -> None:
        while outgoing := self.endpoint.take_outgoing():
            for message in outgoing:
                self._send(message.data, message.flow)

    def _arm(self) -> None:
        if self._closed:
            return
        when = self._loop.time() if self.endpoint.has_events else self.endpoint.next_timer()
        if self._timer is not None:
            if self._timer.when() == when:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        try:
            self.endpoint.fire_timers(self._loop.time())
        finally:
            self._pump()

    def _message(self, data: bytes, flow: Flow) -> bool:
        for watcher in self._watchers:
            watcher.received(data, flow, self._loop.time())
        try:
            return self.endpoint.receive(data, flow, self._loop.time())
        finally:
            self._pump()

    def _datagram(self, data: bytes, remote: Address, datagrams: UdpSocket) -> None:
        host, port = datagrams.address
        try:
            local = self._finder.towards(remote[0]) if is_wildcard(host) else host
        except OSError:
            self._statistics["unreachable_sources"] += 1
            return
        self._message(data, Flow("udp", (local, port), remote))

    def _unreachable(self, data: bytes) -> None:
        self.endpoint.unreachable(data, self._loop.time())
        self._pump()

    def _lost(self, flow: Flow) -> None:
        if self._closed:
            return
        self.endpoint.flow_lost(flow, self._loop.time())
        self._pump()

    # Sending.

    def _send(self, data: bytes, flow: Flow, asked: Flow | None = None) -> None:
        """Sends over `flow`. A failure is told of `asked`, where that is the same by name."""
        if self._closed:
            return
        asked = asked or flow
        if not is_ip(flow.remote[0]):
            task = self._loop.create_task(self._send_to_name(data, flow))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
            return
        for watcher in self._watchers:
            watcher.sent(data, flow, self._loop.time())
        if flow.transport == "udp":
            try:
                self._socket_for(flow).send(data, flow.remote)
            except OSError as error:
                self._send_failed(asked, error)
        elif flow.transport in self._streams:
            self._streams[flow.transport].send(data, flow, asked)
        else:
            self._send_failed(asked, OSError(f"no {flow.transport} entry in sip.listen"))

    async def _send_to_name(self, data: bytes, flow: Flow) -> None:
        """A Route or Contact that names a host: looked up, then sent from the family that reaches it."""
        try:
            reached = await self.reach(host_port(*flow.remote), flow.transport)
        except (OSError, ValueError) as error:
            self._send_failed(flow, error)
        else:
            self._send(data, reached, flow)
        self._pump()

    def _send_failed(self, flow: Flow, error: Exception) -> None:
        self._statistics["send_errors"] += 1
        logger.info("sip_send_failed", extra={"peer": host_port(*flow.remote), "error": str(error)})
        self.endpoint.flow_lost(flow, self._loop.time())

    def _socket_for(self, flow: Flow) -> UdpSocket:
        """The socket that the flow's local address belongs to, else any of the same family."""
        same_family = [d for d in self._datagrams if (":" in d.address[0]) == (":" in flow.remote[0])]
        if not same_family:
            raise OSError("no udp entry in sip.listen for this address family")
        for datagrams in same_family:
            host, port = datagrams.address
            if port == flow.local[1] and (host == flow.local[0] or is_wildcard(host)):
                return datagrams
        return same_family[0]

    async def _bind(self, transport: str, address: Address) -> Address:
        if transport == "udp":
            datagrams = UdpSocket(address, self._datagram, self._statistics, self._unreachable)
            self._datagrams.append(datagrams)
            return datagrams.address
        if transport not in self._streams:
            self._streams[transport] = self._open(transport)
        return await self._streams[transport].listen(address)

    def _open(self, transport: str) -> "Connections | WebSockets":
        if transport in ("tls", "wss") and self._tls is None:
            if self._tls_files is None:
                raise ValueError(f"{transport}: expected a certificate")
            self._tls = Tls(self._tls_files)
        tls = self._tls if transport in ("tls", "wss") else None
        ears = self._message, self._lost, self._limits, self._statistics
        if transport in ("ws", "wss"):
            from sip.websocket import WebSockets

            return WebSockets(*ears, tls, self._origins)
        return Connections(*ears, tls)
