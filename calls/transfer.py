"""The Transfer verb: destinations ring at once, and the call is joined with the first that answers.

Source: contract, Transfer; transferAnswer, transferComplete and transferDisconnect events.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from bxml import Document, verbs
from calls import diversion
from calls.call import Call, Listener
from calls.callbacks import named
from calls.errors import VerbFailed
from calls.joining import Pair
from calls.loudspeaker import Loudspeaker
from calls.order import Dial, LegOrder, user_to_user
from calls.preview import Preview

if TYPE_CHECKING:
    from bxml.element import Verb
    from media.client import Leg

logger = logging.getLogger(__name__)

Destination = verbs.PhoneNumber | verbs.SipUri

# What a destination's own document must not hold: it is about to be joined already.
_BARRED: "frozenset[type[Verb]]" = frozenset({verbs.Bridge, verbs.Conference, verbs.Forward, verbs.Transfer})


async def transfer(call: Call, verb: verbs.Transfer) -> Document | None:
    """Ring, join, and wait until the destination has left; cancelling it is this call's leaving.

    Returns what `call` performs next, None for its next verb.
    """
    attempt = _Attempt(call, verb)
    try:
        leg = await attempt.run()
    finally:
        attempt.close()
    callback = named(verb, "transfer_complete", call.callback_timeout)
    if callback is None:
        return None
    # A leg that was taken elsewhere lives on; for this call that is a hang-up like any other.
    outcome = {
        "transferCallerId": attempt.caller_id,
        "transferTo": attempt.destination(leg),
        "cause": leg.disconnect_cause or "hangup",
        "errorMessage": leg.error_message,
        "errorId": leg.error_id,
    }
    told = {name: value for name, value in outcome.items() if value is not None}
    return await call.ask(callback, call.event("transferComplete", **told))


class _Attempt(Listener):
    """One Transfer from its first ring to the end of its last leg."""

    def __init__(self, call: Call, verb: verbs.Transfer) -> None:
        self._call = call
        self._verb = verb
        remote = call.from_ if call.direction == "inbound" else call.to
        self.caller_id = verb.transfer_caller_id or remote
        self._destinations: dict[str, Destination] = {}
        self._legs: list[Call] = []
        self._last: Call | None = None
        self._winner: Call | None = None
        self._pair: Pair | None = None
        self._settled = asyncio.Event()
        self._ringing = False
        self._sounding: dict[str, Leg] = {}
        self._preview = Preview(call)
        self._ringback: asyncio.Task[None] | None = None

    async def run(self) -> Call:
        """The leg that answered, when it has left; else the last one that failed."""
        for destination in self._verb.destinations:
            leg = self._call.services.place_leg(self._call, self._order(destination), self)
            self._destinations[leg.id] = destination
            self._legs.append(leg)
        self._last = self._legs[-1]
        self._settle()
        await self._settled.wait()
        if self._winner is None or self._pair is None:
            return self._last
        await self._pair.over.wait()
        return self._winner

    def destination(self, leg: Call) -> str:
        """Whom the document named for this leg."""
        named = self._destinations[leg.id]
        return named.number if isinstance(named, verbs.PhoneNumber) else named.uri

    def close(self) -> None:
        """This call goes its own way; whatever still belongs to the Transfer ends."""
        self._be_quiet()
        if self._pair is not None:
            self._pair.leave(self._call)
        for leg in self._legs:
            taken_elsewhere = self._pair is not None and self._pair.leaver is leg
            if leg.live and not taken_elsewhere:
                leg.end("hangup" if leg.state == "answered" else "cancel")

    def _order(self, destination: Destination) -> LegOrder:
        call, verb = self._call, self._verb
        to = destination.number if isinstance(destination, verbs.PhoneNumber) else destination.uri
        headers = diversion.headers(call, verb.diversion_treatment, verb.diversion_reason)
        return LegOrder(
            dial=Dial(
                to=to,
                from_=self.caller_id,
                display_name=verb.transfer_caller_display_name or "",
                privacy=verb.privacy,
                call_timeout=verb.call_timeout,
                headers=(*headers, *user_to_user(destination.uui)),
            ),
            tag=destination.tag,
            disconnect=named(destination, "transfer_disconnect", call.callback_timeout),
            # The parties of a leg's events are those of the call that is transferred.
            fields={
                "from": call.from_,
                "to": call.to,
                "transferCallerId": self.caller_id,
                "transferTo": to,
            },
        )

    # What becomes of the legs

    def rings(self, leg: Call) -> None:
        self._ringing = True
        self._let_hear()

    def sounds(self, call: Call, leg: "Leg | None") -> None:
        if leg is None:
            self._sounding.pop(call.id, None)
        else:
            self._sounding[call.id] = leg
        self._let_hear()

    def answered(self, leg: Call) -> None:
        self._winner = leg
        for other in self._legs:
            if other is not leg:
                other.end("cancel")
        room = self._call.services.conferences.next_room()
        self._pair = Pair(self._call, leg, "Transfer", room)
        script = leg.begin(lambda: self._document(leg), barred=_BARRED, then=self._join)
        self._pair.leave_with(leg, script)
        self._settled.set()
        if self._destinations[leg.id].transfer_answer_url is not None or leg.id not in self._sounding:
            self._sounding.clear()
            self._let_hear()

    def failed(self, leg: Call) -> None:
        self._last = leg
        self._settle()
        self.sounds(leg, None)

    def _settle(self) -> None:
        if not any(leg.live for leg in self._legs):
            self._settled.set()

    async def _document(self, leg: Call) -> Document:
        destination = self._destinations[leg.id]
        callback = named(destination, "transfer_answer", leg.callback_timeout)
        if callback is None:
            return Document()
        return await leg.ask(callback, leg.event("transferAnswer"))

    async def _join(self) -> None:
        """The leg's document is at its end: the two hear each other until either leaves."""
        if self._pair is None or self._winner is None or self._pair.over.is_set():
            return
        self._ringing = False
        self._sounding.clear()
        self._stop_ringing()
        self._pair.hold()
        self._pair.seat(self._call)
        self._pair.seat(self._winner)
        self._preview.stop()
        await self._pair.over.wait()

    def _let_hear(self) -> None:
        """The caller hears the first destination that sends anything, as long as it does; else, from the
        first ringing to the joining, ringback."""
        over = self._settled.is_set() and self._winner is None
        if over or (self._winner is not None and not self._winner.live):
            self._be_quiet()
        elif self._sounding:
            self._stop_ringing()
            self._preview.hear(next(iter(self._sounding.values())))
        elif self._ringing:
            self._preview.stop()
            if self._ringback is None:
                self._ringback = asyncio.create_task(self._ring(), name=f"ringback {self._call.id}")

    async def _ring(self) -> None:
        """What the caller hears meanwhile."""
        call = self._call
        if call.leg is None:
            return
        try:
            await Loudspeaker(call.services.speech, call.services.media, call.leg).ring()
        except VerbFailed as error:  # its leg is closed: the call ends, and this with it
            logger.info("ringback_stopped", extra={"call_id": call.id, "reason": str(error)})

    def _be_quiet(self) -> None:
        self._stop_ringing()
        self._preview.stop()

    def _stop_ringing(self) -> None:
        if self._ringback is not None:
            self._ringback.cancel()
            self._ringback = None
