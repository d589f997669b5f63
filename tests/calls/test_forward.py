"""Forward: an unanswered call is sent on; ringing and answer come back, and one end is the end of both."""

import asyncio

import pytest

from calls.callbacks import Callback
from calls.order import Redirect
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, OFFER, Exchange, Trunk, join, settle

TO = "sip:b@192.0.2.7"


class Forwarding:
    """A call that has come in and runs a Forward; `leg` is the one that it has dialled."""

    def __init__(self, *, trunks=(), before="", headers=(), **attributes):
        self.exchange = Exchange(trunks=trunks)
        written = "".join(f' {name}="{value}"' for name, value in ({"to": TO} | attributes).items())
        self.exchange.answer_with(f"<Response>{before}<Forward{written}/><Pause/></Response>")
        self.session = self.exchange.ring(called="sip:+19195550100@127.0.0.1", headers=headers)
        (self.call,) = self.exchange.switchboard.live_calls

    @property
    def leg(self):
        calls = self.exchange.switchboard.calls(ACCOUNT)
        (leg,) = (call for call in calls if call.parent == self.call.id)
        return leg

    @property
    def invite(self):
        return self.exchange.sip.last("invite")[2]

    def on(self, session, event, *details):
        self.exchange.switchboard.on_sip(event(session, *details))

    async def answers(self):
        self.on(self.leg.session, sip_events.CallAnswered, OFFER)
        await settle()

    async def is_talking(self):
        await settle()
        await self.answers()
        self.on(self.session, sip_events.CallAcknowledged, None)
        await settle()
        return self

    def refusal(self):
        return self.exchange.sip.last("reject")[1][1]


async def test_the_destination_rings_while_the_call_is_not_answered():
    f = Forwarding()
    await settle()
    assert f.leg.direction == "outbound" and f.leg.to == TO and f.leg.account == f.call.account
    assert f.call.state == "initiated" and f.exchange.sip.verbs() == ["invite"]
    assert f.invite["from_uri"] == "sip:+19195550100@127.0.0.1"  # the number that was called


async def test_ringing_is_passed_on():
    f = Forwarding()
    await settle()
    f.on(f.leg.session, sip_events.CallRinging, 180, None)
    assert f.exchange.sip.last("ring")[1] == (f.session,)
    assert f.exchange.media.playbacks == []


async def test_the_caller_is_answered_when_the_destination_answers_and_the_two_are_joined():
    f = Forwarding()
    await settle()
    await f.answers()
    assert f.call.state == "answered" and f.exchange.media.of("seat") == []
    f.on(f.session, sip_events.CallAcknowledged, None)
    await settle()
    (first, room, *rest), (second, other_room, *_) = f.exchange.media.of("seat")
    assert {first, second} == {f.call.leg.id, f.leg.leg.id} and room == other_room
    assert rest == [False, False, None, []]


@pytest.mark.parametrize("caller", [True, False])
async def test_when_either_hangs_up_both_have_ended_and_the_application_is_told_once(caller):
    f = await Forwarding().is_talking()
    leg = f.leg
    f.on(f.session if caller else leg.session, sip_events.CallEnded, "BYE")
    await settle()
    assert (f.call.disconnect_cause, leg.disconnect_cause) == ("hangup", "hangup")
    ((callback, event),) = f.exchange.courier.told
    assert (callback.url, event["eventType"]) == ("http://app.test/status", "disconnect")
    assert event["callId"] == f.call.id and event["cause"] == "hangup"
    assert [event["eventType"] for _, event in f.exchange.courier.asked] == ["initiate"]
    assert f.exchange.media.open == set() and f.exchange.switchboard.live_calls == []


@pytest.mark.parametrize(
    ("status", "cause", "refusal"),
    [(486, "busy", 486), (603, "rejected", 603), (404, "rejected", 603), (480, "timeout", 480)],
)
async def test_a_failure_is_passed_on(status, cause, refusal):
    f = Forwarding()
    await settle()
    f.on(f.leg.session, sip_events.CallFailed, status, "No")
    await settle()
    assert f.call.disconnect_cause == cause and f.refusal() == refusal
    assert f.exchange.courier.event("disconnect")["cause"] == cause
    assert f.exchange.courier.event("disconnect")["errorMessage"] == f.leg.error_message


