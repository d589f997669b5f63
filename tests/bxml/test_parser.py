"""Documents, what they mean, and the exact sentence about what is wrong with them."""

import pytest

import bxml
from bxml import BxmlError, Document
from bxml.attributes import DIALLED
from bxml.verbs import (
    Bridge,
    Conference,
    Gather,
    Hangup,
    PhoneNumber,
    PlayAudio,
    Record,
    Refer,
    SipUri,
    SpeakSentence,
    Tag,
    Transfer,
)


def test_the_guide_s_first_document() -> None:
    document = bxml.parse(
        "<Response><SpeakSentence>Joining the conference now.</SpeakSentence>"
        "<Conference>important-meeting</Conference></Response>"
    )
    assert document == Document(
        (SpeakSentence(markup="Joining the conference now."), Conference(name="important-meeting"))
    )


@pytest.mark.parametrize("root", ["Response", "Bxml"])
def test_both_roots_are_alike(root: str) -> None:
    assert bxml.parse(f"<{root}><Hangup/></{root}>") == Document((Hangup(),))
    assert bxml.parse(f"<{root}/>".encode()) == Document()
    assert bxml.parse(f"<?xml version='1.0' encoding='UTF-8'?>\n<{root}>\n\n</{root}>\n") == Document()


def test_blanks_around_texts_are_trimmed() -> None:
    document = """
        <Conference>
            room-1
        </Conference>
        <PlayAudio>
            https://a.example/a.wav
        </PlayAudio>
        <Tag>  two words
        </Tag>
        <SpeakSentence>
            Hello,
            you.
        </SpeakSentence>
    """
    spoken = "Hello,\n            you."
    assert bxml.parse(f"<Response>{document}</Response>").verbs == (
        Conference(name="room-1"),
        PlayAudio(url="https://a.example/a.wav"),
        Tag(tag="two words"),
        SpeakSentence(markup=spoken),
    )


def test_an_element_knows_its_line_and_column() -> None:
    document = (
        "<Response>\n  <Gather>\n    <PlayAudio>ü</PlayAudio><PlayAudio>b</PlayAudio></Gather>\n<Hangup/>"
    )
    document += "</Response>"
    gather, hangup = bxml.parse(document.encode()).verbs
    assert isinstance(gather, Gather)
    assert [gather.at, *(prompt.at for prompt in gather.prompts), hangup.at] == [
        (2, 3),
        (3, 5),
        (3, 29),
        (4, 1),
    ]


def test_an_empty_tag_clears_and_an_absent_one_leaves() -> None:
    document = (
        '<Response><Tag/><Tag> </Tag><Conference tag="">a</Conference><Conference>b</Conference></Response>'
    )
    empty, blank, cleared, left = bxml.parse(document).verbs
    assert empty == blank == Tag(tag="")
    assert isinstance(cleared, Conference)
    assert isinstance(left, Conference)
    assert (cleared.tag, left.tag) == ("", None)


@pytest.mark.parametrize(
    ("written", "coached"),
    [
        ("", ()),
        (" , ,", ()),
        ("c-1", ("c-1",)),
        (" c-1,\n c-2 ,", ("c-1", "c-2")),
        ("nonsense", ("nonsense",)),
    ],
)
def test_the_ids_to_coach_are_a_list(written: str, coached: tuple[str, ...]) -> None:
    (verb,) = bxml.parse(f'<Response><Conference callIdsToCoach="{written}">a</Conference></Response>').verbs
    assert verb == Conference(name="a", call_ids_to_coach=coached)


@pytest.mark.parametrize("name", ["a", "a" * 100, "Room_1.b-2", "0", "..."])
def test_names_of_conferences(name: str) -> None:
    assert bxml.parse(f"<Response><Conference>{name}</Conference></Response>").verbs == (
        Conference(name=name),
    )


