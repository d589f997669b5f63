"""RTCP is told from RTP, names its sender, and is read whole or not at all."""

import struct

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from rtp.packet import SLOT, parse
from rtp.rtcp import Block, Compound, is_rtcp, ntp_middle, ntp_time, parse_compound, read_among_rtp, senders

THEM, US = 0xFEDCBA98, 0x01020304
BLOCK = struct.pack(">IIIIII", US, 64 << 24 | 0xFF_FFFE, 70000, 80, 0x12345678, 65536)
RR = struct.pack(">BBHI", 0x81, 201, 7, THEM) + BLOCK
SR = struct.pack(">BBHIIIIII", 0x81, 200, 12, THEM, 0xAAAA1234, 0x5678BBBB, 8000, 50, 8000) + BLOCK
SDES = struct.pack(">BBHI", 0x81, 202, 3, THEM) + b"\x01\x03abc" + bytes(3)
BYE = struct.pack(">BBHI", 0x81, 203, 1, THEM)
XR = struct.pack(">BBHI", 0x80, 207, 3, THEM) + struct.pack(">BBHI", 4, 0, 0xFFFF, 0)
HEARD = Block(US, 64, -2, 70000, 80, 0x12345678, 65536)


def slots_of(packets: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    slots = np.full((len(packets), SLOT), 0xFF, np.uint8)
    for slot, packet in zip(slots, packets, strict=True):
        slot[: len(packet)] = np.frombuffer(packet, np.uint8)
    return slots, np.array([len(packet) for packet in packets], np.int32)


def test_payload_types_72_to_76_are_rtcp() -> None:
    assert np.flatnonzero(is_rtcp(np.arange(128, dtype=np.uint8))).tolist() == [72, 73, 74, 75, 76]


def test_reports_name_their_sender_if_they_are_whole_enough() -> None:
    packets = [bytes.fromhex("80c80006fedcba98"), bytes.fromhex("80c900"), bytes.fromhex("40c9000100000001")]
    named, ssrc = senders(*slots_of(packets))
    assert named.tolist() == [True, False, False]
    assert ssrc[0] == THEM


def test_rtcp_among_rtp_is_read_for_its_own_sender_however_short() -> None:
    empty = struct.pack(">BBHI", 0x80, 201, 1, THEM)
    slots, length = slots_of([empty, SR + SDES, bytes([0x80, 0]) + bytes(10), empty[:6]])
    headers = parse(slots, length)
    read_among_rtp(headers, slots, length)
    assert headers.valid.tolist() == [True, True, True, False]
    assert headers.ssrc[:2].tolist() == [THEM, THEM]


def test_a_sender_report_tells_its_time_and_what_it_heard() -> None:
    assert parse_compound(SR + SDES) == Compound(THEM, 0x12345678, (HEARD,), ())


def test_a_receiver_report_tells_no_time() -> None:
    assert parse_compound(RR + SDES) == Compound(THEM, None, (HEARD,), ())


def test_who_leaves_is_told() -> None:
    assert parse_compound(RR + SDES + BYE) == Compound(THEM, None, (HEARD,), (THEM,))


def test_what_is_not_known_is_passed_over() -> None:
    feedback = struct.pack(">BBHII", 0x81, 205, 2, THEM, US)
    assert parse_compound(RR + XR + feedback + SDES) == Compound(THEM, None, (HEARD,), ())


def test_a_compound_may_begin_with_what_is_no_report() -> None:
    ping = struct.pack(">BBHI", 0x80, 204, 3, THEM) + b"PINGPONG"
    assert parse_compound(ping) == Compound(THEM, None, (), ())
    assert parse_compound(SDES + SR) == Compound(THEM, 0x12345678, (HEARD,), ())


def test_only_the_last_packet_may_be_padded_and_only_within_itself() -> None:
    padded = struct.pack(">BBHI", 0xA1, 203, 2, THEM) + bytes([0, 0, 0, 4])
    assert parse_compound(RR + padded) == Compound(THEM, None, (HEARD,), (THEM,))
    assert parse_compound(padded + RR) is None
    assert parse_compound(RR + padded[:-1] + b"\x00") is None
    assert parse_compound(RR + padded[:-1] + b"\x0c") is None


def test_a_compound_that_lies_about_lengths_says_nothing() -> None:
    for data in (
        b"",
        RR[:-1],  # cut
        RR[:4] + RR[4:12],  # shorter than it says
        b"\x82" + RR[1:],  # more blocks than it holds
        RR + SDES[:4],  # a header and nothing behind it
        RR + b"\x81\xcb\xff\xff" + bytes(4),
        RR + struct.pack(">BBHI", 0x9F, 203, 1, THEM),  # 31 who leave in the space of one
        b"\x80\x00" + RR[2:],  # begins with what is no RTCP
        b"\x41" + RR[1:],  # of version 1
        b"\x80\xc8\x00\x01" + bytes(4),  # a sender report without its middle
        b"\x80\xc9\x00\x00",
    ):
        assert parse_compound(data) is None, data.hex()


@given(st.binary(max_size=200))
@example(RR + SDES)
def test_any_bytes_are_a_compound_or_none(data: bytes) -> None:
    assert parse_compound(data) is None or len(data) % 4 == 0


@given(st.integers(0, len(SR + SDES + BYE) - 1), st.integers(0, 255))
def test_a_compound_with_a_byte_changed_is_read_or_not(place: int, value: int) -> None:
    data = bytearray(SR + SDES + BYE)
    data[place] = value
    parse_compound(bytes(data))


def test_the_time_of_a_report_is_ntps() -> None:
    assert ntp_time(0) == (2_208_988_800, 0)
    assert ntp_time(500_000_000)[1] == 1 << 31
    assert ntp_middle(1_500_000_000) == (2_208_988_801 & 0xFFFF) << 16 | 0x8000
