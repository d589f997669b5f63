"""Conferences and members by REST: each status, each field. Source: contract, conferences."""

from datetime import timedelta

import httpx
import pytest

from calls.callbacks import Callback
from calls.errors import Invalid
from calls.order import Redirect
from tests.api.rest import fault, pages
from tests.support.fake_switchboard import START, FakeSwitchboard

XML = {"Content-Type": "application/xml"}
REDIRECT = {"redirectUrl": "https://app.example/r"}


# GET /conferences


async def test_conferences_are_listed_without_their_members(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    events = Callback(url="https://app.example/conf", method="GET", username="u", password="p")
    ended = switchboard.add_conference(completed_time=START + timedelta(minutes=14), events=events, tag="t")
    live = switchboard.add_conference("daily", created_time=START + timedelta(minutes=20))
    switchboard.add_conference(account="1111111")
    response = await client.get("/conferences")
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    assert response.json() == [
        {
            "id": ended.id,
            "name": "standup",
            "createdTime": "2026-02-03T09:00:00.120Z",
            "completedTime": "2026-02-03T09:14:00.120Z",
            "conferenceEventUrl": "https://app.example/conf",
            "conferenceEventMethod": "GET",
            "tag": "t",
        },
        {
            "id": live.id,
            "name": "daily",
            "createdTime": "2026-02-03T09:20:00.120Z",
            "completedTime": None,
            "conferenceEventUrl": None,
            "conferenceEventMethod": "POST",
            "tag": None,
        },
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "b"}, [1]),
        ({"name": "B"}, []),
        ({"minCreatedTime": "2026-02-03T09:00:01.120Z"}, [1, 2]),
        ({"maxCreatedTime": "2026-02-03T09:00:01.120Z"}, [0, 1]),
    ],
)
async def test_conferences_are_filtered(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, query: dict[str, str], found: list[int]
) -> None:
    conferences = [
        switchboard.add_conference(name, created_time=START + timedelta(seconds=second))
        for second, name in enumerate("abc")
    ]
    rows = (await client.get("/conferences", params=query)).json()
    assert [row["id"] for row in rows] == [conferences[index].id for index in found]


async def test_pages_of_conferences_follow_each_other(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    ids = [switchboard.add_conference().id for _ in range(5)]
    assert await pages(client, "/conferences?name=standup&pageSize=2") == [ids[:2], ids[2:4], ids[4:]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("pageSize=1001", "Invalid pageSize: must be at most 1000, but was 1001"),
        ("pageSize=-1", "Invalid pageSize: must be at least 1, but was -1"),
        ("pageToken=!", "Invalid pageToken: must come from a Link header"),
        ("minCreatedTime=x", "Invalid minCreatedTime: must be a time"),
        ("maxCreatedTime=2026-13-01T00:00:00Z", "Invalid maxCreatedTime: must be a time"),
    ],
)
async def test_a_wrong_query_names_the_parameter(
    client: httpx.AsyncClient, query: str, expected: str
) -> None:
    assert fault(await client.get(f"/conferences?{query}")).startswith(expected)


# GET /conferences/{conferenceId}


