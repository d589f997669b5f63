"""Dialogs (RFC 3261 section 12): what both ends share about each other, and the requests made from it."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from ipaddress import ip_address

from sip.flow import Flow
from sip.headers import NameAddr
from sip.message import MAX_FORWARDS, Headers, Message, Request, Response
from sip.uri import Uri

REMEMBERED = 1_000
"""Dialogs that are known to have ended."""
MEMORY = 64.0
"""Seconds for which that is known."""

Key = tuple[str, str, str]


class Ended:
    """Dialogs that ended lately: who comes too late is told from who is wrong (RFC 3891 section 3)."""

    def __init__(self) -> None:
        self._until: OrderedDict[Key, float] = OrderedDict()

    def add(self, key: Key, now: float) -> None:
        """It has ended."""
        self._until[key] = now + MEMORY
        if len(self._until) > REMEMBERED:
            self._until.popitem(last=False)

    def knows(self, key: Key, now: float) -> bool:
        """True for one that ended a while ago at most."""
        return self._until.get(key, now) > now


@dataclass(eq=False)
class Dialog:
    """One dialog, seen from our side."""

    call_id: str
    local: NameAddr
    """Ourselves as From or To names us, tag included."""
    remote: NameAddr
    remote_target: Uri
    """The peer's Contact."""
    route_set: tuple[str, ...]
    """Route values in the order in which we use them."""
    flow: Flow
    """The way the peer's last message came by."""
    direct: bool
    """True when no proxy stood between, so that the peer itself is at the other end of `flow`."""
    local_cseq: int
    remote_cseq: int | None
    last_rseq: int | None = None
    """Of the peer's reliable provisional responses, None before the first (RFC 3262)."""
    early_answer: bytes | None = None
    """The description that came before the 2xx, which need not repeat it."""
    agreed_early: bool = False
    """It came reliably: offer and answer are done."""

    @property
    def key(self) -> Key:
        """Call-ID, local tag, remote tag (section 12)."""
        return self.call_id, self.local.tag, self.remote.tag

    @classmethod
    def of_callee(cls, invite: Request, tag: str, flow: Flow) -> "Dialog":
        """Ours when we are called (section 12.1.1). Raises `SipError` when the INVITE cannot make one."""
        to = invite.to
        contact = invite.contact
        assert contact is not None, "the gate lets no INVITE without Contact in"
        return cls(
            call_id=invite.call_id,
            local=replace(to, parameters=(*to.parameters, ("tag", tag))),
            remote=invite.from_,
            remote_target=contact.uri,
            route_set=tuple(invite.get_list("Record-Route")),
            flow=flow,
            direct=len(invite.get_list("Via")) == 1,
            local_cseq=0,
            remote_cseq=invite.cseq.number,
        )

    @classmethod
    def of_caller(cls, invite: Request, response: Response, flow: Flow) -> "Dialog":
        """Ours when we call (section 12.1.2), from a response with a To tag. Raises `SipError`."""
        contact = response.contact
        return cls(
            call_id=invite.call_id,
            local=invite.from_,
            remote=response.to,
            remote_target=contact.uri if contact else invite.target,
            route_set=tuple(reversed(response.get_list("Record-Route"))),
            flow=flow,
            direct=not response.get_all("Record-Route"),
            local_cseq=invite.cseq.number,
            remote_cseq=None,
        )

    def refresh(self, message: Message, flow: Flow) -> None:
        """Takes over the peer's new Contact (section 12.2) and the way it now comes by."""
        if message.contact is not None:
            self.remote_target = message.contact.uri
        self.flow = flow

    def confirms(self, early: "Dialog") -> None:
        """It is what an early dialog has become: requests count on."""
        self.local_cseq, self.remote_cseq = early.local_cseq, early.remote_cseq
        self.early_answer = early.early_answer

    def connection_lost(self) -> None:
        """The connection of `flow` is gone: our next request opens one to the route or Contact."""
        self.flow = replace(self.flow, id=0)
        self.direct = False

    def request(
        self, method: str, via: str, *, cseq: int | None = None, headers: Headers = (), body: bytes = b""
    ) -> Request:
        """A request within the dialog (section 12.2.1.1); CSeq counts on unless given (ACK)."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        target, routes = str(self.remote_target), list(self.route_set)
        if routes and NameAddr.parse(routes[0]).uri.parameter("lr") is None:
            # A strict router wants itself in the Request-URI and the target last (section 16.12.1.1).
            target = str(NameAddr.parse(routes.pop(0)).uri.bare())
            routes.append(f"<{self.remote_target}>")
        return Request(
            method,
            target,
            (
                ("Via", via),
                *(("Route", route) for route in routes),
                ("Max-Forwards", str(MAX_FORWARDS)),
                ("From", str(self.local)),
                ("To", str(self.remote)),
                ("Call-ID", self.call_id),
                ("CSeq", f"{cseq} {method}"),
                *headers,
            ),
            body,
        )

    def next_hop(self) -> Flow:
        """Where our requests go: to the first route, else to the peer's Contact.

        A Contact that we cannot hope to reach (a private address behind a NAT, a name of the peer's own
        making) is not followed when the peer itself is at the other end of the flow. A connection is used
        again in any case where it leads to the next hop.
        """
        flow = self.flow
        if self.route_set:
            hop = NameAddr.parse(self.route_set[0]).uri
        elif flow.reliable and self.direct:
            return flow
        else:
            hop = self.remote_target
        transport = hop.transport if hop.transport in ("udp", "tcp", "tls") else flow.transport
        if transport == flow.transport and (
            (flow.id and hop.host == flow.remote[0]) or self._behind_nat(hop.host)
        ):
            return flow
        name = flow.name if hop.host == flow.remote[0] else ""
        return Flow(transport, flow.local, hop.address, name=name)

    def _behind_nat(self, host: str) -> bool:
        if self.route_set or not self.direct or host == self.flow.remote[0]:
            return False
        try:
            return not ip_address(host.partition("%")[0]).is_global
        except ValueError:
            return True
