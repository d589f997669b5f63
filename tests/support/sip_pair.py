"""SIP endpoints in memory and in virtual time: `Wire` speaks bytes to one, `Pair` joins two with loss and
delay."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from sip.access import Access
from sip.endpoint import Endpoint, EndpointConfig
from sip.events import Event
from sip.flow import Flow
from sip.message import Request, Response, parse

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
SERVER = ("192.0.2.10", 5060)
PHONE = ("192.0.2.1", 5060)


def config(**changes: object) -> EndpointConfig:
    """Everybody may call; tags and waiting times come from a seeded generator."""
    given = {"access": Access(allow=["0.0.0.0/0", "::/0"]), "random": Random(7), **changes}
    return EndpointConfig(**given)  # type: ignore[arg-type]


def request_text(
    method: str,
    *,
    uri: str = "sip:room@192.0.2.10",
    branch: str = "z9hG4bKone",
    cseq: int = 1,
    call_id: str = "call-1",
    from_tag: str = "phone",
    to_tag: str = "",
    contact: str = "<sip:alice@192.0.2.1>",
    extra: str = "",
    body: bytes = b"",
    transport: str = "UDP",
    rport: bool = True,
) -> bytes:
    """A request as a phone at 192.0.2.1 writes it. `extra` is whole header lines, each with its line end."""
    tag = f";tag={to_tag}" if to_tag else ""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} 192.0.2.1:5060;branch={branch}{';rport' if rport else ''}",
        "Max-Forwards: 70",
        f"From: Alice <sip:alice@192.0.2.1>;tag={from_tag}",
        f"To: <sip:room@192.0.2.10>{tag}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
    ]
    if contact:
        lines.append(f"Contact: {contact}")
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n" + extra + "\r\n").encode() + body


def response_text(
    to: Request,
    status: int,
    *,
    tag: str = "far",
    extra: str = "",
    body: bytes = b"",
    reason: str = "Whatever",
) -> bytes:
    """A response as a called phone writes it: the request's headers, its tag, a Contact."""
    copied = [f"{n}: {v}" for n, v in to.headers if n in ("Via", "From", "Call-ID", "CSeq")]
    tagged = "" if to.to.tag or not tag or status == 100 else f";tag={tag}"
    lines = [f"SIP/2.0 {status} {reason}", *copied, f"To: {to.get('To')}{tagged}"]
    if 100 < status < 300:
        lines.append("Contact: <sip:bob@192.0.2.1:5060>")
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n" + extra + "\r\n").encode() + body


class Wire:
    """One endpoint, spoken to in bytes; `now` moves only by `wait`."""

    def __init__(
        self,
        endpoint_config: EndpointConfig | None = None,
        *,
        transport: str = "udp",
        source: tuple[str, int] = PHONE,
    ) -> None:
        self.endpoint = Endpoint(endpoint_config or config())
        self.flow = Flow(transport, SERVER, source, 0 if transport == "udp" else 1)
        self.now = 1000.0
        self.sent: list[tuple[float, Request | Response, Flow]] = []
        """Everything the endpoint has sent: seconds since the start, message, flow."""
        self._unheard: list[Request | Response] = []

    def say(self, data: bytes, flow: Flow | None = None) -> list[Request | Response]:
        """Gives the endpoint a message and returns what it sends at once."""
        self.endpoint.receive(data, flow or self.flow, self.now)
        return self.heard()

    def heard(self) -> list[Request | Response]:
        """What was sent since last asked."""
        self._collect()
        heard, self._unheard = self._unheard, []
        return heard

    def wait(self, seconds: float) -> list[Request | Response]:
        """Lets time pass, timer by timer, and returns what was sent meanwhile."""
        self._collect()
        end = self.now + seconds
        while (when := self.endpoint.next_timer()) is not None and when <= end:
            self.now = max(self.now, when)
            self.endpoint.fire_timers(self.now)
            self._collect()
        self.now = end
        return self.heard()

    def events(self) -> list[Event]:
        """What was told since last asked."""
        told = []
        while (event := self.endpoint.next_event()) is not None:
            told.append(event)
        return told

    def told(self) -> list[str]:
        """The names of the events since last asked."""
        return [type(event).__name__ for event in self.events()]

    def times(self, what: Callable[[Request | Response], bool]) -> list[float]:
        """Seconds since the start at which messages of a kind were sent."""
        self._collect()
        return [round(at, 3) for at, message, _ in self.sent if what(message)]

    def _collect(self) -> None:
        for outgoing in self.endpoint.take_outgoing():
            message = parse(outgoing.data, stream=outgoing.flow.reliable)
            self.sent.append((self.now - 1000.0, message, outgoing.flow))
            self._unheard.append(message)


