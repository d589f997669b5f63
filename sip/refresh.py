"""Session timers at work (RFC 4028): who refreshes when, and the end of a call that nobody refreshes."""

from collections.abc import Callable
from dataclasses import replace

from sip.closing import send_bye
from sip.core import Core
from sip.errors import SipError
from sip.events import CallEnded
from sip.message import Headers, Request, Response
from sip.reason import Reason
from sip.session import Session
from sip.session_timer import Interval, asked, grant, least

LONGEST_WANTED = 86_400
"""A Min-SE above a day is nothing to agree to."""


class SessionTimers:
    """The timers of all sessions of an endpoint. `Session.interval` names its refresher from our side: `uac`
    is ourselves."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.on_due: Callable[[Session, float], None] = lambda session, now: None
        """Called when it is for us to refresh."""

    def ask(self, session: Session) -> Headers:
        """Headers for an INVITE or UPDATE of ours (section 7)."""
        policy, interval = self._core.config.session_timers, session.interval
        if interval is None and (session.dialog is not None or not policy.expires):
            return ()
        wanted = interval or Interval(policy.expires)
        wanted = replace(wanted, seconds=max(wanted.seconds, session.min_se))
        minimum = (("Min-SE", str(session.min_se)),) if session.min_se else ()
        return (("Session-Expires", str(wanted)), *minimum)

    def answered(self, session: Session, response: Response, now: float) -> None:
        """A 2xx to our request says whether there is a timer, and who refreshes (section 7.2)."""
        session.updatable = "UPDATE" in (response.get("Allow") or "")
        session.takes_info = "INFO" in (response.get("Allow") or "")
        try:
            interval = asked(response)
        except SipError:
            self._core.statistics["bad_session_timers"] += 1
            interval = None
        if interval is not None and interval.seconds <= 0:
            interval = None
        if interval is not None and not interval.refresher:
            interval = replace(interval, refresher="uac")
        self._set(session, interval, now)

    def ask_again(self, session: Session, request: Request, response: Response) -> Request | None:
        """After a 422 the same request with the interval that it demands, next CSeq and a new branch
        (section 7.3); None when that would lead nowhere."""
        if response.status != 422:
            return None
        try:
            before, minimum = asked(request), least(response)
        except SipError:
            return None
        if before is None or not before.seconds < minimum <= LONGEST_WANTED:
            return None
        session.min_se = minimum
        if session.interval is not None:
            session.interval = replace(session.interval, seconds=minimum)
        cseq = replace(request.cseq, number=request.cseq.number + 1)
        if session.dialog is not None:
            session.dialog.local_cseq = cseq.number
        changed = {
            "Via": self._core.via(
                session.flow if session.dialog is None else self._core.route(session.dialog)
            ),
            "CSeq": str(cseq),
        }
        kept = tuple(
            (name, changed.get(name, value))
            for name, value in request.headers
            if name not in ("Session-Expires", "Min-SE")
        )
        return replace(request, headers=(*kept, *self.ask(session)))

    def grant(self, session: Session, request: Request, now: float) -> Headers:
        """Headers for our 2xx, with which the timer starts anew (section 9)."""
        held = session.interval
        current = None if held is None else replace(held, refresher=_opposite(held.refresher))
        granted = grant(request, current, self._core.config.session_timers)
        self._set(session, granted and replace(granted, refresher=_opposite(granted.refresher)), now)
        if granted is None:
            return ()
        required = (("Require", "timer"),) if granted.refresher == "uac" else ()
        return (("Session-Expires", str(granted)), *required)

    def retry(self, session: Session, now: float) -> None:
        """Our refresh has failed and may be tried again before the session expires."""
        if session.interval is not None and not session.ended:
            self._due_at(session, now + session.interval.seconds / 8)

    def _set(self, session: Session, interval: Interval | None, now: float) -> None:
        session.interval = interval
        timers = self._core.timers
        timers.cancel(session, "session refresh")
        timers.cancel(session, "session expiry")
        if interval is None:
            return
        timers.set(session, "session expiry", now + interval.guard, lambda then: self._expired(session, then))
        if interval.refresher == "uac":
            self._due_at(session, now + interval.seconds / 2)

    def _due_at(self, session: Session, when: float) -> None:
        self._core.timers.set(session, "session refresh", when, lambda then: self.on_due(session, then))

    def _expired(self, session: Session, now: float) -> None:
        core, dialog = self._core, session.dialog
        assert dialog is not None
        core.statistics["sessions_expired"] += 1
        reason = Reason(408, "session expired")
        core.finish(session, CallEnded(session, "session expired", lost=True), now)
        send_bye(core, session, dialog, now, (("Reason", str(reason)),))


def _opposite(refresher: str) -> str:
    return "uas" if refresher == "uac" else "uac"
