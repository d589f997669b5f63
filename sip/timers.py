"""Timers as data: what is due, and when. Nobody here reads a clock."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[float], None]
"""What is done when a timer fires; gets the time."""


@dataclass(frozen=True, slots=True)
class TimerValues:
    """The three values all timers come from, in seconds (RFC 3261 section 17 table 4)."""

    t1: float = 0.5
    """Estimate of the round trip."""
    t2: float = 4.0
    """Longest interval between retransmissions."""
    t4: float = 5.0
    """Longest life of a message in the network."""

    @property
    def give_up(self) -> float:
        """64*T1: how long a request or a 2xx is retransmitted."""
        return 64 * self.t1


class TimerQueue:
    """Timers by owner and name. Setting one again moves it."""

    def __init__(self) -> None:
        self._due: dict[tuple[object, str], tuple[float, int, Action]] = {}
        self._heap: list[tuple[float, int, tuple[object, str]]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, owner: object, name: str, when: float, action: Action) -> None:
        """Fires `action` at `when`. `owner` is a hashable object, told apart by identity."""
        self._count += 1
        key = (owner, name)
        self._due[key] = (when, self._count, action)
        heapq.heappush(self._heap, (when, self._count, key))
        if len(self._heap) > 64 + 4 * len(self._due):
            self._heap = [(entry[0], entry[1], key) for key, entry in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, owner: object, name: str) -> None:
        """Nothing happens when it is not set."""
        self._due.pop((owner, name), None)

    def is_set(self, owner: object, name: str) -> bool:
        """True while it has neither fired nor been cancelled."""
        return (owner, name) in self._due

    def next(self) -> float | None:
        """When the next timer is due."""
        while self._heap:
            when, count, key = self._heap[0]
            entry = self._due.get(key)
            if entry is not None and entry[1] == count:
                return when
            heapq.heappop(self._heap)
        return None

    def fire(self, now: float) -> None:
        """Runs all that is due, earliest first, also what these set for a time that has come."""
        while (when := self.next()) is not None and when <= now:
            _, _, key = heapq.heappop(self._heap)
            self._due.pop(key)[2](now)
