"""Keys on their way from one of two joined calls to the other, as people press them for a menu over there.

What is pressed may be a PIN, so it is in no repr and no log.
"""

import asyncio
import logging
from collections import deque

from calls.call import Call
from calls.digits import MOST_TYPED_AHEAD
from calls.errors import VerbFailed
from calls.loudspeaker import Loudspeaker, heard
from media import tones

logger = logging.getLogger(__name__)

SHORTEST, LONGEST = 100.0, 5_000.0
"""Milliseconds of a key; a shorter one may be missed over there."""
INTERVAL = 60.0
"""Milliseconds of silence after each."""


class Relay:
    """Tells one call what was pressed in another, key after key: as telephone events where it takes these,
    else by INFO, else as tones."""

    def __init__(self, to: Call) -> None:
        self._to = to
        self._waiting: deque[tuple[str, float]] = deque(maxlen=MOST_TYPED_AHEAD)
        self._telling: asyncio.Task[None] | None = None

    def press(self, key: str, held: float) -> None:
        """Pass a key on that was held for so many seconds."""
        self._waiting.append((key, min(max(held * 1000, SHORTEST), LONGEST)))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name=f"keys {self._to.id}")

    def close(self) -> None:
        """Pass nothing on any more."""
        self._waiting.clear()
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        try:
            while self._waiting:
                await self._tell_one(*self._waiting.popleft())
        except VerbFailed as error:  # its leg is closed: the call ends, and this with it
            logger.info("keys_stopped", extra={"call_id": self._to.id, "reason": str(error)})

    async def _tell_one(self, key: str, tone: float) -> None:
        call, services = self._to, self._to.services
        if call.leg is None or call.media is None or call.session is None:
            return
        if call.media.takes_events:
            await heard(services.media.send_digits(call.leg, key, tone=tone, interval=INTERVAL))
        elif call.session.takes_info:
            services.sip.press(call.session, key, round(tone))
        else:
            sound = tones.keys(key, tone=tone, interval=INTERVAL)
            await Loudspeaker(services.speech, services.media, call.leg).let_hear(sound)