async def test_a_number_that_no_trunk_takes_is_an_error():
    f = Forwarding(to="+4420123456")
    await settle()
    assert f.call.disconnect_cause == "error" and "no trunk" in f.call.error_message
    assert f.refusal() == 480


async def test_a_caller_who_gives_up_cancels_the_destination():
    f = Forwarding()
    await settle()
    f.on(f.session, sip_events.CallCancelled, "")
    await settle()
    assert (f.call.disconnect_cause, f.leg.disconnect_cause) == ("cancel", "cancel")
    assert f.exchange.sip.verbs() == ["invite", "hang_up"]


async def test_an_answer_that_meets_the_callers_cancel_is_hung_up():
    f = Forwarding()
    await settle()
    leg = f.leg
    f.on(f.session, sip_events.CallCancelled, "")
    f.on(leg.session, sip_events.CallAnswered, OFFER)
    await settle()
    assert not leg.live and "answer" not in f.exchange.sip.verbs()
    assert f.exchange.switchboard.live_calls == []


@pytest.mark.parametrize("passes", range(5))
async def test_a_destination_that_hangs_up_right_after_its_answer_ends_the_call(passes):
    f = Forwarding()
    await settle()
    leg = f.leg
    f.on(leg.session, sip_events.CallAnswered, OFFER)
    for _ in range(passes):
        await asyncio.sleep(0)
    f.on(leg.session, sip_events.CallEnded, "BYE")
    await settle()
    f.on(f.session, sip_events.CallAcknowledged, None)
    await settle()
    assert f.call.disconnect_cause == "hangup" and f.exchange.media.of("seat") == []


async def test_call_timeout_counts_from_ringing(hand):
    f = Forwarding(callTimeout="9")
    await settle()
    await hand.on(20)
    f.on(f.leg.session, sip_events.CallRinging, 180, None)
    await hand.on(8)
    assert f.call.live
    await hand.on(1.1)
    assert f.call.disconnect_cause == "timeout" and f.refusal() == 480


async def test_without_a_free_leg_for_the_caller_the_destination_is_let_go():
    f = Forwarding()
    await settle()
    f.exchange.media.full = True
    await f.answers()
    assert f.call.disconnect_cause == "node-capacity-exceeded" and f.refusal() == 503
    assert f.leg.disconnect_cause == "hangup"


async def test_an_answered_call_cannot_be_forwarded():
    exchange = Exchange()
    call = await exchange.dial_in(f'<Response><Pause duration="60"/><Forward to="{TO}"/></Response>')
    await exchange.switchboard.replace_bxml(call, f'<Response><Forward to="{TO}"/></Response>'.encode())
    await settle()
    assert call.disconnect_cause == "application-error" and "Forward" in call.error_message


async def test_tag_and_ringing_before_do_not_answer_it():
    f = Forwarding(before="<Tag>t</Tag>")
    await f.is_talking()
    assert f.exchange.sip.verbs() == ["invite", "answer"]


async def test_caller_id_privacy_and_user_to_user():
    f = Forwarding(**{"from": "+19195550177", "callerDisplayName": "Desk", "uui": "abc;encoding=jwt"})
    await settle()
    assert f.invite["from_uri"] == "sip:+19195550177@127.0.0.1" and f.invite["display_name"] == "Desk"
    assert f.invite["headers"] == (("User-to-User", "abc;encoding=jwt"),)
    trunk = Trunk(name="carrier", host="192.0.2.9", numbers=("+1*",))
    f = Forwarding(to="+19195550188", privacy="true", uui="abc", trunks=[trunk])
    await settle()
    assert f.invite["from_uri"] == "sip:anonymous@anonymous.invalid"
    identity = ("P-Asserted-Identity", "<sip:+19195550100@127.0.0.1>")
    assert f.invite["headers"] == (("Privacy", "id"), identity)


async def test_diversions_are_stacked():
    f = Forwarding(
        headers=(("Diversion", "<sip:x@y>"),), diversionTreatment="stack", diversionReason="user-busy"
    )
    await settle()
    ours = "<sip:+19195550100@127.0.0.1>;reason=user-busy;counter=1"
    assert f.invite["headers"] == (("Diversion", ours), ("Diversion", "<sip:x@y>"))


