"""The messages of `test_torture` on real sockets: by datagram, byte by byte, over TLS and WebSocket. After
each one the next caller is served, and nothing is left behind."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from sip.access import Access
from sip.endpoint import EndpointConfig
from sip.events import Event, IncomingCall
from sip.message import Response, parse
from sip.registrar import Registrar
from sip.shell import SipServer
from sip.tcp import StreamLimits
from sip.timers import TimerValues
from sip.tls import TlsFiles
from tests.sip.test_torture import CASES
from tests.support.certificates import Authority
from tests.support.eventually import PATIENCE, eventually
from tests.support.sip_pair import SDP, request_text

QUICK = TimerValues(t1=0.01, t2=0.04, t4=0.04)


class House:
    """A server that refuses every call."""

    def __init__(self, tls: TlsFiles | None = None) -> None:
        access = Access(allow=["127.0.0.0/8", "::1"])
        config = EndpointConfig(access=access, registrar=Registrar(), timers=QUICK)
        self.server = SipServer(config, self.on_event, StreamLimits(partial=20.0), tls=tls)

    def on_event(self, event: Event) -> None:
        if isinstance(event, IncomingCall):
            self.server.reject(event.session, 486)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    ours = Authority(tmp_path).issue("DNS:localhost")
    house = House(TlsFiles(ours.certificate, ours.private_key))
    await house.server.start([f"{name}:127.0.0.1:0" for name in ("udp", "tcp", "tls", "ws")])
    tasks = len(asyncio.all_tasks())
    yield house
    await eventually(lambda: not any(house.server.endpoint.size().values()))
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    open_ones = ("tcp_connections", "tls_connections", "ws_connections")
    await eventually(lambda: not any(house.server.statistics[name] for name in open_ones))
    await house.server.close()


class Line(asyncio.DatagramProtocol):
    """A datagram socket that keeps what it hears."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.inbox.put_nowait(data)


def alive(number: int) -> bytes:
    """The next caller's question."""
    return request_text("OPTIONS", call_id=f"alive-{number}", branch=f"z9hG4bKalive{number}")


def is_alive(data: bytes) -> bool:
    """True for the answer to it."""
    message = parse(data)
    called = message.get("Call-ID") or ""
    return isinstance(message, Response) and called.startswith("alive") and message.status == 200


def apart(data: bytes, number: int) -> bytes:
    """In a call of its own: two that are one call would be merged requests."""
    return data.replace(b"z9hG4bKone", b"z9hG4bKone%d" % number).replace(
        b"Call-ID: ", b"Call-ID: %d" % number
    )


async def test_by_datagram(house: House) -> None:
    loop = asyncio.get_running_loop()
    remote = ("127.0.0.1", house.server.port("udp"))
    transport, line = await loop.create_datagram_endpoint(Line, remote_addr=remote)
    async with asyncio.timeout(100):
        for number, case in enumerate(CASES):
            transport.sendto(apart(case.data, number))
            transport.sendto(alive(number))
            while not is_alive(await line.inbox.get()):
                pass
    transport.close()


async def streamed(house: House, transport: str) -> None:
    """Each message byte by byte on a connection of its own, then a call for help on the same; where the
    stream is lost, on another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    secured = context if transport == "tls" else None

    async def ask(data: bytes) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port(transport), ssl=secured)
        try:
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                if at % 16 == 0:
                    await writer.drain()
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if is_alive(head):
                    return True
        except (OSError, asyncio.IncompleteReadError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async with asyncio.timeout(100):
        for number, case in enumerate(CASES):
            if b"content-length" not in case.data.lower() and b"\nl:" not in case.data.lower():
                continue
            cut = case.closes or case.stream == 0
            if case.stream == 0:
                continue  # it waits for more: see the test of torn messages
            assert await ask(apart(case.data, number) + alive(number)) is not cut
            assert await ask(alive(-number))


async def test_byte_by_byte_over_tcp(house: House) -> None:
    await streamed(house, "tcp")


async def test_byte_by_byte_over_tls(house: House) -> None:
    await streamed(house, "tls")


async def test_in_frames_of_a_websocket(house: House) -> None:
    async with (
        asyncio.timeout(60),
        connect(
            f"ws://127.0.0.1:{house.server.port('ws')}/", subprotocols=[Subprotocol("sip")], proxy=None
        ) as line,
    ):
        for number, case in enumerate(CASES):
            for frame in (apart(case.data, number), b"", b"\r\n\r\n"):
                await line.send(frame)
            await line.send(alive(number))
            heard = b""
            while not heard.strip() or not is_alive(heard):
                data = await line.recv()
                heard = data.encode() if isinstance(data, str) else data


async def test_an_invite_that_breaks_off_at_any_byte(house: House) -> None:
    invite = request_text("INVITE", body=SDP, transport="TCP")
    for at in range(0, len(invite) + 1, 3):
        _, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
        writer.write(apart(invite, at)[:at])
        if at % 2:
            writer.transport.abort()
        else:
            writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
    writer.write(alive(0))
    async with asyncio.timeout(PATIENCE):
        assert is_alive(await reader.readuntil(b"\r\n\r\n"))
    writer.close()


async def test_a_megabyte_of_header_costs_its_connection(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
    with contextlib.suppress(OSError):
        writer.write(b"OPTIONS sip:a@b SIP/2.0\r\nX: " + b"x" * (1 << 20))
        await writer.drain()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
    writer.close()
    assert house.server.endpoint.size()["transactions"] == 0


@pytest.mark.parametrize("transport", ["tcp", "tls", "ws"])
async def test_a_second_small_message_does_not_wait_for_an_acknowledgement(
    house: House, transport: str
) -> None:
    """100 and the next response follow each other at once; Nagle's algorithm would hold the second back by
    the peer's delayed ACK, 40 ms."""
    accepted = list[socket.socket]()
    real = socket.socket.accept

    def accept(listener: socket.socket) -> tuple[socket.socket, object]:
        accepted.append((pair := real(listener))[0])
        return pair

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "accept", accept)
        _, writer = await asyncio.open_connection("127.0.0.1", house.server.port(transport))
        await eventually(lambda: bool(accepted))
        await eventually(lambda: accepted[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1)
        writer.close()
