"""Which call is to be replaced: the Replaces header (RFC 3891), in an INVITE or in the address of a REFER."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sip.errors import SipError
from sip.headers import parse_parameters, split

OPTION = "replaces"

_WORD = re.compile(r"[!-~]+\Z")


@dataclass(frozen=True)
class Replaces:
    """One Replaces value, as the one who sent it sees the dialog: `to_tag` is that of who gets it."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> "Replaces":
        """Raises `SipError`."""
        call_id, *rest = split(value, ";")
        pairs = parse_parameters(rest)
        fields = dict(pairs)
        tags = [name for name, _ in pairs if name in ("to-tag", "from-tag")]
        to_tag, from_tag = fields.get("to-tag"), fields.get("from-tag")
        words = (call_id, to_tag or "", from_tag or "")
        if len(tags) != 2 or not all(map(_WORD.match, words)):
            raise SipError("Bad Replaces header")
        assert to_tag is not None and from_tag is not None
        return cls(call_id, to_tag, from_tag, "early-only" in fields)

    @classmethod
    def in_headers(cls, headers: str) -> "Replaces | None":
        """The one among a URI's headers (RFC 3261 section 19.1.1), None without. Raises `SipError`."""
        pairs = [pair.partition("=") for pair in headers.split("&") if pair]
        values = [unquote(value) for name, _, value in pairs if unquote(name).lower() == OPTION]
        if len(values) > 1:
            raise SipError("More than one Replaces header")
        return cls.parse(values[0]) if values else None

    @property
    def dialog(self) -> tuple[str, str, str]:
        """As `Dialog.key` of the one who gets it."""
        return self.call_id, self.to_tag, self.from_tag

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"
