"""Calls and conferences, live ones and the records of those that are over, oldest first."""

from collections import deque
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from calls import clock

# Contract, rules of REST, "Retention"; the number of records bounds the memory of a busy server.
_KEPT_FOR = timedelta(days=7)


class Named(Protocol):
    """What has an id and an account."""

    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str: ...


class Record(Named, Protocol):
    """What is kept of something that is over."""

    @property
    def over_at(self) -> datetime: ...


L = TypeVar("L", bound=Named)
R = TypeVar("R", bound=Record)


class History(Generic[L, R]):
    """By id, in the order in which they began: what is live, and the records of what is over. Those are
    forgotten after seven days, and the oldest where there are more than `most`."""

    def __init__(self, *, most: int) -> None:
        self._known: dict[str, L | R] = {}
        self._over: deque[R] = deque()
        self._most = most

    def __len__(self) -> int:
        return len(self._known)

    @property
    def over(self) -> int:
        """How many records are kept."""
        return len(self._over)

    def add(self, live: L) -> None:
        """Something has begun."""
        self._known[live.id] = live

    def retire(self, record: R) -> None:
        """It is over, and this is what is kept of it."""
        self._known[record.id] = record
        self._over.append(record)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = clock.now() - _KEPT_FOR
        while self._over and (len(self._over) > self._most or self._over[0].over_at < oldest):
            del self._known[self._over.popleft().id]

    def find(self, account: str, identifier: str) -> L | R | None:
        """What has this id, if it is this account's."""
        self._forget_old()
        found = self._known.get(identifier)
        return found if found is not None and found.account == account else None

    def of(self, account: str) -> list[L | R]:
        """All of an account, oldest first."""
        self._forget_old()
        return [each for each in self._known.values() if each.account == account]


def within(moment: datetime | None, earliest: datetime | None, latest: datetime | None) -> bool:
    """Whether it is not before the one nor after the other; None is no bound, and no moment is within any."""
    if moment is None:
        return earliest is None and latest is None
    return (earliest is None or earliest <= moment) and (latest is None or moment <= latest)
