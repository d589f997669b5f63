"""Calls that we make: who may begin one now, the way to the callee, and those that are on their way.

REST orders them, and Transfer, Forward and a phone's REFER have them dialled for another call.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING

from bxml import Document
from calls import clock
from calls.admission import TOO_MANY, AccountLimits, Admission
from calls.call import Call, Listener, Services
from calls.dialling import Dialling
from calls.errors import Invalid
from calls.media_session import MediaSession
from calls.order import CallOrder, Dial, LegOrder
from calls.routing import NoWay, Routing, Unreachable, Ways, ordered_party
from sip.events import CallAnswered, CallFailed, CallRinging, CallUnreachable

if TYPE_CHECKING:
    from sip.session import Session
    from sip.trunks import Line

logger = logging.getLogger(__name__)


class Outbound:
    """All of them.

    `sessions`: where calls are to be found by the ids of their sessions; `accounts`: the limits of those that
    have any; `register` is given each call as soon as there is one.
    """

    def __init__(
        self,
        routing: Routing,
        sessions: MutableMapping[int, Call],
        *,
        accounts: Mapping[str, AccountLimits],
        register: Callable[[Call], None],
    ) -> None:
        self._routing = routing
        self._sessions = sessions
        self._accounts = accounts
        self._register = register
        self._dialling: dict[str, Dialling] = {}
        self._admissions: dict[str, Admission] = {}

    def adopt(self, accounts: Mapping[str, AccountLimits]) -> None:
        """Other limits from now on."""
        self._accounts = accounts
        for account, admission in self._admissions.items():
            admission.adopt(accounts.get(account, AccountLimits()))

    def admission(self, account: str) -> Admission:
        """What this account may still begin, inbound calls included."""
        if account not in self._admissions:
            limits = self._accounts.get(account, AccountLimits())
            self._admissions[account] = Admission(limits, self._start_ordered)
        return self._admissions[account]

    # Orders

    def order(self, services: Services, account: str, order: CallOrder) -> Call:
        """Place a call that REST orders, now or in its turn.

        Raises Invalid (names the field), LimitReached.
        """
        try:
            self._ways(account, order.to)
        except NoWay as error:
            raise Invalid(f"Invalid to: {error}") from error
        except Unreachable as error:
            # Who is not registered now may be when it is his turn.
            logger.info("callee_not_registered", extra={"account": account, "reason": str(error)})
        admission = self.admission(account)
        admission.check()
        call = Call(
            services,
            account=account,
            application_id=order.application_id,
            direction="outbound",
            to=ordered_party(order.to),
            from_=ordered_party(order.from_),
            callback_timeout=order.callback_timeout,
            disconnect=order.disconnect,
            order=order,
            tag=order.tag or None,
        )
        call.enqueued_time = clock.now()
        self._register(call)
        admission.submit(call, order.priority)
        return call

    def place_leg(self, parent: Call, order: LegOrder, listener: Listener) -> Call:
        """Dial a call for another one. It may have ended already when it is returned.

        It does not wait in the account's queue, but counts as if it had.
        """
        leg = Call(
            parent.services,
            account=parent.account,
            application_id=parent.application_id,
            direction="outbound",
            to=ordered_party(order.dial.to),
            from_=ordered_party(order.dial.from_),
            callback_timeout=parent.callback_timeout,
            disconnect=order.disconnect,
            farewell="transferDisconnect",
            tag=order.tag or None,
        )
        leg.parent, leg.depth, leg.forwards = parent.id, parent.depth + 1, parent.forwards - 1
        leg.inherited = order.fields
        leg.enqueued_time = clock.now()
        admission = self.admission(leg.account)
        full = admission.full
        self._register(leg)
        if full:
            leg.end("account-limit", TOO_MANY)
            return leg
        if leg.forwards < 0:
            leg.end("error", "It has been sent on too often (Max-Forwards)", sip_response_code=483)
            return leg
        admission.passed()
        self._dial(leg, order.dial, listener, order.lent)
        return leg

    def _start_ordered(self, call: Call) -> None:
        """It is the turn of a call that REST ordered."""
        assert call.order is not None, f"{call.id} was queued and not ordered"
        self._dial(call, call.order.dial, _Ordered(call.order))

    def _dial(self, call: Call, dial: Dial, listener: Listener, lent: MediaSession | None = None) -> None:
        """Find the way and send the INVITE; a call without one ends. There may have been one when it was
        ordered, and been taken away while the call waited for its turn."""
        try:
            ways = self._ways(call.account, dial.to)
        except NoWay as error:
            call.end("error", f"{call.to} cannot be called: {error}")
            return
        except Unreachable as error:
            call.end("rejected", str(error), sip_response_code=480)
            return
        self._dialling[call.id] = dialling = Dialling(call, dial, ways, listener, self._sessions, lent)
        dialling.start()

    def _ways(self, account: str, to: str) -> Ways:
        return self._routing.ways(account, to, now=asyncio.get_running_loop().time())

    # What becomes of them

    def on_sip(self, event: CallRinging | CallAnswered | CallFailed | CallUnreachable) -> Call | None:
        """News of a callee; returns his call, None where nobody dials him any more."""
        session = event.session
        call = self._sessions.get(session.id)
        dialling = None if call is None else self._dialling.get(call.id)
        if call is None or dialling is None:
            return None
        match event:
            case CallRinging(sdp=sdp):
                dialling.rings(session, sdp)
            case CallAnswered(sdp=sdp):
                del self._dialling[call.id]
                dialling.answered(session, sdp)
            case CallFailed():
                dialling.failed(event)
            case CallUnreachable():
                dialling.unreachable(session)
        return call

    def media_of(self, call: Call, session: "Session") -> MediaSession | None:
        """The sound of a call in this session: of one that is being dialled, that of whoever rings there."""
        dialling = self._dialling.get(call.id)
        return call.media if dialling is None else dialling.media_of(session)

    def dialling(self, call: Call) -> Dialling | None:
        """How this call is being dialled, None where it is not."""
        return self._dialling.get(call.id)

    def taken(self, call: Call, session: "Session", media: MediaSession, line: "Line | None") -> None:
        """A call that was being dialled has been taken from those who ring."""
        self._dialling.pop(call.id).taken(session, media, line)

    def ended(self, call: Call) -> None:
        """A call is over, inbound or outbound, answered or not."""
        self.admission(call.account).ended(call)
        dialling = self._dialling.pop(call.id, None)
        if dialling is not None:
            dialling.call_ended()


class _Ordered(Listener):
    """A call that REST ordered asks for its document when it is answered."""

    def __init__(self, order: CallOrder) -> None:
        self._order = order

    def answered(self, call: Call) -> None:
        async def source() -> Document:
            return await call.ask(self._order.answer, call.event("answer"))

        call.begin(source)
