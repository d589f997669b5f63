"""Keys in the body of an INFO, as phones and gateways tell them that do not send RFC 4733.

No standard has these two types; they are what Cisco's gateways began with. `application/dtmf-relay` has lines
`Signal=5` and `Duration=160` (ms), `application/dtmf` nothing but the key.
"""

import re

from sip.core import Core
from sip.errors import SipError
from sip.message import Request
from sip.session import Session, State
from sip.within import say

KEYS = "0123456789*#ABCD"
MAX_DURATION = 60_000
_RELAY = "application/dtmf-relay"
_PLAIN = "application/dtmf"
_FLASH = ("16", "R", "HF", "FLASH", "!")
_SIGNAL = re.compile(rb"(?im)^[ \t]*signal[ \t]*=[ \t]*([^\s]{1,5})[ \t]*\r?$")
_DURATION = re.compile(rb"(?im)^[ \t]*duration[ \t]*=[ \t]*([0-9]{1,6})[ \t]*\r?$")


def pressed(request: Request) -> tuple[str, int] | None:
    """The key that an INFO tells, and for how many ms it was held (0: not said); None when it is about
    something else, a hook flash included. Raises `SipError` for a body that is not what its type says."""
    if request.content_type not in (_RELAY, _PLAIN) or not request.body:
        return None
    signal = _SIGNAL.search(request.body)
    if signal is not None:
        name = signal.group(1)
    elif request.content_type == _PLAIN:
        name = request.body.strip()
    else:
        raise SipError("Expected a line Signal= with a key")
    key = _key(name.decode("ascii", "replace").upper())
    duration = _DURATION.search(request.body)
    if key is None:
        return None
    return key, min(int(duration.group(1)), MAX_DURATION) if duration else 0


def press(core: Core, session: Session, key: str, milliseconds: int, now: float) -> None:
    """Tells the far end of an answered call that a key was pressed, in the form that is understood most. What
    it says to that changes nothing."""
    if session.state is State.ESTABLISHED and not session.closing and session.dialog is not None:
        body = f"Signal={key}\r\nDuration={milliseconds}\r\n".encode()
        headers = (("Content-Type", _RELAY),)
        say(core, session, session.dialog, "INFO", headers, body, lambda *_: None, now)


def _key(name: str) -> str | None:
    """Keys go by their name or by their number in RFC 4733."""
    if name in _FLASH:
        return None
    if len(name) == 1 and name in KEYS:
        return name
    if name in map(str, range(10, len(KEYS))):
        return KEYS[int(name)]
    raise SipError("Expected one key out of 0-9, *, # and A-D")
