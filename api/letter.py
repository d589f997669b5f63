"""One event on its way: what its receiver can tell it by, and what proves that it is from here.

Beyond the contract, whose webhooks carry nothing of the kind; a receiver may ignore all of it.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from calls.callbacks import Answer, Callback, Event

ID = "Idempotency-Key"
"""The same for every try of one event, and for no other event."""

SEQUENCE = "MixMinus-Sequence"
"""Counts the events of one call or conference from 1, in the order in which they happened."""

SIGNATURE = "MixMinus-Signature"
"""`t=SECONDS,v1=HEX`: when the try was made, and the HMAC-SHA256 over that and the content."""

# More than there are live calls and conferences, and few enough to be remembered.
_MOST_NUMBERED = 20_000


@dataclass(frozen=True)
class Letter:
    """An event with all that its deliveries have in common.

    `account`: whose it is; `answered`: who wants the answer, if anybody; `attempts`: how often it has
    been given up before.
    """

    callback: Callback
    event: Event
    id: str
    sequence: int
    account: str
    answered: Callable[[Answer], None] | None = None
    attempts: int = 0

    @property
    def line(self) -> str:
        """The call or conference that it is about."""
        return about(self.event)


def about(event: Event) -> str:
    """The id of the conference that an event is about, or else of the call."""
    return str(event.get("conferenceId") or event.get("callId"))


class Sequences:
    """The next number of each call and conference. Those that were longest not asked for are forgotten."""

    def __init__(self, *, most: int = _MOST_NUMBERED) -> None:
        self._most = most
        self._last: OrderedDict[str, int] = OrderedDict()

    def next(self, line: str) -> int:
        number = self._last.pop(line, 0) + 1
        self._last[line] = number
        if len(self._last) > self._most:
            self._last.popitem(last=False)
        return number


def signature(key: str, timestamp: int, content: bytes) -> str:
    """The value of SIGNATURE.

    `content`: the body of a POST; of a GET the path and query as they are sent. Signed is the timestamp
    in decimal, a full stop, and the content.
    """
    proof = hmac.new(key.encode(), f"{timestamp}.".encode() + content, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={proof}"
