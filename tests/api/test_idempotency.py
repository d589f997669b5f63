"""Sending a POST of calls again. Source: draft-ietf-httpapi-idempotency-key-header, section 2."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from api.errors import ApiError
from api.idempotency import Idempotency
from calls.errors import LimitReached
from tests.api.rest import ORDER, fault
from tests.support.fake_switchboard import FakeSwitchboard

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


@pytest.fixture
def app(own_app: FastAPI) -> FastAPI:
    """The keys that it remembers are one test's."""
    return own_app


async def test_the_same_key_brings_the_same_answer_and_one_call(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    order = ORDER | {"username": "u", "password": "hidden", "tag": "t"}
    first, second = [await client.post("/calls", json=order, headers=KEY) for _ in range(2)]
    assert len(switchboard.done) == 1
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"


async def test_the_same_answer_comes_also_when_the_call_has_gone_on(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    first = await client.post("/calls", json=ORDER, headers=KEY)
    call = switchboard.call("9900000", first.json()["callId"])
    call.state, call.enqueued_time, call.tag = "disconnected", None, "changed"
    assert (await client.post("/calls", json=ORDER, headers=KEY)).content == first.content


async def test_another_key_or_none_is_another_call(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    for headers in (KEY, {"Idempotency-Key": "k2"}, {}, {}):
        assert (await client.post("/calls", json=ORDER, headers=headers)).status_code == 201
    assert len(switchboard.done) == 4


async def test_the_same_key_with_another_body_is_refused(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    await client.post("/calls", json=ORDER | {"password": "one"}, headers=KEY)
    for other in (ORDER | {"password": "two"}, ORDER | {"to": "+19195550000"}):
        response = await client.post("/calls", json=other, headers=KEY)
        assert fault(response, 422) == "Invalid Idempotency-Key: it has been used with another body"
    assert len(switchboard.done) == 1


async def test_another_account_has_keys_of_its_own(
    app: object, client: httpx.AsyncClient, anonymous: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    mine = await client.post("/calls", json=ORDER, headers=KEY)
    theirs = await anonymous.post(
        "/api/v2/accounts/1111111/calls", json=ORDER, headers=KEY, auth=("other", "different")
    )
    assert theirs.status_code == 201 and theirs.json()["callId"] != mine.json()["callId"]
    assert theirs.json()["accountId"] == "1111111"


async def test_what_was_refused_may_be_tried_again_with_its_key(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    switchboard.refuses = LimitReached("Account call creation rate limit exceeded", 1)
    assert (await client.post("/calls", json=ORDER, headers=KEY)).status_code == 429
    assert (await client.post("/calls", json=ORDER | {"priority": 9}, headers=KEY)).status_code == 400
    assert (await client.post("/calls", json=ORDER, headers=KEY)).status_code == 201
    assert len(switchboard.done) == 1


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a\tb", "ü"])
async def test_a_key_that_is_none_is_told_so(client: httpx.AsyncClient, key: str) -> None:
    response = await client.post("/calls", json=ORDER, headers={"Idempotency-Key": key.encode("latin-1")})
    assert fault(response).startswith("Invalid Idempotency-Key: must be one header of 1 to 255")


async def test_two_keys_are_none(client: httpx.AsyncClient) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert "Idempotency-Key" in fault(await client.post("/calls", json=ORDER, headers=headers))


# In virtual time


class Deeds:
    """Counts what is done; each deed waits until it is let go."""

    def __init__(self) -> None:
        self.count = 0
        self.released = asyncio.Event()
        self.released.set()

    async def act(self) -> int:
        self.count += 1
        await self.released.wait()
        return self.count


async def test_the_second_of_two_at_once_waits_for_the_first() -> None:
    deeds, keys = Deeds(), Idempotency[int]()
    deeds.released.clear()
    both = [asyncio.create_task(keys.once("a", "k", b"{}", deeds.act)) for _ in range(2)]
    await asyncio.sleep(0)
    deeds.released.set()
    assert await asyncio.gather(*both) == [(1, False), (1, True)]


async def test_a_key_is_forgotten_after_a_day() -> None:
    now = 0.0
    deeds, keys = Deeds(), Idempotency[int](lambda: now)
    assert await keys.once("a", "k", b"{}", deeds.act) == (1, False)
    now = 24 * 3600 - 1
    assert await keys.once("a", "k", b"{}", deeds.act) == (1, True)
    now = 24 * 3600
    assert await keys.once("a", "k", b"other", deeds.act) == (2, False)


async def test_the_oldest_key_of_the_same_account_makes_room() -> None:
    deeds, keys = Deeds(), Idempotency[int](most=2)
    await keys.once("b", "k", b"{}", deeds.act)
    for key in ("k1", "k2", "k3"):
        await keys.once("a", key, b"{}", deeds.act)
    assert (await keys.once("b", "k", b"{}", deeds.act))[1]
    assert (await keys.once("a", "k2", b"{}", deeds.act))[1]
    assert not (await keys.once("a", "k1", b"{}", deeds.act))[1]


async def test_a_failed_deed_leaves_nothing_behind() -> None:
    async def fails() -> int:
        raise ApiError(400, "no")

    deeds, keys = Deeds(), Idempotency[int]()
    with pytest.raises(ApiError):
        await keys.once("a", "k", b"{}", fails)
    assert await keys.once("a", "k", b"else", deeds.act) == (1, False)
    assert len(keys._under_way) == 0
