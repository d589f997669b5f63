"""What a request must pass before it is acted upon (RFC 3261 section 8.2), in the order given there: who
sends it, the method, the Request-URI, the extensions it needs, the body."""

from dataclasses import dataclass
from ipaddress import ip_address

from sip.access import Admitted, MayAuthenticate, Refused
from sip.core import RECOGNISED, SUPPORTED, Core
from sip.errors import SipError
from sip.flow import Flow
from sip.message import Headers, Request
from sip.replaces import Replaces
from sip.session import Session, State
from sip.session_timer import too_brief

ACCEPT = "application/sdp, multipart/mixed"
_ASKED = ("sip", "sips")
"""Schemes of the Request-URI."""
_CALLED = (*_ASKED, "tel")
"""The same of calls: some carriers say a number by itself (RFC 3966)."""
_ACCEPTABLE = ("application/sdp", "application/*", "*/*")
SUPPORTED_HEADERS = (
    ("Accept", ACCEPT),
    ("Accept-Encoding", "identity"),
    ("Accept-Language", "en"),
    ("Supported", ", ".join(SUPPORTED)),
)


@dataclass(frozen=True)
class Refusal:
    """The response that ends it."""

    status: int
    reason: str = ""
    headers: Headers = ()
    expected: bool = False
    """A challenge to who has shown no credentials yet, or such as were good and are not any more."""


@dataclass(frozen=True)
class Sender:
    """Who sends a request from outside of our calls."""

    trunk: str | None = None
    user: str | None = None


def identify(core: Core, request: Request, flow: Flow, now: float) -> Sender | Refusal:
    """By source address, else by digest. A source that is neither gets 403, or 401 where users exist."""
    access = core.config.access
    verdict = judge(core, flow)
    registers = request.method == "REGISTER" and access.authenticator is not None
    match verdict:
        case Admitted(trunk) if not registers:
            return Sender(trunk=trunk)
        case Refused():
            return Refusal(403)
        case Admitted() | MayAuthenticate():
            return _authenticate(core, request, now)


def judge(core: Core, flow: Flow) -> Admitted | MayAuthenticate | Refused:
    """What the rules say of a source."""
    access = core.config.access
    verdict = access.admit(flow.remote[0])
    if isinstance(verdict, Admitted):
        return verdict
    source, local = ip_address(flow.remote[0]), ip_address(flow.local[0])
    if local.is_loopback and not source.is_loopback:
        # What arrives at a loopback address comes from this very machine: a phone on it may well name
        # the machine's other address as its source. Loopback sources are told apart by the rules alone.
        return access.admit(flow.local[0])
    return verdict


def _authenticate(core: Core, request: Request, now: float) -> Sender | Refusal:
    access = core.config.access
    authenticator = access.authenticator
    assert authenticator is not None, "only users can authenticate"
    credentials = request.get_all("Authorization")
    found = authenticator.verify(credentials, method=request.method, now=now)
    if found.user is not None:
        return Sender(access.trunk_of(found.user), found.user)
    agent = request.get("User-Agent") or ""
    challenges = authenticator.challenges(now, stale=found.stale, agent=agent)
    headers = tuple(("WWW-Authenticate", value) for value in challenges)
    return Refusal(401, "", headers, expected=found.stale or not credentials)


def inspect(core: Core, request: Request) -> Refusal | None:
    """Everything that can be refused without knowing what the request is about."""
    allow = (("Allow", core.allow),)
    if request.method not in core.methods:
        return Refusal(405 if request.method in RECOGNISED else 501, "", allow)
    if request.target.scheme not in (_CALLED if request.method == "INVITE" else _ASKED):
        return Refusal(416)
    try:
        required = request.get_list("Require")
        accepted = request.get_list("Accept")
        request.get_list("Supported")
        timers = core.config.session_timers
        brief = request.method in ("INVITE", "UPDATE") and too_brief(request, timers)
    except SipError as error:
        return Refusal(error.status, error.reason)
    unsupported = [option for option in required if option not in SUPPORTED]
    if unsupported:
        return Refusal(420, "", (("Unsupported", ", ".join(unsupported)),))
    if request.method not in ("INVITE", "UPDATE"):
        return None
    if request.body and request.sdp is None:
        return Refusal(415, "", (("Accept", ACCEPT),))
    if (request.get("Content-Encoding") or "identity").lower() != "identity":
        return Refusal(415, "", (("Accept-Encoding", "identity"),))
    if accepted and not any(_media_range(value) in _ACCEPTABLE for value in accepted):
        return Refusal(406)
    if brief:
        return Refusal(422, "", (("Min-SE", str(timers.minimum)),))
    return None


def replaced(core: Core, request: Request, now: float) -> Session | Refusal | None:
    """The session that a new INVITE wants to replace, None for a plain one (RFC 3891 section 3). Of calls
    without an answer only ours can be taken over, from whoever rings."""
    values = request.get_all("Replaces")
    if not values:
        return None
    try:
        if len(values) > 1:
            raise SipError("More than one Replaces header")
        wanted = Replaces.parse(values[0])
    except SipError as error:
        return Refusal(error.status, error.reason)
    if request.get("Join") is not None:
        return Refusal(400, "Join beside Replaces")
    if core.ended.knows(wanted.dialog, now):
        return Refusal(603)
    found = core.dialogs.get(wanted.dialog)
    if found is None:
        return Refusal(481)
    session, _ = found
    if session.ended or session.closing:
        return Refusal(603)
    if session.state is State.EARLY:
        return session if session.direction == "outbound" else Refusal(481)
    return Refusal(486) if wanted.early_only else session


def _media_range(value: str) -> str:
    return value.partition(";")[0].replace(" ", "").lower()
