"""An account's limits at the switchboard: who waits, who is refused, who is told. Time is moved by hand."""

import asyncio
from dataclasses import replace

import pytest

from calls.admission import UNLIMITED, AccountLimits
from calls.application import Application
from calls.call import Listener
from calls.callbacks import Callback
from calls.errors import Conflict, Invalid, LimitReached
from calls.order import CallOrder, Dial, LegOrder, Redirect
from sip import events as sip_events
from sip.access import Trunk
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, Exchange, settle

ORDER = CallOrder(
    application_id=APPLICATION,
    to="sip:bob@192.0.2.7:5062",
    from_="+19195550100",
    answer=Callback(url="http://app.test/answer"),
    disconnect=Callback(url="http://app.test/disconnect"),
)
PAUSE = "<Response><Pause duration='60'/></Response>"


def limited(rate=0.0, concurrent=0, **more):
    exchange = Exchange(accounts={ACCOUNT: AccountLimits(rate, concurrent)}, **more)
    exchange.answer_with(PAUSE, "answer")
    return exchange


async def ordered(exchange, **changes):
    call = await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, **changes))
    await settle()
    return call


def statistics(exchange):
    return exchange.switchboard.statistics(ACCOUNT)


async def test_without_a_limit_every_call_goes_at_once_and_the_queue_has_no_end():
    exchange = limited()
    for _ in range(20):
        assert (await ordered(exchange)).state == "initiated"
    assert statistics(exchange) == (0, UNLIMITED)


async def test_calls_wait_as_queued_until_it_is_their_turn(hand):
    exchange = limited(rate=0.5)
    first, second, third = [await ordered(exchange) for _ in range(3)]
    assert (first.state, second.state, third.state) == ("initiated", "queued", "queued")
    assert second.enqueued_time is not None and second.start_time is None
    assert statistics(exchange) == (2, 150)
    await hand.on(1.9)
    assert second.state == "queued"
    await hand.on(0.2)
    assert (second.state, third.state) == ("initiated", "queued")
    assert second.start_time is not None and statistics(exchange) == (1, 150)
    await hand.on(2.1)
    assert third.state == "initiated" and statistics(exchange) == (0, 150)


async def test_the_urgent_one_overtakes(hand):
    exchange = limited(rate=1)
    await ordered(exchange)
    patient, urgent = await ordered(exchange), await ordered(exchange, priority=1)
    await hand.on(1.1)
    assert (patient.state, urgent.state) == ("queued", "initiated")


async def test_a_full_queue_is_refused_in_the_contracts_words_and_says_when_to_come_again():
    exchange = limited(rate=0.01)
    for _ in range(4):
        await ordered(exchange)
    with pytest.raises(LimitReached, match="Account call creation rate limit exceeded") as refusal:
        await ordered(exchange)
    assert 95 <= refusal.value.retry_after <= 100
    assert statistics(exchange) == (3, 3) and len(exchange.switchboard.calls(ACCOUNT)) == 4


async def test_a_wrong_order_is_told_so_even_while_nothing_can_be_taken():
    exchange = limited(concurrent=1)
    await ordered(exchange)
    with pytest.raises(Invalid, match="Invalid to"):
        await ordered(exchange, to="+19195551234")


async def test_completed_takes_a_call_out_of_the_queue_and_never_dials_it(hand):
    exchange = limited(rate=1)
    await ordered(exchange)
    waiting = await ordered(exchange)
    await exchange.switchboard.complete_call(waiting)
    assert waiting.state == "disconnected" and statistics(exchange) == (0, 300)
    event = exchange.courier.event("disconnect")
    assert event["callId"] == waiting.id and event["cause"] == "cancel"
    assert event["startTime"] == event["endTime"] and waiting.start_time is None
    await hand.on(10)
    assert exchange.sip.verbs() == ["invite"]


async def test_a_queued_call_takes_no_document_and_stays_queued():
    exchange = limited(rate=1)
    await ordered(exchange)
    waiting = await ordered(exchange)
    with pytest.raises(Conflict, match="cannot be modified in its current state"):
        await exchange.switchboard.redirect_call(waiting, Redirect(Callback(url="http://app.test/x")))
    with pytest.raises(Conflict):
        await exchange.switchboard.replace_bxml(waiting, PAUSE.encode())
    assert waiting.state == "queued" and statistics(exchange) == (1, 300)


async def test_who_registers_while_his_call_waits_is_rung(hand):
    exchange = limited(rate=1, users={"alice": ""})
    await ordered(exchange)
    call = await ordered(exchange, to="sip:alice@127.0.0.1")
    assert call.state == "queued"
    await hand.on(1.1)
    assert call.disconnect_cause == "rejected" and call.sip_response_code == 480


async def test_a_queued_call_whose_trunk_is_taken_away_ends_and_the_next_has_its_turn(hand):
    exchange = limited(rate=1, trunks=[Trunk("carrier", "192.0.2.9", numbers=("+1212*",))])
    await ordered(exchange)
    lost = await ordered(exchange, to="+12125550100")
    following = await ordered(exchange)
    exchange.access.adopt([], {})
    await hand.on(1.1)
    assert lost.disconnect_cause == "error" and lost.start_time is None
    assert lost.error_message == ("+12125550100 cannot be called: no trunk takes this number")
    await hand.on(1.1)
    assert following.state == "initiated"


