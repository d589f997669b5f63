"""The courier with events whose answer a call waits for."""

import asyncio
import logging
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from api.webhooks import MAX_ANSWER, Courier, with_event
from calls.callbacks import Callback, DeliveryFailed, Event
from net.http import HttpClient
from net.policy import Policy
from tests.api.receivers import Got, Receiver, hang, nobody, reply

BXML = b"<Response><Hangup/></Response>"
EVENT: Event = {"eventType": "answer", "callId": "c-1", "from": "+19195554321", "tag": "a&b =ü\r\nX: y"}


async def test_an_event_goes_as_json_and_brings_the_document(courier: Courier) -> None:
    async with Receiver(reply(200, BXML, Content_Type="application/xml")) as app:
        answer = await courier.ask(Callback(url=f"{app.url}/a?x=1"), EVENT)
    assert (answer.body, answer.url) == (BXML, f"{app.url}/a?x=1")
    [got] = app.got
    assert (got.method, got.target) == ("POST", "/a?x=1")
    assert got.headers["content-type"] == "application/json"
    assert got.event == EVENT
    assert "authorization" not in got.headers


async def test_by_get_the_properties_are_the_query(courier: Courier) -> None:
    nested = EVENT | {"machineDetectionResult": {"value": "human"}, "channels": 1, "privacy": False}
    async with Receiver(reply(204)) as app:
        answer = await courier.ask(Callback(url=f"{app.url}/a?x=%2B1&y=#top", method="GET"), nested)
    assert (answer.body, answer.url) == (b"", f"{app.url}/a?x=%2B1&y=#top")
    [got] = app.got
    assert (got.method, got.body) == ("GET", b"")
    assert parse_qsl(urlsplit(got.target).query, keep_blank_values=True) == [
        ("x", "+1"),
        ("y", ""),
        ("eventType", "answer"),
        ("callId", "c-1"),
        ("from", "+19195554321"),
        ("tag", "a&b =ü\r\nX: y"),
        ("machineDetectionResult", '{"value":"human"}'),
        ("channels", "1"),
        ("privacy", "false"),
    ]


def test_a_get_url_is_written_as_the_contract_writes_it() -> None:
    url = with_event("http://app.example/conf", {"from": "+1919", "eventTime": "2026-02-03T09:00:00.140Z"})
    assert url == "http://app.example/conf?from=%2B1919&eventTime=2026-02-03T09%3A00%3A00.140Z"


async def test_credentials_are_sent_at_once_and_again_on_a_challenge(courier: Courier) -> None:
    async def second_time(got: Got) -> bytes:
        if len(app.got) == 1:
            return reply(401, WWW_Authenticate='Basic realm="app"')
        return reply(200, BXML)

    async with Receiver(second_time) as app:
        answer = await courier.ask(Callback(url=app.url, username="u", password="p:ü"), EVENT)
    assert answer.body == BXML
    assert [got.credentials for got in app.got] == ["u:p:ü", "u:p:ü"]
    assert app.got[1].event == EVENT


async def test_a_401_without_a_challenge_is_a_failure_and_a_warning(
    courier: Courier, caplog: pytest.LogCaptureFixture
) -> None:
    async with Receiver(reply(401)) as app:
        with pytest.raises(DeliveryFailed, match="answered 401"):
            await courier.ask(Callback(url=app.url, username="u", password="p"), EVENT)
    assert len(app.got) == 1
    [record] = [record for record in caplog.records if record.message == "webhook_failed"]
    assert record.levelno == logging.WARNING


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 409, 500, 503])
async def test_any_status_but_2xx_leads_to_the_fallback(courier: Courier, status: int) -> None:
    async with Receiver(reply(200, BXML)) as second, Receiver(reply(status, Location=second.url)) as first:
        callback = Callback(
            url=f"{first.url}/a",
            fallback_url=f"{second.url}/b",
            fallback_method="GET",
            username="u",
            password="p",
            fallback_username="fu",
            fallback_password="fp",
        )
        answer = await courier.ask(callback, EVENT)
    assert (answer.body, answer.url) == (BXML, f"{second.url}/b")
    assert len(first.got) == len(second.got) == 1
    assert (first.got[0].credentials, second.got[0].credentials) == ("u:p", "fu:fp")
    assert second.got[0].method == "GET"
    assert dict(parse_qsl(urlsplit(second.got[0].target).query)) == EVENT


