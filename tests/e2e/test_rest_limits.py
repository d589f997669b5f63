"""What REST bounds and remembers, by the official SDK: queues, limits, idempotency, deliveries."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeVar

import bandwidth
import httpx
import pytest
import pytest_asyncio
from bandwidth import exceptions, models

from tests.api.receivers import Got, Receiver, reply
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone_call import CallRefused
from tests.support.rest import Rest
from tests.support.server import ACCOUNT, APPLICATION, PASSWORD, USER, Server
from tests.support.studio import Studio
from tests.support.webhook import Application, bxml

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bandwidth"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
]

SLOW, SMALL, CROWDED = "9900001", "9900002", "9900003"
PACE = 1.0  # seconds from a call of SLOW to the next
LIMITS = {
    SLOW: {"calls_per_second": 1 / PACE},
    SMALL: {"calls_per_second": 0.01},
    CROWDED: {"concurrent_calls": 1},
}
KEY = "the tests' signing key"
BUSY = bxml('<Pause duration="60"/>')

Found = TypeVar("Found")


def application(account: str) -> str:
    return APPLICATION if account == ACCOUNT else f"3f1d4c4e-7b1b-4d0c-8f7e-{int(account):012d}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """Four accounts, each with an application for the users ACCOUNT-anything."""
    app = await Application().start()
    app.on("answer", BUSY)
    app.on("initiate", BUSY)
    accounts = [{"id": ACCOUNT, "username": USER, "password": PASSWORD}]
    accounts += [
        {"id": name, "username": name, "password": PASSWORD, **more} for name, more in LIMITS.items()
    ]
    applications = [
        {
            "id": application(account["id"]),
            "account": account["id"],
            "numbers": [f"{account['id']}-*"],
            "call_initiated_url": app.url("/initiate"),
            "call_status_url": app.url("/status"),
        }
        for account in accounts
    ]
    sections = {"accounts": accounts, "applications": applications, "webhooks": {"signing_key": KEY}}
    server = Server(sections=sections)
    try:
        server.start()
        house = House(server, app, await Rest(server).__aenter__())
    except BaseException:
        server.close()
        await app.stop()
        raise
    yield house
    await house.close()


class Client:
    """The SDK for one account, each request in a thread of its own."""

    def __init__(self, house: House, account: str = ACCOUNT) -> None:
        self.house, self.account = house, account
        self._sdk = bandwidth.ApiClient(
            bandwidth.Configuration(
                host=f"{house.server.http}/api/v2",
                username=USER if account == ACCOUNT else account,
                password=PASSWORD,
                ignore_operation_servers=True,
            )
        )
        self.calls = bandwidth.CallsApi(self._sdk)
        self.recordings = bandwidth.RecordingsApi(self._sdk)
        self.transcriptions = bandwidth.TranscriptionsApi(self._sdk)
        self.conferences = bandwidth.ConferencesApi(self._sdk)

    async def do(self, method: Callable[..., Found], *arguments: Any, **named: Any) -> Found:
        return await asyncio.to_thread(method, self.account, *arguments, **named)

    def order(self, to: str, **more: Any) -> models.CreateCall:
        order = {
            "from": "+19195550100",
            "to": to,
            "applicationId": application(self.account),
            "answerUrl": self.house.application.url("/answer"),
            "disconnectUrl": self.house.application.url("/gone"),
        }
        return models.CreateCall.from_dict(order | more)

    async def create(self, to: str, **more: Any) -> str:
        return str((await self.do(self.calls.create_call, self.order(to, **more))).call_id)

    async def state(self, call_id: str) -> models.CallState:
        return await self.do(self.calls.get_call_state, call_id)

    async def complete(self, *call_ids: str) -> None:
        update = models.UpdateCall(state=models.CallStateEnum.COMPLETED)
        for call_id in call_ids:
            await self.do(self.calls.update_call, call_id, update)

    async def queue(self) -> tuple[int, int]:
        figures = await self.do(bandwidth.StatisticsApi(self._sdk).get_statistics)
        return figures.current_call_queue_size, figures.max_call_queue_size


async def test_calls_leave_the_queue_by_priority_at_the_accounts_pace(house: House, studio: Studio) -> None:
    client = Client(house, SLOW)
    callee = await studio.phone("callee")
    while True:
        began = time.monotonic()
        first = await client.create(callee.uri)
        patient, urgent = await client.create(callee.uri), await client.create(callee.uri, priority=1)
        if time.monotonic() - began < PACE:
            break
        # The machine was held up, and the patient one has left. Again, when the first may leave at once.
        await client.complete(first, patient, urgent)
        await asyncio.sleep(PACE)

    async def starts() -> list[datetime]:
        found = [(await client.state(call_id)).start_time for call_id in (first, urgent, patient)]
        return [] if None in found else found

    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(await eventually(starts))]
    assert all(gap > PACE - 0.1 for gap in gaps), gaps
    assert await client.queue() == (0, 300 / PACE)
    await client.complete(first, urgent, patient)


async def test_what_waits_is_queued_and_a_full_queue_is_429_with_the_time_to_come_again(
    house: House, studio: Studio
) -> None:
    client = Client(house, SMALL)
    callee = await studio.phone("callee")
    began = time.monotonic()
    placed = [await client.create(callee.uri) for _ in range(4)]
    with pytest.raises(exceptions.ApiException) as refusal:
        await client.create(callee.uri)
    assert refusal.value.status == 429
    assert refusal.value.data.description == "Account call creation rate limit exceeded"
    passed = time.monotonic() - began
    assert 100 - passed - 1 <= int(refusal.value.headers["Retry-After"]) <= 100
    assert await client.queue() == (3, 3)

    waiting = await client.state(placed[1])
    assert (waiting.state, waiting.start_time) == ("queued", None)
    assert waiting.enqueued_time is not None
    with pytest.raises(exceptions.ConflictException):
        redirect = models.UpdateCall(redirect_url=house.application.url("/other"))
        await client.do(client.calls.update_call, placed[2], redirect)
    await client.complete(placed[2])
    assert await client.queue() == (2, 3)
    event = await house.application.event("disconnect", callId=placed[2])
    assert event["cause"] == "cancel"
    await callee.incoming()
    await client.complete(*placed)
    assert await client.queue() == (0, 3)
    assert len(callee.incoming_calls) == 1


async def test_a_crowded_account_refuses_both_ways_without_an_event(house: House, studio: Studio) -> None:
    client = Client(house, CROWDED)
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(f"{CROWDED}-room"))
    before = house.application.of("*", accountId=CROWDED)
    with pytest.raises(CallRefused) as busy:
        await alice.dial(house.uri(f"{CROWDED}-room"))
    assert busy.value.status == 486
    with pytest.raises(exceptions.ApiException) as refusal:
        await client.create("sip:nobody@127.0.0.1:9")
    assert refusal.value.status == 429 and int(refusal.value.headers["Retry-After"]) > 0
    assert refusal.value.data.description == "Account concurrent call limit exceeded"
    assert house.application.of("*", accountId=CROWDED) == before
    assert len(await client.do(client.calls.list_calls)) == 1
    other = await alice.dial(house.uri(f"{ACCOUNT}-room"))
    await call.bye()
    await house.application.event("disconnect", accountId=CROWDED)
    again = await alice.dial(house.uri(f"{CROWDED}-room"))
    await asyncio.gather(again.bye(), other.bye())


async def test_an_order_sent_again_with_its_key_rings_once(house: House, studio: Studio) -> None:
    client = Client(house)
    callee = await studio.phone("callee")
    order, key = client.order(callee.uri, tag="once"), {"Idempotency-Key": "order-1"}
    answers = [
        await client.do(client.calls.create_call_with_http_info, order, _headers=key) for _ in range(2)
    ]
    assert answers[0].raw_data == answers[1].raw_data
    assert answers[1].headers["idempotent-replayed"] == "true"
    await callee.incoming()
    with pytest.raises(exceptions.UnprocessableEntityException):
        other = client.order(callee.uri, tag="another")
        await client.do(client.calls.create_call, other, _headers=key)
    await client.complete(answers[0].data.call_id)
    assert len(await client.do(client.calls.list_calls, to=callee.uri)) == 1
    assert len(callee.incoming_calls) == 1


async def test_recordings_and_transcriptions_are_empty_and_unknown_to_the_sdk(house: House) -> None:
    client = Client(house)
    recordings, transcriptions = client.recordings, client.transcriptions
    assert await client.do(recordings.list_account_call_recordings, to="+19195551234") == []
    assert await client.do(recordings.list_call_recordings, "c-none") == []
    assert await client.do(client.conferences.list_conference_recordings, "conf-none") == []
    assert await client.do(transcriptions.list_real_time_transcriptions, "c-none") == []
    order = models.TranscribeRecording(callback_url="https://app.example/t")
    pause = models.UpdateCallRecording(state=models.RecordingStateEnum.PAUSED)
    for method, arguments in [
        (recordings.get_call_recording, ("c-none", "r-none")),
        (recordings.delete_recording, ("c-none", "r-none")),
        (recordings.download_call_recording, ("c-none", "r-none")),
        (recordings.delete_recording_media, ("c-none", "r-none")),
        (recordings.get_recording_transcription, ("c-none", "r-none")),
        (recordings.transcribe_call_recording, ("c-none", "r-none", order)),
        (recordings.delete_recording_transcription, ("c-none", "r-none")),
        (recordings.update_call_recording_state, ("c-none", pause)),
        (transcriptions.get_real_time_transcription, ("c-none", "t-none")),
        (transcriptions.delete_real_time_transcription, ("c-none", "t-none")),
        (client.conferences.get_conference_recording, ("conf-none", "r-none")),
        (client.conferences.download_conference_recording, ("conf-none", "r-none")),
    ]:
        with pytest.raises(exceptions.NotFoundException):
            await client.do(method, *arguments)


@pytest.mark.parametrize("mode", list(models.MachineDetectionModeEnum))
async def test_machine_detection_is_taken_and_the_log_says_that_nothing_is_detected(
    house: House, studio: Studio, mode: models.MachineDetectionModeEnum
) -> None:
    client = Client(house)
    callee = await studio.phone("callee")
    detection = {"mode": mode.value, "callbackUrl": house.application.url("/machine"), "detectionTimeout": 5}
    call_id = await client.create(callee.uri, machineDetection=detection)
    await callee.incoming()
    await house.application.event("answer", callId=call_id)
    lines = [line for line in house.server.records() if line["event"] == "machine_not_detected"]
    assert [line["mode"] for line in lines if line["call_id"] == call_id] == [mode.value]
    await client.complete(call_id)


# Deliveries


def genuine(got: Got) -> bool:
    """As docs/rest.md says to check it."""
    content = got.body if got.method == "POST" else got.target.encode()
    t, _, v1 = got.headers["mixminus-signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(KEY.encode(), f"{t}.".encode() + content, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, v1) and abs(time.time() - int(t)) < 300


async def test_a_disconnect_that_nobody_took_is_listed_and_replayed_signed_and_numbered(
    house: House, studio: Studio
) -> None:
    client = Client(house)
    callee = await studio.phone("callee")
    well = False

    async def moody(_: Got) -> bytes:
        return reply(204) if well else reply(503)

    async with Receiver(moody) as receiver, Receiver(reply(200, BUSY.encode())) as app:
        call_id = await client.create(
            callee.uri, answerUrl=f"{app.url}/a?x=%2B1", answerMethod="GET", disconnectUrl=f"{receiver.url}/d"
        )
        await callee.incoming()
        [answer] = await app.arrived(1)
        assert answer.method == "GET" and genuine(answer)
        assert answer.headers["mixminus-sequence"] == "1"
        await client.complete(call_id)
        await receiver.arrived(1)

        url = f"{house.server.http}/api/mixminus/v1/accounts/{ACCOUNT}/undelivered"
        async with httpx.AsyncClient(auth=(USER, PASSWORD)) as own:

            async def listed() -> list[dict[str, Any]]:
                return [row for row in (await own.get(url)).json() if row["event"]["callId"] == call_id]

            [row] = await eventually(listed)
            assert row["event"]["eventType"] == "disconnect"
            assert row["reason"].endswith("answered 503")
            well = True
            assert (await own.post(f"{url}/{row['eventId']}/replay")).status_code == 202
            first, second = await receiver.arrived(2)
            assert await listed() == []
    assert first.body == second.body and genuine(first) and genuine(second)
    for got in (first, second):
        assert got.headers["idempotency-key"] == row["eventId"] != answer.headers["idempotency-key"]
        assert got.headers["mixminus-sequence"] == str(row["sequence"]) == "2"
