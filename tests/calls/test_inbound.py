"""An inbound call: what answers it, what it hears when, and how each way of failing ends it."""

import asyncio

import pytest

from calls.application import Application
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, DeliveryFailed, Exchange, join, settle

SPEAK = "<SpeakSentence>Joining the conference now.</SpeakSentence>"


async def test_initiate_asks_for_the_first_document_with_the_callers_facts():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    callback, event = exchange.courier.asked[0]
    assert callback.url == "http://app.test/initiate"
    assert event["eventType"] == "initiate"
    assert (event["from"], event["to"]) == ("+19195550001", "sip:room@127.0.0.1")
    assert event["callId"] == call.id and len(call.id) == 47
    assert event["callUrl"] == f"http://server.test/api/v2/accounts/{ACCOUNT}/calls/{call.id}"
    assert event["direction"] == "inbound" and event["sipCallId"] == "sip-call-1"
    assert event["startTime"].endswith("Z") and "answerTime" not in event and "tag" not in event


async def test_nothing_is_played_before_the_ack():
    exchange = Exchange()
    exchange.answer_with(join(before=SPEAK))
    session = exchange.ring()
    await settle()
    assert exchange.sip.verbs() == ["answer"]
    assert exchange.media.playbacks == []
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    assert len(exchange.media.playbacks) == 1


async def test_a_document_put_between_the_answer_and_the_ack_waits_for_the_ack_too():
    exchange = Exchange()
    exchange.answer_with("<Response><Pause/></Response>")
    session = exchange.ring()
    await settle()
    (call,) = exchange.switchboard.live_calls
    await exchange.switchboard.replace_bxml(call, f"<Response>{SPEAK}</Response>".encode())
    await settle()
    assert exchange.media.playbacks == []
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    assert len(exchange.media.playbacks) == 1


async def test_bytes_that_are_no_text_reach_events_and_rest_as_marks():
    exchange = Exchange()
    call = await exchange.dial_in(join(), called="sip:r\udcef@127.0.0.1", caller="sip:\udcff@x.test")
    for text in (call.to, call.from_):
        assert text.encode() and "\ufffd" in text


async def test_media_flows_from_the_answer_on():
    exchange = Exchange()
    exchange.answer_with(join())
    exchange.ring()
    await settle()
    (_leg, media) = exchange.media.of("connect")[0]
    assert media.remote == ("127.0.0.1", 40000) and media.format.codec == "PCMU" and media.sends


@pytest.mark.parametrize("early", [False, True])
async def test_media_lets_a_caller_in_before_he_is_told_where_to_send(early):
    exchange, known = Exchange(), []

    def told(_session, _sdp):
        known.append([verb for verb, *_ in exchange.media.done][-2:])

    exchange.sip.answer = exchange.sip.progress = told
    exchange.answer_with('<Response><Ring answerCall="false"/><Pause/></Response>' if early else join())
    exchange.ring()
    await settle()
    assert known == [["connect", "commit"]]


async def test_a_re_invite_is_answered_when_media_knows_what_it_brings():
    exchange, known = Exchange(), []
    call = await exchange.dial_in(join())
    exchange.sip.accept_media = lambda session, sdp: known.append(exchange.media.done[-1])
    exchange.switchboard.on_sip(sip_events.MediaOffered(call.session, OFFER))
    assert known == [("commit",)]


async def test_the_next_verb_waits_for_the_end_of_the_prompt():
    exchange = Exchange()
    call = await exchange.dial_in(join(before=SPEAK))
    assert exchange.media.of("seat") == []
    await exchange.finish_prompt()
    assert len(exchange.media.of("seat")) == 1
    assert call.state == "answered"


@pytest.mark.parametrize(("written", "seconds"), [("", 1.0), ("duration='7.5'", 7.5)])
async def test_a_pause_is_as_long_as_the_document_says(hand, written, seconds):
    exchange = Exchange()
    call = await exchange.dial_in(f"<Response><Pause {written}/></Response>")
    await hand.on(seconds - 0.5)
    assert call.live
    await hand.on(0.6)
    assert call.disconnect_cause == "hangup"


async def test_the_end_of_a_document_hangs_up():
    exchange = Exchange()
    call = await exchange.dial_in(f"<Response>{SPEAK}</Response>")
    assert call.live
    await exchange.finish_prompt()
    assert exchange.sip.verbs() == ["answer", "hang_up"]
    assert exchange.courier.event("disconnect")["cause"] == "hangup"
    assert exchange.media.open == set()


async def test_an_empty_document_rejects_an_unanswered_call():
    exchange = Exchange()
    exchange.answer_with("<Response/>")
    exchange.ring()
    await settle()
    (verb, (_, status, _), _) = exchange.sip.done[0]
    assert (verb, status) == ("reject", 603)
    assert exchange.courier.event("disconnect")["cause"] == "hangup"


async def test_no_application_is_a_404():
    exchange = Exchange(applications=[Application(id=APPLICATION, account=ACCOUNT, numbers=("room-*",))])
    exchange.ring(called="sip:elsewhere@127.0.0.1")
    (verb, (_, status, _), _) = exchange.sip.done[0]
    assert (verb, status) == ("reject", 404)
    assert exchange.switchboard.live_calls == []


