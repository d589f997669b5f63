"""What the tests of calls share."""

import pytest

from tests.support.hand import Hand


@pytest.fixture
async def hand(monkeypatch):
    return Hand(monkeypatch)
