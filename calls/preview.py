"""What a callee's side sends before it answers (early media): an announcement, the ringing of its network.

It is heard one way only. What the caller says meanwhile reaches nobody: the call has not begun.
"""

import logging
from typing import TYPE_CHECKING

from calls.call import Call

if TYPE_CHECKING:
    from media.client import Leg

logger = logging.getLogger(__name__)


class Preview:
    """One call that listens to the leg of somebody who is being called for it."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._heard: Leg | None = None
        self._room = 0

    def hear(self, leg: "Leg") -> None:
        """From now on this leg is heard; another one no more."""
        listener, media = self._call.leg, self._call.services.media
        if leg is self._heard or listener is None:
            return
        self.stop()
        self._heard, self._room = leg, self._call.services.conferences.next_room()
        for each, mute in ((listener, True), (leg, False)):
            media.seat(each, self._room, mute=mute, hold=False, coaches=None, coached_by=())
        logger.info("early_media", extra={"call_id": self._call.id, "leg": leg.id})

    def stop(self) -> None:
        """Nothing is heard any more. Who has a seat elsewhere by now keeps it."""
        if self._heard is not None:
            self._call.services.media.end_room(self._room)
            self._heard = None
