"""A real application over HTTP: keeps every event with its time and answers by rules that a test gives."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.eventually import eventually

PATIENT = 'firstDigitTimeout="60" interDigitTimeout="60"'
"""For a Gather of which a test wants the digits and no time-out: whoever presses them may be held up."""

BXML = '<?xml version="1.0" encoding="UTF-8"?><Response>{}</Response>'


@dataclass(frozen=True)
class Event:
    at: float
    path: str
    method: str
    body: dict[str, Any]
    query: dict[str, str]
    authorization: tuple[str, str] | None  # user and password of a Basic header
    content_type: str

    @property
    def type(self) -> str:
        return str(self.fields.get("eventType", ""))

    @property
    def fields(self) -> dict[str, Any]:
        """The event, whether it came as JSON or as query parameters."""
        return self.body or self.query

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str) -> Any:
        return self.fields.get(name)


@dataclass(frozen=True)
class Reply:
    """What the application does with a request: `delay` comes first, and `after`; `hang` never answers."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/xml"
    delay: float = 0.0
    hang: bool = False
    after: asyncio.Event | None = None
    headers: dict[str, str] = field(default_factory=dict)


Answer = Reply | str | Callable[[Event], "Reply | str"]


def bxml(verbs: str) -> str:
    return BXML.format(verbs)


@dataclass
class Rule:
    type: str
    answer: Answer
    wanted: dict[str, Any]

    def fits(self, event: Event) -> bool:
        if self.type not in ("*", event.type):
            return False
        return all(self._matches(event, name, value) for name, value in self.wanted.items())

    @staticmethod
    def _matches(event: Event, name: str, value: Any) -> bool:
        if name == "path":
            return bool(event.path == value)
        if name == "user":  # the called user of an initiate event
            to = str(event.get("to"))
            return to == value or to.startswith(f"sip:{value}@")
        return bool(event.get(name) == value)


class Application:
    """Rules are tried from the newest to the oldest; an event that fits none gets 204."""

    def __init__(
        self, *, username: str | None = None, password: str | None = None, challenge: bool = False
    ) -> None:
        self.events: list[Event] = []
        self.rules: list[Rule] = []
        self.files: dict[str, tuple[bytes, str]] = {}  # path -> body and type, for PlayAudio
        self.credentials = (username, password) if username is not None else None
        self.challenge = challenge  # ask with a 401 before anything counts
        self.refused: list[Event] = []
        self.port = 0
        self._hung = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> "Application":
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, port: int = 0) -> "Application":
        app = web.Application(client_max_size=1 << 22)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        self._hung.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, type: str, answer: Answer, **wanted: Any) -> None:
        """`wanted`: fields the event must have; `path`, and `user` for the called user, besides."""
        self.rules.insert(0, Rule(type, answer, wanted))

    def calls_to(self, user: str, verbs: str) -> None:
        """What an inbound call to `user` is told at first."""
        self.on("initiate", bxml(verbs), user=user)

    # --- what came

    def of(self, type: str, **wanted: Any) -> list[Event]:
        rule = Rule(type, "", wanted)
        return [event for event in self.events if rule.fits(event)]

    async def event(self, type: str, *, number: int = 1, **wanted: Any) -> Event:
        """The `number`-th event of that type with those fields."""
        found = await eventually(
            lambda: (events := self.of(type, **wanted)) and len(events) >= number and events,
            what=lambda: f"{type} {wanted or ''}\n{self.story()}",
        )
        return found[number - 1]  # type: ignore[no-any-return]

    def story(self, last: int = 60) -> str:
        if not self.events:
            return "the application got no event"
        start = self.events[0].at
        keys = ("callId", "conferenceId", "name", "to", "cause", "errorMessage", "tag")
        return "\n".join(
            f"  {event.at - start:8.3f} {event.method} {event.path} {event.type} "
            + " ".join(f"{key}={event.get(key)}" for key in keys if event.get(key) is not None)
            for event in self.events[-last:]
        )

    # --- serving

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        if request.path in self.files:
            content, kind = self.files[request.path]
            return web.Response(body=content, content_type=kind)
        event = Event(
            time.time(),
            request.path,
            request.method,
            json.loads(raw) if raw else {},
            dict(request.query),
            _basic(request.headers.get("Authorization")),
            request.content_type,
        )
        if self.credentials is not None and event.authorization != self.credentials:
            self.refused.append(event)
            headers = {"WWW-Authenticate": 'Basic realm="app"'} if self.challenge else {}
            return web.Response(status=401, headers=headers)
        self.events.append(event)
        rule = next((rule for rule in self.rules if rule.fits(event)), None)
        answer: Any = rule.answer if rule is not None else Reply(status=204)
        if callable(answer):
            answer = answer(event)
        reply = answer if isinstance(answer, Reply) else Reply(answer.encode())
        if reply.hang:
            await self._hung.wait()
        if reply.after is not None:
            await reply.after.wait()
        await asyncio.sleep(reply.delay)
        body = reply.body if reply.status != 204 else None
        return web.Response(
            body=body,
            status=reply.status,
            content_type=reply.content_type if body else None,
            headers=reply.headers,
        )


def _basic(header: str | None) -> tuple[str, str] | None:
    if header is None or not header.startswith("Basic "):
        return None
    user, _, password = base64.b64decode(header[6:]).decode().partition(":")
    return user, password
