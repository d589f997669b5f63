"""The endpoint on real sockets, on loopback."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

import pytest

from sip.access import Access, networks
from sip.address import our_address
from sip.endpoint import EndpointConfig
from sip.events import CallAcknowledged, CallAnswered, CallEnded, CallFailed, Event, IncomingCall
from sip.flow import Flow
from sip.limits import LOGGED_PER_SECOND
from sip.message import Response, parse
from sip.reason import Reason
from sip.session import Session
from sip.shell import SipServer, parse_listen
from sip.tcp import StreamLimits
from sip.timers import TimerValues
from tests.sip.test_gate import authorization
from tests.support.eventually import PATIENCE, eventually
from tests.support.sip_pair import SDP, request_text

QUICK = TimerValues(t1=0.05, t2=0.2, t4=0.2)


class House:
    """A server that answers every call, and what it was told."""

    def __init__(self, limits: StreamLimits | None = None, **changes: object) -> None:
        given = {"access": Access(allow=["127.0.0.0/8", "::1"]), "timers": QUICK, **changes}
        self.server = SipServer(EndpointConfig(**given), self.on_event, limits)  # type: ignore[arg-type]
        self.events: list[Event] = []
        self.news = asyncio.Event()

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self.news.set()
        if isinstance(event, IncomingCall):
            self.server.answer(event.session, SDP)


async def told(house: House, kind: type[Event], count: int = 1) -> list[Event]:
    """Waits until that many events of a kind have come."""
    async with asyncio.timeout(PATIENCE):
        while len(found := [e for e in house.events if isinstance(e, kind)]) < count:
            house.news.clear()
            await house.news.wait()
    return found


Start = Callable[..., Awaitable[House]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    houses: list[House] = []

    async def started(
        listen: tuple[str, ...] = ("udp:127.0.0.1:0", "tcp:127.0.0.1:0"), **changes: object
    ) -> House:
        house = House(**changes)  # type: ignore[arg-type]
        houses.append(house)
        await house.server.start(listen)
        return house

    yield started
    for house in houses:
        await house.server.close()


class Phone(asyncio.DatagramProtocol):
    """A datagram socket."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port: int = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.inbox.put_nowait(data)

    async def hear(self) -> Response:
        async with asyncio.timeout(PATIENCE):
            message = parse(await self.inbox.get())
        assert isinstance(message, Response)
        return message


@contextlib.asynccontextmanager
async def phone(port: int) -> AsyncIterator[Phone]:
    made: Phone
    loop = asyncio.get_running_loop()
    _, made = await loop.create_datagram_endpoint(Phone, remote_addr=("127.0.0.1", port))
    yield made
    made.transport.close()


async def read_message(reader: asyncio.StreamReader) -> Response:
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        message = parse(head + await reader.readexactly(length))
    assert isinstance(message, Response)
    return message


def options(number: int, transport: str = "UDP") -> bytes:
    return request_text(
        "OPTIONS", call_id=f"alive-{number}", branch=f"z9hG4bKalive{number}", transport=transport
    )


async def test_garbage_by_udp_does_not_keep_the_next_request_from_its_answer(start: Start) -> None:
    house = await start()
    noise = random.Random(4)
    good = request_text("INVITE", body=SDP)
    async with phone(house.server.port("udp")) as line:
        for number in range(100):
            broken = bytearray(good)
            for _ in range(noise.randint(1, 20)):
                broken[noise.randrange(len(broken))] = noise.randrange(256)
            for junk in (
                noise.randbytes(noise.randint(1, 2000)),
                bytes(broken[: noise.randint(1, len(broken))]),
            ):
                line.transport.sendto(junk)
            line.transport.sendto(options(number))
            while (answer := await line.hear()).get("Call-ID") != f"alive-{number}":
                pass
            assert answer.status == 200
    assert house.server.statistics["malformed"] >= 100


