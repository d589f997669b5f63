"""POST, GET and PUT of calls: each status, each field. Source: contract rest.md section 2."""

import re
from datetime import timedelta

import httpx
import pytest

from calls.callbacks import Callback
from calls.errors import Conflict, Invalid, LimitReached, Unavailable
from calls.order import CallOrder, Redirect
from tests.support.fake_switchboard import START, FakeSwitchboard

ORDER = {
    "from": "+19195554321",
    "to": "+19195551234",
    "applicationId": "3f1d4c4e-7b1b-4d0c-8f7e-000000000001",
    "answerUrl": "http://127.0.0.1:9000/answer",
}
XML = {"Content-Type": "application/xml"}


def fault(response: httpx.Response, status: int = 400) -> str:
    """The description of a refusal, whose body is the contract's."""
    kinds = {404: "validation", 409: "validation", 429: "error", 503: "system-overloaded"}
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    body = response.json()
    assert set(body) == {"type", "description", "id"}
    assert body["type"] == kinds.get(status, "validation")
    return str(body["description"])


# POST /calls


async def test_a_new_call_is_answered_with_all_fields_and_its_place(client: httpx.AsyncClient) -> None:
    response = await client.post("/calls", json=ORDER)
    assert response.status_code == 201
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    body = response.json()
    call_id = body["callId"]
    url = f"http://voice.example:8080/api/v2/accounts/9900000/calls/{call_id}"
    assert response.headers["location"] == url
    assert body == {
        "accountId": "9900000",
        "applicationId": ORDER["applicationId"],
        "callId": call_id,
        "to": "+19195551234",
        "from": "+19195554321",
        "enqueuedTime": "2026-02-03T09:00:00.120Z",
        "callUrl": url,
        "callTimeout": 30,
        "callbackTimeout": 15,
        "tag": None,
        "answerMethod": "POST",
        "answerUrl": ORDER["answerUrl"],
        "answerFallbackMethod": "POST",
        "answerFallbackUrl": None,
        "disconnectMethod": "POST",
        "disconnectUrl": None,
        "username": None,
        "password": None,
        "fallbackUsername": None,
        "fallbackPassword": None,
        "priority": 5,
    }
    assert len(call_id) == 47
    assert '"callTimeout":30,' in response.text


