"""The SIP endpoint without I/O: bytes and time in; bytes, the next timer and events out.

The five doors are `receive`, `fire_timers`, `next_timer`, `take_outgoing` and `next_event`; `flow_lost` tells
of a connection that broke or a send that failed. The verbs act on sessions; `now` is seconds on any clock
that never goes back. A verb on a session that has ended meanwhile does nothing: news of the end and the verb
may cross.
"""

from collections.abc import Sequence

from sip.closing import send_bye
from sip.core import Core, EndpointConfig
from sip.events import Event
from sip.flow import Flow, Outgoing
from sip.incoming import Incoming
from sip.info import press
from sip.message import MAX_FORWARDS, Headers
from sip.offers import Offers
from sip.outside import OnAnswer, Series, ask
from sip.reason import Reason
from sip.refer import Refers
from sip.referred import Referred
from sip.refresh import SessionTimers
from sip.replaces import Replaces
from sip.session import Session, State
from sip.uac import Uac
from sip.uas import Uas

__all__ = ["Endpoint", "EndpointConfig"]


class Endpoint:
    """Both sides of every call, the registrar's door, and what happens to them."""

    def __init__(self, config: EndpointConfig) -> None:
        self._core = Core(config)
        timers = SessionTimers(self._core)
        self._uas = Uas(self._core, timers)
        self._uac = Uac(self._core, timers)
        self._offers = Offers(self._core, self._uas, self._uac, timers)
        self._refers = Refers(self._core)
        self._referred = Referred(self._core)
        self._incoming = Incoming(
            self._core,
            uas=self._uas,
            uac=self._uac,
            offers=self._offers,
            refers=self._refers,
            referred=self._referred,
        )

    # The doors.

    def receive(self, data: bytes, flow: Flow, now: float) -> bool:
        """Takes one datagram, or one message cut from a stream. Never raises for what is in it. True where
        its sender has a part in what we do: he was let in, or answers us."""
        return self._incoming.receive(data, flow, now)

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

    def unreachable(self, data: bytes, now: float) -> None:
        """Nobody listens where a datagram of ours went that begins so. Only a call that nobody has heard of
        yet heeds it: what is under way is repeated, and gets through or times out."""
        transaction = self._core.layer.quoted(data)
        if transaction is not None and transaction.request.method == "INVITE":
            self._uac.unreachable(transaction, now)

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
        max_forwards: int = MAX_FORWARDS,
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
            max_forwards=max_forwards,
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

    def refuse_media(self, session: Session, status: int, now: float, reason: str = "") -> None:
        """Refuses `MediaOffered`, as with 488; the call goes on as it was."""
        self._offers.refuse(session, status, reason, now)

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
