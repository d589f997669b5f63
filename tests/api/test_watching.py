"""Conference events as a stream over HTTP: who may watch, what is sent, and readers that stall or go."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI

from api import watching
from api.server import HttpServer
from calls.gallery import MOST_STREAMS, MOST_WAITING
from tests.api.test_gate import GOOD
from tests.support.eventually import eventually
from tests.support.fake_switchboard import FakeConference, FakeSwitchboard

OWN = "/api/mixminus/v1/accounts/9900000/conferences"


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[HttpServer]:
    server = HttpServer(app, "127.0.0.1:0", grace=1)
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def watcher(server: HttpServer) -> AsyncIterator[httpx.AsyncClient]:
    host, port = server.address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", auth=("demo", "secret")) as client:
        yield client


@pytest.fixture
def conference(switchboard: FakeSwitchboard) -> FakeConference:
    conference = switchboard.add_conference()
    conference.join(switchboard.add_call())
    return conference


async def told(lines: AsyncIterator[str]) -> dict[str, object]:
    """The next event, whose three lines agree."""
    found: dict[str, str] = {}
    async for line in lines:
        if not line and found:
            break
        name, _, value = line.partition(": ")
        if name:
            found[name] = value
    news: dict[str, object] = json.loads(found["data"])
    assert found["event"] == news["eventType"] and int(found["id"]) >= 1
    return news


@pytest.mark.parametrize(
    ("account", "headers", "status"), [("9900000", {}, 401), ("1111111", GOOD, 403), ("9900000", GOOD, 404)]
)
@pytest.mark.parametrize("prefix", ["/api/mixminus/v1", "/api/v2"])
async def test_a_stream_is_behind_the_same_walls(
    anonymous: httpx.AsyncClient, prefix: str, account: str, headers: dict[str, str], status: int
) -> None:
    path = f"{prefix}/accounts/{account}/conferences/conf-x/events"
    assert (await anonymous.get(path, headers=headers)).status_code == status


async def test_another_accounts_conference_is_not_found(
    switchboard: FakeSwitchboard, watcher: httpx.AsyncClient
) -> None:
    other = switchboard.add_conference(account="1111111")
    assert (await watcher.get(f"{OWN}/{other.id}/events")).status_code == 404


async def test_an_ended_conference_tells_browsers_not_to_come_back(
    switchboard: FakeSwitchboard, watcher: httpx.AsyncClient
) -> None:
    ended = switchboard.add_conference(completed_time=datetime.now(UTC))
    assert (await watcher.get(f"{OWN}/{ended.id}/events")).status_code == 204


@pytest.mark.parametrize("prefix", [OWN, "/api/v2/accounts/9900000/conferences"])
async def test_what_happens_is_sent_at_once_and_the_stream_ends_with_the_conference(
    switchboard: FakeSwitchboard, conference: FakeConference, watcher: httpx.AsyncClient, prefix: str
) -> None:
    (member,) = conference.members.values()
    async with watcher.stream("GET", f"{prefix}/{conference.id}/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        lines = response.aiter_lines()
        assert (await told(lines))["eventType"] == "state"
        switchboard.gallery.tell(conference, "mute", member, mute=True)  # type: ignore[arg-type]
        news = await told(lines)
        assert (news["eventType"], news["callId"], news["mute"]) == ("mute", member.call_id, True)
        switchboard.gallery.tell(conference, "end")  # type: ignore[arg-type]
        assert (await told(lines))["eventType"] == "end"
        assert [line async for line in lines] == []
    await eventually(lambda: len(switchboard.gallery) == 0)


async def test_a_silent_stream_shows_that_it_lives(
    conference: FakeConference, watcher: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "HEARTBEAT", 0.05)
    async with watcher.stream("GET", f"{OWN}/{conference.id}/events") as response:
        lines = response.aiter_lines()
        await told(lines)
        assert await anext(lines) == ": still here"


async def test_a_reader_that_goes_is_forgotten(
    switchboard: FakeSwitchboard, conference: FakeConference, watcher: httpx.AsyncClient
) -> None:
    async with watcher.stream("GET", f"{OWN}/{conference.id}/events") as response:
        await told(response.aiter_lines())
        assert len(switchboard.gallery) == 1
    await eventually(lambda: len(switchboard.gallery) == 0)


async def test_a_reader_that_stalls_holds_a_bounded_queue_and_delays_nobody(
    switchboard: FakeSwitchboard, conference: FakeConference, server: HttpServer, watcher: httpx.AsyncClient
) -> None:
    _, writer = await asyncio.open_connection(*server.address, limit=1024)
    authorization = GOOD["Authorization"]
    writer.write(
        f"GET {OWN}/{conference.id}/events HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: {authorization}\r\n\r\n".encode()
    )
    await eventually(lambda: len(switchboard.gallery) == 1)
    async with watcher.stream("GET", f"{OWN}/{conference.id}/events") as response:
        lines = response.aiter_lines()
        await told(lines)
        for number in range(60):
            for _ in range(MOST_WAITING // 2):
                switchboard.gallery.tell(conference, "hold", text="x" * 1000)  # type: ignore[arg-type]
            switchboard.gallery.tell(conference, "mute", number=number)  # type: ignore[arg-type]
            while (await told(lines)).get("number") != number:
                pass
        assert switchboard.gallery.missed > 1000
    writer.transport.abort()
    await eventually(lambda: len(switchboard.gallery) == 0)


async def test_who_may_not_watch_any_more_is_told_nothing_more(
    switchboard: FakeSwitchboard, conference: FakeConference, watcher: httpx.AsyncClient
) -> None:
    async with watcher.stream("GET", f"{OWN}/{conference.id}/events") as response:
        lines = response.aiter_lines()
        await told(lines)
        switchboard.gallery.dismiss({"1111111"})
        switchboard.gallery.tell(conference, "mute", mute=True)  # type: ignore[arg-type]
        assert (await told(lines))["eventType"] == "mute"
        switchboard.gallery.tell(conference, "mute", mute=False)  # type: ignore[arg-type]
        switchboard.gallery.dismiss({"9900000"})
        assert len(switchboard.gallery) == 0
        assert [line async for line in lines] == []


async def test_who_asks_for_the_header_alone_holds_no_place(
    switchboard: FakeSwitchboard, conference: FakeConference, watcher: httpx.AsyncClient
) -> None:
    response = await watcher.head(f"{OWN}/{conference.id}/events")
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
    assert len(switchboard.gallery) == 0


async def test_one_stream_too_many_is_refused_with_a_time(
    switchboard: FakeSwitchboard, conference: FakeConference, watcher: httpx.AsyncClient
) -> None:
    for _ in range(MOST_STREAMS):
        switchboard.gallery.watch(conference)  # type: ignore[arg-type]
    response = await watcher.get(f"{OWN}/{conference.id}/events")
    assert response.status_code == 429 and int(response.headers["retry-after"]) > 0


async def test_how_a_member_sounds_is_seen_and_changed(
    conference: FakeConference, watcher: httpx.AsyncClient
) -> None:
    (member,) = conference.members.values()
    url = f"{OWN}/{conference.id}/members/{member.call_id}"
    assert (await watcher.get(url)).json()["gainControl"] is False
    assert (await watcher.put(url, json={"gainControl": True})).status_code == 204
    assert (await watcher.get(url)).json()["gainControl"] is True
    refused = await watcher.put(url, json={"gainControl": "yes"})
    assert refused.status_code == 400 and "gainControl" in refused.json()["description"]
    assert (await watcher.put(f"{OWN}/{conference.id}/members/c-x", json={})).status_code == 404


@pytest.mark.parametrize(
    ("account", "headers", "status"), [("9900000", {}, 401), ("1111111", GOOD, 403), ("9900000", GOOD, 404)]
)
async def test_how_members_sound_is_behind_the_same_walls(
    anonymous: httpx.AsyncClient,
    conference: FakeConference,
    account: str,
    headers: dict[str, str],
    status: int,
) -> None:
    path = f"/api/mixminus/v1/accounts/{account}/conferences/{conference.id}/members/"
    for method in ("GET", "PUT"):
        response = await anonymous.request(method, path + "c-x", headers=headers, json={"gainControl": True})
        assert response.status_code == status
    (call,) = conference.members
    response = await anonymous.put(path + call, headers=headers, content=b"true")
    assert response.status_code == (415 if status == 404 else status)


async def test_it_is_documented_once(anonymous: httpx.AsyncClient) -> None:
    paths = (await anonymous.get("/openapi.json")).json()["paths"]
    mine = [path for path in paths if path.endswith("/conferences/{conferenceId}/events")]
    assert mine == ["/api/mixminus/v1/accounts/{accountId}/conferences/{conferenceId}/events"]
    assert "text/event-stream" in paths[mine[0]]["get"]["responses"]["200"]["content"]
