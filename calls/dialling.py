"""An outbound call up to its answer: who rings, how long, who is tried next, and what each failure is called.

A callee may be reached in several ways at once (a user's phones), and in one way after another (trunks):
`Ways` is a sequence of groups, whose routes ring together. The first answer wins.
"""

import asyncio
import logging
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from calls.attempt import Attempt, sound
from calls.call import Call, Listener
from calls.causes import failure
from calls.errors import Unavailable
from calls.media_session import MediaSession
from calls.order import Dial
from calls.routing import Route, Ways
from calls.terms import Terms
from sip.errors import SipError
from sip.sdp import SdpError

if TYPE_CHECKING:
    from sip.events import CallFailed
    from sip.session import Session
    from sip.trunks import Line

logger = logging.getLogger(__name__)

# Without any ringing a call is given up after this many seconds (contract, createCall, callTimeout).
_SECONDS_TO_RINGING = 30.0

# With another way left, a callee from whom nothing at all has come is given up sooner.
_SECONDS_TO_ANYTHING = 6.0

# For as long a trunk from which nothing came is tried after others, so that not every call waits for it.
_SECONDS_AT_REST = 30.0

# The final responses after which another way is tried (RFC 3263 section 4.3), if it did not ring before.
_TRY_ELSEWHERE = frozenset({408, 503})

# The final responses of a phone that does not like what was offered.
_NOT_ACCEPTABLE = frozenset({415, 488})


@dataclass(frozen=True)
class Failure:
    """What became of one attempt: the contract's cause and message, the SIP status if there was one."""

    cause: str
    message: str | None
    status: int | None = None
    elsewhere: bool = False
    """Another way may do better."""

    @property
    def weight(self) -> int:
        """Which of several failures is the call's: a refusal for all, busy, any refusal, silence or a server
        that cannot serve (RFC 3261 section 16.7, step 6)."""
        if self.status is None:
            return 0
        if self.status >= 600:
            return 5
        return {486: 4, 503: 2, 408: 1, 480: 1}.get(self.status, 3)


