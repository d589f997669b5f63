"""The courier against receivers on real sockets. Source: contract callbacks.md section 1."""

import asyncio
import logging
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest

from api.webhooks import MAX_ANSWER, Courier, with_event
from calls.callbacks import Answer, Callback, DeliveryFailed, Event
from net.http import HttpClient
from net.policy import Policy
from tests.api.receivers import Behaviour, Got, Receiver, reply

BXML = b"<Response><Hangup/></Response>"
DIGITS = "31415926535897"
EVENT: Event = {"eventType": "answer", "callId": "c-1", "from": "+19195554321", "tag": "a&b =ü\r\nX: y"}


def event(kind: str, call: str = "c-1", **more: object) -> Event:
    return {"eventType": kind, "callId": call, **more}


async def hang(_: Got) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("not reached")


async def nobody() -> str:
    """A URL where nobody listens."""
    async with Receiver() as receiver:
        return receiver.url


# Synchronous events


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
        callback = Callback(url=first.url, fallback_url=second.url, timeout=0.3)
        assert (await courier.ask(callback, EVENT)).url == second.url
    assert len(first.got) == 1


async def test_a_hanging_receiver_has_its_time_and_the_fallback_its_own(courier: Courier) -> None:
    async def late(_: Got) -> bytes:
        await asyncio.sleep(0.15)
        return reply(200, BXML)

    async with Receiver(late) as second, Receiver(hang) as first:
        callback = Callback(url=first.url, fallback_url=second.url, timeout=0.2)
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


# Asynchronous events


async def test_events_of_one_call_arrive_in_order_each_after_the_answer_to_the_last(
    courier: Courier,
) -> None:
    answered = 0

    async def slowly(got: Got) -> bytes:
        nonlocal answered
        assert got.event["number"] == answered
        await asyncio.sleep(0.01)
        answered += 1
        return reply(201)

    async with Receiver(slowly) as app:
        for number in range(10):
            courier.tell(Callback(url=app.url), event("dtmf", number=number))
        got = await app.arrived(10)
        await courier.close()
    assert [request.event["number"] for request in got] == list(range(10))
    assert courier.statistics["delivered"] == 10
    assert courier.waiting == 0


async def test_a_conferences_events_are_one_line_whichever_call_they_name(courier: Courier) -> None:
    release = asyncio.Event()

    async def held(_: Got) -> bytes:
        await release.wait()
        return reply(204)

    async with Receiver(held) as app:
        for call in ("c-1", "c-2", "c-3"):
            courier.tell(Callback(url=app.url), event("conferenceMemberJoin", call, conferenceId="conf-1"))
        await app.arrived(1)
        assert len(courier._lines["conf-1"]) == 2
        release.set()
        await app.arrived(3)
        await courier.close()
    assert [got.event["callId"] for got in app.got] == ["c-1", "c-2", "c-3"]


async def test_other_calls_do_not_wait_for_a_hanging_receiver(courier: Courier) -> None:
    async with Receiver(hang) as bad, Receiver(reply(200)) as good:
        for number in range(200):
            courier.tell(Callback(url=bad.url), event("disconnect", f"c-bad-{number}"))
        await bad.arrived(32)
        for number in range(20):
            courier.tell(Callback(url=good.url), event("disconnect", f"c-good-{number}"))
        await good.arrived(20)
        answer = await courier.ask(Callback(url=good.url), EVENT)
    assert answer.url == good.url
    assert len(bad.got) == 32


async def test_a_hanging_receiver_leaves_room_for_what_a_call_waits_on(courier: Courier) -> None:
    async def hang_on_news(got: Got) -> bytes:
        return await hang(got) if got.event["eventType"] == "disconnect" else reply(200, BXML)

    async with Receiver(hang_on_news) as app:
        for number in range(100):
            courier.tell(Callback(url=app.url), event("disconnect", f"c-{number}"))
        await app.arrived(32)
        assert (await courier.ask(Callback(url=app.url, timeout=5.0), EVENT)).body == BXML


