"""Phones that nobody here wrote: sipp, pyVoIP, baresip, linphone."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.baresip import Baresip
from tests.support.ears import voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.linphone import Linphone
from tests.support.pyvoip import PyVoip
from tests.support.server import APPLICATION
from tests.support.sipp import Sipp
from tests.support.sounds import Tone
from tests.support.studio import Studio
from tests.support.tones import level, tones

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open()
    yield house
    await house.close()


async def test_sipps_stock_caller_works_50_times(house: House) -> None:
    async with Sipp(
        "uac", remote=house.server.sip, user=house.room(), calls=50, rate=25, hold_milliseconds=300
    ) as sipp:
        await sipp.done()


async def test_sipps_stock_reader_finds_our_name_in_the_sdp(house: House) -> None:
    """It looks for letters in the o= line, and sends back what it has found."""
    async with Sipp("regexp", remote=house.server.sip, user=house.room(), calls=2) as sipp:
        await sipp.done()


async def test_sipp_over_tcp(house: House) -> None:
    async with Sipp(
        "uac", remote=house.server.sip, user=house.room(), calls=5, transport="t1", hold_milliseconds=200
    ) as sipp:
        await sipp.done()


async def test_sipps_stock_answerer_is_called(house: House, studio: Studio) -> None:
    """It echoes what it hears: a member of the room hears himself through it, one turn later."""
    room = house.room()
    alice = await studio.phone("alice", house.server.sip, sound=voices()[0])
    call = await alice.dial(house.uri(room))
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    async with Sipp("uas", arguments=("-rtp_echo",)) as sipp:
        status, body = await house.rest.post(
            "/calls",
            {
                "from": "+19195550100",
                "to": f"sip:service@127.0.0.1:{sipp.port}",
                "applicationId": APPLICATION,
                "answerUrl": house.application.url("/answer"),
                "tag": room,
            },
        )
        assert status == 201
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {voices()[0].frequency})
        assert (await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
        await sipp.done()


async def test_pyvoip_registers_joins_and_hears_the_others(house: House, studio: Studio) -> None:
    """Its ACK carries a new To tag: a server that does not know it repeats its 200 and gives up at 32 s."""
    room = house.room()
    loud = Tone(voices()[2].frequency, 8000)  # pyVoIP hears with eight bits
    alice = await studio.phone("alice", house.server.sip, sound=loud)
    call = await alice.dial(house.uri(room))
    async with PyVoip(house.server.sip, "pyvoip", frequency=voices()[6].frequency) as phone:
        await phone.call(room)
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {voices()[6].frequency})
        await eventually(lambda: level(phone.heard(last=0.2), loud.frequency) > 4000)
        assert level(phone.heard(last=0.2), voices()[6].frequency) < 1500, "hears himself"
        # No request of ours is repeated for long: the 200 was acknowledged, new To tag or not.
        conference = await house.conference(room)
        await phone.hang_up()
        ids = [
            event["callId"] for event in house.application.of("conferenceMemberJoin", conferenceId=conference)
        ]
        event = await house.application.event("disconnect", callId=ids[1])
        assert event["cause"] == "hangup"


@pytest.mark.parametrize("transport, law", [("udp", "PCMU"), ("tcp", "PCMA")])
async def test_baresip_joins_holds_and_leaves(house: House, studio: Studio, transport: str, law: str) -> None:
    room = house.room()
    mine, its = voices()[1].frequency, voices()[5].frequency
    alice = await studio.phone("alice", house.server.sip, sound=voices()[1])
    call = await alice.dial(house.uri(room))
    async with Baresip("baresip", frequency=its, transport=transport, codec=law) as phone:
        suffix = ";transport=tcp" if transport == "tcp" else ""
        await phone.dial(house.uri(room) + suffix)
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {its})
        await eventually(lambda: tones(phone.heard(last=0.2)) == {mine})
        await phone.hold()
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == set())
        await phone.resume()
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {its})
        await phone.hang_up()
    await eventually(lambda: tones(call.line.pcm(last=0.3)) == set())


async def test_linphone_registers_dials_holds_and_is_rung(house: House, studio: Studio) -> None:
    room = house.room()
    mine, its = voices()[3].frequency, voices()[9].frequency
    alice = await studio.phone("alice", house.server.sip, sound=voices()[3])
    call = await alice.dial(house.uri(room))
    async with Linphone("linphone", frequency=its) as phone:
        await phone.register(f"127.0.0.1:{house.server.sip_port}", "none")
        await phone.dial(house.uri(room))
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {its})
        await eventually(lambda: tones(phone.heard(last=0.2)) == {mine})
        phone.order("pause")
        await phone.said("is now paused")
        held = len(phone.heard(last=60))
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == set(), what="its music kept out")
        phone.order("resume")
        await eventually(lambda: len(phone.heard(last=60)) > held + 4000, what=phone.story)
        await eventually(lambda: tones(phone.heard(last=0.2)) == {mine}, what=phone.story)
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {its})
        phone.order("terminate")
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == set())

        house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
        order = {
            "from": "+19195550100",
            "to": house.uri("linphone"),
            "applicationId": APPLICATION,
            "answerUrl": house.application.url("/answer"),
            "tag": room,
        }
        assert (await house.rest.post("/calls", order))[0] == 201
        await phone.said("incoming call")
        phone.order("answer")
        await eventually(lambda: tones(call.line.pcm(last=0.3)) == {its}, what=phone.story)
        await call.bye()


async def test_the_machines_own_sockets_stay_open_to_all(house: House) -> None:
    """A peer that connects over TCP and says nothing keeps nobody out."""
    silent = [socket.create_connection(house.server.sip) for _ in range(50)]
    try:
        async with Sipp(
            "uac", remote=house.server.sip, user=house.room(), calls=2, transport="t1", hold_milliseconds=100
        ) as sipp:
            await sipp.done()
    finally:
        for one in silent:
            one.close()
    await asyncio.sleep(0)