class Dialling:
    """One outbound call on its way: begun by `start`, fed with what SIP says, over at the answer.

    `sessions`: where the sessions of this call are to be found by their ids; `lent`: whose leg it takes over
    when it is answered.
    """

    def __init__(
        self,
        call: Call,
        dial: Dial,
        ways: Ways,
        listener: Listener,
        sessions: MutableMapping[int, Call],
        lent: MediaSession | None = None,
    ) -> None:
        self._lent = lent
        self._call = call
        self._dial = dial
        self._ways = list(ways)
        self._listener = listener
        self._sessions = sessions
        self._attempts: dict[int, Attempt] = {}
        self._group: list[Route] = []
        self._failures: list[Failure] = []
        self._ringing = False
        self._sounding: Attempt | None = None
        self._sending: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Send the INVITE as soon as its next hop is known, which may take a look at the DNS."""
        self._try_next()

    def _try_next(self) -> None:
        self._ringing = False
        self._be_patient()  # whoever was asked before has no say in how long these may take
        routes = self._group = list(self._ways.pop(0))
        loop, trunks = asyncio.get_running_loop(), self._call.services.trunks
        turns = [trunks.take_turn(route.trunk, loop.time()) for route in routes if route.trunk is not None]
        inviting = self._invite(routes, max(turns, default=0.0))
        self._sending = loop.create_task(inviting, name=f"dial {self._call.id}")

    async def _invite(self, routes: Sequence[Route], wait: float) -> None:
        """Let all of a group ring, after so many seconds."""
        call = self._call
        if wait:
            await asyncio.sleep(wait)
        for route in routes:
            attempt = Attempt(call, route, self._lent)
            try:
                session = await attempt.send(self._dial)
            except Unavailable as error:
                attempt.close()
                self._failures.append(Failure("node-capacity-exceeded", str(error)))
                continue
            except (OSError, ValueError, SipError) as error:
                attempt.close()
                logger.info("dial_failed", extra={"call_id": call.id, "reason": str(error)})
                message = f"{route.next_hop} cannot be reached: {error}"
                self._failures.append(Failure("error", message, elsewhere=True))
                continue
            self._attempts[session.id] = attempt
            self._sessions[session.id] = call
            if call.session is None:
                call.initiate(session)
            self._show()
            logger.info(
                "call_dialled",
                extra={
                    "call_id": call.id,
                    "to": call.to,
                    "next_hop": route.next_hop,
                    "trunk": route.trunk,
                    "sip_call_id": session.call_id,
                },
            )
        if not self._attempts:
            self._all_failed()
        elif not self._ringing:
            if self._ways:
                self._call_later(_SECONDS_TO_ANYTHING, self._nothing_came)
            else:
                self._give_up_in(_SECONDS_TO_RINGING)

    def rings(self, session: "Session", sdp: bytes | None = None) -> None:
        """A 180 or 183 came: from the first one the call's own time-out counts. With a description, the
        callee's side is heard already; of several phones the first that has one."""
        if not self._ringing:
            self._ringing = True
            self._give_up_in(self._dial.call_timeout)
        attempt = self._attempts.get(session.id)
        if sdp is not None and attempt is not None and attempt.media.early(sdp):
            if self._sounding is None:
                self._sounding = attempt
            if self._sounding is attempt:
                self._listener.sounds(self._call, attempt.media.leg)
        self._listener.rings(self._call)

    def media_of(self, session: "Session") -> MediaSession | None:
        """The sound of the one who rings there, who may offer anew before he answers (UPDATE)."""
        attempt = self._attempts.get(session.id)
        return None if attempt is None else attempt.media

    def answered(self, session: "Session", sdp: bytes | None) -> None:
        """A 2xx came: the others stop ringing, and media flows."""
        self.stop()
        call, attempt = self._call, self._attempts.pop(session.id)
        call.session, call.media, call.line = session, attempt.media, attempt.line
        self._abandon_all()
        try:
            moved = attempt.media.accept(sdp)
        except SdpError as error:
            call.end("error", f"The callee's SDP cannot be used: {error}")
            self._listener.failed(call)
            return
        if moved is not None:
            call.services.sip.reinvite(session, moved)
        call.connected()
        self._listener.answered(call)

    def sound_of_another(self, *, signalling: str, terms: Terms) -> MediaSession:
        """For somebody who may take the call from those who ring; see `taken`."""
        return sound(self._call, self._lent, signalling=signalling, terms=terms)

    def taken(self, session: "Session", media: MediaSession, line: "Line | None") -> None:
        """Somebody else has taken the call over, and has our 2xx; nobody rings any more."""
        self.stop()
        self._abandon_all()
        call = self._call
        call.session, call.media, call.line = session, media, line
        self._sessions[session.id] = call
        call.connected()
        call.answered_anew()
        self._listener.answered(call)

    def unreachable(self, session: "Session") -> None:
        """Nobody listens where one went: no need to wait for the only one where another way is left."""
        attempt = self._attempts.get(session.id)
        if attempt is None or attempt.progressing:
            return
        if not attempt.unheard:
            attempt.unheard = True
            logger.info(
                "callee_unreachable",
                extra={"call_id": self._call.id, "next_hop": attempt.route.next_hop},
            )
        if self._ways and len(self._attempts) == 1:
            self._go_on()

    def failed(self, event: "CallFailed") -> None:
        """A final refusal of one, or nothing at all (408)."""
        session, status = event.session, event.status
        attempt = self._drop(session.id)
        attempt.close()
        self._rest(attempt.route, event.rests)
        if status in _NOT_ACCEPTABLE and attempt.left_open:
            self._insist(attempt.route)
            return
        cause, message = failure(status, event.reason, event.reasons)
        if event.ours and status == 503:
            message = f"{attempt.route.next_hop} cannot be reached: no connection"
        elsewhere = status in _TRY_ELSEWHERE and not self._ringing
        self._failures.append(Failure(cause, message, status, elsewhere))
        if status >= 600:  # he declines wherever he is
            self._abandon_all()
            self._ways.clear()
        if self._attempts:
            self._show()
        elif self._sending is None or self._sending.done():
            self._all_failed()

    def _insist(self, route: Route) -> None:
        """A phone that wants RTP/SAVP refuses RTP/AVP with keys in it: the same way once more, with SRTP or
        not at all."""
        again = replace(route, srtp="required")
        if self._sending is not None and not self._sending.done():
            self._group.append(again)
            return
        self._group = [again]
        inviting = self._invite(self._group, 0.0)
        self._sending = asyncio.get_running_loop().create_task(inviting, name=f"dial {self._call.id}")

    def call_ended(self) -> None:
        """It has come to nothing, whoever ended it."""
        self.stop()
        if self._call.session is not None and self._call.session.id in self._attempts:
            self._drop(self._call.session.id).close()  # hung up by the call, with its reason
        self._abandon_all()
        self._listener.failed(self._call)

    def stop(self) -> None:
        """Nothing more is sent, and no time-out comes."""
        if self._sending is not None and self._sending is not asyncio.current_task():
            self._sending.cancel()
        self._be_patient()

    def _show(self) -> None:
        """What the call has to show meanwhile is its oldest attempt: its leg and its session."""
        attempt = next(iter(self._attempts.values()))
        self._call.session, self._call.media = attempt.session, attempt.media

    def _drop(self, session_id: int) -> Attempt:
        self._sessions.pop(session_id, None)
        attempt = self._attempts.pop(session_id)
        if attempt is self._sounding:
            self._sounding = None
            self._listener.sounds(self._call, None)
        return attempt

    def _abandon_all(self) -> None:
        for session_id in list(self._attempts):
            self._drop(session_id).abandon()

    def _nothing_came(self) -> None:
        """No response of any kind, and another way is left."""
        if any(attempt.progressing for attempt in self._attempts.values()):
            self._give_up_in(_SECONDS_TO_RINGING - _SECONDS_TO_ANYTHING)
            return
        for attempt in self._attempts.values():
            self._rest(attempt.route, _SECONDS_AT_REST)
        self._go_on()

    def _go_on(self) -> None:
        self._abandon_all()
        self._failures.append(Failure("timeout", "No answer", 408, elsewhere=True))
        self._all_failed()

    def _rest(self, route: Route, seconds: float) -> None:
        if route.trunk is not None and seconds:
            now = asyncio.get_running_loop().time()
            self._call.services.trunks.rest(route.trunk, seconds, now)

    def _all_failed(self) -> None:
        if self._ways and self._failures[-1].elsewhere:
            last = self._failures[-1]
            logger.info(
                "dial_elsewhere",
                extra={"call_id": self._call.id, "status": last.status, "reason": last.message},
            )
            self._try_next()
            return
        self.stop()
        worst = max(self._failures, key=lambda failure: failure.weight)
        self._call.end(
            worst.cause,
            worst.message,
            by_peer=worst.status is not None,
            sip_response_code=worst.status,
        )

    def _give_up_in(self, seconds: float) -> None:
        self._call_later(seconds, lambda: self._call.end("timeout", self._no_answer()))

    def _no_answer(self) -> str:
        closed = [each.route.next_hop for each in self._attempts.values() if each.unheard]
        return f"No answer: nothing listens at {' and '.join(closed)}" if closed else "No answer"

    def _call_later(self, seconds: float, act: Callable[[], None]) -> None:
        self._be_patient()
        self._patience = asyncio.get_running_loop().call_later(seconds, act)

    def _be_patient(self) -> None:
        """No time-out comes."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
