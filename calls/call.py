"""A call: one party outside, the documents that say what becomes of it, and how it ends.

A call is a record that REST shows, a SIP session, a leg in the mixer, and at most one script: the
task that performs its BXML. Every end passes through `Call.end`, once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from bxml import BxmlError, Document
from bxml import runner as bxml_runner
from bxml.runner import Performer, Unsupported
from calls import clock, ids
from calls.callbacks import Answer, Callback, Courier, DeliveryFailed, Event
from calls.conference import Conference, Member
from calls.conferences import Conferences
from calls.digits import Keypad
from calls.documents import Pace, read
from calls.ended import EndedCall
from calls.errors import Conflict, Unavailable, VerbFailed
from calls.media_session import MediaSession
from calls.order import CallOrder, LegOrder
from calls.referral import Referral
from calls.terms import Terms, TermsPolicy
from sip.message import MAX_FORWARDS
from sip.reason import Reason
from sip.sdp import Srtp
from sip.uri import readable

if TYPE_CHECKING:
    from bxml.element import Verb
    from media.client import Leg, MediaClient
    from sip.flow import Flow
    from sip.session import Session
    from sip.shell import SipServer
    from sip.trunks import Line, Trunks
    from speech.speech import Speech

logger = logging.getLogger(__name__)

State = Literal["queued", "initiated", "answered", "disconnected"]
Direction = Literal["inbound", "outbound"]
Source = Callable[[], Awaitable[Document]]

NOT_NOW = "Call [{}] cannot be modified in its current state"

# The final response to an unanswered inbound call, by why it ends (contract, Hangup).
_REFUSALS = {
    "hangup": (603, "Decline"),
    "rejected": (603, "Decline"),
    "busy": (486, "Busy Here"),
    "node-capacity-exceeded": (503, "Service Unavailable"),
}
_REFUSAL = (480, "Temporarily Unavailable")


class Listener:
    """Whoever had a call dialled, and is told what becomes of it. Here nothing is done about it."""

    def rings(self, call: "Call") -> None:
        """The callee is being alerted; may be told more than once."""

    def sounds(self, call: "Call", leg: "Leg | None") -> None:
        """What the callee's side lets hear before the answer (early media) comes in on this leg; None: it
        comes no more."""

    def answered(self, call: "Call") -> None:
        """The callee has answered, and media flows."""

    def failed(self, call: "Call") -> None:
        """The call has ended without an answer; why stands in it."""


class Pairing(Protocol):
    """What joins a call with another one; see `calls.joining`."""

    @property
    def verb(self) -> Literal["Bridge", "Forward", "Transfer"]: ...

    @property
    def over(self) -> asyncio.Event: ...

    def partner(self, call: "Call") -> "Call | None":
        """Who hears this call, None while they are not joined."""


class PendingHandover(Protocol):
    """What is about to give a call another far end; see `calls.handover`."""

    def far_end_left(self) -> None:
        """The one before has hung up."""

    def close(self) -> None:
        """The call has ended, or has another far end already."""


@dataclass(frozen=True)
class Services:
    """What a call works with."""

    sip: "SipServer"
    media: "MediaClient"
    trunks: "Trunks"
    speech: "Speech"
    courier: Courier
    conferences: Conferences
    public_url: str
    terms: TermsPolicy
    address: str
    """Where all sound is received; empty: at the one that reaches the peer."""
    ended: "Callable[[Call], None]"
    """Told when a call has ended, while it still has its session and leg."""
    performer: "Callable[[Call], Performer]"
    """What performs the verbs of its documents."""
    find: "Callable[[str, str], Call | EndedCall | None]"
    """A call, live or ended, by account and id."""
    place_leg: "Callable[[Call, LegOrder, Listener], Call]"
    """Dial a call for another one; the listener is told of its ringing, and of its answer or failure."""

    def terms_towards(self, flow: "Flow", trunk: str | None, srtp: Srtp | Literal[""]) -> Terms:
        """On which sound is exchanged with who is at the end of this way, or behind this trunk; `srtp`: what
        is said of that very user, empty: nothing."""
        return self.terms.towards(
            flow,
            None if trunk is None else self.trunks[trunk].trunk,
            self.sip.local_address(flow, self.address),
            reaches=None if self.address else self.sip.local_address,
            srtp=srtp,
        )


class Call:
    """One call. Times are aware datetimes in UTC, or None while the thing has not happened."""

    def __init__(
        self,
        services: Services,
        *,
        account: str,
        application_id: str,
        direction: Direction,
        to: str,
        from_: str,
        callback_timeout: float,
        disconnect: Callback | None,
        farewell: Literal["disconnect", "transferDisconnect"] = "disconnect",
        order: CallOrder | None = None,
        tag: str | None = None,
    ) -> None:
        self.services = services
        self.id = ids.call_id()
        self.account = account
        self.application_id = application_id
        self.direction: Direction = direction
        self.to = to
        self.from_ = from_
        self.callback_timeout = callback_timeout
        self.order = order
        self.tag = tag
        self.parent: str | None = None
        self.depth = 0
        """How many calls, each of which had the next one dialled, have led to this one."""
        self.forwards = MAX_FORWARDS
        """How many hops it may take yet (RFC 7332): a circle through other telephone systems ends by it."""
        self.inherited: Event = {}
        """What the events of a call that was dialled by a Transfer say of that; replaces its own fields."""
        self.state: State = "initiated" if direction == "inbound" else "queued"
        self.enqueued_time: datetime | None = None
        self.start_time: datetime | None = None
        self.answer_time: datetime | None = None
        self.end_time: datetime | None = None
        self.last_update = clock.now()
        self.disconnect_cause: str | None = None
        self.error_message: str | None = None
        self.error_id: str | None = None
        self.sip_response_code: int | None = None
        self.identity: str | None = None
        """The Identity header that the call came with."""
        self.stir_shaken: dict[str, str] = {}
        """What the trunk that it came by says of its caller's number."""
        self.session: Session | None = None
        self.media: MediaSession | None = None
        self.keypad = Keypad()
        self.membership: tuple[Conference, Member] | None = None
        self.line: Line | None = None
        """Its place on the trunk that it came or goes by."""
        self.pair: Pairing | None = None
        """Set while the call is joined, or about to be, with one other."""
        self.referral: Referral | None = None
        """Set while a Refer waits for what comes of it."""
        self.handover: PendingHandover | None = None
        """Set while somebody is called who is to take the far end's place."""
        self.document_url: str | None = None
        """Where the last document came from: the base of relative URLs in one put by REST."""
        self.ended = asyncio.Event()
        self._acknowledged = asyncio.Event()
        if direction == "outbound":
            self._acknowledged.set()
        self.prompts_from = 0.0
        """No prompt begins before, by the clock of the event loop."""
        self._disconnect = disconnect
        self._farewell = farewell
        self._script: asyncio.Task[None] | None = None
        self._replacing = asyncio.Lock()
        self._pace = Pace()

    @property
    def leg(self) -> "Leg | None":
        return self.media.leg if self.media else None

    @property
    def url(self) -> str:
        return f"{self.services.public_url}/api/v2/accounts/{self.account}/calls/{self.id}"

    @property
    def live(self) -> bool:
        return self.state != "disconnected"

    def ended_before(self, seconds: float) -> bool:
        """Whether it ended longer ago than that."""
        return self.end_time is not None and (clock.now() - self.end_time).total_seconds() >= seconds

    @property
    def awaits_ack(self) -> bool:
        """Who called in, to begin a call or to take a far end's place, has not said yet that he has our
        answer."""
        return not self._acknowledged.is_set()

    def _enter(self, state: State) -> None:
        self.state = state
        self.last_update = clock.now()

    # Life

    def initiate(self, session: "Session") -> None:
        """The INVITE came in or went out."""
        self.session = session
        self.start_time = clock.now()
        self._enter("initiated")

    def connected(self) -> None:
        """The call was answered, by whichever side was asked to."""
        self.answer_time = clock.now()
        self._enter("answered")
        self._expect_prompts()
        logger.info("call_answered", extra={"call_id": self.id})

    def _expect_prompts(self) -> None:
        """The far end listens; what is on the way may swallow its first words."""
        if self.media is not None:
            self.prompts_from = asyncio.get_running_loop().time() + self.media.terms.leading_silence

    def acknowledged(self, sdp: bytes | None) -> None:
        """The ACK to our 2xx arrived, with the far end's SDP where the INVITE brought none."""
        if self.media is not None:
            self.media.acknowledged(sdp)
        self._acknowledged.set()
        self._expect_prompts()

    def answered_anew(self) -> None:
        """Another caller has got our 2xx in this call; its ACK is awaited as that of the first was."""
        self._acknowledged.clear()

    def ring(self) -> None:
        """Let the caller's phone say that it rings, if the call is still to be answered by us."""
        if self.session is not None and self.direction == "inbound" and self.state == "initiated":
            self.services.sip.ring(self.session)

    def progress(self) -> bool:
        """Let the caller hear us before the call is answered (183 with a description).

        False where that cannot be: it is answered, his INVITE waits for an offer of ours, or there is no room
        for his sound now.
        """
        if self.session is None or self.media is None or self.direction != "inbound":
            return False
        if self.state != "initiated":
            return False
        if self.media.leg is None:
            try:
                sdp = self.media.preview()
            except Unavailable as error:
                logger.info("early_media_refused", extra={"call_id": self.id, "reason": str(error)})
                return False
            if sdp is None:
                return False
            self.media.begin()
            self.services.sip.progress(self.session, sdp)
        return True

    async def answer(self) -> None:
        """Answer an inbound call if it is not answered yet, and wait for the ACK of whoever has called in.

        Nothing is played before the ACK, whichever document asks: until then the far end may not be
        listening. Raises Unavailable where no port or row is free.
        """
        if self.direction == "inbound" and self.state == "initiated":
            assert self.session is not None and self.media is not None, f"{self.id} has no session to answer"
            sdp = self.media.answer()
            self.media.begin()
            self.services.sip.answer(self.session, sdp)
            self.connected()
        await self._acknowledged.wait()

    def end(
        self,
        cause: str,
        message: str | None = None,
        *,
        by_peer: bool = False,
        sip_reason: Reason | None = None,
        sip_response_code: int | None = None,
    ) -> None:
        """End the call; a second end is none.

        `cause` is the contract's (disconnect event); `by_peer`: SIP has ended it already;
        `sip_reason`: the Reason header of the BYE (RFC 3326), and the response to a call not answered yet.
        """
        if not self.live:
            return
        unanswered_inbound = self.direction == "inbound" and self.state == "initiated"
        self._enter("disconnected")
        self.end_time = self.last_update
        self.disconnect_cause = cause
        # It may hold the far end's words, which need not be UTF-8.
        self.error_message = message = None if message is None else readable(message)
        self.error_id = ids.error_id() if message else None
        self.sip_response_code = sip_response_code
        self.services.conferences.leave(self)
        if self.handover is not None:
            self.handover.close()
        if self.session is not None and not by_peer:
            if unanswered_inbound and sip_reason is None:
                status, reason = _REFUSALS.get(cause, _REFUSAL)
                self.services.sip.reject(self.session, status, reason)
            else:
                self.services.sip.hang_up(self.session, sip_reason)
        self.services.ended(self)
        if self.media is not None:
            self.media.close()
        if self._script is not None and self._script is not asyncio.current_task():
            self._script.cancel()
        logger.info(
            "call_ended",
            extra={"call_id": self.id, "cause": cause, "reason": message, "error_id": self.error_id},
        )
        if self._disconnect is not None:
            self.services.courier.tell(self._disconnect, self.event(self._farewell))
        self.ended.set()

    def record(self) -> EndedCall:
        """What is kept of it when it has ended."""
        assert self.end_time is not None, f"{self.id} is still live"
        return EndedCall(
            id=self.id,
            account=self.account,
            application_id=self.application_id,
            direction=self.direction,
            to=self.to,
            from_=self.from_,
            parent=self.parent,
            callback_timeout=self.callback_timeout,
            enqueued_time=self.enqueued_time,
            start_time=self.start_time,
            answer_time=self.answer_time,
            end_time=self.end_time,
            last_update=self.last_update,
            disconnect_cause=self.disconnect_cause,
            error_message=self.error_message,
            error_id=self.error_id,
            identity=self.identity,
            stir_shaken=self.stir_shaken or None,
        )

    def forget(self) -> None:
        """It ended a while ago, and nobody has to do with it any more: the circles in which a call and its
        parts refer to each other are opened, so that all of it is freed without the garbage collector."""
        self.session = self.media = self.order = self.line = None
        self.pair = self.referral = self.handover = self._script = None

    # Documents

    def begin(
        self,
        source: Source,
        *,
        barred: "frozenset[type[Verb]]" = frozenset(),
        then: Callable[[], Awaitable[None]] | None = None,
    ) -> "asyncio.Task[None]":
        """Perform the first document. Returns the script: the task for it and those that follow it.

        `barred`: verbs that make a document invalid; `then`: what comes before the hang-up at the end.
        """
        script = self._perform(source, barred, then)
        self._script = asyncio.get_running_loop().create_task(script, name=self.id)
        return self._script

    async def replace(self, source: Source) -> "asyncio.Task[None] | None":
        """Stop what runs and perform another document; None if the call has ended over that.

        Raises Conflict when there is no live call.
        """
        async with self._replacing:
            if self.state != "answered" and not (self.direction == "inbound" and self.live):
                raise Conflict(NOT_NOW.format(self.id))
            if self._script is not None:
                self._script.cancel()
                await asyncio.wait([self._script])
            return self.begin(source) if self.live else None

    async def _perform(
        self,
        source: Source,
        barred: "frozenset[type[Verb]]",
        then: Callable[[], Awaitable[None]] | None,
    ) -> None:
        """Fetch and perform documents until one ends the call; whatever fails ends it with a cause."""
        try:
            await bxml_runner.run(await source(), self.services.performer(self), barred=barred, then=then)
        except BxmlError as error:
            self.end("invalid-bxml", str(error))
        except DeliveryFailed as error:
            self.end("callback-error", str(error))
        except Unsupported as error:
            self.end("application-error", str(error))
        except VerbFailed as error:
            self.end("application-error", str(error))
        except Unavailable as error:
            self.end("node-capacity-exceeded", str(error))
        except Exception:
            logger.exception("call_broken", extra={"call_id": self.id})
            self.end("error", "Internal error")

    async def ask(self, callback: Callback, event: Event) -> Document:
        """Deliver a synchronous event; its answer is the next document, with absolute URLs.

        Raises DeliveryFailed, BxmlError.
        """
        answer = await self.services.courier.ask(callback, event)
        await asyncio.sleep(self._pace.wait(asyncio.get_running_loop().time()))
        return self.understand(answer)

    def understand(self, answer: Answer) -> Document:
        """The document in an answer. An empty answer is an empty document. Raises BxmlError."""
        self.document_url = answer.url
        body = answer.body
        if not body.strip():
            logger.warning("webhook_answer_empty", extra={"call_id": self.id})
            body = b"<Response/>"
        return read(body, base=answer.url, call_id=self.id)

    # What the application is told

    def event(self, kind: str, **more: object) -> Event:
        """The body of one of this call's events. Source: contract, fields of call events."""
        moments = {
            "enqueuedTime": self.enqueued_time,
            # The contract's events have it always; a call that was never dialled started to its end.
            "startTime": self.start_time or self.end_time,
            "answerTime": self.answer_time,
            "endTime": self.end_time,
        }
        event: Event = {
            "eventType": kind,
            "eventTime": clock.text(clock.now()),
            "accountId": self.account,
            "applicationId": self.application_id,
            "from": self.from_,
            "to": self.to,
            "direction": self.direction,
            "callId": self.id,
            "callUrl": self.url,
        }
        event |= {name: clock.text(moment) for name, moment in moments.items() if moment is not None}
        optional: Event = {
            "parentCallId": self.parent,
            "tag": self.tag or None,
            "cause": self.disconnect_cause,
            "errorMessage": self.error_message,
            "errorId": self.error_id,
        }
        if kind == "disconnect":
            optional["sipResponseCode"] = self.sip_response_code
        if self.session is not None and kind in ("initiate", "answer", "disconnect"):
            optional["sipCallId"] = readable(self.session.call_id)
        event |= {name: value for name, value in optional.items() if value is not None}
        return event | self.inherited | more
