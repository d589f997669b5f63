"""Conference documents: where they come from, in which order they are heard, and what stops them."""

import asyncio
import logging

import pytest

from calls.callbacks import Answer, Callback
from calls.errors import Invalid, NotFound
from calls.order import Redirect
from media.client import PlaybackLost
from sip import events as sip_events
from speech.errors import AudioError, SpeechError
from speech.prompt import Prompt
from tests.support.exchange import ACCOUNT, Exchange, join, settle

EVENTS = {"conferenceEventUrl": "http://app.test/events/conference"}


def says(*sentences):
    spoken = "".join(f"<SpeakSentence>{sentence}</SpeakSentence>" for sentence in sentences)
    return f"<Response>{spoken}</Response>"


def plays(*urls):
    return "<Response>" + "".join(f"<PlayAudio>{url}</PlayAudio>" for url in urls) + "</Response>"


def the_conference(exchange):
    return exchange.switchboard.conferences(ACCOUNT)[-1]


def heard(exchange):
    """What was played so far, in order; each text is its own sound, said twice."""
    return [bytes(p.samples[: len(p.samples) // 2]).decode() for p in exchange.media.playbacks]


def sounding(exchange):
    return [p for p in exchange.media.playbacks if not p.done.done() and not p.stopped]


async def put(exchange, document):
    await exchange.switchboard.replace_conference_bxml(the_conference(exchange), document.encode())
    await settle()


async def hang_up(exchange, call):
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()


@pytest.fixture
async def exchange():
    """One member in a conference whose events are told; none of them is answered yet."""
    exchange = Exchange()
    await exchange.dial_in(join(**EVENTS))
    return exchange


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO)
    return lambda name: [record for record in caplog.records if record.message == name]


# Where documents come from


@pytest.mark.parametrize("kind", ["conferenceCreated", "conferenceMemberJoin", "conferenceMemberExit"])
async def test_the_answer_to_an_event_is_heard_in_the_room(exchange, kind):
    await hang_up(exchange, await exchange.dial_in(join()))
    await exchange.courier.answer(kind, says("Hello."))
    (playback,) = exchange.media.playbacks
    assert heard(exchange) == ["Hello."]
    assert playback.target == exchange.media.of("seat")[0][1], "the room, not a leg"


async def test_relative_urls_are_relative_to_the_url_that_answered(exchange):
    order = Redirect(Callback(url="http://other.test/a/redirect"))
    await exchange.switchboard.redirect_conference(the_conference(exchange), order)
    await exchange.courier.answer("conferenceRedirect", plays("here.wav"))
    await exchange.courier.answer("conferenceCreated", plays("there.wav"))
    await exchange.finish_prompt()
    assert heard(exchange) == ["http://other.test/a/here.wav", "http://app.test/events/there.wav"]


async def test_a_redirect_is_answered_in_a_conference_without_event_url():
    exchange = Exchange()
    await exchange.dial_in(join())
    order = Redirect(Callback(url="http://app.test/redirect"))
    await exchange.switchboard.redirect_conference(the_conference(exchange), order)
    await exchange.courier.answer("conferenceRedirect", says("Hello."))
    assert heard(exchange) == ["Hello."]


@pytest.mark.parametrize("nothing", ["", " \r\n", "<Response/>"])
async def test_an_empty_answer_is_nothing_to_do(exchange, logged, nothing):
    await exchange.courier.answer("conferenceCreated", nothing)
    await exchange.courier.answer("conferenceMemberJoin", says("Hello."))
    assert heard(exchange) == ["Hello."] and logged("conference_document_refused") == []


async def test_the_completed_events_answer_is_not_wanted(exchange):
    await exchange.switchboard.complete_conference(the_conference(exchange))
    assert "conferenceCompleted" not in [event["eventType"] for _, event, _ in exchange.courier.unanswered]
    assert "conferenceCompleted" in exchange.courier.kinds()


async def test_the_answer_to_the_last_exit_is_dropped(exchange):
    (call,) = exchange.switchboard.live_calls
    await hang_up(exchange, call)
    await exchange.courier.answer("conferenceMemberExit", says("Is anybody there?"))
    assert exchange.media.playbacks == []


async def test_an_old_conferences_answer_is_not_heard_in_the_next_of_that_name(exchange):
    (call,) = exchange.switchboard.live_calls
    await hang_up(exchange, call)
    await exchange.dial_in(join(**EVENTS))
    await exchange.courier.answer("conferenceMemberJoin", says("From the first."))
    assert exchange.media.playbacks == []


# The queue


async def test_documents_are_heard_in_the_order_of_their_arrival_one_at_a_time(exchange):
    await exchange.dial_in(join())
    await exchange.courier.answer("conferenceMemberJoin", says("one", "two"))
    await exchange.courier.answer("conferenceMemberJoin", says("three"))
    await exchange.courier.answer("conferenceCreated", says("four"))
    for number in range(1, 5):
        assert len(exchange.media.playbacks) == number and len(sounding(exchange)) == 1
        await exchange.finish_prompt()
    assert heard(exchange) == ["one", "two", "three", "four"]


async def test_a_queue_that_ran_empty_goes_on(exchange):
    await exchange.courier.answer("conferenceCreated", says("one"))
    await exchange.finish_prompt()
    await exchange.courier.answer("conferenceMemberJoin", says("two"))
    assert heard(exchange) == ["one", "two"]


async def test_a_redirect_waits_for_what_plays(exchange):
    await exchange.courier.answer("conferenceCreated", says("long"))
    order = Redirect(Callback(url="http://app.test/redirect"))
    await exchange.switchboard.redirect_conference(the_conference(exchange), order)
    await exchange.courier.answer("conferenceRedirect", says("next"))
    assert heard(exchange) == ["long"] and len(sounding(exchange)) == 1
    await exchange.finish_prompt()
    assert heard(exchange) == ["long", "next"]


async def test_a_sound_that_is_long_to_come_holds_up_those_after_it_and_keeps_the_order(exchange):
    arrived = asyncio.get_running_loop().create_future()

    async def fetch(url, *, username, password):
        return await arrived

    exchange.speech.fetch = fetch
    await exchange.courier.answer("conferenceCreated", plays("/slow.wav"))
    await exchange.courier.answer("conferenceMemberJoin", says("quick"))
    assert exchange.media.playbacks == []
    arrived.set_result(Prompt(samples=b"slowslow", rate=8000, name="slow"))
    await settle()
    await exchange.finish_prompt()
    assert heard(exchange) == ["slow", "quick"]


async def test_a_flood_of_answers_is_bounded_and_said(exchange, logged):
    _, _, answered = exchange.courier.unanswered[0]
    for _ in range(150):
        answered(Answer(says("again").encode(), "http://app.test/"))
    await settle()
    assert len(logged("conference_document_dropped")) == 50
    for _ in range(100):
        await exchange.finish_prompt()
    assert len(exchange.media.playbacks) == 100


# PUT


async def test_put_stops_what_plays_and_drops_what_waits(exchange):
    await exchange.courier.answer("conferenceCreated", says("playing", "rest"))
    await exchange.courier.answer("conferenceMemberJoin", says("waiting"))
    await put(exchange, says("new"))
    assert heard(exchange) == ["playing", "new"]
    assert exchange.media.playbacks[0].stopped and len(sounding(exchange)) == 1
    await exchange.finish_prompt()
    assert heard(exchange) == ["playing", "new"]


async def test_puts_in_one_breath_leave_the_last(exchange):
    await exchange.courier.answer("conferenceCreated", says("playing"))
    conference = the_conference(exchange)
    for text in ("one", "two", "three"):
        await exchange.switchboard.replace_conference_bxml(conference, says(text).encode())
    await settle()
    assert heard(exchange) == ["playing", "three"] and len(sounding(exchange)) == 1


async def test_a_new_document_waits_until_the_old_one_is_silent(exchange):
    """Even where silencing takes its time, never two at a time."""
    silenced = asyncio.get_running_loop().create_future()

    async def speak(markup, *, voice, gender, locale):
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await silenced

    spoken = exchange.speech.speak
    exchange.speech.speak = speak
    await exchange.courier.answer("conferenceCreated", says("old"))
    exchange.speech.speak = spoken
    await put(exchange, says("new"))
    await put(exchange, says("newer"))
    assert exchange.media.playbacks == []
    silenced.set_result(None)
    await settle()
    assert heard(exchange) == ["newer"]


async def test_an_empty_document_by_put_is_silence(exchange):
    await exchange.courier.answer("conferenceCreated", says("playing"))
    await put(exchange, "<Bxml/>")
    assert sounding(exchange) == []


async def test_relative_urls_of_a_put_are_relative_to_the_event_url(exchange):
    await put(exchange, plays("bell.wav"))
    assert heard(exchange) == ["http://app.test/events/bell.wav"]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("hello", "line 1"),
        ("<Response><Gather/></Response>", "<Gather> is not legal in a conference document"),
        ("<Response><SpeakSentence/></Response>", "<SpeakSentence> text"),
        ("<Response><PlayAudio>ftp://h/x.wav</PlayAudio></Response>", "<PlayAudio> text"),
    ],
)
async def test_a_bad_put_names_the_place_and_changes_nothing(exchange, document, place):
    await exchange.courier.answer("conferenceCreated", says("playing"))
    await exchange.courier.answer("conferenceMemberJoin", says("waiting"))
    with pytest.raises(Invalid, match=place):
        await put(exchange, document)
    assert len(sounding(exchange)) == 1
    await exchange.finish_prompt()
    assert heard(exchange) == ["playing", "waiting"]