async def test_no_codec_in_common_is_a_488():
    exchange = Exchange()
    exchange.ring(sdp=OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 18"))
    (verb, (_, status, _), _) = exchange.sip.done[0]
    assert (verb, status) == ("reject", 488)


async def test_an_offer_that_refuses_its_only_audio_line_is_a_488():
    exchange = Exchange()
    exchange.ring(sdp=OFFER.replace(b"m=audio 40000", b"m=audio 0"))
    (verb, (_, status, _), _) = exchange.sip.done[0]
    assert (verb, status) == ("reject", 488)


async def test_the_built_in_document_joins_the_called_name():
    exchange = Exchange(applications=[Application(id=APPLICATION, account=ACCOUNT, numbers=("*",))])
    session = exchange.ring(called="sip:my%20room@127.0.0.1")
    await settle()
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    assert exchange.media.playbacks[0].samples.startswith(b"Joining the conference now.")
    await exchange.finish_prompt()
    (conference,) = exchange.switchboard.conferences(ACCOUNT)
    assert conference.name == "my_room"


async def failing(answer):
    exchange = Exchange()
    exchange.courier.answers["initiate"] = answer
    exchange.ring()
    call = exchange.switchboard.live_calls[0]
    await settle()
    return exchange, call


async def test_a_webhook_that_cannot_be_reached_is_a_callback_error():
    exchange, call = await failing(DeliveryFailed("http://app.test/initiate answered 500"))
    disconnect = exchange.courier.event("disconnect")
    assert disconnect["cause"] == "callback-error" and "500" in disconnect["errorMessage"]
    assert len(disconnect["errorId"]) == 36
    assert exchange.sip.done[0][1][1] == 480
    assert not call.live


async def test_a_bad_document_is_invalid_bxml_with_the_place_named():
    exchange, _ = await failing(b"<Response><Say>hello</Say></Response>")
    disconnect = exchange.courier.event("disconnect")
    assert disconnect["cause"] == "invalid-bxml" and "Say" in disconnect["errorMessage"]


async def test_a_verb_that_is_not_performed_is_named():
    exchange, _ = await failing(b"<Response><Connect><Endpoint>e-1</Endpoint></Connect></Response>")
    disconnect = exchange.courier.event("disconnect")
    assert disconnect["cause"] == "application-error" and "Connect" in disconnect["errorMessage"]


async def test_no_port_left_is_a_503():
    exchange = Exchange()
    exchange.media.full = True
    exchange.answer_with(join())
    exchange.ring()
    await settle()
    assert exchange.sip.done[0][1][1] == 503
    assert exchange.courier.event("disconnect")["cause"] == "node-capacity-exceeded"


async def test_a_caller_who_gives_up_before_the_answer_is_a_cancel():
    exchange = Exchange()
    exchange.courier.answers["initiate"] = asyncio.get_running_loop().create_future()
    session = exchange.ring()
    await settle()
    exchange.switchboard.on_sip(sip_events.CallCancelled(session, "CANCEL"))
    await settle()
    assert exchange.sip.done == []
    assert exchange.courier.event("disconnect")["cause"] == "cancel"


async def test_a_caller_who_hangs_up_in_a_prompt_ends_everything():
    exchange = Exchange()
    call = await exchange.dial_in(join(before=SPEAK))
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()
    assert exchange.media.playbacks[0].stopped
    assert exchange.sip.verbs() == ["answer"]
    assert exchange.courier.event("disconnect")["cause"] == "hangup"
    assert exchange.switchboard.live_calls == [] and exchange.media.open == set()


async def test_redirect_brings_the_next_document_and_drops_the_rest():
    exchange = Exchange()
    exchange.answer_with(join("second"), "redirect")
    await exchange.dial_in('<Response><Redirect redirectUrl="/next" tag="t"/><Pause/></Response>')
    callback, event = exchange.courier.asked[1]
    assert callback.url == "http://app.test/next"
    assert event["eventType"] == "redirect" and event["tag"] == "t"
    assert exchange.switchboard.conferences(ACCOUNT)[0].name == "second"


async def test_tags_are_carried_until_cleared():
    exchange = Exchange()
    exchange.answer_with(join(before='<Gather gatherUrl="/g" maxDigits="1"/>'), "redirect")
    exchange.answer_with(join(before="<Tag/>"), "gather")
    call = await exchange.dial_in('<Response><Tag>one</Tag><Redirect redirectUrl="/a"/></Response>')
    assert call.tag == "one"
    call.keypad.press("1", "rtp", 0.0)
    await settle()
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    told = [event for _, event in (*exchange.courier.asked, *exchange.courier.told)]
    assert [(event["eventType"], event.get("tag")) for event in told] == [
        ("initiate", None),
        ("redirect", "one"),
        ("gather", "one"),
        ("disconnect", None),
    ]


async def test_a_late_offer_is_answered_by_an_offer_and_connected_by_the_ack():
    exchange = Exchange()
    exchange.answer_with(join())
    session = exchange.ring(sdp=None)
    await settle()
    assert b"m=audio" in exchange.sip.last("answer")[1][1]
    assert exchange.media.of("connect") == []
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, OFFER))
    await settle()
    assert len(exchange.media.of("connect")) == 1


async def test_a_re_invite_is_answered_and_takes_hold():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    held = OFFER + b"a=sendonly\r\n"
    exchange.switchboard.on_sip(sip_events.MediaOffered(call.session, held))
    (_verb, (_, answer), _) = exchange.sip.last("accept_media")
    assert b"a=recvonly" in answer
    assert exchange.media.of("update")[0][1].sends is False


async def test_a_re_invite_without_a_codec_of_ours_changes_nothing():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    exchange.switchboard.on_sip(
        sip_events.MediaOffered(call.session, OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 18"))
    )
    assert exchange.sip.last("refuse_media")[1][1] == 488
    assert exchange.media.of("update") == [] and call.live
    first = exchange.sip.last("answer")[1][1]
    exchange.switchboard.on_sip(sip_events.MediaOffered(call.session, OFFER))
    versions = [
        int(sdp.split(b"o=")[1].split()[2]) for sdp in (first, exchange.sip.last("accept_media")[1][1])
    ]
    assert versions[1] == versions[0] + 1, "what was refused has no version of its own"
