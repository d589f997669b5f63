"""The keys pressed in one call: who takes each of them, and what one Gather makes of them.

No clock and no waiting here: `now` is seconds on any clock that never goes back. What was pressed may be a
PIN, so it is in no repr and no log.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["rtp", "info", "inband"]
"""How a key was told: by RFC 4733 events, by SIP INFO, or by its tone."""

MOST_TYPED_AHEAD = 50  # as many as one Gather may want
SAME_PRESS = 2.0
"""Seconds within which a key that is told both ways is the same press: a repeated INFO takes its time."""


def _nobody() -> None:
    """Nobody waits."""


class Collector:
    """One Gather: what it has, and how long it waits. Source: contract, Gather.

    `terminating`: keys of which each ends it; `most`: keys that do, by their number; `first`: seconds that a
    first key is waited for after each hearing of the prompts; `between`: seconds for each further key;
    `hearings`: how often the prompts are heard while nothing is pressed, 0 where there are none.
    """

    def __init__(
        self,
        *,
        terminating: str = "",
        most: int = 50,
        first: float = 5.0,
        between: float = 5.0,
        hearings: int = 0,
        now: float,
    ) -> None:
        self.digits = ""
        self.terminator = ""
        self.over = False
        self.prompting = hearings > 0
        """The prompts should be heard now."""
        self.deadline: float | None = None if self.prompting else now + first
        """When `expire` has something to do."""
        self._terminating = terminating.upper()
        self._most = most
        self._first = first
        self._between = between
        self._hearings = hearings
        self._late_until: float | None = None

    def __repr__(self) -> str:
        return f"Collector(over={self.over})"

    def press(self, key: str, now: float) -> bool:
        """Take a key; False when it is not for this Gather any more.

        The terminating key that a caller presses out of habit after the last of `most` is: it must not
        end the next Gather.
        """
        if self.over:
            return self._is_late_terminator(key, now)
        self.prompting = False
        if key in self._terminating:
            self.terminator = key
            self._end()
            return True
        self.digits += key
        self.deadline = now + self._between
        if len(self.digits) >= self._most:
            self._end()
            self._late_until = now + self._between
        return True

    def prompt_ended(self, now: float) -> None:
        """The prompts have been heard to their end; nothing, if a key was pressed meanwhile."""
        if self.prompting:
            self.prompting = False
            self._hearings -= 1
            self.deadline = now + self._first

    def expire(self, now: float) -> None:
        """The prompts once more, or the end, if the time for a key has passed."""
        if self.deadline is None or now < self.deadline:
            return
        if not self.digits and self._hearings > 0:
            self.prompting = True
            self.deadline = None
        else:
            self._end()

    def _end(self) -> None:
        self.over = True
        self.deadline = None

    def _is_late_terminator(self, key: str, now: float) -> bool:
        late = self._late_until is not None and now < self._late_until and key in self._terminating
        self._late_until = None
        return late


@dataclass(frozen=True)
class _Press:
    key: str = field(repr=False)
    source: Source
    at: float


class Keypad:
    """One call's keys. Each press goes to one taker: the Gather that runs, else whoever StartGather named,
    else the call that this one is joined with, else it is kept for the Gather to come, as people type ahead
    of a prompt they know."""

    def __init__(self) -> None:
        self.report: Callable[[str], None] | None = None
        """Told of each key while StartGather is on and no Gather runs."""
        self.pass_on: Callable[[str, float], None] | None = None
        """Told of each key, and for how many seconds it was held, while the call is joined with another one
        and nobody here wants it."""
        self._collector: Collector | None = None
        self._woken: Callable[[], None] = _nobody
        self._typed: deque[str] = deque(maxlen=MOST_TYPED_AHEAD)
        self._told_once: deque[_Press] = deque(maxlen=16)

    def __repr__(self) -> str:
        return "Keypad()"

    def press(self, key: str, source: Source, now: float, held: float = 0.0) -> None:
        """A key is told by `source` at `now`, when it had been held for so many seconds."""
        key = key.upper()
        if self._is_told_twice(key, source, now, held):
            return
        if self._collector is not None and self._collector.press(key, now):
            self._woken()
        elif self.report is not None:
            self.report(key)
        elif self.pass_on is not None:
            self.pass_on(key, held)
        else:
            self._typed.append(key)

    @contextmanager
    def gathering(self, collector: Collector, woken: Callable[[], None], now: float) -> Iterator[None]:
        """Keys go to this collector, those typed ahead at once; `woken` is called after each."""
        while self._typed and collector.press(self._typed[0], now):
            self._typed.popleft()
        self._collector, self._woken = collector, woken
        try:
            yield
        finally:
            self._woken = _nobody
            if not collector.over:
                self._collector = None

    def forget(self) -> None:
        """What was typed ahead was meant for something that is over."""
        self._typed.clear()

    def _is_told_twice(self, key: str, source: Source, now: float, held: float) -> bool:
        """Some phones send each press both as RFC 4733 events (or as a tone) and as INFO; the one that comes
        first counts.

        INFO may come when the key goes down, events and tones are complete when it goes up.
        """
        for press in self._told_once:
            if press.key == key and press.source != source and now - held - press.at <= SAME_PRESS:
                self._told_once.remove(press)
                return True
        self._told_once.append(_Press(key, source, now))
        return False
