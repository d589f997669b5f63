"""What end-to-end tests share: one house (server and application) a module, one studio of phones a test.

Modules say `pytestmark = pytest.mark.asyncio(loop_scope="module")`: their house lives as long as their loop.
"""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest_asyncio

from tests.support.ears import all_hear_the_others, keep_hearing, voices
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.studio import Studio


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open()
    yield house
    await house.close()


@pytest_asyncio.fixture(loop_scope="module")
async def studio() -> AsyncIterator[Studio]:
    async with Studio() as studio:
        yield studio


@pytest_asyncio.fixture(loop_scope="module")
async def pair(house: House, studio: Studio) -> AsyncIterator[list[PhoneCall]]:
    """Two who talk; whatever a test does, they hear each other without a gap until its end."""
    room = house.room()
    calls = []
    for voice in (voices()[0], voices()[6]):
        phone = await studio.phone("talker", house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(room)))
    await all_hear_the_others(calls)
    start = [len(call.line.received) for call in calls]
    yield calls
    await all_hear_the_others(calls)
    for call, begin in zip(calls, start, strict=True):
        await keep_hearing(call, [other for other in calls if other is not call])
        packets = call.line.received[begin:]
        numbers = [packet.sequence for packet in packets]
        steps = {(b - a) & 0xFFFF for a, b in pairwise(numbers)}
        assert steps == {1}, "packets are missing"
