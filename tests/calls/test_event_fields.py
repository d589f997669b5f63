"""Fields that only some events have."""

import pytest

from calls import clock
from calls.callbacks import Callback
from calls.order import Redirect
from sip import events as sip_events
from tests.calls.test_outbound import ORDER
from tests.support.exchange import ACCOUNT, OFFER, Exchange, join, settle
from tests.support.sdk_events import lost

TRANSFER = (
    '<Response><Transfer transferCompleteUrl="/complete">'
    '<SipUri transferDisconnectUrl="/gone">sip:agent@192.0.2.7</SipUri></Transfer></Response>'
)


async def hang_up(exchange, call):
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()


async def dial_out(exchange):
    call = await exchange.switchboard.create_call(ACCOUNT, ORDER)
    await settle()
    return call


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
async def test_the_sip_call_id_is_in_three_events_and_no_others(direction):
    exchange = Exchange()
    document = '<Response><Redirect redirectUrl="/next"/></Response>'
    exchange.answer_with(join(), "redirect")
    if direction == "inbound":
        call = await exchange.dial_in(document)
    else:
        exchange.answer_with(document, "answer")
        call = await dial_out(exchange)
        exchange.switchboard.on_sip(sip_events.CallAnswered(call.session, OFFER))
        await settle()
    await hang_up(exchange, call)
    told = [event for _, event in (*exchange.courier.asked, *exchange.courier.told)]
    first = "initiate" if direction == "inbound" else "answer"
    assert [event["eventType"] for event in told] == [first, "redirect", "disconnect"]
    assert [lost(event) for event in told] == [set()] * 3
    assert [event.get("sipCallId") for event in told] == [call.session.call_id, None, call.session.call_id]


async def test_an_error_has_a_message_and_an_id():
    exchange = Exchange()
    await exchange.dial_in("<Response><Say>hello</Say></Response>")
    event = exchange.courier.event("disconnect")
    assert event["cause"] == "invalid-bxml" and "Say" in event["errorMessage"]
    (ended,) = exchange.switchboard.calls(ACCOUNT)
    assert event["errorId"] == ended.error_id and len(event["errorId"]) == 36


async def test_a_normal_end_has_neither():
    exchange = Exchange()
    await hang_up(exchange, await exchange.dial_in(join()))
    event = exchange.courier.event("disconnect")
    assert event["cause"] == "hangup" and not {"errorMessage", "errorId", "sipResponseCode"} & event.keys()


async def test_a_refused_call_is_told_with_its_status():
    exchange = Exchange()
    call = await dial_out(exchange)
    exchange.switchboard.on_sip(sip_events.CallFailed(call.session, 603, "Decline"))
    await settle()
    assert exchange.courier.event("disconnect")["sipResponseCode"] == 603


async def test_a_failed_transfer_is_told_with_an_id():
    exchange = Exchange()
    exchange.answer_with(join(), "transferComplete")
    await exchange.dial_in(TRANSFER)
    leg = exchange.switchboard.live_calls[-1]
    exchange.switchboard.on_sip(sip_events.CallFailed(leg.session, 486, "Busy Here"))
    await settle()
    gone = exchange.courier.event("transferDisconnect")
    complete = next(event for _, event in exchange.courier.asked if event["eventType"] == "transferComplete")
    for event in (gone, complete):
        assert (event["cause"], event["errorMessage"]) == ("busy", "Callee is busy")
        assert len(event["errorId"]) == 36
    assert gone["errorId"] == complete["errorId"]


PAUSE = "<Pause duration='60'/>"
NOBODY = "sip:nobody@192.0.2.8"

# How a leg that a Transfer has dialled comes to each event: the document that its transferAnswer brings, or
# the one that follows a redirect by REST, which takes it out of the Transfer.
OF_LEGS = {
    "transferAnswer": PAUSE,
    "redirect": "<Redirect redirectUrl='/next'/>",
    "gather": "<Gather gatherUrl='/gather' maxDigits='1'/>",
    "dtmf": f"<StartGather dtmfUrl='/dtmf'/>{PAUSE}",
    "bridgeComplete": "<Bridge bridgeCompleteUrl='/bridge'>c-nobody</Bridge>",
    "bridgeTargetComplete": PAUSE,
    "transferComplete": f"<Transfer transferCompleteUrl='/on'><SipUri>{NOBODY}</SipUri></Transfer>",
    "transferDisconnect": "<Hangup/>",
}
AFTER_A_REDIRECT = ("bridgeComplete", "bridgeTargetComplete", "transferComplete")


