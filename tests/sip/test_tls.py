"""SIP over TLS on loopback: whose certificate is believed, and what half a handshake costs."""

import asyncio
import contextlib
import gc
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from sip.access import Access
from sip.endpoint import EndpointConfig
from sip.events import CallEnded, CallFailed, Event, IncomingCall
from sip.message import Response, parse
from sip.session import Session
from sip.shell import SipServer
from sip.tcp import StreamLimits
from sip.tls import Tls, TlsFiles
from tests.support.certificates import Authority, Certificate
from tests.support.eventually import PATIENCE, eventually
from tests.support.sip_pair import SDP, request_text


class House:
    """A server with TLS that answers every call."""

    def __init__(self, files: TlsFiles, limits: StreamLimits | None = None) -> None:
        access = Access(allow=["127.0.0.0/8", "::1"])
        self.server = SipServer(EndpointConfig(access=access), self.on_event, limits, tls=files)
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, IncomingCall):
            self.server.answer(event.session, SDP)

    def told(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def last(self) -> Session:
        return self.events[-1].session

    @property
    def port(self) -> int:
        return self.server.port("tls")


Start = Callable[..., Awaitable[House]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Certificate:
    return authority.issue("DNS:localhost", "IP:127.0.0.1")


def files(ours: Certificate, authority: Authority | None, **changes: str) -> TlsFiles:
    believed = "" if authority is None else authority.certificate
    return TlsFiles(ours.certificate, ours.private_key, authorities=believed, **changes)


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    houses: list[House] = []

    async def started(
        files: TlsFiles, listen: tuple[str, ...] = ("tls:127.0.0.1:0",), limits: StreamLimits | None = None
    ) -> House:
        house = House(files, limits)
        houses.append(house)
        await house.server.start(listen)
        return house

    yield started
    for house in houses:
        await house.server.close()


async def call(caller: House, target: str, to: str = "") -> Session:
    flow = await caller.server.reach(target, "tls")
    return caller.server.invite(to=to or target, from_uri="sip:a@localhost", sdp=SDP, target=flow)


async def test_a_call_over_tls_says_so_everywhere(
    start: Start, ours: Certificate, authority: Authority
) -> None:
    caller, called = await start(files(ours, authority)), await start(files(ours, authority))
    await call(caller, f"sip:room@127.0.0.1:{called.port};transport=tls")
    await eventually(lambda: called.told() == ["IncomingCall", "CallAcknowledged"])
    invite = called.last().request
    assert invite.via.transport == "TLS" and invite.via.sent_by == ("127.0.0.1", caller.port)
    assert str(invite.contact) == f"<sip:a@127.0.0.1:{caller.port};transport=tls>"
    caller.server.hang_up(caller.last())
    await eventually(lambda: isinstance(called.events[-1], CallEnded))
    assert called.server.statistics["tls_connections"] == 1, "the BYE came the same way"


async def test_a_call_to_a_sips_address_goes_by_tls_and_stays_there(
    start: Start, ours: Certificate, authority: Authority
) -> None:
    caller, called = await start(files(ours, authority)), await start(files(ours, authority))
    uri = f"sips:room@localhost:{called.port}"
    flow = await caller.server.reach(uri)
    assert flow.transport == "tls" and flow.name == "localhost"
    caller.server.invite(to=uri, from_uri="sips:a@localhost", sdp=SDP, target=flow)
    await eventually(lambda: called.told() == ["IncomingCall", "CallAcknowledged"])
    assert str(called.last().request.contact) == f"<sips:a@127.0.0.1:{caller.port}>"
    dialog = caller.last().dialog
    assert dialog is not None and str(dialog.remote_target) == f"sips:room@127.0.0.1:{called.port}"


@pytest.mark.parametrize("target", ["localhost", "127.0.0.1"])
async def test_a_certificate_for_somebody_else_is_not_believed(
    start: Start, authority: Authority, ours: Certificate, target: str
) -> None:
    other = authority.issue("DNS:other.example", "DNS:*.localhost", "IP:127.0.0.2")
    caller, called = await start(files(ours, authority)), await start(files(other, authority))
    await call(caller, f"sip:room@{target}:{called.port}")
    await eventually(lambda: bool(caller.events))
    assert caller.events[0] == CallFailed(caller.last(), 503, "Transport failed")
    assert called.events == [] and caller.server.statistics["tls_connect_errors"] == 1


async def test_a_certificate_of_an_unknown_authority_is_not_believed(
    start: Start, ours: Certificate, authority: Authority
) -> None:
    caller, called = await start(files(ours, None)), await start(files(ours, authority))
    await call(caller, f"sip:room@localhost:{called.port}")
    await eventually(lambda: caller.told() == ["CallFailed"])


async def test_a_connection_that_has_proved_one_name_is_not_used_for_another(
    start: Start, authority: Authority, ours: Certificate
) -> None:
    named = authority.issue("DNS:localhost")
    caller, called = await start(files(ours, authority)), await start(files(named, authority))
    await call(caller, f"sip:room@localhost:{called.port}")
    await eventually(lambda: caller.told() == ["CallAnswered"])
    await call(caller, f"sip:room@127.0.0.1:{called.port}")
    await eventually(lambda: caller.told() == ["CallAnswered", "CallFailed"])
    await call(caller, f"sip:room@localhost:{called.port}")
    await eventually(lambda: caller.told()[2:] == ["CallAnswered"])
    assert called.server.statistics["tls_connections"] == 1


async def test_clients_need_a_certificate_where_that_is_set(
    start: Start, ours: Certificate, authority: Authority, tmp_path: Path
) -> None:
    strangers = Authority(tmp_path, "strangers").issue("DNS:localhost")
    called = await start(files(ours, authority, client_authorities=authority.certificate))
    known, unknown = await start(files(ours, authority)), await start(files(strangers, authority))
    await call(known, f"sip:room@localhost:{called.port}")
    await eventually(lambda: known.told() == ["CallAnswered"])
    await call(unknown, f"sip:room@localhost:{called.port}")
    await eventually(lambda: unknown.told() == ["CallFailed"])
    assert called.server.statistics["tls_handshake_errors"] >= 1


async def test_a_new_certificate_counts_for_new_connections_and_calls_go_on(
    start: Start, authority: Authority
) -> None:
    old = authority.issue("DNS:localhost", into="renewed")
    caller, called = await start(files(old, authority)), await start(files(old, authority))
    await call(caller, f"sip:room@localhost:{called.port}")
    await eventually(lambda: caller.told() == ["CallAnswered"])
    first = caller.last()
    authority.issue("IP:127.0.0.1", into="renewed")
    called.server.reload_certificate()
    await call(caller, f"sip:room@127.0.0.1:{called.port}")
    await eventually(lambda: caller.told() == ["CallAnswered"] * 2)
    caller.server.reinvite(first, SDP)
    await eventually(lambda: called.told().count("MediaOffered") == 1)


async def test_a_broken_certificate_changes_nothing_and_is_named(start: Start, authority: Authority) -> None:
    good = authority.issue("DNS:localhost", into="broken")
    caller, called = await start(files(good, authority)), await start(files(good, authority))
    Path(good.certificate).write_text("nonsense")  # noqa: ASYNC240 (a few bytes)
    with pytest.raises(OSError, match=r"broken.pem.*expected a certificate"):
        called.server.reload_certificate()
    await call(caller, f"sip:room@localhost:{called.port}")
    await eventually(lambda: caller.told() == ["CallAnswered"])


async def test_files_that_are_of_no_use_are_named(
    authority: Authority, ours: Certificate, tmp_path: Path
) -> None:
    other = authority.issue("DNS:localhost")
    locked = tmp_path / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    for broken, named in (
        (TlsFiles(str(tmp_path / "absent.pem")), "absent.pem: No such file"),
        (TlsFiles(ours.certificate, str(tmp_path / "absent.key")), "absent.key: No such file"),
        (TlsFiles(ours.certificate, other.private_key), "expected a certificate and its private key"),
        (TlsFiles(ours.certificate), "expected a certificate and its private key"),
        (TlsFiles(ours.certificate, str(locked)), "without a password"),
        (TlsFiles(ours.certificate, ours.private_key, authorities=ours.private_key), "of authorities"),
    ):
        with pytest.raises(OSError, match=named):
            Tls(broken)
    house = House(TlsFiles(str(tmp_path / "absent.pem")))
    with pytest.raises(OSError, match=r"^.*tls:127.0.0.1:0: .*absent.pem: No such file"):
        await house.server.start(["udp:127.0.0.1:0", "tls:127.0.0.1:0"])
    with pytest.raises(ValueError, match="not listening"):
        house.server.port("udp")


async def test_half_a_handshake_is_given_up_counts_as_a_connection_and_makes_room(
    start: Start, ours: Certificate, authority: Authority
) -> None:
    limits = StreamLimits(connections=3, connect=1.0)
    called = await start(files(ours, authority), limits=limits)
    half = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", called.port) for _ in range(4)))
    await eventually(lambda: called.server.statistics.get("tls_made_room") == 1)
    half[2][1].write(b"\x16\x03\x01")
    half[1][1].write(request_text("OPTIONS"))
    for reader, writer in half:
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()
    await eventually(lambda: called.server.statistics["tls_handshake_errors"] >= 3)
    caller = await start(files(ours, authority))
    await call(caller, f"sip:room@localhost:{called.port}")
    await eventually(lambda: caller.told() == ["CallAnswered"])


async def test_a_handshake_that_fails_leaves_nothing_for_the_garbage_collector(
    start: Start, ours: Certificate, authority: Authority
) -> None:
    called = await start(files(ours, authority), limits=StreamLimits(connect=0.2))
    gc.collect()
    gc.disable()
    try:
        for sent in (b"", b"\x16\x03\x01", request_text("OPTIONS")):
            reader, writer = await asyncio.open_connection("127.0.0.1", called.port)
            writer.write(sent)
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
            writer.close()
        await eventually(lambda: called.server.statistics["tls_handshake_errors"] == 3)
        await eventually(lambda: not any(isinstance(each, SSLProtocol) for each in gc.get_objects()))
    finally:
        gc.enable()


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_heard(
    start: Start, ours: Certificate, authority: Authority
) -> None:
    called = await start(files(ours, authority))
    context = ssl.create_default_context(cafile=authority.certificate)
    data = request_text("OPTIONS", transport="TLS")
    for _ in range(20):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", called.port, ssl=context, server_hostname="localhost"
        )
        writer.write(data)
        async with asyncio.timeout(PATIENCE):
            answer = parse(await reader.readuntil(b"\r\n\r\n"))
        assert isinstance(answer, Response) and answer.status == 200
        writer.close()
    await eventually(lambda: called.server.statistics["tls_connections"] == 0)


def test_old_versions_are_refused_and_names_are_checked(ours: Certificate, authority: Authority) -> None:
    tls = Tls(files(ours, authority))
    assert tls.server.minimum_version == tls.client.minimum_version == ssl.TLSVersion.TLSv1_2
    assert tls.client.check_hostname and tls.client.verify_mode == ssl.CERT_REQUIRED
