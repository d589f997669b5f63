"""The ladder of a call's SIP, for the log: each message with its direction and time, without its secrets.

What is written must be readable by whoever may read the log, and no more: credentials, the keys of SRTP, and
digits that are pressed (which may be a PIN) are taken out. Works on bytes, so that what cannot be parsed is
seen as well.
"""

import logging
import re
from collections import OrderedDict

from sip.flow import Flow
from sip.stun import is_blank, is_stun

logger = logging.getLogger(__name__)

REMOVED = "(removed)"
PER_SECOND = 200
"""Messages that are written in a second; the others are counted. A flood must not fill the disk."""
CALLS = 1_000
"""Calls whose first message is remembered, to tell the time since."""
LONGEST = 8_192
"""Characters of a message that are written."""

# X-headers carry what an application has agreed on, credentials too.
_SECRET_HEADER = re.compile(
    r"^((?:proxy-)?authorization|cookie|x-[\w-]{0,64}?(?:auth|token|secret|passw|cookie|api-?key|\bpin\b)[\w-]{0,64})"
    r"\s*:.*(?:\n[ \t].*)*",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET_LINE = re.compile(r"^(a=crypto:|a=key-mgmt:|a=ice-pwd:|k=).*", re.IGNORECASE | re.MULTILINE)
_USER_PASSWORD = re.compile(r"(sips?:[^@:;>\s]*):[^@>\s]{0,512}@", re.IGNORECASE)  # bounded: no text is slow
_CALL_ID = re.compile(r"^(?:call-id|i)[ \t]*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_CSEQ = re.compile(r"^cseq[ \t]*:\s*\d+\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_SDP = re.compile(r"^(?:content-type|c)[ \t]*:\s*application/sdp\b", re.IGNORECASE | re.MULTILINE)


def readable(data: bytes) -> str:
    """A message as it may be logged. Of bodies only SDP is shown, without keys."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    head, blank, body = text.partition("\n\n")
    shown = _SECRET_HEADER.sub(rf"\1: {REMOVED}", head)
    shown = _USER_PASSWORD.sub(rf"\1:{REMOVED}@", shown)
    if body and _SDP.search(head):
        shown += blank + _SECRET_LINE.sub(rf"\1{REMOVED}", body)
    elif body:
        shown += f"{blank}{REMOVED}"
    return shown[:LONGEST]


def is_keep_alive(data: bytes) -> bool:
    """Whether it is no message at all: line ends, or STUN."""
    return is_blank(data) or is_stun(data)


class Trace:
    """Writes what passes, one record a message. `sip_call_id` finds a call's; their order is the ladder."""

    def __init__(self) -> None:
        self._begun: OrderedDict[str, float] = OrderedDict()
        self._second = 0
        self._written = 0
        self._left_out = 0

    def received(self, data: bytes, flow: Flow, now: float) -> None:
        """A message has come."""
        self._write("<--", data, flow, now)

    def sent(self, data: bytes, flow: Flow, now: float) -> None:
        """A message goes out."""
        self._write("-->", data, flow, now)

    def _write(self, arrow: str, data: bytes, flow: Flow, now: float) -> None:
        if is_keep_alive(data):
            return
        if int(now) != self._second:
            self._second, self._written = int(now), 0
        if self._written >= PER_SECOND:
            self._left_out += 1
            return
        self._written += 1
        text = readable(data)
        first = text.partition("\n")[0]
        found, method = _CALL_ID.search(text), _CSEQ.search(text)
        call_id = found[1] if found else None
        if first.startswith("SIP/2.0 "):
            first = f"{first.removeprefix('SIP/2.0 ')} ({method[1] if method else '?'})"
        else:
            first = first.removesuffix(" SIP/2.0")
        peer = f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}"
        since = 0.0 if call_id is None else now - self._first(call_id, now)
        logger.info(
            "sip_message",
            extra={
                "sip_call_id": call_id,
                "ladder": f"{since:8.3f} {arrow} {peer} {first}",
                "text": text,
                "left_out": self._left_out or None,
            },
        )
        self._left_out = 0

    def _first(self, call_id: str, now: float) -> float:
        """When the first message of the call passed."""
        begun = self._begun.setdefault(call_id, now)
        self._begun.move_to_end(call_id)
        if len(self._begun) > CALLS:
            self._begun.popitem(last=False)
        return begun
