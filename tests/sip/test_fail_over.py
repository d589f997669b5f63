"""A call is tried elsewhere when nobody is there (RFC 3263 section 4.3): in virtual time, and on sockets with
a name server of our own."""

import asyncio
import errno
import socket
import struct
from collections import Counter
from dataclasses import replace
from typing import cast

import dns.asyncresolver
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from sip import udp
from sip.access import Access
from sip.endpoint import EndpointConfig
from sip.events import CallAnswered, CallFailed, CallRinging, CallUnreachable, Event, IncomingCall
from sip.flow import Flow
from sip.locate import Naptr, Srv
from sip.message import Request
from sip.resolver import SystemResolver
from sip.session import Session
from sip.shell import SipServer
from sip.uac import PENALTY, SILENT_REST
from tests.support.eventually import PATIENCE, eventually
from tests.support.sip_pair import SDP, SERVER, Wire, response_text

FIRST = Flow("udp", SERVER, ("192.0.2.1", 5060))
SECOND = Flow("udp", SERVER, ("192.0.2.2", 5070))
THIRD = Flow("tcp", SERVER, ("192.0.2.3", 5060))
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n"\r\n'


def call(wire: Wire, *ways: Flow) -> tuple[Session, Request]:
    session = wire.endpoint.invite(
        to="sip:bob@example.com",
        from_uri="sip:a@b",
        sdp=SDP,
        flow=replace(ways[0], others=ways[1:]),
        credentials=("a", "b"),
        now=wire.now,
    )
    return session, last(wire, ways[0])


def last(wire: Wire, flow: Flow) -> Request:
    """The last request, which went that way."""
    wire.heard()
    _, message, way = wire.sent[-1]
    assert isinstance(message, Request) and way == flow
    return message


def test_who_says_nothing_for_four_seconds_is_passed_over() -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND)
    wire.wait(3.9)
    assert all(flow == FIRST for _, _, flow in wire.sent)
    wire.wait(0.2)
    second = last(wire, SECOND)
    assert second.method == "INVITE" and second.sdp == SDP and second.uri == first.uri
    assert second.call_id == first.call_id and second.from_ == first.from_
    assert second.via.branch != first.via.branch and second.cseq.number == 2
    wire.say(response_text(second, 200, body=SDP), SECOND)
    assert wire.events() == [CallAnswered(session, SDP)]
    wire.wait(60)
    assert {flow for _, message, flow in wire.sent if message is not first} <= {FIRST, SECOND}
    assert wire.times(lambda m: isinstance(m, Request) and m.cseq.number == 1 and m.method == "INVITE") == [
        0, 0.5, 1.5, 3.5,
    ]  # fmt: skip


@pytest.mark.parametrize("provisional", [100, 180])
def test_who_has_said_anything_is_waited_for(provisional: int) -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND)
    wire.say(response_text(first, provisional))
    wire.wait(120)
    assert all(flow == FIRST for _, _, flow in wire.sent) and not session.ended


def test_503_and_a_broken_transport_lead_on_and_the_last_one_counts() -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND, THIRD)
    wire.say(response_text(first, 503, extra="Retry-After: 5\r\n"))
    last(wire, SECOND)
    wire.endpoint.flow_lost(SECOND, wire.now)
    third = last(wire, THIRD)
    assert third.via.transport == "TCP" and str(third.contact).endswith(";transport=tcp>")
    assert wire.events() == []
    wire.say(response_text(third, 503, reason="Full"), THIRD)
    assert wire.events() == [CallFailed(session, 503, "Full")]
    wire.wait(140)
    assert not any(wire.endpoint.size().values())


@pytest.mark.parametrize("status", [404, 480, 486, 500, 603])
def test_any_other_refusal_is_the_answer(status: int) -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND)
    wire.say(response_text(first, status))
    assert wire.events() == [CallFailed(session, status, "Whatever")]
    wire.wait(60)
    assert all(flow == FIRST for _, _, flow in wire.sent)


