"""Provisional responses that arrive (RFC 3262): ours are repeated until the PRACK, the peer's get one."""

from sip.core import Core
from sip.credentials import authorize
from sip.dialog import Dialog
from sip.errors import SipError
from sip.events import CallCancelled
from sip.flow import Flow
from sip.headers import number
from sip.message import Headers, Message, Request, Response
from sip.session import Pending, Provisionals, Session
from sip.session_timer import supports

OPTION = "100rel"
MAX_PRACKS = 100
"""Reliable responses of one call that are acknowledged: each costs a request, to wherever its sender says."""

_LARGEST = 2**32 - 1


class ReliableResponses:
    """The called side."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def must(self, session: Session) -> bool:
        """True when the caller requires that all goes reliably."""
        return OPTION in session.request.get_list("Require")

    def wants(self, session: Session, sdp: bytes) -> bool:
        """True for a response that should go reliably: where that is required, and, where the caller knows
        how, for one with a description, as its loss would cost the early sound."""
        return self.must(session) or (bool(sdp) and supports(session.request, OPTION))

    def send(self, session: Session, status: int, headers: Headers, sdp: bytes, now: float) -> None:
        """Says it now, or when the one before has its PRACK."""
        if session.provisionals is None:
            session.provisionals = Provisionals(self._core.config.random.randrange(2**31 - 1))
        provisionals = session.provisionals
        provisionals.queue.append((status, headers, sdp))
        if provisionals.pending is None:
            self._next(session, provisionals, now)

    def hold(self, session: Session, sdp: bytes) -> bool:
        """True when the answer has to wait for the PRACK to a description (section 3)."""
        provisionals = session.provisionals
        if provisionals is None:
            return False
        provisionals.queue.clear()
        if provisionals.pending is None or not provisionals.pending.response.body:
            self._core.timers.cancel(session, "1xx")
            return False
        provisionals.answer = sdp
        return True

    def acknowledge(self, session: Session, prack: Request) -> bool:
        """A PRACK of the peer; False when it is for no response that waits. Raises `SipError`."""
        rseq, cseq, method = _rack(prack)
        provisionals = session.provisionals
        if provisionals is None or provisionals.pending is None:
            return False
        pending = provisionals.pending
        if (rseq, cseq, method) != (provisionals.number, session.request.cseq.number, "INVITE"):
            return False
        self._core.timers.cancel(session, "1xx")
        provisionals.pending = None
        provisionals.described = provisionals.described or bool(pending.response.body)
        return True

    def proceed(self, session: Session, now: float) -> bytes | None:
        """After a PRACK: says what waited for it, or returns the answer that did."""
        provisionals = session.provisionals
        assert provisionals is not None
        answer, provisionals.answer = provisionals.answer, None
        if answer is None and provisionals.queue:
            self._next(session, provisionals, now)
        return answer

    def _next(self, session: Session, provisionals: Provisionals, now: float) -> None:
        core, transaction = self._core, session.invite_server
        assert transaction is not None
        status, headers, sdp = provisionals.queue.popleft()
        provisionals.number += 1
        headers = (("Require", OPTION), ("RSeq", str(provisionals.number)), *headers)
        response = core.reply(transaction, status, now=now, headers=headers, body=sdp)
        session.provisional = response
        t1 = core.config.timers.t1
        provisionals.pending = Pending(response, t1, now + core.config.timers.give_up)
        core.timers.set(session, "1xx", now + t1, lambda then: self._repeat(session, provisionals, then))

    def _repeat(self, session: Session, provisionals: Provisionals, now: float) -> None:
        core, pending, transaction = self._core, provisionals.pending, session.invite_server
        assert pending is not None and transaction is not None
        if now >= pending.give_up:
            core.statistics["unacknowledged"] += 1
            core.reply(transaction, 504, now=now)
            core.finish(session, CallCancelled(session, f"no PRACK to our {pending.response.status}"), now)
            return
        core.statistics["retransmissions"] += 1
        transaction.respond(pending.response, now)
        pending.interval *= 2
        then = min(now + pending.interval, pending.give_up)
        core.timers.set(session, "1xx", then, lambda then: self._repeat(session, provisionals, then))


class Pracks:
    """The calling side."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def receive(self, session: Session, dialog: Dialog, response: Response, now: float) -> bool:
        """A provisional response in its early dialog: answered with PRACK when it is reliable and the next
        in order. False for one that is to be ignored: it has come before, or too early (section 4)."""
        if not is_reliable(response):
            return True
        try:
            rseq = number(response.need("RSeq"), "RSeq", _LARGEST)
        except SipError:
            self._core.statistics["bad_provisionals"] += 1
            return False
        if dialog.last_rseq is not None and rseq != dialog.last_rseq + 1:
            return False
        if session.pracks >= MAX_PRACKS:
            self._core.statistics["bad_provisionals"] += 1
            return False
        session.pracks += 1
        dialog.last_rseq = rseq
        if response.sdp is not None:
            dialog.agreed_early = True
        flow = self._core.route(dialog)
        headers = (
            ("RAck", f"{rseq} {response.cseq}"),
            ("User-Agent", self._core.config.user_agent),
        )
        prack = dialog.request("PRACK", self._core.via(flow), headers=headers)
        self._send(session, dialog, prack, flow, now)
        return True

    def _send(self, session: Session, dialog: Dialog, prack: Request, flow: Flow, now: float) -> None:
        def on_response(response: Response, now: float) -> None:
            # A PRACK that fails fails nothing: the INVITE's own end is told.
            again = authorize(self._core, session, prack, response, flow, dialog)
            if again is not None:
                self._send(session, dialog, again, flow, now)

        self._core.layer.request(prack, flow, on_response, now)


def is_reliable(response: Message) -> bool:
    """True for a provisional response that asks for a PRACK."""
    try:
        return OPTION in response.get_list("Require") and response.get("RSeq") is not None
    except SipError:
        return False


def _rack(prack: Request) -> tuple[int, int, str]:
    words = prack.need("RAck").split()
    if len(words) != 3:
        raise SipError("Bad RAck header")
    return number(words[0], "RAck", _LARGEST), number(words[1], "RAck", 2**31 - 1), words[2]
