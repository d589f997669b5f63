"""baresip against the test phone: its own harness, before a server stands between them."""

import pytest

from tests.support.baresip import Baresip
from tests.support.eventually import eventually
from tests.support.sounds import Tone
from tests.support.studio import Studio
from tests.support.tones import tones


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_baresip_calls_hears_and_hangs_up(transport: str) -> None:
    async with Studio() as studio:
        bob = await studio.phone("bob", sound=Tone(670), transport=transport)
        async with Baresip("alice", frequency=1130, transport=transport) as phone:
            suffix = ";transport=tcp" if transport == "tcp" else ""
            await phone.dial(bob.uri + suffix)
            call = await bob.incoming()
            await eventually(lambda: tones(call.line.pcm(last=0.2)) == {1130})
            await eventually(lambda: tones(phone.heard(last=0.2)) == {670})
            await phone.hang_up()
            await call.ended()
