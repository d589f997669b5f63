"""Letters that nobody took: kept by account, until they are sent again or others need their place."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from api.letter import Letter
from calls import clock
from calls.errors import NotFound

# Of one account. An event has some hundred bytes, and at most a tag of four kilobytes.
_MOST_KEPT = 1000


@dataclass(frozen=True)
class Undelivered:
    """A letter that was given up. `reason` says what each address did."""

    letter: Letter
    failed_time: datetime
    reason: str

    @property
    def id(self) -> str:
        return self.letter.id


class DeadLetters:
    """What could not be delivered, by account and id, oldest first; `most` bounds each account's."""

    def __init__(self, *, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._kept: dict[str, OrderedDict[str, Undelivered]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def keep(self, letter: Letter, reason: str) -> None:
        """Keep a letter; the account's oldest makes room."""
        kept = self._kept.setdefault(letter.account, OrderedDict())
        kept[letter.id] = Undelivered(letter, clock.now(), reason)
        if len(kept) > self._most:
            kept.popitem(last=False)

    def of(self, account: str) -> list[Undelivered]:
        """The account's, oldest failure first."""
        return list(self._kept.get(account, {}).values())

    def take(self, account: str, identifier: str) -> Undelivered:
        """Hand one out, and keep it no longer. Raises NotFound."""
        kept = self._kept.get(account, OrderedDict())
        if identifier not in kept:
            raise NotFound("Undelivered event", identifier)
        return kept.pop(identifier)
