"""Documents as the official SDKs write them."""

import inspect
from typing import Any

import pytest
from bandwidth.models import bxml as sdk

import bxml
from bxml import verbs
from bxml.element import Element
from bxml.verbs import Conference, Pause, PlayAudio, SpeakSentence
from tests.bxml.table import ROWS, Row

# What each builder wants besides attributes.
CONTENT: dict[str, dict[str, Any]] = {
    "Bridge": {"target_call": "c-1"},
    "Conference": {"name": "room"},
    "Connect": {"destination": [sdk.Endpoint("e-1")]},
    "Gather": {"audio_verbs": [sdk.PlayAudio("a.wav"), sdk.SpeakSentence("Hello.")]},
    "PhoneNumber": {"number": "+19195551234"},
    "PlayAudio": {"audio_uri": "/a.wav"},
    "Refer": {"sip_uri": sdk.SipUri("sip:a@b.example")},
    "SendDtmf": {"digits": "12#"},
    "SipUri": {"uri": "sip:a@b.example"},
    "SpeakSentence": {"text": "Hello."},
    "StartStream": {"stream_params": [sdk.StreamParam("a", "b")]},
    "StartTranscription": {"custom_params": [sdk.CustomParam("a", "b")]},
    "Tag": {"content": "a tag"},
    "Transfer": {"transfer_to": [sdk.PhoneNumber("+19195551234"), sdk.SipUri("sip:a@b.example")]},
}
BUILDERS = sorted(verbs.VERBS.keys() | {"PhoneNumber", "SipUri"})


def attributes(builder: str) -> dict[str, tuple[Row, Any, object]]:
    """By parameter of the SDK's builder: the row of our table, a value, and what it means."""
    known = inspect.signature(getattr(sdk, builder)).parameters
    found = {}
    for row in ROWS:
        parameter = "_from" if row.field == "from_" else row.field
        if row.element == builder and parameter in known:
            text, meant = row.right[0]
            found[parameter] = (row, meant if isinstance(meant, bool) else text, meant)
    return found


def written(builder: str, root: type[sdk.Response] | type[sdk.Bxml], **given: Any) -> str:
    element = getattr(sdk, builder)(**CONTENT.get(builder, {}), **given)
    if builder in ("PhoneNumber", "SipUri"):
        element = sdk.Transfer([element])
    return str(root([element]).to_bxml())


def read(document: str) -> Element:
    parsed = bxml.parse(document)
    assert parsed.warnings == ()
    assert parsed == bxml.parse(document.encode())
    (verb,) = parsed.verbs
    return verb


@pytest.mark.parametrize("root", [sdk.Response, sdk.Bxml])
@pytest.mark.parametrize("builder", BUILDERS)
def test_every_builder_with_every_attribute_is_understood(builder: str, root: type[sdk.Bxml]) -> None:
    given = attributes(builder)
    verb = read(written(builder, root, **{parameter: value for parameter, (_, value, _) in given.items()}))
    element = verb.destinations[0] if builder in ("PhoneNumber", "SipUri") else verb  # type: ignore[attr-defined]
    for row, _, meant in given.values():
        assert getattr(element, row.field) == meant, row
    assert len(given) == len([row for row in ROWS if row.element == builder])


@pytest.mark.parametrize("builder", BUILDERS)
def test_every_builder_with_nothing_but_what_it_needs_is_understood(builder: str) -> None:
    required = {
        name: value for name, (row, value, _) in attributes(builder).items() if row.default == "required"
    }
    read(written(builder, sdk.Response, **required))


def test_a_sentence_with_tags_from_the_python_sdk() -> None:
    sentence = sdk.SpeakSentence(
        'Hi, <emphasis level="strong">Tom & Jerry</emphasis>: 3 < 4 <break time="1s"/>'
    )
    assert read(sdk.Response([sentence]).to_bxml()) == SpeakSentence(
        markup='Hi, <emphasis level="strong">Tom &amp; Jerry</emphasis>: 3 &lt; 4 <break time="1s"/>'
    )


def test_an_empty_document_of_the_sdk() -> None:
    assert bxml.parse(sdk.Bxml().to_bxml()) == bxml.parse(sdk.Response().to_bxml()) == bxml.Document()


def test_the_older_python_sdk_puts_the_name_into_an_attribute_and_capitals_into_booleans() -> None:
    document = '<Response><Conference name="room" mute="True" hold="False" callIdsToCoach="c-1" /></Response>'
    assert read(document) == Conference(name="room", mute=True, call_ids_to_coach=("c-1",))


def test_the_java_sdk_writes_its_defaults_out() -> None:
    document = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        '<Bxml><SpeakSentence voice="susan" gender="female" locale="en_US">'
        'Call &lt;say-as interpret-as="telephone"&gt;+1 919&lt;/say-as&gt;</SpeakSentence>'
        '<Pause duration="2.0"/><Conference mute="false" hold="false" callIdsToCoach="" '
        'conferenceEventMethod="POST" conferenceEventFallbackMethod="POST">room</Conference>'
        '<Gather maxDigits="5.0" repeatCount="2.0"/><Forward to="+19195551234" callTimeout="300.0"/></Bxml>'
    )
    sentence, pause, conference, gather, forward = bxml.parse(document).verbs
    assert sentence == SpeakSentence(
        markup='Call <say-as interpret-as="telephone">+1 919</say-as>', voice="susan"
    )
    assert pause == Pause(duration=2)
    assert conference == Conference(name="room")
    assert gather == verbs.Gather(max_digits=5, repeat_count=2)
    assert forward == verbs.Forward(to="+19195551234", call_timeout=300)


def test_pretty_printed_documents_of_the_csharp_and_ruby_sdks() -> None:
    document = (
        '<?xml version="1.0" encoding="utf-8"?>\r\n<Response>\r\n'
        "  <PlayAudio>\r\n    a.wav\r\n  </PlayAudio>\r\n  <Conference>room</Conference>\r\n</Response>\r\n"
    )
    assert bxml.parse(document).verbs == (PlayAudio(url="a.wav"), Conference(name="room"))
