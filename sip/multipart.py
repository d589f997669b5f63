"""Bodies of several parts (RFC 2046 section 5.1, RFC 5621): which part is of a type."""

from sip.errors import SipError
from sip.headers import parse_parameters, split

MAX_PARTS = 32
MAX_DEPTH = 3
"""Parts within parts that are looked at."""


def find_part(body: bytes, content_type: str, wanted: str, depth: int = MAX_DEPTH) -> bytes | None:
    """The first part of the type `wanted`, None when there is none or the body is not what `content_type`
    (the header's value) says."""
    boundary = _boundary(content_type)
    if not boundary or depth == 0:
        return None
    # A delimiter begins a line; what stands before the first one is no part.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 1)[1:]
    for piece in pieces[:MAX_PARTS]:
        if piece.startswith(b"--"):
            return None
        blanks, _, rest = piece.partition(b"\r\n")
        if blanks.strip(b" \t"):
            continue
        head, end, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if not end:
            continue
        headers = _headers(head)
        if headers.get("content-transfer-encoding", "binary").lower() not in ("7bit", "8bit", "binary"):
            continue
        kind = headers.get("content-type", "text/plain")
        if media_type(kind) == wanted:
            return content
        if is_multipart(kind):
            found = find_part(content, kind, wanted, depth - 1)
            if found is not None:
                return found
    return None


def media_type(value: str) -> str:
    """The type in lower case, without its parameters."""
    return value.partition(";")[0].strip().lower()


def is_multipart(value: str) -> bool:
    """True for a Content-Type with parts of which one may be chosen."""
    return media_type(value) in ("multipart/mixed", "multipart/alternative", "multipart/related")


def _boundary(content_type: str) -> bytes:
    try:
        parameters = dict(parse_parameters(split(content_type, ";")[1:]))
    except SipError:
        return b""
    boundary = (parameters.get("boundary") or "").strip()
    if len(boundary) > 1 and boundary[0] == boundary[-1] == '"':
        boundary = boundary[1:-1].replace("\\", "")
    if len(boundary) > 70:
        return b""
    return boundary.encode("utf-8", "surrogateescape")


def _headers(head: bytes) -> dict[str, str]:
    lines = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
