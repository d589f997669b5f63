"""Performs a document, verb after verb, on whoever can.

The runner decides what comes next; how a sentence is spoken or a conference joined is the performer's. It
has no state of its own: cancelling the coroutine ends the document at whatever verb it stands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from typing import Any, Protocol

from bxml.document import Document
from bxml.element import Tagged, Verb
from bxml.errors import BxmlError
from bxml.verbs import (
    Bridge,
    Conference,
    Forward,
    Gather,
    Hangup,
    Pause,
    PauseRecording,
    PlayAudio,
    Redirect,
    Refer,
    ResumeRecording,
    Ring,
    SendDtmf,
    SpeakSentence,
    StartGather,
    StopGather,
    StopRecording,
    StopStream,
    StopTranscription,
    Tag,
    Transfer,
)


class Performer(Protocol):
    """A call, as the runner needs it. Whatever its methods raise ends the document and leaves `run`."""

    async def answer(self) -> None:
        """Answer the call if it is inbound and not answered yet; asked before every verb that needs it."""

    async def speak(self, verb: SpeakSentence) -> None:
        """Return when the sentence has been heard."""

    async def play(self, verb: PlayAudio) -> None:
        """Return when the sound has been heard; `verb.url` is relative unless the document was resolved."""

    async def pause(self, seconds: float) -> None:
        """Return after so many seconds of silence."""

    async def ring(self, verb: Ring) -> None:
        """Return when it has rung for as long as `verb` says; whether it answers the call is its own."""

    async def gather(self, verb: Gather) -> Document | None:
        """Collect digits; the answer of the verb's URL, if it has one, replaces the document."""

    async def send_digits(self, verb: SendDtmf) -> None:
        """Return when the digits have been sent, and the silence after the last."""

    async def start_gather(self, verb: StartGather) -> None:
        """From now on tell each digit to the verb's URL."""

    async def stop_gather(self) -> None:
        """Tell no digits any more."""

    async def confer(self, verb: Conference) -> None:
        """Return when the call has left the conference and goes on."""

    async def bridge(self, verb: Bridge) -> Document | None:
        """Return when the two calls are parted, or were not joined; the answer of the verb's URL, if it has
        one, replaces the document."""

    async def transfer(self, verb: Transfer) -> Document | None:
        """Return when the destination has left, or none has answered; the answer of the verb's URL, if it
        has one, replaces the document."""

    async def refer(self, verb: Refer) -> Document | None:
        """Return when the far end did not go where it was sent; the answer of the verb's URL, if it has one,
        replaces the document. Where it went, the call has ended."""

    async def forward(self, verb: Forward) -> Document:
        """Send the call on; it has ended when this returns, and the document that follows is empty."""

    async def redirect(self, verb: Redirect) -> Document:
        """Ask the URL; its answer replaces the document."""

    def set_tag(self, tag: str) -> None:
        """From now on `tag` goes with every event; "" clears it. Comes before the verb that carries it."""

    async def hang_up(self) -> None:
        """End the call, or reject it when it is not answered."""


class Unsupported(Exception):
    """A verb that this server reads but does not perform."""

    def __init__(self, verb: Verb) -> None:
        super().__init__(f"<{type(verb).__name__}> is not supported")
        self.verb = verb


# Hangup, Redirect and Tag concern the run itself.
_PERFORMANCES: Mapping[type[Verb], Callable[[Performer, Any], Awaitable[Document | None]]] = {
    SpeakSentence: lambda performer, verb: performer.speak(verb),
    PlayAudio: lambda performer, verb: performer.play(verb),
    Pause: lambda performer, verb: performer.pause(verb.duration),
    Ring: lambda performer, verb: performer.ring(verb),
    Gather: lambda performer, verb: performer.gather(verb),
    SendDtmf: lambda performer, verb: performer.send_digits(verb),
    StartGather: lambda performer, verb: performer.start_gather(verb),
    StopGather: lambda performer, verb: performer.stop_gather(),
    Conference: lambda performer, verb: performer.confer(verb),
    Bridge: lambda performer, verb: performer.bridge(verb),
    Transfer: lambda performer, verb: performer.transfer(verb),
    Refer: lambda performer, verb: performer.refer(verb),
    Forward: lambda performer, verb: performer.forward(verb),
}

PERFORMED: frozenset[type[Verb]] = frozenset({*_PERFORMANCES, Hangup, Redirect, Tag})
"""What a call performs."""

IDLE: frozenset[type[Verb]] = frozenset(
    {PauseRecording, ResumeRecording, StopRecording, StopStream, StopTranscription}
)
"""Verbs that have no effect while nothing is recorded, streamed or transcribed, which nothing is here; at a
verb that is neither of these nor performed the call ends. Source: contract, PauseRecording, StopRecording,
StopStream, StopTranscription."""


async def run(
    document: Document,
    performer: Performer,
    *,
    barred: Container[type[Verb]] = (),
    then: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Perform `document` and those it redirects to; at the end of the last one the call is hung up.

    `then`, if there is one, comes before that, but not where a Hangup was the end. A document that has
    one of the verbs of `barred` is refused whole, with `BxmlError`. Raises `Unsupported` at a verb that is
    not performed, before the call is answered for it, and whatever the performer and `then` raise; the
    call is not hung up then.
    """
    following: Document | None = document
    while following is not None:
        document = following
        _check(document, barred)
        following = await _perform(following, performer)
        # Documents that redirect to each other for ever let others run, and be cancelled.
        await asyncio.sleep(0)
    if then is not None and not any(isinstance(verb, Hangup) for verb in document.verbs):
        await then()
    await performer.hang_up()


def _check(document: Document, barred: Container[type[Verb]]) -> None:
    for verb in document.verbs:
        if type(verb) in barred:
            raise BxmlError(f"<{type(verb).__name__}> is not allowed in this document", *verb.at)


async def _perform(document: Document, performer: Performer) -> Document | None:
    """The document that replaces this one; None at its end, explicit or not."""
    for verb in document.verbs:
        if isinstance(verb, Tag | Tagged) and verb.tag is not None:
            performer.set_tag(verb.tag)
        match verb:
            case Tag():
                continue
            case Hangup():
                return None
            case Redirect():
                return await performer.redirect(verb)
            case _ if type(verb) in IDLE:
                continue
        perform = _PERFORMANCES.get(type(verb))
        if perform is None:
            raise Unsupported(verb)
        if verb.answers:
            await performer.answer()
        following = await perform(performer, verb)
        if following is not None:
            return following
    return None