@pytest.mark.parametrize("kind", OF_LEGS)
async def test_a_transferred_leg_says_in_each_event_what_it_is(kind):
    exchange = Exchange()
    document = f"<Response>{OF_LEGS[kind]}</Response>"
    for other in ("transferAnswer", "redirect", "gather", "bridgeComplete", "transferComplete"):
        exchange.answer_with(f"<Response>{PAUSE}</Response>", other)
    exchange.answer_with(document, "redirect" if kind in AFTER_A_REDIRECT else "transferAnswer")
    call = await exchange.dial_in(TRANSFER.replace("<SipUri", "<SipUri transferAnswerUrl='/a' tag='agents'"))
    leg = exchange.switchboard.live_calls[-1]
    exchange.switchboard.on_sip(sip_events.CallAnswered(leg.session, OFFER))
    await settle()
    if kind in AFTER_A_REDIRECT:
        await exchange.switchboard.redirect_call(leg, Redirect(callback=Callback(url="http://app.test/r")))
        await settle()
    if kind in ("gather", "dtmf"):
        leg.keypad.press("1", "rtp", 0.0)
    if kind == "bridgeTargetComplete":
        urls = "bridgeTargetCompleteUrl='/target'"
        await hang_up(
            exchange, await exchange.dial_in(f"<Response><Bridge {urls}>{leg.id}</Bridge></Response>")
        )
    if kind == "transferComplete":
        (onward,) = (each for each in exchange.switchboard.live_calls if each.parent == leg.id)
        exchange.switchboard.on_sip(sip_events.CallFailed(onward.session, 486, "Busy Here"))
    await settle()

    told = [event for _, event in (*exchange.courier.asked, *exchange.courier.told)]
    event = [event for event in told if event["eventType"] == kind and event["callId"] == leg.id][-1]
    assert event["direction"] == "outbound" and leg.id != call.id
    assert (event["from"], event["to"]) == (call.from_, call.to)
    moments = (leg.enqueued_time, leg.start_time, leg.answer_time)
    told_moments = [event[name] for name in ("enqueuedTime", "startTime", "answerTime")]
    assert told_moments == [clock.text(moment) for moment in moments if moment is not None]
    assert event["answerTime"] <= event["eventTime"]
    assert (event["tag"], event["parentCallId"]) == ("agents", call.id)
    assert lost(event) == set()
    if kind == "transferComplete":  # it speaks of the leg's own Transfer
        assert (event["transferCallerId"], event["transferTo"]) == (leg.to, NOBODY)
    else:
        assert (event["transferCallerId"], event["transferTo"]) == (call.from_, leg.to)


async def test_an_outbound_call_says_to_its_end_when_it_was_ordered():
    exchange = Exchange()
    exchange.answer_with(join(), "answer")
    call = await dial_out(exchange)
    exchange.switchboard.on_sip(sip_events.CallAnswered(call.session, OFFER))
    await settle()
    await hang_up(exchange, call)
    event = exchange.courier.event("disconnect")
    moments = (call.enqueued_time, call.start_time, call.answer_time, call.end_time)
    told = [event[name] for name in ("enqueuedTime", "startTime", "answerTime", "endTime")]
    assert told == sorted(told) == [clock.text(moment) for moment in moments if moment is not None]
    assert event["tag"] == ORDER.tag


OF_CONFERENCES = [
    "conferenceCreated",
    "conferenceMemberJoin",
    "conferenceMemberExit",
    "conferenceRedirect",
    "conferenceCompleted",
]


@pytest.mark.parametrize("kind", OF_CONFERENCES)
async def test_the_conferences_tag_is_in_each_of_its_events(kind):
    exchange = Exchange()
    call = await exchange.dial_in(join(conferenceEventUrl="/conference", tag="daily"))
    (conference,) = exchange.switchboard.conferences(ACCOUNT)
    redirect = Redirect(callback=Callback(url="http://app.test/redirect"))
    await exchange.switchboard.redirect_conference(conference, redirect)
    call.tag = "another"
    await hang_up(exchange, call)
    event = exchange.courier.event(kind)
    assert event["tag"] == "daily"
    assert lost(event) == set()
