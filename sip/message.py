"""SIP messages (RFC 3261 section 7): lenient when read, strict when written.

Headers are pairs of name and value in the order received; names are in their usual spelling, compact forms
spelled out, folded lines joined. Content-Length is not kept: it follows from the body. Text is UTF-8; other
bytes survive as surrogate escapes.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from sip.errors import SipError
from sip.headers import TOKEN, CSeq, NameAddr, Via, number, split
from sip.multipart import find_part, is_multipart, media_type
from sip.uri import Uri

MAX_MESSAGE = 65_535
"""Bytes of one message, the most a datagram can hold."""
MAX_HEADERS = 256
"""Header lines of one message."""
MAX_FORWARDS = 70
"""Hops that a request of ours may take (RFC 3261 section 8.1.1.6)."""

Headers = tuple[tuple[str, str], ...]
M = TypeVar("M", bound="Message")

_USUAL = (
    "Accept Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authentication-Info "
    "Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding Content-Language "
    "Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires From History-Info In-Reply- "
    "To Max-Forwards Min-Expires Min-SE MIME-Version P-Asserted-Identity P-Preferred-Identity Path "
    "Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck RSeq Reason Record-Route Refer-To "
    "Referred-By Replaces Require Retry-After Route Server Session-Expires Subject Subscription-State "
    "Supported Timestamp To Unsupported User-Agent Via Warning WWW-Authenticate X-UUI"
)
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
_NAMES = {name.lower(): name for name in _USUAL.split()} | _COMPACT

SINGLE = frozenset(
    {
        "Call-ID",
        "Content-Encoding",
        "Content-Type",
        "CSeq",
        "Expires",
        "From",
        "Max-Forwards",
        "Min-Expires",
        "Min-SE",
        "Retry-After",
        "Session-Expires",
        "To",
    }
)
"""Headers that a message has once; two of them leave open which one counts, so they are refused."""

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\n[ \t]+")
_STATUS = re.compile(r"[1-6][0-9]{2}\Z", re.ASCII)
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+\Z", re.ASCII | re.IGNORECASE)

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "Version Not Supported",
    603: "Decline",
}


class MessageError(SipError):
    """A message that could not be read. `request` is what could be, None for a response or when hopeless."""

    def __init__(self, reason: str, status: int = 400, request: "Request | None" = None) -> None:
        super().__init__(reason, status)
        self.request = request


_READ_ONCE = frozenset({"from_", "to", "call_id", "cseq", "contact", "target"})


class Message:
    """What requests and responses share."""

    headers: Headers
    body: bytes

    def get(self, name: str) -> str | None:
        """The first value of a header, by its usual name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def get_all(self, name: str) -> list[str]:
        """All lines of a header, as they are."""
        return [value for key, value in self.headers if key == name]

    def get_list(self, name: str) -> list[str]:
        """All values of a header that may hold several per line. Raises `SipError`."""
        return [part for value in self.get_all(name) for part in split(value, ",") if part]

    def need(self, name: str) -> str:
        """A header that must be there once; raises `SipError`."""
        values = self.get_all(name)
        if not values or not values[0]:
            raise SipError(f"Missing {name} header")
        if len(values) > 1:
            raise SipError(f"More than one {name} header")
        return values[0]

    @cached_property
    def via(self) -> Via:
        """The topmost Via. Raises `SipError`, as do all below."""
        line = self.get("Via")
        if line is None:
            raise SipError("Missing Via header")
        return Via.parse(split(line, ",")[0])

    @cached_property
    def from_(self) -> NameAddr:
        """From."""
        return _name_addr(self, "From")

    @cached_property
    def to(self) -> NameAddr:
        """To."""
        return _name_addr(self, "To")

    @cached_property
    def call_id(self) -> str:
        """Call-ID."""
        return self.need("Call-ID")

    @cached_property
    def cseq(self) -> CSeq:
        """CSeq."""
        return CSeq.parse(self.need("CSeq"))

    @cached_property
    def contact(self) -> NameAddr | None:
        """The first Contact, None when there is none or it is `*`."""
        values = self.get_list("Contact")
        return NameAddr.parse(values[0]) if values and values[0] != "*" else None

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, "" when absent."""
        return media_type(self.get("Content-Type") or "")

    @property
    def sdp(self) -> bytes | None:
        """The session description: the body, or the part of it that is one."""
        if not self.body:
            return None
        kind = self.get("Content-Type") or ""
        if is_multipart(kind):
            return find_part(self.body, kind, "application/sdp")
        return self.body if media_type(kind) == "application/sdp" else None

    def check(self) -> None:
        """Raises `SipError` unless the headers that every message needs are there, once, and well formed."""
        seen = set()
        for name, _ in self.headers:
            if name in SINGLE:
                if name in seen:
                    raise SipError(f"More than one {name} header")
                seen.add(name)
        _ = self.via, self.from_, self.to, self.call_id, self.cseq


@dataclass(frozen=True)
class Request(Message):
    """A request."""

    method: str
    uri: str
    """The Request-URI as written."""
    headers: Headers = ()
    body: bytes = b""

    @cached_property
    def target(self) -> Uri:
        """The Request-URI. Raises `SipError`."""
        return Uri.parse(self.uri)

    def check(self) -> None:
        """As for every message; further the Request-URI, Max-Forwards and that CSeq names the method."""
        super().check()
        if self.cseq.method != self.method:
            raise SipError("CSeq names another method")
        if self.target.headers:
            raise SipError("Headers in the Request-URI")
        _ = self.forwards
        if self.method == "INVITE" and self.contact is None:
            raise SipError("Missing Contact header")

    @property
    def forwards(self) -> int:
        """Max-Forwards, the usual number where there is none. Raises `SipError`."""
        value = self.get("Max-Forwards")
        return MAX_FORWARDS if value is None else number(value, "Max-Forwards", 255)

    def seen_from(self, ip: str, port: int) -> "Request":
        """With the source noted in the topmost Via (section 18.2.1). Raises `SipError`."""
        return self.through(self.via.seen_from(ip, port))

    def through(self, via: Via) -> "Request":
        """With another topmost Via. Raises `SipError`."""
        headers = list(self.headers)
        at = next(i for i, (name, _) in enumerate(headers) if name == "Via")
        headers[at] = ("Via", ", ".join([str(via), *split(headers[at][1], ",")[1:]]))
        changed = replace(self, headers=tuple(headers))
        # What has been read of the rest need not be read again.
        read = {name: value for name, value in vars(self).items() if name in _READ_ONCE}
        vars(changed).update(read, via=via)
        return changed

    def __bytes__(self) -> bytes:
        return _print(f"{self.method} {self.uri} SIP/2.0", self)


@dataclass(frozen=True)
class Response(Message):
    """A response."""

    status: int
    reason: str
    headers: Headers = ()
    body: bytes = b""

    def __bytes__(self) -> bytes:
        return _print(f"SIP/2.0 {self.status} {self.reason}", self)


def respond(
    request: Request,
    status: int,
    reason: str = "",
    *,
    tag: str = "",
    headers: Headers = (),
    body: bytes = b"",
) -> Response:
    """A response with what section 8.2.6 copies from the request. `tag` goes into To unless it has one.
    Works on broken requests too: what is not there is not copied."""
    copied = []
    for name, value in request.headers:
        if name == "To" and tag and not _has_tag(value):
            value = f"{value};tag={tag}"
        if name in ("Via", "From", "To", "Call-ID", "CSeq") or (name == "Timestamp" and status == 100):
            copied.append((name, value))
    return Response(status, reason or REASONS.get(status, ""), (*copied, *headers), body)


def parse(data: bytes, *, stream: bool = False) -> Request | Response:
    """Reads one message. A datagram without Content-Length has its body up to the end, and bytes behind
    the body are ignored; in a stream the header is a must (section 18.3). Raises `MessageError`."""
    if len(data) > MAX_MESSAGE:
        raise MessageError("Message too large", 513)
    data = data.lstrip(b"\r\n")
    end = _END_OF_HEAD.search(data)
    head, body = (data[: end.start()], data[end.end() :]) if end else (data.rstrip(b"\r\n"), b"")
    first, *lines = _unfold(head.decode("utf-8", "surrogateescape")).split("\n")
    headers, broken = _read_headers(lines)
    if first[:4].upper() == "SIP/":
        version, _, rest = first.partition(" ")
        status, _, reason = rest.strip().partition(" ")
        if version.upper() != "SIP/2.0" or not _STATUS.match(status):
            raise MessageError("Bad status line")
        if broken:
            raise MessageError(broken)
        try:
            headers, body = _cut_body(headers, body, stream)
        except SipError as error:
            raise MessageError(error.reason) from None
        return Response(int(status), reason.strip(), headers, body)
    words = first.split()
    if len(words) < 3 or not TOKEN.match(words[0]) or not _VERSION.match(words[-1]):
        raise MessageError("Bad request line")
    request = Request(words[0], " ".join(words[1:-1]), headers, body)
    if words[-1].upper() != "SIP/2.0":
        raise MessageError("Version Not Supported", 505, request)
    if len(words) > 3:
        raise MessageError("Blank in Request-URI", 400, request)
    if broken:
        raise MessageError(broken, 400, request)
    try:
        headers, body = _cut_body(headers, body, stream)
    except SipError as error:
        raise MessageError(error.reason, error.status, request) from None
    return Request(request.method, request.uri, headers, body)


def usual_name(name: str) -> str:
    """The usual spelling of a header's name, its compact form spelled out."""
    lower = name.lower()
    return _NAMES.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))


