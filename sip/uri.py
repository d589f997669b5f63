"""SIP URIs (RFC 3261 section 19.1)."""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from sip.errors import SipError

Parameters = tuple[tuple[str, str | None], ...]
"""Names in lower case with values as written; None for a name alone."""

DEFAULT_PORT = 5060

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*\Z")
_NAME = re.compile(r"[A-Za-z0-9._-]+\Z")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z", re.ASCII)
_NUMBER = re.compile(r"(\+[0-9.()-]+);")
_SEPARATORS = re.compile(r"[-.()]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BROKEN = re.compile(r"[\x00-\x20\x7f<>\"]")


@dataclass(frozen=True)
class Uri:
    """A `sip:` or `sips:` URI; one of another scheme keeps what follows its scheme in `opaque`."""

    scheme: str
    host: str = ""
    """In lower case, an IPv6 address without brackets."""
    port: int | None = None
    userinfo: str | None = None
    """User and password as written, escapes and all."""
    parameters: Parameters = ()
    headers: str = ""
    opaque: str = ""

    @classmethod
    def parse(cls, text: str) -> "Uri":
        """Raises `SipError`. An unknown scheme is no error here."""
        if _BROKEN.search(text):
            raise SipError("Bad character in URI")
        scheme, colon, rest = text.partition(":")
        if not colon or not _SCHEME.match(scheme):
            raise SipError("URI without scheme")
        scheme = scheme.lower()
        if scheme not in ("sip", "sips"):
            return cls(scheme, opaque=rest)
        userinfo, at, place = rest.partition("@")
        if not at:
            userinfo, place = "", rest
        elif not userinfo:
            raise SipError("Empty user in URI")
        place, _, headers = place.partition("?")
        hostport, *parameters = place.split(";")
        host, port = parse_host_port(hostport)
        pairs = tuple(
            (n.lower(), v if eq else None) for n, eq, v in (p.partition("=") for p in parameters if p)
        )
        return cls(scheme, host, port, userinfo if at else None, pairs, headers)

    def __str__(self) -> str:
        if self.scheme not in ("sip", "sips"):
            return f"{self.scheme}:{self.opaque}"
        user = "" if self.userinfo is None else f"{self.userinfo}@"
        tail = "".join(f";{n}" if v is None else f";{n}={v}" for n, v in self.parameters)
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user}{host_port(self.host, self.port)}{tail}{headers}"

    @property
    def user(self) -> str | None:
        """The user part without password and escapes; of a telephone number, in a `tel:` URI or with `+`,
        without its parameters (section 19.1.6), and in a `tel:` URI without what makes it easier to read (RFC
        3966 section 5.1.1)."""
        if self.scheme == "tel":
            return _SEPARATORS.sub("", readable(self.opaque.partition(";")[0]))
        if self.userinfo is None:
            return None
        if number := _NUMBER.match(self.userinfo):
            return number[1]
        return readable(unquote(self.userinfo.partition(":")[0]))

    def parameter(self, name: str) -> str | None:
        """Its value, "" for a name alone, None when absent. `name` in lower case."""
        for key, value in self.parameters:
            if key == name:
                return value or ""
        return None

    @property
    def transport(self) -> str:
        """`udp`, `tcp` or what else the URI asks for, in lower case. Of a `sips:` one its parameter says what
        TLS runs over (section 26.2.2)."""
        named = (self.parameter("transport") or "").lower()
        if self.scheme == "sips":
            return "wss" if named in ("ws", "wss") else "tls"
        return named or "udp"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, the default one filled in."""
        return self.host, self.port or default_port(self.transport)

    def bare(self) -> "Uri":
        """Without what a Request-URI must not have: headers and the method parameter (section 19.1.1)."""
        return replace(self, headers="", parameters=tuple(p for p in self.parameters if p[0] != "method"))


def default_port(transport: str) -> int:
    """Where a transport is listened to when nothing is said (section 19.1.2, RFC 7118 section 8)."""
    return {"tls": 5061, "ws": 80, "wss": 443}.get(transport, DEFAULT_PORT)


def readable(text: str) -> str:
    """What cannot be said in UTF-8 becomes U+FFFD: bytes that were none, kept as surrogate escapes in
    messages, and halves of a pair, as JSON may have them."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def sip_uri(user: str | None, host: str, port: int | None = None, parameters: Parameters = ()) -> Uri:
    """A `sip:` URI; `user` is escaped here."""
    userinfo = None if user is None else quote(user, safe="-_.!~*'()&=+$,;?/")
    return Uri("sip", host.lower(), port, userinfo, parameters)


def parse_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]` or `[v6]:port`, blanks around the colon allowed. Raises `SipError`."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not _IPV6.match(host):
            raise SipError("Bad IPv6 reference")
        rest = rest.strip()
        if rest and not rest.startswith(":"):
            raise SipError("Bad host")
        port = rest[1:] if rest else None
    else:
        host, colon, rest = text.partition(":")
        host, port = host.strip(), rest if colon else None
        if not _NAME.match(host):
            raise SipError("Bad host")
    if port is None:
        return host.lower(), None
    if not _PORT.match(port.strip()) or not 0 < int(port) < 65536:
        raise SipError("Bad port")
    return host.lower(), int(port)


def host_port(host: str, port: int | None) -> str:
    """As written in URIs and Via: an IPv6 address in brackets, no port when None."""
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"
