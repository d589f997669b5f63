"""STUN binding requests, by which phones keep a NAT's mapping of a SIP port alive and learn what it is (RFC
5389; RFC 5626 section 3.5.2). Pure: bytes in, bytes out.

There is nothing to authenticate and nothing to find out but the sender's own address. An answer is at most 24
bytes longer than its request, headers of IP and UDP not counted, so that a forged source gains little.
"""

import struct
from ipaddress import IPv4Address, ip_address

from sip.flow import Address

COOKIE = 0x2112_A442
HEADER = struct.Struct("!HHI12s")
"""Type, length of what follows the header, cookie, transaction."""

BINDING = 0x0001
BINDING_SUCCESS = 0x0101
BINDING_ERROR = 0x0111
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
XOR_MAPPED_ADDRESS = 0x0020

_IGNORED = frozenset({0x0006, 0x0008, 0x0014, 0x0015})
"""USERNAME, MESSAGE-INTEGRITY, REALM and NONCE: passed over, since nobody is asked for them (section 10)."""
_OPTIONAL = 0x8000
"""From here on attributes may be ignored by whoever does not know them (section 15)."""


def is_stun(data: bytes) -> bool:
    """Whether a datagram on a SIP port is STUN: no SIP message begins with a bit pair of zeros and a control
    character (RFC 5626 section 8)."""
    return len(data) >= HEADER.size and data[0] < 4


def is_blank(data: bytes) -> bool:
    """Whether a datagram says nothing, as many phones send them for the same end: line ends or zeros."""
    return not data.strip(b"\r\n\t \0")


def answer(data: bytes, remote: Address) -> bytes | None:
    """The response to a binding request from `remote`, None to whatever else it is."""
    kind, length, cookie, transaction = HEADER.unpack_from(data)
    if kind != BINDING or cookie != COOKIE or length % 4 or length != len(data) - HEADER.size:
        return None
    unknown = _unknown(data[HEADER.size :])
    if unknown is None:
        return None
    if unknown:
        error = struct.pack("!HHHBB", ERROR_CODE, 4, 0, 4, 20)
        types = struct.pack(f"!{len(unknown)}H", *unknown)
        listed = struct.pack("!HH", UNKNOWN_ATTRIBUTES, len(types)) + types + bytes(-len(types) % 4)
        return _message(BINDING_ERROR, transaction, error + listed)
    return _message(BINDING_SUCCESS, transaction, _mapped(remote, transaction))


def _message(kind: int, transaction: bytes, attributes: bytes) -> bytes:
    return HEADER.pack(kind, len(attributes), COOKIE, transaction) + attributes


def _unknown(attributes: bytes) -> list[int] | None:
    """The types that must be understood and are not; None where the attributes do not fit their length."""
    unknown, place = [], 0
    while place < len(attributes):
        kind, size = struct.unpack_from("!HH", attributes, place)
        place += 4 + size + -size % 4
        if kind < _OPTIONAL and kind not in _IGNORED:
            unknown.append(kind)
    return unknown if place == len(attributes) else None


def _mapped(remote: Address, transaction: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS (section 15.2)."""
    host = ip_address(remote[0].partition("%")[0])
    key = struct.pack("!I", COOKIE) + transaction
    family = 1 if isinstance(host, IPv4Address) else 2
    hidden = bytes(a ^ b for a, b in zip(host.packed, key, strict=False))
    port = remote[1] ^ COOKIE >> 16
    return struct.pack("!HHBBH", XOR_MAPPED_ADDRESS, 4 + len(hidden), 0, family, port) + hidden