def test_the_last_place_has_its_32_seconds() -> None:
    wire = Wire()
    session, _ = call(wire, FIRST, SECOND)
    wire.wait(35.9)
    assert wire.events() == []
    wire.wait(0.2)
    assert wire.events() == [CallFailed(session, 408, "Request Timeout")]


def test_a_challenge_of_the_next_place_is_answered() -> None:
    wire = Wire()
    _, first = call(wire, FIRST, SECOND)
    wire.say(response_text(first, 503))
    second = last(wire, SECOND)
    wire.say(response_text(second, 401, extra=CHALLENGE), SECOND)
    assert last(wire, SECOND).get("Authorization") and last(wire, SECOND).cseq.number == 3


def test_hanging_up_stops_the_search() -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND)
    wire.endpoint.hang_up(session, wire.now)
    wire.wait(10)
    wire.say(response_text(first, 503))
    assert wire.events() == [CallFailed(session, 503, "Whatever")]
    assert all(flow == FIRST for _, _, flow in wire.sent)


def test_who_wakes_up_late_is_cancelled_and_his_answer_ended() -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND)
    wire.wait(4.1)
    second = last(wire, SECOND)
    (cancel,) = wire.say(response_text(first, 180))
    assert isinstance(cancel, Request) and cancel.method == "CANCEL" and cancel.via == first.via
    assert wire.say(response_text(first, 180)) == [], "once"
    ack, bye = wire.say(response_text(first, 200, body=SDP))
    assert isinstance(ack, Request) and isinstance(bye, Request) and bye.method == "BYE"
    assert wire.events() == [] and not session.ended
    wire.say(response_text(second, 180, tag="other"), SECOND)
    wire.say(response_text(second, 200, tag="other", body=SDP), SECOND)
    assert wire.events() == [CallRinging(session, 180, None), CallAnswered(session, SDP)]


def test_a_place_that_failed_is_tried_last_for_a_minute() -> None:
    wire = Wire()
    _, first = call(wire, FIRST, SECOND)
    wire.say(response_text(first, 503))
    assert wire.endpoint.preferred([FIRST, SECOND], wire.now) == [SECOND, FIRST]
    assert wire.endpoint.preferred([FIRST, SECOND], wire.now + PENALTY) == [FIRST, SECOND]


def test_a_response_of_a_place_that_was_given_up_for_good_is_nothing() -> None:
    wire = Wire()
    _, first = call(wire, FIRST, SECOND)
    wire.wait(4.1)
    wire.heard()
    assert wire.say(response_text(first, 486)) == [] and wire.events() == []
    wire.wait(40)
    assert wire.say(response_text(first, 180)) == []


# On sockets.


def test_where_nobody_listens_the_next_is_tried_at_once_and_without_one_it_goes_on() -> None:
    wire = Wire()
    session, first = call(wire, FIRST, SECOND)
    wire.endpoint.unreachable(bytes(first)[:400], wire.now)
    second = last(wire, SECOND)
    wire.endpoint.unreachable(bytes(second)[:400], wire.now)
    assert wire.events() == [CallUnreachable(session)]
    wire.say(response_text(second, 200, body=SDP), SECOND)
    assert wire.events() == [CallAnswered(session, SDP)]
    wire.endpoint.unreachable(bytes(second)[:400], wire.now)
    assert wire.events() == [] and not session.ended


