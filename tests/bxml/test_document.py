"""Relative URLs, and what a document shows of itself."""

import pytest

import bxml
from bxml import BxmlError, Document
from bxml.verbs import Conference, Gather, PlayAudio, Redirect, SendDtmf, StartStream, Transfer

BASE = "https://app.example:8443/calls/in?x=1"


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("next", "https://app.example:8443/calls/next"),
        ("/next", "https://app.example:8443/next"),
        ("../next?y=2", "https://app.example:8443/next?y=2"),
        ("?y=2", "https://app.example:8443/calls/in?y=2"),
        ("//other.example/a", "https://other.example/a"),
        ("http://other.example/a", "http://other.example/a"),
        ("../../../../a", "https://app.example:8443/a"),
    ],
)
def test_a_url_resolves_against_the_document_s_own(url: str, absolute: str) -> None:
    document = bxml.parse(f'<Response><Redirect redirectUrl="{url}"/></Response>')
    assert document.resolve(BASE).verbs == (Redirect(redirect_url=absolute),)


def test_every_url_is_resolved_those_inside_too_and_nothing_else() -> None:
    document = bxml.parse(
        '<Response x="">'
        '<Conference conferenceEventUrl="a" conferenceEventFallbackUrl="b" tag="c">d</Conference>'
        '<Gather gatherUrl="e" partialResultCallback="f"><PlayAudio>g</PlayAudio></Gather>'
        '<Transfer><SipUri transferAnswerUrl="h">sip:i@j</SipUri></Transfer>'
        '<StartStream destination="wss://k.example/l" streamEventUrl="m"/></Response>'
    )
    conference, gather, transfer, stream = document.resolve("http://a.example/").verbs
    assert conference == Conference(
        name="d",
        conference_event_url="http://a.example/a",
        conference_event_fallback_url="http://a.example/b",
        tag="c",
    )
    assert isinstance(gather, Gather)
    assert (gather.gather_url, gather.partial_result_callback) == ("http://a.example/e", "http://a.example/f")
    assert gather.prompts == (PlayAudio(url="http://a.example/g"),)
    assert isinstance(transfer, Transfer)
    assert transfer.destinations[0].transfer_answer_url == "http://a.example/h"
    assert isinstance(stream, StartStream)
    assert (stream.destination, stream.stream_event_url) == ("wss://k.example/l", "http://a.example/m")
    assert document.resolve("http://a.example/").warnings == document.warnings != ()
    assert document.verbs[0].at == conference.at


def test_absolute_urls_need_no_base() -> None:
    document = bxml.parse(
        "<Response><PlayAudio>http://a.example/a</PlayAudio><Conference>b</Conference></Response>"
    )
    assert document.resolve(None) == document
    assert Document().resolve(None) == Document()


@pytest.mark.parametrize("base", [None, "", "sip:a@b", "file:///etc/", "/calls"])
def test_a_relative_url_without_a_base_is_an_error_with_its_place(base: str | None) -> None:
    document = bxml.parse("<Response>\n <Gather><PlayAudio>a.wav</PlayAudio></Gather></Response>")
    with pytest.raises(BxmlError, match=r"^line 2, column 10: <PlayAudio> text: expected an absolute http"):
        document.resolve(base)


def test_credentials_and_digits_stay_out_of_sight() -> None:
    document = bxml.parse(
        '<Response><Conference username="canary1" password="canary2" fallbackUsername="canary3" '
        'fallbackPassword="canary4">a</Conference>'
        '<PlayAudio username="canary5" password="canary6">b</PlayAudio>'
        '<StartStream destination="wss://a" destinationUsername="canary7" destinationPassword="canary8"/>'
        "<SendDtmf>987654</SendDtmf></Response>"
    )
    assert "canary" not in repr(document)
    assert "987654" not in repr(document)
    conference, sound, stream, digits = document.verbs
    assert isinstance(conference, Conference)
    assert (conference.username, conference.fallback_password) == ("canary1", "canary4")
    assert isinstance(sound, PlayAudio)
    assert (sound.username, sound.password) == ("canary5", "canary6")
    assert isinstance(stream, StartStream)
    assert stream.destination_password == "canary8"
    assert digits == SendDtmf(digits="987654")


def test_credentials_stay_out_of_errors() -> None:
    document = (
        '<Response><Conference username="canary&#1;" password="canary&#10;">http://canary:canary@a/</Conference>'
        "<PlayAudio>http://canary:canary@a.example/</PlayAudio></Response>"
    ).replace("&#1;", "&#127;")
    errors = bxml.lint(document)[0]
    assert [error.message.partition(":")[0] for error in errors] == [
        "<Conference> attribute username",
        "<Conference> attribute password",
        "<Conference> text",
        "<PlayAudio> text",
    ]
    assert "canary" not in str(errors[0]) + str(errors[1]) + str(errors[3])