async def test_garbage_by_tcp_costs_only_its_own_connection(start: Start) -> None:
    house = await start()
    noise = random.Random(5)
    for number in range(20):
        junk_reader, junk_writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
        junk_writer.write(noise.randbytes(500) + b"\r\n\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
        writer.write(options(number, "TCP"))
        assert (await read_message(reader)).status == 200
        async with asyncio.timeout(PATIENCE):
            assert b"SIP/2.0 2" not in await junk_reader.read()
        junk_writer.close()
        writer.close()


async def test_a_lost_frame_is_answered_400_and_closes(start: Start) -> None:
    house = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
    writer.write(options(1, "TCP").replace(b"Content-Length: 0", b"Content-Length: -5"))
    assert (await read_message(reader)).status == 400
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()


async def test_glued_and_torn_messages_and_keep_alives_over_tcp(start: Start) -> None:
    house = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
    writer.write(options(1, "TCP") + options(2, "TCP"))
    assert [(await read_message(reader)).call_id for _ in range(2)] == ["alive-1", "alive-2"]
    for byte in options(3, "TCP"):
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await read_message(reader)).call_id == "alive-3"
    writer.write(b"\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(2) == b"\r\n"
    writer.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_two_servers_call_each_other(start: Start, transport: str) -> None:
    a, b = await start(), await start()
    port = b.server.port(transport)
    target = f"sip:room@127.0.0.1:{port};transport={transport}"
    flow = await a.server.reach(target)
    session = a.server.invite(to=target, from_uri="sip:a@127.0.0.1", sdp=SDP, target=flow)
    (answered,) = await told(a, CallAnswered)
    assert isinstance(answered, CallAnswered) and answered.session is session and answered.sdp == SDP
    (acknowledged,) = await told(b, CallAcknowledged)
    assert a.server.local_address(session) == "127.0.0.1"
    b.server.hang_up(acknowledged.session, Reason(503, "media process lost"))
    (ended,) = await told(a, CallEnded)
    assert isinstance(ended, CallEnded) and ended.cause == "media process lost"
    assert await b.server.settled(5) and await a.server.settled(5)


async def test_fifty_calls_over_one_connection(start: Start) -> None:
    a, b = await start(), await start()
    target = f"sip:room@127.0.0.1:{b.server.port('tcp')};transport=tcp"
    for _ in range(50):
        a.server.invite(to=target, from_uri="sip:a@127.0.0.1", sdp=SDP)
    await told(b, CallAcknowledged, 50)
    assert b.server.statistics["tcp_connections"] == 1
    for session in a.server.endpoint.sessions:
        a.server.hang_up(session)
    await told(b, CallEnded, 50)


async def test_a_port_nobody_listens_at_fails_the_call(start: Start) -> None:
    house = await start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        house.server.invite(to=f"sip:x@127.0.0.1:{port}", from_uri="sip:a@b", sdp=SDP, transport="tcp")
        (failed,) = await told(house, CallFailed)
    assert isinstance(failed, CallFailed) and failed.status == 503
    assert house.server.statistics["tcp_connect_errors"] == 1


async def test_silence_fails_the_call_with_408(start: Start) -> None:
    house = await start(timers=TimerValues(t1=0.005, t2=0.02, t4=0.02))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        house.server.invite(to=f"sip:x@127.0.0.1:{deaf.getsockname()[1]}", from_uri="sip:a@b", sdp=SDP)
        (failed,) = await told(house, CallFailed)
    assert isinstance(failed, CallFailed) and failed.status == 408


async def test_an_impossible_address_is_counted_and_fails_the_call(start: Start) -> None:
    house = await start()
    flow = Flow("udp", ("127.0.0.1", house.server.port("udp")), ("255.255.255.255", 5060))
    house.server.invite(to="sip:x@255.255.255.255", from_uri="sip:a@b", sdp=SDP, target=flow)
    (failed,) = await told(house, CallFailed)
    assert isinstance(failed, CallFailed) and failed.status == 503
    assert house.server.statistics["send_errors"] == 1


async def test_a_call_outlives_its_connection(start: Start) -> None:
    house = await start()
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
    contact = f"<sip:alice@127.0.0.1:{port};transport=tcp>"
    writer.write(request_text("INVITE", body=SDP, contact=contact, transport="TCP"))
    while (ok := await read_message(reader)).status < 200:
        pass
    writer.write(request_text("ACK", branch="z9hG4bKa", to_tag=ok.to.tag, transport="TCP"))
    (acknowledged,) = await told(house, CallAcknowledged)
    writer.close()
    await writer.wait_closed()
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set_result(await reader.readuntil(b"\r\n"))
        writer.close()

    listener.close()
    second = await asyncio.start_server(accept, "127.0.0.1", port)
    await eventually(lambda: not house.server.statistics["tcp_connections"])
    assert not acknowledged.session.ended
    house.server.hang_up(acknowledged.session)
    async with asyncio.timeout(PATIENCE):
        assert (await arrived).startswith(b"BYE sip:alice@127.0.0.1")
    second.close()


async def test_one_connection_too_many_is_closed(start: Start) -> None:
    house = await start(limits=StreamLimits(connections=2))
    port = house.server.port("tcp")
    kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    for number, (reader, writer) in enumerate(kept):
        writer.write(options(number, "TCP"))
        assert (await read_message(reader)).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    assert house.server.statistics["tcp_refused"] == 1
    for _, opened in [*kept, (reader, writer)]:
        opened.close()


async def test_who_connects_and_says_nothing_makes_room_for_who_speaks(start: Start) -> None:
    house = await start(limits=StreamLimits(connections=2))
    port = house.server.port("tcp")
    silent, slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    slow[1].write(b"INVITE sip:slow")
    speakers = []
    for number in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(options(number, "TCP"))
        assert (await read_message(reader)).status == 200
        speakers.append((reader, writer))
    for reader, _ in (silent, slow):
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
    assert house.server.statistics["tcp_made_room"] == 2
    for _, writer in [silent, slow, *speakers]:
        writer.close()


async def test_connections_that_come_and_go_do_not_fill_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    house = await start()
    with caplog.at_level("INFO", "sip.tcp"):
        began = asyncio.get_running_loop().time()
        for _ in range(4 * LOGGED_PER_SECOND):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
            writer.write(b"Content-Length: none of yours\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
        seconds = int(asyncio.get_running_loop().time() - began) + 2
    assert 1 <= len(caplog.records) <= seconds * LOGGED_PER_SECOND


async def test_who_is_refused_makes_room_and_who_was_let_in_stays(start: Start) -> None:
    access = Access(users={"alice": "secret"})
    house = await start(limits=StreamLimits(connections=2), access=access)
    port = house.server.port("tcp")
    lines = []
    for number in range(4):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines.append((reader, writer))
        writer.write(options(number, "TCP"))
        challenge = await read_message(reader)
        assert challenge.status == 401
        if number == 0:
            extra = authorization(challenge, "OPTIONS")
            writer.write(request_text("OPTIONS", cseq=2, branch="z9hG4bK2", transport="TCP", extra=extra))
            assert (await read_message(reader)).status == 200
    for reader, _ in lines[1:3]:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
    assert house.server.statistics["tcp_made_room"] == 2
    lines[0][1].write(options(9, "TCP"))
    assert (await read_message(lines[0][0])).status == 401
    for _, writer in lines:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"INVITE sip:slow", options(1, "TCP")[:-4]])