async def test_a_put_without_any_url_to_be_relative_to_is_refused():
    exchange = Exchange()
    await exchange.dial_in(join())
    with pytest.raises(Invalid, match="has no URL of its own"):
        await put(exchange, plays("bell.wav"))


async def test_a_put_to_an_ended_conference_is_not_found_whatever_it_holds(exchange):
    conference = the_conference(exchange)
    await exchange.switchboard.complete_conference(conference)
    for document in (says("late"), "hello"):
        with pytest.raises(NotFound):
            await put(exchange, document)


# What is refused and what is skipped


@pytest.mark.parametrize(
    "document",
    [
        "<Response><SpeakSentence>one</SpeakSentence><Gather/></Response>",
        "<Response><Hangup/></Response>",
        "<Response><SpeakSentence>unclosed</Response>",
        "not xml",
        "<Response><SpeakSentence>one</SpeakSentence><Nonsense/></Response>",
        "<!DOCTYPE a><Response/>",
        "<Response>" + " " * 70_000 + "</Response>",
    ],
)
async def test_a_bad_answer_is_refused_whole_and_the_conference_lives_on(exchange, logged, document):
    await exchange.courier.answer("conferenceCreated", document)
    assert exchange.media.playbacks == []
    (record,) = logged("conference_document_refused")
    assert record.conference_id == the_conference(exchange).id and record.event_type == "conferenceCreated"
    await exchange.courier.answer("conferenceMemberJoin", says("alive"))
    assert heard(exchange) == ["alive"] and len(the_conference(exchange).members) == 1