@dataclass(frozen=True)
class Packet:
    """One message on its way."""

    number: int
    """Counts all messages of the pair from 0."""
    time: float
    sender: str
    message: Request | Response

    @property
    def name(self) -> str:
        """`INVITE`, or `200 INVITE` for a response."""
        if isinstance(self.message, Request):
            return self.message.method
        return f"{self.message.status} {self.message.cseq.method}"


class Side:
    """One end of a pair."""

    def __init__(self, name: str, flow: Flow, endpoint_config: EndpointConfig) -> None:
        self.name = name
        self.endpoint = Endpoint(endpoint_config)
        self.flow = flow
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] = lambda event: None
        """What the owner does about events; called after noting them."""

    def told(self) -> list[str]:
        """The names of all events so far."""
        return [type(event).__name__ for event in self.events]


@dataclass
class Pair:
    """Caller `a` and called `b`, joined in memory."""

    delay: float = 0.01
    """Seconds from one to the other."""
    lose: Callable[[Packet], bool] = lambda packet: False
    """Which packets never arrive."""
    transport: str = "udp"
    a: Side = field(init=False)
    b: Side = field(init=False)
    now: float = 0.0
    log: list[Packet] = field(default_factory=list)

    def __post_init__(self) -> None:
        number = 0 if self.transport == "udp" else 1
        self.a = Side("a", Flow(self.transport, PHONE, SERVER, number), config(random=Random(1)))
        self.b = Side("b", Flow(self.transport, SERVER, PHONE, number), config(random=Random(2)))
        self._flying: list[tuple[float, int, Side, bytes]] = []
        self._count = itertools.count()

    def run(self, seconds: float) -> None:
        """Lets that much time pass."""
        end = self.now + seconds
        self._turn()
        while (when := self._next()) is not None and when <= end:
            self.now = max(self.now, when)
            while self._flying and self._flying[0][0] <= self.now:
                _, _, side, data = heapq.heappop(self._flying)
                side.endpoint.receive(data, side.flow, self.now)
                self._turn()
            for side in (self.a, self.b):
                side.endpoint.fire_timers(self.now)
            self._turn()
        self.now = end

    def names(self) -> list[str]:
        """The names of all packets so far, in the order of sending."""
        return [packet.name for packet in self.log]

    def _next(self) -> float | None:
        times = [t for t in (self.a.endpoint.next_timer(), self.b.endpoint.next_timer()) if t is not None]
        if self._flying:
            times.append(self._flying[0][0])
        return min(times, default=None)

    def _turn(self) -> None:
        """Tells events and collects packets until both are silent."""
        busy = True
        while busy:
            busy = False
            for side, other in ((self.a, self.b), (self.b, self.a)):
                while (event := side.endpoint.next_event()) is not None:
                    busy = True
                    side.events.append(event)
                    side.on_event(event)
                for outgoing in side.endpoint.take_outgoing():
                    busy = True
                    self._post(side, other, outgoing.data)

    def _post(self, side: Side, other: Side, data: bytes) -> None:
        packet = Packet(next(self._count), self.now, side.name, parse(data))
        self.log.append(packet)
        if not self.lose(packet):
            heapq.heappush(self._flying, (self.now + self.delay, packet.number, other, data))
