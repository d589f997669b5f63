"""Transfer: either side leaves, at any moment and in any way."""

import asyncio

import pytest

from calls.callbacks import Callback
from calls.order import Redirect
from sip import events as sip_events
from tests.calls.transferring import PAUSE, SCREEN, Transferring, phone
from tests.support.exchange import OFFER, join, settle


@pytest.mark.parametrize("completed", [False, True])
async def test_when_the_call_leaves_the_joined_leg_ends(completed):
    t = await Transferring().begin()
    (leg,) = t.legs
    await t.answers(leg)
    if completed:
        await t.exchange.switchboard.complete_call(t.call)
        await settle()
    else:
        await t.hangs_up(t.call)
    assert leg.disconnect_cause == "hangup" and t.asked("transferComplete") == []
    assert [event["cause"] for _, event in t.told()] == ["hangup"]
    assert t.exchange.media.open == set() and t.seated() == {}


async def test_when_the_caller_hangs_up_while_it_rings_all_are_cancelled():
    t = await Transferring().begin(phone("a"), phone("b"))
    t.on(t.legs[0], sip_events.CallRinging, 180, None)
    await settle()
    await t.hangs_up(t.call)
    assert [leg.disconnect_cause for leg in t.legs] == ["cancel", "cancel"]
    assert t.exchange.switchboard.live_calls == [] and t.exchange.media.open == set()
    assert len(t.told()) == 2 and t.asked("transferComplete") == []


@pytest.mark.parametrize(("given", "seconds"), [({}, 30.0), ({"callTimeout": "45.5"}, 45.5)])
async def test_a_destination_rings_for_as_long_as_the_document_says(hand, given, seconds):
    t = await Transferring().begin(**given)
    (leg,) = t.legs
    await hand.on(20)
    t.on(leg, sip_events.CallRinging, 180, None)
    await hand.on(seconds - 0.5)
    assert leg.live
    await hand.on(0.6)
    ((_, complete),) = t.asked("transferComplete")
    assert (leg.disconnect_cause, complete["cause"]) == ("timeout", "timeout")


async def test_an_answer_that_meets_the_callers_hang_up_is_hung_up_too():
    t = await Transferring().begin()
    (leg,) = t.legs
    t.on(t.call, sip_events.CallEnded, "BYE")
    t.on(leg, sip_events.CallAnswered, OFFER)
    await settle()
    assert not leg.live and t.asked("transferAnswer") == [] and t.seated() == {}
    assert t.exchange.switchboard.live_calls == []


async def test_when_the_caller_hangs_up_during_the_answer_document_the_leg_ends():
    t = await Transferring(answer=SCREEN).begin()
    (leg,) = t.legs
    await t.answers(leg)
    await t.hangs_up(t.call)
    assert leg.disconnect_cause == "hangup" and t.seated() == {}


async def test_when_the_leg_hangs_up_during_its_answer_document_the_call_goes_on():
    t = await Transferring(answer=SCREEN).begin()
    (leg,) = t.legs
    await t.answers(leg)
    await t.hangs_up(leg)
    assert t.asked("transferComplete")[0][1]["cause"] == "hangup" and t.call.membership is not None
    assert len(t.told()) == 1


@pytest.mark.parametrize("passes", range(5))
async def test_a_leg_that_hangs_up_right_after_its_answer_never_leaves_the_call_hanging(passes):
    t = await Transferring().begin()
    (leg,) = t.legs
    t.on(leg, sip_events.CallAnswered, OFFER)
    for _ in range(passes):
        await asyncio.sleep(0)
    await t.hangs_up(leg)
    assert len(t.asked("transferComplete")) == 1 and t.call.membership is not None


async def test_completing_the_leg_by_rest_is_its_leaving():
    t = await Transferring().begin()
    (leg,) = t.legs
    await t.answers(leg)
    await t.exchange.switchboard.complete_call(leg)
    await settle()
    assert t.asked("transferComplete")[0][1]["cause"] == "hangup" and t.call.membership is not None


async def test_completing_a_ringing_leg_by_rest_cancels_it():
    t = await Transferring().begin()
    await t.exchange.switchboard.complete_call(t.legs[0])
    await settle()
    assert t.asked("transferComplete")[0][1]["cause"] == "cancel"


async def test_a_redirect_of_the_call_ends_its_leg():
    t = Transferring()
    t.exchange.answer_with(PAUSE, "redirect")
    await t.begin()
    (leg,) = t.legs
    await t.answers(leg)
    await t.exchange.switchboard.redirect_call(t.call, Redirect(Callback(url="http://app.test/r")))
    await settle()
    assert t.call.live and leg.disconnect_cause == "hangup" and t.asked("transferComplete") == []


@pytest.mark.parametrize("answer", ["<Response/>", SCREEN])
async def test_a_redirect_of_the_leg_takes_it_out_alive(answer):
    t = Transferring(answer=answer)
    t.exchange.answer_with(join("other"), "redirect")
    await t.begin()
    (leg,) = t.legs
    await t.answers(leg)
    await t.exchange.switchboard.redirect_call(leg, Redirect(Callback(url="http://app.test/r")))
    await settle()
    assert leg.live and leg.membership[0].name == "other"
    assert t.asked("transferComplete")[0][1]["cause"] == "hangup" and t.call.membership is not None
    assert t.told() == []
    await t.hangs_up(t.call)
    assert leg.live
    await t.hangs_up(leg)
    assert len(t.told()) == 1


async def test_transferred_calls_cannot_be_bridged_away():
    t = await Transferring().begin()
    (leg,) = t.legs
    await t.answers(leg)
    t.exchange.answer_with(PAUSE, "bridgeComplete")
    for target in (t.call, leg):
        bridge = f'<Response><Bridge bridgeCompleteUrl="/b">{target.id}</Bridge></Response>'
        await t.exchange.dial_in(bridge)
        assert t.asked("bridgeComplete")[-1][1]["cause"] == "busy"
    assert t.joined(leg)
