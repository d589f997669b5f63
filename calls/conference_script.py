"""What a conference is told to play: its documents, performed one after another for all members.

Source: contract, conference BXML.
"""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from bxml import Document
from bxml.element import Verb
from bxml.runner import IDLE, Unsupported
from bxml.verbs import PlayAudio, SpeakSentence
from calls.errors import VerbFailed
from calls.loudspeaker import Loudspeaker

if TYPE_CHECKING:
    from media.client import MediaClient, Room
    from speech.speech import Speech

logger = logging.getLogger(__name__)

# Sound takes longer than its webhook's answer: what waits longer than this is about who is long gone.
_MOST_WAITING = 100


class ConferenceScript:
    """The documents of one conference. A verb that fails is skipped and logged, and harms nobody."""

    def __init__(self, conference_id: str, room: "Room", media: "MediaClient", speech: "Speech") -> None:
        self._conference_id = conference_id
        self._loudspeaker = Loudspeaker(speech, media, room)
        self._waiting: deque[Document] = deque()
        self._task: asyncio.Task[None] | None = None
        self._stage = asyncio.Lock()

    def append(self, document: Document) -> None:
        """Perform it after those that were there before."""
        if len(self._waiting) >= _MOST_WAITING:
            self._log("conference_document_dropped", reason=f"{_MOST_WAITING} documents wait")
            return
        self._waiting.append(document)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work(), name=self._conference_id)

    def replace(self, document: Document) -> None:
        """Stop what plays, drop what waits, and perform this."""
        self.stop()
        self.append(document)

    def stop(self) -> None:
        """Stop what plays and drop what waits."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _work(self) -> None:
        async with self._stage:  # a task that was cancelled may still be silencing its sound
            while self._waiting:
                for verb in self._waiting.popleft().verbs:
                    await self._perform(verb)
                await asyncio.sleep(0)  # documents that play nothing let others run

    async def _perform(self, verb: Verb) -> None:
        try:
            match verb:
                case SpeakSentence():
                    await self._loudspeaker.speak(verb)
                case PlayAudio():
                    await self._loudspeaker.play(verb)
                case _ if type(verb) not in IDLE:
                    raise Unsupported(verb)
        except (VerbFailed, Unsupported) as error:
            self._log("conference_verb_skipped", line=verb.at[0], reason=str(error))
        except Exception:
            logger.exception("conference_broken", extra={"conference_id": self._conference_id})

    def _log(self, event: str, **more: object) -> None:
        logger.warning(event, extra={"conference_id": self._conference_id, **more})
