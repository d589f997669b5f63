"""Keys of SRTP in a description: a=crypto lines (SDES, RFC 4568) and what is chosen of them.

A line with a master key identifier, several keys, or a session parameter that changes what is sent is passed
over, as section 6 wants of one who does not know it; lifetimes are read and outlast any call. Keys are in no
repr, and only `Crypto.attribute` writes them.
"""

import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sip.description import Attribute

SUITES: Mapping[str, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
    "AES_CM_128_HMAC_SHA1_32": 30,
}
"""Octets of master key and salt (RFC 4568 section 6.2, RFC 7714 section 12), by suite in the order of our
offers: the one that everybody has first, the one with short tags last."""


@dataclass(frozen=True)
class Crypto:
    """One a=crypto line: a suite and the key that its sender sends with."""

    tag: str
    suite: str
    key: bytes = field(repr=False)

    @property
    def attribute(self) -> Attribute:
        """The line as it is sent."""
        return Attribute("crypto", f"{self.tag} {self.suite} inline:{b64encode(self.key).decode()}")


@dataclass(frozen=True)
class Keys:
    """What both sides send with: master keys with their salts."""

    suite: str
    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)
    tag: str = "1"
    """Of the line that was chosen."""

    @property
    def ours(self) -> Crypto:
        """The line that says our key."""
        return Crypto(self.tag, self.suite, self.send)


def fresh() -> tuple[Crypto, ...]:
    """Lines for an offer, each with a key of its own that nobody has seen."""
    return tuple(
        Crypto(str(tag), suite, secrets.token_bytes(size))
        for tag, (suite, size) in enumerate(SUITES.items(), 1)
    )


def answered(attributes: Iterable[Attribute], before: Keys | None) -> Keys | None:
    """The keys that an answer to these lines agrees to: the first line that can be used, with a fresh key of
    ours; where the peer says the key that he had `before`, both keep theirs. None: no line can be used."""
    lines = list(readable(attributes))
    for line in lines:
        if before is not None and (line.suite, line.key) == (before.suite, before.receive):
            return Keys(line.suite, before.send, line.key, line.tag)
    for line in lines:
        return Keys(line.suite, secrets.token_bytes(SUITES[line.suite]), line.key, line.tag)
    return None


def accepted(attributes: Iterable[Attribute], offered: Iterable[Attribute]) -> Keys | None:
    """The keys that an answer chose of the lines offered: same tag, same suite (section 5.1.3)."""
    ours = {(line.tag, line.suite): line.key for line in readable(offered)}
    for line in readable(attributes):
        if (line.tag, line.suite) in ours:
            return Keys(line.suite, ours[line.tag, line.suite], line.key, line.tag)
    return None


def readable(attributes: Iterable[Attribute]) -> Iterable[Crypto]:
    """The lines that can be used."""
    for attribute in attributes:
        line = _parse(attribute.value) if attribute.name == "crypto" else None
        if line is not None:
            yield line


_LINE = re.compile(
    r"([0-9]{1,9})\s+(\S+)\s+inline:([A-Za-z0-9+/]+)={0,2}(?:\|([^\s|:;]+))?((?:\s+\S+)*)", re.I
)
_LIFETIME = re.compile(r"2\^([0-9]{1,2})|([0-9]{1,15})")
_MOST = 48
"""The power of two that no lifetime of SRTP exceeds (RFC 3711 section 9.2)."""
_HARMLESS = re.compile(r"-.*|KDR=0|WSH=([0-9]{1,9})", re.I)
"""Session parameters that change nothing here: optional ones, no rate of key derivation, a window's size."""


def _parse(value: str) -> Crypto | None:
    found = _LINE.fullmatch(value)
    if found is None:
        return None
    tag, suite, text, lifetime, parameters = found.groups()
    suite = suite.upper()
    if suite not in SUITES or not all(_HARMLESS.fullmatch(word) for word in parameters.split()):
        return None
    if lifetime is not None and not _lives(lifetime):
        return None
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except Error:
        return None
    return Crypto(tag, suite, key) if len(key) == SUITES[suite] else None


def _lives(lifetime: str) -> bool:
    """Whether a lifetime is one: packets, from 1 to 2^48."""
    found = _LIFETIME.fullmatch(lifetime)
    if found is None:
        return False
    return int(found[1]) <= _MOST if found[1] else 1 <= int(found[2]) <= 1 << _MOST
