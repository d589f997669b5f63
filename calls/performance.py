"""How a call performs BXML: each verb of the runner's `Performer`, done with media, speech and webhooks."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from bxml import Document, verbs
from calls.bridge import bridge
from calls.call import Call
from calls.callbacks import named, required
from calls.errors import VerbFailed
from calls.forward import forward
from calls.gathering import gather
from calls.loudspeaker import Loudspeaker, heard
from calls.refer import refer
from calls.transfer import transfer
from media import tones

logger = logging.getLogger(__name__)


class Performance:
    """One call's `Performer`; cancelling the task that runs it stops the verb at once."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def answer(self) -> None:
        await self._call.answer()

    async def speak(self, verb: verbs.SpeakSentence) -> None:
        await self._loudspeaker().speak(verb)

    async def play(self, verb: verbs.PlayAudio) -> None:
        await self._loudspeaker().play(verb)

    def _loudspeaker(self) -> Loudspeaker:
        call = self._call
        assert call.leg is not None, f"{call.id} has no leg to play to"
        return Loudspeaker(call.services.speech, call.services.media, call.leg, call.prompts_from)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def ring(self, verb: verbs.Ring) -> None:
        """Ringback, in a call that is not answered as early media; where that cannot be, the caller's phone
        says that it rings."""
        call = self._call
        if verb.answer_call:
            await call.answer()
        if call.state != "answered" and not call.progress():
            call.ring()
            await asyncio.sleep(verb.duration)
            return
        with contextlib.suppress(TimeoutError):  # it has rung for long enough
            async with asyncio.timeout(verb.duration):
                await self._loudspeaker().ring()

    async def gather(self, verb: verbs.Gather) -> Document | None:
        call = self._call
        if verb.input == "speech":
            raise VerbFailed("Gather: input speech is not supported, expected dtmf")
        if verb.input == "dtmf_speech":
            logger.warning("gather_without_speech", extra={"call_id": call.id})
        collected = await gather(verb, call.keypad, lambda: self._let_hear_all(verb.prompts))
        callback = named(verb, "gather", call.callback_timeout)
        if callback is None:
            return None
        event = call.event("gather", digits=collected.digits, terminatingDigit=collected.terminator)
        return await call.ask(callback, event)

    async def _let_hear_all(self, prompts: Iterable[verbs.PlayAudio | verbs.SpeakSentence]) -> None:
        for prompt in prompts:
            if isinstance(prompt, verbs.SpeakSentence):
                await self.speak(prompt)
            else:
                await self.play(prompt)

    async def send_digits(self, verb: verbs.SendDtmf) -> None:
        """As telephone events, or as their sound to a far end that takes none."""
        call, tone, interval = self._call, verb.tone_duration, verb.tone_interval
        assert call.leg is not None and call.media is not None, f"{call.id} has no leg to send digits to"
        if call.media.takes_events:
            media = call.services.media
            await heard(media.send_digits(call.leg, verb.digits, tone=tone, interval=interval))
        else:
            await self._loudspeaker().let_hear(tones.keys(verb.digits, tone=tone, interval=interval))

    async def start_gather(self, verb: verbs.StartGather) -> None:
        call = self._call
        callback = required(verb, "dtmf", call.callback_timeout)
        call.keypad.report = lambda key: call.services.courier.tell(callback, call.event("dtmf", digit=key))

    async def stop_gather(self) -> None:
        self._call.keypad.report = None

    async def confer(self, verb: verbs.Conference) -> None:
        call = self._call
        assert call.leg is not None, f"{call.id} has no leg to seat"
        events = named(verb, "conference_event", verb.callback_timeout or call.callback_timeout)
        member = call.services.conferences.join(call, call.leg, verb, events)
        try:
            await member.left
        finally:
            call.services.conferences.leave(call)
            call.keypad.forget()

    async def bridge(self, verb: verbs.Bridge) -> Document | None:
        return await bridge(self._call, verb)

    async def transfer(self, verb: verbs.Transfer) -> Document | None:
        return await transfer(self._call, verb)

    async def refer(self, verb: verbs.Refer) -> Document | None:
        return await refer(self._call, verb)

    async def forward(self, verb: verbs.Forward) -> Document:
        await forward(self._call, verb)
        return Document()

    async def redirect(self, verb: verbs.Redirect) -> Document:
        call = self._call
        callback = required(verb, "redirect", call.callback_timeout)
        return await call.ask(callback, call.event("redirect"))

    def set_tag(self, tag: str) -> None:
        self._call.tag = tag or None

    async def hang_up(self) -> None:
        self._call.end("hangup")