async def test_passwords_are_masked_in_the_answer_and_kept_in_the_order(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    everything = ORDER | {
        "answerMethod": "GET",
        "username": "u",
        "password": "p",
        "answerFallbackUrl": "https://second.example/a",
        "answerFallbackMethod": "GET",
        "fallbackUsername": "fu",
        "fallbackPassword": "fp",
        "disconnectUrl": "https://app.example/d",
        "disconnectMethod": "GET",
        "callTimeout": 12.5,
        "callbackTimeout": 3,
        "priority": 1,
        "tag": "a tag",
        "privacy": True,
        "displayName": "Private",
        "to": "sip:bob@127.0.0.1:5070;transport=tcp",
        "uui": "aGVsbG8;encoding=base64,6869;encoding=hex",
    }
    body = (await client.post("/calls", json=everything)).json()
    assert (body["username"], body["password"]) == ("u", "*****")
    assert (body["fallbackUsername"], body["fallbackPassword"]) == ("fu", "*****")
    assert (body["callTimeout"], body["callbackTimeout"]) == (12.5, 3)
    assert switchboard.done == [
        (
            "create_call",
            "9900000",
            CallOrder(
                application_id=ORDER["applicationId"],
                to="sip:bob@127.0.0.1:5070;transport=tcp",
                from_="+19195554321",
                answer=Callback(
                    url=ORDER["answerUrl"],
                    method="GET",
                    fallback_url="https://second.example/a",
                    fallback_method="GET",
                    username="u",
                    password="p",
                    fallback_username="fu",
                    fallback_password="fp",
                    timeout=3.0,
                ),
                disconnect=Callback(
                    url="https://app.example/d", method="GET", username="u", password="p", timeout=3.0
                ),
                call_timeout=12.5,
                callback_timeout=3.0,
                priority=1,
                tag="a tag",
                privacy=True,
                display_name="Private",
                uui="aGVsbG8;encoding=base64,6869;encoding=hex",
            ),
        )
    ]


async def test_null_counts_as_left_out_and_unknown_fields_as_nothing(client: httpx.AsyncClient) -> None:
    nulls = dict.fromkeys(("answerMethod", "callTimeout", "priority", "tag", "machineDetection"))
    body = (await client.post("/calls", json=ORDER | nulls | {"colour": "blue"})).json()
    assert (body["answerMethod"], body["callTimeout"], body["priority"]) == ("POST", 30, 5)


async def test_all_missing_fields_are_named_at_once(client: httpx.AsyncClient) -> None:
    description = fault(await client.post("/calls", json={"to": None}))
    assert description == "Required but missing: from, to, applicationId, answerUrl"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("to", "5551234", "Invalid to: must be a telephone number in E.164 form"),
        ("to", 19195551234, "Invalid to: must be a string"),
        ("to", "sip:bob@host\r\nX-Evil: 1", "Invalid to: must be a telephone number"),
        ("to", "sip:bob@host?Replaces=x", "Invalid to: must be a telephone number"),
        ("to", "sip:<bob>@host", "Invalid to: must be a telephone number"),
        ("to", "sip:bob", "Invalid to: must be a telephone number"),
        ("from", "anonymous", "Invalid from: must be a telephone number in E.164 form"),
        ("from", "+1919555432112345", "Invalid from: must be a telephone number"),
        ("applicationId", 7, "Invalid applicationId: must be a string"),
        ("answerUrl", "ftp://host/x", "Invalid answerUrl: must be an absolute http or https URL"),
        ("answerUrl", "/answer", "Invalid answerUrl: must be an absolute http or https URL"),
        ("answerUrl", "http://host/a b", "Invalid answerUrl: must be an absolute"),
        ("answerUrl", "http://[::1", "Invalid answerUrl: must be an absolute"),
        ("answerUrl", "http://host:99999/", "Invalid answerUrl: must be an absolute"),
        ("answerUrl", "http://user:pw@host/", "Invalid answerUrl: must not hold credentials"),
        ("answerUrl", "http://h/" + "x" * 2048, "Invalid answerUrl: must have at most 2048 characters"),
        ("answerMethod", "PUT", "Invalid answerMethod: must be 'GET' or 'POST'"),
        ("answerMethod", "post", "Invalid answerMethod: must be 'GET' or 'POST'"),
        ("username", "u" * 1025, "Invalid username: must have at most 1024 characters"),
        ("password", 5, "Invalid password: must be a string"),
        ("callTimeout", "30", "Invalid callTimeout: must be a number"),
        ("callTimeout", True, "Invalid callTimeout: must be a number"),
        ("callTimeout", 0, "Invalid callTimeout: must be at least 1, but was 0"),
        ("callTimeout", 300.5, "Invalid callTimeout: must be at most 300, but was 300.5"),
        ("callbackTimeout", 26, "Invalid callbackTimeout: must be at most 25, but was 26"),
        ("priority", 6, "Invalid priority: must be at most 5, but was 6"),
        ("priority", 1.5, "Invalid priority: must be a whole number"),
        ("priority", "1", "Invalid priority: must be a whole number"),
        ("tag", {"a": 1}, "Invalid tag: must be a string"),
        ("tag", "x" * 4097, "Invalid tag: must have at most 4096 characters"),
        ("privacy", "true", "Invalid privacy: must be true or false"),
        ("privacy", 1, "Invalid privacy: must be true or false"),
        ("displayName", "a\nb", "Invalid displayName: must not hold control characters"),
        ("displayName", "x" * 257, "Invalid displayName: must have at most 256 characters"),
        ("uui", "abc", "Invalid uui: must be values with ;encoding="),
        ("uui", "abc;encoding=hex", "Invalid uui: needs a SIP URI in to"),
        ("machineDetection", "sync", "Invalid machineDetection: must be a JSON object"),
        ("machineDetection", {"mode": "fast"}, "Invalid machineDetection.mode: must be 'sync' or 'async'"),
        ("machineDetection", {"mode": "sync"}, "Invalid machineDetection.mode: sync is not supported"),
    ],
)
async def test_a_wrong_field_is_named_with_what_was_expected(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, field: str, value: object, expected: str
) -> None:
    description = fault(await client.post("/calls", json=ORDER | {field: value}))
    assert description.startswith(expected)
    assert switchboard.done == []


