"""What each delivery carries: a number, a key, and by setting a signature."""

import asyncio
import hashlib
import hmac
from uuid import UUID

import pytest

from api.letter import Sequences, signature
from api.webhooks import Courier
from calls.callbacks import Callback, DeliveryFailed, Event
from net.http import HttpClient
from tests.api.receivers import Got, Receiver, reply

KEY = "a key for the tests"


def event(kind: str = "dtmf", call: str = "c-1", **more: object) -> Event:
    return {"eventType": kind, "callId": call, **more}


def numbers(got: list[Got]) -> list[str]:
    return [request.headers["mixminus-sequence"] for request in got]


async def test_the_events_of_a_call_are_numbered_from_1_those_that_it_waits_on_included(
    courier: Courier,
) -> None:
    async with Receiver(reply(200)) as app:
        callback = Callback(url=app.url)
        await courier.ask(callback, event("initiate"))
        courier.tell(callback, event())
        await app.arrived(2)
        await courier.ask(callback, event("redirect"))
        await courier.ask(callback, event("initiate", "c-2"))
        courier.tell(callback, event("disconnect"))
        await courier.close()
    assert numbers(app.got) == ["1", "2", "3", "1", "4"]


async def test_a_conference_has_numbers_of_its_own_whichever_call_an_event_names(courier: Courier) -> None:
    async with Receiver(reply(204)) as app:
        callback = Callback(url=app.url)
        courier.tell(callback, event("conferenceMemberJoin", "c-1", conferenceId="conf-1"))
        courier.tell(callback, event("conferenceMemberJoin", "c-2", conferenceId="conf-1"))
        await app.arrived(2)
        await courier.ask(callback, event("redirect", "c-1"))
        await courier.close()
    assert numbers(app.got) == ["1", "2", "1"]


async def test_numbers_tell_the_order_of_happening_though_the_first_arrives_last(http: HttpClient) -> None:
    courier, release = Courier(http, head_start=0.02), asyncio.Event()

    async def held(_: Got) -> bytes:
        await release.wait()
        return reply(500)

    async with Receiver(held) as slow, Receiver(reply(204)) as app:
        courier.tell(Callback(url=slow.url, fallback_url=app.url), event("one"))
        courier.tell(Callback(url=app.url), event("two"))
        await app.arrived(1)
        release.set()
        await app.arrived(2)
        await courier.close()
    assert [(got.event["eventType"], got.headers["mixminus-sequence"]) for got in app.got] == [
        ("two", "2"),
        ("one", "1"),
    ]


async def test_each_event_has_a_key_of_its_own_that_its_retry_keeps(courier: Courier) -> None:
    async def second_time(_: Got) -> bytes:
        return b"" if len(app.got) == 1 else reply(201)

    async with Receiver(second_time) as app:
        for _ in range(2):
            courier.tell(Callback(url=app.url), event())
        await app.arrived(3)
        await courier.close()
    first, again, second = [got.headers["idempotency-key"] for got in app.got]
    assert first == again != second
    assert UUID(first).version == 4
    assert numbers(app.got) == ["1", "1", "2"]


async def test_the_fallback_carries_the_same_number_and_key(courier: Courier) -> None:
    async with Receiver(reply(500)) as first, Receiver(reply(200)) as second:
        callback = Callback(url=first.url, fallback_url=second.url, fallback_method="GET")
        await courier.ask(callback, event("answer"))
    [one], [two] = first.got, second.got
    for name in ("idempotency-key", "mixminus-sequence"):
        assert one.headers[name] == two.headers[name]


async def test_without_a_key_nothing_is_signed(courier: Courier) -> None:
    async with Receiver(reply(200)) as app:
        await courier.ask(Callback(url=app.url), event())
    assert "mixminus-signature" not in app.got[0].headers


def proof(timestamp: int, content: bytes) -> str:
    return hmac.new(KEY.encode(), str(timestamp).encode() + b"." + content, hashlib.sha256).hexdigest()


async def test_a_post_is_signed_over_time_and_body_each_try_anew(http: HttpClient) -> None:
    now = 1_770_000_000.9
    courier = Courier(http, signing_key=KEY, clock=lambda: now)

    async def then_later(_: Got) -> bytes:
        nonlocal now
        now += 5
        return reply(500)

    async with Receiver(then_later) as first, Receiver(reply(200)) as second:
        callback = Callback(url=first.url, fallback_url=second.url)
        await courier.ask(callback, event(tag="ü\r\nX: y"))
    for got, moment in ((first.got[0], 1_770_000_000), (second.got[0], 1_770_000_005)):
        assert got.headers["mixminus-signature"] == f"t={moment},v1={proof(moment, got.body)}"


@pytest.mark.parametrize("path", ["", "/a", "/a?x=%2B1&y=%C3%BC", "/ü?q=a%3Ab#top", "/%41?"])
async def test_a_get_is_signed_over_time_and_the_path_and_query_as_they_arrive(
    http: HttpClient, path: str
) -> None:
    courier = Courier(http, signing_key=KEY, clock=lambda: 1_770_000_000.0)
    nested = event(eventTime="2026-02-03T09:00:00.140Z", tag="a&b =ü", stirShaken={"verstat": "x"})
    async with Receiver(reply(204)) as app:
        await courier.ask(Callback(url=f"{app.url}{path}", method="GET"), nested)
    [got] = app.got
    expected = proof(1_770_000_000, got.target.encode())
    assert got.headers["mixminus-signature"] == f"t=1770000000,v1={expected}"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("key", ["", KEY])
async def test_what_is_no_url_is_a_failed_delivery_signed_or_not(
    http: HttpClient, method: str, key: str
) -> None:
    with pytest.raises(DeliveryFailed, match="not a URL"):
        await Courier(http, signing_key=key).ask(Callback(url="http://[::1", method=method), event())


def test_a_signature_is_the_documented_one() -> None:
    # printf '1770000000.{"eventType":"dtmf"}' | openssl dgst -sha256 -hmac secret
    proof = "3f0d4bad1b1cf9d243e6e8e1e5407702ccf301d61f37b6dcdc501113ba29ecb8"
    assert signature("secret", 1_770_000_000, b'{"eventType":"dtmf"}') == f"t=1770000000,v1={proof}"


def test_numbers_of_those_longest_not_heard_of_are_forgotten() -> None:
    sequences = Sequences(most=2)
    assert [sequences.next(line) for line in ("a", "b", "a", "c", "a", "b")] == [1, 1, 2, 1, 3, 1]
