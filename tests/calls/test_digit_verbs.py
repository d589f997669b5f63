"""Gather, StartGather, StopGather and Ring in calls: prompts, webhooks, and whose a key is."""

import asyncio

import pytest

from media import tones
from media.client import DigitReceived, PlaybackLost
from sip import events as sip_events
from tests.support.eventually import PATIENCE
from tests.support.exchange import OFFER, DeliveryFailed, Exchange, join, settle

PROMPT = "<SpeakSentence>Your PIN, please.</SpeakSentence>"
MORE = "<SpeakSentence>More</SpeakSentence>"


def gather(inside=PROMPT, after=MORE, before="", **attributes):
    """A document with one Gather and a sentence after it."""
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<Response>{before}<Gather{written}>{inside}</Gather>{after}</Response>"


async def press(exchange, call, keys, source="rtp"):
    for key in keys:
        if source == "rtp":
            exchange.switchboard.on_media(DigitReceived(call.leg.id, key, 100))
        else:
            exchange.switchboard.on_sip(sip_events.DigitReceived(call.session, key, 100))
        await settle()


def said(exchange):
    """The sentences that were begun, and whether each was silenced."""
    playbacks = exchange.media.playbacks
    return [(p.samples[: len(p.samples) // 2].decode("latin-1"), p.stopped) for p in playbacks]


def gathered(exchange):
    """(URL, digits, terminating digit) of each gather event."""
    return [
        (callback.url, event["digits"], event["terminatingDigit"])
        for callback, event in exchange.courier.asked
        if event["eventType"] == "gather"
    ]


async def test_digits_go_to_the_gather_url_and_its_answer_is_the_next_document():
    exchange = Exchange()
    exchange.answer_with(join("standup"), "gather")
    call = await exchange.dial_in(
        gather(gatherUrl="/pin", terminatingDigits="#", tag="pin", username="u", password="p")
    )
    await exchange.finish_prompt()
    await press(exchange, call, "42#")
    callback, event = exchange.courier.asked[-1]
    assert (callback.url, callback.method) == ("http://app.test/pin", "POST")
    assert (callback.username, callback.password) == ("u", "p")
    assert (event["digits"], event["terminatingDigit"], event["tag"]) == ("42", "#", "pin")
    assert event["callId"] == call.id and "answerTime" in event
    assert call.membership is not None and call.membership[0].name == "standup"
    assert said(exchange) == [("Your PIN, please.", False)], "the verb after the Gather never runs"


@pytest.mark.parametrize(("given", "waited"), [({}, 5.0), ({"interDigitTimeout": "2.5"}, 2.5)])
async def test_the_next_digit_is_waited_for_as_long_as_the_document_says(hand, given, waited):
    exchange = Exchange()
    call = await exchange.dial_in(gather(inside="", gatherUrl="/pin", firstDigitTimeout="60", **given))
    await press(exchange, call, "4")
    await hand.on(waited - 0.5)
    await press(exchange, call, "2")
    await hand.on(waited - 0.5)
    assert gathered(exchange) == []
    await hand.on(0.6)
    assert gathered(exchange) == [("http://app.test/pin", "42", "")]


@pytest.mark.parametrize(("given", "waited"), [({}, 5.0), ({"firstDigitTimeout": "7.5"}, 7.5)])
async def test_the_first_digit_is_waited_for_as_long_as_the_document_says(hand, given, waited):
    exchange = Exchange()
    await exchange.dial_in(gather(inside="", gatherUrl="/pin", **given))
    await hand.on(waited - 0.5)
    assert gathered(exchange) == []
    await hand.on(0.6)
    assert gathered(exchange) == [("http://app.test/pin", "", "")]


async def test_all_of_the_gathers_addresses_are_used():
    exchange = Exchange()
    call = await exchange.dial_in(
        gather(
            gatherUrl="/a",
            gatherMethod="GET",
            gatherFallbackUrl="/b",
            gatherFallbackMethod="GET",
            fallbackUsername="u",
            fallbackPassword="p",
            maxDigits=1,
        )
    )
    await press(exchange, call, "1")
    callback, _ = exchange.courier.asked[-1]
    assert (callback.method, callback.fallback_url) == ("GET", "http://app.test/b")
    assert (callback.fallback_method, callback.fallback_username) == ("GET", "u")
    assert callback.fallback_password == "p"


async def test_without_a_url_the_digits_are_thrown_away_and_the_next_verb_runs():
    exchange = Exchange()
    call = await exchange.dial_in(gather(maxDigits=2))
    await press(exchange, call, "12")
    assert gathered(exchange) == []
    assert said(exchange) == [("Your PIN, please.", True), ("More", False)]


async def test_the_first_key_silences_the_prompt_and_the_later_prompts():
    exchange = Exchange()
    call = await exchange.dial_in(gather(PROMPT + MORE, gatherUrl="/pin"))
    await press(exchange, call, "1")
    assert said(exchange) == [("Your PIN, please.", True)]
    assert gathered(exchange) == [], "more digits may come"


async def test_prompts_are_heard_one_after_another():
    exchange = Exchange()
    sound = "<PlayAudio>http://app.test/beep.wav</PlayAudio>"
    await exchange.dial_in(gather(PROMPT + sound, gatherUrl="/pin", firstDigitTimeout=0))
    assert [text for text, _ in said(exchange)] == ["Your PIN, please."]
    await exchange.finish_prompt()
    assert [text for text, _ in said(exchange)] == ["Your PIN, please.", "http://app.test/beep.wav"]
    assert gathered(exchange) == []
    await exchange.finish_prompt()
    assert gathered(exchange) == [("http://app.test/pin", "", "")]


async def test_prompts_are_repeated_as_often_as_asked():
    exchange = Exchange()
    await exchange.dial_in(gather(gatherUrl="/pin", firstDigitTimeout=0, repeatCount=3))
    for hearing in (1, 2, 3):
        assert len(exchange.media.playbacks) == hearing
        assert gathered(exchange) == []
        await exchange.finish_prompt()
    assert gathered(exchange) == [("http://app.test/pin", "", "")]


async def test_repeating_no_prompt_is_one_wait():
    exchange = Exchange()
    await exchange.dial_in(gather("", gatherUrl="/pin", firstDigitTimeout=0, repeatCount=1000000))
    assert gathered(exchange) == [("http://app.test/pin", "", "")]


async def test_keys_before_the_gather_count():
    exchange = Exchange()
    call = await exchange.dial_in(gather(before=MORE, gatherUrl="/pin", maxDigits=3))
    await press(exchange, call, "12")
    assert said(exchange) == [("More", False)], "a sentence outside of a Gather is heard to its end"
    await exchange.finish_prompt()
    assert said(exchange) == [("More", False)], "the prompt is not even begun"
    await press(exchange, call, "3")
    assert gathered(exchange) == [("http://app.test/pin", "123", "")]


async def test_keys_while_the_webhook_is_asked_are_for_the_next_gather():
    exchange = Exchange()
    answer = exchange.courier.answers["gather"] = asyncio.get_running_loop().create_future()
    call = await exchange.dial_in(gather(gatherUrl="/menu", maxDigits=1))
    await press(exchange, call, "1")
    await press(exchange, call, "42")
    exchange.answer_with("<Response/>", "gather")
    answer.set_result(gather(gatherUrl="/pin", maxDigits=2).encode())
    await settle()
    assert [digits for _, digits, _ in gathered(exchange)] == ["1", "42"]


async def test_keys_pressed_in_a_conference_are_not_for_the_gather_after_it():
    exchange = Exchange()
    call = await exchange.dial_in(join("room", after='<Gather gatherUrl="/pin" maxDigits="2"/>'))
    await press(exchange, call, "99")
    await exchange.switchboard.complete_conference(call.membership[0])
    await settle()
    await press(exchange, call, "12")
    assert gathered(exchange) == [("http://app.test/pin", "12", "")]


async def test_keys_by_info_count_as_those_by_rtp_and_both_ways_once():
    exchange = Exchange()
    call = await exchange.dial_in(gather(gatherUrl="/pin", maxDigits=4))
    await press(exchange, call, "1", "info")
    await press(exchange, call, "2", "rtp")
    await press(exchange, call, "2", "info")
    await press(exchange, call, "3", "info")
    await press(exchange, call, "3", "rtp")
    await press(exchange, call, "4", "info")
    assert gathered(exchange) == [("http://app.test/pin", "1234", "")]


async def test_a_prompt_that_cannot_be_had_ends_the_call_as_outside_of_a_gather():
    exchange = Exchange()

    async def fetch(url, *, username, password):
        from speech.errors import AudioError

        raise AudioError("not found")

    exchange.speech.fetch = fetch
    await exchange.dial_in(gather("<PlayAudio>/a.wav</PlayAudio>", gatherUrl="/pin"))
    disconnect = exchange.courier.event("disconnect")
    assert disconnect["cause"] == "application-error" and "PlayAudio" in disconnect["errorMessage"]


async def test_speech_input_is_refused_and_both_kinds_mean_digits(caplog):
    exchange = Exchange()
    await exchange.dial_in(gather(gatherUrl="/pin", input="speech"))
    disconnect = exchange.courier.event("disconnect")
    assert disconnect["cause"] == "application-error" and "speech" in disconnect["errorMessage"]
    call = await exchange.dial_in(gather(gatherUrl="/pin", input="dtmf_speech", maxDigits=1))
    await press(exchange, call, "1")
    assert gathered(exchange) == [("http://app.test/pin", "1", "")]
    assert "gather_without_speech" in caplog.text


async def test_replacing_the_document_ends_the_gather_and_its_prompt():
    exchange = Exchange()
    call = await exchange.dial_in(gather(gatherUrl="/pin"))
    await exchange.switchboard.replace_bxml(call, join("room").encode())
    await settle()
    assert said(exchange) == [("Your PIN, please.", True)]
    await press(exchange, call, "1234#")
    assert gathered(exchange) == [] and call.membership is not None


async def test_hanging_up_in_a_gather_leaves_nothing_behind():
    exchange = Exchange()
    call = await exchange.dial_in(gather(gatherUrl="/pin"))
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()
    assert said(exchange) == [("Your PIN, please.", True)] and gathered(exchange) == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    exchange.switchboard.on_media(DigitReceived(1, "5", 100))  # one that was on its way


async def test_digits_are_in_no_log(caplog):
    caplog.set_level("DEBUG")
    exchange = Exchange()
    call = await exchange.dial_in(gather(gatherUrl="/pin", terminatingDigits="#", input="dtmf_speech"))
    with caplog.at_level("DEBUG"):
        await press(exchange, call, "9876543#")
    assert gathered(exchange) == [("http://app.test/pin", "9876543", "#")]
    for record in caplog.records:
        assert "9876543" not in f"{record.getMessage()} {vars(record)}"


async def test_digits_are_in_no_log_when_their_webhook_fails(caplog):
    caplog.set_level("DEBUG")
    exchange = Exchange()
    exchange.courier.answers["gather"] = DeliveryFailed("POST http://app.test/pin: answered 500")
    call = await exchange.dial_in(gather(gatherUrl="/pin", terminatingDigits="#"))
    await press(exchange, call, "9876543#")
    assert call.disconnect_cause == "callback-error"
    for record in caplog.records:
        assert "9876543" not in f"{record.getMessage()} {vars(record)}"


# StartGather and StopGather


def keys_told(exchange):
    """(URL, digit) of each dtmf event."""
    return [(c.url, e["digit"]) for c, e in exchange.courier.told if e["eventType"] == "dtmf"]


@pytest.mark.parametrize("attributes", [{}, {"mute": "true"}, {"hold": "true"}], ids=str)
async def test_each_key_in_a_conference_is_told_to_whom_start_gather_names(attributes):
    exchange = Exchange()
    start = '<StartGather dtmfUrl="/keys" dtmfMethod="GET" username="u" password="p" tag="t"/>'
    call = await exchange.dial_in(join("room", before=start, **attributes))
    await press(exchange, call, "1#", "rtp")
    await press(exchange, call, "A", "info")
    assert keys_told(exchange) == [("http://app.test/keys", key) for key in "1#A"]
    callback, event = exchange.courier.told[-1]
    assert (callback.method, callback.username, callback.password) == ("GET", "u", "p")
    assert event["callId"] == call.id and event["tag"] == "t" and event["direction"] == "inbound"


async def test_a_gather_takes_its_keys_for_itself():
    exchange = Exchange()
    start = '<StartGather dtmfUrl="/keys"/>'
    call = await exchange.dial_in(gather(before=start, gatherUrl="/pin", maxDigits=2, after=""))
    exchange.answer_with("<Response><Pause duration='60'/></Response>", "gather")
    await press(exchange, call, "123")
    assert gathered(exchange) == [("http://app.test/pin", "12", "")]
    assert keys_told(exchange) == [("http://app.test/keys", "3")]


async def test_a_second_start_gather_replaces_the_first_and_stop_gather_ends_it():
    exchange = Exchange()
    one, two = ('<StartGather dtmfUrl="/one"/>', '<StartGather dtmfUrl="/two"/>')
    call = await exchange.dial_in(f"<Response>{one}{PROMPT}{two}{PROMPT}<StopGather/>{PROMPT}</Response>")
    for key in "123":
        await press(exchange, call, key)
        await exchange.finish_prompt()
    assert keys_told(exchange) == [("http://app.test/one", "1"), ("http://app.test/two", "2")]


async def test_stop_gather_without_a_start_does_nothing():
    exchange = Exchange()
    call = await exchange.dial_in(f"<Response>{PROMPT}<StopGather/>{PROMPT}</Response>")
    await exchange.finish_prompt()
    assert call.live and len(exchange.media.playbacks) == 2


async def test_start_gather_outlives_the_document_that_began_it():
    exchange = Exchange()
    call = await exchange.dial_in(join("room", before='<StartGather dtmfUrl="/keys"/>'))
    await exchange.switchboard.replace_bxml(call, join("other").encode())
    await settle()
    await press(exchange, call, "5")
    assert keys_told(exchange) == [("http://app.test/keys", "5")]


# SendDtmf


async def test_digits_are_sent_as_events_and_the_next_verb_waits_for_their_end():
    exchange = Exchange()
    digits = '<SendDtmf toneDuration="100" toneInterval="250">1,2w#</SendDtmf>'
    call = await exchange.dial_in(f"<Response>{digits}{PROMPT}</Response>")
    assert exchange.media.of("send_digits") == [(call.leg.id, "1,2w#", 100, 250)]
    assert len(exchange.media.playbacks) == 1
    await exchange.finish_prompt()
    assert said(exchange)[-1] == ("Your PIN, please.", False)


async def test_digits_are_heard_as_tones_where_no_events_were_agreed():
    exchange = Exchange()
    await exchange.dial_in(
        f"<Response><SendDtmf>42</SendDtmf>{PROMPT}</Response>", sdp=OFFER.replace(b" 101\r\n", b"\r\n")
    )
    assert exchange.media.of("send_digits") == []
    assert exchange.media.playbacks[0].samples == tones.keys("42", tone=200, interval=400)


async def test_digits_that_are_being_sent_stop_with_their_document():
    exchange = Exchange()
    call = await exchange.dial_in("<Response><SendDtmf>1</SendDtmf></Response>")
    await exchange.switchboard.replace_bxml(call, join("room").encode())
    await settle()
    assert exchange.media.playbacks[0].stopped


async def test_digits_that_are_lost_end_the_call_as_a_prompt_does():
    exchange = Exchange()
    await exchange.dial_in("<Response><SendDtmf>1</SendDtmf></Response>")
    exchange.media.playbacks[0].done.set_exception(PlaybackLost("the media process was lost"))
    await settle()
    assert exchange.courier.event("disconnect")["cause"] == "application-error"


# Ring


@pytest.mark.parametrize(("given", "rung"), [("", 5.0), ('duration="12.5"', 12.5)])
@pytest.mark.parametrize("answer", ["true", "false"])
async def test_it_rings_for_as_long_as_the_document_says(hand, given, rung, answer):
    exchange = Exchange()
    await exchange.dial_in(f'<Response><Ring {given} answerCall="{answer}"/>{PROMPT}</Response>')
    await hand.on(rung - 0.5)
    assert said(exchange)[1:] == []
    await hand.on(0.6)
    assert said(exchange)[1:] == [("Your PIN, please.", False)]


async def test_ring_answers_first_and_plays_ringback():
    exchange = Exchange()
    call = await exchange.dial_in(f'<Response><Ring duration="0.1"/>{PROMPT}</Response>')
    assert exchange.sip.verbs() == ["answer"] and call.state == "answered"
    (ringing,) = exchange.media.playbacks
    assert ringing.samples == tones.ringback() and ringing.target is call.leg
    await asyncio.wait_for(ringing.done, PATIENCE)
    await settle()
    assert ringing.stopped, "it has rung for long enough"
    assert said(exchange)[-1] == ("Your PIN, please.", False)


async def test_ring_without_answering_is_early_media_for_its_time():
    exchange = Exchange()
    exchange.answer_with('<Response><Ring answerCall="false" duration="0.1"/></Response>')
    session = exchange.ring()
    call = exchange.switchboard.live_calls[0]
    await settle()
    assert exchange.sip.verbs() == ["progress"] and call.state == "initiated"
    (said_to, sdp) = exchange.sip.last("progress")[1]
    assert said_to is session and f"m=audio {call.leg.port} ".encode() in sdp
    (ringing,) = exchange.media.playbacks
    assert ringing.target is call.leg and ringing.samples == tones.ringback()
    await asyncio.wait_for(call.ended.wait(), PATIENCE)
    assert exchange.sip.verbs() == ["progress", "reject"] and exchange.media.open == set()


async def test_the_answer_after_early_media_says_the_same():
    exchange = Exchange()
    exchange.answer_with('<Response><Ring answerCall="false" duration="0.1"/><Pause/></Response>')
    exchange.ring()
    call = exchange.switchboard.live_calls[0]
    await settle()
    await asyncio.wait_for(exchange.media.playbacks[0].done, PATIENCE)
    await settle()
    assert exchange.sip.verbs() == ["progress", "answer"] and call.state == "answered"
    assert exchange.sip.last("answer")[1][1] == exchange.sip.last("progress")[1][1]
    assert exchange.media.open == {call.leg.id}


async def test_ring_for_a_caller_who_wants_our_offer_is_180():
    exchange = Exchange()
    exchange.answer_with('<Response><Ring answerCall="false" duration="0.1"/></Response>')
    exchange.ring(sdp=None)
    call = exchange.switchboard.live_calls[0]
    await settle()
    assert exchange.sip.verbs() == ["ring"] and call.live
    await asyncio.wait_for(call.ended.wait(), PATIENCE)
    assert exchange.sip.verbs() == ["ring", "reject"] and exchange.media.playbacks == []


async def test_ring_without_answering_in_an_answered_call_is_ringback():
    exchange = Exchange()
    await exchange.dial_in('<Response><Ring duration="0.1"/><Ring answerCall="false"/></Response>')
    await asyncio.wait_for(exchange.media.playbacks[0].done, PATIENCE)
    await settle()
    assert [p.samples for p in exchange.media.playbacks] == [tones.ringback()] * 2
    assert exchange.sip.verbs() == ["answer"]
