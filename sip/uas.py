"""Calls that come in, and what any call receives (RFC 3261 sections 8.2, 9.2, 12.2.2, 13.3, 15.1.2)."""

from collections.abc import Callable

from sip.closing import send_bye
from sip.core import SUPPORTED, Core
from sip.dialog import Dialog
from sip.errors import SipError
from sip.events import CallAcknowledged, CallCancelled, CallEnded, IncomingCall, MediaAnswered, MediaOffered
from sip.flow import Flow
from sip.gate import Sender
from sip.headers import number
from sip.message import Headers, Request
from sip.reason import Reason, reasons_of
from sip.refresh import SessionTimers
from sip.reliable import ReliableResponses
from sip.session import Session, State, Unacknowledged
from sip.transaction import ServerTransaction
from sip.uri import readable

REFRESH = 60.0
"""Seconds after which a provisional response is said again, for the proxies' timer C (section 13.3.1.1)."""


class Uas:
    """The called side."""

    def __init__(self, core: Core, timers: SessionTimers) -> None:
        self._core = core
        self._timers = timers
        self._reliable = ReliableResponses(core)
        self.on_established: Callable[[Session, float], None] = lambda session, now: None
        """Called when the ACK to the first 2xx has come: an offer may be waiting for that."""

    # What arrives.

    def receive_invite(
        self,
        transaction: ServerTransaction,
        sender: Sender,
        flow: Flow,
        now: float,
        replaces: Session | None = None,
    ) -> None:
        """A new call; `replaces`: the one whose place it is to take."""
        core, request = self._core, transaction.request
        try:
            dialog = Dialog.of_callee(request, core.token(), flow)
            expires = request.get("Expires")
            seconds = None if expires is None else number(expires, "Expires", 2**32 - 1)
        except SipError as error:
            core.reply(transaction, error.status, error.reason, now=now)
            return
        session = Session(
            id=core.new_id(),
            direction="inbound",
            call_id=request.call_id,
            flow=flow,
            request_uri=request.target,
            from_uri=request.from_.uri,
            to_uri=request.to.uri,
            display_name=readable(request.from_.display_name),
            request=request,
            dialog=dialog,
            invite_server=transaction,
        )
        core.sessions[session.id] = session
        core.unsettled.add(session.id, session.remote_ip)
        core.add_dialog(session, dialog)
        core.statistics["calls_inbound"] += 1
        session.updatable = "UPDATE" in (request.get("Allow") or "")
        session.takes_info = "INFO" in (request.get("Allow") or "")
        transaction.tag = dialog.local.tag
        transaction.on_cancel = lambda cancel, then: self._gave_up(session, cancel, then)
        transaction.on_ack = self.receive_ack
        core.reply(transaction, 100, now=now)
        if seconds:
            core.timers.set(
                session, "expires", now + seconds, lambda then: self._gave_up(session, None, then)
            )
        ours = core.called.get(request.call_id)
        core.tell(IncomingCall(session, sender.trunk, sender.user, request.sdp, replaces, ours))

    def receive_ack(self, request: Request, now: float) -> None:
        """The ACK to a 2xx, told by Call-ID, CSeq and From tag: some phones put a To tag of their own into
        it, and copy the branch of the INVITE."""
        key = (request.call_id, request.from_.tag, request.cseq.number)
        found = self._core.unacknowledged.pop(key, None)
        if found is None:
            return
        session = found.session
        self._core.timers.cancel(session, f"2xx {key[2]}")
        session.awaiting_ack.discard(key[2])
        if not session.ended:
            found.on_ack(request, now)

    def receive_cancel(self, transaction: ServerTransaction, now: float) -> None:
        """Answers the CANCEL and, when there is still time, the INVITE it is meant for."""
        invite = self._core.layer.find_cancelled(transaction.request)
        assert invite is not None, "the endpoint has looked"
        transaction.tag = invite.tag
        self._core.reply(transaction, 200, now=now)
        if not invite.answered:
            invite.on_cancel(transaction.request, now)

    def receive_bye(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        """The peer hangs up (section 15.1.2). One whom we call cannot before his answer (section 15)."""
        core, request = self._core, transaction.request
        if session.state is State.EARLY and session.direction == "outbound":
            core.reply(transaction, 481, now=now)
            return
        core.reply(transaction, 200, now=now)
        if session.ended:
            return
        kind = CallCancelled if session.state is State.EARLY else CallEnded
        core.finish(session, kind(session, *told_by(request)), now)

    def receive_prack(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        """The caller has our reliable response. A description in the PRACK answers ours, or offers anew."""
        core, request = self._core, transaction.request
        try:
            known = self._reliable.acknowledge(session, request)
        except SipError as error:
            core.reply(transaction, error.status, error.reason, now=now)
            return
        if not known:
            core.reply(transaction, 481, now=now)
            return
        provisionals = session.provisionals
        offers = session.request.sdp is not None and provisionals is not None and provisionals.described
        if request.sdp is not None and offers:
            session.peer_offer = transaction
            core.tell(MediaOffered(session, request.sdp))
        else:
            core.reply(transaction, 200, now=now)
            if request.sdp is not None:
                core.tell(MediaAnswered(session, request.sdp))
        answer = self._reliable.proceed(session, now)
        if answer is not None:
            self.answer(session, answer, now)

    # What the owner does.

    def ring(self, session: Session, now: float) -> None:
        """180."""
        self._provisional(session, 180, b"", now)

    def progress(self, session: Session, sdp: bytes, now: float) -> None:
        """183 with a session description: the caller hears us before the answer."""
        self._provisional(session, 183, sdp, now)

    def answer(self, session: Session, sdp: bytes, now: float) -> None:
        """200 with a session description, said again until the ACK comes."""
        if not self._open(session) or self._reliable.hold(session, sdp):
            return
        assert session.invite_server is not None
        if session.provisionals is not None and session.provisionals.described:
            sdp = b""
        session.state = State.ANSWERED
        self._core.unsettled.add(session.id, session.remote_ip)
        for name in ("refresh", "expires"):
            self._core.timers.cancel(session, name)
        session.provisional = None
        self.accept(
            session, session.invite_server, sdp, lambda ack, then: self._acknowledged(session, ack, then), now
        )

    def reject(self, session: Session, status: int, reason: str, now: float, headers: Headers = ()) -> None:
        """A final response of 300 or above; the session is over."""
        if not 300 <= status <= 699:
            raise ValueError(f"a call is rejected with 300 to 699, not {status}")
        if not self._open(session):
            return
        assert session.invite_server is not None and session.dialog is not None
        headers = (*self._core.warning(session.flow, status, reason), *headers)
        self._core.reply(session.invite_server, status, reason, now=now, headers=headers)
        self._core.finish(session, None, now)

    def accept(
        self,
        session: Session,
        transaction: ServerTransaction,
        sdp: bytes,
        on_ack: Callable[[Request, float], None],
        now: float,
    ) -> None:
        """Sends a 2xx to an INVITE and repeats it from T1 to T2 until the ACK; without one in 64*T1 the
        call ends with a BYE (section 13.3.1.4)."""
        core, request = self._core, transaction.request
        assert session.dialog is not None
        headers = (
            *_recorded(request),
            ("Contact", core.contact_in(session, session.dialog.flow)),
            ("Allow", core.allow),
            ("Supported", ", ".join(SUPPORTED)),
            *self._timers.grant(session, request, now),
            *((("Content-Type", "application/sdp"),) if sdp else ()),
        )
        session.local_sdp = sdp or session.local_sdp
        response = core.reply(transaction, 200, now=now, headers=headers, body=sdp)
        cseq, values = request.cseq.number, core.config.timers
        waiting = Unacknowledged(session, transaction, response, values.t1, now + values.give_up, on_ack)
        session.awaiting_ack.add(cseq)
        self._core.unacknowledged[request.call_id, request.from_.tag, cseq] = waiting
        core.timers.set(session, f"2xx {cseq}", now + values.t1, lambda then: self._repeat(waiting, then))

    # Helpers.

    def _provisional(self, session: Session, status: int, sdp: bytes, now: float) -> None:
        waits = session.provisionals is not None and session.provisionals.answer is not None
        if not self._open(session) or waits:
            return
        core = self._core
        assert session.invite_server is not None and session.dialog is not None
        headers = (
            *_recorded(session.request),
            ("Contact", core.contact_in(session, session.dialog.flow)),
            ("Allow", core.allow),
            *((("Content-Type", "application/sdp"),) if sdp else ()),
        )
        session.local_sdp = sdp or session.local_sdp
        if self._reliable.wants(session, sdp):
            if session.request.sdp is None and not sdp and session.provisionals is None:
                # The first reliable response would have to make an offer (RFC 3261 section 13.2.1).
                return
            self._reliable.send(session, status, headers, sdp, now)
        else:
            session.provisional = core.reply(
                session.invite_server, status, now=now, headers=headers, body=sdp
            )
        core.unsettled.remove(session.id)
        core.timers.set(session, "refresh", now + REFRESH, lambda then: self._refresh(session, then))

    def _refresh(self, session: Session, now: float) -> None:
        assert session.invite_server is not None
        if session.provisional is not None:
            session.invite_server.respond(session.provisional, now)
        self._core.timers.set(session, "refresh", now + REFRESH, lambda then: self._refresh(session, then))

    def _open(self, session: Session) -> bool:
        """True while an inbound call can be answered; a call that the peer has given up in the meantime is
        none."""
        if session.direction != "inbound":
            raise ValueError("only an inbound call is answered")
        if session.state in (State.ANSWERED, State.ESTABLISHED):
            raise ValueError("the call has been answered")
        return not session.ended

    def _repeat(self, waiting: Unacknowledged, now: float) -> None:
        core, session = self._core, waiting.session
        if now < waiting.give_up:
            core.statistics["retransmissions"] += 1
            waiting.transaction.respond(waiting.response, now)
            waiting.interval = min(2 * waiting.interval, core.config.timers.t2)
            cseq = waiting.transaction.request.cseq.number
            then = min(now + waiting.interval, waiting.give_up)
            core.timers.set(session, f"2xx {cseq}", then, lambda then: self._repeat(waiting, then))
            return
        core.statistics["unacknowledged"] += 1
        dialog, headers = session.dialog, session.close_headers
        assert dialog is not None
        reason = Reason(408, "no ACK")
        self._core.finish(session, CallEnded(session, "no ACK to our 200", lost=True), now)
        send_bye(core, session, dialog, now, headers or (("Reason", str(reason)),))

    def _acknowledged(self, session: Session, ack: Request, now: float) -> None:
        core, dialog = self._core, session.dialog
        assert dialog is not None
        session.state = State.ESTABLISHED
        core.unsettled.remove(session.id)
        if session.closing:
            # Section 15: the callee says BYE only after the ACK.
            headers = session.close_headers
            self._core.finish(session, None, now)
            send_bye(core, session, dialog, now, headers)
            return
        core.tell(CallAcknowledged(session, ack.sdp))
        self.on_established(session, now)

    def _gave_up(self, session: Session, cancel: Request | None, now: float) -> None:
        if session.ended or session.state is not State.EARLY:
            return
        why, reasons = told_by(cancel) if cancel is not None else ("Expires", ())
        self._core.finish(session, CallCancelled(session, why, reasons), now)


def told_by(request: Request) -> tuple[str, tuple[Reason, ...]]:
    """Why a BYE or CANCEL was sent: in a few words, by its method where it does not say, and as data."""
    reasons = reasons_of(request)
    if not reasons:
        return request.method, ()
    return reasons[0].text or f"{reasons[0].protocol} {reasons[0].cause}", reasons


def _recorded(request: Request) -> Headers:
    return tuple(("Record-Route", value) for value in request.get_all("Record-Route"))