async def test_a_broken_sound_is_skipped_and_the_sentence_after_it_is_heard(exchange, logged):
    async def fetch(url, *, username, password):
        raise AudioError("answered 404")

    exchange.speech.fetch = fetch
    await exchange.courier.answer(
        "conferenceCreated",
        "<Response><PlayAudio>/gone.wav</PlayAudio><SpeakSentence>heard</SpeakSentence></Response>",
    )
    assert heard(exchange) == ["heard"]
    (record,) = logged("conference_verb_skipped")
    assert record.reason == "PlayAudio: answered 404"


async def test_a_sentence_that_cannot_be_spoken_is_skipped(exchange, logged):
    async def speak(markup, *, voice, gender, locale):
        raise SpeechError("no such voice")

    exchange.speech.speak = speak
    await exchange.courier.answer(
        "conferenceCreated",
        "<Response><SpeakSentence>mute</SpeakSentence><PlayAudio>http://h/x.wav</PlayAudio></Response>",
    )
    assert heard(exchange) == ["http://h/x.wav"] and len(logged("conference_verb_skipped")) == 1


async def test_the_recording_verbs_are_legal_and_a_recording_that_cannot_begin_is_skipped(exchange, logged):
    await exchange.courier.answer(
        "conferenceCreated",
        "<Response><StartRecording/><PauseRecording/><SpeakSentence>heard</SpeakSentence>"
        "<ResumeRecording/><StopRecording/></Response>",
    )
    await exchange.finish_prompt()
    assert heard(exchange) == ["heard"]
    assert [record.reason for record in logged("conference_verb_skipped")] == [
        "<StartRecording> is not supported"
    ]


