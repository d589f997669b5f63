"""Cutting a stream into messages (RFC 3261 section 18.3, RFC 5626 section 3.5.1 for keep-alives)."""

import re

from sip.errors import SipError
from sip.message import MAX_MESSAGE

MAX_HEAD = 32_768
"""Bytes of start line and headers."""

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(
    rb"^(?:content-length|l)[ \t]*:(?:[ \t]|\r?\n[ \t])*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)


class FramingError(SipError):
    """The stream cannot be cut any more. `head` is what can still be answered: the bytes of a message
    whose length is missing or wrong."""

    def __init__(self, reason: str, head: bytes = b"") -> None:
        super().__init__(reason)
        self.head = head


class Framer:
    """The bytes of one stream that are not a whole message yet; never more than one message's worth."""

    def __init__(self) -> None:
        self.pings = 0
        """Keep-alives received so far: each asks for one CRLF."""
        self.error: FramingError | None = None
        """Set when the stream cannot be cut any more; then nothing further comes out."""
        self._buffer = bytearray()
        self._searched = 0
        self._end = 0

    @property
    def partial(self) -> bool:
        """True while a message has begun and not ended."""
        return bool(self._buffer) and self._buffer[0] not in b"\r\n"

    def feed(self, data: bytes) -> list[bytes]:
        """Takes bytes and returns the messages that are now whole."""
        messages: list[bytes] = []
        if self.error is not None:
            return messages
        self._buffer += data
        try:
            while self._ready():
                messages.append(bytes(self._buffer[: self._end]))
                del self._buffer[: self._end]
                self._searched = self._end = 0
        except FramingError as error:
            self.error = error
            self._buffer.clear()
        return messages

    def _ready(self) -> bool:
        buffer = self._buffer
        if not self._end:
            if self._searched == 0 and not self._skip_line_ends():
                return False
            found = _END_OF_HEAD.search(buffer, max(0, self._searched - 3))
            self._searched = len(buffer)
            if (found.start() if found else len(buffer)) > MAX_HEAD:
                raise FramingError("Headers too large")
            if found is None:
                return False
            self._end = found.end() + _body_length(bytes(buffer[: found.end()]))
        return len(buffer) >= self._end

    def _skip_line_ends(self) -> bool:
        """Drops CRLFs between messages; two of them are a keep-alive. False when nothing else is there."""
        buffer = self._buffer
        count = len(buffer) - len(buffer.lstrip(b"\r\n"))
        if count == len(buffer) < 4:
            return False
        self.pings += count // 4
        del buffer[:count]
        return bool(buffer)


def _body_length(head: bytes) -> int:
    values = _LENGTH.findall(head)
    text = values[0].strip() if len(values) == 1 else b""
    if not text.isdigit():
        raise FramingError("No usable Content-Length", head)
    if len(text) > 6 or len(head) + int(text) > MAX_MESSAGE:
        raise FramingError("Message too large", head)
    return int(text)
