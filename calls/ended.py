"""What is kept of calls and conferences that are over: what REST tells of them, and nothing else.

A busy server keeps tens of thousands of these. They have fixed fields with plain values, so that they are
small and the garbage collector need not look at them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from calls import clock

if TYPE_CHECKING:
    from calls.call import Call
    from calls.conference import Conference, Member


class EndedCall(msgspec.Struct, frozen=True, gc=False):
    """The record of one call; the fields are those of `calls.call.Call`."""

    id: str
    account: str
    application_id: str
    direction: Literal["inbound", "outbound"]
    to: str
    from_: str
    parent: str | None
    callback_timeout: float
    enqueued_time: datetime | None
    start_time: datetime | None
    answer_time: datetime | None
    end_time: datetime
    last_update: datetime
    disconnect_cause: str | None
    error_message: str | None
    error_id: str | None
    identity: str | None
    stir_shaken: dict[str, str] | None

    state: ClassVar[Literal["disconnected"]] = "disconnected"
    live: ClassVar[Literal[False]] = False
    session: ClassVar[None] = None
    media: ClassVar[None] = None
    leg: ClassVar[None] = None
    membership: ClassVar[None] = None
    pair: ClassVar[None] = None
    document_url: ClassVar[None] = None

    @classmethod
    def of(cls, call: "Call") -> "EndedCall":
        """The record of a call that has ended."""
        assert call.end_time is not None, f"{call.id} is still live"
        return cls(
            id=call.id,
            account=call.account,
            application_id=call.application_id,
            direction=call.direction,
            to=call.to,
            from_=call.from_,
            parent=call.parent,
            callback_timeout=call.callback_timeout,
            enqueued_time=call.enqueued_time,
            start_time=call.start_time,
            answer_time=call.answer_time,
            end_time=call.end_time,
            last_update=call.last_update,
            disconnect_cause=call.disconnect_cause,
            error_message=call.error_message,
            error_id=call.error_id,
            identity=call.identity,
            stir_shaken=call.stir_shaken or None,
        )

    @property
    def over_at(self) -> datetime:
        return self.end_time

    def ended_before(self, seconds: float) -> bool:
        """Whether it ended longer ago than that."""
        return (clock.now() - self.end_time).total_seconds() >= seconds


class EndedConference(msgspec.Struct, frozen=True, gc=False):
    """The record of one conference; the fields are those of `calls.conference.Conference`."""

    id: str
    account: str
    name: str
    created_time: datetime
    completed_time: datetime
    event_url: str | None
    event_method: str
    tag: str | None

    events: ClassVar[None] = None
    members: ClassVar["Mapping[str, Member]"] = {}

    @property
    def over_at(self) -> datetime:
        return self.completed_time

    @classmethod
    def of(cls, conference: "Conference") -> "EndedConference":
        """The record of a conference that is over."""
        assert conference.completed_time is not None, f"{conference.id} is still live"
        return cls(
            id=conference.id,
            account=conference.account,
            name=conference.name,
            created_time=conference.created_time,
            completed_time=conference.completed_time,
            event_url=conference.event_url,
            event_method=conference.event_method,
            tag=conference.tag,
        )
