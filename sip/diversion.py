"""Diversion headers of a call that is sent on (RFC 5806): who sent it on before, and that we do now."""

from sip.headers import NameAddr
from sip.message import Headers, Request


def propagated(invite: Request) -> Headers:
    """Those of the call that came in, the latest diversion first."""
    return tuple(("Diversion", value) for value in invite.get_all("Diversion"))


def stacked(invite: Request, reason: str) -> Headers:
    """The same, and on top of them ours: the called party of this call sends it on."""
    diverting = NameAddr(invite.target.bare(), "", (("reason", reason), ("counter", "1")))
    return (("Diversion", str(diverting)), *propagated(invite))
