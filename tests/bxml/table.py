"""The table of attributes, `attributes.txt`, and what its kinds mean, told by examples."""

import re
from pathlib import Path
from typing import NamedTuple

# Of each kind, what is right (with what it means, where that is something else) and what is wrong.
KINDS: dict[str, tuple[list[object], list[str]]] = {
    "url": (
        ["http://a.example/x", "https://a.example:84/?y=1#z", "http://[::1]/", "/x", "x/y", "?x=1", "//b.it"],
        ["ftp://a.example/x", "http://", "http:///x", "http://u:p@a.example/", "//u@a.example/", "http://a:0/",
         "http://a:70000/", "a:b", "http://a/b c", "http:\\\\a", "http://[::1/", "mailto:a@b"],
    ),
    "socket": (["ws://a.example/x", "wss://a.example:8443/x"], ["http://a.example/x", "/x", "wss://", "wss://u:p@a/"]),
    "method": (["GET", "POST", (" get ", "GET")], ["", "PUT", "HEAD", "GET, POST"]),
    "boolean": (
        [("true", True), ("false", False), ("True", True), ("FALSE", False), (" true ", True)],
        ["", "yes", "1", "0", "maybe"],
    ),
    "tag": (["", "x", "x" * 256, "ü✓"], ["x" * 257]),
    "secret": (["", "user", "p" * 300, " ü: ✓ "], ["a&#10;b", "&#127;"]),
    "username": (["", "user", "p" * 300, " ü ✓ "], ["a:b", ":", "a&#10;b", "&#127;"]),
    "phrase": (["", "anything; at all", "x" * 400], []),
    "stream-name": (["x", "x" * 300], [""]),
    "parameter-name": (["x", "x" * 256], ["", "x" * 257]),
    "parameter-value": (["", "x" * 2048], ["x" * 2049]),
    "printable-256": (["Private", "", "x" * 256], ["x" * 257, "a&#10;b"]),
    "uui-256": (["", "eA==;encoding=base64", "x" * 256], ["x" * 257, "a&#10;b", "x;encoding=hex"]),
    "uui-350": (["x;encoding=jwt,eQ==;encoding=base64", "x" * 350], ["x" * 351, "x,y;encoding="]),
    "digits": (["", "#", "0123456789*#ABCDabcd"], ["x", "1 2", "-", "٣"]),
    "list": (
        [("", ()), ("c-1", ("c-1",)), (" c-1 ,, c-2,", ("c-1", "c-2")), ("not an id", ("not an id",))],
        [],
    ),
    "caller": (
        ["+19195551234", "Restricted", "Anonymous", "Private", "Unavailable", (" anonymous", "Anonymous")],
        ["", "19195551234", "alice", "+0123", "+1234567890123456"],
    ),
    "destination": (
        ["+19195551234", "sip:alice@example.com", "sips:bob@[::1]:5061;transport=tcp", "SIP:a.example",
         "sip:a;x=1%20@my_pbx"],
        ["", "alice", "http://a/", "sip:", "sip:a b@c", "sip:a@b@c", "tel:+1", "sip:a:pw@b", "sip:a@b?x=y",
         "sip:a@b:0", "sip:a@b:65536", "sip:a@[::1", "sip:ü@b"],
    ),
    "voice": (["susan", "paul", "ruth", "emma_enh", "geraint", ("Susan", "susan")], ["", "Kimberly"]),
    "locale": (["en_US", "en_UK", "en_GB", "de", "arb", "cmn-CN"], ["", "en", "xx_XX", "cmn_CN", "en-US"]),
    "reason": (
        ["unknown", "user-busy", "no-answer", "unavailable", "unconditional", "time-of-day", "do-not-disturb",
         "deflection", "follow-me", "out-of-service", "away"],
        ["", "busy"],
    ),
}  # fmt: skip


class Row(NamedTuple):
    """A line of the table."""

    element: str
    attribute: str
    kind: str
    default: str

    @property
    def field(self) -> str:
        return {"from": "from_"}.get(self.attribute, re.sub(r"(?=[A-Z])", "_", self.attribute).lower())

    @property
    def right(self) -> list[tuple[str, object]]:
        """Texts with what they mean."""
        values = KINDS[self.kind][0] if self.kind in KINDS else self._listed()[0]
        return [value if isinstance(value, tuple) else (str(value), value) for value in values]

    @property
    def wrong(self) -> list[str]:
        return KINDS[self.kind][1] if self.kind in KINDS else self._listed()[1]

    def _listed(self) -> tuple[list[object], list[str]]:
        """one-of:a,b or number:least..most or whole:least..most, where there may be no most."""
        name, _, values = self.kind.partition(":")
        if name == "one-of":
            return [*values.split(",")], ["", values, "other"]
        least, most = values.split("..")
        texts = [least, f" {float(least)} ", most or "1000000", *([] if name == "whole" else ["20.5", "20."])]
        outside = [f"{float(least) - 0.01:.2f}", f"{float(most) + 0.01:.2f}" if most else "9" * 400]
        fits = [text for text in texts if float(least) <= float(text) <= float(most or "inf")]
        nonsense = ["", "x", "1e1", "nan", "inf", "0x10", "-1", "1,5", "٣", "1.5.5", "9" * 400]
        halves = ["5.5"] if name == "whole" else []
        return [(text, float(text)) for text in fits], outside + nonsense + halves

    @property
    def meant_by_default(self) -> object:
        words = {"-": None, "empty": () if self.kind == "list" else "", "true": True, "false": False}
        if self.default in words:
            return words[self.default]
        if self.kind == "list":
            return (self.default,)
        return float(self.default) if self.kind.startswith(("number:", "whole:")) else self.default


LINES = Path(__file__).with_name("attributes.txt").read_text().splitlines()
ROWS = [Row(*line.split()) for line in LINES if not line.startswith("#")]