async def test_a_hidden_number_takes_only_four_names(client: httpx.AsyncClient) -> None:
    description = fault(await client.post("/calls", json=ORDER | {"privacy": True, "displayName": "Bob"}))
    assert description.startswith("Invalid displayName: with privacy it must be one of Restricted")


async def test_a_wrong_password_value_is_not_told_back(client: httpx.AsyncClient) -> None:
    response = await client.post("/calls", json=ORDER | {"password": "hunter2" * 200})
    assert "hunter2" not in response.text


async def test_every_fault_of_a_body_is_told_up_to_a_bound(client: httpx.AsyncClient) -> None:
    wrong = dict.fromkeys(("tag", "username", "password", "answerMethod", "uui", "displayName", "to"), 1)
    description = fault(await client.post("/calls", json=ORDER | wrong))
    assert description.count("Invalid") == 5
    assert description.endswith("and 2 more")


@pytest.mark.parametrize(
    ("refusal", "status", "description"),
    [
        (Invalid("Could not create call: Application id x not found"), 400, "Could not create call"),
        (LimitReached("Too many calls a second", retry_after=7), 429, "Too many calls a second"),
        (Unavailable("The server is stopping"), 503, "The server is stopping"),
    ],
)
async def test_what_the_switchboard_refuses_has_its_status(
    client: httpx.AsyncClient,
    switchboard: FakeSwitchboard,
    refusal: Exception,
    status: int,
    description: str,
) -> None:
    switchboard.refuses = refusal
    response = await client.post("/calls", json=ORDER)
    assert fault(response, status).startswith(description)
    assert response.headers.get("retry-after") == ("7" if status == 429 else None)


async def test_a_failure_of_ours_is_a_500_with_an_id_and_no_inner_words(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, caplog: pytest.LogCaptureFixture
) -> None:
    switchboard.refuses = RuntimeError("the inner words")
    response = await client.post("/calls", json=ORDER)
    assert response.status_code == 500
    body = response.json()
    assert body["type"] == "internal-error"
    assert "inner words" not in response.text
    [record] = [record for record in caplog.records if record.message == "request_broken"]
    assert record.error_id == body["id"]  # type: ignore[attr-defined]
    assert len(body["id"]) == 36


async def test_each_request_leaves_a_line_without_its_body_and_credentials(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "api")
    await client.post("/calls?key=hidden", json=ORDER | {"password": "hidden"})
    [record] = [record for record in caplog.records if record.message == "http_request"]
    assert (record.method, record.status) == ("POST", 201)  # type: ignore[attr-defined]
    assert record.path == "/api/v2/accounts/9900000/calls"  # type: ignore[attr-defined]
    assert "hidden" not in str(record.__dict__)


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


async def pages(client: httpx.AsyncClient, url: str) -> list[list[str]]:
    """The ids of each page, following the links as a client does."""
    found = []
    while True:
        response = await client.get(url)
        assert response.status_code == 200
        found.append([row.get("callId") or row["id"] for row in response.json()])
        link = response.headers.get("link")
        if link is None:
            return found
        match = re.fullmatch(r'<http://voice\.example:8080(/api/v2/[^>]*)>; rel="next"', link)
        assert match is not None
        url = f"http://server{match[1]}"


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