@pytest.mark.parametrize("name", ["", " ", "a b", "a" * 101, "ü", "a/b", "a:b", "٣", "a\nb"])
def test_what_is_no_name_of_a_conference(name: str) -> None:
    with pytest.raises(BxmlError) as raised:
        bxml.parse(f"<Response><Conference>{name}</Conference></Response>")
    assert raised.value.message.startswith(
        "<Conference> text: expected a name of 1 to 100 letters, digits, -, _ and ., got "
    )


def test_the_name_of_a_conference_may_stand_in_an_attribute_when_there_is_no_text() -> None:
    document = '<Response><Conference name="room"/><Conference name="old">new</Conference></Response>'
    assert bxml.parse(document) == Document((Conference(name="room"), Conference(name="new")))


def test_misspellings_of_real_clients_are_understood_and_the_right_spelling_wins() -> None:
    bridge, record, conference, right = bxml.parse(
        '<Response><Bridge bridgeTargetCompleteFallback_url="/a">c-1</Bridge>'
        '<Record recordCompleteFallback_url="/b" recordCompleteFallback_method="GET"/>'
        '<Conference calbackTimeout="3">a</Conference>'
        '<Conference callbackTimeout="4" calbackTimeout="3">a</Conference></Response>'
    ).verbs
    assert bridge == Bridge(call_id="c-1", bridge_target_complete_fallback_url="/a")
    assert record == Record(record_complete_fallback_url="/b", record_complete_fallback_method="GET")
    assert conference == Conference(name="a", callback_timeout=3)
    assert right == Conference(name="a", callback_timeout=4)


def test_a_voice_silences_gender_and_locale_even_wrong_ones() -> None:
    document = '<Response><SpeakSentence voice="paul" gender="?" locale="?">a</SpeakSentence></Response>'
    assert bxml.parse(document).verbs == (SpeakSentence(markup="a", voice="paul"),)


def test_an_empty_url_is_an_absent_one() -> None:
    document = '<Response><Conference conferenceEventUrl="">a</Conference></Response>'
    assert bxml.parse(document).verbs == (Conference(name="a"),)
    with pytest.raises(
        BxmlError, match="<Redirect> attribute redirectUrl is missing: expected an absolute or"
    ):
        bxml.parse('<Response><Redirect redirectUrl=" "/></Response>')


def test_a_method_without_a_url_is_legal() -> None:
    document = '<Response><Conference conferenceEventMethod="GET">a</Conference></Response>'
    assert bxml.parse(document).verbs == (Conference(name="a", conference_event_method="GET"),)


def gathering(prompts: int, repeat: int) -> str:
    return (
        f'<Response><Gather repeatCount="{repeat}">{"<PlayAudio>a</PlayAudio>" * prompts}</Gather></Response>'
    )


@pytest.mark.parametrize(("prompts", "repeat"), [(20, 1), (1, 20), (4, 5), (0, 1_000), (6, 3)])
def test_a_gather_plays_up_to_twenty_prompts(prompts: int, repeat: int) -> None:
    (gather,) = bxml.parse(gathering(prompts, repeat)).verbs
    assert isinstance(gather, Gather)
    assert gather.prompts == (PlayAudio(url="a"),) * prompts
    assert gather.repeat_count == repeat


@pytest.mark.parametrize(("prompts", "repeat"), [(1, 21), (7, 3), (20, 2)])
def test_a_gather_plays_no_more_than_twenty_prompts(prompts: int, repeat: int) -> None:
    with pytest.raises(BxmlError) as raised:
        bxml.parse(gathering(prompts, repeat))
    assert str(raised.value) == (
        "line 1, column 11: <Gather> attribute repeatCount: expected at most 20 prompts with their "
        f"repetitions, got {repeat} times {prompts}"
    )


