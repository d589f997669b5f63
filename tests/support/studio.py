"""The room in which a test's phones live.

async with Studio() as studio:
    alice = await studio.phone("alice", ("127.0.0.1", 5060), sound=Tone(410))
    call = await alice.dial("sip:room@127.0.0.1:5060")
    ...
    await call.bye()
"""

import asyncio
import gc
from dataclasses import replace
from typing import Any

from tests.support.phone import Media, Phone
from tests.support.rtp_line import MediaClock, MediaSocket
from tests.support.sounds import Sound


class Studio:
    """The phones of one test and the clock of their media.

    At its end live calls are hung up and sockets closed. A message that a phone could not read, or an
    exception in a call's task, fails the test.
    """

    def __init__(self) -> None:
        self.clock = MediaClock()
        self.phones: list[Phone] = []
        self._sockets: list[MediaSocket] = []

    async def __aenter__(self) -> "Studio":
        # A full collection of all that pytest has loaded takes longer than a phone may be silent.
        gc.freeze()
        self.clock.start()
        return self

    async def phone(
        self, user: str, server: tuple[str, int] | None = None, *, sound: Sound | None = None, **options: Any
    ) -> Phone:
        if sound is not None:
            options["media"] = replace(options.get("media") or Media(), sound=sound)
        phone = await Phone(self, user, server, **options).open()
        self.phones.append(phone)
        return phone

    def socket(self, address: str = "127.0.0.1", **options: Any) -> MediaSocket:
        """One that several calls may share, or that lives in another network."""
        self._sockets.append(MediaSocket(address, **options))
        return self._sockets[-1]

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        live = [
            call
            for phone in self.phones
            if not phone.deaf
            for call in phone.calls.values()
            if call.state == "answered" and call.ended_at is None
        ]
        goodbyes = await asyncio.gather(*(call.bye() for call in live), return_exceptions=True)
        await self.clock.stop()
        gc.unfreeze()
        for phone in self.phones:
            await phone.close()
        for media in self._sockets:
            media.close()
        if kind is None:
            problems = [problem for phone in self.phones for problem in phone.problems]
            assert not problems, problems
            failed = [outcome for outcome in goodbyes if isinstance(outcome, BaseException)]
            assert not failed, failed
            for phone in self.phones:
                for call in phone.calls.values():
                    await call.failed_in_background()