async def test_the_next_event_of_a_call_waits_a_moment_for_a_hanging_receiver_and_no_longer(
    http: HttpClient,
) -> None:
    courier = Courier(http, head_start=0.05)
    async with Receiver(hang) as app:
        for number in range(3):
            courier.tell(Callback(url=app.url), event("dtmf", number=number))
        got = await app.arrived(3)
        await courier.close(0.0)
    assert [request.event["number"] for request in got] == [0, 1, 2]
    assert courier.statistics["dropped"] == 3


async def test_a_broken_connection_is_tried_once_more(courier: Courier) -> None:
    async def second_time(_: Got) -> bytes:
        return b"" if len(app.got) == 1 else reply(201)

    async with Receiver(second_time) as app:
        courier.tell(Callback(url=app.url), event("disconnect"))
        await app.arrived(2)
        await courier.close()
    assert courier.statistics == {
        "delivered": 1,
        "failed": 0,
        "retried": 1,
        "fell_back": 0,
        "dropped": 0,
        "replayed": 0,
    }


async def test_it_is_tried_no_third_time(courier: Courier) -> None:
    async def never(_: Got) -> bytes:
        return b""

    async with Receiver(never) as app:
        courier.tell(Callback(url=app.url), event("disconnect"))
        await courier.close()
    assert len(app.got) == 2
    assert courier.statistics["failed"] == 1


