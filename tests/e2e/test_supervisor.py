"""examples/supervisor.py against a running server, judged by ear."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.support.ears import all_hear_the_others, hears, voices
from tests.support.house import House
from tests.support.server import PASSWORD, USER
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "supervisor.py"


async def console(house: House, *words: str, refused: bool = False) -> list[str]:
    """The lines that the console prints; where it refuses, those of its complaint."""
    environment = {**os.environ, "API": house.server.api, "CREDENTIALS": f"{USER}:{PASSWORD}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == refused, err.decode()
    return (err if refused else out).decode().splitlines()


async def test_a_supervisor_listens_coaches_joins_and_holds(house: House, studio: Studio) -> None:
    room = house.room()
    calls, ids = [], []
    for name, voice in zip(("agent", "customer", "supervisor"), voices()[::4], strict=False):
        house.seat(f"{room}-{name}", room)
        phone = await studio.phone(name, house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(f"{room}-{name}")))
        ids.append(await house.call_id(f"{room}-{name}"))
        await house.joined(ids[-1])
    agent, customer, supervisor = calls
    assert await console(house, room) == [f"1  {ids[0]}", f"2  {ids[1]}", f"3  {ids[2]}"]

    assert await console(house, room, "9", "hold", refused=True) == ["There is no member 9: expected 1 to 3."]

    assert (await console(house, room, "3", "listen"))[2] == f"3  {ids[2]}  mute"
    await hears(agent, [customer])
    await hears(supervisor, [agent, customer])

    assert (await console(house, room, "3", "coach", "1"))[2] == f"3  {ids[2]}  coaches 1"
    await hears(agent, [customer, supervisor])
    await hears(customer, [agent])

    assert (await console(house, room, "3", "join"))[2] == f"3  {ids[2]}"
    await all_hear_the_others(calls)

    assert (await console(house, room, "2", "hold"))[1] == f"2  {ids[1]}  hold"
    await hears(agent, [supervisor])
    await hears(customer, [])
    await console(house, room, "2", "resume")
    await all_hear_the_others(calls)


async def test_a_dashboard_sees_who_comes_talks_is_muted_and_goes(house: House, studio: Studio) -> None:
    room = house.room()
    host = await (await studio.phone("host", house.server.sip)).dial(house.uri(room))
    talker = await studio.phone("talker", house.server.sip, sound=voices()[0])
    async with house.rest.stream(f"/conferences/{await house.conference(room)}/events") as news:

        async def told(*kinds: str) -> list[str]:
            """Of whom these kinds are told, in this order. Passed over: levels, and who is silent and talks
            again, as somebody seems to who is held up."""
            calls = []
            for kind in kinds:
                while (one := await anext(news))["eventType"] in {"level", "silent", "talking"} - {kind}:
                    pass
                assert one["eventType"] == kind, one
                calls.append(one.get("callId", ""))
            return calls

        async def loud(call_id: str) -> None:
            """Waits for a level of somebody who talks."""
            while (one := await anext(news)).get("level", -96.0) <= -60 or one["callId"] != call_id:
                assert one["eventType"] in ("level", "silent", "talking"), one

        await told("state")
        call = await talker.dial(house.uri(room))
        joined, talks = await told("join", "talking")
        assert joined == talks != ""
        await loud(joined)
        assert (await house.member(room, joined, mute=True))[0] == 204
        assert await told("mute") == [joined]
        await call.bye()
        assert await told("leave") == [joined]
        await host.bye()
        await told("leave", "end")
        assert [one async for one in news] == []


async def test_an_empty_room_is_said(house: House) -> None:
    with pytest.raises(AssertionError, match="Nobody is in nowhere"):
        await console(house, "nowhere")