async def test_the_fallback_gets_no_credentials_of_the_first(courier: Courier) -> None:
    async with Receiver(reply(200)) as second, Receiver(reply(500)) as first:
        await courier.ask(Callback(url=first.url, fallback_url=second.url, username="u", password="p"), EVENT)
    assert second.got[0].credentials is None


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_an_answer_even_without_sense(courier: Courier, status: int) -> None:
    async with Receiver() as second, Receiver(reply(status, b"" if status == 204 else b"nonsense")) as first:
        answer = await courier.ask(Callback(url=first.url, fallback_url=second.url), EVENT)
    assert answer.body == (b"" if status == 204 else b"nonsense")
    assert second.got == []


async def test_no_connection_leads_to_the_fallback(courier: Courier) -> None:
    async with Receiver(reply(200, BXML)) as second:
        answer = await courier.ask(Callback(url=await nobody(), fallback_url=second.url), EVENT)
    assert answer.url == second.url


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", b"\x00\xff\x00 nonsense\r\n\r\n"],
)
async def test_a_broken_answer_leads_to_the_fallback(courier: Courier, answer: bytes) -> None:
    async def broken(_: Got) -> bytes:
        return answer

    async with Receiver(reply(200, BXML)) as second, Receiver(broken) as first:
        callback = Callback(url=first.url, fallback_url=second.url, timeout=2.0)
        assert (await courier.ask(callback, EVENT)).url == second.url
    assert len(first.got) == 1


async def test_a_hanging_receiver_has_its_time_and_the_fallback_its_own(courier: Courier) -> None:
    async def late(_: Got) -> bytes:
        await asyncio.sleep(0.3)
        return reply(200, BXML)

    async with Receiver(late) as second, Receiver(hang) as first:
        callback = Callback(url=first.url, fallback_url=second.url, timeout=2.0)
        assert (await courier.ask(callback, EVENT)).url == second.url


async def test_when_both_fail_the_text_says_what_each_did_and_no_secret(courier: Courier) -> None:
    async with Receiver(reply(500)) as second, Receiver(reply(302)) as first:
        callback = Callback(
            url=f"{first.url}/a?key=hidden",
            method="GET",
            fallback_url=f"{second.url}/b",
            username="u",
            password="hidden",
        )
        with pytest.raises(DeliveryFailed) as failure:
            await courier.ask(callback, EVENT)
    text = str(failure.value)
    assert f"GET {first.url}/a: answered 302" in text
    assert f"fallback POST {second.url}/b: answered 500" in text
    assert "hidden" not in text
    assert len(first.got) == len(second.got) == 1
    assert courier.statistics["failed"] == 1


async def test_a_forbidden_address_is_a_failure_and_leads_to_the_fallback() -> None:
    http = HttpClient(Policy())
    try:
        with pytest.raises(DeliveryFailed, match="fallback POST"):
            await Courier(http).ask(
                Callback(url="http://127.0.0.1:1024/", fallback_url="http://10.0.0.1:8000/"), EVENT
            )
    finally:
        await http.close()


async def test_an_answer_that_is_too_long_is_cut_one_byte_too_late(courier: Courier) -> None:
    async with Receiver(reply(200, b"<" * (1 << 20))) as app:
        answer = await courier.ask(Callback(url=app.url), EVENT)
    assert len(answer.body) == MAX_ANSWER + 1


async def test_a_long_page_of_a_failed_status_is_a_failure(courier: Courier) -> None:
    async with Receiver(reply(500, b"x" * 200_000)) as app:
        with pytest.raises(DeliveryFailed, match="answered 500"):
            await courier.ask(Callback(url=app.url), EVENT)


async def test_an_endless_answer_is_a_failure(courier: Courier) -> None:
    async with Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 2_000_000) as app:
        with pytest.raises(DeliveryFailed, match="more than"):
            await courier.ask(Callback(url=app.url), EVENT)


def test_a_callback_does_not_show_its_passwords() -> None:
    callback = Callback(url="http://h/", password="hidden", fallback_password="hidden")
    assert "hidden" not in repr(replace(callback, method="GET"))
