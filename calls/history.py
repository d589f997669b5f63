"""Records that outlive what they record: calls and conferences, live and ended, oldest first."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from calls import clock

# Contract rest.md section 1, "Retention"; the number bounds the memory of a busy server.
_KEPT_FOR = timedelta(days=7)
_MOST_ENDED = 20_000


class Record(Protocol):
    """Something with an id that may have ended."""

    @property
    def id(self) -> str: ...

    @property
    def account(self) -> str: ...


R = TypeVar("R", bound=Record)


class History(Generic[R]):
    """Records by id, in the order in which they were added; ended ones are forgotten in time."""

    def __init__(self, *, most_ended: int = _MOST_ENDED) -> None:
        self._records: dict[str, R] = {}
        self._ended: deque[tuple[datetime, str]] = deque()
        self._most_ended = most_ended

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def add(self, record: R) -> None:
        """A new record, live."""
        self._records[record.id] = record

    def retire(self, record: R) -> None:
        """The record ended now; it stays findable for a while."""
        now = clock.now()
        self._ended.append((now, record.id))
        while len(self._ended) > self._most_ended or self._ended[0][0] < now - _KEPT_FOR:
            del self._records[self._ended.popleft()[1]]

    def find(self, account: str, identifier: str) -> R | None:
        """The record of this id, if it is this account's."""
        record = self._records.get(identifier)
        return record if record is not None and record.account == account else None

    def of(self, account: str) -> list[R]:
        """All records of an account, oldest first."""
        return [record for record in self._records.values() if record.account == account]
