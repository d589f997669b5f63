"""Transfer: who is rung, who is joined, and what each side is told."""

import pytest

from calls.callbacks import Callback
from sip import events as sip_events
from tests.calls.transferring import SCREEN, URLS, Transferring, phone
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, DeliveryFailed, Trunk, join, settle


async def test_a_destination_rings_as_a_call_of_its_own():
    t = await Transferring().begin()
    (leg,) = t.legs
    assert leg.direction == "outbound" and leg.state == "initiated" and leg.account == t.call.account
    assert leg.id != t.call.id and leg.to == "sip:b@192.0.2.7" and leg.enqueued_time is not None
    assert t.invites[0]["from_uri"] == "sip:+19195550001@127.0.0.1"
    assert t.call.state == "answered" and t.seated() == {}


async def test_the_one_who_answers_is_joined_with_nobody_else_there():
    t = await Transferring().begin()
    await t.answers(t.legs[0])
    assert t.joined(t.legs[0])
    for _, _, mute, hold, coaches, coached_by in t.exchange.media.of("seat"):
        assert (mute, hold, coaches, coached_by) == (False, False, None, [])


async def test_numbers_and_addresses_ring_at_once_up_to_eight():
    trunk = Trunk(name="carrier", host="192.0.2.9", numbers=("+1*",))
    numbers = [f"<PhoneNumber>+1919555010{i}</PhoneNumber>" for i in range(4)]
    t = await Transferring(trunks=[trunk]).begin(*numbers, *(phone(name) for name in "abcd"))
    assert [named["to"] for named in t.invites][::4] == [
        "sip:+19195550100@192.0.2.9",
        "sip:a@192.0.2.7",
    ]
    assert len(t.legs) == 8


async def test_the_first_answer_wins_and_the_others_are_cancelled():
    t = await Transferring().begin(phone("a"), phone("b"), phone("c"))
    first, second, third = t.legs
    await t.answers(second)
    assert t.joined(second)
    assert [leg.disconnect_cause for leg in (first, second, third)] == ["cancel", None, "cancel"]
    assert [event["callId"] for _, event in t.told()] == [first.id, third.id]
    assert {event["cause"] for _, event in t.told()} == {"cancel"}


async def test_of_two_answers_at_once_one_is_joined_and_the_other_hung_up():
    t = await Transferring().begin(phone("a"), phone("b"))
    first, second = t.legs
    t.on(first, sip_events.CallAnswered, OFFER)
    t.on(second, sip_events.CallAnswered, OFFER)
    await settle()
    assert t.joined(first) and not second.live
    assert t.exchange.sip.last("hang_up")[1][0] is second.session
    assert len(t.asked("transferAnswer")) == 1


async def test_transfer_answer_is_asked_for_the_leg_with_the_original_parties():
    t = await Transferring(answer=SCREEN).begin(
        phone("b", f'{URLS} username="u" password="p" tag="leg"'), transferCallerId="+19195550199", tag="a"
    )
    (leg,) = t.legs
    await t.answers(leg)
    ((callback, event),) = t.asked("transferAnswer")
    assert callback.url == "http://app.test/answered" and (callback.username, callback.password) == ("u", "p")
    expected = {
        "callId": leg.id,
        "parentCallId": t.call.id,
        "direction": "outbound",
        "from": "+19195550001",
        "to": "sip:room@127.0.0.1",
        "transferCallerId": "+19195550199",
        "transferTo": "sip:b@192.0.2.7",
        "tag": "leg",
        "accountId": ACCOUNT,
        "applicationId": APPLICATION,
    }
    assert {name: event[name] for name in expected} == expected
    assert {"enqueuedTime", "startTime", "answerTime", "eventTime", "callUrl"} <= event.keys()
    assert "cause" not in event and "endTime" not in event


async def test_the_answer_document_runs_on_the_new_leg_before_the_two_are_joined():
    t = await Transferring(answer=SCREEN).begin()
    (leg,) = t.legs
    await t.answers(leg)
    assert t.exchange.media.playbacks[-1].target is leg.leg and t.seated() == {}
    await t.exchange.finish_prompt()
    assert t.joined(leg)


