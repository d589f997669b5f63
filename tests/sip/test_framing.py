import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip.framing import MAX_HEAD, Framer
from tests.support.sip_pair import SDP, request_text

INVITE = request_text("INVITE", body=SDP)
BYE = request_text("BYE")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([INVITE, BYE]), max_size=4), st.lists(st.integers(1, 400), max_size=12))
def test_messages_come_out_whole_however_the_stream_is_cut(messages: list[bytes], cuts: list[int]) -> None:
    stream, framer, out = b"".join(messages), Framer(), list[bytes]()
    for cut in [*cuts, len(stream)]:
        out += framer.feed(stream[:cut])
        stream = stream[cut:]
    assert out == messages and framer.error is None and not framer.partial


def test_a_message_byte_by_byte_is_one_message() -> None:
    framer = Framer()
    out = [m for byte in INVITE + BYE for m in framer.feed(bytes([byte]))]
    assert out == [INVITE, BYE]


def test_a_body_may_look_like_a_message() -> None:
    nested = request_text("INVITE", body=b"\r\n\r\n" + BYE)
    assert Framer().feed(nested + BYE) == [nested, BYE]


def test_keep_alives_are_counted_and_dropped() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n\r\n") == [] and framer.pings == 1
    assert framer.feed(b"\r\n") == [] and framer.feed(b"\r\n") == [] and framer.pings == 2
    assert framer.feed(b"\r\n" + BYE) == [BYE] and framer.pings == 2
    assert not framer.partial


def test_a_length_may_be_compact_folded_and_bare() -> None:
    for length in (b"l: 3", b"CONTENT-LENGTH : 3", b"Content-Length:\r\n 3", b"l:3 "):
        message = b"INFO sip:a@b SIP/2.0\r\nSubject: x\r\n l: 9\r\n" + length + b"\r\n\r\nabc"
        assert Framer().feed(message) == [message]
    assert Framer().feed(b"INFO sip:a@b SIP/2.0\nl: 3\n\nabc") == [b"INFO sip:a@b SIP/2.0\nl: 3\n\nabc"]


@pytest.mark.parametrize(
    "length",
    [b"", b"l: -1\r\n", b"l: x\r\n", b"l: 1\r\nContent-Length: 1\r\n", b"l: 65530\r\n", b"l: 9999999\r\n"],
)
def test_without_a_usable_length_the_stream_is_lost(length: bytes) -> None:
    framer = Framer()
    head = b"INFO sip:a@b SIP/2.0\r\n" + length + b"\r\n"
    assert framer.feed(BYE + head + b"more") == [BYE], "what came before the break is whole"
    assert framer.error is not None and framer.error.head == head
    assert framer.feed(BYE) == []


def test_headers_without_end_are_cut_off() -> None:
    framer = Framer()
    for _ in range(MAX_HEAD // 1000 + 1):
        framer.feed(b"X" * 1000)
    assert framer.error is not None and framer.error.head == b"" and not framer.partial


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=10))
def test_garbage_is_held_in_bounds_and_raises_nothing(pieces: list[bytes]) -> None:
    framer = Framer()
    for piece in pieces:
        framer.feed(piece)
    assert len(framer._buffer) <= sum(map(len, pieces))
