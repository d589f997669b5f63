"""Offers within a call: re-INVITE both ways and UPDATE (RFC 3261 section 14, RFC 3311), one at a time."""

from collections.abc import Callable

from sip.closing import send_bye
from sip.core import SUPPORTED, Core
from sip.credentials import authorize
from sip.dialog import Dialog
from sip.events import CallEnded, MediaAnswered, MediaOffered, MediaRefused
from sip.flow import Flow
from sip.gate import SUPPORTED_HEADERS
from sip.message import Headers, Request, Response
from sip.reason import reasons_of
from sip.refresh import SessionTimers
from sip.session import Session, State
from sip.transaction import ServerTransaction
from sip.uac import Uac
from sip.uas import Uas


class Offers:
    """Who may offer now, and what waits."""

    def __init__(self, core: Core, uas: Uas, uac: Uac, timers: SessionTimers) -> None:
        self._core = core
        self._uas = uas
        self._uac = uac
        self._timers = timers
        uas.on_established = self.proceed
        timers.on_due = self.refresh

    # What arrives.

    def receive(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        """A re-INVITE or UPDATE of the peer."""
        core, request = self._core, transaction.request
        if session.closing:
            core.reply(transaction, 481, now=now)
            return
        if request.method == "UPDATE" and not request.body:
            core.reply(transaction, 200, now=now, headers=self._accepted(session, request, now))
            return
        early = session.state is State.EARLY and not (
            request.method == "UPDATE" and self._described(session, request)
        )
        if session.peer_offer is not None or (early and session.direction == "inbound"):
            # Section 14.2: the one before has no final response yet.
            wait = core.config.random.randint(0, 10)
            core.reply(transaction, 500, "Offer pending", now=now, headers=(("Retry-After", str(wait)),))
            return
        if session.our_offer is not None or early or self._offered_in_2xx(session):
            core.reply(transaction, 491, now=now)
            return
        session.peer_offer = transaction
        if request.method == "INVITE":
            transaction.on_cancel = lambda _, then: self._withdrawn(session, transaction, then)
            transaction.on_ack = self._uas.receive_ack
            core.reply(transaction, 100, now=now)
        core.tell(MediaOffered(session, request.sdp))

    # What the owner does.

    def accept(self, session: Session, sdp: bytes, now: float) -> None:
        """Answers the peer's offer; nothing to do when he has taken it back."""
        transaction = session.peer_offer
        if transaction is None:
            return
        session.peer_offer = None
        if session.refreshing:
            session.queued_offer = None
        if transaction.request.method == "INVITE":
            asked = transaction.request.sdp is None
            session.offered_in_2xx = asked
            self._uas.accept(session, transaction, sdp, self._when_acknowledged(session, asked), now)
        else:
            headers = (
                *self._accepted(session, transaction.request, now),
                ("Content-Type", "application/sdp"),
            )
            session.local_sdp = sdp
            self._core.reply(transaction, 200, now=now, headers=headers, body=sdp)
        self.proceed(session, now)

    def refuse(self, session: Session, status: int, reason: str, now: float) -> None:
        """Refuses the peer's offer; the session goes on as it was."""
        if not 300 <= status <= 699:
            raise ValueError(f"an offer is refused with 300 to 699, not {status}")
        transaction = session.peer_offer
        if transaction is None:
            return
        session.peer_offer = None
        headers = self._core.warning(session.flow, status, reason)
        self._core.reply(transaction, status, reason, now=now, headers=headers)
        self.proceed(session, now)

    def reinvite(self, session: Session, sdp: bytes, now: float) -> None:
        """Offers anew, as soon as no other offer is under way; the newest one counts."""
        if session.ended or session.closing:
            return
        if session.state is State.EARLY:
            raise ValueError("a call is renegotiated after its answer")
        session.queued_offer, session.refreshing = sdp, False
        self.proceed(session, now)

    def refresh(self, session: Session, now: float) -> None:
        """It is for us to refresh the session (RFC 4028 section 7.4): by UPDATE where the peer understands
        it, else by our last offer once more. An offer that waits or is under way refreshes too."""
        if session.closing:
            return
        if session.queued_offer is None and session.our_offer is None:
            if session.updatable:
                self._update(session, now)
                return
            session.queued_offer, session.refreshing = session.local_sdp, True
        self._timers.retry(session, now)
        self.proceed(session, now)

    def proceed(self, session: Session, now: float) -> None:
        """Sends the re-INVITE that waits, when it may go (section 14.1)."""
        core, dialog = self._core, session.dialog
        if (
            session.queued_offer is None
            or session.state is not State.ESTABLISHED
            or session.closing
            or session.our_offer is not None
            or session.peer_offer is not None
            or session.awaiting_ack
            or core.timers.is_set(session, "glare")
        ):
            return
        assert dialog is not None
        sdp, session.queued_offer = session.queued_offer, None
        flow = core.route(dialog)
        headers = (*self._headers(session, flow), ("Content-Type", "application/sdp"))
        request = dialog.request("INVITE", core.via(flow), headers=headers, body=sdp)
        self._send(session, dialog, request, flow, now)

    # Helpers.

    def _send(self, session: Session, dialog: Dialog, request: Request, flow: Flow, now: float) -> None:
        timers = self._core.timers

        def on_response(response: Response, now: float) -> None:
            if response.status >= 200:
                timers.cancel(transaction, "offer")
                self._answered(session, dialog, request, response, flow, now)

        def on_silence(now: float) -> None:
            """A provisional response and nothing after it: the offer must not block others for ever."""
            transaction.terminate()
            if not session.ended:
                session.our_offer = None
                self._refused(session, 408)
                self.proceed(session, now)

        session.our_offer = transaction = self._core.layer.request(request, flow, on_response, now)
        timers.set(transaction, "offer", now + self._core.config.timers.give_up, on_silence)

    def _answered(
        self, session: Session, dialog: Dialog, request: Request, response: Response, flow: Flow, now: float
    ) -> None:
        core = self._core
        if response.status < 300:
            if self._uac.acknowledged_before(session, response):
                return
            dialog.refresh(response, dialog.flow)
            self._uac.acknowledge(session, dialog, request, response, now)
        if session.ended:
            return
        session.our_offer = None
        if response.status < 300:
            session.local_sdp = request.body
            self._timers.answered(session, response, now)
            core.tell(MediaAnswered(session, response.sdp))
        elif response.status == 491:
            self._glare(session, request, now)
        elif response.status in (408, 481) or not response.headers:
            # Section 12.2.1.2: the peer does not know the call, or cannot be reached.
            self._lost(session, dialog, request, response, now)
            return
        elif (again := self._again(session, dialog, request, response, flow)) is not None:
            self._send(session, dialog, again, flow, now)
            return
        else:
            self._refused(session, response.status)
        self.proceed(session, now)

    def _refused(self, session: Session, status: int) -> None:
        """The owner is told of the offers that are his."""
        if not session.refreshing:
            self._core.tell(MediaRefused(session, status))

    def _lost(
        self, session: Session, dialog: Dialog, request: Request, response: Response, now: float
    ) -> None:
        name = "re-INVITE" if request.method == "INVITE" else request.method
        ended = CallEnded(session, f"{response.status} to our {name}", reasons_of(response), lost=True)
        self._core.finish(session, ended, now)
        send_bye(self._core, session, dialog, now)

    def _again(
        self, session: Session, dialog: Dialog, request: Request, response: Response, flow: Flow
    ) -> Request | None:
        """The request with what the response asks for: credentials, or a longer interval."""
        again = authorize(self._core, session, request, response, flow, dialog)
        return again or self._timers.ask_again(session, request, response)

    def _update(self, session: Session, now: float) -> None:
        dialog = session.dialog
        assert dialog is not None
        flow = self._core.route(dialog)
        request = dialog.request("UPDATE", self._core.via(flow), headers=self._headers(session, flow))
        self._send_update(session, dialog, request, flow, now)

    def _send_update(
        self, session: Session, dialog: Dialog, request: Request, flow: Flow, now: float
    ) -> None:
        def on_response(response: Response, now: float) -> None:
            if response.status < 200 or session.ended:
                return
            if response.status < 300:
                dialog.refresh(response, dialog.flow)
                self._timers.answered(session, response, now)
            elif response.status in (408, 481) or not response.headers:
                self._lost(session, dialog, request, response, now)
            elif (again := self._again(session, dialog, request, response, flow)) is not None:
                self._send_update(session, dialog, again, flow, now)
            else:
                session.updatable = response.status not in (405, 501)
                self._timers.retry(session, now)

        self._core.layer.request(request, flow, on_response, now)

    def _glare(self, session: Session, request: Request, now: float) -> None:
        """Both have offered at once. Who made the Call-ID waits 2.1 to 4 s, the other up to 2 s, in steps
        of 10 ms (section 14.1)."""
        core = self._core
        if session.refreshing:
            return  # theirs refreshes the session too, else the next attempt does
        if session.queued_offer is None:
            session.queued_offer = request.body
        steps = (210, 400) if session.direction == "outbound" else (0, 200)
        seconds = core.config.random.randint(*steps) / 100
        core.timers.set(session, "glare", now + seconds, lambda then: self.proceed(session, then))

    def _withdrawn(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        if session.peer_offer is transaction:
            session.peer_offer = None
            self._core.reply(transaction, 487, now=now)
            self.proceed(session, now)

    def _when_acknowledged(self, session: Session, asked: bool) -> Callable[[Request, float], None]:
        def on_ack(ack: Request, now: float) -> None:
            session.offered_in_2xx = False
            if asked:
                self._core.tell(MediaAnswered(session, ack.sdp))
            self.proceed(session, now)

        return on_ack

    def _offered_in_2xx(self, session: Session) -> bool:
        """True while an offer of ours in a 2xx waits for the answer that the ACK brings."""
        if session.state is State.ANSWERED:
            return session.request.sdp is None and not _described(session)
        return session.offered_in_2xx

    def _described(self, session: Session, update: Request) -> bool:
        """True when offer and answer were done before the call is answered (RFC 3262 section 5)."""
        if session.direction == "inbound":
            return _described(session)
        _, dialog = self._core.dialogs[update.call_id, update.to.tag, update.from_.tag]
        return dialog.agreed_early

    def _headers(self, session: Session, flow: Flow) -> Headers:
        """What a re-INVITE or UPDATE of ours says of us."""
        return (
            ("Contact", self._core.contact_in(session, flow)),
            ("Allow", self._core.allow),
            ("Supported", ", ".join(SUPPORTED)),
            *self._timers.ask(session),
            ("User-Agent", self._core.config.user_agent),
        )

    def _accepted(self, session: Session, request: Request, now: float) -> Headers:
        """What a 2xx to an UPDATE says of us."""
        _, dialog = self._core.dialogs[request.call_id, request.to.tag, request.from_.tag]
        contact = self._core.contact_in(session, dialog.flow)
        granted = self._timers.grant(session, request, now) if session.state is not State.EARLY else ()
        return (("Contact", contact), ("Allow", self._core.allow), *SUPPORTED_HEADERS, *granted)


def _described(session: Session) -> bool:
    """The same for an inbound call."""
    return session.provisionals is not None and session.provisionals.described
