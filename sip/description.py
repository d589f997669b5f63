"""A session description as a value that parses and prints itself (RFC 8866); `sip.sdp` says what it means.

Reading is lenient: unknown and broken lines are skipped, any line ending will do. Only excessive size and a
media line that cannot be read are errors, since an answer must have a line for each.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

MAX_BYTES = 65_536
"""Octets of a description."""
MAX_LINES = 4_000
MAX_MEDIA = 32
"""Media lines of a description."""


class SdpError(ValueError):
    """A description that cannot be used: status 400 when it is nonsense, 488 when it is not for us."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        """One line of printable ASCII, whatever the peer sent."""


class Attribute(NamedTuple):
    """An a= line: `a=sendonly` has an empty value."""

    name: str
    """Lower case."""
    value: str = ""

    def __str__(self) -> str:
        return f"a={self.name}:{self.value}" if self.value else f"a={self.name}"


@dataclass(frozen=True)
class Media:
    """An m= line and the lines that belong to it."""

    kind: str
    """`audio`, `video`, `image`, lower case."""
    port: int
    protocol: str
    """`RTP/AVP`, `udptl`, as written."""
    formats: tuple[str, ...]
    connection: str | None = None
    """The address of its own c= line, without TTL; None when it has none."""
    attributes: tuple[Attribute, ...] = ()

    def lines(self) -> list[str]:
        """Its lines as they are sent. The grammar wants a format, so one without any gets a 0."""
        first = f"m={self.kind} {self.port} {self.protocol} {' '.join(self.formats) or '0'}"
        return [first, *_connection_lines(self.connection), *map(str, self.attributes)]


@dataclass(frozen=True)
class Description:
    """A session description. Session names and times are not kept: no answer depends on them."""

    origin: str
    """The text after `o=`."""
    connection: str | None
    """The address of the session's c= line, without TTL; None when it has none."""
    attributes: tuple[Attribute, ...]
    media: tuple[Media, ...]

    @classmethod
    def parse(cls, data: bytes) -> "Description":
        """Raises `SdpError` with status 400 and nothing else; takes time linear in the size."""
        session, *sections = _sections(data)
        if len(sections) > MAX_MEDIA:
            raise SdpError(400, f"SDP with {len(sections)} media lines, expected at most {MAX_MEDIA}")
        origin = next((line.value for line in session if line.kind == "o"), "")
        return cls(
            origin, _connection(session), _attributes(session), tuple(_media(lines) for lines in sections)
        )

    def __bytes__(self) -> bytes:
        lines = ["v=0", f"o={self.origin}", "s=-", *_connection_lines(self.connection), "t=0 0"]
        lines += map(str, self.attributes)
        for media in self.media:
            lines += media.lines()
        return "".join(f"{line}\r\n" for line in lines).encode()


def shown(text: str) -> str:
    """A peer's text as an error may quote it: short, printable ASCII."""
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")


class _Line(NamedTuple):
    number: int
    kind: str
    value: str


def _sections(data: bytes) -> list[list[_Line]]:
    """The lines of the session, then those of each media line."""
    if len(data) > MAX_BYTES:
        raise SdpError(400, f"SDP of {len(data)} bytes, expected at most {MAX_BYTES}")
    rows = re.split("\r\n|\r|\n", data.decode("utf-8", "replace"))
    if len(rows) > MAX_LINES:
        raise SdpError(400, f"SDP of {len(rows)} lines, expected at most {MAX_LINES}")
    sections: list[list[_Line]] = [[]]
    for number, row in enumerate(rows, 1):
        kind, equals, value = row.partition("=")
        if not equals:
            continue
        line = _Line(number, kind.strip(), value.strip())
        if line.kind == "m":
            sections.append([])
        sections[-1].append(line)
    return sections


_WORD = re.compile("[!-~]+")
"""What may be echoed in an answer."""
_PORT = re.compile("([0-9]{1,5})(?:/[0-9]{1,5})?")


def _media(lines: list[_Line]) -> Media:
    number, _, value = lines[0]
    kind, port, protocol, *formats = [*value.split(), "", "", ""][: max(3, len(value.split()))]
    if not _WORD.fullmatch(kind) or not _WORD.fullmatch(protocol):
        raise SdpError(400, f"SDP line {number}: expected m=kind port protocol formats, got {shown(value)}")
    found = _PORT.fullmatch(port)
    if found is None or int(found[1]) > 65535:
        raise SdpError(400, f"SDP line {number}: expected a port from 0 to 65535, got {shown(port)}")
    words = tuple(word for word in formats if _WORD.fullmatch(word))
    return Media(kind.lower(), int(found[1]), protocol, words, _connection(lines), _attributes(lines))


def _connection(lines: list[_Line]) -> str | None:
    """The address of the first c= line; empty when that line is broken, None when there is none."""
    for line in lines:
        if line.kind == "c":
            words = line.value.split()
            return words[2].partition("/")[0] if len(words) >= 3 else ""
    return None


def _attributes(lines: list[_Line]) -> tuple[Attribute, ...]:
    found = []
    for line in lines:
        if line.kind == "a":
            name, _, value = line.value.partition(":")
            found.append(Attribute(name.strip().lower(), value.strip()))
    return tuple(found)


def _connection_lines(address: str | None) -> list[str]:
    return [] if address is None else [f"c=IN {family(address)} {address}"]


def family(address: str) -> str:
    """`IP6` for the text of an IPv6 address, else `IP4`."""
    return "IP6" if ":" in address else "IP4"