def test_destinations_of_a_transfer_keep_their_order() -> None:
    (transfer,) = bxml.parse(
        "<Response><Transfer><PhoneNumber>+19195551234</PhoneNumber><SipUri>sip:a@b.example</SipUri>"
        "<PhoneNumber>+19195551235</PhoneNumber></Transfer></Response>"
    ).verbs
    assert isinstance(transfer, Transfer)
    assert transfer.destinations == (
        PhoneNumber(number="+19195551234"),
        SipUri(uri="sip:a@b.example"),
        PhoneNumber(number="+19195551235"),
    )


# A document's inside and the whole sentence about it. Each stands in the second line, from its first column.
WRONG = [
    ("<Foo/>", "<Foo> is not a verb"),
    ("<hangup/>", "<hangup> is not a verb, did you mean Hangup?"),
    ("<PhoneNumber>+1919</PhoneNumber>", "<PhoneNumber> is not a verb"),
    ("<Response/>", "<Response> is not a verb"),
    (
        '<Conference mute="maybe">a</Conference>',
        '<Conference> attribute mute: expected true or false, got "maybe"',
    ),
    (
        '<Conference conferenceEventMethod="PUT">a</Conference>',
        '<Conference> attribute conferenceEventMethod: expected GET or POST, got "PUT"',
    ),
    (
        '<Conference callbackTimeout="25.5">a</Conference>',
        '<Conference> attribute callbackTimeout: expected a number from 1 to 25, got "25.5"',
    ),
    (
        "<Conference>my room</Conference>",
        '<Conference> text: expected a name of 1 to 100 letters, digits, -, _ and ., got "my room"',
    ),
    (
        '<Pause duration="0.05"/>',
        '<Pause> attribute duration: expected a number from 0.1 to 86400, got "0.05"',
    ),
    (
        '<Gather repeatCount="0"/>',
        '<Gather> attribute repeatCount: expected a whole number not below 1, got "0"',
    ),
    (
        "<Redirect/>",
        "<Redirect> attribute redirectUrl is missing: expected an absolute or relative http or https URL "
        "without credentials",
    ),
    (
        '<StartStream destination="http://a.example"/>',
        "<StartStream> attribute destination: expected an absolute ws or wss URL without credentials, "
        'got "http://a.example"',
    ),
    (
        "<PlayAudio/>",
        '<PlayAudio> text: expected an absolute or relative http or https URL without credentials, got ""',
    ),
    (
        "<PlayAudio>https://user:pa/ss@a.example/x</PlayAudio>",
        "<PlayAudio> text: expected an absolute or relative http or https URL without credentials, "
        'got "…@a.example/x"',
    ),
    ("<SpeakSentence> \n </SpeakSentence>", '<SpeakSentence> text: expected some text, got ""'),
    (
        '<SpeakSentence gender="robot">a</SpeakSentence>',
        '<SpeakSentence> attribute gender: expected female or male, got "robot"',
    ),
    (
        '<SpeakSentence voice="hal">a</SpeakSentence>',
        '<SpeakSentence> attribute voice: expected a voice such as susan or paul, got "hal"',
    ),
    ("<Hangup>now</Hangup>", '<Hangup> expected no text, got "now"'),
    (
        "<SendDtmf>12345x</SendDtmf>",
        "<SendDtmf> text: expected 1 to 50 digits out of 0-9, *, #, A-D, comma, w and W",
    ),
    (
        f"<SendDtmf>{'1' * 51}</SendDtmf>",
        "<SendDtmf> text: expected 1 to 50 digits out of 0-9, *, #, A-D, comma, w and W",
    ),
    (
        '<PlayAudio password="a&#10;b">a</PlayAudio>',
        "<PlayAudio> attribute password: expected text without control characters",
    ),
    (f"<Tag>{'x' * 257}</Tag>", f'<Tag> text: expected at most 256 characters, got "{"x" * 60}…"'),
    (
        '<Redirect redirectUrl="/r" username="secret:name"/>',
        "<Redirect> attribute username: expected a user name without colons and control characters",
    ),
    (
        "<Transfer><SipUri>sip:bob@host?Replaces=x</SipUri></Transfer>",
        f'<Transfer> expected in <SipUri> {DIALLED}, got "sip:bob@host?Replaces=x"',
    ),
    (
        '<Forward to="sip:bob@host:65536"/>',
        f'<Forward> attribute to: expected a number in E.164 form or {DIALLED}, got "sip:bob@host:65536"',
    ),
    ("<Transfer/>", "<Transfer> expected 1 to 8 of <PhoneNumber> or <SipUri>, got 0"),
    (
        f"<Transfer>{'<SipUri>sip:a</SipUri>' * 9}</Transfer>",
        "<Transfer> expected 1 to 8 of <PhoneNumber> or <SipUri>, got 9",
    ),
    (
        f"<Refer>{'<SipUri>sip:a</SipUri>' * 2}</Refer>",
        "<Refer> expected exactly 1 of <SipUri>, got 2",
    ),
    (
        f"<Gather>{'<PlayAudio>a</PlayAudio>' * 21}</Gather>",
        "<Gather> expected 0 to 20 of <PlayAudio> or <SpeakSentence>, got 21",
    ),
    (
        f"<StartTranscription>{'<CustomParam name=`a` value=``/>' * 13}</StartTranscription>".replace(
            "`", '"'
        ),
        "<StartTranscription> expected 0 to 12 of <CustomParam>, got 13",
    ),
    ("<Connect/>", "<Connect> expected exactly 1 of <Endpoint>, got 0"),
    (
        '<Forward to="+19195551234" privacy="true" callerDisplayName="Bob"/>',
        "<Forward> attribute callerDisplayName: expected one of Restricted, Anonymous, Private, Unavailable "
        "beside privacy",
    ),
]


