"""Calls that we make (RFC 3261 sections 8.1, 9.1, 13.2)."""

import re
from dataclasses import replace

from sip.closing import send_bye
from sip.core import SUPPORTED, Core
from sip.credentials import authorize
from sip.dialog import Dialog
from sip.errors import SipError
from sip.events import CallAnswered, CallFailed, CallRinging, CallUnreachable
from sip.flow import Flow
from sip.headers import NameAddr
from sip.message import MAX_FORWARDS, Headers, Request, Response
from sip.reason import reasons_of
from sip.refresh import SessionTimers
from sip.reliable import Pracks
from sip.session import Session, State
from sip.transaction import ClientTransaction
from sip.uri import Uri

MAX_FORKS = 16
"""Early dialogs of one call that are remembered, and branches that have answered and get an ACK: each costs a
BYE, to wherever it says that it is."""

SILENCE = 4.0
"""Seconds without any response after which the next place is tried, where there is one: four INVITEs."""
PENALTY = 60.0
"""Seconds for which a place that failed is tried last."""
SILENT_REST = 30.0
"""Seconds for which calls had better not wait where one has waited in vain."""
MAX_REST = 3_600.0
"""Seconds of a Retry-After that are believed."""
MAX_FAILING = 1_000
"""Places of which that is remembered."""

_SECONDS = re.compile(r"[0-9]{1,9}")

LateKey = tuple[str, str, int]


