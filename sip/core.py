"""What the parts of an endpoint share: configuration, tables, queues, and the small acts they all need."""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from random import Random, SystemRandom

from sip.access import Access, Network
from sip.address import our_address
from sip.dialog import Dialog, Ended
from sip.events import CallFailed, Event
from sip.flow import Address, Flow, Outgoing
from sip.headers import MAGIC_COOKIE, Via, quoted
from sip.layer import TransactionLayer, reply_flow
from sip.limits import RateLimit, TurnedAway, Unsettled
from sip.message import Headers, Request, Response, respond
from sip.registrar import Registrar
from sip.session import Session, State, Unacknowledged
from sip.session_timer import TimerPolicy
from sip.timers import TimerQueue, TimerValues
from sip.transaction import ServerTransaction
from sip.uri import host_port

ALLOW = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY", "REFER")
"""Methods that are understood; REGISTER too, where there is a registrar."""
SUPPORTED = ("timer", "100rel", "replaces", "norefersub")
"""Extensions that a peer may require of us."""
RECOGNISED = (*ALLOW, "REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE")
"""Methods whose meaning is known: refused with 405, all others with 501 (section 8.2.1)."""


@dataclass(frozen=True)
class EndpointConfig:
    """How an endpoint behaves."""

    access: Access
    registrar: Registrar | None = None
    """None: REGISTER is not allowed."""
    user_agent: str = "MixMinus"
    advertise: str = ""
    """The host to be named in Contact and Via; empty for the local address of each flow."""
    local_networks: tuple[Network, ...] = ()
    """Whose peers are told the local address all the same."""
    timers: TimerValues = field(default_factory=TimerValues)
    session_timers: TimerPolicy = field(default_factory=TimerPolicy)
    max_sessions: int = 5_000
    """Further INVITEs get 503."""
    max_transactions: int = 20_000
    """Further requests outside of calls get 503."""
    max_unsettled: int = 384
    """Inbound calls that have neither been acknowledged nor rung; further INVITEs get 503."""
    max_unsettled_of_source: int = 128
    """The same, from one source: more than one second's worth of a hundred calls a second, for a machine that
    stood still takes them all before their first ACK."""
    max_unsettled_of_trunk: int = 256
    """The same, from one source that is a trunk's."""
    stranger_rate: float = 20.0
    """Requests outside of calls that are looked at per second from one source which the rules do not let in
    by its address; 0: no limit. What is above is dropped, and the sender's own retransmission comes later."""
    random: Random = field(default_factory=SystemRandom)
    """Source of tags, branches and waiting times."""


