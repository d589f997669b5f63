"""Every attribute of every element: its default, each bound from inside and from outside.

Both come from a table that was written from the contract (`tests/bxml/table.py`).
"""

import pytest

import bxml
from bxml import verbs
from bxml.element import Element, schema
from tests.bxml.table import ROWS, Row

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
        assert (row.kind in ("secret", "username")) == ("got" not in error.message)


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
    Pause Conference Bridge Transfer Connect Refer
"""
OF_CONFERENCES = "PlayAudio SpeakSentence StartRecording StopRecording PauseRecording ResumeRecording"


def test_the_verbs_that_answer_and_those_of_conferences_are_the_contracts() -> None:
    assert {name for name, verb in verbs.VERBS.items() if verb.answers} == set(ANSWERING.split())
    assert {name for name, verb in verbs.VERBS.items() if verb.for_conferences} == set(OF_CONFERENCES.split())
