"""Each status that the OpenAPI document promises for an operation is one that it really gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.body import MAX_BYTES
from api.dead_letters import DeadLetters
from calls.errors import Conflict, LimitReached, Unavailable
from tests.api.rest import ORDER
from tests.conformance import endpoints
from tests.support.fake_switchboard import FakeCall, FakeConference, FakeSwitchboard

XML = {"content": b"<Response><SpeakSentence>Hello</SpeakSentence></Response>"}
GOOD: dict[str, dict[str, Any]] = {
    "createCall": {"json": ORDER},
    "updateCall": {"json": {"redirectUrl": "http://127.0.0.1:9000/next"}},
    "updateCallBxml": {**XML, "headers": {"Content-Type": "application/xml"}},
    "updateConference": {"json": {"redirectUrl": "http://127.0.0.1:9000/next"}},
    "updateConferenceBxml": {**XML, "headers": {"Content-Type": "application/xml"}},
    "updateConferenceMember": {"json": {"mute": True}},
    "updateCallRecordingState": {"json": {"state": "paused"}},
    "createToken": {"data": {"grant_type": "client_credentials"}},
}
REFUSALS: dict[int, Callable[[], Exception]] = {
    409: lambda: Conflict("Call [c-1] cannot be modified in its current state"),
    429: lambda: LimitReached("Account call creation rate limit exceeded", retry_after=1),
    503: lambda: Unavailable("The server is stopping"),
}
KINDS = {
    401: "authentication-error",
    403: "authorization-error",
    429: "error",
    500: "internal-error",
    503: "system-overloaded",
}
# What names tests of other files only is shown there.
CASES = [row for row in endpoints.rows() if endpoints.CASE.format(row.operation, row.status) in row.tests]


@dataclass
class Stage:
    """A call in a conference, and the request that an operation wants."""

    switchboard: FakeSwitchboard
    call: FakeCall = field(init=False)
    conference: FakeConference = field(init=False)

    def __post_init__(self) -> None:
        self.call = self.switchboard.add_call()
        self.conference = self.switchboard.add_conference()
        self.conference.join(self.call)

    def path(self, template: str, *, account: str = "9900000", known: bool = True) -> str:
        ids = {
            "accountId": account,
            "callId": self.call.id,
            "conferenceId": self.conference.id,
            "memberId": self.call.id,
            "otherCallId": self.call.id,
        }
        if not known:
            ids = {"accountId": account} | dict.fromkeys(ids.keys() - {"accountId"}, "unknown")
        return template.format(**{"recordingId": "r-1", "transcriptionId": "t-1", "eventId": "e-1", **ids})


def broken(*_: object, **__: object) -> object:
    raise RuntimeError("the inner words")


def request_for(row: endpoints.Row) -> dict[str, Any]:
    """A good request of this operation, or one to which this status is the answer."""
    good = dict(GOOD.get(row.operation, {}))
    match row.status:
        case 400 if not good:
            return {"params": {"pageSize": "0", "minStartTime": "yesterday"}}
        case 400:
            return {"content": b"[", "headers": _type(good)}
        case 413:
            return {"content": b" " * (MAX_BYTES + 1), "headers": _type(good)}
        case 415:
            return {"content": b"{}", "headers": {"Content-Type": "text/plain"}}
        case 422:
            return {**good, "headers": {"Idempotency-Key": "the-same"}}
    return good


def _type(good: dict[str, Any]) -> dict[str, str]:
    if "data" in good:
        return {"Content-Type": "application/x-www-form-urlencoded"}
    return dict(good.get("headers", {"Content-Type": "application/json"}))


@pytest.mark.parametrize("row", CASES, ids=lambda row: f"{row.operation}-{row.status}")
async def test_an_operation_gives_each_status_that_it_promises(
    app: FastAPI,
    anonymous: httpx.AsyncClient,
    switchboard: FakeSwitchboard,
    monkeypatch: pytest.MonkeyPatch,
    row: endpoints.Row,
) -> None:
    stage = Stage(switchboard)
    account = "1111111" if row.status == 403 else "9900000"
    path = stage.path(row.path, account=account, known=row.status != 404)
    request = request_for(row)
    if row.status != 401:
        request["auth"] = httpx.BasicAuth("demo", "secret")
    if row.status in REFUSALS:
        switchboard.refuses = REFUSALS[row.status]()
    if row.status == 500:
        for name in [name for name in dir(FakeSwitchboard) if not name.startswith("_")]:
            monkeypatch.setattr(FakeSwitchboard, name, broken)
        for name in ("of", "take"):
            monkeypatch.setattr(DeadLetters, name, broken)
    if row.status == 422:
        assert (await anonymous.request(row.method, path, **request)).status_code == 201
        request["json"] = {**ORDER, "tag": "another"}
    response = await anonymous.request(row.method, path, **request)
    assert response.status_code == row.status
    if row.status >= 400 and row.operation != "createToken":
        body = response.json()
        assert set(body) == {"type", "description", "id"}
        assert body["type"] == KINDS.get(row.status, "validation")