@pytest.mark.parametrize(("inside", "sentence"), WRONG)
def test_what_is_wrong_is_said_with_its_place(inside: str, sentence: str) -> None:
    with pytest.raises(BxmlError) as raised:
        bxml.parse(f"<Response><Hangup/>\n{inside}</Response>")
    assert str(raised.value) == f"line 2, column 1: {sentence}"
    assert (raised.value.message, raised.value.line, raised.value.column) == (sentence, 2, 1)


@pytest.mark.parametrize(
    ("inside", "sentence"),
    [
        (
            "<Conference>a<PlayAudio>b</PlayAudio></Conference>",
            "line 1, column 24: <PlayAudio> is not expected inside <Conference>: expected no element",
        ),
        (
            "<Gather>\n\t<Pause/></Gather>",
            "line 2, column 2: <Pause> is not expected inside <Gather>: "
            "expected <PlayAudio> or <SpeakSentence>",
        ),
        (
            "<Gather>\n\t<SpeakSentence/></Gather>",
            'line 2, column 2: <SpeakSentence> text: expected some text, got ""',
        ),
        (
            "<Transfer><PhoneNumber>911</PhoneNumber></Transfer>",
            "line 1, column 21: <PhoneNumber> text: expected a number in E.164 form, such as +15551234567, "
            'got "911"',
        ),
        ("hello", 'line 1, column 1: <Response> expected no text, got "hello"'),
        ("<Hangup/> hello", 'line 1, column 1: <Response> expected no text, got "hello"'),
    ],
)
def test_the_place_is_that_of_the_element_inside(inside: str, sentence: str) -> None:
    with pytest.raises(BxmlError) as raised:
        bxml.parse(f"<Response>{inside}</Response>")
    assert str(raised.value) == sentence


@pytest.mark.parametrize("root", ["response", "Request", "BXML", "html"])
def test_another_root_is_refused(root: str) -> None:
    with pytest.raises(BxmlError) as raised:
        bxml.parse(f"<{root}><Hangup/></{root}>")
    assert str(raised.value) == (
        f"line 1, column 1: <{root}> is not the root of a document: expected <Response> or <Bxml>"
    )


