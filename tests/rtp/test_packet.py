"""RTP headers as columns, read from bytes that may lie about their lengths."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtp.packet import SLOT, Headers, parse


def parsed(*packets: bytes, left_over: int = 0xAA) -> Headers:
    slots = np.full((len(packets), SLOT), left_over, np.uint8)
    for slot, packet in zip(slots, packets, strict=True):
        slot[: len(packet)] = np.frombuffer(packet, np.uint8)
    return parse(slots, np.array([len(packet) for packet in packets], np.int32))


def header(first: int = 0x80, kind: int = 0) -> bytes:
    return bytes([first, kind, 0x12, 0x34]) + bytes.fromhex("89abcdef fedcba98")


def test_a_plain_packet_is_read_field_by_field() -> None:
    headers = parsed(header(kind=0x80 | 8) + bytes(160))
    assert headers.valid.tolist() == [True]
    assert headers.marker.tolist() == [True]
    assert headers.payload_type.tolist() == [8]
    assert headers.sequence.tolist() == [0x1234]
    assert headers.timestamp.tolist() == [0x89ABCDEF]
    assert headers.ssrc.tolist() == [0xFEDCBA98]
    assert (headers.offset.tolist(), headers.size.tolist()) == ([12], [160])


def test_csrc_extension_and_padding_are_no_payload() -> None:
    csrc = header(0x82) + bytes(8) + b"\x01" * 160
    extended = header(0x90) + bytes.fromhex("bede0002") + bytes(8) + b"\x02" * 160
    padded = header(0xA0) + b"\x03" * 160 + bytes(3) + b"\x04"
    everything = header(0xB1) + bytes(4) + bytes.fromhex("00000001") + bytes(4) + b"\x05" * 80 + b"\x01"
    headers = parsed(csrc, extended, padded, everything)
    assert headers.valid.all()
    assert headers.offset.tolist() == [20, 24, 12, 24]
    assert headers.size.tolist() == [160, 160, 160, 80]


def test_a_header_alone_is_valid_and_empty() -> None:
    headers = parsed(header())
    assert headers.valid.tolist() == [True]
    assert headers.size.tolist() == [0]


def test_lengths_that_lie_are_refused() -> None:
    hostile = {
        "nothing": b"",
        "eleven bytes": header()[:11],
        "another version": header(0x40) + bytes(160),
        "more CSRCs than bytes": header(0x8F) + bytes(20),
        "an extension cut in two": header(0x90) + b"\xbe\xde",
        "an extension of 256 kB": header(0x90) + bytes.fromhex("bedeffff") + bytes(160),
        "no padding": header(0xA0) + bytes(160),
        "padding longer than the payload": header(0xA0) + bytes(20) + b"\xff",
        "padding that reaches into the header": header(0xA0) + b"\x02",
        "padding and nothing else": header(0xA0)[:12],
    }
    for first in (0x00, 0xFF):
        headers = parsed(*hostile.values(), left_over=first)
        assert dict(zip(hostile, headers.valid.tolist(), strict=True)) == dict.fromkeys(hostile, False)


def test_a_full_slot_with_extension_at_its_end_is_looked_at_inside_the_slot() -> None:
    headers = parsed((header(0x9F) + bytes(60) + b"\xff" * SLOT)[:SLOT])
    assert headers.valid.tolist() == [False]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_whatever_is_valid_lies_within_its_packet(packets: list[bytes]) -> None:
    headers = parsed(*packets)
    for packet, valid, offset, size in zip(packets, headers.valid, headers.offset, headers.size, strict=True):
        if valid:
            assert offset >= 12 and size >= 0 and offset + size <= len(packet)
            assert packet[0] >> 6 == 2


@given(st.lists(st.binary(max_size=60), min_size=2, max_size=8))
def test_a_batch_is_read_as_its_packets_alone(packets: list[bytes]) -> None:
    together = parsed(*packets)
    for place, packet in enumerate(packets):
        alone = parsed(packet)
        assert alone.valid[0] == together.valid[place]
        if alone.valid[0]:
            assert (alone.offset[0], alone.size[0]) == (together.offset[place], together.size[place])
