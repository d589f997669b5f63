"""What a callee's side sends before it answers: who hears it, how long, and who is not heard by it."""

import pytest

from media import tones
from sip import events as sip_events
from tests.calls.test_forward import Forwarding
from tests.calls.test_outbound import dialled
from tests.calls.test_ways import registered
from tests.calls.transferring import PAUSE, Transferring, phone
from tests.support.exchange import OFFER, Exchange, settle

EARLY = OFFER.replace(b"40000", b"42000")
ELSEWHERE = OFFER.replace(b"40000", b"43000")


def rings(exchange, session, sdp=None, status=183):
    exchange.switchboard.on_sip(sip_events.CallRinging(session, status, sdp))


def flags(exchange):
    """Of the last seat of each leg: whether it is muted."""
    return {leg: mute for leg, _, mute, *_ in exchange.media.of("seat")}


class TestTransfer:
    async def test_the_caller_hears_the_callees_side_and_is_not_heard_there(self):
        t = await Transferring().begin()
        (leg,) = t.legs
        rings(t.exchange, leg.session, EARLY)
        await settle()
        assert t.joined(leg) and flags(t.exchange) == {t.call.leg.id: True, leg.leg.id: False}
        assert t.exchange.media.playbacks == [], "no ringback of ours beside it"
        assert t.exchange.media.of("connect")[-1][1].remote == ("127.0.0.1", 42000)
        assert leg.state == "initiated" and t.call.pair is None

    async def test_ringback_gives_way_to_it_and_a_later_180_does_not_bring_it_back(self):
        t = await Transferring().begin()
        (leg,) = t.legs
        rings(t.exchange, leg.session, status=180)
        await settle()
        (ringback,) = t.exchange.media.playbacks
        rings(t.exchange, leg.session, EARLY)
        rings(t.exchange, leg.session, status=180)
        await settle()
        assert ringback.stopped and len(t.exchange.media.playbacks) == 1 and t.joined(leg)

    async def test_at_the_answer_the_two_are_joined_and_both_heard(self):
        t = await Transferring().begin(phone("b", ""))
        (leg,) = t.legs
        rings(t.exchange, leg.session, EARLY)
        await t.answers(leg)
        assert t.joined(leg) and not any(flags(t.exchange).values())
        assert t.exchange.media.playbacks == []
        await t.hangs_up(leg)
        assert leg.leg is None or leg.leg.id not in t.seated()

    async def test_while_the_callee_hears_his_own_document_the_caller_hears_ringback_again(self):
        t = await Transferring(answer=PAUSE).begin()
        (leg,) = t.legs
        rings(t.exchange, leg.session, EARLY)
        await t.answers(leg)
        assert t.seated() == {} and t.exchange.media.playbacks[-1].samples == tones.ringback()

    async def test_of_several_the_first_is_heard_until_it_fails_and_then_the_next(self):
        t = await Transferring().begin(phone("a"), phone("b"), phone("c"))
        first, second, third = t.legs
        rings(t.exchange, second.session, EARLY)
        rings(t.exchange, first.session, ELSEWHERE)
        rings(t.exchange, third.session, status=180)
        await settle()
        assert t.joined(second)
        t.on(second, sip_events.CallFailed, 486, "Busy Here")
        await settle()
        assert t.joined(first)
        t.on(first, sip_events.CallFailed, 486, "Busy Here")
        await settle()
        assert t.seated() == {} and t.exchange.media.playbacks[-1].samples == tones.ringback()
        await t.answers(third)
        assert t.joined(third) and t.exchange.media.playbacks[-1].stopped

    async def test_when_all_have_failed_nothing_is_heard(self):
        t = await Transferring(complete=PAUSE).begin()
        rings(t.exchange, t.legs[0].session, EARLY)
        t.on(t.legs[0], sip_events.CallFailed, 486, "Busy Here")
        await settle()
        assert t.seated() == {} and t.exchange.media.playbacks == []

    async def test_a_caller_who_hangs_up_ends_it(self):
        t = await Transferring().begin()
        rings(t.exchange, t.legs[0].session, EARLY)
        await settle()
        await t.hangs_up(t.call)
        assert t.seated() == {} and t.exchange.media.open == set()

    async def test_a_description_that_cannot_be_used_is_ringing(self):
        t = await Transferring().begin()
        rings(t.exchange, t.legs[0].session, b"v=0\r\n")
        await settle()
        assert t.seated() == {} and t.exchange.media.playbacks[-1].samples == tones.ringback()
        await t.answers(t.legs[0])
        assert t.joined(t.legs[0])

    async def test_a_port_that_is_taken_towards_that_address_is_ringing(self):
        t = await Transferring().begin()
        t.exchange.media.stays = False
        rings(t.exchange, t.legs[0].session, EARLY)
        await settle()
        assert t.seated() == {} and t.exchange.media.of("move") == []

    async def test_of_the_branches_of_a_fork_the_last_that_describes_itself_is_heard(self):
        t = await Transferring().begin()
        (leg,) = t.legs
        rings(t.exchange, leg.session, EARLY)
        rings(t.exchange, leg.session, ELSEWHERE)
        await settle()
        remotes = [
            media.remote[1] for number, media in t.exchange.media.of("connect") if number == leg.leg.id
        ]
        assert remotes == [42000, 43000] and t.joined(leg)


