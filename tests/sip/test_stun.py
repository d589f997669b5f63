"""Keep-alives by STUN: answered with the sender's address, to strangers only so often, and briefly."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.access import Access
from sip.flow import Flow
from sip.stun import BINDING, BINDING_ERROR, BINDING_SUCCESS, COOKIE, answer, is_stun
from sip.trace import Trace
from tests.support.sip_pair import SERVER, Wire, config

# RFC 5769, sections 2.2 and 2.3: the transaction, and the mapped addresses as they are written.
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
IPV4 = ("192.0.2.1", 32853), bytes.fromhex("002000080001a147e112a643")
IPV6 = (
    ("2001:db8:1234:5678:11:2233:4455:6677", 32853),
    bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
)
IP_AND_UDP = {4: 28, 6: 48}


def message(kind: int = BINDING, attributes: bytes = b"", *, cookie: int = COOKIE, length: int = -1) -> bytes:
    size = len(attributes) if length < 0 else length
    return struct.pack("!HHI12s", kind, size, cookie, TRANSACTION) + attributes


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


@pytest.mark.parametrize(("remote", "mapped"), [IPV4, IPV6])
def test_a_request_is_told_where_it_came_from(remote: tuple[str, int], mapped: bytes) -> None:
    request = message()
    assert is_stun(request)
    response = answer(request, remote)
    assert response == message(BINDING_SUCCESS, mapped)
    headers = IP_AND_UDP[ip_address(remote[0]).version]
    assert (len(response) + headers) / (len(request) + headers) < 1.4


def test_credentials_and_what_may_be_ignored_are_passed_over() -> None:
    more = attribute(0x0006, b"alice") + attribute(0x8022, b"a phone") + attribute(0x8028, bytes(4))
    response = answer(message(attributes=more), IPV4[0])
    assert response == message(BINDING_SUCCESS, IPV4[1])


def test_what_must_be_understood_and_is_not_is_named() -> None:
    change = attribute(0x0003, b"\0\0\0\6")  # CHANGE-REQUEST: answer from another address
    response = answer(message(attributes=change + attribute(0x7777, b"")), IPV4[0])
    assert response is not None and response[:2] == BINDING_ERROR.to_bytes(2, "big")
    assert response[20:] == attribute(0x0009, b"\0\0\4\x14") + attribute(0x000A, b"\0\3\x77\x77")


@pytest.mark.parametrize(
    "data",
    [
        message(0x0011),  # an indication asks for nothing
        message(BINDING_SUCCESS, IPV4[1]),
        message(0x0003),  # Allocate (TURN)
        message(cookie=1),  # RFC 3489, which nobody speaks on a SIP port
        message(length=4),
        message(attributes=b"\0\6"),
        message(attributes=b"\0\6\0\x08abcd"),
    ],
)
def test_everything_else_has_no_answer(data: bytes) -> None:
    assert is_stun(data) and answer(data, IPV4[0]) is None


@given(st.binary(max_size=600))
def test_no_bytes_do_harm(data: bytes) -> None:
    for request in (data, message(attributes=data)):
        if is_stun(request):
            response = answer(request, IPV6[0])
            assert response is None or len(response) <= len(request) + 24


def test_sip_is_not_taken_for_stun() -> None:
    assert not is_stun(b"INVITE sip:a@b SIP/2.0\r\n\r\n") and not is_stun(b"\r\n\r\n") and not is_stun(b"\0")


def asked(wire: Wire, ip: str, times: int, transport: str = "udp") -> int:
    """How many of so many requests get an answer."""
    flow = Flow(transport, SERVER, (ip, 5060))
    answers = 0
    for _ in range(times):
        wire.endpoint.receive(message(), flow, wire.now)
        answers += len(wire.endpoint.take_outgoing())
    return answers


def test_those_who_may_call_are_always_answered_and_strangers_only_so_often() -> None:
    wire = Wire(config(access=Access(allow=["192.0.2.0/24"], users={"a": "b"}), stranger_rate=2))
    assert asked(wire, "192.0.2.1", 50) == 50
    assert asked(wire, "203.0.113.9", 50) == 10
    assert wire.endpoint.statistics["keep_alives"] == 100 and wire.endpoint.statistics["rate_limited"] == 40
    assert asked(wire, "192.0.2.1", 1, "tcp") == 0, "over a stream it is no STUN, and no SIP"


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"\0", b""])
def test_datagrams_that_say_nothing_are_no_malformed_messages(data: bytes) -> None:
    wire = Wire()
    assert wire.say(data) == []
    assert wire.endpoint.statistics["keep_alives"] == 1 and "malformed" not in wire.endpoint.statistics


def test_the_trace_passes_over_keep_alives(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    trace, flow = Trace(), Flow("udp", SERVER, IPV4[0])
    for data in (message(), b"\r\n\r\n", b"\0"):
        trace.received(data, flow, 0.0)
    assert not caplog.records
