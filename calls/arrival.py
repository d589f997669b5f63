"""What an INVITE says of its way here and brings along, as the initiate event tells it.

Source: contract, initiate event.
"""

import logging

from calls.callbacks import Event
from calls.identity import caller_name, understood, withheld
from calls.routing import party
from sip.access import Trunk
from sip.errors import SipError
from sip.headers import NameAddr
from sip.message import Request, usual_name
from sip.session import Session
from sip.uri import readable

logger = logging.getLogger(__name__)

_USER_TO_USER = usual_name("User-to-User")


def told(session: Session, *, to: str, trunk: Trunk | None = None) -> Event:
    """The fields `privacy` and `callerDisplayName`; and `diversion`, `uui` and `sipHeaders`, each only where
    the INVITE has something for it.

    `to`: the called party as events name it; own headers are told of calls to SIP addresses only; `trunk`: by
    which it came.
    """
    invite = session.request
    caller: Event = {"privacy": withheld(session), "callerDisplayName": caller_name(session)}
    event: Event = {"diversion": _diversion(invite, trunk), "uui": _user_to_user(invite)}
    if to.startswith("sip:"):
        event["sipHeaders"] = _own_headers(invite)
    return caller | {name: value for name, value in event.items() if value}


def _diversion(invite: Request, trunk: Trunk | None) -> dict[str, str]:
    """The latest diversion (RFC 5806), which is the first: parameters as they are, and who sent it on."""
    try:
        values = invite.get_list("Diversion")
        if not values:
            return {}
        latest = NameAddr.parse(values[0])
    except SipError as error:
        logger.info("diversion_unreadable", extra={"reason": str(error)})
        return {}
    found = {readable(name): readable((value or "").strip('"')) for name, value in latest.parameters}
    return {**found, "origTo": party(understood(latest.uri, trunk))}


def _user_to_user(invite: Request) -> str:
    """All values (RFC 7433), as they are, with commas between them."""
    return readable(",".join(invite.get_all(_USER_TO_USER)))


def _own_headers(invite: Request) -> dict[str, str]:
    """Those that begin with X-, by their names in lower case; of several the last counts."""
    return {
        readable(name.lower()): readable(value)
        for name, value in invite.headers
        if name.lower().startswith("x-")
    }