async def test_without_a_url_the_two_are_joined_at_once():
    t = await Transferring().begin(phone("b", ""))
    await t.answers(t.legs[0])
    assert t.joined(t.legs[0]) and t.asked("transferAnswer") == []
    await t.hangs_up(t.legs[0])
    assert t.told() == [] and t.told("disconnect") == []


@pytest.mark.parametrize(
    "verb",
    [
        "<Conference>x</Conference>",
        "<Bridge>c-1</Bridge>",
        '<Forward to="+19195550100"/>',
        "<Transfer><SipUri>sip:x@y</SipUri></Transfer>",
    ],
)
async def test_what_joins_is_refused_in_an_answer_document_before_anything_of_it_runs(verb):
    document = f"<Response><SpeakSentence>never</SpeakSentence>{verb}</Response>"
    t = await Transferring(answer=document).begin()
    (leg,) = t.legs
    await t.answers(leg)
    assert t.exchange.media.playbacks == []
    assert leg.disconnect_cause == "invalid-bxml" and "is not allowed" in leg.error_message
    ((_, event),) = t.asked("transferComplete")
    assert event["cause"] == "invalid-bxml" and event["errorId"] == leg.error_id
    assert t.call.membership is not None


async def test_what_joins_is_refused_in_documents_that_follow_the_answer_document_too():
    t = Transferring(answer='<Response><Redirect redirectUrl="/next"/></Response>')
    t.exchange.answer_with(join(), "redirect")
    await t.begin()
    await t.answers(t.legs[0])
    assert t.legs[0].disconnect_cause == "invalid-bxml"
    (event,) = [event for _, event in t.asked("redirect")]
    assert event["parentCallId"] == t.call.id and event["transferTo"] == "sip:b@192.0.2.7"


async def test_a_hangup_in_the_answer_document_refuses_the_call():
    t = await Transferring(answer="<Response><Hangup/></Response>").begin()
    await t.answers(t.legs[0])
    assert t.exchange.media.of("seat")[0][0] == t.call.leg.id  # in the conference that follows
    assert t.asked("transferComplete")[0][1]["cause"] == "hangup"


async def test_an_answer_webhook_that_fails_ends_the_leg_and_the_transfer():
    t = Transferring()
    t.exchange.answer_with(DeliveryFailed("500"), "transferAnswer")
    await t.begin()
    await t.answers(t.legs[0])
    assert t.legs[0].disconnect_cause == "callback-error"
    assert t.asked("transferComplete")[0][1]["cause"] == "callback-error"


async def test_when_the_leg_hangs_up_the_call_is_told_and_goes_on():
    t = await Transferring().begin(after="<Hangup/>", tag="a")
    (leg,) = t.legs
    await t.answers(leg)
    await t.hangs_up(leg)
    ((callback, event),) = t.asked("transferComplete")
    assert callback.url == "http://app.test/complete"
    expected = {
        "callId": t.call.id,
        "direction": "inbound",
        "from": "+19195550001",
        "to": "sip:room@127.0.0.1",
        "transferCallerId": "+19195550001",
        "transferTo": "sip:b@192.0.2.7",
        "cause": "hangup",
        "tag": "a",
    }
    assert {name: event[name] for name in expected} == expected
    assert "errorMessage" not in event and "parentCallId" not in event and "endTime" not in event
    assert t.call.membership is not None


async def test_a_leg_that_ends_is_told_as_transfer_disconnect_and_not_as_disconnect():
    t = await Transferring().begin(
        phone("b", f'{URLS} transferDisconnectMethod="GET" username="u" password="p" tag="leg"')
    )
    (leg,) = t.legs
    await t.answers(leg)
    await t.hangs_up(leg)
    ((callback, event),) = t.told()
    assert callback == Callback("http://app.test/gone", "GET", username="u", password="p")
    expected = {
        "callId": leg.id,
        "parentCallId": t.call.id,
        "cause": "hangup",
        "from": "+19195550001",
        "to": "sip:room@127.0.0.1",
        "transferTo": "sip:b@192.0.2.7",
        "transferCallerId": "+19195550001",
        "tag": "leg",
    }
    assert {name: event[name] for name in expected} == expected
    assert "endTime" in event and t.told("disconnect") == []


