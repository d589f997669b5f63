"""The HTTP server on a real socket: where it listens, how it stops, what a raw client gets."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from api.server import HttpServer
from tests.support.eventually import PATIENCE


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[HttpServer]:
    server = HttpServer(app, "127.0.0.1:0", grace=1)
    await server.start()
    yield server
    await server.close()


async def exchange(server: HttpServer, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """One request as raw bytes; the status, the headers and the body of its answer."""
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if not request.startswith(b"HEAD"):
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    writer.close()
    await writer.wait_closed()
    return int(first.split(" ")[1]), headers, body


async def test_it_accepts_as_soon_as_it_has_started(server: HttpServer) -> None:
    host, port = server.address
    assert host == "127.0.0.1"
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        response = await client.get("/healthz")
    assert response.status_code == 200
    assert "server" not in response.headers


async def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_header(server: HttpServer) -> None:
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*server.address)) as client:
        await client.get("/healthz")
        (connection,) = server._server.server_state.connections
        socket_of_it = connection.transport.get_extra_info("socket")
        assert socket_of_it.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_connection_is_kept_for_longer_than_clients_and_proxies_let_one_wait(
    server: HttpServer,
) -> None:
    async with httpx.AsyncClient(base_url="http://{}:{}".format(*server.address)) as client:
        asked = asyncio.get_running_loop().time()
        await client.get("/healthz")
        (connection,) = server._server.server_state.connections
        assert connection.timeout_keep_alive_task.when() > asked + 60, "for which nginx keeps one"
        await client.get("/healthz")
        assert server._server.server_state.connections == {connection}


async def test_an_address_in_use_is_named_with_its_key(server: HttpServer, app: FastAPI) -> None:
    listen = f"127.0.0.1:{server.address[1]}"
    with pytest.raises(OSError, match=f"http.listen {listen}: Address already in use"):
        await HttpServer(app, listen).start()


async def test_an_address_of_another_machine_is_named_with_its_key(app: FastAPI) -> None:
    with pytest.raises(OSError, match=r"http\.listen 192\.0\.2\.1:8080: Cannot assign"):
        await HttpServer(app, "192.0.2.1:8080").start()


async def test_the_port_is_free_again_after_the_end(app: FastAPI) -> None:
    first = HttpServer(app, "127.0.0.1:0", grace=1)
    await first.start()
    assert (await exchange(first, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
    await first.close()
    second = HttpServer(app, f"127.0.0.1:{first.address[1]}", grace=1)
    await second.start()
    await second.close()


async def test_signals_stay_with_the_process(app: FastAPI) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = HttpServer(app, "127.0.0.1:0", grace=1)
    await server.start()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    await server.close()


async def test_an_ipv6_address_stands_in_brackets(app: FastAPI) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    server = HttpServer(app, "[::1]:0", grace=1)
    await server.start()
    assert server.address[0] == "::1"
    assert (await exchange(server, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
    await server.close()


async def test_a_request_under_way_is_finished_before_the_end(own_app: FastAPI) -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    @own_app.get("/slow")
    async def slow() -> dict[str, bool]:
        entered.set()
        await release.wait()
        return {"done": True}

    server = HttpServer(own_app, "127.0.0.1:0", grace=5)
    await server.start()
    request = asyncio.create_task(exchange(server, b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"))
    await entered.wait()
    closing = asyncio.create_task(server.close())
    release.set()
    assert (await request)[2] == b'{"done":true}'
    await closing


async def test_a_request_that_never_ends_does_not_hold_up_the_end(own_app: FastAPI) -> None:
    entered = asyncio.Event()

    @own_app.get("/endless")
    async def endless(request: Request) -> None:
        entered.set()
        await asyncio.Event().wait()

    server = HttpServer(own_app, "127.0.0.1:0", grace=1)
    await server.start()
    _, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
    await entered.wait()
    await asyncio.wait_for(server.close(), PATIENCE)
    writer.close()


async def test_an_idle_connection_does_not_hold_up_the_end(app: FastAPI) -> None:
    server = HttpServer(app, "127.0.0.1:0", grace=600)
    await server.start()
    _, writer = await asyncio.open_connection(*server.address)
    await asyncio.wait_for(server.close(), PATIENCE)
    writer.close()


async def test_head_has_the_headers_of_get_and_no_body(server: HttpServer) -> None:
    status, headers, _ = await exchange(server, b"HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    assert status == 200
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/api/v2/accounts/9900000/calls/..",
        "/api/v2/accounts/9900000/calls/../conferences",
        "/healthz/../healthz",
        "/%2fhealthz",
        "//healthz",
        "/healthz%00",
        "/./healthz",
    ],
)
async def test_tricks_in_the_path_are_404(server: HttpServer, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Basic ZGVtbzpzZWNyZXQ=\r\n\r\n"
    status, _, body = await exchange(server, request.encode())
    assert status == 404
    assert json.loads(body)["type"] == "validation"


async def test_a_refused_body_is_not_waited_for(server: HttpServer) -> None:
    request = (
        b"POST /api/v2/accounts/9900000/calls HTTP/1.1\r\nHost: h\r\nAuthorization: Basic "
        b"ZGVtbzpzZWNyZXQ=\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n{"
    )
    status, headers, _ = await exchange(server, request)
    assert (status, headers["connection"]) == (413, "close")


async def test_a_client_that_leaves_in_the_middle_hurts_nobody(
    server: HttpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "api")
    _, writer = await asyncio.open_connection(*server.address)
    writer.write(
        b"POST /api/v2/accounts/9900000/calls HTTP/1.1\r\nHost: h\r\nAuthorization: Basic "
        b"ZGVtbzpzZWNyZXQ=\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await exchange(server, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
    await server.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_noise_on_the_port_hurts_nobody(server: HttpServer) -> None:
    for noise in (b"\x00\xff" * 500, b"GET\r\n\r\n", b"INVITE sip:a@b SIP/2.0\r\n\r\n", b"A" * 100_000):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(noise)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
    assert (await exchange(server, b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"))[0] == 200
