"""Every attribute of every element: its default, each bound from inside and from outside.

The table is `attributes.txt`; what its kinds mean stands here, told by examples.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pytest

import bxml
from bxml import verbs
from bxml.element import Element, schema

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
    "phrase": (["", "anything; at all", "x" * 400], []),
    "stream-name": (["x", "x" * 300], [""]),
    "parameter-name": (["x", "x" * 256], ["", "x" * 257]),
    "parameter-value": (["", "x" * 2048], ["x" * 2049]),
    "printable-256": (["", "Alice", "x" * 256], ["x" * 257, "a&#10;b"]),
    "printable-350": (["", "x;encoding=jwt", "x" * 350], ["x" * 351, "a&#13;b"]),
    "digits": (["", "#", "0123456789*#ABCDabcd"], ["x", "1 2", "-", "٣"]),
    "list": (
        [("", ()), ("c-1", ("c-1",)), (" c-1 ,, c-2,", ("c-1", "c-2")), ("not an id", ("not an id",))],
        [],
    ),
    "caller": (
        ["+19195551234", "Restricted", "Anonymous", "Private", "Unavailable"],
        ["", "19195551234", "alice", "+0123", "+1234567890123456"],
    ),
    "destination": (
        ["+19195551234", "sip:alice@example.com", "sips:bob@[::1]:5061;transport=tls", "SIP:a.example"],
        ["", "alice", "http://a/", "sip:", "sip:a b@c", "sip:a@b@c"],
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

# What an element needs besides the attribute under test.
GIVEN = {
    "Forward": {"to": "+19195551234"},
    "Redirect": {"redirectUrl": "/next"},
    "StartGather": {"dtmfUrl": "/digit"},
    "StartStream": {"destination": "wss://a.example/x"},
    "StopStream": {"name": "x"},
    "StreamParam": {"name": "x", "value": "y"},
    "CustomParam": {"name": "x", "value": "y"},
}
INSIDE = {
    "Bridge": "c-1",
    "Conference": "room",
    "Connect": "<Endpoint>e-1</Endpoint>",
    "Endpoint": "e-1",
    "PhoneNumber": "+19195551234",
    "PlayAudio": "/a.wav",
    "Refer": "<SipUri>sip:a@b</SipUri>",
    "SendDtmf": "1",
    "SipUri": "sip:a@b",
    "SpeakSentence": "hello",
    "Tag": "x",
    "Transfer": "<SipUri>sip:a@b</SipUri>",
}
AROUND = {
    "Endpoint": "Connect",
    "PhoneNumber": "Transfer",
    "SipUri": "Transfer",
    "StreamParam": "StartStream",
    "CustomParam": "StartTranscription",
}
ELEMENTS = sorted(verbs.VERBS.keys() | AROUND.keys())
WITHOUT_TEXT = sorted(set(ELEMENTS) - INSIDE.keys() | {"Connect", "Refer", "Transfer"})


def written(name: str, attributes: dict[str, str]) -> str:
    """A document of that element, which is inside another one where it belongs there."""
    inner = "".join(f' {key}="{value}"' for key, value in attributes.items())
    element = f"<{name}{inner}>{INSIDE.get(name, '')}</{name}>"
    if name in AROUND:
        given = "".join(f' {key}="{value}"' for key, value in GIVEN.get(AROUND[name], {}).items())
        element = f"<{AROUND[name]}{given}>{element}</{AROUND[name]}>"
    return f"<Response>{element}</Response>"


def read(name: str, attributes: dict[str, str]) -> Element:
    (verb,) = bxml.parse(written(name, attributes)).verbs
    if name not in AROUND:
        return verb
    nest = schema(type(verb)).nest
    assert nest is not None
    (child,) = getattr(verb, nest.field)
    assert isinstance(child, Element)
    return child


def case(row: Row) -> str:
    return f"{row.element}-{row.attribute}"


def test_the_table_has_every_attribute_of_every_element() -> None:
    for name in ELEMENTS:
        declared = schema(getattr(verbs, name)).attributes.keys()
        assert declared == {row.attribute for row in ROWS if row.element == name}


@pytest.mark.parametrize("row", ROWS, ids=case)
def test_an_absent_attribute_has_its_default_or_is_asked_for(row: Row) -> None:
    given = dict(GIVEN.get(row.element, {}))
    given.pop(row.attribute, None)
    if row.default == "required":
        missing = rf"^line 1, column \d+: <{row.element}> attribute {row.attribute} is missing: expected .+"
        with pytest.raises(bxml.BxmlError, match=missing):
            read(row.element, given)
    else:
        assert getattr(read(row.element, given), row.field) == row.meant_by_default


@pytest.mark.parametrize("row", ROWS, ids=case)
def test_values_inside_the_bounds_are_kept(row: Row) -> None:
    for text, meant in row.right:
        value = getattr(read(row.element, {**GIVEN.get(row.element, {}), row.attribute: text}), row.field)
        assert value == meant
        assert isinstance(value, bool) == isinstance(meant, bool)
        assert isinstance(value, int) or not row.kind.startswith("whole:")


@pytest.mark.parametrize("row", ROWS, ids=case)
def test_values_outside_the_bounds_are_refused_with_their_place(row: Row) -> None:
    for text in row.wrong:
        with pytest.raises(bxml.BxmlError) as raised:
            read(row.element, {**GIVEN.get(row.element, {}), row.attribute: text})
        error = raised.value
        assert error.message.startswith(f"<{row.element}> attribute {row.attribute}: expected "), text
        assert (error.line, error.column) == (1, written(row.element, {}).index(f"<{row.element}") + 1)
        assert (row.kind == "secret") == ("got" not in error.message)


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_unknown_attribute_is_ignored_with_a_warning(name: str) -> None:
    document = bxml.parse(written(name, {**GIVEN.get(name, {}), "colour": "secret red"}))
    assert document.warnings == (f"line 1: <{name}> attribute colour is unknown and ignored",)


@pytest.mark.parametrize("name", WITHOUT_TEXT)
def test_text_where_none_belongs_is_refused(name: str) -> None:
    document = written(name, GIVEN.get(name, {})).replace(f"</{name}>", f" oh </{name}>")
    with pytest.raises(bxml.BxmlError, match=f'<{name}> expected no text, got "oh"$'):
        bxml.parse(document)


@pytest.mark.parametrize("name", [name for name in ELEMENTS if name != "SpeakSentence"])
def test_a_stray_element_is_refused(name: str) -> None:
    document = written(name, GIVEN.get(name, {})).replace(f"</{name}>", f"<Hangup/></{name}>")
    with pytest.raises(bxml.BxmlError, match=f"<Hangup> is not expected inside <{name}>: expected "):
        bxml.parse(document)


ANSWERING = """
    PlayAudio SpeakSentence Gather Record StartRecording StartStream StartTranscription StartGather SendDtmf
    Pause Conference Bridge Transfer Connect
"""
OF_CONFERENCES = "PlayAudio SpeakSentence StartRecording StopRecording PauseRecording ResumeRecording"


def test_the_verbs_that_answer_and_those_of_conferences_are_the_contracts() -> None:
    assert {name for name, verb in verbs.VERBS.items() if verb.answers} == set(ANSWERING.split())
    assert {name for name, verb in verbs.VERBS.items() if verb.for_conferences} == set(OF_CONFERENCES.split())
