"""RTCP is told from RTP, and names its sender."""

import numpy as np

from rtp.packet import SLOT
from rtp.rtcp import is_rtcp, senders


def test_payload_types_72_to_76_are_rtcp() -> None:
    assert np.flatnonzero(is_rtcp(np.arange(128, dtype=np.uint8))).tolist() == [72, 73, 74, 75, 76]


def test_reports_name_their_sender_if_they_are_whole_enough() -> None:
    packets = [bytes.fromhex("80c80006fedcba98"), bytes.fromhex("80c900"), bytes.fromhex("40c9000100000001")]
    slots = np.full((3, SLOT), 0xFF, np.uint8)
    for slot, packet in zip(slots, packets, strict=True):
        slot[: len(packet)] = np.frombuffer(packet, np.uint8)
    named, ssrc = senders(slots, np.array([len(packet) for packet in packets], np.int32))
    assert named.tolist() == [True, False, False]
    assert ssrc[0] == 0xFEDCBA98
