"""Which calls there are: those that live, by all that they are known by, and the records of ended ones."""

import asyncio
from collections import deque
from datetime import datetime

from calls.call import Call
from calls.ended import EndedCall
from calls.errors import NotFound
from calls.history import History, within

# How many of those that are over REST tells of: 600 bytes each, so that hours of a busy server cost little.
_MOST_ENDED = 20_000

# After this time everybody who had to do with a call that has ended has seen that.
_SETTLED_SECONDS = 10.0


class Register:
    """All calls of all accounts."""

    def __init__(self) -> None:
        self.total = 0
        """Calls since the start."""
        self.sessions: dict[int, Call] = {}
        """Live calls by the ids of their SIP sessions; who gives a call another session writes it here."""
        self.empty = asyncio.Event()
        """Set while no call lives."""
        self.empty.set()
        self._live: dict[str, Call] = {}
        self._history: History[Call, EndedCall] = History(most=_MOST_ENDED)
        self._ended_lately: deque[Call] = deque()

    @property
    def live(self) -> list[Call]:
        return list(self._live.values())

    def __len__(self) -> int:
        """Live calls."""
        return len(self._live)

    @property
    def over(self) -> int:
        """Ended calls of which there is a record."""
        return self._history.over

    def add(self, call: Call) -> None:
        """A call has begun."""
        self.total += 1
        self.empty.clear()
        self._history.add(call)
        self._live[call.id] = call
        if call.session is not None:
            self.sessions[call.session.id] = call

    def retire(self, call: Call) -> None:
        """A call has ended."""
        del self._live[call.id]
        if not self._live:
            self.empty.set()
        if call.session is not None:
            self.sessions.pop(call.session.id, None)
        self._history.retire(call.record())
        while self._ended_lately and self._ended_lately[0].ended_before(_SETTLED_SECONDS):
            self._ended_lately.popleft().forget()
        self._ended_lately.append(call)

    def of_leg(self, leg_id: int) -> Call | None:
        """The call that has this leg."""
        for call in self._live.values():
            if call.leg is not None and call.leg.id == leg_id:
                return call
        return None

    def find(self, account: str, call_id: str) -> Call | EndedCall | None:
        """A call, live or ended, if it is this account's."""
        return self._history.find(account, call_id)

    def get(self, account: str, call_id: str) -> Call | EndedCall:
        """The same. Raises NotFound."""
        call = self.find(account, call_id)
        if call is None:
            raise NotFound("Call", call_id)
        return call

    def search(
        self,
        account: str,
        *,
        to: str | None,
        from_: str | None,
        min_start: datetime | None,
        max_start: datetime | None,
        cause: str | None,
    ) -> list[Call | EndedCall]:
        """The account's calls, oldest first; None: whatever that is. Source: contract, listCalls."""
        return [
            call
            for call in self._history.of(account)
            if (to is None or call.to == to)
            and (from_ is None or call.from_ == from_)
            and within(call.start_time, min_start, max_start)
            and (cause is None or call.disconnect_cause == cause)
        ]
