"""Bridge: who is joined with whom, what each is told in the end, and every reason not to begin it."""

import asyncio

import pytest

from calls.callbacks import Callback
from calls.order import CallOrder, Redirect
from media.client import DigitReceived
from sip import events as sip_events
from tests.calls.transferring import Transferring
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, DeliveryFailed, Exchange, join, settle

PAUSE = "<Response><Pause duration='60'/></Response>"
BOTH = {"bridgeCompleteUrl": "/bridged", "bridgeTargetCompleteUrl": "/target"}


def to_bridge(call_id, after="", **attributes):
    written = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<Response><Bridge{written}>{call_id}</Bridge>{after}</Response>"


async def bridged(exchange, after="", target=PAUSE, **attributes):
    """Two calls, the first of which runs the Bridge."""
    other = await exchange.dial_in(target)
    call = await exchange.dial_in(to_bridge(other.id, after, **attributes))
    return call, other


def rooms(exchange):
    """Who is seated where, by leg."""
    seated = {}
    for verb, *what in exchange.media.done:
        if verb == "seat":
            seated[what[0]] = what[1]
        elif verb == "end_room":
            seated = {leg: room for leg, room in seated.items() if room != what[0]}
        elif verb == "unseat":
            seated.pop(what[0], None)
    return seated


def asked(exchange):
    return [event["eventType"] for _, event in exchange.courier.asked if event["eventType"] != "initiate"]


async def hang_up(exchange, call):
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()


async def test_the_two_are_alone_in_a_room():
    exchange = Exchange()
    await exchange.dial_in(join())
    call, other = await bridged(exchange)
    seated = rooms(exchange)
    assert seated[call.leg.id] == seated[other.leg.id]
    assert list(seated.values()).count(seated[call.leg.id]) == 2 and len(seated) == 3
    for _, _, mute, hold, coaches, coached_by in exchange.media.of("seat")[1:]:
        assert (mute, hold, coaches, coached_by) == (False, False, None, [])


async def test_the_targets_document_is_cancelled():
    exchange = Exchange()
    other = await exchange.dial_in("<Response><SpeakSentence>long</SpeakSentence><Pause/></Response>")
    await exchange.dial_in(to_bridge(other.id))
    assert exchange.media.playbacks[0].stopped
    assert other.leg.id in rooms(exchange)


async def test_when_the_target_leaves_the_first_call_is_told_and_goes_on():
    exchange = Exchange()
    exchange.answer_with(join("after"), "bridgeComplete")
    call, other = await bridged(exchange, after="<Hangup/>", **BOTH)
    await hang_up(exchange, other)
    assert asked(exchange) == ["bridgeComplete"]
    callback, event = exchange.courier.asked[-1]
    assert callback.url == "http://app.test/bridged" and event["callId"] == call.id
    assert "cause" not in event and "errorMessage" not in event and "errorId" not in event
    assert call.membership is not None and rooms(exchange).keys() == {call.leg.id}


async def test_when_the_first_call_leaves_the_target_is_told_and_goes_on():
    exchange = Exchange()
    exchange.answer_with(join("after"), "bridgeTargetComplete")
    call, other = await bridged(exchange, **BOTH)
    await hang_up(exchange, call)
    assert asked(exchange) == ["bridgeTargetComplete"]
    callback, event = exchange.courier.asked[-1]
    assert callback.url == "http://app.test/target" and event["callId"] == other.id
    assert "cause" not in event
    assert other.membership is not None


async def test_without_urls_the_next_verb_runs_and_the_target_is_hung_up():
    exchange = Exchange()
    call, other = await bridged(exchange, after="<Conference>next</Conference>")
    await hang_up(exchange, other)
    assert asked(exchange) == [] and call.membership is not None

    call, other = await bridged(exchange)
    await hang_up(exchange, call)
    assert asked(exchange) == [] and not other.live and other.disconnect_cause == "hangup"


async def test_the_events_have_their_fallbacks_and_credentials():
    exchange = Exchange()
    more = {"username": "u", "password": "p", "fallbackUsername": "fu", "fallbackPassword": "fp"}
    more |= {"bridgeCompleteFallbackUrl": "/f", "bridgeCompleteFallbackMethod": "GET", "tag": "t"}
    _call, other = await bridged(exchange, bridgeCompleteMethod="GET", **BOTH, **more)
    await hang_up(exchange, other)
    callback, event = exchange.courier.asked[-1]
    assert callback == Callback(
        url="http://app.test/bridged",
        method="GET",
        fallback_url="http://app.test/f",
        fallback_method="GET",
        username="u",
        password="p",
        fallback_username="fu",
        fallback_password="fp",
    )
    assert event["tag"] == "t"
    more = {"bridgeTargetCompleteFallbackUrl": "/tf", "bridgeTargetCompleteMethod": "GET", "username": "u"}
    call, _other = await bridged(exchange, **BOTH, **more)
    await hang_up(exchange, call)
    callback, event = exchange.courier.asked[-1]
    assert (callback.method, callback.fallback_url, callback.username) == ("GET", "http://app.test/tf", "u")


