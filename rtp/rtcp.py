"""RTCP compounds as they come: which packets they are, whose, and what they say.

Source: RFC 3550 section 6, RFC 5761. What a compound says is read leniently in what it leaves out and
strictly in its lengths: one that lies about them says nothing at all.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.packet import Headers

FIRST_TYPE: Final = 72
LAST_TYPE: Final = 76
"""RTCP packet types 200 to 204 (SR, RR, SDES, BYE, APP) read as an RTP marker and these payload types
(RFC 5761 section 4), which no RTP stream may therefore use."""

SR: Final = 200
RR: Final = 201
SDES: Final = 202
BYE: Final = 203
XR: Final = 207
CNAME: Final = 1
BLOCK_BYTES: Final = 24
SENDER_BYTES: Final = 20

_SSRC: Final = np.dtype({"names": ["ssrc"], "formats": [">u4"], "offsets": [4], "itemsize": 8})
_NTP_EPOCH: Final = 2_208_988_800  # seconds from 1900 to 1970
_BLOCK: Final = struct.Struct(">IIIIII")


@dataclass(frozen=True, slots=True)
class Block:
    """What a far end says of one stream that it receives. `fraction`: of 256; `lost`: may be negative;
    `jitter`: in the stream's clock; `last`, `delay`: LSR and DLSR, in 1/65536 s."""

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    last: int
    delay: int


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound of RFC 3550. `ntp`: the middle 32 bits of a sender report's time, None of a receiver
    report's; `leaving`: who says BYE. What else it holds is passed over."""

    sender: int
    ntp: int | None
    blocks: tuple[Block, ...]
    leaving: tuple[int, ...]


def is_rtcp(payload_type: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which packets that arrived among RTP are RTCP."""
    return (payload_type >= FIRST_TYPE) & (payload_type <= LAST_TYPE)


def read_among_rtp(headers: Headers, slots: NDArray[np.uint8], length: NDArray[np.int32]) -> None:
    """Correct what `rtp.packet.parse` read of the packets that are RTCP: valid where they name a sender,
    whose SSRC is elsewhere."""
    rtcp = is_rtcp(headers.payload_type)
    if rtcp.any():
        headers.valid[rtcp] = (length[rtcp] >= 8) & (slots[rtcp, 0] >> 6 == 2)
        headers.ssrc[rtcp] = headers.timestamp[rtcp]


def senders(
    slots: NDArray[np.uint8], length: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], NDArray[np.uint32]]:
    """(whole enough to name a sender, SSRC of the sender) of RTCP packets in slots u8[n, SLOT]."""
    named = (length >= 8) & (slots[:, 0] >> 6 == 2)
    return named, np.ascontiguousarray(slots[:, :8]).view(_SSRC)[:, 0]["ssrc"].astype(np.uint32)


def parse_compound(data: bytes) -> Compound | None:
    """What a compound says; None if it is not one: its packets must be of version 2, fill it exactly, and
    hold what they announce (RFC 3550 A.2). Only the last may be padded. It may begin with any of them (RFC
    5506): phones open their way through a NAT with an APP alone."""
    if len(data) < 8 or not SR <= data[1] <= XR:
        return None
    ntp: int | None = None
    blocks: list[Block] = []
    leaving: list[int] = []
    start = 0
    while start < len(data):
        if len(data) - start < 4 or data[start] >> 6 != 2:
            return None
        count, kind = data[start] & 0x1F, data[start + 1]
        stop = end = start + 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
        if stop > len(data):
            return None
        if data[start] & 0x20:
            if stop != len(data) or not 0 < data[stop - 1] <= stop - start - 4:
                return None
            end = stop - data[stop - 1]
        if kind in (SR, RR):
            reports = start + 8 + (SENDER_BYTES if kind == SR else 0)
            if reports + BLOCK_BYTES * count > end:
                return None
            if kind == SR:
                ntp = int.from_bytes(data[start + 10 : start + 14], "big")
            blocks += [_block(data, reports + BLOCK_BYTES * each) for each in range(count)]
        elif kind == BYE:
            if start + 4 + 4 * count > end:
                return None
            leaving += struct.unpack_from(f">{count}I", data, start + 4)
        start = stop
    return Compound(int.from_bytes(data[4:8], "big"), ntp, tuple(blocks), tuple(leaving))


def _block(data: bytes, start: int) -> Block:
    ssrc, loss, highest, jitter, last, delay = _BLOCK.unpack_from(data, start)
    lost = loss & 0xFF_FFFF
    return Block(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last, delay)


def ntp_time(wall: int) -> tuple[int, int]:
    """(seconds since 1900, fraction in 2^-32 s) of ns since 1970; the seconds wrap in 2036, as NTP's do."""
    seconds, rest = divmod(wall, 1_000_000_000)
    return (seconds + _NTP_EPOCH) & 0xFFFF_FFFF, (rest << 32) // 1_000_000_000


def ntp_middle(wall: int) -> int:
    """The middle 32 bits of that: 1/65536 s, wrapping every 18 hours."""
    seconds, fraction = ntp_time(wall)
    return (seconds & 0xFFFF) << 16 | fraction >> 16
