"""Another far end for a call that goes on, as phones want it when their transfer key is pressed.

Somebody sends an INVITE that replaces it (RFC 3891), or its own far end asks us to call somebody (REFER, RFC
3515). The call stays what it is: id, document, conference, partner, and its leg in the mixer, which only gets
another address. Whoever was there before gets a BYE.
"""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING

from calls.call import Call, Listener, Services
from calls.dialling import Dialling
from calls.errors import Unavailable, VerbFailed
from calls.loudspeaker import Loudspeaker
from calls.media_session import MediaSession
from calls.order import Dial, LegOrder
from calls.outbound import Outbound
from calls.routing import Routing, ordered_party, party
from calls.terms import Transfers
from sip.events import IncomingCall, ReferRequested
from sip.sdp import SdpError
from sip.trunks import TrunkFull

if TYPE_CHECKING:
    from sip.session import Session
    from sip.trunks import Line

logger = logging.getLogger(__name__)


class Handovers:
    """Who may take whose place. `sessions`: calls by the ids of their sessions."""

    def __init__(
        self,
        services: Services,
        routing: Routing,
        outbound: Outbound,
        sessions: MutableMapping[int, Call],
        *,
        allowed: Transfers,
    ) -> None:
        self._services = services
        self._routing = routing
        self._outbound = outbound
        self._sessions = sessions
        self._allowed = allowed

    def incoming(self, event: IncomingCall) -> None:
        """An INVITE that may come in and names the dialog of a live call: it is answered in that call's
        place, or in the place of whoever rings for it."""
        sip, session = self._services.sip, event.session
        now = asyncio.get_running_loop().time()
        call = None if event.replaces is None else self._sessions.get(event.replaces.id)
        if call is not None and self._routing.walls_off(call.account, user=event.user, trunk=event.trunk):
            logger.warning("replacement_of_another_account", extra={"call_id": call.id, "user": event.user})
            call = None
        dialling = None if call is None else self._outbound.dialling(call)
        if call is None or (dialling is None and (call.state != "answered" or call.media is None)):
            sip.reject(session, 481)
            return
        line: Line | None = None
        try:
            if event.trunk is not None:
                line = self._services.trunks.enter(event.trunk, now)
            media = self._sound(call, dialling, event)
            media.consider(event.sdp)
            answer = media.answer()
        except TrunkFull as error:
            sip.reject(session, 503, "Trunk full", error.headers)
            return
        except (SdpError, Unavailable) as error:
            logger.info("replacement_refused", extra={"call_id": call.id, "reason": str(error)})
            if isinstance(error, SdpError):
                sip.reject(session, error.status, error.reason)
            else:
                sip.reject(session, 503)
            if line is not None:
                line.release()
            return
        media.begin()
        sip.answer(session, answer)
        if dialling is not None:
            logger.info("call_picked_up", extra={"call_id": call.id, "sip_call_id": session.call_id})
            self._outbound.taken(call, session, media, line)
            return
        call.answered_anew()
        if call.handover is not None:
            call.handover.close()
        self.take_place(call, session, media, line)

    def requested(self, call: Call, event: ReferRequested) -> None:
        """A REFER: whom it names is called, or it is refused and the call goes on."""
        sip, session = self._services.sip, event.session
        now = asyncio.get_running_loop().time()
        other = None if event.replaces is None else sip.session_of(event.replaces)
        if other is not None:
            self._connect(call, session, self._sessions.get(other.id))
            return
        to = None
        if self._allowed != "none" and call.line is None:  # never for who came, or was reached, by a trunk
            to = self._routing.named(call.account, event.target, anywhere=self._allowed == "any", now=now)
        if to is None or call.media is None or call.handover is not None:
            logger.info("refer_refused", extra={"call_id": call.id, "to": party(event.target)})
            sip.refuse_refer(session, 403)
            return
        sip.accept_refer(session)
        headers = [] if event.replaces is None else [("Replaces", str(event.replaces))]
        if event.referrer is not None:
            headers.append(("Referred-By", event.referrer))
        # To the one who is called we are who we were to the one who asks.
        ourselves = call.to if call.direction == "inbound" else call.from_
        dial = Dial(to=to, from_=ourselves, headers=tuple(headers))
        logger.info("refer_taken", extra={"call_id": call.id, "to": ordered_party(to)})
        Handover(self, call, session).begin(LegOrder(dial=dial, lent=call.media))

    def _connect(self, call: Call, referrer: "Session", consulted: Call | None) -> None:
        """An attended transfer whose two calls are both here: the one whom the far end of `call` has
        consulted in another call takes its place, and that other call ends. Nobody is called for it."""
        sip = self._services.sip
        found = None if consulted is None or consulted.pair is None else consulted.pair.partner(consulted)
        try:
            if self._allowed == "none" or call.media is None or call.handover is not None:
                raise Unavailable("not now, or not allowed")
            if consulted is None or found is None or found.session is None or found.media is None:
                raise Unavailable("nobody was consulted")
            if consulted.account != call.account or call in (consulted, found):
                raise Unavailable("these calls cannot be joined")
            session, line, before = found.session, found.line, found.media
            media = call.media.successor(signalling=session.flow.sound_from, terms=before.terms)
            offer = media.offer()
        except (SdpError, Unavailable) as error:
            logger.info("refer_refused", extra={"call_id": call.id, "reason": str(error)})
            sip.refuse_refer(referrer, 403)
            return
        media.claim()
        found.session = found.media = found.line = None
        sip.accept_refer(referrer)
        sip.tell_refer(referrer, 200)
        self.take_place(call, session, media, line)
        sip.reinvite(session, offer)
        for each in (consulted, found):
            each.end("hangup")
        before.close()

    def take_place(self, call: Call, session: "Session", media: MediaSession, line: "Line | None") -> None:
        """The far end of `call` is another one from now on."""
        if call.referral is not None:
            # The one who was to go elsewhere is not here any more.
            call.referral.settled(False, None, None)
        before, trunk = call.session, call.line
        call.session, call.media, call.line = session, media, line
        self._sessions[session.id] = call
        if before is not None:
            self._sessions.pop(before.id, None)
            self._services.sip.hang_up(before)
        if trunk is not None:
            trunk.release()
        extra = {"call_id": call.id, "sip_call_id": session.call_id}
        logger.info("call_handed_over", extra=extra)

    def _sound(self, call: Call, dialling: Dialling | None, event: IncomingCall) -> MediaSession:
        """For who takes a place: the leg of the call, or one of his own while it is dialled."""
        session = event.session
        srtp = self._routing.srtp_of(event.user, session.flow, asyncio.get_running_loop().time())
        terms = self._services.terms_towards(session.flow, event.trunk, srtp)
        if dialling is not None:
            return dialling.sound_of_another(signalling=session.flow.sound_from, terms=terms)
        assert call.media is not None, "it is answered"
        return call.media.successor(signalling=session.flow.sound_from, terms=terms)


