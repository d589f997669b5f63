"""REFER that we send within a call, and the NOTIFYs that tell what came of it (RFC 3515).

The subscription is the one that the REFER itself makes; a peer that makes none says so (RFC 4488), and its
2xx is then all there is to know. A far end that hangs up after its 2xx has gone where it was sent.
"""

import re

from sip.core import Core
from sip.credentials import authorize
from sip.dialog import Dialog
from sip.errors import SipError
from sip.events import ReferSettled
from sip.flow import Flow
from sip.headers import number, parse_parameters, split
from sip.message import Request, Response
from sip.session import Referral, Session, State
from sip.transaction import ServerTransaction
from sip.uri import Uri

PATIENCE = 180.0
"""Seconds for which the next NOTIFY is waited for, unless the subscription expires sooner: a phone that is
rung for longer is given up by the proxies between (RFC 3261 section 16.6, timer C)."""

_FRAGMENT = re.compile(rb"\s*SIP/2\.0[ \t]+([1-6][0-9]{2})\b")


class Refers:
    """The one who refers."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def refer(self, session: Session, target: str, now: float) -> None:
        """Asks the far end of an answered call to call `target`; `ReferSettled` follows, unless the call ends
        before. Raises `SipError` for a bad URI."""
        Uri.parse(target)
        if session.ended or session.closing:
            return
        if session.state is not State.ESTABLISHED:
            raise ValueError("a call is referred after its answer")
        core, dialog = self._core, session.dialog
        assert dialog is not None
        flow = core.route(dialog)
        headers = (
            ("Refer-To", f"<{target}>"),
            ("Referred-By", f"<{dialog.local.uri}>"),
            ("Contact", core.contact_in(session, flow)),
            ("Supported", "norefersub"),
            ("User-Agent", core.config.user_agent),
        )
        request = dialog.request("REFER", core.via(flow), headers=headers)
        session.referral = referral = Referral(request.cseq.number)
        self._send(session, dialog, referral, request, flow, now)

    def receive_notify(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        """What the far end tells of our REFER; it may come before the 2xx (section 2.4.4)."""
        core, request = self._core, transaction.request
        try:
            package, *rest = split(request.need("Event"), ";")
            wanted = dict(parse_parameters(rest)).get("id")
            state, *rest = split(request.need("Subscription-State"), ";")
            expires = dict(parse_parameters(rest)).get("expires")
            seconds = PATIENCE if expires is None else number(expires, "expires", 2**32 - 1)
        except SipError as error:
            core.reply(transaction, error.status, error.reason, now=now)
            return
        referral = session.referral
        if package.lower() != "refer":
            core.reply(transaction, 489, now=now, headers=(("Allow-Events", "refer"),))
            return
        if referral is None or wanted not in (None, str(referral.cseq)):
            core.reply(transaction, 481, now=now)
            return
        core.reply(transaction, 200, now=now)
        over = state.lower() == "terminated"
        if session.ended:
            if over:
                self._forget(session)
            return
        referral.notified = True
        found = _FRAGMENT.match(request.body)
        if found is not None and int(found[1]) >= 200:
            referral.outcome = int(found[1])
        referral.told_all = over or referral.outcome is not None
        if referral.told_all:
            self._judge(session, referral)
        else:
            self._wait(session, referral, min(seconds, PATIENCE), now)

    def left(self, session: Session, now: float) -> None:
        """The far end hangs up: when it has taken our REFER, that is where it has gone. What it still tells
        is answered for as long as a transaction lives."""
        referral, dialog = session.referral, session.dialog
        if referral is None or dialog is None or session.ended:
            return
        taken = referral.notified or (referral.status is not None and referral.status < 300)
        if taken and (referral.outcome is None or referral.outcome < 300):
            self._settle(session, referral, succeeded=True)
            session.referral = referral
            then = now + self._core.config.timers.give_up
            self._core.timers.set(referral, "lingering", then, lambda _: self._forget(session))

    def linger(self, session: Session) -> None:
        """After the end of a call whose far end has something left to tell: its dialog stays known."""
        lingering = session.referral is not None and self._core.timers.is_set(session.referral, "lingering")
        if lingering and session.dialog is not None:
            self._core.add_dialog(session, session.dialog)

    def lingers(self, session: Session, request: Request) -> bool:
        """True for a NOTIFY about a REFER that a call has ended over."""
        return session.ended and session.referral is not None and request.method == "NOTIFY"

    # Helpers.

    def _send(
        self,
        session: Session,
        dialog: Dialog,
        referral: Referral,
        request: Request,
        flow: Flow,
        now: float,
    ) -> None:
        def on_response(response: Response, now: float) -> None:
            if response.status < 200 or session.ended or session.referral is not referral:
                return
            again = authorize(self._core, session, request, response, flow, dialog)
            if again is not None:
                referral.cseq = again.cseq.number
                self._send(session, dialog, referral, again, flow, now)
                return
            referral.status = response.status if response.headers else None
            if response.status >= 300:
                self._settle(session, referral, succeeded=False)
            elif (response.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false":
                self._settle(session, referral, succeeded=True)
            elif referral.told_all:
                self._judge(session, referral)
            elif not self._core.timers.is_set(session, "referral"):
                self._wait(session, referral, self._core.config.timers.give_up, now)

        self._core.layer.request(request, flow, on_response, now)

    def _wait(self, session: Session, referral: Referral, seconds: float, now: float) -> None:
        self._core.timers.set(
            session,
            "referral",
            now + seconds,
            lambda _: self._settle(session, referral, succeeded=False),
        )

    def _judge(self, session: Session, referral: Referral) -> None:
        """All has been told; the answer to the REFER itself may be on its way."""
        self._core.timers.cancel(session, "referral")
        if referral.status is not None:
            outcome = referral.outcome
            self._settle(session, referral, succeeded=outcome is not None and outcome < 300)

    def _settle(self, session: Session, referral: Referral, *, succeeded: bool) -> None:
        self._core.timers.cancel(session, "referral")
        session.referral = None
        self._core.tell(ReferSettled(session, succeeded, referral.status, referral.outcome))

    def _forget(self, session: Session) -> None:
        """No more is told of a call that is over."""
        referral, dialog = session.referral, session.dialog
        if referral is None or dialog is None:
            return
        self._core.timers.cancel(referral, "lingering")
        session.referral = None
        if self._core.dialogs.get(dialog.key) == (session, dialog):
            del self._core.dialogs[dialog.key]