async def test_the_answer_of_a_failing_webhook_ends_the_call_it_was_for():
    exchange = Exchange()
    exchange.answer_with(DeliveryFailed("500"), "bridgeTargetComplete")
    call, other = await bridged(exchange, **BOTH)
    await hang_up(exchange, call)
    assert other.disconnect_cause == "callback-error"


@pytest.mark.parametrize("who", [0, 1])
async def test_a_redirect_of_either_ends_the_bridge(who):
    exchange = Exchange()
    for kind in ("redirect", "bridgeComplete", "bridgeTargetComplete"):
        exchange.answer_with(PAUSE, kind)
    calls = await bridged(exchange, **BOTH)
    await exchange.switchboard.redirect_call(calls[who], Redirect(Callback(url="http://app.test/r")))
    await settle()
    event = ("bridgeTargetComplete", "bridgeComplete")[who]
    assert sorted(asked(exchange)) == sorted(["redirect", event])
    assert all(call.live for call in calls) and rooms(exchange) == {}


@pytest.mark.parametrize("who", [0, 1])
async def test_completing_either_ends_the_bridge(who):
    exchange = Exchange()
    calls = await bridged(exchange)
    await exchange.switchboard.complete_call(calls[who])
    await settle()
    assert [call.live for call in calls] == [False, False]
    assert exchange.media.open == set() and exchange.switchboard.live_calls == []


async def test_keys_pressed_meanwhile_are_not_typed_ahead_of_what_follows():
    exchange = Exchange()
    gather = "<Gather maxDigits='1' gatherUrl='/keys'/>"
    call, other = await bridged(exchange, after=gather)
    exchange.switchboard.on_media(DigitReceived(call.leg.id, "1", 100))
    await hang_up(exchange, other)
    assert asked(exchange) == [] and call.live
    exchange.switchboard.on_media(DigitReceived(call.leg.id, "2", 100))
    await settle()
    assert exchange.courier.asked[-1][1]["digits"] == "2"


async def test_the_target_is_asked_within_its_own_time():
    exchange = Exchange()
    call, other = await bridged(exchange, **BOTH)
    other.callback_timeout = 3.0
    await hang_up(exchange, call)
    assert exchange.courier.asked[-1][0].timeout == 3.0


async def test_when_both_hang_up_at_once_nothing_is_asked():
    exchange = Exchange()
    call, other = await bridged(exchange, **BOTH)
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    exchange.switchboard.on_sip(sip_events.CallEnded(other.session, "BYE"))
    await settle()
    assert asked(exchange) == []
    assert exchange.courier.kinds() == ["disconnect", "disconnect"]


async def test_a_target_in_a_conference_leaves_it():
    exchange = Exchange()
    call, other = await bridged(exchange, target=join(conferenceEventUrl="/conference"))
    assert exchange.courier.kinds()[-2:] == ["conferenceMemberExit", "conferenceCompleted"]
    assert other.membership is None and rooms(exchange)[other.leg.id] == rooms(exchange)[call.leg.id]


async def test_an_inbound_target_that_is_not_answered_is_answered():
    exchange = Exchange()
    exchange.answer_with("<Response><Ring duration='60' answerCall='false'/></Response>")
    session = exchange.ring()
    (other,) = exchange.switchboard.live_calls
    await settle()
    call = await exchange.dial_in(to_bridge(other.id))
    assert other.state == "answered" and other.leg.id not in rooms(exchange)
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    assert rooms(exchange)[other.leg.id] == rooms(exchange)[call.leg.id]


async def failed(exchange, call_id):
    """A call that runs a Bridge which fails, and what it is told."""
    exchange.answer_with("<Response><Conference>after</Conference></Response>", "bridgeComplete")
    call = await exchange.dial_in(to_bridge(call_id, **BOTH))
    assert call.live and call.membership is not None
    event = exchange.courier.asked[-1][1]
    assert event["eventType"] == "bridgeComplete" and event["callId"] == call.id
    assert call_id in event["errorMessage"] and len(event["errorId"]) == 36
    return event["cause"]


async def test_a_target_that_is_bridged_already_is_busy():
    exchange = Exchange()
    first, second = await bridged(exchange)
    assert await failed(exchange, second.id) == "busy"
    assert await failed(exchange, first.id) == "busy"
    assert first.pair is second.pair is not None


