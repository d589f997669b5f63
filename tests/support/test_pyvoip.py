"""The pyVoIP process against the test phone: its own harness, before a server stands between them."""

from tests.support.eventually import eventually
from tests.support.pyvoip import PyVoip
from tests.support.sounds import Tone
from tests.support.studio import Studio
from tests.support.tones import level, tones


async def test_pyvoip_registers_calls_and_hears() -> None:
    async with Studio() as studio:
        bob = await studio.phone("bob", sound=Tone(670, 8000))
        async with PyVoip((bob.host, bob.port), "alice", frequency=410) as phone:
            await phone.call("bob")
            call = await bob.incoming()
            await eventually(lambda: tones(call.line.pcm(last=0.2)) == {410})
            await eventually(lambda: level(phone.heard(last=0.3), 670) > 4000)
            await phone.hang_up()
            await call.ended()