class Uac:
    """The calling side."""

    def __init__(self, core: Core, timers: SessionTimers) -> None:
        self._core = core
        self._timers = timers
        self._pracks = Pracks(core)
        self._late: dict[LateKey, tuple[Session, Request, Flow]] = {}

    def __len__(self) -> int:
        return len(self._late)

    def invite(
        self,
        *,
        to: str,
        from_uri: str,
        sdp: bytes,
        flow: Flow,
        headers: Headers = (),
        credentials: tuple[str, str] | None = None,
        display_name: str = "",
        max_forwards: int = MAX_FORWARDS,
        now: float,
    ) -> Session:
        """Sends an INVITE with an offer, which may take so many hops. Raises `SipError` for a bad URI."""
        core = self._core
        target, caller = Uri.parse(to).bare(), Uri.parse(from_uri)
        if target.scheme not in ("sip", "sips"):
            raise SipError("expected a sip: URI", 416)
        flow, others = replace(flow, others=()), flow.others
        local = NameAddr(caller, display_name, (("tag", core.token()),))
        call_id = f"{core.token()}{core.token()}"
        session = Session(
            id=core.new_id(),
            direction="outbound",
            call_id=call_id,
            flow=flow,
            request_uri=target,
            from_uri=caller,
            to_uri=target,
            display_name=display_name,
            request=Request("INVITE", str(target)),
            credentials=credentials,
            asked=flow,
            local_sdp=sdp,
            others=list(others),
        )
        session.request = Request(
            "INVITE",
            str(target),
            (
                ("Via", core.via(flow)),
                ("Max-Forwards", str(max_forwards)),
                ("From", str(local)),
                ("To", f"<{target}>"),
                ("Call-ID", call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", core.contact_in(session, flow)),
                ("Allow", core.allow),
                ("Supported", ", ".join(SUPPORTED)),
                *self._timers.ask(session),
                ("User-Agent", core.config.user_agent),
                *headers,
                ("Content-Type", "application/sdp"),
            ),
            sdp,
        )
        core.sessions[session.id] = core.called[call_id] = session
        core.statistics["calls_outbound"] += 1
        self._send_invite(session, session.request, now)
        return session

    def cancel(self, session: Session, now: float) -> None:
        """Gives an unanswered call up: CANCEL, as soon as a provisional response allows it (section 9.1).
        The end is told as `CallFailed`."""
        session.closing = True
        transaction = session.invite_client
        assert transaction is not None
        if transaction.provisional and not session.cancel_sent:
            self._send_cancel(session, transaction, now)

    def receive_stray(self, response: Response, now: float) -> bool:
        """A response whose transaction is gone: the called side has answered, or rings, after we gave up.
        False when it is not to a call of ours."""
        found = self._late.get((response.call_id, response.from_.tag, response.cseq.number))
        if found is None or response.status >= 300:
            return False
        session, request, flow = found
        if response.status >= 200:
            self._succeeded(session, request, response, now)
        elif not session.cancel_sent:
            session.cancel_sent = True
            self._core.layer.request(_cancel(request), flow, lambda *_: None, now)
        return True

    def acknowledge(
        self, session: Session, dialog: Dialog, invite: Request, response: Response, now: float
    ) -> None:
        """Sends the ACK to a 2xx, and keeps it for when the 2xx comes again (section 13.2.2.4)."""
        core = self._core
        credentials = tuple(
            pair for pair in invite.headers if pair[0] in ("Authorization", "Proxy-Authorization")
        )
        flow = core.route(dialog)
        ack = dialog.request("ACK", core.via(flow), cseq=invite.cseq.number, headers=credentials)
        cseq = invite.cseq.number
        session.acks = {key: sent for key, sent in session.acks.items() if key[0] == cseq}
        session.acks[cseq, response.to.tag] = (bytes(ack), flow)
        core.send(bytes(ack), flow)

    def acknowledged_before(self, session: Session, response: Response) -> bool:
        """Sends the ACK again when this 2xx has had one."""
        known = session.acks.get((response.cseq.number, response.to.tag))
        if known is not None:
            self._core.send(*known)
        return known is not None

    # Helpers.

    def _send_invite(self, session: Session, request: Request, now: float) -> None:
        session.request = request
        session.cancel_sent = False
        if session.others:
            self._core.timers.set(
                session, "silence", now + SILENCE, lambda then: self._silent(session, request, then)
            )
        session.invite_client = self._core.layer.request(
            request, session.flow, lambda response, then: self._receive(session, request, response, then), now
        )

    def _receive(self, session: Session, request: Request, response: Response, now: float) -> None:
        if response.status < 200:
            self._provisional(session, request, response, now)
        elif response.status < 300:
            self._succeeded(session, request, response, now)
        elif not session.ended:
            self._failed(session, request, response, now)

    def _provisional(self, session: Session, request: Request, response: Response, now: float) -> None:
        self._core.timers.cancel(session, "silence")
        if session.ended:
            return
        if session.closing:
            assert session.invite_client is not None
            if not session.cancel_sent:
                self._send_cancel(session, session.invite_client, now)
            return
        if response.status == 100:
            return
        tag = response.to.tag
        dialog = _early(session, tag)
        if dialog is None and tag and len(session.early) < MAX_FORKS:
            dialog = Dialog.of_caller(request, response, session.flow)
            session.early.append(dialog)
            self._core.add_dialog(session, dialog)
        if dialog is not None and not self._pracks.receive(session, dialog, response, now):
            return
        if dialog is not None and response.sdp is not None:
            dialog.early_answer = response.sdp
        self._core.tell(CallRinging(session, response.status, response.sdp))

    def _succeeded(self, session: Session, request: Request, response: Response, now: float) -> None:
        core = self._core
        if self.acknowledged_before(session, response):
            return
        if len(session.acks) >= MAX_FORKS:
            core.statistics["unwanted_answers"] += 1
            return
        dialog = Dialog.of_caller(request, response, session.flow)
        early = _early(session, response.to.tag)
        if early is not None:
            dialog.confirms(early)
        self.acknowledge(session, dialog, request, response, now)
        if session.closing or session.state is not State.EARLY or request is not session.request:
            # The 2xx crossed our CANCEL, came after we gave up, or is a second branch of a fork.
            core.statistics["unwanted_answers"] += 1
            send_bye(core, session, dialog, now, session.close_headers)
            if session.state is State.EARLY and request is session.request:
                core.finish(session, CallFailed(session, 487, "Request Terminated"), now)
            return
        self._drop_early(session)
        session.dialog = dialog
        session.state = State.ESTABLISHED
        core.add_dialog(session, dialog)
        self._timers.answered(session, response, now)
        core.tell(CallAnswered(session, response.sdp or dialog.early_answer))

    def _failed(self, session: Session, request: Request, response: Response, now: float) -> None:
        gone = response.status == 503 or not response.headers
        if gone and self._try_next(session, request, now):
            return
        if not session.closing:
            again = authorize(self._core, session, request, response, session.flow) or self._timers.ask_again(
                session, request, response
            )
            if again is not None:
                self._drop_early(session)
                self._send_invite(session, again, now)
                return
        if not response.headers:
            self._expect_late(session, request, now)
        failed = CallFailed(
            session,
            response.status,
            response.reason,
            reasons_of(response),
            ours=not response.headers,
            rests=_rests(response),
        )
        self._core.finish(session, failed, now)

    def unreachable(self, invite: ClientTransaction, now: float) -> None:
        """The kernel was told that nobody listens where this INVITE went."""
        session = self._core.called.get(invite.request.call_id)
        if session is None or session.invite_client is not invite or invite.provisional or invite.done:
            return
        self._core.statistics["unreachable"] += 1
        if session.others:
            self._silent(session, session.request, now)
        elif not session.closing:
            self._core.tell(CallUnreachable(session))

    def _silent(self, session: Session, request: Request, now: float) -> None:
        """Nobody has said anything: on to the next place."""
        transaction = session.invite_client
        if session.ended or session.closing or transaction is None:
            return
        transaction.terminate()
        self._expect_late(session, request, now)
        self._try_next(session, request, now)

    def _try_next(self, session: Session, request: Request, now: float) -> bool:
        """The same call to the next place (RFC 3263 section 4.3), as a transaction of its own; False when
        there is none."""
        core, flow = self._core, session.flow
        core.timers.cancel(session, "silence")
        if session.closing or not session.others:
            return False
        core.statistics["fail_overs"] += 1
        if len(core.failing) >= MAX_FAILING:
            core.failing.clear()
        core.failing[flow.transport, flow.remote] = now + PENALTY
        session.flow = session.asked = flow = session.others.pop(0)
        changed = {
            "Via": core.via(flow),
            "Contact": core.contact_in(session, flow),
            "CSeq": str(replace(request.cseq, number=request.cseq.number + 1)),
        }
        headers = tuple((name, changed.get(name, value)) for name, value in request.headers)
        self._drop_early(session)
        self._send_invite(session, replace(request, headers=headers), now)
        return True

    def _send_cancel(self, session: Session, invite: ClientTransaction, now: float) -> None:
        core = self._core
        session.cancel_sent = True
        cancel = _cancel(invite.request, session.close_headers)
        core.layer.request(cancel, invite.flow, lambda *_: None, now)
        core.timers.set(
            session,
            "cancel",
            now + core.config.timers.give_up,
            lambda then: self._cancel_ignored(session, invite, then),
        )

    def _cancel_ignored(self, session: Session, invite: ClientTransaction, now: float) -> None:
        """No final response in 64*T1 after the CANCEL: it is taken for cancelled (section 9.1)."""
        invite.terminate()
        self._expect_late(session, invite.request, now)
        self._core.finish(session, CallFailed(session, 487, "Request Terminated"), now)

    def _expect_late(self, session: Session, request: Request, now: float) -> None:
        """Remembers a call that timed out for as long as a 2xx may be repeated."""
        key = (session.call_id, request.from_.tag, request.cseq.number)
        self._late[key] = (session, request, session.flow)
        then = now + self._core.config.timers.give_up
        self._core.timers.set(request, "late", then, lambda _: self._forget_late(key))

    def _forget_late(self, key: LateKey) -> None:
        self._late.pop(key, None)

    def _drop_early(self, session: Session) -> None:
        for dialog in session.early:
            self._core.dialogs.pop(dialog.key, None)
        session.early.clear()


def _rests(response: Response) -> float:
    """Seconds for which nothing else should go where this final response comes from (section 21.5.4)."""
    if not response.headers:
        return SILENT_REST if response.status == 408 else 0.0
    text = response.get("Retry-After") if response.status == 503 else None
    found = None if text is None else _SECONDS.match(text)
    return 0.0 if found is None else min(float(found[0]), MAX_REST)


def _early(session: Session, tag: str) -> Dialog | None:
    """The early dialog with the peer of that tag."""
    return next((dialog for dialog in session.early if dialog.remote.tag == tag), None)


def _cancel(invite: Request, headers: Headers = ()) -> Request:
    """The CANCEL of an INVITE (section 9.1)."""
    kept = [pair for pair in invite.headers if pair[0] in _OF_CANCEL]
    cseq = ("CSeq", str(replace(invite.cseq, method="CANCEL")))
    return Request("CANCEL", invite.uri, (*kept, cseq, *headers))


_OF_CANCEL = ("Via", "Max-Forwards", "From", "To", "Call-ID", "Route")
