"""What the contract says of each event, as a judge of the events that an application really gets."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_PARTY = re.compile(r"\+[0-9]+|sip:[^\s<>]+|Restricted|Anonymous|Private|Unavailable")
_SOMETHING = re.compile(r".+", re.DOTALL)
_SHAPES = {
    "accountId": re.compile(r"[^/\s]+"),
    "applicationId": re.compile(r"\S+"),
    "callUrl": re.compile(r"https?://[^/]+/api/v2/accounts/[^/]+/calls/c-[0-9a-f-]{45}"),
    "from": _PARTY,
    "to": _PARTY,
    "transferCallerId": _PARTY,
    "transferTo": re.compile(r"\+[0-9]+|sip:[^\s<>]+"),
    "name": re.compile(r"[A-Za-z0-9_.-]{1,100}"),
    "digits": re.compile(r"[0-9*#A-D]*"),
    "terminatingDigit": re.compile(r"[0-9*#A-D]?"),
    "cause": re.compile(
        r"hangup|busy|timeout|cancel|rejected|callback-error|invalid-bxml|application-error|account-limit|"
        r"node-capacity-exceeded|error|unknown"
    ),
    "tag": _SOMETHING,
    "errorMessage": _SOMETHING,
    "sipCallId": re.compile(r"\S+"),
    "uui": _SOMETHING,
    "eventTime": _TIME,
    "enqueuedTime": _TIME,
    "startTime": _TIME,
    "answerTime": _TIME,
    "endTime": _TIME,
    "callId": re.compile(r"c-[0-9a-f-]{45}"),
    "parentCallId": re.compile(r"c-[0-9a-f-]{45}"),
    "conferenceId": re.compile(r"conf-[0-9a-f-]{45}"),
    "errorId": re.compile(r"[0-9a-f-]{36}"),
    "direction": re.compile(r"inbound|outbound"),
    "digit": re.compile(r"[0-9*#A-D]"),
    "sipResponseCode": re.compile(r"[3-6]\d\d"),
    "referCallStatus": re.compile(r"success|failure"),
    "referSipResponseCode": re.compile(r"[2-6]\d\d"),
    "notifySipResponseCode": re.compile(r"[2-6]\d\d"),
}
_WHOLE = {"sipResponseCode", "referSipResponseCode", "notifySipResponseCode"}
_FLAGS = {"privacy"}
_OBJECTS = {"diversion", "sipHeaders", "stirShaken"}
_IN_ORDER = ("enqueuedTime", "startTime", "answerTime", "endTime", "eventTime")


# What is the same in all events of one call, and in all of one conference.
_OF_A_CALL = (
    "accountId", "applicationId", "parentCallId", "from", "to", "direction",
    "enqueuedTime", "startTime", "answerTime", "endTime",
)  # fmt: skip
_OF_A_CONFERENCE = ("name", "tag")


@dataclass(frozen=True)
class Field:
    """One field of one event. Either `tests` show it, or `reason` says why it does not come yet."""

    event: str
    name: str
    always: bool
    tests: tuple[str, ...]
    reason: str


@cache
def fields() -> dict[str, dict[str, Field]]:
    """Event, then name of the field."""
    data = tomllib.loads(Path(__file__).with_name("events.toml").read_text())
    return {event: _fields(event, stated, data["groups"]) for event, stated in data["events"].items()}


def _fields(event: str, stated: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Field]:
    group = groups[stated["group"]]
    tests, reason = tuple(stated.get("tests", ())), stated.get("reason", "")
    always = [*group["always"], *stated.get("always", ())]
    found = {name: Field(event, name, True, tests, reason) for name in always}
    for name, shown in {**group["sometimes"], **stated.get("sometimes", {})}.items():
        if name not in found and name not in stated.get("never", ()):
            own = (
                () if isinstance(shown, str) or reason else tuple(test.format(event=event) for test in shown)
            )
            why = reason or (shown if isinstance(shown, str) else "")
            found[name] = Field(event, name, False, own, why)
    return found


def faults(event: Mapping[str, Any]) -> list[str]:
    """What is wrong with an event as JSON or as query parameters: missing, unknown or misshapen fields."""
    kind = str(event.get("eventType"))
    known = fields().get(kind)
    if known is None:
        return [f"{kind} is no event of the contract"]
    found = [f"{kind} lacks {name}" for name, field in known.items() if field.always and name not in event]
    for name, value in event.items():
        if name not in known:
            found.append(f"{kind} has {name}, which the contract does not know")
        elif known[name].reason:
            found.append(f"{kind} has {name}, of which the table says: {known[name].reason}")
        elif not _fits(name, value):
            found.append(f"{kind} {name} is {value!r}")
    return found + [f"{kind} {fault}" for fault in _contradictions(event)]


def disagreements(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where events of one call, or of one conference, say different things that cannot have changed."""
    said: dict[tuple[str, str], tuple[str, object]] = {}
    found = []
    for event in events:
        about, same = event.get("conferenceId"), _OF_A_CONFERENCE
        if about is None:
            about, same = event.get("callId"), _OF_A_CALL
        for name in same:
            if (value := event.get(name)) is not None:
                kind, before = said.setdefault((str(about), name), (str(event["eventType"]), value))
                if value != before:
                    found.append(f"{event['eventType']} {name} is {value!r}, in {kind} it was {before!r}")
    return found


def _contradictions(event: Mapping[str, Any]) -> Iterator[str]:
    """What fields say that are right each for itself."""
    url = event.get("callUrl")
    if url is not None and not str(url).endswith(f"/{event.get('accountId')}/calls/{event.get('callId')}"):
        yield f"callUrl {url} is another call's"
    times = [name for name in _IN_ORDER if name in event]
    for sooner, later in pairwise(times):
        if str(event[sooner]) > str(event[later]):
            yield f"{sooner} {event[sooner]} is later than {later} {event[later]}"
    if ("errorId" in event) != ("errorMessage" in event):
        yield "has one of errorId and errorMessage alone"


def _fits(name: str, value: object) -> bool:
    """Flags, numbers and objects may be text: as query parameters all values are."""
    if name in _OBJECTS and not isinstance(value, str):
        return isinstance(value, dict) and all(isinstance(part, str) for part in (*value, *value.values()))
    if name in _FLAGS:
        return isinstance(value, bool) or value in ("true", "false")
    if isinstance(value, bool) or not isinstance(value, (int, str) if name in _WHOLE else str):
        return False
    return name not in _SHAPES or _SHAPES[name].fullmatch(str(value)) is not None