@pytest.mark.parametrize("answer", [reply(500), reply(404), reply(302)])
async def test_a_status_is_not_tried_again(
    courier: Courier, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Receiver(answer) as app:
        courier.tell(Callback(url=f"{app.url}/d?key=hidden"), event("dtmf", digit="7"))
        await courier.close()
    assert len(app.got) == 1
    [record] = [record for record in caplog.records if record.message == "webhook_failed"]
    assert record.event_type == "dtmf"  # type: ignore[attr-defined]
    assert "hidden" not in record.reason  # type: ignore[attr-defined]
    assert not hasattr(record, "digit")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "answer", [None, b"", b"nonsense\r\n\r\n", reply(500), reply(302, Location="/elsewhere"), hang]
)
async def test_a_delivery_that_fails_says_nothing_of_the_digits(
    courier: Courier,
    caplog: pytest.LogCaptureFixture,
    method: str,
    answer: Behaviour | bytes | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    gather, dtmf = event("gather", digits=DIGITS), event("dtmf", digit=DIGITS)
    async with Receiver(answer or b"") as app:
        url = f"{app.url}/pin" if answer is not None else await nobody()
        callback = Callback(url, method, fallback_url=url, fallback_method=method, timeout=0.2)
        for wanted in (callback, replace(callback, fallback_url=None)):
            with pytest.raises(DeliveryFailed) as caught:
                await courier.ask(wanted, gather)
            assert DIGITS not in f"{caught.value} {caught.value.__cause__}"
            courier.tell(wanted, dtmf)
        await courier.close()
        assert courier.statistics["failed"] == 4
        assert all(DIGITS in f"{got.target} {got.body!r}" for got in app.got)
    assert "webhook_failed" in caplog.messages and "webhook_falls_back" in caplog.messages
    for record in caplog.records:
        assert DIGITS not in f"{logging.Formatter().format(record)} {vars(record)}"


async def test_a_time_out_is_not_tried_again(courier: Courier) -> None:
    async with Receiver(hang) as app:
        courier.tell(Callback(url=app.url, timeout=0.1), event("disconnect"))
        await courier.close()
    assert len(app.got) == 1
    assert courier.statistics["failed"] == 1


async def test_with_a_fallback_it_is_the_second_try(courier: Courier) -> None:
    async with Receiver(reply(204)) as second:
        callback = Callback(url=await nobody(), fallback_url=second.url)
        courier.tell(callback, event("conferenceCompleted", conferenceId="conf-1"))
        await courier.close()
    assert len(second.got) == 1
    assert (courier.statistics["retried"], courier.statistics["fell_back"]) == (0, 1)


async def test_an_answer_of_a_megabyte_to_news_does_no_harm(courier: Courier) -> None:
    async with Receiver(reply(200, b"x" * 1_000_000)) as app:
        courier.tell(Callback(url=app.url), event("disconnect"))
        await courier.close()
    assert courier.statistics["delivered"] == 1


async def test_too_many_events_are_dropped_and_said(
    courier: Courier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("api.webhooks._LONGEST_LINE", 3)
    async with Receiver(hang) as app:
        for _ in range(5):
            courier.tell(Callback(url=app.url), event("dtmf"))
    assert courier.statistics["dropped"] == 2
    assert [record.message for record in caplog.records] == ["webhook_dropped"] * 2


# Events in the background whose answer may hold a document


def join(call: str = "c-1") -> Event:
    return event("conferenceMemberJoin", call, conferenceId="conf-1")


async def test_an_answer_is_handed_back_with_the_url_that_gave_it(courier: Courier) -> None:
    answers: list[Answer] = []
    async with Receiver(reply(500)) as first, Receiver(reply(200, BXML)) as second:
        courier.tell(Callback(url=f"{second.url}/a"), join(), answers.append)
        courier.tell(Callback(url=first.url, fallback_url=f"{second.url}/b"), join(), answers.append)
        await courier.close()
    assert answers == [Answer(BXML, f"{second.url}/a"), Answer(BXML, f"{second.url}/b")]


async def test_answers_are_handed_back_as_they_arrive_and_events_sent_as_they_happened(
    http: HttpClient,
) -> None:
    courier = Courier(http, head_start=0.02)
    release, answers = asyncio.Event(), []

    async def slow_for_the_first(got: Got) -> bytes:
        if got.event["callId"] == "c-1":
            await release.wait()
        return reply(200, str(got.event["callId"]).encode())

    def answered(answer: Answer) -> None:
        answers.append(answer.body)
        if len(answers) == 2:
            release.set()

    async with Receiver(slow_for_the_first) as app:
        for call in ("c-1", "c-2", "c-3"):
            courier.tell(Callback(url=app.url), join(call), answered)
        await app.arrived(3)
        await courier.close()
    assert [got.event["callId"] for got in app.got] == ["c-1", "c-2", "c-3"]
    assert answers == [b"c-2", b"c-3", b"c-1"]


async def test_an_empty_answer_is_handed_back_and_a_failed_delivery_is_not(courier: Courier) -> None:
    answers: list[Answer] = []
    async with Receiver(reply(204)) as good, Receiver(reply(404, BXML)) as bad:
        courier.tell(Callback(url=bad.url), join(), answers.append)
        courier.tell(Callback(url=good.url), join(), answers.append)
        await courier.close()
    assert answers == [Answer(b"", good.url)]


async def test_an_event_that_wants_an_answer_is_not_sent_twice_to_one_url(courier: Courier) -> None:
    async def never(_: Got) -> bytes:
        return b""

    async with Receiver(never) as app:
        courier.tell(Callback(url=app.url), join(), lambda _: None)
        await courier.close()
    assert len(app.got) == 1
    assert (courier.statistics["retried"], courier.statistics["failed"]) == (0, 1)


# The end


async def test_the_end_waits_for_what_is_in_line(courier: Courier) -> None:
    async with Receiver(reply(204)) as app:
        for number in range(5):
            courier.tell(Callback(url=app.url), event("dtmf", number=number))
        await courier.close()
    assert len(app.got) == 5


async def test_the_end_does_not_wait_for_ever_and_leaves_no_task(http: HttpClient) -> None:
    before = asyncio.all_tasks()
    courier = Courier(http)
    async with Receiver(hang) as app:
        courier.tell(Callback(url=app.url), event("disconnect"))
        courier.tell(Callback(url=app.url), event("disconnect"))
        await app.arrived(1)
        await courier.close(0.05)
        courier.tell(Callback(url=app.url), event("disconnect"))
    assert courier.statistics["dropped"] == 3
    assert asyncio.all_tasks() == before


async def test_nothing_is_kept_of_a_call_whose_events_are_sent(courier: Courier) -> None:
    async with Receiver(reply(204)) as app:
        for number in range(50):
            courier.tell(Callback(url=app.url), event("disconnect", f"c-{number}"))
        await courier.close()
    assert (courier._lines, courier._tasks, len(courier._slots)) == ({}, set(), 0)


def test_a_callback_does_not_show_its_passwords() -> None:
    callback = Callback(url="http://h/", password="hidden", fallback_password="hidden")
    assert "hidden" not in repr(replace(callback, method="GET"))
