"""Two calls that hear each other: the room which they have for themselves, and who left it first.

Bridge, Transfer and Forward all end in such a pair; they differ in how the second call came to be and in
what follows for the one that is left.
"""

import asyncio
import logging
from typing import Literal

from calls.call import Call
from calls.relay import Relay

logger = logging.getLogger(__name__)


class Pair:
    """Two calls that belong together from `hold` on until either leaves, which happens once.

    Whoever needs to know waits for `over`, and finds in `leaver` who it was. `verb` is what paired them.
    """

    def __init__(
        self, first: Call, second: Call, verb: Literal["Bridge", "Forward", "Transfer"], room: int
    ) -> None:
        self.verb = verb
        self.over = asyncio.Event()
        self.leaver: Call | None = None
        self._calls = (first, second)
        self._media = first.services.media
        self._room = room
        self._seated: set[Call] = set()
        self._relays: list[Relay] = []

    def hold(self) -> None:
        """From now on nobody else gets either call."""
        for call in self._calls:
            call.pair = self

    def partner(self, call: Call) -> Call | None:
        """Who hears this call, None while they are not joined."""
        if len(self._seated) < 2 or self.over.is_set():
            return None
        first, second = self._calls
        return second if call is first else first

    def seat(self, call: Call) -> None:
        """Let one of them hear what the other says, and the keys of either reach the other once both are
        there; nothing, if it is over."""
        if self.over.is_set() or call.leg is None:
            return
        self._media.seat(call.leg, self._room, mute=False, hold=False, coaches=None, coached_by=())
        self._seated.add(call)
        if len(self._seated) == 2 and not self._relays:
            self._relays = [Relay(each) for each in self._calls]
            for pressing, relay in zip(self._calls, reversed(self._relays), strict=True):
                pressing.keypad.pass_on = relay.press
        logger.info("call_joined", extra={"call_id": call.id, "verb": self.verb, "room": self._room})

    def leave(self, call: Call) -> None:
        """This call leaves; nothing, if one of them has left before."""
        if self.over.is_set():
            return
        self.leaver = call
        self.over.set()
        self._media.end_room(self._room)
        for each in self._calls:
            if each.pair is self:
                each.pair = None
            each.keypad.pass_on = None
            each.keypad.forget()
        for relay in self._relays:
            relay.close()
        logger.info("call_parted", extra={"call_id": call.id, "verb": self.verb, "room": self._room})

    def leave_with(self, call: Call, script: "asyncio.Task[None]") -> None:
        """This call leaves when the script which holds it here is at its end, for whatever reason.

        A task that is cancelled before its first step runs no `finally`; this is told all the same.
        """
        script.add_done_callback(lambda _: self.leave(call))
