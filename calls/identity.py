"""Who calls whom: read from the INVITEs that come in, and said in those that go out.

A caller may keep his number to himself (RFC 3323). Between networks that trust each other it is told all the
same, in P-Asserted-Identity (RFC 3325), and so a trunk's counts, and is said to a trunk; what anybody else
writes there is nothing but his word.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from bxml.attributes import WITHHELD
from calls.order import Dial
from calls.routing import party
from sip.access import Trunk
from sip.errors import SipError
from sip.headers import NameAddr
from sip.message import Request, usual_name
from sip.session import Session
from sip.uri import Uri, sip_uri

_ASSERTED = usual_name("P-Asserted-Identity")
_NUMBER = re.compile(r"\+?[0-9]+")


@dataclass(frozen=True)
class Caller:
    """As whom an INVITE introduces us: its From, and the headers that say more."""

    uri: str
    display_name: str
    headers: tuple[tuple[str, str], ...] = ()


def introduced(dial: Dial, host: str, *, trunk: Trunk | None) -> Caller:
    """The caller as the callee may know him; `host` is our address, where numbers live; `trunk`: by which it
    goes, and as which numbers are written.

    Whoever withholds his number appears as RFC 3323 section 4.1.1.3 says. Only a trunk that is trusted to
    heed Privacy still learns it, in P-Asserted-Identity (RFC 3325 section 9.1).
    """
    from_ = dial.from_
    if from_.lower().startswith("sip:"):
        uri = from_
    else:
        uri = str(sip_uri(from_ if trunk is None else trunk.introduced(from_), host))
    withheld = from_.capitalize() in WITHHELD
    if not withheld and not dial.privacy:
        return Caller(uri, dial.display_name)
    headers = [("Privacy", "id")]
    if trunk is not None and trunk.trusted and not withheld:
        headers.append((_ASSERTED, f"<{uri}>"))
    return Caller("sip:anonymous@anonymous.invalid", dial.display_name or "Anonymous", tuple(headers))


def understood(uri: Uri, trunk: Trunk | None) -> Uri:
    """A party of a call that came by this trunk, its number as we write numbers."""
    if trunk is None or not uri.user:
        return uri
    number = trunk.understood(uri.user)
    return uri if number == uri.user else sip_uri(number, uri.host, uri.port, uri.parameters)


def callee(session: Session, trunk: Trunk | None) -> Uri:
    """The called party of a call that came in. A trunk that we registered with calls our registration, and
    says in To which number that is for."""
    target, to = session.request_uri, session.to_uri
    if trunk is not None and trunk.register and target.user == trunk.username and to.user:
        target = to
    return understood(target, trunk)


def caller(session: Session, trunk: Trunk | None) -> str:
    """The calling party of a call that came in, as events and REST name it: the number that a trusted trunk
    asserts, else who stands in From. Of one who withholds it the contract's word for that, his own if it is
    one of them. Source: contract, fields of call events."""
    if withheld(session):
        return _word(session.display_name) or "Anonymous"
    return party(understood(_asserted(session.request, trunk) or session.from_uri, trunk))


def caller_name(session: Session) -> str:
    """The calling party's display name; of one who asks for privacy the contract's word alone."""
    name = session.display_name
    return _word(name) if _asks_for_privacy(session.request) else name


def withheld(session: Session) -> bool:
    """Whether the caller keeps his number from the called party: he asks for that, or From names nobody."""
    from_ = session.from_uri
    return _asks_for_privacy(session.request) or from_.host == "anonymous.invalid" or _is_anonymous(from_)


def _word(name: str) -> str:
    """The contract's word for a withheld number that this is, else nothing."""
    word = name.strip().capitalize()
    return word if word in WITHHELD else ""


def _asks_for_privacy(invite: Request) -> bool:
    """RFC 3323 section 4.2, RFC 3325 section 9.3."""
    wanted = {each.strip().lower() for value in invite.get_all("Privacy") for each in value.split(";")}
    return not wanted.isdisjoint({"id", "user", "header"})


def _is_anonymous(uri: Uri) -> bool:
    return (uri.user or "").lower() == "anonymous"


def _asserted(invite: Request, trunk: Trunk | None) -> Uri | None:
    """The number that this trunk vouches for, None where it does not or is not believed. What is no number
    names the trunk's own equipment as a rule, and nobody who could be called back."""
    if trunk is None or not trunk.trusted:
        return None
    with suppress(SipError):  # what cannot be read says nothing
        for value in invite.get_list(_ASSERTED):
            uri = NameAddr.parse(value).uri
            if _NUMBER.fullmatch(uri.user or ""):
                return uri
    return None
