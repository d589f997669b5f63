"""The Forward verb: an inbound call that is not answered yet is sent on to somebody else.

Source: contract, Forward. The caller hears what his phone makes of our ringing, and is answered
when the other one answers; the two are then joined through the mixer.
"""

import asyncio
from typing import TYPE_CHECKING

from bxml import Document, verbs
from calls import diversion
from calls.call import Call, Listener
from calls.errors import VerbFailed
from calls.joining import Pair
from calls.order import Dial, LegOrder, user_to_user
from calls.preview import Preview

if TYPE_CHECKING:
    from media.client import Leg


async def forward(call: Call, verb: verbs.Forward) -> None:
    """Returns when the call has ended. Raises VerbFailed for one that it is too late to forward."""
    if call.direction != "inbound":
        raise VerbFailed("Forward: only an inbound call can be forwarded")
    if call.state != "initiated":
        raise VerbFailed("Forward: the call is answered already")
    ringing = _Ringing(call)
    leg = call.services.place_leg(call, _order(call, verb), ringing)
    pair = Pair(call, leg, "Forward", call.services.conferences.next_room())
    pair.hold()
    try:
        if await ringing.answer(leg, pair):
            await call.answer()
            pair.seat(call)
            pair.seat(leg)
            ringing.preview.stop()
            await pair.over.wait()
    finally:
        ringing.preview.stop()
        pair.leave(call)
        if leg.live and pair.leaver is not leg:
            leg.end("hangup" if leg.state == "answered" else "cancel")
    call.end(leg.disconnect_cause or "hangup", leg.error_message)


def _order(call: Call, verb: verbs.Forward) -> LegOrder:
    return LegOrder(
        dial=Dial(
            to=verb.to,
            from_=verb.from_ or call.to,
            display_name=verb.caller_display_name or "",
            privacy=verb.privacy,
            call_timeout=verb.call_timeout,
            headers=(
                *diversion.headers(call, verb.diversion_treatment, verb.diversion_reason),
                *(user_to_user(verb.uui) if verb.to.lower().startswith("sip") else ()),
            ),
        )
    )


class _Ringing(Listener):
    """The destination of a Forward, up to its answer."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._settled = asyncio.Event()
        self._pair: Pair | None = None
        self._sounding = False
        self.preview = Preview(call)

    async def answer(self, leg: Call, pair: Pair) -> bool:
        """Whether it has answered and is still there."""
        self._pair = pair
        if leg.live:
            await self._settled.wait()
        return leg.state == "answered"

    def rings(self, leg: Call) -> None:
        if not self._sounding:
            self._call.ring()

    def sounds(self, call: Call, leg: "Leg | None") -> None:
        self._sounding = leg is not None and self._call.progress()
        if leg is not None and self._sounding:
            self.preview.hear(leg)
        else:
            self.preview.stop()

    def answered(self, leg: Call) -> None:
        pair = self._pair
        assert pair is not None, f"{leg.id} was answered before it was dialled"

        async def source() -> Document:
            await pair.over.wait()
            return Document()

        pair.leave_with(leg, leg.begin(source))
        self._settled.set()

    def failed(self, leg: Call) -> None:
        self._settled.set()
