"""Opus and G.722 as phones that nobody here wrote speak and hear them, with SRTP and with keys both ways."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.baresip import Baresip
from tests.support.ears import voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.linphone import Linphone
from tests.support.studio import Studio
from tests.support.tones import tones
from tests.support.webhook import PATIENT, bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open(sections={"sip": {"srtp_keys_in_clear": True}})
    yield house
    await house.close()


@pytest.mark.parametrize(
    ("codec", "encrypted"),
    [(codec, keys) for codec in ("opus/48000/2", "G722/16000/1") for keys in (False, True)],
)
async def test_baresip_talks_to_a_narrowband_phone(
    house: House, studio: Studio, codec: str, encrypted: bool
) -> None:
    room, (mine, its) = house.room(), (voices()[1], voices()[5])
    alice = await (await studio.phone("alice", house.server.sip, sound=mine)).dial(house.uri(room))
    async with Baresip("baresip", frequency=its.frequency, codec=codec, encrypted=encrypted) as phone:
        await phone.dial(house.uri(room))
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its.frequency}, what=phone.story)
        await eventually(lambda: tones(phone.heard(last=0.2)) == {mine.frequency}, what=phone.story)
        await phone.hang_up()
    await alice.bye()


@pytest.mark.parametrize("codec", ["opus/48000/2", "G722/16000/1"])
async def test_keys_reach_baresip_and_come_from_it_on_the_clock_of_its_codec(
    house: House, codec: str
) -> None:
    room = house.room()
    house.tell(
        room,
        '<SendDtmf toneDuration="100" toneInterval="100">159</SendDtmf>'
        f'<Gather gatherUrl="/pin" maxDigits="3" tag="wide" {PATIENT}/>',
    )
    house.application.on("gather", bxml('<Pause duration="60"/>'), tag="wide")
    async with Baresip("baresip", frequency=voices()[5].frequency, codec=codec) as phone:
        await phone.dial(house.uri(room))
        await eventually(lambda: phone.pressed == "159", what=lambda: f"{phone.pressed} {phone.story()}")
        await phone.press("482")
        call_id = await house.call_id(room)
        event = await house.application.event("gather", callId=call_id)
        assert event["digits"] == "482"
        await phone.hang_up()


@pytest.mark.parametrize(("codec", "rate", "sound"), [("opus", 48000, 48000), ("G722", 8000, 16000)])
async def test_linphone_hears_keys_presses_some_and_talks_to_a_narrowband_phone(
    house: House, studio: Studio, codec: str, rate: int, sound: int
) -> None:
    room, caller, (mine, its) = house.room(), house.room(), (voices()[3], voices()[9])
    house.tell(
        caller,
        '<SendDtmf toneDuration="100" toneInterval="100">15*9</SendDtmf>'
        f'<Gather gatherUrl="/pin" maxDigits="4" tag="{room}" {PATIENT}/>',
    )
    house.application.on("gather", bxml(f"<Conference>{room}</Conference>"), tag=room)
    alice = await (await studio.phone("alice", house.server.sip, sound=mine)).dial(house.uri(room))
    async with Linphone("linphone", frequency=its.frequency, codec=codec, rate=rate) as phone:
        await phone.register(f"127.0.0.1:{house.server.sip_port}", "none")
        await phone.dial(house.uri(caller))
        await eventually(lambda: phone.pressed == "15*9", what=lambda: f"{phone.pressed} {phone.story()}")
        phone.press("48#2")
        assert (await house.application.event("gather", tag=room))["digits"] == "48#2"
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its.frequency}, what=phone.story)
        await eventually(
            lambda: tones(phone.heard(last=0.2, rate=sound)) == {mine.frequency}, what=phone.story
        )
        phone.order("terminate")
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == set())
    await alice.bye()
