"""What one account may still begin: calls a second, and calls at a time.

Source: contract, rules of REST ("Rate"), errors (429).
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from calls.call import Call
from calls.errors import LimitReached
from calls.queue import CallQueue, QueueFull

UNLIMITED = 2**31 - 1
"""The queue's largest size, as told by REST, where nothing ever waits: no client takes it for a full one."""

TOO_MANY = "Account concurrent call limit exceeded"
"""The contract's words."""

# Nobody knows when one of the calls will end; this is a polite pace of asking.
_RETRY_SECONDS = 5


@dataclass(frozen=True)
class AccountLimits:
    """`calls_per_second` counts outbound calls, `concurrent_calls` all that are begun; 0 = no limit."""

    calls_per_second: float = 0.0
    concurrent_calls: int = 0


class Admission:
    """One account's calls: those that wait in its queue, and how many others live.

    `start` is given each outbound call when its turn has come.
    """

    def __init__(self, limits: AccountLimits, start: Callable[[Call], None]) -> None:
        self._concurrent = limits.concurrent_calls
        self._queue: CallQueue[Call] | None = None
        if limits.calls_per_second:
            self._queue = CallQueue(limits.calls_per_second)
        self._start = start
        self._known = 0
        self._timer: asyncio.TimerHandle | None = None

    def adopt(self, limits: AccountLimits) -> None:
        """Other limits from now on: what lives stays, what waits has its turn by the new ones."""
        self._concurrent = limits.concurrent_calls
        rate = limits.calls_per_second
        if self._queue is None:
            self._queue = CallQueue(rate) if rate else None
        elif rate:
            self._queue.change_rate(rate)
            self._advance()
        else:
            queue, self._queue = self._queue, None
            if self._timer is not None:
                self._timer.cancel()
            while (call := queue.take(math.inf)) is not None:
                self._start(call)

    @property
    def full(self) -> bool:
        """Whether as many calls live as may. Those that wait to be dialled hold no place."""
        return bool(self._concurrent) and self._known - self._waiting >= self._concurrent

    @property
    def statistics(self) -> tuple[int, int]:
        """Calls that wait to be dialled, and how many may. Source: contract, getStatistics."""
        return (0, UNLIMITED) if self._queue is None else (len(self._queue), self._queue.capacity)

    @property
    def _waiting(self) -> int:
        return 0 if self._queue is None else len(self._queue)

    def check(self) -> None:
        """Raises LimitReached when no outbound call can be taken now."""
        if self.full:
            raise LimitReached(TOO_MANY, _RETRY_SECONDS)
        if self._queue is not None:
            try:
                self._queue.check(asyncio.get_running_loop().time())
            except QueueFull as full:
                wait = max(1, math.ceil(full.wait))
                raise LimitReached("Account call creation rate limit exceeded", wait) from full

    def begun(self) -> None:
        """A call of the account exists, inbound or outbound."""
        self._known += 1

    def submit(self, call: Call, priority: int) -> None:
        """Start an outbound call, now or in its turn; `check` has allowed it."""
        if self._queue is None:
            self._start(call)
            return
        self._queue.put(call, priority, asyncio.get_running_loop().time())
        self._advance()

    def passed(self) -> None:
        """An outbound call is started out of turn; those in the queue wait the longer for it."""
        if self._queue is not None:
            self._queue.skip(asyncio.get_running_loop().time())

    def ended(self, call: Call) -> None:
        """A call is over; it waits no more, and its place is free."""
        self._known -= 1
        if self._queue is not None:
            self._queue.remove(call)
            # Not from within the end of a call: the next one begins when that is done.
            self._wake(asyncio.get_running_loop().time())

    def _advance(self) -> None:
        assert self._queue is not None
        now = asyncio.get_running_loop().time()
        while not self.full and (call := self._queue.take(now)) is not None:
            self._start(call)
        turn = self._queue.next_turn()
        if turn is not None and not self.full:
            self._wake(turn)

    def _wake(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._advance)
