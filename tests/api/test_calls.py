"""Calls that exist, by REST: each status, each field. Source: contract, listCalls to updateCallBxml."""

import re
from datetime import timedelta

import httpx
import pytest

from calls.callbacks import Callback
from calls.errors import Conflict
from calls.order import Redirect
from tests.api.rest import fault, pages
from tests.support.fake_switchboard import START, FakeSwitchboard

XML = {"Content-Type": "application/xml"}


# GET /calls


async def test_calls_are_listed_with_null_for_what_has_not_happened(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    call = switchboard.add_call(state="initiated")
    switchboard.add_call(account="1111111")
    response = await client.get("/calls")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    assert "link" not in response.headers
    assert response.json() == [
        {
            "callId": call.id,
            "parentCallId": None,
            "applicationId": call.application_id,
            "accountId": "9900000",
            "to": "+19195551234",
            "from": "+19195554321",
            "direction": "inbound",
            "state": "initiated",
            "identity": None,
            "stirShaken": None,
            "enqueuedTime": None,
            "startTime": "2026-02-03T09:00:00.120Z",
            "answerTime": None,
            "endTime": None,
            "disconnectCause": None,
            "errorMessage": None,
            "errorId": None,
            "lastUpdate": "2026-02-03T09:00:00.120Z",
        }
    ]


async def test_no_calls_are_an_empty_list(client: httpx.AsyncClient) -> None:
    assert (await client.get("/calls")).json() == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"to": "+1"}, [1]),
        ({"from": "+2"}, [2]),
        ({"to": "+1", "from": "+2"}, []),
        ({"disconnectCause": "busy"}, [3]),
        ({"minStartTime": "2026-02-03T09:00:02.120Z"}, [2, 3]),
        ({"maxStartTime": "2026-02-03T10:00:01.120+01:00"}, [0, 1]),
        ({"minStartTime": "2026-02-03T09:00:01", "maxStartTime": "2026-02-03T09:00:02"}, [1]),
    ],
)
async def test_calls_are_filtered(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, query: dict[str, str], found: list[int]
) -> None:
    more = [{}, {"to": "+1"}, {"from_": "+2"}, {"disconnect_cause": "busy"}]
    calls = [
        switchboard.add_call(start_time=START + timedelta(seconds=second), **settings)
        for second, settings in enumerate(more)
    ]
    rows = (await client.get("/calls", params=query)).json()
    assert [row["callId"] for row in rows] == [calls[index].id for index in found]


