"""What end-to-end tests share: one house (server and application) a module, one studio of phones a test.

Modules say `pytestmark = pytest.mark.asyncio(loop_scope="module")`: their house lives as long as their loop.
"""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.house import House
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
