"""REFER of the far end within a call (RFC 3515): what it asks for, and what we tell it of that."""

from sip.core import Core
from sip.errors import SipError
from sip.events import ReferRequested
from sip.headers import NameAddr
from sip.message import REASONS, Request, Response
from sip.replaces import Replaces
from sip.session import Asked, Session, State
from sip.transaction import ServerTransaction
from sip.within import say

LIFETIME = 360
"""Seconds for which we say that we shall tell: longer than any call of ours rings."""


class Referred:
    """The one who is referred."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def receive(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        """A REFER; its owner accepts or refuses it."""
        core = self._core
        try:
            event = _read(session, transaction.request)
        except SipError as error:
            core.reply(transaction, error.status, error.reason, now=now)
            return
        if session.closing or session.state is not State.ESTABLISHED:
            core.reply(transaction, 481, now=now)
        elif session.asked_to_call is not None:
            core.reply(transaction, 491, now=now)
        else:
            wants = (transaction.request.get("Refer-Sub") or "").partition(";")[0].strip().lower() != "false"
            session.asked_to_call = Asked(transaction, wants, session.times_asked)
            session.times_asked += 1
            core.tell(event)

    def accept(self, session: Session, now: float) -> None:
        """202, and that we are at it; nothing where the far end has gone."""
        asked = session.asked_to_call
        if asked is None or asked.transaction.answered:
            return
        contact = (("Contact", self._core.contact_in(session, session.flow)),)
        silent = () if asked.wants_to_know else (("Refer-Sub", "false"),)
        self._core.reply(asked.transaction, 202, now=now, headers=(*contact, *silent))
        self.tell(session, 100, "", now)

    def refuse(self, session: Session, status: int, now: float) -> None:
        """Refuses it; the call goes on."""
        asked, session.asked_to_call = session.asked_to_call, None
        if asked is not None and not asked.transaction.answered:
            self._core.reply(asked.transaction, status, now=now)

    def tell(self, session: Session, status: int, reason: str, now: float) -> None:
        """What became of the call that the REFER asked for; a final status is the last. The far end may have
        hung up meanwhile: that does not end what it has subscribed to."""
        asked = session.asked_to_call
        if asked is None or session.dialog is None:
            return
        over = status >= 200
        if over:
            session.asked_to_call = None
        if not asked.wants_to_know:
            return
        number = f";id={asked.transaction.request.cseq.number}" if asked.earlier else ""
        state = "terminated;reason=noresource" if over else f"active;expires={LIFETIME}"
        headers = (
            ("Contact", self._core.contact_in(session, session.dialog.flow)),
            ("Event", f"refer{number}"),
            ("Subscription-State", state),
            ("Content-Type", "message/sipfrag;version=2.0"),
        )
        body = f"SIP/2.0 {status} {reason or REASONS.get(status, '')}\r\n".encode()

        def on_answer(response: Response, _: float) -> None:
            # Section 2.4.7: who does not want to know, or knows nothing of it, is told no more.
            if response.status >= 300:
                asked.wants_to_know = False

        say(self._core, session, session.dialog, "NOTIFY", headers, body, on_answer, now)


def _read(session: Session, request: Request) -> ReferRequested:
    """Whom a REFER asks us to call. Of the headers in that address none but Replaces counts: they would be
    said in our name. Raises `SipError`."""
    try:
        uri = NameAddr.parse(request.need("Refer-To")).uri
    except SipError as error:
        raise SipError(f"Bad Refer-To: {error.reason}") from None
    if uri.scheme not in ("sip", "sips", "tel"):
        raise SipError("Expected a sip: or tel: address in Refer-To", 416)
    if (uri.parameter("method") or "INVITE").upper() != "INVITE":
        raise SipError("Only an INVITE can be asked for", 501)
    by = request.get("Referred-By")
    referrer = None if by is None else str(NameAddr.parse(by))
    return ReferRequested(session, uri.bare(), Replaces.in_headers(uri.headers), referrer)
