"""The transaction layer: which transaction a message belongs to (RFC 3261 sections 17.1.3, 17.2.3,
18.2.2)."""

import re
from collections import Counter
from collections.abc import Callable, Hashable

from sip.address import is_private_elsewhere
from sip.errors import SipError
from sip.flow import Address, Flow
from sip.headers import MAGIC_COOKIE
from sip.message import Request, Response
from sip.timers import TimerQueue, TimerValues
from sip.transaction import ClientTransaction, Send, ServerTransaction

MAX_DATAGRAM = 1_300
"""Bytes of a request that may go by UDP where the path's MTU is not known (section 18.1.1)."""
NO_STREAM = 600.0
"""Seconds for which a peer that did not take TCP is not asked again."""
MAX_REMEMBERED = 1_000
"""Such peers."""


_QUOTED = re.compile(rb"([A-Z]+) [^\r\n]*\r\nVia: [^\r\n]*;branch=([^\s;,]+)")


class TransactionLayer:
    """All transactions of an endpoint, each found by what the RFC names it by."""

    def __init__(
        self,
        timers: TimerQueue,
        values: TimerValues,
        send: Send,
        statistics: Counter[str],
        stream_instead: Callable[[Flow], Flow | None],
    ) -> None:
        self._timers = timers
        self._values = values
        self._send = send
        self._statistics = statistics
        self._stream_instead = stream_instead
        self._no_stream: dict[Address, float] = {}
        self._clients: dict[tuple[str, str], ClientTransaction] = {}
        self._servers: dict[Hashable, ServerTransaction] = {}
        self._merged: dict[Hashable, ServerTransaction] = {}

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    def request(
        self, request: Request, flow: Flow, on_response: Callable[[Response, float], None], now: float
    ) -> ClientTransaction:
        """Sends a request in a transaction of its own. One that is too large for a datagram goes over TCP,
        and over UDP after all where that fails (section 18.1.1)."""
        transaction = ClientTransaction(request, flow, self._timers, self._values, self._send, on_response)
        stream = self._stream_instead(flow) if transaction.size > MAX_DATAGRAM and not flow.reliable else None
        if stream is not None and self._no_stream.get(flow.remote, now) <= now:
            self._statistics["large_requests"] += 1
            transaction.prefer(stream, lambda then: self._fell_back(flow, then))
        key = (request.via.branch, request.method)
        self._clients[key] = transaction

        def forget() -> None:
            self._clients.pop(key, None)
            self._statistics["retransmissions"] += transaction.retransmissions

        transaction.on_terminated = forget
        transaction.start(now)
        return transaction

    def _fell_back(self, flow: Flow, now: float) -> None:
        self._statistics["stream_fallbacks"] += 1
        if len(self._no_stream) >= MAX_REMEMBERED:
            self._no_stream.clear()
        self._no_stream[flow.remote] = now + NO_STREAM

    def receive_response(self, response: Response, now: float) -> bool:
        """Hands a response to its transaction; False when there is none."""
        transaction = self._clients.get((response.via.branch, response.cseq.method))
        if transaction is None:
            return False
        transaction.receive(response, now)
        return True

    def quoted(self, data: bytes) -> ClientTransaction | None:
        """The transaction whose request begins so: as much of it as an ICMP message gives back. A forged one
        does not know its branch."""
        found = _QUOTED.match(data)
        return None if found is None else self._clients.get((found[2].decode("latin-1"), found[1].decode()))

    def find_server(self, request: Request) -> ServerTransaction | None:
        """The transaction that this request repeats or, for ACK, acknowledges."""
        return self._servers.get(_server_key(request, request.method))

    def find_cancelled(self, cancel: Request) -> ServerTransaction | None:
        """The INVITE transaction that a CANCEL is meant for (section 9.2)."""
        return self._servers.get(_server_key(cancel, "INVITE"))

    def is_merged(self, request: Request) -> bool:
        """True for a request outside of dialogs that has come before by another way (section 8.2.2.2)."""
        return not request.to.tag and _merge_key(request) in self._merged

    def open_server(self, request: Request, flow: Flow) -> ServerTransaction:
        """A transaction for a new request."""
        transaction = ServerTransaction(
            request, flow, self._timers, self._values, self._send, reply_flow(request, flow)
        )
        key, merge = _server_key(request, request.method), _merge_key(request)
        self._servers[key] = transaction
        if not request.to.tag:
            self._merged[merge] = transaction

        def forget() -> None:
            self._servers.pop(key, None)
            if self._merged.get(merge) is transaction:
                del self._merged[merge]
            self._statistics["retransmissions"] += transaction.retransmissions

        transaction.on_terminated = forget
        return transaction

    def flow_lost(self, flow: Flow, now: float) -> None:
        """Fails the requests that went this way and points the responses to a new connection."""
        for client in [c for c in self._clients.values() if c.flow == flow]:
            client.transport_failed(now)
        if flow.reliable:
            for server in self._servers.values():
                if server.reply_flow == flow:
                    server.reply_flow = reconnect_flow(server.request, flow)


def reply_flow(request: Request, flow: Flow) -> Flow:
    """Where responses go (section 18.2.2, RFC 3581): back over a connection; for a datagram to the address
    it came from, at the port it came from when the sender asked for that, else at the port he listens at.
    Who names a private address that is not his source sits behind a NAT, and listens at no other port than
    the one it has given him; a Via that cannot be read tells of none either. `maddr` is not followed: it
    would let anybody aim our responses."""
    if flow.reliable:
        return flow
    source, source_port = flow.remote
    try:
        via = request.via
    except SipError:
        return flow
    here = via.wants_rport or is_private_elsewhere(via.host, source)
    return Flow(flow.transport, flow.local, (source, source_port if here else via.sent_by[1]))


def reconnect_flow(request: Request, flow: Flow) -> Flow:
    """Where responses go when their connection is gone: to the port the sender listens at (section
    18.2.2)."""
    return Flow(flow.transport, flow.local, (flow.remote[0], request.via.sent_by[1]))


def _server_key(request: Request, method: str) -> Hashable:
    """By branch and sent-by; without an RFC 3261 branch by what RFC 2543 compared. An ACK belongs to its
    INVITE. Call-ID and number are compared too: there are peers whose branches are always the same."""
    via = request.via
    method = "INVITE" if method == "ACK" else method
    if via.branch.startswith(MAGIC_COOKIE) and len(via.branch) > len(MAGIC_COOKIE):
        return via.branch, via.sent_by, method, request.call_id, request.cseq.number
    return (
        request.uri,
        request.call_id,
        request.from_.tag,
        request.cseq.number,
        via.sent_by,
        via.branch,
        method,
    )


def _merge_key(request: Request) -> Hashable:
    return request.call_id, request.from_.tag, request.cseq.number, request.method