@pytest.mark.parametrize("talking", [False, True])
async def test_a_forwarded_call_is_no_target_of_a_bridge(talking):
    f = Forwarding()
    if talking:
        await f.is_talking()
    await settle()
    bridge = f'<Response><Bridge bridgeCompleteUrl="/b">{f.call.id}</Bridge></Response>'
    f.exchange.answer_with(join(), "bridgeComplete")
    await f.exchange.dial_in(bridge)
    _, event = f.exchange.courier.asked[-1]
    assert event["cause"] == "rejected" and "forwarded" in event["errorMessage"]
    assert f.call.live and f.leg.live


async def test_a_redirect_of_the_ringing_call_takes_it_back():
    f = Forwarding()
    await settle()
    f.exchange.answer_with("<Response><Ring duration='60' answerCall='false'/></Response>", "redirect")
    await f.exchange.switchboard.redirect_call(f.call, Redirect(Callback(url="http://app.test/r")))
    await settle()
    assert f.call.live and f.leg.disconnect_cause == "cancel"


async def test_a_redirect_of_the_destination_takes_it_out_alive():
    f = await Forwarding().is_talking()
    leg = f.leg
    f.exchange.answer_with(join(), "redirect")
    await f.exchange.switchboard.redirect_call(leg, Redirect(Callback(url="http://app.test/r")))
    await settle()
    assert leg.membership is not None and f.call.disconnect_cause == "hangup"


async def test_completing_either_ends_both():
    f = await Forwarding().is_talking()
    await f.exchange.switchboard.complete_call(f.leg)
    await settle()
    assert f.exchange.switchboard.live_calls == []
    f = await Forwarding().is_talking()
    await f.exchange.switchboard.complete_call(f.call)
    await settle()
    assert f.exchange.switchboard.live_calls == []


@pytest.mark.parametrize("verb", [f'<Forward to="{TO}"/>', f"<Transfer><SipUri>{TO}</SipUri></Transfer>"])
async def test_a_number_that_is_sent_on_to_itself_is_refused_at_the_tenth_time(verb):
    exchange = Exchange()
    exchange.answer_with(f"<Response>{verb}</Response>")
    exchange.ring()
    came_back = 0
    for _ in range(50):
        await settle()
        sent = [arguments[0] for done, arguments, _ in exchange.sip.done if done == "invite"]
        for ours in sent[came_back:]:
            session = exchange.session()
            event = sip_events.IncomingCall(session, None, None, OFFER, ours=ours)
            exchange.switchboard.on_sip(event)
        came_back = len(sent)
        for answered in [arguments[0] for done, arguments, _ in exchange.sip.done if done == "answer"]:
            exchange.switchboard.on_sip(sip_events.CallAcknowledged(answered, None))
    assert came_back == 10
    assert exchange.sip.last("reject")[1] == (session, 482, "Loop Detected")
    exchange.switchboard.on_sip(sip_events.CallFailed(sent[-1], 482, "Loop Detected"))
    await settle()
    assert len(exchange.switchboard.live_calls) < 20


async def test_a_circle_through_another_telephone_system_ends_by_its_hops():
    exchange = Exchange()
    exchange.answer_with(f'<Response><Forward to="{TO}"/></Response>')
    for hops in (3, 0):
        exchange.ring(headers=(("Max-Forwards", str(hops)),))
        await settle()
    sent = [named["max_forwards"] for verb, _, named in exchange.sip.done if verb == "invite"]
    assert sent == [2]
    ended = exchange.switchboard.calls(ACCOUNT, cause="error")
    assert [call.error_message for call in ended] == ["It has been sent on too often (Max-Forwards)"] * 2


async def test_a_call_of_rest_that_comes_back_is_no_loop():
    exchange = Exchange()
    exchange.answer_with("<Response><Pause/></Response>")
    session = exchange.session()
    ours = exchange.sip.invite(to=TO, sdp=OFFER)
    exchange.switchboard.on_sip(sip_events.IncomingCall(session, None, None, OFFER, ours=ours))
    await settle()
    assert exchange.sip.verbs() == ["invite", "answer"]