async def test_without_a_complete_url_the_next_verb_runs():
    t = await Transferring().begin(after="<Conference>next</Conference>", transferCompleteUrl="")
    await t.answers(t.legs[0])
    await t.hangs_up(t.legs[0])
    assert t.asked("transferComplete") == [] and t.call.membership[0].name == "next"


async def test_the_complete_url_has_its_fallback_and_credentials():
    more = {"username": "u", "password": "p", "fallbackUsername": "fu", "fallbackPassword": "fp"}
    more |= {"transferCompleteMethod": "GET", "transferCompleteFallbackUrl": "/f"}
    t = await Transferring().begin(**more)
    await t.answers(t.legs[0])
    await t.hangs_up(t.legs[0])
    ((callback, _),) = t.asked("transferComplete")
    assert callback == Callback(
        "http://app.test/complete", "GET", "http://app.test/f", "POST", "u", "p", "fu", "fp"
    )


async def test_when_none_answers_the_last_failure_is_told():
    t = await Transferring().begin(phone("a"), phone("b"))
    first, second = t.legs
    t.on(second, sip_events.CallFailed, 603, "Decline")
    await settle()
    assert t.asked("transferComplete") == []
    t.on(first, sip_events.CallFailed, 486, "Busy Here")
    await settle()
    ((_, event),) = t.asked("transferComplete")
    assert event["cause"] == "busy" and event["errorMessage"] == "Callee is busy"
    assert event["transferTo"] == "sip:a@192.0.2.7" and len(event["errorId"]) == 36
    assert sorted(event["cause"] for _, event in t.told()) == ["busy", "rejected"]
    assert all("sipResponseCode" not in event for _, event in t.told())
    assert t.call.membership is not None


async def test_a_failure_before_another_ones_answer_does_no_harm():
    t = await Transferring().begin(phone("a"), phone("b"))
    first, second = t.legs
    t.on(first, sip_events.CallFailed, 486, "Busy Here")
    await t.answers(second)
    assert t.joined(second)


async def test_an_answer_without_usable_sound_is_a_failure():
    t = await Transferring().begin()
    t.on(t.legs[0], sip_events.CallAnswered, OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 18"))
    await settle()
    assert t.asked("transferComplete")[0][1]["cause"] == "error" and t.call.membership is not None


async def test_a_number_that_no_trunk_takes_fails_alone():
    t = await Transferring().begin(f"<PhoneNumber {URLS}>+4420123456</PhoneNumber>", phone("b"))
    gone, leg = t.legs
    assert gone.disconnect_cause == "error" and "no trunk" in gone.error_message
    assert t.told()[0][1]["callId"] == gone.id
    await t.answers(leg)
    assert t.joined(leg)


async def test_when_no_destination_can_be_dialled_the_call_goes_on_at_once():
    t = await Transferring().begin(f"<PhoneNumber {URLS}>+4420123456</PhoneNumber>")
    ((_, event),) = t.asked("transferComplete")
    assert event["cause"] == "error" and event["transferTo"] == "+4420123456"
    assert t.call.membership is not None


async def test_call_timeout_counts_from_ringing(hand):
    t = await Transferring().begin(callTimeout="7")
    (leg,) = t.legs
    await hand.on(29)
    t.on(leg, sip_events.CallRinging, 180, None)
    await hand.on(6)
    assert leg.live
    await hand.on(1.1)
    assert leg.disconnect_cause == "timeout"


async def test_who_does_not_ring_is_given_up_after_thirty_seconds_whatever_call_timeout_says(hand):
    t = await Transferring().begin(callTimeout="300")
    (leg,) = t.legs
    await hand.on(29)
    assert leg.live
    await hand.on(1.1)
    assert leg.disconnect_cause == "timeout"


async def test_nobody_answers_in_time():
    t = await Transferring().begin(phone("a"), phone("b"))
    for leg in t.legs:
        leg.end("timeout", "No answer")
    await settle()
    ((_, event),) = t.asked("transferComplete")
    assert event["cause"] == "timeout"
    assert t.exchange.sip.verbs().count("hang_up") == 2