class TestForward:
    async def test_an_unanswered_caller_gets_183_and_hears_the_callees_side(self):
        f = Forwarding()
        await settle()
        rings(f.exchange, f.leg.session, EARLY)
        await settle()
        assert f.exchange.sip.verbs() == ["invite", "progress"] and f.call.state == "initiated"
        assert flags(f.exchange) == {f.call.leg.id: True, f.leg.leg.id: False}
        rings(f.exchange, f.leg.session, status=180)
        assert f.exchange.sip.verbs() == ["invite", "progress"]

    async def test_the_answer_says_the_same_and_then_both_are_heard(self):
        f = Forwarding()
        await settle()
        rings(f.exchange, f.leg.session, status=180)
        rings(f.exchange, f.leg.session, EARLY)
        await f.is_talking()
        assert f.exchange.sip.verbs() == ["invite", "ring", "progress", "answer"]
        assert f.exchange.sip.last("answer")[1][1] == f.exchange.sip.last("progress")[1][1]
        assert flags(f.exchange) == {f.call.leg.id: False, f.leg.leg.id: False}

    async def test_a_refusal_after_it_is_passed_on(self):
        f = Forwarding()
        await settle()
        rings(f.exchange, f.leg.session, EARLY)
        f.on(f.leg.session, sip_events.CallFailed, 486, "Busy Here")
        await settle()
        assert f.refusal() == 486 and f.exchange.media.open == set()

    async def test_a_caller_who_waits_for_our_offer_gets_180(self):
        exchange = Exchange()
        exchange.answer_with('<Response><Forward to="sip:b@192.0.2.7"/></Response>')
        exchange.ring(sdp=None)
        await settle()
        leg = exchange.switchboard.live_calls[-1]
        rings(exchange, leg.session, EARLY)
        await settle()
        assert exchange.sip.verbs() == ["invite", "ring"] and exchange.media.of("seat") == []

    async def test_without_a_free_leg_for_the_caller_his_phone_rings(self):
        f = Forwarding()
        await settle()
        f.exchange.media.full = True
        rings(f.exchange, f.leg.session, EARLY)
        await settle()
        assert f.call.live and f.exchange.sip.verbs() == ["invite", "ring"]


async def test_the_first_of_a_users_phones_that_sends_anything_is_heard():
    t = Transferring()
    registered(t.exchange, 6001, 6002)
    t.exchange.registrar.admit(("alice",))
    await t.begin("<SipUri>sip:alice@127.0.0.1</SipUri>")
    one, two = [arguments[0] for verb, arguments, _ in t.exchange.sip.done if verb == "invite"]
    rings(t.exchange, two, EARLY)
    rings(t.exchange, one, ELSEWHERE)
    await settle()
    (heard,) = set(t.seated()) - {t.call.leg.id}
    assert heard == 3
    t.exchange.switchboard.on_sip(sip_events.CallFailed(two, 486, "Busy Here"))
    await settle()
    assert heard not in t.seated() and t.legs[0].live
    assert t.exchange.media.playbacks[-1].samples == tones.ringback()


@pytest.mark.parametrize("hang_up_after", [0.0, 30.0])
async def test_a_callee_who_is_silent_before_he_answers_is_nobodys_concern(hang_up_after):
    exchange = Exchange(silence_hangup=hang_up_after)
    exchange.answer_with(PAUSE, "answer")
    call = await dialled(exchange)
    rings(exchange, call.session, EARLY)
    exchange.switchboard.silence.fell_silent(call, 10.0)
    assert exchange.switchboard.silence.total == 0
    exchange.switchboard.on_sip(sip_events.CallAnswered(call.session, EARLY))
    await settle()
    assert exchange.switchboard.silence.total == 1 and call.live
    call.end("hangup")
    assert len(exchange.switchboard.silence) == 0
