"""A switchboard without telephones: it keeps what REST orders and refuses as the real one does."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from calls import ids
from calls.callbacks import Callback
from calls.errors import Conflict, Invalid, NotFound
from calls.gallery import Gallery
from calls.hearing import Party
from calls.order import CallOrder, Redirect
from media.client import Leg, LegStatistics, Voice

START = datetime.fromisoformat("2026-02-03T09:00:00.120Z")


@dataclass
class FakeCall:
    account: str
    to: str
    from_: str
    direction: str = "inbound"
    id: str = field(default_factory=ids.call_id)
    application_id: str = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
    state: str = "answered"
    callback_timeout: float = 15.0
    parent: str | None = None
    tag: str | None = None
    enqueued_time: datetime | None = None
    start_time: datetime | None = START
    answer_time: datetime | None = None
    end_time: datetime | None = None
    last_update: datetime = START
    disconnect_cause: str | None = None
    error_message: str | None = None
    error_id: str | None = None
    identity: str | None = None
    stir_shaken: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeMember:
    call_id: str
    leg: Leg
    mute: bool = False
    hold: bool = False
    coaches: tuple[str, ...] = ()


@dataclass
class FakeConference:
    account: str
    name: str
    id: str = field(default_factory=ids.conference_id)
    created_time: datetime = START
    completed_time: datetime | None = None
    events: Callback | None = None
    callback_timeout: float = 15.0
    tag: str | None = None
    members: dict[str, FakeMember] = field(default_factory=dict)

    @property
    def event_url(self) -> str | None:
        return self.events.url if self.events else None

    @property
    def event_method(self) -> str:
        return self.events.method if self.events else "POST"

    def join(self, call: FakeCall) -> FakeMember:
        leg = Leg(len(self.members) + 1, "127.0.0.1", 20000, None)
        self.members[call.id] = FakeMember(call.id, leg)
        return self.members[call.id]


class FakeSwitchboard:
    """`done` lists what was carried out; `refuses` is raised by the next order, when set."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.refuses: Exception | None = None
        self.queue = (0, 0)
        self.heard: dict[int, Voice] = {}
        self.gallery = Gallery(self)  # type: ignore[arg-type]
        self._calls: list[FakeCall] = []
        self._conferences: list[FakeConference] = []

    def add_call(self, account: str = "9900000", **more: object) -> FakeCall:
        settings: dict[str, object] = {"to": "+19195551234", "from_": "+19195554321"} | more
        call = FakeCall(account, **settings)  # type: ignore[arg-type]
        self._calls.append(call)
        return call

    def add_conference(
        self, name: str = "standup", account: str = "9900000", **more: object
    ) -> FakeConference:
        conference = FakeConference(account, name, **more)  # type: ignore[arg-type]
        self._conferences.append(conference)
        return conference

    # The part of calls.switchboard.Switchboard that REST uses

    async def create_call(self, account: str, order: CallOrder) -> FakeCall:
        self._do("create_call", account, order)
        return self.add_call(
            account,
            to=order.to,
            from_=order.from_,
            direction="outbound",
            state="queued",
            application_id=order.application_id,
            enqueued_time=START + timedelta(milliseconds=len(self._calls)),
            start_time=None,
            tag=order.tag,
        )

    def calls(
        self,
        account: str,
        *,
        to: str | None = None,
        from_: str | None = None,
        min_start: datetime | None = None,
        max_start: datetime | None = None,
        cause: str | None = None,
    ) -> list[FakeCall]:
        wanted = {"account": account, "to": to, "from_": from_, "disconnect_cause": cause}
        return [
            call
            for call in self._calls
            if all(value is None or getattr(call, name) == value for name, value in wanted.items())
            and _within(call.start_time, min_start, max_start)
        ]

    def call(self, account: str, call_id: str) -> FakeCall:
        for call in self._calls:
            if (call.account, call.id) == (account, call_id):
                return call
        raise NotFound("Call", call_id)

    def party(self, account: str, call_id: str) -> Party:
        return Party(self.call(account, call_id), None)  # type: ignore[arg-type]

    async def redirect_call(self, call: FakeCall, redirect: Redirect) -> None:
        self._do("redirect_call", call.id, redirect)

    async def complete_call(self, call: FakeCall) -> None:
        if call.state == "disconnected":
            raise Conflict(f"Call [{call.id}] cannot be modified in its current state")
        self._do("complete_call", call.id)

    async def replace_bxml(self, call: FakeCall, text: bytes) -> None:
        if not text.startswith(b"<"):
            raise Invalid("line 1: not XML")
        self._do("replace_bxml", call.id, text)

    def conferences(
        self,
        account: str,
        *,
        name: str | None = None,
        min_created: datetime | None = None,
        max_created: datetime | None = None,
    ) -> list[FakeConference]:
        return [
            conference
            for conference in self._conferences
            if conference.account == account
            and name in (None, conference.name)
            and _within(conference.created_time, min_created, max_created)
        ]

    def conference(self, account: str, conference_id: str) -> FakeConference:
        for conference in self._conferences:
            if (conference.account, conference.id) == (account, conference_id):
                return conference
        raise NotFound("Conference", conference_id)

    def seat(self, account: str, conference_id: str, call_id: str) -> tuple[FakeConference, FakeMember]:
        conference = self.conference(account, conference_id)
        if call_id not in conference.members:
            raise NotFound("Member", call_id)
        return conference, conference.members[call_id]

    async def complete_conference(self, conference: FakeConference) -> None:
        self._do("complete_conference", _live(conference).id)

    async def redirect_conference(self, conference: FakeConference, redirect: Redirect) -> None:
        self._do("redirect_conference", _live(conference).id, redirect)

    async def replace_conference_bxml(self, conference: FakeConference, text: bytes) -> None:
        identifier = _live(conference).id
        if not text.startswith(b"<"):
            raise Invalid("line 1: not XML")
        self._do("replace_conference_bxml", identifier, text)

    async def update_member(
        self,
        conference: FakeConference,
        call_id: str,
        *,
        mute: bool | None = None,
        hold: bool | None = None,
        coaches: Iterable[str] | None = None,
    ) -> None:
        member = _live(conference).members[call_id]
        self._do("update_member", call_id, mute, hold, coaches)
        member.mute = member.mute if mute is None else mute
        member.hold = member.hold if hold is None else hold
        member.coaches = member.coaches if coaches is None else tuple(coaches)

    def control_gain(self, member: FakeMember, on: bool) -> None:
        member.leg.gain = on

    def sound_of(self, member: FakeMember) -> LegStatistics | None:
        return None

    def voices(self, legs: Iterable[Leg]) -> dict[int, Voice]:
        """The part of media that the gallery looks at: what `heard` says."""
        return {leg.id: self.heard[leg.id] for leg in legs if leg.id in self.heard}

    def statistics(self, account: str) -> tuple[int, int]:
        return self.queue

    def _do(self, *what: object) -> None:
        if self.refuses is not None:
            refusal, self.refuses = self.refuses, None
            raise refusal
        self.done.append(what)


def _live(conference: FakeConference) -> FakeConference:
    if conference.completed_time is not None:
        raise NotFound("Conference", conference.id)
    return conference


def _within(moment: datetime | None, earliest: datetime | None, latest: datetime | None) -> bool:
    if moment is None:
        return earliest is None and latest is None
    return (earliest is None or earliest <= moment) and (latest is None or moment <= latest)
