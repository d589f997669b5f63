"""How much strangers may ask: a bucket per source, and nothing kept for what is dropped."""

from collections import Counter

import pytest

from sip.access import Access, Trunk, networks
from sip.flow import Flow
from sip.limits import MAX_SOURCES, RateLimit, source
from sip.message import Response
from tests.support.sip_pair import SERVER, Wire, config, request_text

ALLOWED, CARRIER, STRANGER = "192.0.2.1", "198.51.100.1", "203.0.113.9"


def guarded(**changes: object) -> Wire:
    """Users may prove themselves; one network and one trunk need not."""
    access = Access(
        allow=["192.0.2.0/24"],
        trunks=[Trunk("carrier", "h", inbound=networks(["198.51.100.0/24"]))],
        users={"a": "b"},
    )
    return Wire(config(access=access, **changes))


def knocks(wire: Wire, ip: str, times: int, method: str = "INVITE", **changes: object) -> int:
    """How many of so many requests get an answer."""
    answers = 0
    for _ in range(times):
        knocks.number += 1  # type: ignore[attr-defined]
        name = f"{knocks.number}"  # type: ignore[attr-defined]
        data = request_text(method, call_id=name, branch=f"z9hG4bK{name}", **changes)  # type: ignore[arg-type]
        heard = wire.say(data, Flow("udp", SERVER, (ip, 5060)))
        answers += any(isinstance(m, Response) for m in heard)
    return answers


knocks.number = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["INVITE", "REGISTER", "OPTIONS", "BYE", "CANCEL", "SUBSCRIBE"])
def test_a_stranger_gets_a_burst_and_then_so_many_a_second(method: str) -> None:
    wire = guarded(stranger_rate=10.0)
    assert knocks(wire, STRANGER, 200, method) == 50
    wire.wait(1)
    assert knocks(wire, STRANGER, 200, method) == 10
    wire.wait(3600)
    assert knocks(wire, STRANGER, 200, method) == 50
    assert wire.endpoint.statistics["rate_limited"] == 150 + 190 + 150
    assert not any(wire.endpoint.size().values())


@pytest.mark.parametrize("changes", [{"to_tag": "made-up"}, {"extra": "CSeq: 1 INVITE\r\n"}])
def test_requests_in_no_dialog_and_broken_ones_count_too(changes: dict[str, object]) -> None:
    assert knocks(guarded(stranger_rate=10.0), STRANGER, 200, "INFO", **changes) == 50


def test_one_stranger_does_not_use_up_anothers_share() -> None:
    wire = guarded(stranger_rate=1.0)
    assert knocks(wire, STRANGER, 100) == 5
    assert knocks(wire, "203.0.113.10", 100) == 5


@pytest.mark.parametrize("ip", [ALLOWED, CARRIER])
def test_who_is_let_in_by_his_address_is_not_counted(ip: str) -> None:
    wire = guarded(stranger_rate=1.0)
    assert knocks(wire, ip, 300, "OPTIONS") == 300


def test_requests_within_a_call_are_not_counted() -> None:
    wire = guarded(stranger_rate=1.0)
    wire.say(request_text("INVITE"))
    (event,) = wire.events()
    wire.endpoint.answer(event.session, b"", wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=tag))
    moved = Flow("udp", SERVER, (STRANGER, 5060))
    for cseq in range(2, 102):
        data = request_text("OPTIONS", branch=f"z9hG4bK{cseq}", cseq=cseq, to_tag=tag)
        (answer,) = wire.say(data, moved)
        assert isinstance(answer, Response) and answer.status == 200


def test_a_rate_of_zero_is_no_limit() -> None:
    assert knocks(guarded(stranger_rate=0.0), STRANGER, 300) == 300


def test_an_ipv6_network_of_64_bits_and_a_mapped_address_are_one_source() -> None:
    assert source("2001:db8::1") == source("2001:db8::ffff:1") != source("2001:db8:0:1::1")
    assert source("::ffff:192.0.2.1") == source("192.0.2.1") != source("192.0.2.2")
    assert source("fe80::1%eth0") == source("fe80::2")
    assert source("::1") != source("0.0.0.0")


def test_the_sources_remembered_are_bounded_and_the_busiest_stay() -> None:
    limit = RateLimit(1.0, Counter())
    for _ in range(5):
        assert limit.takes(STRANGER, 0.0)
    for number in range(2 * MAX_SOURCES):
        limit.takes(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
        if number % 1000 == 0:
            assert not limit.takes(STRANGER, 0.0)
    assert len(limit) <= MAX_SOURCES + 1
