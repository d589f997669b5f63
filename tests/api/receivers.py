"""Receivers of webhooks on free ports. They answer with bytes, so they may be as wrong as they like."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from tests.support.eventually import PATIENCE


@dataclass(frozen=True)
class Got:
    """One request as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, object]:
        event = json.loads(self.body)
        assert isinstance(event, dict)
        return event

    @property
    def credentials(self) -> str | None:
        """`user:password` of Basic credentials."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return base64.b64decode(token).decode() if scheme == "Basic" else None


Behaviour = Callable[[Got], Awaitable[bytes]]


def reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Receiver:
    """Answers each request with what `behaviour` returns; b"" closes the connection without an answer.

    `got` lists the requests in the order in which they came.
    """

    def __init__(
        self, behaviour: Behaviour | bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ) -> None:
        self._behaviour = behaviour
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()
        self.got: list[Got] = []
        self.url = ""

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def arrived(self, count: int) -> list[Got]:
        """The requests, once there are this many."""
        async with self._arrived:
            await asyncio.wait_for(self._arrived.wait_for(lambda: len(self.got) >= count), PATIENCE)
        return self.got

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read(reader)) is not None:
                async with self._arrived:
                    self.got.append(request)
                    self._arrived.notify_all()
                behaviour = self._behaviour
                answer = behaviour if isinstance(behaviour, bytes) else await behaviour(request)
                if not answer:
                    break
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


async def hang(_: Got) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("not reached")


async def nobody() -> str:
    """A URL where nobody listens."""
    async with Receiver() as receiver:
        return receiver.url


async def _read(reader: asyncio.StreamReader) -> Got | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Got(method, target, headers, body)
