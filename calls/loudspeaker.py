"""Lets a leg, or everybody in a room, hear a sentence or a sound file."""

import asyncio
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bxml.verbs import PlayAudio, SpeakSentence
from bxml.voices import choose
from calls.errors import VerbFailed
from media import tones
from media.client import Playback, PlaybackLost
from speech.errors import AudioError, SpeechError

if TYPE_CHECKING:
    from media.client import Leg, MediaClient, Room
    from speech.speech import Speech


@dataclass(frozen=True)
class Loudspeaker:
    """Its methods return when the sound has been heard to its end; cancelling one silences it at once.
    Nothing is heard before `not_before`, by the clock of the event loop.

    They raise VerbFailed, whose text names the verb or says why the sound stopped.
    """

    speech: "Speech"
    media: "MediaClient"
    target: "Leg | Room"
    not_before: float = 0.0

    async def speak(self, verb: SpeakSentence) -> None:
        voice = choose(verb.voice, verb.gender, verb.locale)
        try:
            prompt = await self.speech.speak(
                verb.markup, voice=voice.name, gender=voice.gender, locale=voice.locale
            )
        except SpeechError as error:
            raise VerbFailed(f"SpeakSentence: {error}") from error
        await self.let_hear(prompt.samples)

    async def play(self, verb: PlayAudio) -> None:
        try:
            prompt = await self.speech.fetch(verb.url, username=verb.username, password=verb.password)
        except AudioError as error:
            raise VerbFailed(f"PlayAudio: {error}") from error
        await self.let_hear(prompt.samples)

    async def ring(self) -> None:
        """Ringback, until it is cancelled."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for cycle in itertools.count(1):
            await self.let_hear(tones.ringback())
            await asyncio.sleep(start + cycle * tones.RINGBACK_CYCLE - loop.time())

    async def let_hear(self, samples: bytes) -> None:
        """16-bit little-endian mono samples at 8 kHz."""
        left = self.not_before - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)
        await heard(self.media.play(self.target, samples))


async def heard(playback: Playback) -> None:
    """Return at its end; cancelled, it is silenced at once. Raises VerbFailed when it is lost."""
    try:
        # Shielded: to cancel what is awaited would make it done, and leave nothing to stop.
        await asyncio.shield(playback.done)
    except PlaybackLost as error:
        raise VerbFailed(f"The sound stopped: {error}") from error
    finally:
        playback.stop()