class Handover(Listener):
    """One REFER of a far end, from our INVITE to the one it names until that one has answered or failed.

    Many phones hang up as soon as we try; the call then waits for its new far end without one.
    """

    def __init__(self, handovers: Handovers, call: Call, referrer: "Session") -> None:
        self._handovers = handovers
        self._call = call
        self._referrer = referrer
        self._leg: Call | None = None
        self._alone = False
        self._ringback: asyncio.Task[None] | None = None

    def begin(self, order: LegOrder) -> None:
        """Call the one who is named."""
        self._call.handover = self
        leg = self._call.services.place_leg(self._call, order, self)
        if leg.live:
            self._leg = leg
        elif self._call.handover is self:
            self.failed(leg)

    def far_end_left(self) -> None:
        """Who asked has hung up; nothing is sent to him any more."""
        self._alone = True
        if self._call.media is not None:
            self._call.media.rest()

    def close(self) -> None:
        """The call has ended, or has another far end already."""
        self._over()
        self._call.services.sip.tell_refer(self._referrer, 487)
        if self._leg is not None:
            self._leg.end("cancel")

    # What becomes of the one who is called

    def rings(self, leg: Call) -> None:
        if self._ringback is None and self._call.handover is self:
            self._call.services.sip.tell_refer(self._referrer, 180)
            self._ringback = asyncio.create_task(self._ring(), name=f"ringback {self._call.id}")

    def answered(self, leg: Call) -> None:
        if self._call.handover is not self or leg.session is None or leg.media is None:
            leg.end("cancel")
            return
        self._over()
        if leg.awaits_ack:
            self._call.answered_anew()
        session, media, line = leg.session, leg.media, leg.line
        # What the leg had is the call's from now on; there is nothing left of it to be ended.
        leg.session = leg.media = leg.line = None
        leg.end("hangup")
        self._call.services.sip.tell_refer(self._referrer, 200)
        self._handovers.take_place(self._call, session, media, line)

    def failed(self, leg: Call) -> None:
        if self._call.handover is not self:
            return
        self._over()
        self._call.services.sip.tell_refer(self._referrer, leg.sip_response_code or 480)
        logger.info("handover_failed", extra={"call_id": self._call.id, "cause": leg.disconnect_cause})
        if self._alone:
            self._call.end("hangup")

    def _over(self) -> None:
        self._call.handover = None
        if self._ringback is not None:
            self._ringback.cancel()

    async def _ring(self) -> None:
        """What the other of two joined calls hears meanwhile."""
        call = self._call
        partner = None if call.pair is None else call.pair.partner(call)
        if partner is None or partner.leg is None:
            return
        try:
            await Loudspeaker(call.services.speech, call.services.media, partner.leg).ring()
        except VerbFailed as error:  # its leg is closed: the call ends, and this with it
            logger.info("ringback_stopped", extra={"call_id": partner.id, "reason": str(error)})