async def test_idle_and_dawdling_connections_are_closed(start: Start, sent: bytes) -> None:
    house = await start(limits=StreamLimits(idle=0.1, partial=0.1))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))
    writer.write(sent)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n" * 3])
async def test_who_connects_and_says_nothing_is_sent_away_and_whoever_has_spoken_stays(
    start: Start, sent: bytes
) -> None:
    house = await start(limits=StreamLimits(unused=0.6))
    port = house.server.port("tcp")
    spoken, speaker = await asyncio.open_connection("127.0.0.1", port)
    speaker.write(options(1, "TCP"))
    assert (await read_message(spoken)).status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == sent[: len(sent) // 2]  # an answer to each ping
    speaker.write(options(2, "TCP"))
    assert (await read_message(spoken)).status == 200
    writer.close()
    speaker.close()


async def test_a_connection_that_we_have_made_may_be_silent(start: Start) -> None:
    """A peer who answers nothing has not connected to say something."""
    house = await start(limits=StreamLimits(unused=0.2))
    ended = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        writer.close()
        ended.set()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    target = f"sip:x@127.0.0.1:{port};transport=tcp"
    house.server.invite(to=target, from_uri="sip:us@127.0.0.1", sdp=SDP)
    await eventually(lambda: house.server.statistics["tcp_connections"] == 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ended.wait(), 0.6)
    await house.server.close()
    await asyncio.wait_for(ended.wait(), PATIENCE)
    server.close()


async def test_a_peer_who_never_reads_does_not_keep_the_connection_that_is_closed_for_him(
    start: Start,
) -> None:
    house = await start(limits=StreamLimits(idle=0.3, partial=0.5, connect=0.3, unsent=1 << 30))
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.connect(("127.0.0.1", house.server.port("tcp")))
    stalled.setblocking(False)
    loop = asyncio.get_running_loop()
    long = b"Via: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK" + b"x" * 900 + b"\r\n"
    for number in range(400):  # 10 MB of answers, more than the kernel keeps for him
        head, _, rest = options(number, "TCP").partition(b"Max-Forwards")
        await loop.sock_sendall(stalled, head + long * 28 + b"Max-Forwards" + rest)
    await eventually(lambda: not house.server.statistics["tcp_connections"])
    stalled.close()


async def test_a_dripping_sender_gains_no_time(start: Start) -> None:
    house = await start(limits=StreamLimits(idle=5, partial=0.2))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.server.port("tcp"))

    async def drip() -> None:
        for byte in b"X" * 10_000:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionResetError):  # a drop that crossed the end
            assert await reader.read() == b""
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    writer.close()