async def test_another_accounts_queue_is_its_own():
    applications = [
        Application(id=APPLICATION, account=ACCOUNT, numbers=("*",)),
        Application(id="theirs", account="5550000", numbers=()),
    ]
    exchange = limited(rate=1, applications=applications)
    for _ in range(3):
        await ordered(exchange)
    other = await exchange.switchboard.create_call("5550000", replace(ORDER, application_id="theirs"))
    await settle()
    assert other.state == "initiated"
    assert exchange.switchboard.statistics("5550000") == (0, UNLIMITED)


# Calls at a time


async def test_one_call_too_many_is_refused_until_another_has_ended():
    exchange = limited(concurrent=2)
    first = await ordered(exchange)
    await ordered(exchange)
    with pytest.raises(LimitReached, match="Account concurrent call limit exceeded") as refusal:
        await ordered(exchange)
    assert refusal.value.retry_after > 0
    await exchange.switchboard.complete_call(first)
    assert (await ordered(exchange)).state == "initiated"


async def test_an_inbound_call_over_the_limit_hears_busy_and_leaves_no_trace():
    exchange = limited(concurrent=1)
    call = await exchange.dial_in(PAUSE)
    told = len(exchange.courier.asked), len(exchange.courier.told)
    exchange.ring()
    await settle()
    _, (_, status, _), _ = exchange.sip.last("reject")
    assert status == 486
    assert (len(exchange.courier.asked), len(exchange.courier.told)) == told
    assert exchange.switchboard.calls(ACCOUNT) == [call] and len(exchange.media.open) == 1
    call.end("hangup")
    await exchange.dial_in(PAUSE)
    assert len(exchange.switchboard.live_calls) == 1


async def test_calls_of_both_directions_share_the_limit():
    exchange = limited(concurrent=1)
    await exchange.dial_in(PAUSE)
    with pytest.raises(LimitReached):
        await ordered(exchange)


async def test_a_queued_call_holds_no_place_and_waits_for_one(hand):
    exchange = limited(rate=10, concurrent=2)
    first, second, third = [await ordered(exchange) for _ in range(3)]
    await hand.on(0.11)
    assert second.state == "initiated"
    await hand.on(5)
    assert third.state == "queued" and statistics(exchange) == (1, 3000)
    first.end("hangup")
    await settle()
    assert third.state == "initiated"


async def test_the_stop_empties_the_queue_at_once(hand):
    exchange = limited(rate=1)
    live = await ordered(exchange)
    exchange.switchboard.on_sip(sip_events.CallAnswered(live.session, OFFER))
    waiting = await ordered(exchange)
    stopping = asyncio.create_task(exchange.switchboard.stop(60))
    await settle()
    assert waiting.disconnect_cause == "cancel" and live.state == "answered"
    await hand.on(61)
    await stopping
    assert live.state == "disconnected" and exchange.sip.verbs().count("invite") == 1


# Calls that other calls have dialled


LEG = LegOrder(Dial(to="sip:carol@192.0.2.8", from_="+19195550100"))


async def test_a_leg_over_the_limit_ends_as_account_limit_undialled():
    exchange = limited(concurrent=1)
    parent = await exchange.dial_in(PAUSE)
    leg = exchange.switchboard.outbound.place_leg(parent, LEG, Listener())
    await settle()
    assert (leg.disconnect_cause, leg.error_message) == (
        "account-limit",
        "Account concurrent call limit exceeded",
    )
    assert "invite" not in exchange.sip.verbs() and parent.state == "answered"


async def test_a_leg_does_not_wait_and_those_in_the_queue_wait_for_it(hand):
    exchange = limited(rate=1)
    parent = await exchange.dial_in(PAUSE)
    leg = exchange.switchboard.outbound.place_leg(parent, LEG, Listener())
    waiting = await ordered(exchange)
    assert (leg.state, waiting.state) == ("initiated", "queued")
    await hand.on(1.1)
    assert waiting.state == "initiated"


def relimit(exchange, rate=0.0, concurrent=0, applications=()):
    exchange.switchboard.adopt(applications, {ACCOUNT: AccountLimits(rate, concurrent)})


async def test_another_rate_counts_for_those_who_wait_already(hand):
    exchange = limited(rate=0.01)
    calls = [await ordered(exchange) for _ in range(4)]
    assert [call.state for call in calls] == ["initiated", "queued", "queued", "queued"]
    relimit(exchange, rate=1.0)
    await hand.on(1.1)
    assert [call.state for call in calls] == ["initiated", "initiated", "queued", "queued"]
    relimit(exchange)
    await settle()
    assert all(call.state == "initiated" for call in calls) and statistics(exchange) == (0, UNLIMITED)
    relimit(exchange, rate=0.01)
    assert statistics(exchange) == (0, 3)


async def test_a_lower_limit_ends_nobody_and_lets_nobody_in():
    exchange = limited()
    calls = [await ordered(exchange) for _ in range(2)]
    relimit(exchange, concurrent=1, applications=exchange.applications)
    assert all(call.live for call in calls)
    with pytest.raises(LimitReached):
        await ordered(exchange)


async def test_applications_that_are_gone_take_no_call_and_their_live_calls_go_on():
    exchange = limited()
    call = await ordered(exchange)
    exchange.switchboard.adopt([], {})
    assert call.live
    with pytest.raises(Invalid, match="not found"):
        await ordered(exchange)
    exchange.ring()
    assert exchange.sip.last("reject")[1][1] == 404
