"""The switchboard: every call and conference, what SIP and media report, what REST orders.

News from SIP and media comes in through `on_sip` and `on_media`; orders through the methods named
after them. Which session, which leg and which call belong together is in its register.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bxml import BxmlError, Document
from calls import clock
from calls.admission import AccountLimits
from calls.application import Application, Applications
from calls.call import NOT_NOW, Call, Services
from calls.callbacks import Courier
from calls.causes import ending
from calls.conference import Conference, Member
from calls.conferences import Conferences, Limits
from calls.digits import Source
from calls.documents import read
from calls.ended import EndedCall, EndedConference
from calls.errors import Conflict, Invalid, NotFound, Unavailable
from calls.gallery import Gallery
from calls.handover import Handovers
from calls.hearing import Hearing, Party, examine
from calls.inbound import Inbound
from calls.order import CallOrder, Redirect
from calls.outbound import Outbound
from calls.performance import Performance
from calls.register import Register
from calls.routing import Routing
from calls.silence import SilenceWatch
from calls.terms import TermsPolicy, Transfers
from media.client import (
    DigitReceived,
    LegHeard,
    LegSilent,
    LegStatistics,
    MediaClient,
    MediaEvent,
    MediaLost,
    MediaReady,
)
from sip import events as sip_events
from sip.reason import Reason
from sip.sdp import SdpError
from sip.session import Session
from sip.shell import SipServer
from sip.trunks import Trunks
from speech.speech import Speech

logger = logging.getLogger(__name__)

MEDIA_LOST = "media process lost"

# How long a `completed` for a call that has just ended is answered as if it had come in time.
_GRACE_SECONDS = 60.0


@dataclass(frozen=True)
class Settings:
    """What the operator decided about calls.

    `address`: where all sound is received, empty for the one that reaches the peer; `silence_hangup`:
    seconds without a packet after which a call is ended, 0 = never; `transfers`: whom a far end may put in
    its place; `terms`: on which sound is exchanged; `accounts`: the limits of those accounts that have any.
    """

    public_url: str
    address: str = ""
    silence_hangup: float = 0.0
    transfers: Transfers = "none"
    limits: Limits = field(default_factory=Limits)
    terms: TermsPolicy = field(default_factory=TermsPolicy)
    accounts: Mapping[str, AccountLimits] = field(default_factory=dict)


class Switchboard:
    """All calls of all accounts."""

    def __init__(
        self,
        *,
        settings: Settings,
        applications: Sequence[Application],
        routing: Routing,
        sip: SipServer,
        trunks: Trunks,
        media: MediaClient,
        speech: Speech,
        courier: Courier,
    ) -> None:
        self._applications = Applications(applications)
        self._sip = sip
        self._media = media
        self.register = Register()
        self.gallery = Gallery(media)
        self.live_conferences = Conferences(media, speech, courier, settings.limits, self.gallery)
        self.outbound = Outbound(
            routing, self.register.sessions, accounts=settings.accounts, register=self._begun
        )
        services = self._services = Services(
            sip=sip,
            media=media,
            trunks=trunks,
            speech=speech,
            courier=courier,
            conferences=self.live_conferences,
            public_url=settings.public_url.rstrip("/"),
            terms=settings.terms,
            address=settings.address,
            ended=self._ended,
            performer=Performance,
            find=self.register.find,
            place_leg=self.outbound.place_leg,
        )
        self._inbound = Inbound(
            services,
            routing,
            self._applications,
            self.register.sessions,
            admission=self.outbound.admission,
            register=self._begun,
        )
        self._handovers = Handovers(
            services, routing, self.outbound, self.register.sessions, allowed=settings.transfers
        )
        self.silence = SilenceWatch(settings.silence_hangup)
        self.stopping = False
        self._hurried = asyncio.Event()

    def adopt(self, applications: Iterable[Application], accounts: Mapping[str, AccountLimits]) -> None:
        """Other applications and limits from now on. Live calls go on as they are."""
        self._applications.adopt(applications)
        self.outbound.adopt(accounts)

    @property
    def live_calls(self) -> list[Call]:
        return self.register.live

    # News from SIP

    def on_sip(self, event: sip_events.Event) -> None:
        """Take one event of the SIP endpoint."""
        match event:
            case sip_events.IncomingCall(replaces=replaces):
                if replaces is None:
                    self._inbound.on_sip(event)
                else:
                    self._handovers.incoming(event)
            case sip_events.CallRinging() | sip_events.CallFailed() | sip_events.CallUnreachable():
                self.outbound.on_sip(event)
            case sip_events.CallAnswered():
                if (callee := self.outbound.on_sip(event)) is not None:
                    self.silence.answered(callee)
            case _:
                call = self.register.sessions.get(event.session.id)
                if call is not None:
                    self._in_dialog(call, event)

    def _in_dialog(self, call: Call, event: sip_events.Event) -> None:
        match event:
            case sip_events.CallAcknowledged(sdp=sdp):
                call.acknowledged(sdp)
                self.silence.answered(call)
            case sip_events.CallCancelled(reasons=reasons):
                call.end(*ending("cancel", reasons), by_peer=True)
            case sip_events.ReferRequested():
                self._handovers.requested(call, event)
            case sip_events.CallEnded() if call.handover is not None:
                call.handover.far_end_left()
            case sip_events.CallEnded(cause=cause, lost=True):
                call.end("error", f"The far end was lost: {cause}", by_peer=True)
            case sip_events.CallEnded(cause=cause, reasons=reasons):
                logger.info("sip_ended", extra={"call_id": call.id, "reason": cause})
                call.end(*ending("hangup", reasons), by_peer=True)
            case sip_events.MediaOffered(session=session, sdp=sdp):
                self._media_offered(call, session, sdp)
            case sip_events.MediaAnswered(session=session, sdp=sdp):
                if call.media is not None:
                    call.media.reanswered(sdp, session.local_sdp)
                    if (moved := call.media.restated()) is not None:
                        self._sip.reinvite(session, moved)
            case sip_events.DigitReceived(digit=digit, duration_ms=duration):
                self._key(call, digit, "info", duration)
            case sip_events.ReferSettled(succeeded=succeeded, status=status, outcome=outcome):
                logger.info(
                    "refer_settled",
                    extra={"call_id": call.id, "success": succeeded, "status": status, "outcome": outcome},
                )
                if call.referral is not None:
                    call.referral.settled(succeeded, status, outcome)
            case sip_events.MediaRefused(status=status):
                call.end("error", f"The far end refused its new media address with {status}")
            case _:
                raise AssertionError(f"an event nobody takes: {event}")

    def _media_offered(self, call: Call, session: Session, sdp: bytes | None) -> None:
        media = self.outbound.media_of(call, session)
        if media is None:
            self._sip.refuse_media(session, 488)
            return
        try:
            answer = media.reoffer(sdp)
        except SdpError as error:
            logger.info("media_refused", extra={"call_id": call.id, "reason": str(error)})
            self._sip.refuse_media(session, error.status, error.reason)
            return
        self._sip.accept_media(session, answer)
        if (waiting := media.restated()) is not None:
            self._sip.reinvite(session, waiting)

    # News from media

    def on_media(self, event: MediaEvent) -> None:
        """Take one event of the media process."""
        match event:
            case LegSilent(leg_id=leg_id, seconds=seconds):
                if (call := self.register.of_leg(leg_id)) is not None:
                    self.silence.fell_silent(call, seconds)
            case LegHeard(leg_id=leg_id):
                if (call := self.register.of_leg(leg_id)) is not None:
                    self.silence.over(call)
            case MediaLost(reason=reason):
                logger.error("media_lost", extra={"reason": reason, "calls": len(self.register)})
                self._media_lost()
            case DigitReceived(leg_id=leg_id, digit=digit, duration_ms=duration, inband=inband):
                call = self.register.of_leg(leg_id)
                if call is not None:
                    self._key(call, digit, "inband" if inband else "rtp", duration)
            case MediaReady(pid=pid):
                logger.info("media_ready", extra={"pid": pid})

    def _key(self, call: Call, key: str, source: Source, duration_ms: int) -> None:
        call.keypad.press(key, source, asyncio.get_running_loop().time(), duration_ms / 1000)

    def _media_lost(self) -> None:
        for call in self.live_calls:
            if call.leg is not None:
                call.end("error", MEDIA_LOST, sip_reason=Reason(503, MEDIA_LOST))

    # Orders: calls

    async def create_call(self, account: str, order: CallOrder) -> Call:
        """Place an outbound call: at once, or in its turn where the account may begin only so many a second.

        Raises Invalid (names the field), LimitReached, Unavailable (stopping). What goes wrong from here on
        is told by the call's disconnect event.
        """
        if self.stopping:
            raise Unavailable("The server is stopping")
        if self._applications.find(account, order.application_id) is None:
            raise Invalid(f"Could not create call: Application id {order.application_id} not found")
        return self.outbound.order(self._services, account, order)

    def calls(
        self,
        account: str,
        *,
        to: str | None = None,
        from_: str | None = None,
        min_start: datetime | None = None,
        max_start: datetime | None = None,
        cause: str | None = None,
    ) -> list[Call | EndedCall]:
        """The account's calls, oldest first. Source: contract, listCalls."""
        return self.register.search(
            account, to=to, from_=from_, min_start=min_start, max_start=max_start, cause=cause
        )

    def call(self, account: str, call_id: str) -> Call | EndedCall:
        """One call, live or ended. Raises NotFound."""
        return self.register.get(account, call_id)

    def hearing(self, account: str, listener_id: str, speaker_id: str) -> Hearing:
        """Whether one call hears another and, if not, why. Raises NotFound."""
        return examine(self.party(account, listener_id), self.party(account, speaker_id), clock.now())

    def party(self, account: str, call_id: str) -> Party:
        """A call and what media knows of its leg. Raises NotFound."""
        call = self.call(account, call_id)
        figures = None if call.leg is None else self._media.leg_statistics(call.leg)
        return Party(call, figures)

    async def redirect_call(self, call: Call | EndedCall, redirect: Redirect) -> None:
        """Interrupt a call and fetch its next document. Raises Conflict."""

        async def source() -> Document:
            if redirect.tag is not None:
                live.tag = redirect.tag or None
            return await live.ask(redirect.callback, live.event("redirect"))

        live = _going_on(call)
        await live.replace(source)

    async def complete_call(self, call: Call | EndedCall) -> None:
        """Hang up, cancel or reject a call. Raises Conflict when it ended a while ago."""
        if not call.live:
            if not call.ended_before(_GRACE_SECONDS):
                return
            raise Conflict(NOT_NOW.format(call.id))
        unanswered = call.direction == "outbound" and call.state != "answered"
        call.end("cancel" if unanswered else "hangup")

    async def replace_bxml(self, call: Call | EndedCall, text: bytes) -> None:
        """Interrupt a call and perform this document. Raises Conflict, Invalid (bad document)."""
        live = _going_on(call)
        try:
            document = read(text, base=live.document_url, call_id=live.id)
        except BxmlError as error:
            raise Invalid(str(error)) from error

        async def source() -> Document:
            return document

        await live.replace(source)

    def statistics(self, account: str) -> tuple[int, int]:
        """Calls that wait to be dialled, and how many may. Source: contract, getStatistics."""
        return self.outbound.admission(account).statistics

    # Orders: conferences

    def conferences(
        self,
        account: str,
        *,
        name: str | None = None,
        min_created: datetime | None = None,
        max_created: datetime | None = None,
    ) -> list[Conference | EndedConference]:
        """The account's conferences, oldest first. Source: contract, listConferences."""
        return self.live_conferences.search(
            account, name=name, min_created=min_created, max_created=max_created
        )

    def conference(self, account: str, conference_id: str) -> Conference | EndedConference:
        """One conference, live or ended. Raises NotFound."""
        return self.live_conferences.get(account, conference_id)

    def seat(self, account: str, conference_id: str, call_id: str) -> tuple[Conference, Member]:
        """A conference and one of its members. Raises NotFound."""
        conference = self.conference(account, conference_id)
        if isinstance(conference, EndedConference):
            raise NotFound("Member", call_id)
        return conference, self.live_conferences.member(conference, call_id)

    async def complete_conference(self, conference: Conference | EndedConference) -> None:
        """End a conference; its calls go on. Raises NotFound when it has ended."""
        self.live_conferences.end(_live(conference))

    async def redirect_conference(self, conference: Conference | EndedConference, redirect: Redirect) -> None:
        """Ask for a conference document. Raises NotFound when the conference has ended.

        The request is answered before the webhook is made, so its outcome is only logged.
        """
        self.live_conferences.redirect(_live(conference), redirect.callback)

    async def replace_conference_bxml(self, conference: Conference | EndedConference, text: bytes) -> None:
        """Perform this document instead of what plays and waits. Raises Invalid (bad document), NotFound."""
        try:
            self.live_conferences.replace_document(_live(conference), text)
        except BxmlError as error:
            raise Invalid(str(error)) from error

    async def update_member(
        self,
        conference: Conference,
        call_id: str,
        *,
        mute: bool | None = None,
        hold: bool | None = None,
        coaches: Iterable[str] | None = None,
    ) -> None:
        """Change a member's flags and list. Raises NotFound, Invalid (another coach is there)."""
        self.live_conferences.update(_live(conference), call_id, mute=mute, hold=hold, coaches=coaches)

    def control_gain(self, member: Member, on: bool) -> None:
        """Bring a member to the usual level from now on, or leave him as he is."""
        self._media.treat(member.leg, gain=on)

    def sound_of(self, member: Member) -> LegStatistics | None:
        """How a member sounds; None while nothing is known."""
        return self._media.leg_statistics(member.leg)

    # The end

    def hurry(self) -> None:
        """End the drain of a stop that is under way."""
        self._hurried.set()

    async def stop(self, drain: float) -> None:
        """Take no new calls, let live ones go on for `drain` seconds, then end them."""
        self.stopping = True
        self._sip.stop_accepting()
        for call in self.live_calls:
            if call.state == "queued":
                call.end("cancel", "The server is stopping")
        if drain and len(self.register):
            over = [asyncio.create_task(each.wait()) for each in (self.register.empty, self._hurried)]
            done, _ = await asyncio.wait(over, timeout=drain, return_when=asyncio.FIRST_COMPLETED)
            for each in over:
                each.cancel()
            if not done:
                logger.info("drain_over", extra={"calls": len(self.register)})
        for call in self.live_calls:
            # Who is not answered yet may try the next server: a 603 would be for all of them.
            call.end("hangup", sip_reason=Reason(503, "The server is stopping"))

    def _begun(self, call: Call) -> None:
        self.register.add(call)
        self.outbound.admission(call.account).begun()

    def _ended(self, call: Call) -> None:
        self.register.retire(call)
        self.outbound.ended(call)
        if call.line is not None:
            call.line.release()
        self.silence.over(call)


def _going_on(call: Call | EndedCall) -> Call:
    if isinstance(call, EndedCall):
        raise Conflict(NOT_NOW.format(call.id))
    return call


def _live(conference: Conference | EndedConference) -> Conference:
    if conference.completed_time is not None:
        raise NotFound("Conference", conference.id)
    return conference
