"""POST of calls: each field, each status. Source: contract, createCall."""

import httpx
import pytest

from calls.callbacks import Callback
from calls.errors import Invalid, LimitReached, Unavailable
from calls.order import CallOrder
from tests.api.rest import ORDER, fault
from tests.support.fake_switchboard import FakeSwitchboard

SYNC = {"mode": "sync"}


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
    assert body["to"] == "sip:bob@127.0.0.1:5070", "as events name him; he is dialled as he was ordered"
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


async def test_a_sips_address_is_called_too(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    assert (await client.post("/calls", json=ORDER | {"to": "sips:bob@host;x=y"})).status_code == 201
    ((_, _, order),) = switchboard.done
    assert isinstance(order, CallOrder)
    assert order.to == "sips:bob@host;x=y"


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
        ("to", "sip:bob@host:65536", "Invalid to: must be a telephone number"),
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
        ("fallbackUsername", "a:b", "Invalid fallbackUsername: must not hold a colon"),
        ("password", "u" * 1025, "Invalid password: must have at most 1024 characters"),
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
        ("machineDetection", {"mode": "async"}, "Invalid machineDetection.callbackUrl: is required"),
        ("machineDetection", {}, "Invalid machineDetection.callbackUrl: is required with mode async"),
        (
            "machineDetection",
            SYNC | {"detectionTimeout": -1},
            "Invalid machineDetection.detectionTimeout: must",
        ),
        (
            "machineDetection",
            SYNC | {"silenceTimeout": "10"},
            "Invalid machineDetection.silenceTimeout: must",
        ),
        ("machineDetection", SYNC | {"speechThreshold": True}, "Invalid machineDetection.speechThreshold: "),
        (
            "machineDetection",
            SYNC | {"speechEndThreshold": []},
            "Invalid machineDetection.speechEndThreshold",
        ),
        (
            "machineDetection",
            SYNC | {"machineSpeechEndThreshold": -0.5},
            "Invalid machineDetection.machineSpeechEndThreshold: must be at least 0, but was -0.5",
        ),
        (
            "machineDetection",
            SYNC | {"delayResult": 1},
            "Invalid machineDetection.delayResult: must be true or",
        ),
        (
            "machineDetection",
            {"callbackUrl": "/m"},
            "Invalid machineDetection.callbackUrl: must be an absolute",
        ),
        (
            "machineDetection",
            SYNC | {"callbackMethod": "PUT"},
            "Invalid machineDetection.callbackMethod: must",
        ),
        (
            "machineDetection",
            SYNC | {"fallbackUrl": 7},
            "Invalid machineDetection.fallbackUrl: must be a string",
        ),
        (
            "machineDetection",
            SYNC | {"fallbackMethod": "X"},
            "Invalid machineDetection.fallbackMethod: must be",
        ),
        (
            "machineDetection",
            SYNC | {"username": "u" * 1025},
            "Invalid machineDetection.username: must have at",
        ),
        (
            "machineDetection",
            SYNC | {"fallbackPassword": 1},
            "Invalid machineDetection.fallbackPassword: must",
        ),
    ],
)
async def test_a_wrong_field_is_named_with_what_was_expected(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, field: str, value: object, expected: str
) -> None:
    description = fault(await client.post("/calls", json=ORDER | {field: value}))
    assert description.startswith(expected)
    assert switchboard.done == []


@pytest.mark.parametrize(
    ("wanted", "mode"),
    [
        ({"mode": "sync"}, "sync"),
        ({"callbackUrl": "https://app.example/m"}, "async"),
        (
            {
                "mode": "async",
                "detectionTimeout": 15,
                "silenceTimeout": 10.5,
                "speechThreshold": 10,
                "speechEndThreshold": 5,
                "machineSpeechEndThreshold": None,
                "delayResult": True,
                "callbackUrl": "https://app.example/m",
                "callbackMethod": "GET",
                "username": "u",
                "password": "hidden",
                "fallbackUrl": "https://second.example/m",
                "fallbackMethod": "POST",
                "fallbackUsername": "fu",
                "fallbackPassword": "hidden",
            },
            "async",
        ),
    ],
)
async def test_machine_detection_is_taken_and_the_log_says_that_nothing_is_detected(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, wanted: dict[str, object], mode: str
) -> None:
    response = await client.post("/calls", json=ORDER | {"machineDetection": wanted})
    assert response.status_code == 201
    [record] = [record for record in caplog.records if record.message == "machine_not_detected"]
    assert record.call_id == response.json()["callId"]  # type: ignore[attr-defined]
    assert record.mode == mode  # type: ignore[attr-defined]
    assert "hidden" not in str(record.__dict__)


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