def test_whom_the_far_end_is_to_call_may_be_any_sip_uri() -> None:
    (verb,) = bxml.parse("<Response><Refer><SipUri>sips:a@b?Replaces=c</SipUri></Refer></Response>").verbs
    assert verb == Refer(destinations=(SipUri(uri="sips:a@b?Replaces=c"),))


def test_a_verb_of_another_namespace_is_none_of_ours() -> None:
    with pytest.raises(BxmlError, match=r"<\{urn:x\}Hangup> is not a verb$"):
        bxml.parse('<Response xmlns:x="urn:x"><x:Hangup/></Response>')


def test_the_first_error_of_the_document_is_raised_and_check_gives_all_in_order() -> None:
    document = """<Response>
        <Conference mute="?" hold="?" nonsense="">a b<Foo/></Conference>
        <Gather repeatCount="21"><PlayAudio>ftp://c</PlayAudio></Gather>
        <Transfer callTimeout="0"><Bar/></Transfer>
    </Response>"""
    errors = bxml.lint(document)[0]
    assert [(error.line, error.message.partition(":")[0]) for error in errors] == [
        (2, "<Conference> attribute mute"),
        (2, "<Conference> attribute hold"),
        (2, "<Conference> text"),
        (2, "<Foo> is not expected inside <Conference>"),
        (3, "<PlayAudio> text"),
        (4, "<Transfer> attribute callTimeout"),
        (4, "<Transfer> expected 1 to 8 of <PhoneNumber> or <SipUri>, got 0"),
        (4, "<Bar> is not expected inside <Transfer>"),
    ]
    with pytest.raises(BxmlError) as raised:
        bxml.parse(document)
    assert str(raised.value) == str(errors[0])


def test_check_finds_nothing_in_a_right_document() -> None:
    assert bxml.lint(b"<Response><Hangup/></Response>")[0] == []


def test_warnings_name_what_was_ignored_and_quote_nothing() -> None:
    document = bxml.parse(
        '<Response version="1">\n<Conference Mute="true" x="canary" maxMembers="3">a</Conference>\n'
        '<Hangup reason="canary"/></Response>'
    )
    assert document.warnings == (
        "line 1: <Response> attribute version is unknown and ignored",
        "line 2: <Conference> attribute Mute is unknown and ignored, did you mean mute?",
        "line 2: <Conference> attribute x is unknown and ignored",
        "line 2: <Conference> attribute maxMembers is unknown and ignored",
        "line 3: <Hangup> attribute reason is unknown and ignored",
    )


def test_warnings_end_at_twenty() -> None:
    assert (
        len(bxml.parse(f"<Response>{'<Hangup a=`` b=``/>' * 900}</Response>".replace("`", "'")).warnings)
        == 20
    )


LEGAL = """
    <StartRecording fileFormat="mp3"/><PlayAudio>/a.wav</PlayAudio><SpeakSentence>a</SpeakSentence>
    <PauseRecording/><ResumeRecording/><StopRecording/>
"""


def test_six_verbs_are_legal_in_a_conference() -> None:
    document = f"<Response>{LEGAL}</Response>"
    assert bxml.parse(document, conference=True) == bxml.parse(document)
    assert len(bxml.parse(document, conference=True).verbs) == 6
    assert bxml.parse("<Bxml/>", conference=True) == Document()


@pytest.mark.parametrize("other", ["Hangup", "Pause", "Tag", "StopGather", "StopTranscription"])
def test_any_other_verb_refuses_the_whole_document_of_a_conference(other: str) -> None:
    document = f"<Response>{LEGAL}<{other}/></Response>"
    assert len(bxml.parse(document).verbs) == 7
    sentence = (
        f"<{other}> is not legal in a conference document: expected <PlayAudio>, <SpeakSentence>, "
        "<PauseRecording>, <ResumeRecording>, <StartRecording> or <StopRecording>"
    )
    with pytest.raises(BxmlError) as raised:
        bxml.parse(document, conference=True)
    assert raised.value.message == sentence
    assert [error.message for error in bxml.lint(document, conference=True)[0]] == [sentence]
