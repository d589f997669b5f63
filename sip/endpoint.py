"""The SIP endpoint without I/O: bytes and time in; bytes, the next timer and events out.

The five doors are `receive`, `fire_timers`, `next_timer`, `take_outgoing` and `next_event`; `flow_lost` tells
of a connection that broke or a send that failed. The verbs act on sessions; `now` is seconds on any clock
that never goes back. A verb on a session that has ended meanwhile does nothing: news of the end and the verb
may cross.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress

from sip.access import Admitted
from sip.closing import send_bye
from sip.core import Core, EndpointConfig
from sip.dialog import Dialog
from sip.errors import SipError
from sip.events import DigitReceived, Event
from sip.flow import Flow, Outgoing
from sip.gate import SUPPORTED_HEADERS, Refusal, Sender, identify, inspect, judge, replaced
from sip.info import press, pressed
from sip.layer import reply_flow
from sip.message import Headers, MessageError, Request, Response, parse
from sip.offers import Offers
from sip.outside import OnAnswer, Series, ask
from sip.reason import Reason
from sip.refer import Refers
from sip.referred import Referred
from sip.refresh import SessionTimers
from sip.registration import register
from sip.replaces import Replaces
from sip.session import Session, State
from sip.stun import answer as answer_stun
from sip.stun import is_blank, is_stun
from sip.transaction import ServerTransaction
from sip.uac import Uac
from sip.uas import Uas

__all__ = ["Endpoint", "EndpointConfig"]

log = logging.getLogger(__name__)

RETRY_AFTER = "30"
"""Seconds that a caller is asked to wait while we stop or are full."""

RETRY_SOON = "5"
"""Seconds that a caller is asked to wait while calls wait for their ACK."""

MAX_REQUESTS = 256
"""Requests of a peer within one call whose answers are remembered (for 32 s over UDP): whoever may call must
not fill the memory by what he says there."""

LOGGED_PER_SECOND = 10
"""Malformed messages that are logged, each with its source."""


class Endpoint:
    """Both sides of every call, the registrar's door, and everything that is answered without asking the
    owner."""

    def __init__(self, config: EndpointConfig) -> None:
        self._core = Core(config)
        timers = SessionTimers(self._core)
        self._uas = Uas(self._core, timers)
        self._uac = Uac(self._core, timers)
        self._offers = Offers(self._core, self._uas, self._uac, timers)
        self._refers = Refers(self._core)
        self._referred = Referred(self._core)
        self._logged = (0, 0)

    # The doors.

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Takes one datagram, or one message cut from a stream. Never raises for what is in it."""
        core = self._core
        if flow.transport == "udp" and (is_blank(data) or is_stun(data)):
            self._keep_alive(data, flow, now)
            return
        core.statistics["received"] += 1
        request: Request | None = None
        try:
            message = parse(data, stream=flow.streamed)
            if isinstance(message, Request):
                request = message
                message.check()
                self._receive_request(message.seen_from(*flow.remote), flow, now)
            else:
                message.check()
                self._receive_response(message, now)
        except SipError as error:
            if isinstance(error, MessageError):
                request = error.request
            self._malformed(request, error, flow, now)

    def next_timer(self) -> float | None:
        """When `fire_timers` is to be called."""
        return self._core.timers.next()

    def fire_timers(self, now: float) -> None:
        """Does what is due."""
        self._core.timers.fire(now)

    def take_outgoing(self) -> list[Outgoing]:
        """What is to be sent, in order."""
        taken = list(self._core.outgoing)
        self._core.outgoing.clear()
        return taken

    @property
    def has_events(self) -> bool:
        """True when `next_event` has something."""
        return bool(self._core.events)

    def next_event(self) -> Event | None:
        """The next thing that happened."""
        return self._core.events.popleft() if self._core.events else None

    def flow_lost(self, flow: Flow, now: float) -> None:
        """A connection is gone, or a message could not be sent on a flow: requests on it fail. Calls go
        on, as peers and proxies close idle connections at will; the next request opens a new one."""
        core = self._core
        core.statistics["flows_lost"] += 1
        core.layer.flow_lost(flow, now)
        if not flow.id:
            return
        for _, dialog in core.dialogs.values():
            if dialog.flow == flow:
                dialog.connection_lost()
        if core.config.registrar is not None:
            core.config.registrar.forget(flow)

    # The verbs.

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
        now: float,
    ) -> Session:
        """Calls `to`, a SIP URI, over `flow`. `credentials` answer a challenge from that host only. Raises
        `SipError` for a bad URI."""
        return self._uac.invite(
            to=to,
            from_uri=from_uri,
            sdp=sdp,
            flow=flow,
            headers=headers,
            credentials=credentials,
            display_name=display_name,
            now=now,
        )

    def ring(self, session: Session, now: float) -> None:
        """180 to an inbound call."""
        self._uas.ring(session, now)

    def progress(self, session: Session, sdp: bytes, now: float) -> None:
        """183 with a session description to an inbound call."""
        self._uas.progress(session, sdp, now)

    def answer(self, session: Session, sdp: bytes, now: float) -> None:
        """200 to an inbound call, with our answer, or our offer when the INVITE had none."""
        self._uas.answer(session, sdp, now)

    def reject(self, session: Session, status: int, reason: str, now: float, headers: Headers = ()) -> None:
        """Refuses an inbound call with a status of 300 to 699; no event follows."""
        self._uas.reject(session, status, reason, now, headers)

    def hang_up(self, session: Session, now: float, cause: Reason | None = None) -> None:
        """Ends a call in any state: BYE, CANCEL, or a final response (480, or the status in `cause`), with
        `cause` as Reason. An outbound call that was not answered yet tells of its end by `CallFailed`, all
        others by nothing."""
        if session.ended or session.closing:
            return
        core = self._core
        headers: Headers = () if cause is None else (("Reason", str(cause)),)
        if session.state is State.ESTABLISHED:
            assert session.dialog is not None
            core.finish(session, None, now)
            send_bye(core, session, session.dialog, now, headers)
        elif session.state is State.ANSWERED:
            session.closing, session.close_headers = True, headers
        elif session.direction == "outbound":
            session.close_headers = headers
            self._uac.cancel(session, now)
        else:
            status = 480
            if cause is not None and cause.protocol == "SIP" and 300 <= cause.cause <= 699:
                status = cause.cause
            self._uas.reject(session, status, "", now, headers)

    def reinvite(self, session: Session, sdp: bytes, now: float) -> None:
        """Offers new media in an answered call; `MediaAnswered` or `MediaRefused` follows. Waits for its
        turn when another offer is under way, and tries again after a glare."""
        self._offers.reinvite(session, sdp, now)

    def accept_media(self, session: Session, sdp: bytes, now: float) -> None:
        """Answers `MediaOffered`; does nothing when the peer has withdrawn it."""
        self._offers.accept(session, sdp, now)

    def refuse_media(self, session: Session, status: int, now: float) -> None:
        """Refuses `MediaOffered`, as with 488; the call goes on as it was."""
        self._offers.refuse(session, status, now)

    def press(self, session: Session, key: str, milliseconds: int, now: float) -> None:
        """Tells a key by INFO; for a far end that takes no telephone events, see `Session.takes_info`."""
        press(self._core, session, key, milliseconds, now)

    def refer(self, session: Session, target: str, now: float) -> None:
        """Asks the far end of an answered call to call `target` instead; `ReferSettled` follows. Raises
        `SipError` for a bad URI."""
        self._refers.refer(session, target, now)

    def accept_refer(self, session: Session, now: float) -> None:
        """Takes `ReferRequested` on."""
        self._referred.accept(session, now)

    def refuse_refer(self, session: Session, status: int, now: float) -> None:
        """Refuses `ReferRequested`; the call goes on as it was."""
        self._referred.refuse(session, status, now)

    def tell_refer(self, session: Session, status: int, reason: str, now: float) -> None:
        """Tells how the call goes that `ReferRequested` asked for, in SIP's statuses. A final one is the last
        and comes before a hang-up."""
        self._referred.tell(session, status, reason, now)

    def session_of(self, replaces: Replaces) -> Session | None:
        """The answered call that a Replaces means, None where it is not one of ours."""
        session, _ = self._core.dialogs.get(replaces.dialog, (None, None))
        return session if session is not None and session.state is State.ESTABLISHED else None

    def ask(
        self,
        method: str,
        *,
        uri: str,
        address: str,
        flow: Flow,
        series: Series,
        headers: Headers = (),
        on_answer: OnAnswer,
        now: float,
    ) -> None:
        """Sends a request outside of calls; see `sip.outside`."""
        ask(
            self._core,
            series,
            method,
            uri=uri,
            address=address,
            flow=flow,
            headers=headers,
            on_answer=on_answer,
            now=now,
        )

    def preferred(self, flows: Sequence[Flow], now: float) -> list[Flow]:
        """The same ways, those last that led nowhere lately."""
        failing = self._core.failing
        return sorted(flows, key=lambda flow: failing.get((flow.transport, flow.remote), now) > now)

    def stop_accepting(self) -> None:
        """New calls get 503 from now on."""
        self._core.accepting = False

    # What is to be seen.

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The live ones."""
        return tuple(self._core.sessions.values())

    @property
    def statistics(self) -> dict[str, int]:
        """Counters since the start, and how much is held now."""
        return {**self._core.statistics, **self.size()}

    def size(self) -> dict[str, int]:
        """What is kept, by kind; all zero some time after the last call (32 s, the life of a transaction)."""
        core = self._core
        return {
            "sessions": len(core.sessions),
            "called": len(core.called),
            "dialogs": len(core.dialogs),
            "transactions": len(core.layer),
            "timers": len(core.timers),
            "unacknowledged_answers": len(core.unacknowledged),
            "unsettled": len(core.unsettled),
            "late_calls": len(self._uac),
        }

    def listens(self, transport: str, port: int) -> None:
        """Names the port at which peers reach us by a transport, for Contact and Via."""
        self._core.ports[transport] = port

    # Keep-alives.

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

    def _receive_request(self, request: Request, flow: Flow, now: float) -> None:
        core = self._core
        known = core.layer.find_server(request)
        if known is not None:
            known.receive(request, reply_flow(request, flow), now)
            return
        if request.method == "ACK":
            self._uas.receive_ack(request, now)
            return
        core.statistics[f"requests_{request.method if request.method in core.methods else 'other'}"] += 1
        if request.method == "CANCEL":
            if core.layer.find_cancelled(request) is None:
                self._refuse_unknown(request, flow, now)
            else:
                self._uas.receive_cancel(core.layer.open_server(request, flow), now)
        elif request.to.tag:
            self._receive_in_dialog(request, flow, now)
        elif self._looks_at(flow, now):
            self._receive_outside(request, flow, now)

    def _looks_at(self, flow: Flow, now: float) -> bool:
        """False for a stranger's request that is one too many."""
        core = self._core
        return isinstance(judge(core, flow), Admitted) or core.strangers.takes(flow.remote[0], now)

    def _refuse_unknown(self, request: Request, flow: Flow, now: float) -> None:
        """481, without state."""
        if self._looks_at(flow, now):
            self._core.refuse(request, flow, 481)

    def _receive_in_dialog(self, request: Request, flow: Flow, now: float) -> None:
        core = self._core
        found = core.dialogs.get((request.call_id, request.to.tag, request.from_.tag))
        if found is None:
            self._refuse_unknown(request, flow, now)
            return
        session, dialog = found
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

    def _receive_outside(self, request: Request, flow: Flow, now: float) -> None:
        core = self._core
        sender = identify(core, request, flow, now)
        if isinstance(sender, Refusal):
            core.refuse(request, flow, sender.status, sender.reason, sender.headers)
            return
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
                self._respond(transaction, register(core, request, sender, flow, now), now)
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
        if self._may_log(now):
            log.warning("sip_calls_without_ack", extra={"source": ip, "calls": len(core.unsettled)})
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

    def _receive_response(self, response: Response, now: float) -> None:
        core = self._core
        core.statistics[f"received_{response.status // 100}xx"] += 1
        if response.cseq.method == "INVITE":
            # What a dialog is made of has to be sound before the transaction moves.
            _ = response.contact, response.get_list("Record-Route")
        if not core.layer.receive_response(response, now) and not (
            response.cseq.method == "INVITE" and self._uac.receive_stray(response, now)
        ):
            core.statistics["stray_responses"] += 1

    # What cannot be read.

    def _malformed(self, request: Request | None, error: SipError, flow: Flow, now: float) -> None:
        """Counted, logged with its source and, a request that has a Via to go back by, answered."""
        self._core.statistics["malformed"] += 1
        if self._may_log(now):
            source = f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}"
            log.info("sip_malformed", extra={"source": source, "fault": error.reason})
        if request is None or request.method == "ACK" or not self._looks_at(flow, now):
            return
        if request.get("Via") is None:
            self._core.statistics["unanswerable"] += 1
            return
        with suppress(SipError):  # a Via that cannot be read goes back as it came
            request = request.seen_from(*flow.remote)
        self._core.refuse(request, flow, error.status, error.reason)

    def _may_log(self, now: float) -> bool:
        """False for what exceeds `LOGGED_PER_SECOND`: strangers must not fill our disk."""
        second = int(now)
        if second != self._logged[0]:
            self._logged = (second, 0)
        self._logged = (second, self._logged[1] + 1)
        return self._logged[1] <= LOGGED_PER_SECOND
