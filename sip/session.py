"""One INVITE session: what is known of a call at the SIP level. Data only; `uas`, `uac` and `offers` act
on it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from sip.dialog import Dialog
from sip.flow import Flow
from sip.message import Headers, Request, Response
from sip.session_timer import Interval
from sip.transaction import ClientTransaction, ServerTransaction
from sip.transaction import State as TransactionState
from sip.uri import Uri


class State(Enum):
    """Where a session stands."""

    EARLY = "early"
    """No final response yet."""
    ANSWERED = "answered"
    """Inbound: our 2xx waits for its ACK."""
    ESTABLISHED = "established"
    ENDED = "ended"


@dataclass(eq=False)
class Pending:
    """A reliable provisional response of ours that waits for its PRACK (RFC 3262)."""

    response: Response
    interval: float
    """Seconds to the next repetition."""
    give_up: float
    """When it is repeated no more."""


@dataclass(eq=False)
class Provisionals:
    """The reliable provisional responses to one INVITE."""

    number: int
    """The last RSeq."""
    pending: Pending | None = None
    queue: deque[tuple[int, Headers, bytes]] = field(default_factory=deque)
    """What is said when the pending one has its PRACK: one at a time."""
    answer: bytes | None = None
    """The description of a 2xx that has to wait for that PRACK."""
    described: bool = False
    """A PRACK has come for a description of ours: the 2xx needs none."""


@dataclass(eq=False)
class Referral:
    """Our REFER (RFC 3515): the far end is asked to call somebody else."""

    cseq: int
    status: int | None = None
    """The final response to it, None before that and where none came."""
    outcome: int | None = None
    """The final status that the far end has told of its call."""
    notified: bool = False
    """A NOTIFY has come, so that the REFER has been taken, whatever became of its answer."""
    told_all: bool = False
    """No NOTIFY is to come any more."""


@dataclass(eq=False)
class Asked:
    """The far end's REFER: it asks us to call somebody else."""

    transaction: ServerTransaction
    wants_to_know: bool
    """NOTIFYs are to tell what becomes of it."""
    earlier: int
    """How many it has sent in this call before."""


@dataclass(eq=False)
class Session:
    """A call as its owner sees it; made by the endpoint. What follows `state` is the endpoint's own."""

    id: int
    """Unique in this endpoint, never used again."""
    direction: str
    """`inbound` or `outbound`."""
    call_id: str
    """The Call-ID."""
    flow: Flow
    """The way the peer's last request came by; outbound, until then the way our INVITE went."""
    request_uri: Uri
    from_uri: Uri
    to_uri: Uri
    display_name: str
    """Of From, unquoted."""
    request: Request = field(repr=False)
    """The INVITE; outbound, the last one sent."""
    state: State = State.EARLY

    dialog: Dialog | None = field(default=None, repr=False)
    """Inbound from the start, outbound from the 2xx."""
    closing: bool = False
    """The owner has hung up, and something is left to be done before the end."""
    close_headers: tuple[tuple[str, str], ...] = ()
    """What the CANCEL or BYE to come carries (Reason)."""
    invite_server: ServerTransaction | None = field(default=None, repr=False)
    """Inbound: the INVITE that is to be answered."""
    provisional: Response | None = field(default=None, repr=False)
    """Inbound: the last provisional response, said again every minute."""
    provisionals: Provisionals | None = field(default=None, repr=False)
    """Inbound: those that are sent reliably."""
    invite_client: ClientTransaction | None = field(default=None, repr=False)
    """Outbound: the INVITE in progress."""
    cancel_sent: bool = False
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """Outbound: user and password for a challenge from where the INVITE went."""
    asked: Flow | None = field(default=None, repr=False)
    """Outbound: where the INVITE went. Nobody else's challenge is answered."""
    others: list[Flow] = field(default_factory=list, repr=False)
    """Outbound: where else the INVITE may go when nobody is there."""
    nonces: set[str] = field(default_factory=set, repr=False)
    """Challenges that have been answered."""
    early: list[Dialog] = field(default_factory=list, repr=False)
    """Outbound: one for each To tag of the provisional responses."""
    acks: dict[tuple[int, str], tuple[bytes, Flow]] = field(default_factory=dict, repr=False)
    """Our ACKs by CSeq and To tag of the 2xx, to be sent again when it comes again."""
    awaiting_ack: set[int] = field(default_factory=set, repr=False)
    """CSeq numbers of our 2xx responses that wait for their ACK."""
    peer_offer: ServerTransaction | None = field(default=None, repr=False)
    """A re-INVITE or UPDATE that the owner has to answer."""
    offered_in_2xx: bool = False
    """Our 2xx to a re-INVITE has made an offer, and the ACK with its answer is awaited."""
    our_offer: ClientTransaction | None = field(default=None, repr=False)
    """Our re-INVITE in progress."""
    queued_offer: bytes | None = field(default=None, repr=False)
    """What our next re-INVITE is to offer, as soon as it may go."""
    refreshing: bool = False
    """The offer that waits or is under way says nothing new: it refreshes the session."""
    referral: Referral | None = field(default=None, repr=False)
    """Our REFER of which the end is not known."""
    asked_to_call: Asked | None = field(default=None, repr=False)
    """The far end's REFER of which the end is not told."""
    times_asked: int = 0
    local_sdp: bytes = field(default=b"", repr=False)
    """The last description of ours that holds."""
    interval: Interval | None = None
    """The session timer; its refresher is `uac` when that is us."""
    min_se: int = 0
    """The shortest interval that the far side puts up with, 0 when it has not said."""
    requests: int = 0
    """The peer's requests within the call that are not forgotten yet."""
    pracks: int = 0
    """Outbound: PRACKs that we have sent."""
    updatable: bool = False
    """The peer understands UPDATE."""
    takes_info: bool = False
    """The peer understands INFO."""

    @property
    def remote_ip(self) -> str:
        """The peer's signalling address."""
        return self.flow.remote[0]

    @property
    def progressing(self) -> bool:
        """Outbound: some response to the INVITE has come, be it a 100."""
        return self.invite_client is None or self.invite_client.state is not TransactionState.CALLING

    @property
    def ended(self) -> bool:
        """True when the session is over."""
        return self.state is State.ENDED


@dataclass(eq=False)
class Unacknowledged:
    """A 2xx of ours that waits for its ACK (RFC 3261 section 13.3.1.4)."""

    session: Session
    transaction: ServerTransaction
    response: Response
    interval: float
    """Seconds to the next repetition."""
    give_up: float
    """When it is repeated no more."""
    on_ack: Callable[[Request, float], None]
    """Gets the ACK, once."""