class Core:
    """The tables and queues of one endpoint."""

    def __init__(self, config: EndpointConfig) -> None:
        self.config = config
        self.methods = (*ALLOW, "REGISTER") if config.registrar is not None else ALLOW
        """What may be asked of us."""
        self.allow = ", ".join(self.methods)
        """The Allow header."""
        self.statistics: Counter[str] = Counter()
        self.timers = TimerQueue()
        self.layer = TransactionLayer(
            self.timers, config.timers, self.send, self.statistics, self.stream_instead
        )
        self.outgoing: deque[Outgoing] = deque()
        self.events: deque[Event] = deque()
        self.sessions: dict[int, Session] = {}
        self.called: dict[str, Session] = {}
        """Of those the outbound ones, by Call-ID."""
        self.dialogs: dict[tuple[str, str, str], tuple[Session, Dialog]] = {}
        self.ended = Ended()
        self.unacknowledged: dict[tuple[str, str, int], Unacknowledged] = {}
        """By Call-ID, From tag and CSeq of the INVITE."""
        self.strangers = RateLimit(config.stranger_rate, self.statistics)
        self.unsettled = Unsettled(config.max_unsettled)
        self.turned_away = TurnedAway()
        self.failing: dict[tuple[str, Address], float] = {}
        """Places that did not answer lately, and until when they are tried last."""
        self.accepting = True
        self.ports: dict[str, int] = {}
        self._last_id = 0

    def new_id(self) -> int:
        """For a session."""
        self._last_id += 1
        return self._last_id

    def token(self) -> str:
        """A fresh name: 80 random bits."""
        return f"{self.config.random.getrandbits(80):020x}"

    def send(self, data: bytes, flow: Flow) -> None:
        """Queues one message."""
        self.statistics["sent"] += 1
        self.outgoing.append(Outgoing(data, flow))

    def tell(self, event: Event) -> None:
        """Queues one event."""
        self.events.append(event)

    def via(self, flow: Flow) -> str:
        """A Via with a branch of its own (section 8.1.1.7), asking for rport."""
        host, port = self.host(flow), flow.local[1]
        parameters = (("branch", MAGIC_COOKIE + self.token()), ("rport", None))
        return str(Via(flow.transport.upper(), host, port, parameters))

    def contact_in(self, session: Session, flow: Flow) -> str:
        """Our Contact in a call: with the called user's name, or ours when we call, and as `sips:` where that
        is what was called (section 8.1.1.8)."""
        uri = session.request_uri if session.direction == "inbound" else session.from_uri
        userinfo = uri.userinfo.partition(":")[0] if uri.userinfo else None
        return self.contact(flow, userinfo, "sips" if session.request_uri.scheme == "sips" else "sip")

    def contact(self, flow: Flow, userinfo: str | None, scheme: str = "sip") -> str:
        """Our Contact for the peer at the other end of `flow`."""
        user = f"{userinfo}@" if userinfo else ""
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        if scheme == "sips" and flow.transport == "tls":
            transport = ""
        return f"<{scheme}:{user}{host_port(self.host(flow), flow.local[1])}{transport}>"

    def host(self, flow: Flow) -> str:
        """What we call ourselves towards that peer."""
        return our_address(self.config.advertise, flow.local[0], flow.remote[0], self.config.local_networks)

    def warning(self, flow: Flow, status: int, reason: str) -> Headers:
        """Why an offer is refused, where phones look for it (sections 13.3.1.3 and 20.43)."""
        if status not in (488, 606) or not reason:
            return ()
        return (("Warning", f"399 {host_port(self.host(flow), flow.local[1])} {quoted(reason)}"),)

    def stream_instead(self, flow: Flow) -> Flow | None:
        """The TCP way to the same place, for what is too large for a datagram; None where we do not listen
        on TCP."""
        port = self.ports.get("tcp")
        return None if port is None else Flow("tcp", (flow.local[0], port), flow.remote)

    def route(self, dialog: Dialog) -> Flow:
        """The way of our next request in a dialog; on another transport we listen at another port."""
        flow = dialog.next_hop()
        if flow.transport != dialog.flow.transport:
            port = self.ports.get(flow.transport, flow.local[1])
            return replace(flow, local=(flow.local[0], port))
        return flow

    def reply(
        self,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        *,
        now: float,
        headers: Headers = (),
        body: bytes = b"",
    ) -> Response:
        """Responds in a transaction. Every response above 100 has a To tag."""
        request = transaction.request
        if not transaction.tag:
            transaction.tag = self.stateless_tag(request)
        tag = transaction.tag if status > 100 else ""
        response = respond(
            request,
            status,
            reason,
            tag=tag,
            headers=(*headers, ("Server", self.config.user_agent)),
            body=body,
        )
        self.statistics[f"responses_{status // 100}xx"] += 1
        transaction.respond(response, now)
        return response

    def refuse(
        self, request: Request, flow: Flow, status: int, reason: str = "", headers: Headers = ()
    ) -> None:
        """Responds without keeping any state (section 8.2.7), so that strangers cannot fill our tables."""
        self.statistics["refused"] += 1
        self.statistics[f"responses_{status // 100}xx"] += 1
        response = respond(
            request,
            status,
            reason,
            tag=self.stateless_tag(request),
            headers=(*headers, ("Server", self.config.user_agent)),
        )
        self.send(bytes(response), reply_flow(request, flow))

    def stateless_tag(self, request: Request) -> str:
        """The same for each retransmission of a request (section 8.2.7)."""
        return f"{hash((request.get('Call-ID'), request.get('Via'), request.method)) & (1 << 60) - 1:015x}"

    def add_dialog(self, session: Session, dialog: Dialog) -> None:
        """From now on requests within the dialog are the session's."""
        self.dialogs[dialog.key] = (session, dialog)

    def finish(self, session: Session, event: Event | None, now: float) -> None:
        """Ends a session, once. An owner who has hung up himself is told of nothing but `CallFailed`. What
        must outlast the session (transactions, our BYE) keeps what it needs by itself."""
        if session.ended:
            return
        session.state = State.ENDED
        self.sessions.pop(session.id, None)
        if session.direction == "outbound":
            self.called.pop(session.call_id, None)
        self.unsettled.remove(session.id)
        for name in (
            "refresh",
            "expires",
            "1xx",
            "silence",
            "glare",
            "cancel",
            "session refresh",
            "session expiry",
            "referral",
        ):
            self.timers.cancel(session, name)
        remote_tag = session.dialog.remote.tag if session.dialog is not None else ""
        for cseq in session.awaiting_ack:
            self.timers.cancel(session, f"2xx {cseq}")
            self.unacknowledged.pop((session.call_id, remote_tag, cseq), None)
        session.awaiting_ack.clear()
        for waiting in (session.invite_server, session.peer_offer):
            if waiting is not None and not waiting.answered:
                self.reply(waiting, 487, now=now)
        session.peer_offer = session.queued_offer = session.provisional = None
        for dialog in session.early:
            self.dialogs.pop(dialog.key, None)
        session.early.clear()
        if session.dialog is not None:
            self.dialogs.pop(session.dialog.key, None)
            self.ended.add(session.dialog.key, now)
        if event is not None and (isinstance(event, CallFailed) or not session.closing):
            self.tell(event)
