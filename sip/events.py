"""What the endpoint tells its owner, in the order in which it happened.

Every session ends in exactly one `CallFailed`, `CallCancelled` or `CallEnded`, with one exception: a session
that the owner himself ended by `reject`, or by `hang_up` of an inbound or an answered call, is over at once
and tells nothing. `hang_up` of an outbound call that is not answered yet (a CANCEL) does end in `CallFailed`.
"""

from dataclasses import dataclass, field

from sip.reason import Reason
from sip.replaces import Replaces
from sip.session import Session
from sip.uri import Uri


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A new INVITE that may come in; 100 has been sent. Wants ring, progress, answer or reject."""

    session: Session
    trunk: str | None
    """The trunk it came by."""
    user: str | None
    """The user who authenticated himself."""
    sdp: bytes | None
    """The offer; None when the caller wants ours (then `answer` carries an offer)."""
    replaces: Session | None = None
    """Whose place it is to take (RFC 3891), an answered call or one of ours that rings; the caller has named
    the dialog's tags."""
    ours: Session | None = None
    """The call of ours whose INVITE this is: it has come back, directly or by proxies."""


@dataclass(frozen=True, slots=True)
class CallRinging:
    """A provisional response above 100 to our INVITE."""

    session: Session
    status: int
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The 2xx to our INVITE. Its ACK has been sent."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class CallAcknowledged:
    """The ACK to our 2xx has arrived; `sdp` is the answer when the offer was ours."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class CallFailed:
    """Our INVITE came to nothing: a final response of 300 or above, 408 for a time-out, 503 for a transport
    that failed, 487 after our CANCEL."""

    session: Session
    status: int
    reason: str
    reasons: tuple[Reason, ...] = ()
    """The response's Reason headers: a gateway tells the Q.850 cause here."""
    ours: bool = field(default=False, compare=False)
    """Nobody has said that: the status stands for a time-out or a transport that failed."""
    rests: float = field(default=0.0, compare=False)
    """Seconds for which other calls had better not go there: as a 503 says, or because nothing came."""


@dataclass(frozen=True, slots=True)
class CallUnreachable:
    """Nobody listens where our INVITE went (ICMP), and the next try would be more of the same; it goes on all
    the same, for who is just starting hears the next one."""

    session: Session


@dataclass(frozen=True, slots=True)
class CallCancelled:
    """The peer gave up an inbound call before it was answered."""

    session: Session
    cause: str
    reasons: tuple[Reason, ...] = ()
    """The Reason headers of the peer's request."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """An answered call is over, and not by us."""

    session: Session
    cause: str
    reasons: tuple[Reason, ...] = ()
    """The Reason headers of the peer's request."""
    lost: bool = False
    """The peer has not hung up: it does not answer any more, or knows nothing of the call."""


@dataclass(frozen=True, slots=True)
class MediaOffered:
    """A re-INVITE or UPDATE with an offer (None: the peer asks for ours). Wants accept_media or
    refuse_media."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class MediaAnswered:
    """The answer to the offer of our re-INVITE, or of our 2xx to a re-INVITE without one."""

    session: Session
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class MediaRefused:
    """Our re-INVITE was refused; the session goes on as it was."""

    session: Session
    status: int


@dataclass(frozen=True, slots=True)
class ReferRequested:
    """The far end of an answered call asks us to call somebody in its place (REFER). Wants accept_refer, and
    then tell_refer up to a final status, or refuse_refer."""

    session: Session
    target: Uri
    """Whom, without headers."""
    replaces: Replaces | None
    """Which call there is to be replaced by ours."""
    referrer: str | None
    """A Referred-By for our INVITE (RFC 3892)."""


@dataclass(frozen=True, slots=True)
class ReferSettled:
    """What came of our REFER. It has `succeeded` when the one whom the far end called has answered, or the
    far end has hung up since it took the REFER; then the owner hangs up."""

    session: Session
    succeeded: bool
    status: int | None
    """The final response to the REFER, None where none came."""
    outcome: int | None
    """The final status that a NOTIFY told, None where none did."""


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """An INFO told of a key."""

    session: Session
    digit: str = field(repr=False)  # it may be part of a PIN
    duration_ms: int
    """How long it was held, 0 where that is not said."""


Event = (
    IncomingCall
    | CallRinging
    | CallAnswered
    | CallAcknowledged
    | CallFailed
    | CallUnreachable
    | CallCancelled
    | CallEnded
    | MediaOffered
    | MediaAnswered
    | MediaRefused
    | ReferRequested
    | ReferSettled
    | DigitReceived
)
