"""A conference and its members: who may hear whom, and how each is told of."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from calls import clock
from calls.callbacks import Callback, Event
from calls.conference_script import ConferenceScript
from calls.ended import EndedConference

if TYPE_CHECKING:
    from media.client import Leg


@dataclass(frozen=True)
class Change:
    """Who gave one of a member's settings its value, and when: the document that seated it, or REST."""

    by: Literal["document", "rest"]
    at: datetime


class Attendee(Protocol):
    """What a conference knows of a call."""

    id: str
    account: str
    from_: str
    to: str
    callback_timeout: float
    tag: str | None
    membership: "tuple[Conference, Member] | None"
    """Where it is a member, and as what; kept by the conference."""

    @property
    def leg(self) -> "Leg | None": ...


@dataclass
class Member:
    """A call in a conference. `coaches` lists the call ids that hear it; empty: everybody does.

    `changes`: for `mute`, `hold` and `coaches`, where the value they have came from.
    """

    call: Attendee
    leg: "Leg"
    mute: bool
    hold: bool
    coaches: tuple[str, ...]
    left: asyncio.Future[None]
    changes: dict[str, Change] = field(init=False)

    def __post_init__(self) -> None:
        self.changes = dict.fromkeys(("mute", "hold", "coaches"), Change("document", clock.now()))

    @property
    def call_id(self) -> str:
        return self.call.id


@dataclass
class Conference:
    """One conference; its settings are those of the `<Conference>` that created it."""

    id: str
    account: str
    name: str
    room: int
    created_time: datetime
    events: Callback | None
    callback_timeout: float
    tag: str | None
    script: ConferenceScript
    completed_time: datetime | None = None
    members: dict[str, Member] = field(default_factory=dict)
    expiry: asyncio.TimerHandle | None = None

    @property
    def event_url(self) -> str | None:
        return self.events.url if self.events else None

    @property
    def event_method(self) -> str:
        return self.events.method if self.events else "POST"

    def event(self, kind: str, member: Member | None = None) -> Event:
        """The body of one conference event. Source: contract, conference events."""
        event: Event = {
            "eventType": kind,
            "eventTime": clock.text(clock.now()),
            "conferenceId": self.id,
            "name": self.name,
        }
        if member is not None:
            event |= {"callId": member.call_id, "from": member.call.from_, "to": member.call.to}
        if self.tag:
            event["tag"] = self.tag
        return event

    def coached_by(self, call_id: str) -> "list[Leg]":
        """The legs of those who coach this call."""
        return [member.leg for member in self.members.values() if call_id in member.coaches]

    def heard_by(self, coach: str, call_ids: Iterable[str]) -> "list[Leg] | None":
        """The legs of those listed that are members now; None for an empty list: no coach.

        His own id and ids of nobody here stay in the list and have no effect.
        """
        listed = list(call_ids)
        if not listed:
            return None
        return [self.members[i].leg for i in listed if i != coach and i in self.members]

    def record(self) -> EndedConference:
        """What is kept of it when it is over."""
        assert self.completed_time is not None, f"{self.id} is still live"
        return EndedConference(
            id=self.id,
            account=self.account,
            name=self.name,
            created_time=self.created_time,
            completed_time=self.completed_time,
            event_url=self.event_url,
            event_method=self.event_method,
            callback_timeout=self.callback_timeout,
            tag=self.tag,
        )
