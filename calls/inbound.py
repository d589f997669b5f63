"""Calls that come in: which application each is for, whether it is taken, and its first document."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from bxml import Document
from calls import arrival
from calls.admission import TOO_MANY, Admission
from calls.application import Application, Applications
from calls.call import Call, Services
from calls.documents import read
from calls.identity import callee, caller
from calls.media_session import MediaSession
from calls.routing import Routing, party
from sip import stir_shaken
from sip.access import Trunk
from sip.events import IncomingCall
from sip.sdp import SdpError
from sip.trunks import TrunkFull

logger = logging.getLogger(__name__)

# How often a call may be sent on to ourselves: a number that is forwarded to itself would take all legs.
_DEEPEST = 10


class Inbound:
    """Takes INVITEs that begin a call. `sessions`: calls by the ids of their sessions; `admission` says what
    an account may still begin; `register` is given each call that is taken."""

    def __init__(
        self,
        services: Services,
        routing: Routing,
        applications: Applications,
        sessions: Mapping[int, Call],
        *,
        admission: Callable[[str], Admission],
        register: Callable[[Call], None],
    ) -> None:
        self._services = services
        self._routing = routing
        self._applications = applications
        self._sessions = sessions
        self._admission = admission
        self._register = register

    def on_sip(self, event: IncomingCall) -> None:
        """An INVITE that may come in: it becomes a call, or is refused and the log says why."""
        services, session, now = self._services, event.session, asyncio.get_running_loop().time()
        trunk = None if event.trunk is None else services.trunks[event.trunk].trunk
        called = callee(session, trunk)
        user = called.user or ""
        depth = self._depth(event)
        if depth >= _DEEPEST:
            _log_refusal(event, user, f"it has been sent on to ourselves {depth} times")
            services.sip.reject(session, 482, "Loop Detected")
            return
        application = self._applications.called(user)
        if application is None:
            _log_refusal(event, user, "no application has this number")
            services.sip.reject(session, 404, "No application has this number")
            return
        if self._admission(application.account).full:
            # 486 and not 503: it is this account that is busy, and a trunk that hears 503 turns away from the
            # whole server (RFC 3261 section 21.5.4).
            _log_refusal(event, user, TOO_MANY)
            services.sip.reject(session, 486, "Busy Here")
            return
        srtp = self._routing.srtp_of(event.user, session.flow, now)
        terms = services.terms_towards(session.flow, event.trunk, srtp)
        media = MediaSession(services.media, signalling=session.flow.sound_from, terms=terms)
        try:
            media.consider(event.sdp)
            line = None if trunk is None else services.trunks.enter(trunk.name, now)
        except SdpError as error:
            _log_refusal(event, user, str(error))
            services.sip.reject(session, error.status, error.reason)
            return
        except TrunkFull as error:
            _log_refusal(event, user, str(error))
            services.sip.reject(session, 503, "Trunk full", error.headers)
            return
        call = Call(
            services,
            account=application.account,
            application_id=application.id,
            direction="inbound",
            to=party(called),
            from_=caller(session, trunk),
            callback_timeout=application.callback_timeout,
            disconnect=application.status,
        )
        call.media, call.line, call.depth = media, line, depth
        call.forwards = min(session.request.forwards, call.forwards)
        call.identity = stir_shaken.identity(session.request)
        if trunk is not None:
            call.stir_shaken = stir_shaken.vouched(session.request)
        media.call_id = call.id
        call.initiate(session)
        self._register(call)
        logger.info(
            "call_incoming",
            extra={
                "call_id": call.id,
                "sip_call_id": session.call_id,
                "from": call.from_,
                "to": call.to,
                "trunk": event.trunk,
            },
        )
        call.begin(lambda: _first(application, call, user, trunk))

    def _depth(self, event: IncomingCall) -> int:
        """That of the call of ours which has come back to us."""
        call = None if event.ours is None else self._sessions.get(event.ours.id)
        return 0 if call is None else call.depth


def _log_refusal(event: IncomingCall, user: str, reason: str) -> None:
    extra = {"to": user, "sip_call_id": event.session.call_id, "reason": reason}
    logger.info("call_refused", extra=extra)


async def _first(application: Application, call: Call, user: str, trunk: Trunk | None) -> Document:
    """A call's first document, from the webhook or the file; `user`: the called one, decoded; `trunk`: by
    which it came."""
    if application.initiated is None:
        return read(application.document_for(user).encode(), base=None, call_id=call.id)
    brought = {} if call.session is None else arrival.told(call.session, to=call.to, trunk=trunk)
    if call.stir_shaken:
        brought["stirShaken"] = call.stir_shaken
    return await call.ask(application.initiated, call.event("initiate", **brought))