async def test_pages_follow_each_other_to_the_end_and_keep_the_filter(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    wanted = []
    for number in range(7):
        switchboard.add_call(to="+2")
        wanted.append(switchboard.add_call(to="+1", start_time=START + timedelta(seconds=number)).id)
    found = await pages(client, "/calls?to=%2B1&pageSize=3")
    assert found == [wanted[:3], wanted[3:6], wanted[6:]]


async def test_an_empty_filter_stays_in_the_link(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    ids = [switchboard.add_call(to="").id for _ in range(3)]
    switchboard.add_call()
    assert await pages(client, "/calls?to=&pageSize=2") == [ids[:2], ids[2:]]


async def test_a_full_last_page_has_no_link(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    ids = [switchboard.add_call().id for _ in range(4)]
    assert await pages(client, "/calls?pageSize=2") == [ids[:2], ids[2:]]


async def test_the_next_page_is_found_when_its_landmark_has_left_the_list(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    calls = [switchboard.add_call(start_time=START + timedelta(seconds=second)) for second in range(4)]
    link = (await client.get("/calls?pageSize=2")).headers["link"]
    switchboard._calls.remove(calls[1])
    token = re.search(r"pageToken=([^>]*)>", link)
    assert token is not None
    rows = (await client.get(f"/calls?pageSize=2&pageToken={token[1]}")).json()
    assert [row["callId"] for row in rows] == [calls[2].id, calls[3].id]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("pageSize=0", "Invalid pageSize: must be at least 1, but was 0"),
        ("pageSize=10001", "Invalid pageSize: must be at most 10000, but was 10001"),
        ("pageSize=many", "Invalid pageSize: must be a whole number"),
        ("pageToken=xyz", "Invalid pageToken: must come from a Link header"),
        ("pageToken=", "Invalid pageToken: must come from a Link header"),
        ("pageToken=%C3%A4", "Invalid pageToken: must come from a Link header"),
        ("pageToken=OTk5OTk5OTk5OTk5OTk5OTk5OTk6YQ", "Invalid pageToken: must come"),
        ("minStartTime=yesterday", "Invalid minStartTime: must be a time in ISO 8601 form"),
        ("maxStartTime=1655834353", "Invalid maxStartTime: must be a time in ISO 8601 form"),
    ],
)
async def test_a_wrong_query_names_the_parameter(
    client: httpx.AsyncClient, query: str, expected: str
) -> None:
    assert fault(await client.get(f"/calls?{query}")).startswith(expected)


# GET /calls/{callId}


async def test_one_call_is_an_object(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call(
        direction="outbound",
        state="disconnected",
        enqueued_time=START,
        end_time=START + timedelta(seconds=9),
        disconnect_cause="invalid-bxml",
        error_message="line 1: <Say> is no verb",
        error_id="4642074b-7b58-478b-96e4-3a60955c6765",
        parent="c-parent",
    )
    body = (await client.get(f"/calls/{call.id}")).json()
    assert body["callId"] == call.id
    assert body["parentCallId"] == "c-parent"
    assert body["endTime"] == "2026-02-03T09:00:09.120Z"
    assert body["errorMessage"] == "line 1: <Say> is no verb"


async def test_an_unknown_call_is_404(client: httpx.AsyncClient) -> None:
    assert fault(await client.get("/calls/c-nobody"), 404) == "Call [c-nobody] not found"


async def test_another_accounts_call_is_404_on_ones_own_path(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    foreign = switchboard.add_call(account="1111111")
    for method, path in (("GET", ""), ("POST", ""), ("PUT", "/bxml")):
        response = await client.request(method, f"/calls/{foreign.id}{path}", content=b"nonsense")
        assert fault(response, 404) == f"Call [{foreign.id}] not found"


# POST /calls/{callId}


async def test_a_call_is_redirected(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call(callback_timeout=4.0)
    response = await client.post(
        f"/calls/{call.id}",
        json={
            "redirectUrl": "https://app.example/r",
            "redirectMethod": "GET",
            "username": "u",
            "password": "p",
            "redirectFallbackUrl": "https://second.example/r",
            "redirectFallbackMethod": "GET",
            "fallbackUsername": "fu",
            "fallbackPassword": "fp",
            "tag": "",
        },
    )
    assert (response.status_code, response.content) == (200, b"")
    expected = Callback(
        url="https://app.example/r",
        method="GET",
        fallback_url="https://second.example/r",
        fallback_method="GET",
        username="u",
        password="p",
        fallback_username="fu",
        fallback_password="fp",
        timeout=4.0,
    )
    assert switchboard.done == [("redirect_call", call.id, Redirect(expected, tag=""))]


async def test_the_sdks_way_to_hang_up_is_taken(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    call = switchboard.add_call()
    body = {
        "state": "completed",
        "redirectMethod": "POST",
        "redirectFallbackMethod": "POST",
        "username": "u",
        "password": "p",
        "redirectUrl": None,
        "tag": None,
    }
    response = await client.post(f"/calls/{call.id}", json=body)
    assert (response.status_code, response.content) == (200, b"")
    assert switchboard.done == [("complete_call", call.id)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "Invalid redirectUrl: is required with state active"),
        ({"state": "active"}, "Invalid redirectUrl: is required with state active"),
        ({"redirectUrl": "/relative"}, "Invalid redirectUrl: must be an absolute http or https URL"),
        ({"redirectUrl": 5}, "Invalid redirectUrl: must be a string"),
        ({"redirectUrl": "http://10.0.0.1/"}, "Invalid redirectUrl: 10.0.0.1 is not a public address"),
        ({"redirectUrl": "http://[fd00::1]/"}, "Invalid redirectUrl: fd00::1 is not a public address"),
        ({"redirectUrl": "http://h:25/"}, "Invalid redirectUrl: port 25 may not be called"),
        (
            {"redirectUrl": "http://h/", "redirectFallbackUrl": "http://169.254.169.254/"},
            "Invalid redirectFallbackUrl: 169.254.169.254 is a metadata service's address",
        ),
        ({"state": "over"}, "Invalid state: must be 'active' or 'completed'"),
        ({"state": "completed", "redirectUrl": "http://h/"}, "Invalid redirectUrl: is not allowed with"),
        ({"state": "completed", "tag": ""}, "Invalid tag: is not allowed with state completed"),
        ({"redirectUrl": "http://h/", "tag": 1}, "Invalid tag: must be a string"),
        ([], "The body must be a JSON object"),
    ],
)
async def test_a_wrong_update_names_the_field(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, body: object, expected: str
) -> None:
    call = switchboard.add_call()
    assert fault(await client.post(f"/calls/{call.id}", json=body)).startswith(expected)
    assert switchboard.done == []


async def test_an_ended_call_is_409(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call(state="disconnected")
    description = fault(await client.post(f"/calls/{call.id}", json={"state": "completed"}), 409)
    assert description == f"Call [{call.id}] cannot be modified in its current state"


# PUT /calls/{callId}/bxml


@pytest.mark.parametrize(
    "content_type", ["application/xml", "application/xml; charset=utf-8", 'Application/XML;charset="UTF-8"']
)
async def test_a_document_replaces_the_running_one(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, content_type: str
) -> None:
    call = switchboard.add_call()
    text = "<Bxml><SpeakSentence>Grüße</SpeakSentence></Bxml>".encode()
    response = await client.put(
        f"/calls/{call.id}/bxml", content=text, headers={"Content-Type": content_type}
    )
    assert (response.status_code, response.content) == (204, b"")
    assert switchboard.done == [("replace_bxml", call.id, text)]


async def test_what_is_no_document_is_400(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call()
    response = await client.put(f"/calls/{call.id}/bxml", content=b"hello", headers=XML)
    assert fault(response) == "line 1: not XML"


async def test_a_document_for_an_ended_call_is_409(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    call = switchboard.add_call()
    switchboard.refuses = Conflict(f"Call [{call.id}] cannot be modified in its current state")
    response = await client.put(f"/calls/{call.id}/bxml", content=b"<Bxml/>", headers=XML)
    assert fault(response, 409).startswith("Call [")