async def test_a_restart_gets_its_tcp_port_back_at_once(start: Start) -> None:
    first = await start()
    entry = f"tcp:127.0.0.1:{first.server.port('tcp')}"
    reader, writer = await asyncio.open_connection("127.0.0.1", first.server.port("tcp"))
    writer.write(options(1, "TCP"))
    await read_message(reader)
    await first.server.close()
    second = await start((entry,))
    assert second.server.port("tcp") == first.server.port("tcp")
    writer.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_an_address_in_use_is_named_and_nothing_stays_bound(start: Start, transport: str) -> None:
    first = await start()
    entry = f"{transport}:127.0.0.1:{first.server.port(transport)}"
    house = House()
    with pytest.raises(OSError, match=entry):
        await house.server.start(["udp:127.0.0.1:0", entry])
    with pytest.raises(ValueError, match="not listening"):
        house.server.port("udp")


async def test_a_wildcard_names_the_address_that_reaches_the_peer(start: Start) -> None:
    house = await start(("udp:0.0.0.0:0", "tcp:0.0.0.0:0"))
    port = house.server.port("udp")
    async with phone(port) as line:
        line.transport.sendto(request_text("INVITE", body=SDP, contact=f"<sip:a@127.0.0.1:{line.port}>"))
        while (ok := await line.hear()).status < 200:
            pass
    assert str(ok.contact) == f"<sip:room@127.0.0.1:{port}>"
    session: Session = house.events[0].session
    assert house.server.local_address(session) == "127.0.0.1"
    assert house.server.local_address("127.0.0.9") == "127.0.0.1"
    assert (await house.server.reach("127.0.0.9:5070")).local == ("127.0.0.1", port)
    house.server.hang_up(session)


async def test_the_advertised_address_wins(start: Start) -> None:
    house = await start(advertise="203.0.113.7")
    assert house.server.local_address("127.0.0.1") == "203.0.113.7"


def test_the_advertised_address_is_told_to_peers_of_its_family() -> None:
    assert our_address("203.0.113.7", "192.168.1.10") == "203.0.113.7"
    assert our_address("203.0.113.7", "2001:db8::1") == "2001:db8::1"
    assert our_address("2001:db8::7", "192.168.1.10") == "192.168.1.10"
    assert our_address("", "2001:db8::1") == "2001:db8::1"


async def test_sdp_names_where_sound_is_received_where_nothing_is_advertised(start: Start) -> None:
    house = await start()
    assert house.server.local_address("127.0.0.9", "192.0.2.4") == "192.0.2.4"
    house = await start(advertise="203.0.113.7")
    assert house.server.local_address("127.0.0.9", "192.0.2.4") == "203.0.113.7"


async def test_who_is_beside_us_is_told_our_own_address(start: Start) -> None:
    house = await start(advertise="203.0.113.7", local_networks=networks(["127.0.0.8/29"]))
    assert house.server.local_address("127.0.0.9") == "127.0.0.1"
    assert house.server.local_address("127.0.0.9", "192.0.2.4") == "192.0.2.4"
    assert house.server.local_address("127.0.0.16", "192.0.2.4") == "203.0.113.7"
    assert house.server.local_address("phone.example", "192.0.2.4") == "203.0.113.7"


