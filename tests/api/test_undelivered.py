"""Events that nobody took: kept, listed, replayed. Beyond the contract."""

import httpx
import pytest

from api.dead_letters import DeadLetters
from api.letter import Letter
from api.webhooks import Courier
from calls.callbacks import Callback, Event
from net.http import HttpClient
from tests.api.receivers import Got, Receiver, reply
from tests.api.rest import fault
from tests.support.eventually import eventually

BASE = "/api/mixminus/v1/accounts/9900000/undelivered"


def event(kind: str = "disconnect", call: str = "c-1", **more: object) -> Event:
    return {"eventType": kind, "accountId": "9900000", "callId": call, **more}


@pytest.fixture
async def own(anonymous: httpx.AsyncClient) -> httpx.AsyncClient:
    anonymous.auth = httpx.BasicAuth("demo", "secret")
    return anonymous


class Moody:
    """A receiver's behaviour: fails until it is well."""

    def __init__(self) -> None:
        self.well = False

    async def __call__(self, _: Got) -> bytes:
        return reply(204) if self.well else reply(503)


async def given_up(courier: Courier, *letters: tuple[Callback, Event]) -> None:
    """These were told, and nobody is trying any more."""
    for callback, told in letters:
        courier.tell(callback, told)
    await eventually(lambda: courier.waiting == 0)


async def test_what_failed_is_listed_and_a_replay_sends_it_as_it_was(
    own: httpx.AsyncClient, courier: Courier
) -> None:
    mood = Moody()
    async with Receiver(mood) as app:
        told = event(tag="t", cause="hangup")
        callback = Callback(url=f"{app.url}/d?key=k", username="u", password="hidden")
        await given_up(courier, (callback, told))
        response = await own.get(BASE)
        assert response.status_code == 200 and "hidden" not in response.text
        [row] = response.json()
        [first] = app.got
        assert row.pop("failedTime").endswith("Z")
        assert row == {
            "eventId": first.headers["idempotency-key"],
            "sequence": 1,
            "url": f"{app.url}/d?key=k",
            "method": "POST",
            "fallbackUrl": None,
            "attempts": 1,
            "reason": f"POST {app.url}/d: answered 503",
            "event": told,
        }
        mood.well = True
        replayed = await own.post(f"{BASE}/{row['eventId']}/replay")
        assert (replayed.status_code, replayed.content) == (202, b"")
        assert (await own.get(BASE)).json() == []
        _, second = await app.arrived(2)
    assert second.event == told and second.credentials == "u:hidden"
    for name in ("idempotency-key", "mixminus-sequence"):
        assert second.headers[name] == first.headers[name]
    assert courier.statistics["replayed"] == 1


async def test_a_replay_that_fails_is_listed_again_with_one_attempt_more(
    own: httpx.AsyncClient, courier: Courier
) -> None:
    async with Receiver(reply(503)) as app:
        await given_up(courier, (Callback(url=app.url), event()))
        [row] = (await own.get(BASE)).json()
        await own.post(f"{BASE}/{row['eventId']}/replay")
        await given_up(courier)
        [again] = (await own.get(BASE)).json()
    assert (again["eventId"], again["attempts"], again["sequence"]) == (row["eventId"], 2, 1)


async def test_another_accounts_events_are_neither_seen_nor_replayed(
    own: httpx.AsyncClient, courier: Courier
) -> None:
    async with Receiver(reply(503)) as app:
        await given_up(courier, (Callback(url=app.url), event(accountId="1111111")))
        assert (await own.get(BASE)).json() == []
        [theirs] = courier.undelivered.of("1111111")
        response = await own.post(f"{BASE}/{theirs.id}/replay")
        assert fault(response, 404) == f"Undelivered event [{theirs.id}] not found"
    assert len(app.got) == 1


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/e-1/replay")])
async def test_it_stands_behind_the_same_gate(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await anonymous.request(method, BASE + path)).status_code == 401
    theirs = BASE.replace("9900000", "1111111") + path
    assert (await anonymous.request(method, theirs, auth=("demo", "secret"))).status_code == 403


async def test_an_event_of_a_conference_belongs_to_the_account_that_it_was_told_for(courier: Courier) -> None:
    async with Receiver(reply(503)) as app:
        over: Event = {"eventType": "conferenceCompleted", "conferenceId": "conf-1"}
        courier.tell(Callback(url=app.url), over, account="9900000")
        await given_up(courier)
    [kept] = courier.undelivered.of("9900000")
    assert kept.letter.event == over


async def test_events_that_want_an_answer_are_not_kept(courier: Courier) -> None:
    async with Receiver(reply(503)) as app:
        courier.tell(Callback(url=app.url), event("conferenceMemberJoin"), lambda _: None)
        await given_up(courier)
    assert len(courier.undelivered) == 0


async def test_what_there_was_no_room_to_send_is_kept(
    http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.webhooks._LONGEST_LINE", 1)
    courier = Courier(http)
    async with Receiver(reply(204)) as app:
        await given_up(courier, *((Callback(url=app.url), event(number=number)) for number in range(3)))
    assert [got.event["number"] for got in app.got] == [0]
    kept = courier.undelivered.of("9900000")
    assert [(letter.letter.event["number"], letter.letter.sequence) for letter in kept] == [(1, 2), (2, 3)]
    assert "too many" in kept[0].reason
    await courier.close(0.0)


async def test_the_list_comes_in_pages(own: httpx.AsyncClient, courier: Courier) -> None:
    async with Receiver(reply(503)) as app:
        await given_up(courier, *((Callback(url=app.url), event(call=f"c-{number}")) for number in range(5)))
    url, pages = f"{BASE}?pageSize=2", []
    while url:
        response = await own.get(url)
        pages.append(len(response.json()))
        url = response.links.get("next", {}).get("url", "").replace("http://voice.example:8080", "")
    assert pages == [2, 2, 1]
    assert "pageSize" in fault(await own.get(f"{BASE}?pageSize=0"))


async def test_the_oldest_makes_room_in_its_own_account() -> None:
    letters = DeadLetters(most=2)
    for account, number in (("a", 1), ("b", 1), ("a", 2), ("a", 3)):
        letter = Letter(
            Callback(url="http://h/"), {}, id=f"{account}{number}", sequence=number, account=account
        )
        letters.keep(letter, "no")
    assert [kept.id for kept in letters.of("a")] == ["a2", "a3"]
    assert [kept.id for kept in letters.of("b")] == ["b1"] and len(letters) == 3
