"""What is known of each trunk while the server runs: whether it answers, and how many calls it carries."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sip.access import Trunk
from sip.message import Headers

FAILURES = 3
"""Health checks in a row that fail before a trunk counts as down."""

SECONDS_QUEUED = 300
"""A trunk whose next call would wait longer than this is full."""


class TrunkFull(OSError):
    """A trunk carries as many calls as it may, or as many have come in by it lately."""

    retry_after = 0
    """Seconds after which another call may be tried, 0 where nobody knows."""

    @property
    def headers(self) -> Headers:
        """Of the response that refuses a call for it (RFC 3261 section 20.33)."""
        return (("Retry-After", str(self.retry_after)),) if self.retry_after else ()


@dataclass
class Condition:
    """One trunk's state. `registered`: None where it is not to be registered with."""

    trunk: Trunk
    calls: int = 0
    failures: int = 0
    registered: bool | None = None
    next_turn: float = -math.inf
    """When the next call may go out by it."""
    next_entry: float = -math.inf
    """When the next call would come in by it if they came evenly."""

    rests_until: float = -math.inf
    """When calls may come again that went elsewhere because it could not take one."""

    @property
    def up(self) -> bool:
        return self.failures < FAILURES

    @property
    def full(self) -> bool:
        return 0 < self.trunk.max_calls <= self.calls

    def wait(self, now: float) -> float:
        """Seconds that a call which is to go out by it now has to wait."""
        return max(0.0, self.next_turn - now) if self.trunk.calls_per_second else 0.0


class Line:
    """A call's place on a trunk; `release` gives it back, once."""

    def __init__(self, condition: Condition) -> None:
        self._condition: Condition | None = condition
        condition.calls += 1

    def release(self) -> None:
        """The call is over; a second time does nothing."""
        if self._condition is not None:
            self._condition.calls -= 1
            self._condition = None


class Trunks:
    """The state of all trunks, by name; it outlasts a change of their settings."""

    def __init__(self, trunks: Iterable[Trunk] = ()) -> None:
        self._conditions: dict[str, Condition] = {}
        self.adopt(trunks)

    def __iter__(self) -> Iterator[Condition]:
        return iter(self._conditions.values())

    def __getitem__(self, name: str) -> Condition:
        return self._conditions[name]

    def adopt(self, trunks: Iterable[Trunk]) -> None:
        """Other settings: calls stay counted; what was found out stands while it may still hold."""
        before, self._conditions = self._conditions, {}
        for trunk in trunks:
            kept = before.get(trunk.name) or Condition(trunk)
            if kept.trunk.host != trunk.host or not trunk.health_check:
                kept.failures, kept.rests_until = 0, -math.inf
            if not trunk.register:
                kept.registered = None
            elif kept.trunk != trunk or kept.registered is None:
                kept.registered = False
            kept.trunk = trunk
            self._conditions[trunk.name] = kept

    def seize(self, name: str) -> Line:
        """A place for one more call. Raises TrunkFull, OSError for a trunk that was taken out of service."""
        condition = self._conditions.get(name)
        if condition is None:
            raise OSError(f"there is no trunk {name} any more")
        if condition.full:
            raise TrunkFull(f"trunk {name} carries {condition.calls} calls, as many as it may")
        return Line(condition)

    def enter(self, name: str, now: float) -> Line:
        """A place for a call that comes in. Raises TrunkFull, also where as many have come within the last
        second as the trunk may send."""
        condition = self._conditions[name]
        rate = condition.trunk.inbound_calls_per_second
        due = max(condition.next_entry, now)
        if rate:
            # A second's worth may come at once. Sums of fractions are not exact.
            wait = due - now - max(0.0, 1 - 1 / rate)
            if wait > 1e-6:
                full = TrunkFull(f"trunk {name} sends more than {rate:g} calls a second")
                full.retry_after = math.ceil(wait)
                raise full
        line = self.seize(name)
        condition.next_entry = due + 1 / rate if rate else now
        return line

    def take_turn(self, name: str, now: float) -> float:
        """Seconds from now until this call may go out by the trunk; those that ask later wait longer. What
        goes out is evenly spaced, so that no second sees more than the trunk takes."""
        condition = self._conditions.get(name)
        if condition is None or not condition.trunk.calls_per_second:
            return 0.0
        wait = condition.wait(now)
        condition.next_turn = now + wait + 1 / condition.trunk.calls_per_second
        return wait

    def rest(self, name: str, seconds: float, now: float) -> None:
        """It could not take a call, or nobody was there: for so long others are asked first."""
        condition = self._conditions.get(name)
        if condition is not None:
            condition.rests_until = max(condition.rests_until, now + seconds)

    def in_order(self, trunks: Iterable[Trunk], now: float) -> list[Trunk]:
        """Of these, those with room: first those that answer, the soonest first, then, rather than nowhere,
        those that do not, or could not take a call lately."""
        conditions = [self._conditions[trunk.name] for trunk in trunks]
        free = [each for each in conditions if not each.full and each.wait(now) < SECONDS_QUEUED]
        free.sort(key=lambda each: (not each.up, each.rests_until > now, each.wait(now)))
        return [each.trunk for each in free]