def _name_addr(message: Message, name: str) -> NameAddr:
    try:
        return NameAddr.parse(message.need(name))
    except SipError as error:
        raise error if name in error.reason else SipError(f"Bad {name} header: {error.reason}") from None


def _has_tag(value: str) -> bool:
    try:
        return bool(NameAddr.parse(value).tag)
    except SipError:
        return True


def _unfold(head: str) -> str:
    head = head.replace("\r\n", "\n")
    if "\r" in head:
        head = head.replace("\r", " ")
    return _FOLD.sub(" ", head)


def _read_headers(lines: list[str]) -> tuple[Headers, str]:
    """The headers that can be read, and what is wrong with the first one that cannot."""
    broken = "" if len(lines) <= MAX_HEADERS else "Too many headers"
    found: list[tuple[str, str]] = []
    for line in lines[:MAX_HEADERS]:
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not TOKEN.match(name):
            broken = broken or "Bad header line"
            continue
        found.append((_NAMES.get(name.lower()) or usual_name(name), value.strip(" \t")))
    return tuple(found), broken


def _cut_body(headers: Headers, body: bytes, stream: bool) -> tuple[Headers, bytes]:
    lengths = [value for name, value in headers if name == "Content-Length"]
    if len(lengths) > 1:
        raise SipError("More than one Content-Length header")
    if not lengths:
        if stream:
            raise SipError("Missing Content-Length header")
        return headers, body
    length = number(lengths[0], "Content-Length", 2**31 - 1)
    if length > len(body):
        raise SipError("Content-Length exceeds the body")
    return tuple(pair for pair in headers if pair[0] != "Content-Length"), body[:length]


def _print(first: str, message: Message) -> bytes:
    lines = [first]
    for name, value in message.headers:
        lines.append(f"{name}: {value}")
    lines.append(f"Content-Length: {len(message.body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("line break in a start line or header")
    return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + message.body
