"""How many HTTP connections are held: those who only hold them make room for those who ask."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import httpx
import pytest
import uvicorn.protocols.http.h11_impl as h11_impl
from fastapi import FastAPI

from api import connections
from api.server import HttpServer
from tests.support.eventually import PATIENCE

HALF = b"GET /healthz HTTP/1.1\r\nHost: h\r\n"
WHOLE = HALF + b"\r\n"


@pytest.fixture(params=["the parser in C", "the parser in Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "the parser in Python":
        monkeypatch.setattr(connections, "AutoHTTPProtocol", h11_impl.H11Protocol)


pytestmark = pytest.mark.usefixtures("parser")


@asynccontextmanager
async def serving(app: FastAPI, **bounds: float) -> AsyncIterator[HttpServer]:
    server = HttpServer(app, "127.0.0.1:0", grace=1, **bounds)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.close()


class Client:
    """One raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def status(self) -> int:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        return int(head.split(b" ")[1])

    async def refusal(self) -> tuple[int, str]:
        """Status and type of an answer after which the connection is closed."""
        head, _, body = (await asyncio.wait_for(self.reader.read(), PATIENCE)).partition(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(body) in head
        return int(head.split(b" ")[1]), json.loads(body)["type"]

    async def closed(self) -> None:
        """Returns when the server has ended the connection without an answer."""
        try:
            assert await asyncio.wait_for(self.reader.read(), PATIENCE) == b""
        except ConnectionResetError:
            return


@contextmanager
def clients() -> Iterator["Clients"]:
    with ExitStack() as stack:
        yield Clients(stack)


class Clients:
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    async def join(self, server: HttpServer, data: bytes = b"") -> Client:
        reader, writer = await asyncio.open_connection(*server.address)
        self._stack.callback(writer.close)
        writer.write(data)
        return Client(reader, writer)


@pytest.mark.parametrize("data", [b"", HALF], ids=["nothing", "half a header"])
async def test_a_header_that_does_not_come_ends_its_connection(app: FastAPI, data: bytes) -> None:
    async with serving(app, patience=0.1) as server:
        with clients() as joined:
            await (await joined.join(server, data)).closed()


async def test_a_header_byte_by_byte_gains_no_time(app: FastAPI) -> None:
    async with serving(app, patience=0.3) as server:
        with clients() as joined:
            slow = await joined.join(server, HALF + b"X-Slow: ")
            end = asyncio.create_task(slow.closed())
            while not end.done():
                slow.writer.write(b"x")
                await asyncio.sleep(0.02)
            await end


async def test_the_second_header_has_its_time_too(app: FastAPI) -> None:
    async with serving(app, patience=0.2) as server:
        with clients() as joined:
            client = await joined.join(server, WHOLE)
            assert await client.status() == 200
            await client.reader.readuntil(b"}")
            client.writer.write(HALF)
            await asyncio.wait_for(client.reader.read(), PATIENCE)
            assert client.reader.at_eof()


@pytest.mark.parametrize(
    "data",
    [b"no such thing\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\n"],
    ids=["not HTTP", "a length that is none"],
)
async def test_what_cannot_be_read_has_the_contracts_answer(app: FastAPI, data: bytes) -> None:
    async with serving(app) as server:
        with clients() as joined:
            assert await (await joined.join(server, data)).refusal() == (400, "validation")


async def test_what_cannot_be_read_is_one_line_of_the_log_with_its_source(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with serving(app) as server:
        with clients() as joined:
            for _ in range(20):
                await (await joined.join(server, b"\x16\x03\x01\x02\x00\x01")).refusal()
            assert await (await joined.join(server, upgrade)).status() == 200
    said = [record for record in caplog.records if record.levelname != "INFO"]
    assert [record.message for record in said] == ["http_malformed"]
    assert said[0].source == "127.0.0.1"  # type: ignore[attr-defined]


async def test_a_slow_answer_is_not_cut_short(own_app: FastAPI) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    @own_app.get("/slow")
    async def slow() -> dict[str, bool]:
        entered.set()
        await release.wait()
        return {"done": True}

    async with serving(own_app, patience=0.05, connections=2) as server:
        with clients() as joined:
            asker = await joined.join(server, b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
            await entered.wait()
            idle = [await joined.join(server, HALF) for _ in range(10)]
            for each in idle:
                await each.closed()
            release.set()
            assert await asker.status() == 200


async def test_the_oldest_that_asks_nothing_makes_room_and_a_request_is_answered(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(app, connections=8) as server:
        with clients() as joined:
            idle = [await joined.join(server, HALF) for _ in range(40)]
            for _ in range(3):
                assert await (await joined.join(server, WHOLE)).status() == 200
            for each in idle[:32]:
                await each.closed()
            host, port = server.address
            async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
                assert (await client.get("/healthz")).status_code == 200
    told = [record for record in caplog.records if record.message == "http_connections_full"]
    assert len(told) == 1


async def test_with_requests_in_all_places_the_newest_gets_503(own_app: FastAPI) -> None:
    release, entered = asyncio.Event(), asyncio.Semaphore(0)

    @own_app.get("/slow")
    async def slow() -> dict[str, bool]:
        entered.release()
        await release.wait()
        return {"done": True}

    async with serving(own_app, connections=2) as server:
        with clients() as joined:
            request = b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"
            askers = [await joined.join(server, request) for _ in range(2)]
            for _ in askers:
                await entered.acquire()
            assert await (await joined.join(server)).refusal() == (503, "system-overloaded")
            release.set()
            for asker in askers:
                assert await asker.status() == 200
                asker.writer.close()
            assert await (await joined.join(server, WHOLE)).status() == 200