async def test_an_error_of_ours_is_loud_and_costs_one_verb(exchange, logged):
    async def speak(markup, *, voice, gender, locale):
        raise ZeroDivisionError

    exchange.speech.speak = speak
    await exchange.courier.answer("conferenceCreated", says("one"))
    await put(exchange, plays("http://h/x.wav"))
    assert heard(exchange) == ["http://h/x.wav"]
    (record,) = logged("conference_broken")
    assert record.levelno == logging.ERROR and record.exc_info


async def test_unknown_attributes_are_logged_with_the_conference(exchange, logged):
    await exchange.courier.answer(
        "conferenceCreated", '<Response><SpeakSentence loop="3">x</SpeakSentence></Response>'
    )
    (record,) = logged("bxml_warning")
    assert record.conference_id == the_conference(exchange).id and "loop" in record.warning


# The end


async def test_the_end_by_rest_stops_what_plays_and_drops_what_waits(exchange):
    await exchange.courier.answer("conferenceCreated", says("playing", "rest"))
    await exchange.courier.answer("conferenceMemberJoin", says("waiting"))
    await exchange.switchboard.complete_conference(the_conference(exchange))
    await settle()
    assert heard(exchange) == ["playing"] and exchange.media.playbacks[0].stopped


async def test_the_last_to_leave_stops_what_plays_and_drops_what_waits(exchange):
    await exchange.courier.answer("conferenceCreated", says("playing", "rest"))
    (call,) = exchange.switchboard.live_calls
    await hang_up(exchange, call)
    assert heard(exchange) == ["playing"] and exchange.media.playbacks[0].stopped


async def test_a_lost_sound_is_skipped_while_the_conference_lives_and_silent_when_it_ends(exchange, logged):
    await exchange.courier.answer("conferenceCreated", says("one", "two"))
    exchange.media.playbacks[0].done.set_exception(PlaybackLost("the media process was lost"))
    await settle()
    assert heard(exchange) == ["one", "two"] and len(logged("conference_verb_skipped")) == 1
    # The room ends and takes its sound along in one step, as it does in media.
    exchange.media.playbacks[1].done.set_exception(PlaybackLost("its room has ended"))
    await exchange.switchboard.complete_conference(the_conference(exchange))
    await settle()
    assert len(logged("conference_verb_skipped")) == 1


async def test_nobody_waits_for_an_answer_to_join(exchange):
    second = await exchange.dial_in(join())
    assert len(exchange.media.of("seat")) == 2 and second.membership is not None
    assert len(exchange.courier.unanswered) == 3
