"""What arrives at an endpoint: to which part of it each message goes, and what is answered without asking
the owner."""

from contextlib import suppress

from sip.access import Admitted
from sip.core import Core
from sip.dialog import Dialog
from sip.errors import SipError
from sip.events import DigitReceived
from sip.flow import Flow, Outgoing
from sip.gate import SUPPORTED_HEADERS, Refusal, Sender, identify, inspect, judge, replaced
from sip.info import pressed
from sip.layer import reply_flow
from sip.message import MessageError, Request, Response, parse
from sip.notices import Notices
from sip.offers import Offers
from sip.refer import Refers
from sip.referred import Referred
from sip.registration import register
from sip.session import Session
from sip.stun import answer as answer_stun
from sip.stun import is_blank, is_stun
from sip.transaction import ServerTransaction
from sip.uac import Uac
from sip.uas import Uas

RETRY_AFTER = "30"
"""Seconds that a caller is asked to wait while we stop or are full."""

RETRY_SOON = "5"
"""Seconds that a caller is asked to wait while calls wait for their ACK."""

MAX_REQUESTS = 256
"""Requests of a peer within one call whose answers are remembered (for 32 s over UDP): whoever may call must
not fill the memory by what he says there."""


class Incoming:
    """The way in."""

    def __init__(
        self, core: Core, *, uas: Uas, uac: Uac, offers: Offers, refers: Refers, referred: Referred
    ) -> None:
        self._core = core
        self._uas = uas
        self._uac = uac
        self._offers = offers
        self._refers = refers
        self._referred = referred
        self._notices = Notices()

    def receive(self, data: bytes, flow: Flow, now: float) -> bool:
        """Takes one datagram, or one message cut from a stream. Never raises for what is in it. True where
        its sender has a part in what we do: he was let in, or answers us."""
        core = self._core
        if flow.transport == "udp" and (is_blank(data) or is_stun(data)):
            self._keep_alive(data, flow, now)
            return False
        core.statistics["received"] += 1
        request: Request | None = None
        try:
            message = parse(data, stream=flow.streamed)
            if isinstance(message, Request):
                request = message
                message.check()
                return self._receive_request(message.seen_from(*flow.remote), flow, now)
            message.check()
            return self._receive_response(message, now)
        except SipError as error:
            if isinstance(error, MessageError):
                request = error.request
            self._malformed(request, error, flow, now)
            return False

    def _keep_alive(self, data: bytes, flow: Flow, now: float) -> None:
        """STUN is answered, to strangers too, for who is to register later keeps his mapping by it, but only
        so often."""
        core = self._core
        core.statistics["keep_alives"] += 1
        if not is_blank(data) and self._looks_at(flow, now):
            response = answer_stun(data, flow.remote)
            if response is not None:
                core.outgoing.append(Outgoing(response, flow))

    # Requests.

    def _receive_request(self, request: Request, flow: Flow, now: float) -> bool:
        core = self._core
        known = core.layer.find_server(request)
        if known is not None:
            known.receive(request, reply_flow(request, flow), now)
            return True
        if request.method == "ACK":
            self._uas.receive_ack(request, now)
            return False
        core.statistics[f"requests_{request.method if request.method in core.methods else 'other'}"] += 1
        if request.method == "CANCEL":
            if core.layer.find_cancelled(request) is None:
                return self._refuse_unknown(request, flow, now)
            self._uas.receive_cancel(core.layer.open_server(request, flow), now)
            return True
        if request.to.tag:
            return self._receive_in_dialog(request, flow, now)
        return self._looks_at(flow, now) and self._receive_outside(request, flow, now)

    def _looks_at(self, flow: Flow, now: float) -> bool:
        """False for a stranger's request that is one too many."""
        core = self._core
        return isinstance(judge(core, flow), Admitted) or core.strangers.takes(flow.remote[0], now)

    def _refuse_unknown(self, request: Request, flow: Flow, now: float) -> bool:
        """481, without state."""
        if self._looks_at(flow, now):
            self._core.refuse(request, flow, 481)
        return False

    def _receive_in_dialog(self, request: Request, flow: Flow, now: float) -> bool:
        core = self._core
        found = core.dialogs.get((request.call_id, request.to.tag, request.from_.tag))
        if found is None:
            return self._refuse_unknown(request, flow, now)
        self._receive_in_call(*found, request, flow, now)
        return True

    def _receive_in_call(
        self, session: Session, dialog: Dialog, request: Request, flow: Flow, now: float
    ) -> None:
        core = self._core
        if session.requests >= MAX_REQUESTS and request.method != "BYE":
            core.statistics["refused_in_call"] += 1
            core.refuse(request, flow, 503, "Too many requests", (("Retry-After", RETRY_SOON),))
            return
        transaction = self._open_in_dialog(session, request, flow)
        if dialog.remote_cseq is not None and request.cseq.number < dialog.remote_cseq:
            core.reply(transaction, 500, "CSeq out of order", now=now)
            return
        dialog.remote_cseq = request.cseq.number
        if session.dialog not in (None, dialog):
            # A branch of a fork that we are ending: it has no say in the call of the one who has it.
            core.reply(transaction, 200 if request.method == "BYE" else 481, now=now)
            return
        if request.method == "BYE":
            self._refers.left(session, now)
            self._uas.receive_bye(session, transaction, now)
            self._refers.linger(session)
            return
        lingers = self._refers.lingers(session, request)
        refusal = Refusal(481) if session.ended and not lingers else inspect(core, request)
        if refusal is not None:
            self._respond(transaction, refusal, now)
            return
        self._follow(session, dialog, request, flow)
        match request.method:
            case "INVITE" | "UPDATE":
                self._offers.receive(session, transaction, now)
            case "PRACK":
                self._uas.receive_prack(session, transaction, now)
            case "INFO":
                self._receive_info(session, transaction, now)
            case "REFER":
                self._referred.receive(session, transaction, now)
            case "NOTIFY":
                self._refers.receive_notify(session, transaction, now)
            case "OPTIONS":
                self._respond(transaction, self._capabilities(), now)
            case _:
                core.reply(transaction, 405, now=now, headers=(("Allow", core.allow),))

    def _open_in_dialog(self, session: Session, request: Request, flow: Flow) -> ServerTransaction:
        """A transaction that the session answers for until it is forgotten."""
        transaction = self._core.layer.open_server(request, flow)
        forget = transaction.on_terminated

        def over() -> None:
            session.requests -= 1
            forget()

        session.requests += 1
        transaction.on_terminated = over
        return transaction

    def _receive_info(self, session: Session, transaction: ServerTransaction, now: float) -> None:
        try:
            key = pressed(transaction.request)
        except SipError as error:
            self._core.reply(transaction, error.status, error.reason, now=now)
            return
        self._core.reply(transaction, 200, now=now)
        if key is not None:
            self._core.tell(DigitReceived(session, *key))

    def _receive_outside(self, request: Request, flow: Flow, now: float) -> bool:
        sender = identify(self._core, request, flow, now)
        if isinstance(sender, Refusal):
            self._notices.refused(request, flow, sender, now)
            self._core.refuse(request, flow, sender.status, sender.reason, sender.headers)
            return False
        self._receive_from(sender, request, flow, now)
        return True

    def _receive_from(self, sender: Sender, request: Request, flow: Flow, now: float) -> None:
        core = self._core
        busy = (("Retry-After", RETRY_AFTER),)
        if len(core.layer) >= core.config.max_transactions:
            core.refuse(request, flow, 503, "Too busy", busy)
            return
        if core.layer.is_merged(request):
            core.refuse(request, flow, 482)
            return
        if request.method == "INVITE" and self._floods(request, sender, flow, now):
            core.refuse(request, flow, 503, "Too many calls without ACK", (("Retry-After", RETRY_SOON),))
            return
        refusal = inspect(core, request)
        transaction = core.layer.open_server(request, flow)
        if refusal is not None:
            self._notices.refused(request, flow, refusal, now)
            self._respond(transaction, refusal, now)
            return
        match request.method:
            case "INVITE" if not core.accepting:
                self._respond(transaction, Refusal(503, "Stopping", busy), now)
            case "INVITE" if len(core.sessions) >= core.config.max_sessions:
                self._respond(transaction, Refusal(503, "Too many calls", busy), now)
            case "INVITE":
                found = replaced(core, request, now)
                if isinstance(found, Refusal):
                    self._respond(transaction, found, now)
                else:
                    self._uas.receive_invite(transaction, sender, flow, now, found)
            case "OPTIONS":
                self._respond(transaction, self._capabilities(), now)
            case "REGISTER":
                response = register(core, request, sender, flow, now)
                self._notices.refused(request, flow, response, now)
                self._respond(transaction, response, now)
            case "REFER":
                # Outside of a call there is nobody whose place could be taken.
                core.reply(transaction, 403, now=now)
            case _:
                # BYE, INFO and UPDATE mean nothing outside of a call.
                core.reply(transaction, 481, now=now)

    def _floods(self, request: Request, sender: Sender, flow: Flow, now: float) -> bool:
        """True for a new call while too many of that source wait for what only their caller can say, and for
        the same call again."""
        core = self._core
        config, ip = core.config, flow.remote[0]
        bound = config.max_unsettled_of_source if sender.trunk is None else config.max_unsettled_of_trunk
        name = core.stateless_tag(request)
        if core.turned_away.has(name, now):
            return True
        if not core.unsettled.full(ip, bound):
            return False
        core.turned_away.add(name, now)
        core.statistics["refused_unsettled"] += 1
        self._notices.calls_without_ack(ip, len(core.unsettled), now)
        return True

    def _follow(self, session: Session, dialog: Dialog, request: Request, flow: Flow) -> None:
        """The peer may have moved: a new Contact, a new connection, a rebound NAT (section 12.2.2)."""
        if request.method in ("INVITE", "UPDATE"):
            dialog.refresh(request, flow)
        else:
            dialog.flow = flow
        session.flow = flow

    def _capabilities(self) -> Refusal:
        """Section 11.2."""
        return Refusal(200, "", (("Allow", self._core.allow), *SUPPORTED_HEADERS))

    def _respond(self, transaction: ServerTransaction, response: Refusal, now: float) -> None:
        self._core.reply(transaction, response.status, response.reason, now=now, headers=response.headers)

    # Responses.

    def _receive_response(self, response: Response, now: float) -> bool:
        core = self._core
        core.statistics[f"received_{response.status // 100}xx"] += 1
        if response.cseq.method == "INVITE":
            # What a dialog is made of has to be sound before the transaction moves.
            _ = response.contact, response.get_list("Record-Route")
        known = core.layer.receive_response(response, now) or (
            response.cseq.method == "INVITE" and self._uac.receive_stray(response, now)
        )
        if not known:
            core.statistics["stray_responses"] += 1
        return known

    # What cannot be read.

    def _malformed(self, request: Request | None, error: SipError, flow: Flow, now: float) -> None:
        """Counted, logged with its source and, a request that has a Via to go back by, answered."""
        self._core.statistics["malformed"] += 1
        self._notices.malformed(flow, error.reason, now)
        if request is None or request.method == "ACK" or not self._looks_at(flow, now):
            return
        if request.get("Via") is None:
            self._core.statistics["unanswerable"] += 1
            return
        with suppress(SipError):  # a Via that cannot be read goes back as it came
            request = request.seen_from(*flow.remote)
        self._core.refuse(request, flow, error.status, error.reason)
