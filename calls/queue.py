"""The queue of one account's outbound calls: so many may begin in a second, the others wait.

Source: contract, rules of REST ("Rate", "Queue order").
"""

import math
from collections import OrderedDict
from typing import Generic, TypeVar

SECONDS_QUEUED = 300
"""The queue holds what may begin in this time."""

PRIORITIES = range(1, 6)
"""1 goes first."""

Item = TypeVar("Item")


class QueueFull(Exception):
    """No place is free; `wait` seconds from now one may be."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"no place for {wait:g} s")
        self.wait = wait


class CallQueue(Generic[Item]):
    """First in, first out within a priority. Times are seconds of one clock.

    What leaves is evenly spaced, so that no second, wherever it begins, sees more than `rate` of them.
    """

    def __init__(self, rate: float) -> None:
        self._spacing = 0.0
        self._next = -math.inf
        self.change_rate(rate)
        self._lines: dict[int, OrderedDict[Item, None]] = {priority: OrderedDict() for priority in PRIORITIES}

    def change_rate(self, rate: float) -> None:
        """Another rate from the last that left on. What waits stays, be it more than `capacity` is then."""
        self.capacity = math.ceil(rate * SECONDS_QUEUED)
        self._next += 1 / rate - self._spacing
        self._spacing = 1 / rate

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def check(self, now: float) -> None:
        """Raises QueueFull when `put` has no place."""
        if len(self) >= self.capacity:
            raise QueueFull(max(self._next - now, 0.0))

    def put(self, item: Item, priority: int, now: float) -> None:
        """Queue an item behind those of its priority. Raises QueueFull."""
        self.check(now)
        self._lines[priority][item] = None

    def remove(self, item: Item) -> bool:
        """Forget an item; False where it is not waiting."""
        for line in self._lines.values():
            if item in line:
                del line[item]
                return True
        return False

    def take(self, now: float) -> Item | None:
        """The item whose turn it is, None while there is none."""
        if now < self._next:
            return None
        for line in self._lines.values():
            if line:
                self._next = now + self._spacing
                return line.popitem(last=False)[0]
        return None

    def skip(self, now: float) -> None:
        """Count something that did not wait: what is here does so the longer."""
        self._next = max(self._next, now) + self._spacing

    def next_turn(self) -> float | None:
        """From when on `take` has something; None when nothing waits."""
        return self._next if len(self) else None
