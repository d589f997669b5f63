"""A hand on the clock of the running event loop: timers fire when a test says so, and nobody sleeps."""

import asyncio

from tests.support.exchange import settle


class Hand:
    """Moves the loop's clock on."""

    def __init__(self, monkeypatch):
        self._ahead = 0.0
        loop = asyncio.get_running_loop()
        original = loop.time
        monkeypatch.setattr(loop, "time", lambda: original() + self._ahead)

    async def on(self, seconds):
        self._ahead += seconds
        await settle()
