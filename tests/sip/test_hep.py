"""Copies of SIP for a collector: what they say, what they leave out, and that they wait for nobody."""

import socket
import time

import pytest

from sip import hep
from sip.flow import Flow
from sip.hep import Hep, encode
from sip.message import parse
from tests.support.collector import Collector, decode
from tests.support.eventually import eventually
from tests.support.free_ports import free_port
from tests.support.sip_pair import SDP, request_text

FLOW = Flow("udp", ("192.0.2.10", 5060), ("192.0.2.1", 5071))


def test_a_copy_says_who_sent_what_to_whom_and_when() -> None:
    message = request_text("INVITE", body=SDP)
    copy = decode(encode(message, FLOW, sent=False, agent=2001, at=1_700_000_000.25))
    assert (copy.source, copy.destination) == (FLOW.remote, FLOW.local)
    assert (copy.family, copy.protocol, copy.kind, copy.agent) == (socket.AF_INET, 17, 1, 2001)
    assert copy.at == 1_700_000_000.25 and copy.payload == message
    back = decode(encode(message, FLOW, sent=True, agent=0, at=0.0))
    assert (back.source, back.destination) == (FLOW.local, FLOW.remote)


@pytest.mark.parametrize(("transport", "protocol"), [("tcp", 6), ("tls", 6), ("wss", 6), ("udp", 17)])
def test_over_ipv6_and_every_transport(transport: str, protocol: int) -> None:
    flow = Flow(transport, ("2001:db8::1", 5061), ("fe80::2%eth0", 40_000))
    copy = decode(encode(request_text("BYE"), flow, sent=True, agent=1, at=1.0))
    assert (copy.family, copy.protocol) == (socket.AF_INET6, protocol)
    assert (copy.source, copy.destination) == (("2001:db8::1", 5061), ("fe80::2", 40_000))


@pytest.mark.parametrize(
    "message",
    [
        request_text("REGISTER", extra='Authorization: Digest username="alice", response="the-key"\r\n'),
        request_text("INVITE", body=SDP + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:the-key\r\n"),
        request_text("INFO", extra="Content-Type: application/dtmf-relay\r\n") + b"Signal=the-key\r\n",
        request_text("INVITE", contact="<sip:alice:the-key@192.0.2.1>"),
    ],
)
def test_no_copy_has_a_secret_and_each_is_sip_still(message: bytes) -> None:
    payload = decode(encode(message, FLOW, sent=True, agent=1, at=1.0)).payload
    assert b"the-key" not in payload
    read = parse(payload)
    assert b"\r\nContent-Length: %d\r\n" % len(read.body) in payload and read.call_id == "call-1"


async def test_copies_go_out_at_once_and_keep_alives_do_not() -> None:
    async with Collector() as collector:
        sender = Hep(("localhost", collector.port), 7)
        began = time.time()
        sender.received(request_text("INVITE"), FLOW, 0.0)  # the name is not looked up yet
        sender.start()
        await eventually(lambda: sender.ready)
        sender.received(request_text("INVITE"), FLOW, 0.0)
        sender.sent(b"\r\n", FLOW, 0.0)
        sender.sent(request_text("BYE"), FLOW, 0.0)
        await eventually(lambda: len(collector.copies) == 2)
        await sender.close()
    assert [copy.payload.split(b" ")[0] for copy in collector.copies] == [b"INVITE", b"BYE"]
    assert began <= collector.copies[0].at <= time.time() and collector.copies[0].agent == 7
    assert sender.statistics == {"hep_messages": 3, "hep_dropped": 1}


async def test_a_collector_that_comes_back_misses_nothing_from_then_on() -> None:
    port = free_port()
    sender = Hep(("127.0.0.1", port), 0)
    sender.start()
    await eventually(lambda: sender.ready)
    sender.sent(request_text("INVITE"), FLOW, 0.0)
    async with Collector(port) as collector:
        sender.sent(request_text("BYE"), FLOW, 0.0)
        await eventually(lambda: collector.copies)
    assert collector.copies[0].payload.startswith(b"BYE")
    assert sender.statistics == {"hep_messages": 2, "hep_dropped": 1}
    await sender.close()


async def test_a_collector_that_is_gone_and_a_flood_cost_copies_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hep, "MOST_PER_SECOND", 50)
    sender = Hep(("127.0.0.1", free_port()), 0)
    sender.start()
    await eventually(lambda: sender.ready)
    for _ in range(100):
        sender.sent(request_text("BYE"), FLOW, 5.0)
    figures = sender.statistics
    assert figures["hep_messages"] == 100 and figures["hep_dropped"] > 50
    await sender.close()


async def test_a_name_that_nobody_knows_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hep, "LOOK_AGAIN", 0.01)
    sender = Hep(("collector.invalid", 9060), 0)
    sender.start()
    await eventually(lambda: len(caplog.records) >= 2)
    assert {record.message for record in caplog.records} == {"hep_collector_unknown"} and not sender.ready
    await sender.close()
