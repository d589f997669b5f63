"""The courier with events told in the background: their order, their tries, their answers, and the end."""

import asyncio
import gc
import logging
from dataclasses import replace

import pytest

from api.letter import Letter
from api.webhooks import Courier
from calls.callbacks import Answer, Callback, DeliveryFailed, Event
from net.http import HttpClient
from tests.api.receivers import Behaviour, Got, Receiver, hang, nobody, reply

BXML = b"<Response><Hangup/></Response>"
DIGITS = "31415926535897"


def event(kind: str, call: str = "c-1", **more: object) -> Event:
    return {"eventType": kind, "callId": call, **more}


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
        assert (len(app.got), courier.waiting) == (1, 3)
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
        answer = await courier.ask(Callback(url=good.url), event("answer"))
    assert answer.url == good.url
    assert len(bad.got) == 32


async def test_a_hanging_receiver_leaves_room_for_what_a_call_waits_on(courier: Courier) -> None:
    async def hang_on_news(got: Got) -> bytes:
        return await hang(got) if got.event["eventType"] == "disconnect" else reply(200, BXML)

    async with Receiver(hang_on_news) as app:
        for number in range(100):
            courier.tell(Callback(url=app.url), event("disconnect", f"c-{number}"))
        await app.arrived(32)
        assert (await courier.ask(Callback(url=app.url, timeout=5.0), event("answer"))).body == BXML


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
        courier.tell(Callback(url=app.url, timeout=1.0), event("disconnect"))
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
    before = asyncio.all_tasks()
    async with Receiver(reply(204)) as app:
        for number in range(50):
            courier.tell(Callback(url=app.url), event("disconnect", f"c-{number}"))
        await courier.close()
    assert courier.waiting == 0 and asyncio.all_tasks() == before
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Letter)]
