"""SIP over WebSocket on loopback, as a browser's script speaks it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Origin, Subprotocol

from sip.access import Access
from sip.endpoint import EndpointConfig
from sip.events import CallAcknowledged, CallEnded, CallFailed, Event, IncomingCall
from sip.message import Request, Response, parse
from sip.shell import SipServer
from sip.tcp import StreamLimits
from sip.tls import TlsFiles
from tests.support.certificates import Authority
from tests.support.eventually import PATIENCE, eventually
from tests.support.sip_pair import SDP, request_text, response_text

SIP = Subprotocol("sip")
HIDDEN = "df7jal23ls0d.invalid"
"""A browser does not know its address."""


class House:
    """A server that answers every call."""

    def __init__(self, **changes: object) -> None:
        config = EndpointConfig(access=Access(allow=["127.0.0.0/8", "::1"]))
        self.server = SipServer(config, self.on_event, **changes)  # type: ignore[arg-type]
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, IncomingCall):
            self.server.answer(event.session, SDP)


Start = Callable[..., Awaitable[House]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    houses: list[House] = []

    async def started(*listen: str, **changes: object) -> House:
        house = House(**changes)
        houses.append(house)
        await house.server.start(listen or ("ws:127.0.0.1:0",))
        return house

    yield started
    for house in houses:
        await house.server.close()


@contextlib.asynccontextmanager
async def browser(
    house: House, *, origin: str | None = None, protocols: tuple[str, ...] = ("sip",)
) -> AsyncIterator[ClientConnection]:
    async with connect(
        f"ws://127.0.0.1:{house.server.port('ws')}/",
        subprotocols=[Subprotocol(name) for name in protocols],
        origin=None if origin is None else Origin(origin),
        proxy=None,
    ) as connection:
        yield connection


def text(method: str, **changes: object) -> str:
    """A request as a script writes it."""
    given = {"contact": f"<sip:alice@{HIDDEN};transport=ws>", "transport": "WS", "rport": False, **changes}
    data = request_text(method, **given)  # type: ignore[arg-type]
    return data.decode().replace("SIP/2.0/WS 192.0.2.1:5060", f"SIP/2.0/WS {HIDDEN}")


async def hear(line: ClientConnection) -> Request | Response:
    async with asyncio.timeout(PATIENCE):
        data = await line.recv()
    assert isinstance(data, str), "text is easier for a script"
    return parse(data.encode())


async def test_a_call_in_both_directions_stays_on_the_connection(start: Start) -> None:
    house = await start()
    async with browser(house) as line:
        assert line.subprotocol == SIP
        await line.send(text("INVITE", body=SDP))
        assert [(await hear(line)).status for _ in "12"] == [100, 200]  # type: ignore[union-attr]
        session = house.events[0].session
        assert session.flow.transport == "ws" and session.remote_ip == "127.0.0.1"
        assert house.server.local_address(session) == "127.0.0.1"
        dialog = session.dialog
        assert dialog is not None
        await line.send(text("ACK", branch="z9hG4bKack", to_tag=dialog.local.tag))
        await eventually(lambda: isinstance(house.events[-1], CallAcknowledged))
        house.server.hang_up(session)
        bye = await hear(line)
        assert isinstance(bye, Request) and bye.method == "BYE" and bye.uri.endswith(";transport=ws")
        assert bye.via.transport == "WS" and bye.via.sent_by == ("127.0.0.1", house.server.port("ws"))
        await line.send(response_text(bye, 200).decode())
        async with asyncio.timeout(PATIENCE):
            assert await house.server.settled(5)


async def test_a_registered_browser_is_called_over_its_connection(start: Start) -> None:
    house = await start()
    async with browser(house) as line:
        await line.send(text("OPTIONS"))
        answer = await hear(line)
        assert isinstance(answer, Response) and answer.status == 200
        await line.send(text("INVITE", body=SDP))
        flow = None
        while flow is None:
            await hear(line)
            flow = house.events[0].session.flow if house.events else None
        house.server.invite(to=f"sip:alice@{HIDDEN};transport=ws", from_uri="sip:a@b", sdp=SDP, target=flow)
        while not isinstance(invite := await hear(line), Request):
            pass
        assert invite.method == "INVITE"
        assert str(invite.contact) == f"<sip:a@127.0.0.1:{house.server.port('ws')};transport=ws>"


async def test_frames_may_be_binary_and_keep_alives_are_answered(start: Start) -> None:
    house = await start()
    async with browser(house) as line:
        await line.send("\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert await line.recv() == "\r\n"
        await line.send("\r\n")
        await line.send("")
        await line.send(text("OPTIONS").encode())
        answer = await hear(line)
        assert isinstance(answer, Response) and answer.status == 200


async def test_a_frame_is_a_message_and_garbage_costs_no_connection(start: Start) -> None:
    house = await start()
    async with browser(house) as line:
        for junk in ("x", "\x00" * 100, "INVITE\r\n\r\n", b"\xff\xfe\xfd", text("OPTIONS")[:100]):
            await line.send(junk)
        head = text("OPTIONS", call_id="long").replace("Content-Length: 0", "Content-Length: 10")
        await line.send(head)
        answers = [await hear(line)]
        bare = text("OPTIONS", call_id="after", branch="z9hG4bKafter").replace("Content-Length: 0\r\n", "")
        await line.send(bare)
        while answers[-1].get("Call-ID") != "after":
            answers.append(await hear(line))
        assert isinstance(answers[-1], Response) and answers[-1].status == 200, "a frame needs no length"


async def test_a_frame_that_is_too_large_ends_the_connection(start: Start) -> None:
    house = await start()
    async with browser(house) as line:
        await line.send("x" * 70_000)
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                await line.recv()
    await eventually(lambda: house.server.statistics["ws_connections"] == 0)


async def test_without_the_subprotocol_nobody_connects(start: Start) -> None:
    house = await start()
    for protocols in ((), ("chat",)):
        with pytest.raises(InvalidStatus) as refused:
            async with browser(house, protocols=protocols):
                pass
        assert refused.value.response.status_code == 400
    async with browser(house, protocols=("chat", "sip")) as line:
        assert line.subprotocol == SIP


@pytest.mark.parametrize(
    ("origins", "origin", "enters"),
    [
        ((), None, True),
        ((), "https://evil.example", False),
        (("https://phone.example",), "https://phone.example", True),
        (("https://phone.example",), "https://evil.example", False),
        (("https://phone.example",), None, True),
        (("*",), "https://evil.example", True),
    ],
)
async def test_scripts_of_pages_that_are_not_named_stay_out(
    start: Start, origins: tuple[str, ...], origin: str | None, enters: bool
) -> None:
    house = await start(origins=origins)
    expected = contextlib.nullcontext() if enters else pytest.raises(InvalidHandshake)
    with expected:
        async with browser(house, origin=origin):
            pass


async def test_a_call_outlives_its_connection_and_a_request_on_it_fails(start: Start) -> None:
    house = await start()
    async with browser(house) as line:
        await line.send(text("INVITE", body=SDP))
        while (await hear(line)).status != 200:  # type: ignore[union-attr]
            pass
        session = house.events[0].session
        dialog = session.dialog
        assert dialog is not None
        await line.send(text("ACK", branch="z9hG4bKack", to_tag=dialog.local.tag))
        await eventually(lambda: isinstance(house.events[-1], CallAcknowledged))
        flow = session.flow
    await eventually(lambda: house.server.statistics["ws_connections"] == 0)
    assert not session.ended
    house.server.invite(to="sip:a@127.0.0.1", from_uri="sip:a@b", sdp=SDP, target=flow)
    await eventually(lambda: isinstance(house.events[-1], CallFailed))
    house.server.reinvite(session, SDP)
    await eventually(lambda: isinstance(house.events[-1], CallEnded))


async def test_who_has_not_said_a_word_makes_room_for_who_comes(start: Start) -> None:
    house = await start(limits=StreamLimits(connections=2), origins=("*",))
    async with browser(house) as speaks, browser(house, origin="https://phone.example.com") as silent:
        await speaks.send(text("OPTIONS"))
        await hear(speaks)
        async with browser(house) as another:
            async with asyncio.timeout(PATIENCE):
                await silent.wait_closed()
            await another.send(text("OPTIONS", call_id="c2", branch="z9hG4bK2"))
            await hear(another)
            with pytest.raises(InvalidStatus) as refused:
                async with browser(house):
                    pass
            assert refused.value.response.status_code == 503
    statistics = house.server.statistics
    assert (statistics["ws_made_room"], statistics["ws_refused"]) == (1, 1)


async def test_half_open_connections_are_limited_and_the_oldest_makes_room(start: Start) -> None:
    house = await start(limits=StreamLimits(connections=1))
    half = [await asyncio.open_connection("127.0.0.1", house.server.port("ws")) for _ in range(3)]
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            assert await half[0][0].read() == b""
    assert house.server.statistics["ws_made_room"] == 1
    async with browser(house) as line:
        await line.send(text("OPTIONS"))
        await hear(line)
    for _, writer in half:
        writer.close()


async def test_a_stranger_that_says_nothing_is_sent_away(start: Start) -> None:
    house = await start(limits=StreamLimits(connect=0.1))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("ws"))
    async with asyncio.timeout(PATIENCE):
        await reader.read()
    writer.close()


async def test_a_program_that_has_connected_says_something_and_a_page_may_wait(start: Start) -> None:
    house = await start(limits=StreamLimits(unused=1.0), origins=("*",))
    async with (
        browser(house) as silent,
        browser(house) as speaks,
        browser(house, origin="https://phone.example.com") as page,
    ):
        await speaks.send(text("OPTIONS"))
        await hear(speaks)
        await silent.send("\r\n\r\n")
        assert await silent.recv() == "\r\n"
        async with asyncio.timeout(PATIENCE):
            await silent.wait_closed()
        for number, line in enumerate((speaks, page), 1):
            await line.send(text("OPTIONS", call_id=f"c{number}", branch=f"z9hG4bK{number}"))
            await hear(line)


async def test_strangers_who_speak_something_else_do_not_fill_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    house = await start()
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 10 + b"\r\n\r\n", request_text("OPTIONS")):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("ws"))
        writer.write(noise)
        async with asyncio.timeout(PATIENCE):
            await reader.read()
        writer.close()
    async with browser(house) as line:
        await line.send(text("OPTIONS"))
        await hear(line)
    assert caplog.records == []


async def test_a_peer_that_does_not_read_is_cut_off(start: Start) -> None:
    house = await start(limits=StreamLimits(unsent=10_000))
    async with browser(house) as line:
        line.transport.pause_reading()
        number = 0
        while house.server.statistics["ws_connections"]:
            number += 1
            assert number < 100_000
            await line.send(text("OPTIONS", call_id=f"c{number}", branch=f"z9hG4bK{number}"))
            if number % 100 == 0:
                await asyncio.sleep(0)
        line.transport.abort()


async def test_nobody_can_be_dialled_by_websocket(start: Start) -> None:
    house = await start()
    for transport in ("ws", "wss"):
        with pytest.raises(ValueError, match="connects to us"):
            await house.server.reach("sip:a@127.0.0.1", transport)


async def test_over_tls_it_is_wss(start: Start, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("DNS:localhost")
    house = await start("wss:127.0.0.1:0", tls=TlsFiles(ours.certificate, ours.private_key))
    context = ssl.create_default_context(cafile=authority.certificate)
    address = f"wss://localhost:{house.server.port('wss')}/"
    async with connect(address, subprotocols=[SIP], ssl=context, proxy=None) as line:
        await line.send(text("OPTIONS", transport="WSS"))
        answer = await hear(line)
        assert isinstance(answer, Response) and answer.status == 200
    with pytest.raises(ValueError, match="wss: expected a certificate"):
        await start("wss:127.0.0.1:0")
