"""RTP headers of a whole batch as columns. Source: RFC 3550 section 5.1 and 5.3.1.

A packet lies at the start of a slot of `SLOT` bytes; what a shorter one left behind it from an earlier
packet is never taken for its own.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SLOT: Final = 2048
HEADER_BYTES: Final = 12

HEADER: Final = np.dtype(
    {
        "names": ["flags", "type", "sequence", "timestamp", "ssrc"],
        "formats": ["u1", "u1", ">u2", ">u4", ">u4"],
        "offsets": [0, 1, 2, 4, 8],
        "itemsize": HEADER_BYTES,
    }
)
"""The fixed header: `flags` is version, padding, extension, CSRC count; `type` is marker, payload type."""

_STUN_BYTES: Final = 20
_STUN_COOKIE: Final = np.frombuffer(b"\x21\x12\xa4\x42", np.uint8)


@dataclass(slots=True)
class Headers:
    """n packets. Where `valid` is false the other columns mean nothing.

    valid bool, payload_type u8 (0-127), marker bool, sequence u16, timestamp u32, ssrc u32,
    offset and size i32: the payload's place in the slot, in bytes.
    """

    valid: NDArray[np.bool_]
    payload_type: NDArray[np.uint8]
    marker: NDArray[np.bool_]
    sequence: NDArray[np.uint16]
    timestamp: NDArray[np.uint32]
    ssrc: NDArray[np.uint32]
    offset: NDArray[np.int32]
    size: NDArray[np.int32]

    def put(self, place: int, one: "Headers") -> None:
        """Take the only packet of `one` for that at `place`."""
        for name in self.__slots__:
            getattr(self, name)[place] = getattr(one, name)[0]


def keep_alives(slots: NDArray[np.uint8], length: NDArray[np.int32]) -> NDArray[np.bool_]:
    """bool[n]: what a phone sends to the port of its sound to keep a NAT's mapping, and means nothing else:
    STUN (first octet 0 to 3, RFC 7983 section 7, and the cookie of RFC 5389), and packets of up to four
    octets (RFC 6263 section 4.1)."""
    found = length <= 4
    likely = np.flatnonzero((slots[:, 0] < 4) & (length >= _STUN_BYTES))
    if len(likely):
        found[likely] = (slots[likely, 4:8] == _STUN_COOKIE).all(axis=1)
    return found


def parse(slots: NDArray[np.uint8], length: NDArray[np.int32]) -> Headers:
    """The headers of the packets in slots u8[n, SLOT], each `length` i32[n] bytes long.

    A packet is valid when it is of version 2 and its header, CSRC list, extension and padding all lie
    within its length.
    """
    fields = slots[:, :HEADER_BYTES].copy().view(HEADER)[:, 0]
    flags = fields["flags"].astype(np.int32)
    kind = fields["type"]
    offset: NDArray[np.int32] = HEADER_BYTES + 4 * (flags & 0x0F)
    valid = (length >= HEADER_BYTES) & (flags >> 6 == 2)
    if (flags & 0x30).any():
        offset, end = _extras(slots, length, flags, offset, valid)
    else:
        end = length
    size = end - offset
    valid &= size >= 0
    return Headers(
        valid=valid,
        payload_type=kind & np.uint8(0x7F),
        marker=kind >= 0x80,
        sequence=fields["sequence"].astype(np.uint16),
        timestamp=fields["timestamp"].astype(np.uint32),
        ssrc=fields["ssrc"].astype(np.uint32),
        offset=offset,
        size=size,
    )


def _extras(
    slots: NDArray[np.uint8],
    length: NDArray[np.int32],
    flags: NDArray[np.int32],
    offset: NDArray[np.int32],
    valid: NDArray[np.bool_],
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """(payload start, payload end) where packets have an extension or padding; clears `valid` in place."""
    each = np.arange(len(slots))
    extended = valid & (flags & 0x10 != 0)
    # Offsets of a hostile packet may lie anywhere; the look is kept inside the slot, the verdict comes after.
    look = np.minimum(offset, SLOT - 4)
    words = slots[each, look + 2].astype(np.int32) << 8 | slots[each, look + 3]
    offset = np.where(extended, offset + 4 + 4 * words, offset)
    padded = valid & (flags & 0x20 != 0)
    last = slots[each, np.clip(length - 1, 0, SLOT - 1)].astype(np.int32)
    valid &= ~padded | (last > 0)
    return offset, np.where(padded, length - last, length)