@pytest.mark.parametrize(
    "quoted",
    [
        b"",
        b"\xff\x00",
        b"INVITE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKforged",
        b"INVITE sip:bob@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK\xff\xfe",
    ],
)
def test_an_icmp_message_that_does_not_know_our_branch_changes_nothing(quoted: bytes) -> None:
    wire = Wire()
    session, _ = call(wire, FIRST, SECOND)
    wire.endpoint.unreachable(quoted, wire.now)
    wire.heard()
    assert all(flow == FIRST for _, _, flow in wire.sent) and not session.ended and wire.events() == []


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (503, "Retry-After: 120;duration=9", 120),
        (503, "Retry-After: 999999", 3_600),
        (503, "Retry-After: soon", 0),
        (503, "", 0),
        (486, "Retry-After: 120", 0),
    ],
)
def test_a_server_that_cannot_serve_says_for_how_long(status: int, header: str, seconds: float) -> None:
    wire = Wire()
    _, first = call(wire, FIRST)
    wire.say(response_text(first, status, extra=f"{header}\r\n" if header else ""))
    (failed,) = wire.events()
    assert isinstance(failed, CallFailed) and failed.rests == seconds


def test_where_nobody_answers_nobody_else_should_try_for_a_while() -> None:
    wire = Wire()
    call(wire, FIRST)
    wire.wait(33)
    (failed,) = wire.events()
    assert isinstance(failed, CallFailed) and (failed.status, failed.rests) == (408, SILENT_REST)


class NameServer(asyncio.DatagramProtocol):
    """Answers with the records it was given, by name and kind; NXDOMAIN for all others."""

    def __init__(self, records: dict[tuple[str, str], list[str]]) -> None:
        self._records = records

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        found = self._records.get((dns.rdatatype.to_text(question.rdtype), name))
        answer = dns.message.make_response(query)
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        else:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *found))
        self.transport.sendto(answer.to_wire(), addr)


async def resolver(records: dict[tuple[str, str], list[str]]) -> tuple[SystemResolver, NameServer]:
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(lambda: NameServer(records), local_addr=("127.0.0.1", 0))
    made = SystemResolver()
    configured = dns.asyncresolver.Resolver(configure=False)
    configured.nameservers = ["127.0.0.1"]
    configured.port = server.transport.get_extra_info("sockname")[1]
    configured.cache = dns.resolver.LRUCache()
    made._dns = configured
    return made, server