@pytest.mark.parametrize(
    ("target", "transport", "remote"),
    [
        ("127.0.0.1", None, ("udp", ("127.0.0.1", 5060))),
        ("127.0.0.1:5070", "tcp", ("tcp", ("127.0.0.1", 5070))),
        ("sip:a@127.0.0.1:5071;transport=TCP", "udp", ("tcp", ("127.0.0.1", 5071))),
        ("sip:a@127.0.0.1", None, ("udp", ("127.0.0.1", 5060))),
        ("localhost:5072", None, ("udp", ("127.0.0.1", 5072))),
    ],
)
async def test_a_target_is_reached(
    start: Start, target: str, transport: str | None, remote: tuple[str, tuple[str, int]]
) -> None:
    house = await start()
    flow = await house.server.reach(target, transport)
    assert (flow.transport, flow.remote) == remote


async def test_of_several_listeners_the_one_that_reaches_a_peer_is_sent_from() -> None:
    server = SipServer(EndpointConfig(access=Access(allow=["127.0.0.0/8"])), lambda event: None)
    await server.start(["udp:127.0.0.2:0", "udp:127.0.0.1:0"])
    flow = await server.reach("sip:bob@127.0.0.1:5070")
    assert flow.local == ("127.0.0.1", server.bound[1].port)
    await server.close()


async def test_a_target_that_cannot_be_reached_is_an_error(start: Start) -> None:
    house = await start(("udp:127.0.0.1:0",))
    with pytest.raises(OSError, match="no tcp entry"):
        await house.server.reach("127.0.0.1", "tcp")
    with pytest.raises(OSError):
        await house.server.reach("[::1]")
    with pytest.raises(OSError):
        await house.server.reach("no-such-host.invalid")
    for bad in ("", "a b", "sip:", "host:99999", "sip:a@b;transport=carrier-pigeon"):
        with pytest.raises(ValueError):
            await house.server.reach(bad)
    with pytest.raises(ValueError, match="expected an IP address"):
        house.server.invite(to="sip:a@localhost", from_uri="sip:a@b", sdp=SDP)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "udp",
        "udp:",
        "sctp:127.0.0.1:5060",
        "udp:localhost:5060",
        "udp:127.0.0.1",
        "udp:1.2.3.4:x",
        "udp:1.2.3.4:70000",
    ],
)
def test_a_listen_entry_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=f"^{entry}: expected"):
        parse_listen(entry)


def test_listen_entries_are_read() -> None:
    assert parse_listen("udp:0.0.0.0:5060") == ("udp", ("0.0.0.0", 5060))
    assert parse_listen("tcp:[::1]:0") == ("tcp", ("::1", 0))


async def test_an_owner_that_raises_is_loud_and_the_server_goes_on(start: Start) -> None:
    house = await start()
    loud: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: loud.append(context["exception"]))

    def explode(event: Event) -> None:
        raise RuntimeError("ours")

    house.server._on_event = explode
    async with phone(house.server.port("udp")) as line:
        line.transport.sendto(request_text("INVITE", body=SDP))
        assert (await line.hear()).status == 100
        line.transport.sendto(options(1))
        assert (await line.hear()).status == 200
    assert [str(e) for e in loud] == ["ours"]
    for session in house.server.endpoint.sessions:
        house.server.reject(session, 500)


async def test_a_burst_larger_than_a_batch_is_answered_whole(start: Start) -> None:
    house = await start()
    async with phone(house.server.port("udp")) as line:
        for number in range(100):
            line.transport.sendto(options(number))
        heard = {(await line.hear()).call_id for _ in range(100)}
    assert heard == {f"alive-{number}" for number in range(100)}


async def test_ipv6_loopback(start: Start) -> None:
    try:
        house = await start(("udp:[::1]:0", "tcp:[::1]:0"))
    except OSError:
        pytest.skip("no IPv6 here")
    for transport in ("udp", "tcp"):
        target = f"sip:room@[::1]:{house.server.port(transport)};transport={transport}"
        house.server.invite(to=target, from_uri="sip:a@[::1]", sdp=SDP)
    await told(house, CallAnswered, 2)
    await told(house, CallAcknowledged, 2)
    for session in house.server.endpoint.sessions:
        house.server.hang_up(session)
