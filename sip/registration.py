"""REGISTER (RFC 3261 section 10.3): from a request to the registrar's terms, and back to a response."""

from dataclasses import replace
from ipaddress import ip_address

from sip.core import Core
from sip.errors import SipError
from sip.flow import Flow
from sip.gate import Refusal, Sender
from sip.headers import NameAddr, print_parameters
from sip.message import Request
from sip.registrar import Binding, Contact, RegisterError
from sip.uri import Uri

MAX_PATH = 8
"""Proxies between a phone and us."""

MAX_PARAMETERS = 512
"""Characters of a Contact's header parameters that are kept; more are forgotten."""

OVER_STREAM = 600
"""Seconds that a registration over a connection is good for: one on which nothing comes is closed after a
while (`sip.tcp.StreamLimits.idle`), and who is reached over it must have said something before that."""

_LONGEST = 2**32 - 1


def register(core: Core, request: Request, sender: Sender, flow: Flow, now: float) -> Refusal:
    """Carries a REGISTER out and returns the response to it, a 200 included."""
    registrar = core.config.registrar
    assert registrar is not None, "the gate lets no REGISTER in without a registrar"
    user = request.to.uri.user
    if request.to.uri.scheme not in ("sip", "sips") or not user:
        return Refusal(400, "To is no SIP address")
    if sender.user is not None and sender.user != user:
        return Refusal(403, "Not your address")
    try:
        contacts = [_contact(value) for value in request.get_list("Contact")]
        header = request.get("Expires")
        path = _path(request)
        bindings = registrar.register(
            user,
            contacts,
            expires=None if header is None else _seconds(header),
            call_id=request.call_id,
            cseq=request.cseq.number,
            # With a path calls take that, and outlive the connection that it came over.
            source=replace(flow, id=0) if path else flow,
            path=path,
            longest=OVER_STREAM if flow.transport in ("tcp", "tls") and not path else None,
            now=now,
        )
    except SipError as error:
        return Refusal(error.status, error.reason)
    except RegisterError as error:
        return Refusal(error.status, error.reason, error.headers)
    told = tuple(("Path", value) for value in path if "path" in request.get_list("Supported"))
    return Refusal(200, "", (*told, *(_printed(binding, now) for binding in bindings)))


def believed(contact: Uri, flow: Flow) -> bool:
    """Whether a call goes to the address that a Contact names, and not to the one its REGISTER came from.

    A phone at the other end of a connection is reached over that alone. Else a Contact counts, port included,
    when its host is the packet's source, or a public address. A private one that differs from the source lies
    behind a NAT, and a name means nothing outside of the phone's own network.
    """
    if flow.reliable or contact.transport not in ("udp", "tcp"):
        return False
    try:
        host, source = ip_address(contact.host.strip("[]")), ip_address(flow.remote[0])
    except ValueError:
        return False
    return host == source or host.is_global


def _path(request: Request) -> tuple[str, ...]:
    """The proxies between the phone and us that want to be in the way of its calls (RFC 3327 section 5.3)."""
    path = tuple(request.get_list("Path"))
    if len(path) > MAX_PATH or any(NameAddr.parse(value).uri.scheme not in ("sip", "sips") for value in path):
        raise SipError("Path is no list of SIP addresses, or too long a one")
    return path


def _contact(value: str) -> Contact:
    if value == "*":
        return Contact("*")
    address = NameAddr.parse(value)
    if address.uri.scheme not in ("sip", "sips"):
        raise SipError("Contact is no SIP address")
    expires = address.parameter("expires")
    others = print_parameters(tuple(pair for pair in address.parameters if pair[0] != "expires"))
    return Contact(
        str(address.uri),
        None if expires is None else _seconds(expires),
        _preference(address),
        others if len(others) <= MAX_PARAMETERS else "",
    )


def _seconds(text: str) -> int | None:
    """A number of seconds; too large a one is cut, anything else counts as not given (section 20.10)."""
    if not (text.isascii() and text.isdigit()):
        return None
    return _LONGEST if len(text) > 10 else min(int(text), _LONGEST)


def _preference(address: NameAddr) -> float:
    try:
        return min(max(float(address.parameter("q") or "1"), 0.0), 1.0)
    except ValueError:
        return 1.0


def _printed(binding: Binding, now: float) -> tuple[str, str]:
    uri = Uri.parse(binding.uri)
    return "Contact", f"<{uri}>{binding.parameters};expires={binding.expires(now)}"