async def test_a_call_by_name_goes_around_the_server_that_is_down() -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, IncomingCall):
            called.answer(event.session, SDP)

    config = EndpointConfig(access=Access(allow=["127.0.0.0/8"]))
    called = SipServer(config, on_event)
    await called.start(["tcp:127.0.0.1:0"])
    down = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    closed = down.sockets[0].getsockname()[1]
    down.close()
    await down.wait_closed()
    records = {
        ("NAPTR", "pbx.example"): ['10 10 "s" "SIP+D2T" "" _sip._tcp.pbx.example.'],
        ("SRV", "_sip._tcp.pbx.example"): [
            f"1 0 {closed} 127.0.0.1.",
            f"2 0 {called.port('tcp')} 127.0.0.1.",
        ],
    }
    finder, server = await resolver(records)
    heard: list[Event] = []
    caller = SipServer(config, heard.append, resolver=finder)
    await caller.start(["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
    flow = await caller.reach("sip:bob@pbx.example")
    assert flow.remote == ("127.0.0.1", closed) and [f.remote[1] for f in flow.others] == [called.port("tcp")]
    caller.invite(to="sip:bob@pbx.example", from_uri="sip:a@b", sdp=SDP, target=flow)
    await eventually(lambda: [type(e) for e in heard] == [CallAnswered])
    again = await caller.reach("sip:bob@pbx.example")
    assert again.remote[1] == called.port("tcp"), "the other one is tried last now"
    server.transport.close()
    await caller.close()
    await called.close()


async def test_the_name_servers_records_are_read_and_what_is_not_there_is_empty() -> None:
    records = {
        ("NAPTR", "a.example"): ['10 20 "s" "SIP+D2U" "" _sip._udp.a.example.'],
        ("SRV", "_sip._udp.a.example"): ["1 2 5070 h.a.example.", "1 2 0 no.a.example."],
    }
    finder, server = await resolver(records)
    assert await finder.naptr("a.example") == [Naptr(10, 20, "SIP+D2U", "_sip._udp.a.example.")]
    assert await finder.srv("_sip._udp.a.example") == [Srv(1, 2, 5070, "h.a.example")]
    assert await finder.naptr("b.example") == [] and await finder.srv("b.example") == []
    assert "127.0.0.1" in await finder.addresses("localhost")
    server.transport.close()


async def test_a_name_server_that_is_not_there_is_an_error_with_the_name() -> None:
    finder, server = await resolver({})
    server.transport.abort()
    assert finder._dns is not None
    finder._dns.cache = None
    with pytest.raises(OSError, match=r"a\.example: SRV cannot be looked up"):
        await asyncio.wait_for(finder.srv("a.example"), PATIENCE)


async def test_a_closed_port_is_told_at_once_and_the_socket_goes_on() -> None:
    def on_event(event: Event) -> None:
        heard.append(event)

    heard: list[Event] = []
    config = EndpointConfig(access=Access(allow=["127.0.0.0/8", "::1"]))
    server = SipServer(config, on_event)
    await server.start(["udp:127.0.0.1:0", "udp:[::1]:0"])
    for host in ("127.0.0.1", "[::1]"):
        session = server.invite(to=f"sip:bob@{host}:9", from_uri="sip:a@b", sdp=SDP)
        await eventually(lambda of=session: CallUnreachable(of) in heard)
    assert server.statistics["udp_unreachable"] >= 2
    called = SipServer(config, on_event)
    await called.start(["udp:127.0.0.1:0"])
    server.invite(to=f"sip:bob@127.0.0.1:{called.port('udp')}", from_uri="sip:a@b", sdp=SDP)
    await eventually(lambda: any(isinstance(event, IncomingCall) for event in heard))
    await server.close()
    await called.close()


async def test_a_datagram_that_is_too_large_for_a_network_on_the_way_does_not_make_its_callee_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = [(errno.EMSGSIZE, b"large"), (errno.EHOSTUNREACH, b"nobody")]

    class Told(socket.socket):
        def recvmsg(self, *_: object) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
            if not told:
                raise BlockingIOError
            number, data = told.pop(0)
            return (
                data,
                [(socket.IPPROTO_IP, 11, struct.pack("=IBBBBII", number, 2, 3, 4, 0, 1400, 0))],
                0,
                None,
            )

    monkeypatch.setattr(udp.socket, "socket", Told)
    unreachable: list[bytes] = []
    statistics: Counter[str] = Counter()
    datagrams = udp.UdpSocket(("127.0.0.1", 0), lambda *_: None, statistics, unreachable.append)
    datagrams._readable()
    datagrams.close()
    assert unreachable == [b"nobody"] and statistics["udp_unreachable"] == 1


async def test_errors_that_icmp_tells_of_without_end_keep_no_datagram_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[bytes] = []

    class Flooded(socket.socket):
        turns = 0

        def recvfrom(self, *_: object) -> tuple[bytes, tuple[str, int]]:  # type: ignore[override]
            self.turns += 1
            if self.turns % 2:
                raise ConnectionRefusedError
            return b"hello", ("127.0.0.1", 5060)

        def sendto(self, *_: object) -> int:
            self.turns += 1
            if self.turns % 5:
                raise ConnectionRefusedError
            return 1

        def recvmsg(self, *_: object) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
            return b"quoted", [], 0, None

    monkeypatch.setattr(udp.socket, "socket", Flooded)
    unheard: list[bytes] = []
    datagrams = udp.UdpSocket(
        ("127.0.0.1", 0), lambda data, *_: found.append(data), Counter(), unheard.append
    )
    datagrams._readable()
    assert len(found) == udp.BATCH // 2 and len(unheard) == udp.BATCH
    datagrams.send(b"hello", ("127.0.0.1", 5060))
    datagrams.close()