async def test_a_target_that_a_transfer_has_joined_is_busy_on_either_side():
    t = await Transferring().begin()
    await t.answers(t.legs[0])
    for joined in (t.call, t.legs[0]):
        assert await failed(t.exchange, joined.id) == "busy"
    assert t.call.pair is t.legs[0].pair is not None


async def test_an_unanswered_outbound_target_is_rejected():
    exchange = Exchange()
    order = CallOrder(
        application_id=APPLICATION, to="sip:b@192.0.2.7", from_="+1", answer=Callback(url="http://app.test/a")
    )
    other = await exchange.switchboard.create_call(ACCOUNT, order)
    await settle()
    assert await failed(exchange, other.id) == "rejected"
    exchange.answer_with(PAUSE, "answer")
    exchange.switchboard.on_sip(sip_events.CallAnswered(other.session, OFFER))
    await settle()
    assert other.state == "answered"


async def test_an_ended_target_is_rejected_and_one_of_nobody_is_unknown():
    exchange = Exchange()
    other = await exchange.dial_in("<Response/>")
    assert await failed(exchange, other.id) == "rejected"
    assert await failed(exchange, "c-nobody") == "unknown"


async def test_another_accounts_call_is_as_unknown_as_none():
    exchange = Exchange()
    other = await exchange.dial_in(PAUSE)
    other.account = "elsewhere"
    assert await failed(exchange, other.id) == "unknown"
    assert other.pair is None


async def test_a_call_cannot_be_bridged_with_itself():
    exchange = Exchange()
    call = await exchange.dial_in(PAUSE)
    exchange.answer_with(PAUSE, "bridgeComplete")
    await exchange.switchboard.replace_bxml(call, to_bridge(call.id, **BOTH).encode())
    await settle()
    assert exchange.courier.asked[-1][1]["cause"] == "rejected" and call.live


async def test_a_failed_bridge_without_url_goes_on_with_the_next_verb():
    exchange = Exchange()
    call = await exchange.dial_in(to_bridge("c-nobody", after="<Conference>next</Conference>"))
    assert call.membership is not None and asked(exchange) == []


async def test_of_two_bridges_to_one_target_the_first_gets_it():
    exchange = Exchange()
    target = await exchange.dial_in(PAUSE)
    exchange.answer_with(to_bridge(target.id, **BOTH))
    exchange.answer_with(PAUSE, "bridgeComplete")
    sessions = [exchange.ring(), exchange.ring()]
    await settle()
    for session in sessions:
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    first, second = exchange.switchboard.live_calls[1:]
    assert target.pair is first.pair is not None and second.pair is None
    (event,) = [event for _, event in exchange.courier.asked if event["eventType"] == "bridgeComplete"]
    assert (event["callId"], event["cause"]) == (second.id, "busy")


async def test_two_calls_that_bridge_each_other_are_joined_once():
    exchange = Exchange()
    first, second = await exchange.dial_in(PAUSE), await exchange.dial_in(PAUSE)
    await asyncio.gather(
        exchange.switchboard.replace_bxml(first, to_bridge(second.id).encode()),
        exchange.switchboard.replace_bxml(second, to_bridge(first.id).encode()),
    )
    await settle()
    assert first.pair is second.pair is not None
    assert len(set(rooms(exchange).values())) == 1 and len(rooms(exchange)) == 2


@pytest.mark.parametrize("passes", range(6))
async def test_a_target_that_hangs_up_while_it_is_taken_leaves_the_first_call_going(passes):
    exchange = Exchange()
    other = await exchange.dial_in(PAUSE)
    call = await exchange.dial_in(PAUSE)
    exchange.answer_with(join("after"), "bridgeComplete")
    await exchange.switchboard.replace_bxml(call, to_bridge(other.id, **BOTH).encode())
    for _ in range(passes):
        await asyncio.sleep(0)
    await hang_up(exchange, other)
    assert asked(exchange) == ["bridgeComplete"]
    assert call.membership is not None and call.pair is None


@pytest.mark.parametrize("passes", range(6))
async def test_a_first_call_that_hangs_up_while_it_takes_its_target_lets_it_go_on(passes):
    exchange = Exchange()
    other = await exchange.dial_in(PAUSE)
    call = await exchange.dial_in(PAUSE)
    exchange.answer_with(join("after"), "bridgeTargetComplete")
    await exchange.switchboard.replace_bxml(call, to_bridge(other.id, **BOTH).encode())
    for _ in range(passes):
        await asyncio.sleep(0)
    began = call.pair is not None
    await hang_up(exchange, call)
    assert asked(exchange) == (["bridgeTargetComplete"] if began else [])
    assert other.live and other.pair is None
    assert not began or other.membership is not None
