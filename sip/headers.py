"""Header values with a structure: Via, From, To, Contact, Route, CSeq (RFC 3261 sections 20 and 25).

Everything here is linear in the length of its input.
"""

import re
from dataclasses import dataclass, replace

from sip.errors import SipError
from sip.uri import Parameters, Uri, default_port, host_port, parse_host_port

TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+\Z")
MAGIC_COOKIE = "z9hG4bK"
"""What the branch of an RFC 3261 element begins with (section 8.1.1.7)."""

_MARKS = {separator: re.compile(f'["\\\\<>{separator}]') for separator in ",;"}
_DIGITS = re.compile(r"[0-9]+\Z", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def split(text: str, separator: str) -> list[str]:
    """The parts between separators (`,` or `;`) that stand outside of quotes and angle brackets, stripped.
    Raises `SipError` for a quote or bracket left open."""
    if '"' not in text and "<" not in text:
        return [part.strip() for part in text.split(separator)]
    parts: list[str] = []
    start, escaped, quoted, angled = 0, -1, False, False
    for mark in _MARKS[separator].finditer(text):
        at = mark.start()
        if at == escaped:
            continue
        sign = text[at]
        if quoted:
            if sign == "\\":
                escaped = at + 1
            elif sign == '"':
                quoted = False
        elif angled:
            angled = sign != ">"
        elif sign == '"':
            quoted = True
        elif sign == "<":
            angled = True
        elif sign == separator:
            parts.append(text[start:at].strip())
            start = at + 1
    if quoted or angled:
        raise SipError("Unterminated quoted string" if quoted else "Missing > in header")
    parts.append(text[start:].strip())
    return parts


def parse_parameters(texts: list[str]) -> Parameters:
    """`name=value` pairs; one empty part at the end is forgiven, others raise `SipError`."""
    if texts and not texts[-1]:
        texts = texts[:-1]
    found: list[tuple[str, str | None]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().lower()
        if not TOKEN.match(name):
            raise SipError("Bad header parameter")
        found.append((name, value.strip() if equals else None))
    return tuple(found)


def print_parameters(parameters: Parameters) -> str:
    """`;name=value` for each."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in parameters)


def _find(parameters: Parameters, name: str) -> str | None:
    for key, value in parameters:
        if key == name:
            return value or ""
    return None


@dataclass(frozen=True)
class Via:
    """One hop of the way a request came (section 20.42)."""

    transport: str
    """As written, in upper case."""
    host: str
    port: int | None = None
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> "Via":
        """Raises `SipError`."""
        sent, *rest = split(text, ";")
        name, _, sent = sent.partition("/")
        version, slash, sent = sent.partition("/")
        transport, _, by = (
            sent.strip().partition(" ") if " " in sent.strip() else sent.strip().partition("\t")
        )
        if (
            name.strip().upper() != "SIP"
            or version.strip() != "2.0"
            or not slash
            or not TOKEN.match(transport)
        ):
            raise SipError("Bad Via header")
        host, port = parse_host_port(by.strip())
        return cls(transport.upper(), host, port, parse_parameters(rest))

    def __str__(self) -> str:
        return (
            f"SIP/2.0/{self.transport} {host_port(self.host, self.port)}{print_parameters(self.parameters)}"
        )

    @property
    def branch(self) -> str:
        """The transaction's name, "" when absent."""
        return _find(self.parameters, "branch") or ""

    @property
    def sent_by(self) -> tuple[str, int]:
        """Host and port, the default one filled in."""
        return self.host, self.port or default_port(self.transport.lower())

    @property
    def wants_rport(self) -> bool:
        """True when the sender asks for the response at the port he sent from (RFC 3581)."""
        return _find(self.parameters, "rport") is not None

    def seen_from(self, ip: str, port: int) -> "Via":
        """With `received` and `rport` as the source shows them (section 18.2.1, RFC 3581 section 4)."""
        ours = [p for p in self.parameters if p[0] not in ("received", "rport")]
        if self.wants_rport:
            ours.append(("rport", str(port)))
        if self.wants_rport or ip != self.host:
            ours.append(("received", ip))
        return replace(self, parameters=tuple(ours))


@dataclass(frozen=True)
class NameAddr:
    """A display name, a URI and header parameters: From, To, Contact, Route, Record-Route (section 20.10)."""

    uri: Uri
    display_name: str = ""
    """Without quotes and escapes."""
    parameters: Parameters = ()

    @classmethod
    def parse(cls, text: str) -> "NameAddr":
        """Raises `SipError`. Without brackets the parameters are the header's, not the URI's."""
        first, *rest = split(text, ";")
        name, bracket, uri = _outside_quotes(first)
        if not bracket:
            if "?" in first or "," in first:
                raise SipError("URI needs angle brackets")
            return cls(Uri.parse(first), "", parse_parameters(rest))
        uri, closing, behind = uri.partition(">")
        if not closing or behind.strip():
            raise SipError("Bad name-addr")
        name = name.strip()
        if name.startswith('"'):
            if len(name) < 2 or not name.endswith('"'):
                raise SipError("Bad display name")
            name = re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL)
        elif '"' in name:
            raise SipError("Bad display name")
        return cls(Uri.parse(uri.strip()), name, parse_parameters(rest))

    def __str__(self) -> str:
        name = f"{quoted(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{print_parameters(self.parameters)}"

    @property
    def tag(self) -> str:
        """ "" when absent."""
        return _find(self.parameters, "tag") or ""

    def parameter(self, name: str) -> str | None:
        """A header parameter, "" for a name alone, None when absent. `name` in lower case."""
        return _find(self.parameters, name)


@dataclass(frozen=True)
class CSeq:
    """The order of requests within a dialog (section 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> "CSeq":
        """Raises `SipError`."""
        words = text.split()
        if len(words) != 2 or not TOKEN.match(words[1]):
            raise SipError("Bad CSeq header")
        return cls(number(words[0], "CSeq", 2**31 - 1), words[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def number(text: str, name: str, limit: int) -> int:
    """A decimal number of 0 to `limit`; raises `SipError` naming the header."""
    text = text.strip()
    if not _DIGITS.match(text) or len(text) > 10 or int(text) > limit:
        raise SipError(f"Bad {name} header")
    return int(text)


def quoted(text: str) -> str:
    """A quoted-string; control characters become blanks."""
    text = _CONTROL.sub(" ", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _outside_quotes(text: str) -> tuple[str, str, str]:
    """`text` parted at the first `<` that is not quoted."""
    if not text.startswith('"'):
        return text.partition("<")
    escaped = -1
    for mark in re.finditer(r'["\\]', text[1:]):
        at = mark.start() + 1
        if at == escaped:
            continue
        if text[at] == "\\":
            escaped = at + 1
            continue
        name, bracket, rest = text[at + 1 :].partition("<")
        return text[: at + 1] + name, bracket, rest
    return text, "", ""
