"""Requests that are too large for a datagram go over TCP, and over UDP where that fails (RFC 3261 section
18.1.1)."""

import asyncio

import pytest

from sip.access import Access
from sip.endpoint import EndpointConfig
from sip.events import CallAcknowledged, CallAnswered, CallFailed, Event, IncomingCall
from sip.flow import Flow
from sip.layer import MAX_DATAGRAM, NO_STREAM
from sip.message import Request, Response
from sip.session import Session
from sip.shell import SipServer
from tests.support.eventually import PATIENCE
from tests.support.sip_pair import PHONE, SDP, SERVER, Wire, response_text

UDP = Flow("udp", SERVER, PHONE)
TCP = Flow("tcp", (SERVER[0], 5070), PHONE)


def listening() -> Wire:
    wire = Wire()
    wire.endpoint.listens("udp", 5060)
    wire.endpoint.listens("tcp", 5070)
    return wire


def call(wire: Wire, extra: int = MAX_DATAGRAM, flow: Flow = UDP) -> tuple[Session, Request, Flow]:
    headers = (("X-Long", "x" * extra),)
    session = wire.endpoint.invite(
        to="sip:bob@192.0.2.1", from_uri="sip:a@b", sdp=SDP, flow=flow, headers=headers, now=wire.now
    )
    wire.heard()
    _, invite, way = wire.sent[-1]
    assert isinstance(invite, Request)
    return session, invite, way


def test_a_large_invite_goes_over_tcp_and_says_so_in_via() -> None:
    wire = listening()
    session, invite, way = call(wire)
    assert way == TCP and invite.via.transport == "TCP" and invite.via.sent_by == TCP.local
    assert wire.wait(31) == [], "a stream needs no retransmission"
    (ack,) = wire.say(response_text(invite, 200, body=SDP), Flow("tcp", TCP.local, PHONE, 1))
    assert isinstance(ack, Request) and ack.method == "ACK"
    assert wire.events() == [CallAnswered(session, SDP)]


def test_exactly_1300_bytes_still_go_by_udp() -> None:
    room = MAX_DATAGRAM - len(bytes(call(listening(), 0)[1]))
    assert call(listening(), room)[2] == UDP
    assert call(listening(), room + 1)[2] == TCP


def test_without_a_tcp_listener_all_goes_by_udp() -> None:
    wire = Wire()
    wire.endpoint.listens("udp", 5060)
    assert call(wire)[2] == UDP


def test_the_cancel_goes_the_way_of_its_invite() -> None:
    wire = listening()
    session, invite, _ = call(wire)
    wire.say(response_text(invite, 180))
    wire.endpoint.hang_up(session, wire.now)
    (cancel,) = wire.heard()
    assert isinstance(cancel, Request) and cancel.method == "CANCEL"
    assert wire.sent[-1][2] == TCP and cancel.via == invite.via


def test_where_tcp_fails_udp_carries_it_with_all_its_timers() -> None:
    wire = listening()
    session, invite, _ = call(wire)
    wire.wait(2)
    wire.endpoint.flow_lost(TCP, wire.now)
    (again,) = wire.heard()
    assert isinstance(again, Request) and wire.sent[-1][2] == UDP
    assert again.via.transport == "UDP" and again.via.sent_by == SERVER
    assert again.via.branch == invite.via.branch and again.cseq == invite.cseq
    assert len(wire.wait(3.6)) == 3
    wire.say(response_text(again, 200, body=SDP))
    assert wire.events() == [CallAnswered(session, SDP)]
    assert wire.endpoint.statistics["stream_fallbacks"] == 1


def test_a_peer_without_tcp_is_not_asked_again_for_ten_minutes() -> None:
    wire = listening()
    call(wire)
    wire.endpoint.flow_lost(TCP, wire.now)
    assert call(wire)[2] == UDP
    elsewhere = Flow("udp", SERVER, ("192.0.2.7", 5060))
    assert call(wire, flow=elsewhere)[2].transport == "tcp"
    wire.wait(NO_STREAM)
    assert call(wire)[2] == TCP


def test_when_both_fail_the_call_fails_once() -> None:
    wire = listening()
    session, _, _ = call(wire)
    wire.endpoint.flow_lost(TCP, wire.now)
    wire.endpoint.flow_lost(UDP, wire.now)
    (failed,) = wire.events()
    assert failed == CallFailed(session, 503, "Transport failed")
    wire.wait(100)
    assert not any(wire.endpoint.size().values())


def test_a_connection_lost_after_a_response_is_not_followed_by_a_second_invite() -> None:
    wire = listening()
    session, invite, _ = call(wire)
    wire.say(response_text(invite, 180))
    wire.endpoint.flow_lost(TCP, wire.now)
    assert wire.heard() == [] and not session.ended


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenge_over_tcp_is_answered_over_tcp(status: int) -> None:
    wire = listening()
    wire.endpoint.invite(
        to="sip:bob@192.0.2.1",
        from_uri="sip:a@b",
        sdp=SDP,
        flow=UDP,
        headers=(("X-Long", "x" * MAX_DATAGRAM),),
        credentials=("a", "b"),
        now=wire.now,
    )
    (invite,) = wire.heard()
    assert isinstance(invite, Request)
    name = "WWW" if status == 401 else "Proxy"
    extra = f'{name}-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
    _, again = wire.say(response_text(invite, status, extra=extra))
    assert isinstance(again, Request) and again.cseq.number == 2 and again.via.transport == "TCP"
    assert wire.sent[-1][2] == TCP and not isinstance(again, Response)


@pytest.mark.parametrize("listen", [("udp", "tcp"), ("udp",)])
async def test_on_sockets_a_large_invite_reaches_whoever_listens(listen: tuple[str, ...]) -> None:
    heard: list[Event] = []
    done = asyncio.Event()

    def on_event(event: Event) -> None:
        heard.append(event)
        if isinstance(event, IncomingCall):
            called.answer(event.session, SDP)
        if isinstance(event, CallAcknowledged):
            done.set()

    access = Access(allow=["127.0.0.0/8"])
    caller = SipServer(EndpointConfig(access=access), lambda event: None)
    called = SipServer(EndpointConfig(access=access), on_event)
    await caller.start(["udp:127.0.0.1:0", "tcp:127.0.0.1:0"])
    await called.start(["udp:127.0.0.1:0"])
    port = called.port("udp")
    if "tcp" in listen:
        await called.close()
        called = SipServer(EndpointConfig(access=access), on_event)
        await called.start([f"udp:127.0.0.1:{port}", f"tcp:127.0.0.1:{port}"])
    uri = f"sip:room@127.0.0.1:{port}"
    caller.invite(to=uri, from_uri="sip:a@b", sdp=SDP, headers=(("X-Long", "x" * 3_000),))
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    first = heard[0]
    assert isinstance(first, IncomingCall)
    assert first.session.request.via.transport == ("TCP" if "tcp" in listen else "UDP")
    assert caller.statistics.get("stream_fallbacks", 0) == (0 if "tcp" in listen else 1)
    await caller.close()
    await called.close()
