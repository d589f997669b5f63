"""A small asyncio softphone over real sockets, for tests.

Every SIP message is kept with its time in `ladder`; `ladder_text()` is what a failing test shows.
Phones live in a `Studio`, see there.
"""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.support.eventually import PATIENCE, eventually
from tests.support.phone_call import CallRefused, Media, PhoneCall
from tests.support.sip_streams import Streams
from tests.support.sip_text import (
    Message,
    address,
    digest_holds,
    digest_response,
    host_port,
    parse,
    tag,
)

if TYPE_CHECKING:
    from tests.support.studio import Studio

__all__ = ["CallRefused", "Media", "Phone", "PhoneCall"]

REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    401: "Unauthorized",
    407: "Proxy Authentication Required",
}
REASONS |= {
    481: "Call/Transaction Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    501: "Not Implemented",
}
T1 = 0.5


@dataclass(frozen=True)
class Rung:
    at: float
    outgoing: bool
    message: Message


class Phone:
    """`server` is where its requests go (host, port).

    `answers` says what happens to an incoming call: "accept" (ring, then 200), "ring" (180 only; the test
    accepts), "hold" (nothing at all), or the status that refuses it.
    """

    def __init__(
        self,
        studio: "Studio",
        user: str,
        server: tuple[str, int] | None,
        *,
        host: str = "127.0.0.1",
        transport: str = "udp",
        password: str | None = None,
        auth_user: str | None = None,
        display_name: str = "",
        media: Media | None = None,
        answers: str | int = "accept",
        port: int = 0,
        sock: socket.socket | None = None,
    ) -> None:
        self.studio = studio
        self.user = user
        self.server = server
        self.host = host
        self.transport = transport
        self.password = password
        self.auth_user = auth_user or user
        self.display_name = display_name
        self.media = media or Media()
        self.answers = answers
        self.demands: tuple[str, str] | None = (
            None  # (user, password) an incoming INVITE must prove, as a trunk asks
        )
        self.calls: dict[str, PhoneCall] = {}
        self.incoming_calls: list[PhoneCall] = []
        self.ladder: list[Rung] = []
        self.acks: dict[tuple[str, int], Message] = {}
        self.port = port
        self._sock = sock  # UDP, bound to `host`; None: one of its own
        self.acks_when: Callable[[PhoneCall], bool] = lambda call: True  # slow phones acknowledge a 200 late
        self.problems: list[str] = []
        self.deaf = False  # a vanished phone neither answers nor hears
        self._transactions: dict[
            tuple[str, str], tuple[asyncio.Future[Message], Callable[[Message], None] | None]
        ] = {}
        self._sent_responses: dict[tuple[str, str], bytes] = {}
        self._return: dict[str, Any] = {}  # where the requests of a call came from
        self._nonces: dict[str, str] = {}
        self._hops: dict[str, tuple[str, int]] = {}  # branch -> where its request went
        self._datagrams: asyncio.DatagramTransport | None = None
        self._streams = Streams(self._received)

    async def open(self) -> "Phone":
        loop = asyncio.get_running_loop()
        if self.transport == "udp":
            phone = self

            class Datagrams(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, source: Any) -> None:
                    phone._received(data, source)

                def error_received(self, exc: Exception) -> None:
                    pass  # ICMP: nobody listens there (any more); the transaction's time-out tells the test

            place = {"local_addr": (self.host, self.port)} if self._sock is None else {"sock": self._sock}
            self._datagrams, _ = await loop.create_datagram_endpoint(Datagrams, **place)
            self.port = self._datagrams.get_extra_info("sockname")[1]
        else:
            self.port = await self._streams.listen(self.host, self.port)
        return self

    def now(self) -> float:
        return time.time()

    @property
    def host_port(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def contact(self) -> str:
        suffix = ";transport=tcp" if self.transport == "tcp" else ""
        return f"sip:{self.user}@{self.host_port}{suffix}"

    @property
    def uri(self) -> str:
        return f"sip:{self.user}@{self.host_port}"

    @property
    def from_value(self) -> str:
        name = f'"{self.display_name}" ' if self.display_name else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}<sip:{self.user}@{host}>"

    def via(self) -> str:
        branch = "z9hG4bK" + secrets.token_hex(8)
        return f"SIP/2.0/{self.transport.upper()} {self.host_port};rport;branch={branch}"

    # --- calling

    def invite(
        self,
        to: str,
        *,
        body: bytes | None = None,
        without_sdp: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
        **media: Any,
    ) -> PhoneCall:
        """Starts a call and does not wait. `media` are fields of Media that differ from the phone's."""
        call = PhoneCall(
            self, replace(self.media, **media), call_id=f"{secrets.token_hex(10)}@{self.host}", outgoing=True
        )
        self.calls[call.call_id] = call
        call.start(to, None if without_sdp else body or call.offer(), headers)
        return call

    async def dial(self, to: str, **options: Any) -> PhoneCall:
        """A call that was answered; CallRefused carries the status of one that was not."""
        call = self.invite(to, **options)
        await call.answered()
        return call

    async def incoming(self, number: int = 1) -> PhoneCall:
        """The `number`-th call that came in."""
        await eventually(lambda: len(self.incoming_calls) >= number, what=self.ladder_text)
        return self.incoming_calls[number - 1]

    async def register(self, *, expires: int = 300, registrar: str | None = None) -> Message:
        assert self.server is not None
        uri = registrar or f"sip:{self.server[0]}:{self.server[1]}"
        call_id, own_tag = secrets.token_hex(10), secrets.token_hex(6)

        def request(number: int, extra: Iterable[tuple[str, str]] = ()) -> Message:
            aor = f"<sip:{self.user}@{self.server[0] if self.server else self.host}>"
            return Message(
                f"REGISTER {uri} SIP/2.0",
                [
                    ("Via", self.via()),
                    ("Max-Forwards", "70"),
                    ("From", f"{aor};tag={own_tag}"),
                    ("To", aor),
                    ("Call-ID", call_id),
                    ("CSeq", f"{number} REGISTER"),
                    ("Contact", f"<{self.contact}>"),
                    ("Expires", str(expires)),
                    *extra,
                ],
            )

        response = await self.transact(request(1))
        if response.status == 401 and self.password is not None:
            proof = digest_response(
                response["www-authenticate"], "REGISTER", uri, self.auth_user, self.password
            )
            response = await self.transact(request(2, [("Authorization", proof)]))
        return response

    async def options(self, to: str) -> Message:
        return await self.transact(self.plain_request("OPTIONS", to))

    def plain_request(self, method: str, to: str, headers: tuple[tuple[str, str], ...] = ()) -> Message:
        """A request outside any dialog."""
        return Message(
            f"{method} {to} SIP/2.0",
            [
                ("Via", self.via()),
                ("Max-Forwards", "70"),
                ("From", f"{self.from_value};tag={secrets.token_hex(4)}"),
                ("To", f"<{to}>"),
                ("Call-ID", secrets.token_hex(8)),
                ("CSeq", f"1 {method}"),
                ("Contact", f"<{self.contact}>"),
                *headers,
            ],
        )

    # --- transactions

    async def transact(
        self,
        request: Message,
        on_provisional: Callable[[Message], None] | None = None,
    ) -> Message:
        """The final response to a request, which over UDP is repeated until something comes."""
        key = (request.branch, request.method)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        heard = asyncio.Event()

        def provisional(response: Message) -> None:
            heard.set()
            if on_provisional is not None:
                on_provisional(response)

        self._transactions[key] = (future, provisional)
        deadline, wait, sent = time.monotonic() + PATIENCE, T1, False
        try:
            if self.transport == "tcp":
                await self._streams.connect(self._next_hop(request), self.host)
            while (left := deadline - time.monotonic()) > 0:
                settled = heard.is_set() and request.method == "INVITE"
                if not sent or (self.transport == "udp" and not settled):
                    self.send(request)
                    sent = True
                await asyncio.wait({future}, timeout=min(wait, left))
                if future.done():
                    return future.result()
                wait = min(wait * 2, 4.0)
            raise AssertionError(f"no final response to {request.start}\n{self.ladder_text()}")
        finally:
            self._transactions.pop(key, None)

    def _next_hop(self, request: Message) -> tuple[str, int]:
        """The server for what starts a dialog, the dialog's target (or route) within one."""
        known = self._hops.get(request.branch)
        if known is not None:  # CANCEL, and the ACK to a refusal, go where their INVITE went
            return known
        routes = request.all("route")
        if self.server is not None and not tag(request["to"]) and not routes:
            hop = self.server
        else:
            hop = host_port(address(routes[0]) if routes else request.uri)
        self._hops[request.branch] = hop
        return hop

    def send(self, message: Message) -> None:
        """A request, to where it must go."""
        self.ladder.append(Rung(self.now(), True, message))
        if self.deaf:
            return
        hop = self._next_hop(message)
        if self.transport == "tcp":
            self._streams.to(hop).write(message.encode())
        else:
            assert self._datagrams is not None
            self._datagrams.sendto(message.encode(), hop)

    def respond(
        self,
        request: Message,
        status: int,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        *,
        reason: str = "",
        to_tag: str = "",
    ) -> None:
        to = request["to"]
        if status > 100 and not tag(to):
            to += f";tag={to_tag or secrets.token_hex(4)}"
        all_headers = [("Via", via) for via in request.all("via")]
        all_headers += [("From", request["from"]), ("To", to), ("Call-ID", request["call-id"])]
        all_headers += [("CSeq", request["cseq"]), ("Contact", f"<{self.contact}>")]
        all_headers += [("Record-Route", value) for value in request.all("record-route")]
        all_headers += list(headers)
        if body:
            all_headers.append(("Content-Type", "application/sdp"))
        text = reason or REASONS.get(status, "Some Reason")
        response = Message(f"SIP/2.0 {status} {text}", all_headers, body)
        self.ladder.append(Rung(self.now(), True, response))
        data = response.encode()
        self._sent_responses[request.branch, request.method] = data
        self._send_back(request["call-id"], data)

    def _send_back(self, call_id: str, data: bytes) -> None:
        way = self._return.get(call_id)
        if self.deaf or way is None:
            return
        if isinstance(way, asyncio.StreamWriter):
            way.write(data)
        elif self._datagrams is not None:
            self._datagrams.sendto(data, way)

    # --- receiving

    def _received(self, data: bytes, way: Any) -> None:
        if self.deaf or not data.strip() or data[0] >> 6 == 2:  # RTP, to who had this port before
            return
        try:
            message = parse(data)
        except (AssertionError, ValueError, IndexError) as error:
            self.problems.append(f"{self.user} got what it cannot read: {error}")
            return
        self.ladder.append(Rung(self.now(), False, message))
        if message.is_request:
            self._return[message["call-id"]] = way
            self._request(message)
        else:
            self._response(message)

    def _response(self, message: Message) -> None:
        number, method = message.cseq
        waiting = self._transactions.get((message.branch, method))
        if waiting is not None and not waiting[0].done():
            if message.status < 200:
                if waiting[1] is not None:
                    waiting[1](message)
            else:
                waiting[0].set_result(message)
        elif method == "INVITE" and message.status >= 200:
            ack = self.acks.get((message["call-id"], number))
            if ack is not None:  # a repeated final response: our ACK was lost
                self.send(ack)

    def _request(self, message: Message) -> None:
        call = self.calls.get(message["call-id"])
        if message.method != "ACK":
            again = self._sent_responses.get((message.branch, message.method))
            if again is not None:
                self._send_back(message["call-id"], again)
                return
        if call is not None and (message.method != "INVITE" or tag(message["to"])):
            call.receive(message)
        elif message.method == "INVITE" and not tag(message["to"]):
            self._called(message)
        elif message.method in ("OPTIONS", "REGISTER"):
            self.respond(message, 200)
        elif message.method != "ACK":
            self.respond(message, 481)

    def _called(self, invite: Message) -> None:
        if self.demands is not None and not self._proved(invite):
            return
        call = PhoneCall.incoming(self, invite, self.media)
        self.calls[call.call_id] = call
        self.incoming_calls.append(call)
        if self.answers == "hold":
            return
        self.respond(invite, 100)
        if isinstance(self.answers, int):
            call.refuse(self.answers)
            return
        call.ring()
        if self.answers == "accept":
            call.accept()

    def _proved(self, invite: Message) -> bool:
        assert self.demands is not None
        value, nonce = invite.get("proxy-authorization"), self._nonces.get(invite["call-id"])
        if value and nonce and digest_holds(value, "INVITE", *self.demands, nonce, "trunk"):
            return True
        nonce = self._nonces[invite["call-id"]] = secrets.token_hex(8)
        challenge = f'Digest realm="trunk", nonce="{nonce}", algorithm=MD5, qop="auth"'
        self.respond(invite, 407, headers=(("Proxy-Authenticate", challenge),))
        return False

    # --- the end

    def ladder_text(self, call_id: str | None = None) -> str:
        rungs = [rung for rung in self.ladder if call_id is None or rung.message["call-id"] == call_id]
        if not rungs:
            return f"{self.user}: no message"
        lines = [f"{self.user} at {self.host}:{self.port}:"]
        for rung in rungs:
            arrow = "-->" if rung.outgoing else "<--"
            kind = f" ({rung.message.cseq[1]})" if not rung.message.is_request else ""
            lines.append(f"  {rung.at - rungs[0].at:8.3f} {arrow} {rung.message.start}{kind}")
        return "\n".join(lines + self.problems)

    async def close(self) -> None:
        self.deaf = True
        for call in self.calls.values():
            await call.close()
        for future, _ in list(self._transactions.values()):
            future.cancel()
        if self._datagrams is not None:
            self._datagrams.close()
        await self._streams.close()
        await asyncio.sleep(0)  # transports shut their sockets in the next turn of the loop
