"""The test phone against sipp, an implementation that shares nothing with it."""

from collections.abc import AsyncIterator

import pytest

from tests.support.eventually import eventually
from tests.support.sipp import Sipp
from tests.support.sounds import Tone
from tests.support.studio import Studio
from tests.support.tones import tones


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    async with Studio() as studio:
        yield studio


async def test_sipp_calls_the_phone(studio: Studio) -> None:
    bob = await studio.phone("bob")
    async with Sipp("uac", remote=(bob.host, bob.port), calls=5, hold_milliseconds=100) as sipp:
        await sipp.done()
    assert [call.state for call in bob.incoming_calls] == ["ended"] * 5


async def test_sipp_echoes_the_phone(studio: Studio) -> None:
    async with Sipp("uas", arguments=("-rtp_echo",)) as sipp:
        alice = await studio.phone("alice", sipp.address)
        call = await alice.dial(f"sip:service@127.0.0.1:{sipp.port}", sound=Tone(670))
        await eventually(lambda: tones(call.line.pcm(last=0.2)) == {670})
        await call.bye()


async def test_a_trunk_that_challenges_is_answered(studio: Studio) -> None:
    async with Sipp("uas_digest") as sipp:
        alice = await studio.phone("alice", sipp.address, password="carrier-secret", auth_user="carrier-user")
        call = await alice.dial(f"sip:service@127.0.0.1:{sipp.port}")
        assert call.line.law == "PCMA"
        await call.bye()
        await sipp.done()


async def test_a_wrong_password_is_refused_by_the_trunk(studio: Studio) -> None:
    async with Sipp("uas_digest") as sipp:
        alice = await studio.phone("alice", sipp.address, password="wrong", auth_user="carrier-user")
        assert await alice.invite(f"sip:service@127.0.0.1:{sipp.port}").refused() == 403