async def test_a_conference_is_shown_with_its_members(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    conference = switchboard.add_conference()
    agent, coach = switchboard.add_call(), switchboard.add_call()
    conference.join(agent)
    conference.join(coach).coaches = (agent.id,)
    body = (await client.get(f"/conferences/{conference.id}")).json()
    assert len(body["id"]) == 50
    members = f"http://voice.example:8080/api/v2/accounts/9900000/conferences/{conference.id}/members"
    assert body["activeMembers"] == [
        {
            "callId": agent.id,
            "conferenceId": conference.id,
            "memberUrl": f"{members}/{agent.id}",
            "mute": False,
            "hold": False,
            "callIdsToCoach": [],
        },
        {
            "callId": coach.id,
            "conferenceId": conference.id,
            "memberUrl": f"{members}/{coach.id}",
            "mute": False,
            "hold": False,
            "callIdsToCoach": [agent.id],
        },
    ]


async def test_an_ended_conference_is_shown_without_members(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    conference = switchboard.add_conference(completed_time=START)
    body = (await client.get(f"/conferences/{conference.id}")).json()
    assert body["completedTime"] == "2026-02-03T09:00:00.120Z"
    assert body["activeMembers"] == []


async def test_a_name_is_no_id(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    switchboard.add_conference("standup")
    assert fault(await client.get("/conferences/standup"), 404) == "Conference [standup] not found"


async def test_another_accounts_conference_is_404_on_ones_own_path(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    foreign = switchboard.add_conference(account="1111111")
    call = switchboard.add_call()
    foreign.join(call)
    paths = (
        ("GET", ""),
        ("POST", ""),
        ("PUT", "/bxml"),
        ("GET", f"/members/{call.id}"),
        ("PUT", f"/members/{call.id}"),
    )
    for method, path in paths:
        response = await client.request(method, f"/conferences/{foreign.id}{path}", content=b"x")
        assert fault(response, 404) == f"Conference [{foreign.id}] not found"


# POST /conferences/{conferenceId}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"redirectMethod": "POST", "redirectFallbackMethod": "POST"},
        {"username": "u", "password": "p"},
        {"state": "active", "tag": "t", "callbackTimeout": "x"},
    ],
)
async def test_a_conference_is_ended_however_clients_say_it(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, more: dict[str, str]
) -> None:
    conference = switchboard.add_conference()
    response = await client.post(f"/conferences/{conference.id}", json={"status": "completed"} | more)
    assert (response.status_code, response.content) == (204, b"")
    assert switchboard.done == [("complete_conference", conference.id)]


async def test_a_conference_is_redirected(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    conference = switchboard.add_conference(callback_timeout=3.0)
    response = await client.post(f"/conferences/{conference.id}", json=REDIRECT | {"redirectMethod": "GET"})
    assert (response.status_code, response.content) == (204, b"")
    expected = Redirect(Callback(url="https://app.example/r", method="GET", timeout=3.0))
    assert switchboard.done == [("redirect_conference", conference.id, expected)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "Invalid redirectUrl: is required with status active"),
        ({"state": "completed"}, "Invalid redirectUrl: is required with status active"),
        ({"status": "completed"} | REDIRECT, "Invalid redirectUrl: is not allowed with status completed"),
        ({"status": 3}, "Invalid status: must be 'active' or 'completed'"),
        ({"redirectUrl": "http://10.0.0.1/"}, "Invalid redirectUrl: 10.0.0.1 is not a public address"),
        (REDIRECT | {"redirectFallbackUrl": "x"}, "Invalid redirectFallbackUrl: must be an absolute"),
        (REDIRECT | {"username": []}, "Invalid username: must be a string"),
    ],
)
async def test_a_wrong_update_names_the_field(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, body: object, expected: str
) -> None:
    conference = switchboard.add_conference()
    assert fault(await client.post(f"/conferences/{conference.id}", json=body)).startswith(expected)
    assert switchboard.done == []


@pytest.mark.parametrize("body", [{"status": "completed"}, REDIRECT])
async def test_an_ended_conference_takes_no_updates(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, body: dict[str, str]
) -> None:
    conference = switchboard.add_conference(completed_time=START)
    response = await client.post(f"/conferences/{conference.id}", json=body)
    assert fault(response, 404) == f"Conference [{conference.id}] not found"


# PUT /conferences/{conferenceId}/bxml


async def test_a_conference_is_given_a_document(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    conference = switchboard.add_conference()
    response = await client.put(f"/conferences/{conference.id}/bxml", content=b"<Bxml/>", headers=XML)
    assert (response.status_code, response.content) == (204, b"")
    assert switchboard.done == [("replace_conference_bxml", conference.id, b"<Bxml/>")]


async def test_what_is_no_document_is_400(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    conference = switchboard.add_conference()
    response = await client.put(f"/conferences/{conference.id}/bxml", content=b"hello", headers=XML)
    assert fault(response) == "line 1: not XML"


@pytest.mark.parametrize("document", [b"<Bxml/>", b"hello"])
async def test_an_ended_conference_takes_no_document(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, document: bytes
) -> None:
    conference = switchboard.add_conference(completed_time=START)
    response = await client.put(f"/conferences/{conference.id}/bxml", content=document, headers=XML)
    assert fault(response, 404) == f"Conference [{conference.id}] not found"


# Members


async def test_a_member_is_shown(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    conference, call = switchboard.add_conference(), switchboard.add_call()
    conference.join(call).mute = True
    response = await client.get(f"/conferences/{conference.id}/members/{call.id}")
    assert response.status_code == 200
    assert response.json()["mute"] is True
    assert response.json()["callIdsToCoach"] == []


@pytest.mark.parametrize(
    ("body", "mute", "hold", "coaches"),
    [
        ({"mute": True}, True, None, None),
        ({"hold": False}, None, False, None),
        ({"callIdsToCoach": []}, None, None, []),
        ({"callIdsToCoach": [""]}, None, None, []),
        ({"callIdsToCoach": [" c-1 ", "", "c-2", " "]}, None, None, ["c-1", "c-2"]),
        ({"mute": False, "callIdsToCoach": ["c-1", "c-1"]}, False, None, ["c-1", "c-1"]),
        ({"mute": None, "hold": None, "callIdsToCoach": None}, None, None, None),
        ({}, None, None, None),
        ({"colour": 1}, None, None, None),
    ],
)
async def test_only_what_is_given_changes(
    client: httpx.AsyncClient,
    switchboard: FakeSwitchboard,
    body: dict[str, object],
    mute: bool | None,
    hold: bool | None,
    coaches: list[str] | None,
) -> None:
    conference, call = switchboard.add_conference(), switchboard.add_call()
    conference.join(call)
    response = await client.put(f"/conferences/{conference.id}/members/{call.id}", json=body)
    assert (response.status_code, response.content) == (204, b"")
    assert switchboard.done == [("update_member", call.id, mute, hold, coaches)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"mute": "true"}, "Invalid mute: must be true or false"),
        ({"hold": 0}, "Invalid hold: must be true or false"),
        ({"callIdsToCoach": "c-1,c-2"}, "Invalid callIdsToCoach: must be a list"),
        ({"callIdsToCoach": ["c-1", 2]}, "Invalid callIdsToCoach[1]: must be a string"),
        ({"callIdsToCoach": {"a": 1}}, "Invalid callIdsToCoach: must be a list"),
        ("mute", "The body must be a JSON object"),
    ],
)
async def test_a_wrong_member_update_names_the_field(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, body: object, expected: str
) -> None:
    conference, call = switchboard.add_conference(), switchboard.add_call()
    conference.join(call)
    response = await client.put(f"/conferences/{conference.id}/members/{call.id}", json=body)
    assert fault(response) == expected
    assert switchboard.done == []


async def test_a_second_coach_is_400(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    conference, call = switchboard.add_conference(), switchboard.add_call()
    conference.join(call)
    switchboard.refuses = Invalid("Conference standup already has a coach: c-1")
    response = await client.put(
        f"/conferences/{conference.id}/members/{call.id}", json={"callIdsToCoach": ["c-2"]}
    )
    assert fault(response) == "Conference standup already has a coach: c-1"


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_who_is_not_in_is_404(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, method: str
) -> None:
    conference, call = switchboard.add_conference(), switchboard.add_call()
    response = await client.request(
        method, f"/conferences/{conference.id}/members/{call.id}", content=b"nonsense"
    )
    assert fault(response, 404) == f"Member [{call.id}] not found"
