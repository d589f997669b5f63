"""Answering a 401 or 407 to a request of ours (RFC 3261 section 22)."""

from dataclasses import replace
from typing import Protocol

from sip.core import Core
from sip.dialog import Dialog
from sip.digest import choose, read_challenges, respond
from sip.flow import Flow
from sip.message import Request, Response

MAX_ANSWERS = 8
"""Challenges answered per session: one that calls every nonce stale must not keep us busy."""

_HEADERS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class Asking(Protocol):
    """Who has sent a request and may prove himself: a call's session, or what is asked outside of calls."""

    credentials: tuple[str, str] | None
    asked: Flow | None
    nonces: set[str]


def authorize(
    core: Core,
    session: Asking,
    request: Request,
    response: Response,
    flow: Flow,
    dialog: Dialog | None = None,
) -> Request | None:
    """The request again with credentials, next CSeq and a new branch; None when there is no use in it.

    Only the host that the owner gave the credentials for is answered: a peer that moves the call elsewhere
    does not learn a digest there. Each nonce is answered once, and another one only when the last has turned
    stale.
    """
    if response.status not in _HEADERS or session.credentials is None:
        return None
    if session.asked is None or flow.remote[0] != session.asked.remote[0]:
        return None
    asks, answers = _HEADERS[response.status]
    challenge = choose(read_challenges(response.get_all(asks)))
    if challenge is None or challenge.nonce in session.nonces or len(session.nonces) >= MAX_ANSWERS:
        return None
    if request.get(answers) is not None and not challenge.stale:
        return None
    session.nonces.add(challenge.nonce)
    user, password = session.credentials
    value = respond(
        challenge,
        method=request.method,
        uri=request.uri,
        user=user,
        password=password,
        cnonce=core.token(),
    )
    cseq = request.cseq.number + 1
    if dialog is not None:
        dialog.local_cseq = cseq = max(dialog.local_cseq + 1, cseq)
    headers = []
    for name, old in request.headers:
        if name == "Via":
            headers.append((name, core.via(flow)))
        elif name == "CSeq":
            headers.append((name, str(replace(request.cseq, number=cseq))))
        elif name != answers:
            headers.append((name, old))
    return replace(request, headers=(*headers, (answers, value)))
