"""A server and its application, as the end-to-end tests of one module share them."""

import asyncio
import itertools
from typing import Any

from tests.conformance import events
from tests.support.rest import Rest
from tests.support.server import Server
from tests.support.webhook import Application, Event, bxml

PROMPT = "Joining the conference now."
_numbers = itertools.count(1)


class House:
    """The application lets every caller of NAME into the conference NAME, unless a test has its own rule."""

    def __init__(self, server: Server, application: Application, rest: Rest) -> None:
        self.server, self.application, self.rest = server, application, rest

    @classmethod
    async def open(cls, **server_options: Any) -> "House":
        application = await Application().start()
        application.on("initiate", cls._welcome)
        server = Server(application.url(""), **server_options)
        try:
            server.start()
            rest = await Rest(server).__aenter__()
        except BaseException:
            server.close()
            await application.stop()
            raise
        return cls(server, application, rest)

    @staticmethod
    def _welcome(event: Event) -> str:
        user = str(event["to"]).removeprefix("sip:").partition("@")[0]
        return bxml(f'<Conference conferenceEventUrl="/conference">{user}</Conference>')

    async def abandon(self) -> None:
        """For a server that a test has killed."""
        await self.rest.__aexit__()
        self.server.close()
        await self.application.stop()

    async def close(self, *, expect_clean: bool = True) -> None:
        """An orderly stop: exit status 0 and, unless a test broke something, a log without errors.

        Every event that the application got must be as the contract has it, and none gainsay another.
        """
        try:
            await self.rest.__aexit__()
            # In a thread: the application must answer the last webhooks, and its loop is this one.
            await asyncio.to_thread(self.server.stop, expect_clean=expect_clean)
        finally:
            self.server.close()
            await self.application.stop()
        # A sound that the application does not have was asked for without any field.
        sent = [event.fields for event in self.application.events if event.fields]
        faults = [*(fault for fields in sent for fault in events.faults(fields)), *events.disagreements(sent)]
        assert not faults, "\n".join(sorted(set(faults)))

    def room(self) -> str:
        """A conference name that no other test uses."""
        return f"room-{next(_numbers)}"

    def uri(self, user: str) -> str:
        return self.server.uri(user)

    def tell(self, user: str, verbs: str) -> None:
        """What a caller of `user` is told first."""
        self.application.calls_to(user, verbs)

    def seat(self, user: str, room: str, attributes: str = "", after: str = "") -> None:
        """A caller of `user` joins `room`, with these attributes; `after`: verbs that follow."""
        self.tell(
            user,
            f'<Conference conferenceEventUrl="/conference" {attributes}>{room}</Conference>{after}',
        )

    async def call_id(self, user: str) -> str:
        """Of the latest call to `user`."""
        await self.application.event("initiate", user=user)
        return str(self.application.of("initiate", user=user)[-1]["callId"])

    async def conference(self, room: str) -> str:
        """The id of the latest conference of that name."""
        await self.application.event("conferenceCreated", name=room)
        return str(self.application.of("conferenceCreated", name=room)[-1]["conferenceId"])

    async def joined(self, call_id: str) -> None:
        await self.application.event("conferenceMemberJoin", callId=call_id)

    async def member(self, room: str, call_id: str, **change: Any) -> tuple[int, Any]:
        """PUT of mute, hold or callIdsToCoach."""
        return await self.rest.put(f"/conferences/{await self.conference(room)}/members/{call_id}", change)
