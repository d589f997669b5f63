"""What is kept of calls and conferences that are over: what REST tells of them, and nothing else.

A busy server keeps tens of thousands of these. They have fixed fields with plain values, so that they are
small and the garbage collector need not look at them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar, Literal, Never

import msgspec

from calls import clock


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
    callback_timeout: float
    tag: str | None

    events: ClassVar[None] = None
    members: ClassVar[Mapping[str, Never]] = {}

    @property
    def over_at(self) -> datetime:
        return self.completed_time
