"""The media process is killed under load: its calls end with a stated cause, the next call works.

How soon is for `python -m benchmarks.recovery` to say.
"""

import asyncio
import os
import signal
import time

import pytest

from tests.support.ears import all_hear_the_others, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import CallRefused, Phone, PhoneCall
from tests.support.studio import Studio
from tests.support.webhook import Event

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_killing_media_ends_its_calls_and_the_next_one_works(studio: Studio) -> None:
    house = await House.open()
    try:
        rooms = [house.room() for _ in range(5)]
        calls = []
        for number in range(20):
            phone = await studio.phone(f"p{number}", house.server.sip, sound=voices()[number // 5])
            calls.append(await phone.dial(house.uri(rooms[number % 5])))
        for room in rooms:
            await house.application.event("conferenceMemberJoin", number=4, name=room)
        await all_hear_the_others(calls[0::5])

        media = house.server.pids["media"]
        for pid in media:
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*(call.ended() for call in calls))
        for call in calls:
            assert call.goodbye is not None and call.goodbye.method == "BYE"
            assert call.goodbye.get("reason"), call.story()

        phone = await studio.phone("next", house.server.sip, sound=voices()[6])
        other = await studio.phone("other", house.server.sip, sound=voices()[9])
        room = house.room()
        again = [await dial_again(one, house.uri(room)) for one in (phone, other)]
        await eventually(lambda: all(len(call.line.received) > 5 for call in again))
        await all_hear_the_others(again)

        for room in rooms:
            await house.application.event("conferenceMemberExit", number=4, name=room)
            await house.application.event("conferenceCompleted", name=room)
        ids = [event["callId"] for room in rooms for event in joined(house, room)]
        assert len(set(ids)) == 20
        for call_id in ids:
            event = await house.application.event("disconnect", callId=call_id)
            assert (event["cause"], event["errorMessage"]) == ("error", "media process lost")
        assert set(house.server.pids["media"]).isdisjoint(media)
        assert house.server.healthy()
    finally:
        await house.close(expect_clean=False)


async def test_media_ends_when_control_is_killed(studio: Studio) -> None:
    house = await House.open()
    try:
        phone = await studio.phone("alice", house.server.sip, sound=voices()[0])
        call = await phone.dial(house.uri(house.room()))
        await eventually(lambda: len(call.line.received) > 5)
        pids = house.server.pids
        others = [*pids["media"], *pids["speech"]]
        assert all(_alive(pid) for pid in others)
        phone.deaf = True  # it does not hang up at the end, which nobody would answer
        os.kill(pids["control"], signal.SIGKILL)
        await eventually(lambda: not any(_alive(pid) for pid in others))
        await eventually(lambda: time.time() - call.line.received[-1].at > 0.5, what="its sound goes on")
    finally:
        await house.abandon()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_server_that_is_started_at_once_has_the_addresses_of_one_that_ends_with_a_live_call(
    studio: Studio, number: signal.Signals
) -> None:
    house = await House.open()
    first = house.server.process
    try:
        assert first is not None
        phone = await studio.phone(f"before-{number}", house.server.sip, sound=voices()[0])
        await phone.dial(house.uri(house.room()))
        phone.deaf = number == signal.SIGKILL
        os.killpg(first.pid, number)
        house.server.spawn()
        assert await asyncio.to_thread(first.wait, 60) == (0 if number == signal.SIGTERM else -number)
        await eventually(house.server.healthy)
        after = await studio.phone(f"after-{number}", house.server.sip, sound=voices()[1])
        call = await after.dial(house.uri(house.room()))
        await eventually(lambda: len(call.line.received) > 5)
        await call.bye()
    finally:
        await house.close()


def joined(house: House, room: str) -> list[Event]:
    return house.application.of("conferenceMemberJoin", name=room)


async def dial_again(phone: Phone, uri: str) -> PhoneCall:
    """As a person does who is told 503: until it works."""

    async def attempt() -> PhoneCall | None:
        try:
            return await phone.dial(uri)
        except CallRefused as refusal:
            assert refusal.status == 503
            return None

    call: PhoneCall = await eventually(attempt)
    return call


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
