"""Why a request was sent: the Reason header (RFC 3326)."""

from dataclasses import dataclass

from sip.errors import SipError
from sip.headers import parse_parameters, quoted, split
from sip.message import Message


@dataclass(frozen=True)
class Reason:
    """One Reason value."""

    cause: int
    """A SIP status, or a Q.850 cause."""
    text: str = ""
    protocol: str = "SIP"

    def __str__(self) -> str:
        text = f";text={quoted(self.text)}" if self.text else ""
        return f"{self.protocol};cause={self.cause}{text}"

    @classmethod
    def parse(cls, value: str) -> "Reason":
        """Raises `SipError`."""
        protocol, *rest = split(value, ";")
        fields = dict(parse_parameters(rest))
        cause = fields.get("cause") or ""
        if not protocol or not cause.isascii() or not cause.isdigit() or len(cause) > 3:
            raise SipError("Bad Reason header")
        text = fields.get("text") or ""
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        return cls(int(cause), text, protocol)


def reasons_of(message: Message) -> tuple[Reason, ...]:
    """The Reason values of a message; those that cannot be read are left out."""
    try:
        values = message.get_list("Reason")
    except SipError:
        return ()
    found = []
    for value in values:
        try:
            found.append(Reason.parse(value))
        except SipError:
            continue
    return tuple(found)
