"""Those who watch conferences from outside: what happens there as it happens, a stream for each.

A stream holds at most `MOST_WAITING` pieces of news; whoever reads too slowly misses the oldest and is told
how many. Who talks is looked at only while somebody watches. No stream can hold up a conference: to tell is
to append.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calls import clock
from calls.conference import Conference, Member
from calls.errors import LimitReached

if TYPE_CHECKING:
    from media.client import MediaClient

logger = logging.getLogger(__name__)

MOST_WAITING = 256
MOST_STREAMS = 64
"""Streams of one account; each holds a connection."""

LOOK = 0.1
"""Seconds between two looks at who talks: a talker talks, and is silent, for longer than that."""

LEVEL_PERIOD = 1.0
"""Seconds between two levels of one member, at least."""

_LEVEL_AGE = 0.2  # seconds: a level is that of so long a time, and that of who has just begun was silence
_LEVEL_STEP = 3.0  # dB: what changes less is no news of somebody silent
_RETRY_AFTER = 5

News = dict[str, Any]
"""What one event says; `eventType` is its kind."""


@dataclass
class _Told:
    """What was last told of one member."""

    talking: bool = False
    level: float = -96.0
    level_at: float = float("-inf")


class Spectator:
    """One who watches a conference. `dismissed`: he may not any more, and is told nothing that waits."""

    def __init__(self, gallery: "Gallery", conference: Conference) -> None:
        self.conference = conference
        self.missed = 0
        self.dismissed = False
        self._gallery = gallery
        self._waiting: deque[News] = deque()
        self._woken = asyncio.Event()

    def tell(self, news: News) -> None:
        """Append; where too much waits, the oldest is missed."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self.missed += 1
            self._gallery.missed += 1
        self._waiting.append(news)
        self._woken.set()

    async def next(self, seconds: float) -> News | None:
        """The next piece of news; None if there is none for so long, and for whom is dismissed. What was
        missed is told before."""
        try:
            async with asyncio.timeout(seconds):
                while not self._waiting and not self.dismissed:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return None
        if self.dismissed:
            return None
        if self.missed:
            missed, self.missed = self.missed, 0
            return _news(self.conference, "missed", count=missed)
        return self._waiting.popleft()

    def dismiss(self) -> None:
        """Nothing more is for him."""
        self.dismissed = True
        self._woken.set()
        self.leave()

    def leave(self) -> None:
        """Watch no more; leaving twice does nothing."""
        self._gallery.left(self)


class Gallery:
    """All who watch. `missed`: pieces of news that were given up because of slow readers, since the start."""

    def __init__(self, media: "MediaClient") -> None:
        self.missed = 0
        self._media = media
        self._watching: dict[str, list[Spectator]] = {}
        self._told: dict[str, dict[str, _Told]] = {}  # by conference and call
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return sum(map(len, self._watching.values()))

    def watch(self, conference: Conference) -> Spectator:
        """Watch from now on; the first news is the state of things. Raises LimitReached."""
        spectators = [one for many in self._watching.values() for one in many]
        mine = sum(one.conference.account == conference.account for one in spectators)
        if mine >= MOST_STREAMS:
            raise LimitReached(f"Account event stream limit exceeded: {MOST_STREAMS} at a time", _RETRY_AFTER)
        spectator = Spectator(self, conference)
        spectator.tell(self._state(conference))
        self._watching.setdefault(conference.id, []).append(spectator)
        self._told.setdefault(conference.id, {})
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look_again(), name="gallery")
        return spectator

    def dismiss(self, accounts: Collection[str]) -> None:
        """Let nobody watch any more whom these accounts have let in."""
        for spectator in [one for many in self._watching.values() for one in many]:
            if spectator.conference.account in accounts:
                spectator.dismiss()

    def left(self, spectator: Spectator) -> None:
        """Somebody watches no more."""
        spectators = self._watching.get(spectator.conference.id, [])
        if spectator in spectators:
            spectators.remove(spectator)
            if not spectators:
                self._forget(spectator.conference)

    def tell(self, conference: Conference, kind: str, member: Member | None = None, **more: object) -> None:
        """Something has happened in a conference."""
        spectators = self._watching.get(conference.id)
        if not spectators:
            return
        news = _news(conference, kind, **({} if member is None else {"callId": member.call_id}), **more)
        for spectator in spectators:
            spectator.tell(news)
        if kind == "leave" and member is not None:
            self._told[conference.id].pop(member.call_id, None)
        if kind == "end":
            self._forget(conference)

    def look(self, now: float) -> None:
        """Tell who has begun and ceased to talk, and how loud talkers are. `now`: seconds on any clock."""
        conferences = [spectators[0].conference for spectators in self._watching.values()]
        members = [(each, member) for each in conferences for member in each.members.values()]
        voices = self._media.voices(member.leg for _, member in members)
        for conference, member in members:
            voice = voices.get(member.leg.id)
            if voice is None:
                continue
            last = self._told[conference.id].setdefault(member.call_id, _Told())
            if voice.talking != last.talking:
                last.talking = voice.talking
                last.level_at = max(last.level_at, now + _LEVEL_AGE - LEVEL_PERIOD)
                self.tell(conference, "talking" if voice.talking else "silent", member)
            changed = voice.talking or abs(voice.loudness - last.level) >= _LEVEL_STEP
            if changed and now - last.level_at >= LEVEL_PERIOD:
                last.level, last.level_at = voice.loudness, now
                self.tell(conference, "level", member, level=voice.loudness)

    async def _look_again(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._watching:
                await asyncio.sleep(LOOK)
                self.look(loop.time())
        except Exception:
            logger.exception("gallery_broken")
            raise
        finally:
            self._looking = None

    def _forget(self, conference: Conference) -> None:
        self._watching.pop(conference.id, None)
        self._told.pop(conference.id, None)

    def _state(self, conference: Conference) -> News:
        voices = self._media.voices(member.leg for member in conference.members.values())
        members = []
        for member in conference.members.values():
            voice = voices.get(member.leg.id)
            members.append(
                {
                    "callId": member.call_id,
                    "mute": member.mute,
                    "hold": member.hold,
                    "callIdsToCoach": list(member.coaches),
                    "level": None if voice is None else voice.loudness,
                }
            )
        return _news(conference, "state", name=conference.name, members=members)


def _news(conference: Conference, kind: str, **more: object) -> News:
    moment = clock.text(clock.now())
    return {"eventType": kind, "eventTime": moment, "conferenceId": conference.id, **more}
