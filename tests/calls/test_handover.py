"""Another far end for a call that goes on: by an INVITE that replaces it, and by REFER."""

import pytest

from calls.callbacks import Callback
from calls.order import Redirect
from media import tones
from sip import events as sip_events
from sip.access import Trunk
from sip.replaces import Replaces
from sip.uri import Uri
from tests.calls.test_relay import WITHOUT_EVENTS
from tests.calls.test_ways import registered, ringing
from tests.calls.transferring import Transferring
from tests.support.exchange import ACCOUNT, OFFER, Exchange, join, settle

ELSEWHERE = OFFER.replace(b"40000", b"41000")
CAROL = "sip:carol@192.0.2.50"


def replace(exchange, call, *, sdp=ELSEWHERE, trunk=None):
    """Somebody calls in to take the far end's place. Returns his session."""
    session = exchange.session()
    event = sip_events.IncomingCall(session, trunk, None, sdp, replaces=call.session)
    exchange.switchboard.on_sip(event)
    return session


def connected(exchange):
    """Leg and remote address of each connect, in order."""
    return [(leg, media.remote) for leg, media in exchange.media.of("connect")]


def verbs(exchange, *wanted):
    return [(verb, arguments) for verb, arguments, _ in exchange.sip.done if verb in wanted]


class TestReplaces:
    async def test_the_newcomer_has_the_call_its_seat_and_its_leg_and_the_other_gets_a_bye(self):
        exchange = Exchange()
        call = await exchange.dial_in(join())
        before, leg, seats = call.session, call.leg, exchange.media.of("seat")
        session = replace(exchange, call)
        assert call.session is session and call.leg is leg and exchange.media.of("seat") == seats
        assert [verb for verb, _ in verbs(exchange, "answer", "hang_up")] == ["answer", "answer", "hang_up"]
        assert exchange.sip.last("answer")[1][0] is session
        assert exchange.sip.last("hang_up")[1][0] is before
        assert connected(exchange)[-1] == (leg.id, ("127.0.0.1", 41000))
        assert exchange.media.of("readdress") == [(leg.id, "127.0.0.1")]
        assert exchange.switchboard.live_calls == [call] and call.membership is not None
        assert exchange.media.open == {leg.id} and exchange.courier.told == []

    async def test_its_end_is_the_end_of_the_call_and_the_former_one_has_none(self):
        exchange = Exchange()
        call = await exchange.dial_in(join())
        before, session = call.session, replace(exchange, call)
        exchange.switchboard.on_sip(sip_events.CallEnded(before, "BYE"))
        await settle()
        assert call.live
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
        exchange.switchboard.on_sip(sip_events.CallEnded(session, "BYE"))
        await settle()
        assert call.disconnect_cause == "hangup" and exchange.media.open == set()
        assert exchange.courier.event("disconnect")["sipCallId"] == session.call_id

    async def test_a_prompt_and_the_document_go_on(self):
        exchange = Exchange()
        call = await exchange.dial_in(
            "<Response><SpeakSentence>one</SpeakSentence><SpeakSentence>two</SpeakSentence></Response>"
        )
        session = replace(exchange, call)
        await settle()
        assert not exchange.media.playbacks[-1].stopped
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
        await exchange.finish_prompt()
        assert exchange.media.playbacks[-1].samples.startswith(b"two") and call.live

    async def test_two_joined_calls_stay_joined(self):
        t = await Transferring().begin()
        (leg,) = t.legs
        await t.answers(leg)
        replace(t.exchange, leg)
        await settle()
        assert t.joined(leg) and t.asked("transferComplete") == []

    async def test_an_offer_that_cannot_be_used_changes_nothing(self):
        exchange = Exchange()
        call = await exchange.dial_in(join())
        before, leg = call.session, call.leg
        session = replace(exchange, call, sdp=OFFER.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 96"))
        assert exchange.sip.last("reject")[1][:2] == (session, 488)
        assert call.session is before and call.leg is leg and verbs(exchange, "hang_up") == []

    async def test_without_an_offer_ours_is_answered_in_the_ack(self):
        exchange = Exchange()
        call = await exchange.dial_in(join())
        leg = call.leg
        session = replace(exchange, call, sdp=None)
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, ELSEWHERE))
        assert call.leg is leg and connected(exchange)[-1] == (leg.id, ("127.0.0.1", 41000))
        call.end("hangup")
        assert exchange.media.open == set()

    async def test_one_who_was_being_referred_has_not_gone_there(self):
        exchange = Exchange()
        refer = f"<Refer><SipUri>{CAROL}</SipUri></Refer>"
        call = await exchange.dial_in(f"<Response>{refer}<Conference>next</Conference></Response>")
        session = replace(exchange, call)
        await settle()
        assert call.live and call.session is session and call.membership is None, "its ACK is to come"
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
        await settle()
        assert call.membership is not None

    async def test_a_call_that_has_just_ended_is_gone(self):
        exchange = Exchange()
        call = await exchange.dial_in(join())
        call.end("hangup")
        session = replace(exchange, call)
        assert exchange.sip.last("reject")[1] == (session, 481)

    async def test_who_belongs_to_another_account_takes_none_of_this_ones_calls(self):
        users = {"mine": ACCOUNT, "theirs": "1111111", "anybodys": ""}
        trunk = Trunk(name="theirs", host="192.0.2.9", account="1111111")
        exchange = Exchange(users=users, trunks=[trunk])
        call = await exchange.dial_in(join())
        for user, by in (("theirs", None), (None, "theirs"), ("anybodys", "theirs")):
            before, session = call.session, exchange.session()
            event = sip_events.IncomingCall(session, by, user, ELSEWHERE, replaces=call.session)
            exchange.switchboard.on_sip(event)
            assert exchange.sip.last("reject")[1] == (session, 481) and call.session is before
        for user in ("mine", "anybodys", None):
            session = exchange.session()
            event = sip_events.IncomingCall(session, None, user, ELSEWHERE, replaces=call.session)
            exchange.switchboard.on_sip(event)
            assert call.session is session

    async def test_its_place_on_a_trunk_changes_too(self):
        trunk = Trunk(name="carrier", host="192.0.2.9", max_calls=1)
        exchange = Exchange(trunks=[trunk])
        call = await exchange.dial_in(join())
        replace(exchange, call, trunk="carrier")
        assert exchange.trunks["carrier"].calls == 1
        session = replace(exchange, call, trunk="carrier")
        assert exchange.sip.last("reject")[1][:2] == (session, 503)
        replace(exchange, call)
        assert exchange.trunks["carrier"].calls == 0

    async def test_where_our_port_is_taken_towards_the_newcomer_another_one_is_named(self):
        exchange = Exchange()
        call = await exchange.dial_in(join())
        port = call.leg.port
        exchange.media.stays = False
        replace(exchange, call)
        assert call.leg.port != port
        assert f"m=audio {call.leg.port} ".encode() in exchange.sip.last("answer")[1][1]


class TestPickUp:
    """Somebody takes a call of ours that rings elsewhere."""

    async def test_who_takes_it_is_answered_in_the_place_of_all_who_ring(self):
        exchange, call, (first, second) = await ringing(6001, 6002)
        exchange.answer_with(join(), "answer")
        exchange.switchboard.on_sip(sip_events.CallRinging(second, 180, None))
        taker = exchange.session()
        event = sip_events.IncomingCall(taker, None, None, ELSEWHERE, replaces=second)
        exchange.switchboard.on_sip(event)
        await settle()
        assert call.state == "answered" and call.session is taker
        assert [arguments[0] for _, arguments in verbs(exchange, "hang_up")] == [first, second]
        assert exchange.media.open == {call.leg.id}
        assert connected(exchange) == [(call.leg.id, ("127.0.0.1", 41000))]
        for session in (first, second):
            exchange.switchboard.on_sip(sip_events.CallFailed(session, 487, "Request Terminated"))
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(taker, None))
        await settle()
        assert call.live and call.membership is not None
        exchange.switchboard.on_sip(sip_events.CallEnded(taker, "BYE"))
        await settle()
        assert call.disconnect_cause == "hangup" and exchange.media.open == set()
        assert exchange.switchboard.register.sessions == {}

    async def test_no_prompt_is_played_before_his_ack(self):
        exchange, _, (first,) = await ringing(6001)
        exchange.answer_with("<Response><SpeakSentence>one</SpeakSentence></Response>", "answer")
        exchange.switchboard.on_sip(sip_events.CallRinging(first, 180, None))
        taker = exchange.session()
        exchange.switchboard.on_sip(sip_events.IncomingCall(taker, None, None, ELSEWHERE, replaces=first))
        await settle()
        assert exchange.media.playbacks == []
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(taker, None))
        await settle()
        assert exchange.media.playbacks[-1].samples.startswith(b"one")

    async def test_an_offer_that_cannot_be_used_lets_it_ring_on(self):
        exchange, call, (first,) = await ringing(6001)
        exchange.switchboard.on_sip(sip_events.CallRinging(first, 180, None))
        taker = exchange.session()
        video = ELSEWHERE.replace(b"RTP/AVP 0 8 101", b"RTP/AVP 96")
        exchange.switchboard.on_sip(sip_events.IncomingCall(taker, None, None, video, replaces=first))
        await settle()
        assert exchange.sip.last("reject")[1][:2] == (taker, 488) and verbs(exchange, "hang_up") == []
        exchange.switchboard.on_sip(sip_events.CallAnswered(first, OFFER))
        await settle()
        assert call.state == "answered" and call.session is first

    async def test_without_an_offer_ours_is_answered_in_the_ack(self):
        exchange, call, (first,) = await ringing(6001)
        exchange.switchboard.on_sip(sip_events.CallRinging(first, 180, None))
        taker = exchange.session()
        exchange.switchboard.on_sip(sip_events.IncomingCall(taker, None, None, None, replaces=first))
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(taker, ELSEWHERE))
        assert connected(exchange) == [(call.leg.id, ("127.0.0.1", 41000))]

    async def test_a_transfer_is_joined_with_who_takes_it(self):
        t = await Transferring().begin()
        (leg,) = t.legs
        before = leg.session
        t.on(leg, sip_events.CallRinging, 180, None)
        taker = t.exchange.session()
        t.exchange.switchboard.on_sip(sip_events.IncomingCall(taker, None, None, ELSEWHERE, replaces=before))
        t.exchange.switchboard.on_sip(sip_events.CallAcknowledged(taker, None))
        await settle()
        assert t.joined(leg) and leg.session is taker

    async def test_one_who_is_called_for_a_refer_may_be_someone_who_takes_that_call(self):
        a = await (await Asking().begin()).refer()
        await a.on(sip_events.CallRinging, 180, None)
        taker, mixed = a.exchange.session(), a.call.leg
        event = sip_events.IncomingCall(taker, None, None, ELSEWHERE, replaces=a.leg.session)
        a.exchange.switchboard.on_sip(event)
        await settle()
        assert a.call.session is taker and a.call.leg is mixed and a.told() == ["accept", 180, 200]
        assert a.call.awaits_ack
        a.exchange.switchboard.on_sip(sip_events.CallAcknowledged(taker, None))
        assert not a.call.awaits_ack and a.exchange.media.open == {mixed.id}


class Asking:
    """A call whose far end asks for another by REFER."""

    def __init__(self, *, transfers="any", document=None, users=None, trunks=()):
        self.exchange = Exchange(transfers=transfers, users=users, trunks=trunks)
        self.document = document or join()

    async def begin(self):
        self.call = await self.exchange.dial_in(self.document)
        self.before = self.call.session
        return self

    async def refer(self, target=CAROL, replaces=None, referrer=None):
        event = sip_events.ReferRequested(self.call.session, Uri.parse(target), replaces, referrer)
        self.exchange.switchboard.on_sip(event)
        await settle()
        return self

    @property
    def leg(self):
        calls = self.exchange.switchboard.calls(ACCOUNT)
        return next((call for call in reversed(calls) if call.parent == self.call.id), None)

    async def on(self, event, *details):
        self.exchange.switchboard.on_sip(event(self.leg.session, *details))
        await settle()

    async def leaves(self):
        self.exchange.switchboard.on_sip(sip_events.CallEnded(self.before, "BYE"))
        await settle()

    def told(self):
        """What the referrer was answered and told."""
        found = []
        for verb, arguments in verbs(self.exchange, "accept_refer", "refuse_refer", "tell_refer"):
            assert arguments[0] is self.before
            found.append(verb.partition("_")[0] if len(arguments) == 1 else arguments[1])
        return found


class TestRefer:
    @pytest.mark.parametrize("document", [None, "<Response><Pause duration='60'/></Response>"])
    async def test_by_default_nobody_is_called_for_anybody(self, document):
        a = await Asking(transfers="none", document=document).begin()
        await a.refer()
        assert a.told() == [403] and a.leg is None and a.call.live

    async def test_the_one_who_is_named_takes_the_place(self):
        a = await (await Asking().begin()).refer(referrer="<sip:alice@192.0.2.1>")
        assert (
            a.told()
            == [
                "accept",
            ]
            and a.call.session is a.before
        )
        invite = a.exchange.sip.last("invite")[2]
        assert invite["to"] == CAROL and invite["from_uri"] == "sip:room@127.0.0.1"
        assert invite["headers"] == (("Referred-By", "<sip:alice@192.0.2.1>"),)
        assert f"m=audio {a.call.leg.port} ".encode() in invite["sdp"]
        leg, mixed, session = a.leg, a.call.leg, a.leg.session
        await a.on(sip_events.CallRinging, 180, None)
        assert connected(a.exchange) == [(mixed.id, ("127.0.0.1", 40000))], "the other talks on meanwhile"
        await a.on(sip_events.CallAnswered, ELSEWHERE)
        assert a.told() == ["accept", 180, 200]
        assert a.call.session is session and a.call.leg is mixed and a.call.membership is not None
        assert connected(a.exchange)[-1] == (mixed.id, ("127.0.0.1", 41000))
        assert verbs(a.exchange, "hang_up") == [("hang_up", (a.before,))]
        assert not leg.live and a.exchange.switchboard.live_calls == [a.call]
        assert a.exchange.courier.told == [] and a.exchange.media.open == {mixed.id}
        a.exchange.switchboard.on_sip(sip_events.CallEnded(session, "BYE"))
        await settle()
        assert a.call.disconnect_cause == "hangup" and a.exchange.media.open == set()

    @pytest.mark.parametrize(("status", "told"), [(486, 486), (603, 603), (408, 408)])
    async def test_a_failure_is_told_and_the_call_goes_on(self, status, told):
        a = await (await Asking().begin()).refer()
        await a.on(sip_events.CallFailed, status, "Word")
        assert a.told() == ["accept", told] and a.call.live and a.call.session is a.before
        assert a.call.leg is not None and len(a.exchange.media.open) == 1
        await a.refer()
        assert a.told()[-1] == "accept"

    async def test_who_hangs_up_at_once_leaves_a_call_that_waits(self):
        a = await (await Asking().begin()).refer()
        await a.leaves()
        assert a.call.live and a.call.membership is not None
        _, resting = a.exchange.media.of("update")[-1]
        assert (resting.sends, resting.receives) == (False, False)
        await a.on(sip_events.CallAnswered, ELSEWHERE)
        assert a.call.live and a.told() == ["accept", 200]
        assert a.exchange.media.of("connect")[-1][1].sends

    async def test_who_has_hung_up_is_followed_by_the_call_when_nobody_comes(self):
        a = await (await Asking().begin()).refer()
        await a.leaves()
        await a.on(sip_events.CallFailed, 486, "Busy Here")
        assert a.call.disconnect_cause == "hangup" and a.exchange.media.open == set()
        assert a.told() == ["accept", 486]

    async def test_a_call_that_ends_meanwhile_cancels_the_ringing(self):
        a = await (await Asking().begin()).refer()
        leg = a.leg
        a.call.end("hangup")
        await settle()
        assert leg.disconnect_cause == "cancel" and a.told() == ["accept", 487]
        hung_up = [arguments[0] for _, arguments in verbs(a.exchange, "hang_up")]
        assert {session.id for session in hung_up} == {a.before.id, leg.session.id}
        assert a.exchange.switchboard.live_calls == [] and a.exchange.media.open == set()

    async def test_an_invite_that_replaces_the_call_meanwhile_wins(self):
        a = await (await Asking().begin()).refer()
        session = replace(a.exchange, a.call)
        await settle()
        assert a.call.session is session and a.leg.disconnect_cause == "cancel"
        assert a.told() == ["accept", 487] and a.call.live

    async def test_two_at_once_are_one_too_many(self):
        a = await (await Asking().begin()).refer()
        await a.refer("sip:dave@192.0.2.51")
        assert a.told() == ["accept", 403]

    async def test_rest_may_send_the_call_elsewhere_meanwhile(self):
        a = await (await Asking().begin()).refer()
        a.exchange.answer_with(join("other"), "redirect")
        redirect = Redirect(Callback(url="http://app.test/r"))
        await a.exchange.switchboard.redirect_call(a.call, redirect)
        await a.on(sip_events.CallAnswered, ELSEWHERE)
        assert a.call.membership[0].name == "other" and a.told() == ["accept", 200]

    async def test_an_answer_that_cannot_be_used_is_a_failure(self):
        a = await (await Asking().begin()).refer()
        await a.on(sip_events.CallAnswered, None)
        assert a.told() == ["accept", 480] and a.call.live and a.call.leg is not None
        assert a.call.session is a.before

    async def test_what_is_to_be_replaced_there_goes_along(self):
        a = await (await Asking().begin()).refer(replaces=Replaces("a@b", "1", "2"))
        headers = a.exchange.sip.last("invite")[2]["headers"]
        assert headers == (("Replaces", "a@b;to-tag=1;from-tag=2"),)

    async def test_with_users_only_those_who_are_registered_here_are_called(self):
        for target, status in [
            ("sip:alice@127.0.0.1", "accept"),
            ("sip:bob@127.0.0.1", 403),
            (CAROL, 403),
            ("sip:alice@192.0.2.50", 403),
            ("sip:+19195550100@127.0.0.1", 403),
            ("tel:+19195550100", 403),
            ("sip:bob@127.0.0.1:9999", 403),
        ]:
            trunk = Trunk(name="carrier", host="192.0.2.9")
            a = Asking(transfers="users", users={"alice": "", "bob": ""}, trunks=[trunk])
            registered(a.exchange, 6001)
            await (await a.begin()).refer(target)
            assert a.told()[0] == status, target

    @pytest.mark.parametrize("target", ["tel:+19195550100", "sip:+19195550100@127.0.0.1"])
    async def test_a_number_goes_by_trunk(self, target):
        trunk = Trunk(name="carrier", host="192.0.2.9", numbers=("+1*",))
        a = await (await Asking(trunks=[trunk]).begin()).refer(target)
        assert a.exchange.sip.last("invite")[2]["to"] == "sip:+19195550100@192.0.2.9"
        assert a.exchange.trunks["carrier"].calls == 1
        await a.on(sip_events.CallAnswered, ELSEWHERE)
        assert a.exchange.trunks["carrier"].calls == 1
        a.call.end("hangup")
        assert a.exchange.trunks["carrier"].calls == 0

    async def test_who_came_by_a_trunk_may_send_nobody_anywhere(self):
        a = await Asking(trunks=[Trunk(name="carrier", host="192.0.2.9")]).begin()
        a.call.line = a.exchange.trunks.seize("carrier")
        await a.refer()
        assert a.told() == [403]

    async def test_another_accounts_user_is_not_rung(self):
        a = Asking(users={"alice": "other"})
        registered(a.exchange, 6001)
        await (await a.begin()).refer("sip:alice@127.0.0.1")
        assert a.told() == ["accept", 480] and a.call.live

    async def test_the_partner_hears_ringback_until_somebody_answers(self):
        a = Asking()
        document = "<Response><Transfer><SipUri>sip:b@192.0.2.7</SipUri></Transfer></Response>"
        a.document = document
        await a.begin()
        caller, agent = a.call, a.leg
        await a.on(sip_events.CallAnswered, OFFER)
        a.call, a.before = agent, agent.session
        await a.refer()
        await a.on(sip_events.CallRinging, 180, None)
        (ringing,) = a.exchange.media.playbacks
        assert ringing.target is caller.leg and ringing.samples == tones.ringback()
        await a.leaves()
        assert caller.live and agent.live
        await a.on(sip_events.CallAnswered, WITHOUT_EVENTS)
        assert ringing.stopped and caller.live and agent.live
        assert caller.pair is agent.pair and caller.pair.partner(caller) is agent


class Consulting(Asking):
    """Someone whose phone is in two calls: `call` with `caller`, and `consultation` with `expert`."""

    async def begin(self, *, transfers="users"):
        self.exchange = Exchange(transfers=transfers)
        agent = "<Response><Transfer><SipUri>sip:agent@192.0.2.7</SipUri></Transfer></Response>"
        self.caller, self.call = await self._joined(agent)
        expert = "<Response><Transfer><SipUri>sip:expert@192.0.2.8</SipUri></Transfer></Response>"
        self.consultation, self.expert = await self._joined(expert)
        self.before = self.call.session
        self.exchange.sip.session_of = lambda _: self.consultation.session
        return self

    async def _joined(self, document):
        first = await self.exchange.dial_in(document)
        calls = self.exchange.switchboard.calls(ACCOUNT)
        (second,) = (call for call in calls if call.parent == first.id)
        self.exchange.switchboard.on_sip(sip_events.CallAnswered(second.session, OFFER))
        await settle()
        return first, second

    async def transfers(self):
        await self.refer(replaces=Replaces("sip-call", "1", "2"))


class TestAttended:
    async def test_the_one_who_was_consulted_takes_the_place_and_the_consultation_ends(self):
        a = await Consulting().begin()
        session, mixed = a.expert.session, a.call.leg
        consultant = a.consultation.session
        await a.transfers()
        assert a.told() == ["accept", 200]
        assert a.call.session is session and a.call.leg is mixed
        assert a.caller.pair is a.call.pair and a.caller.pair.partner(a.caller) is a.call
        assert not a.consultation.live and not a.expert.live
        hung_up = [arguments[0] for _, arguments in verbs(a.exchange, "hang_up")]
        assert hung_up == [a.before, consultant]
        reinvited, offer = a.exchange.sip.last("reinvite")[1]
        assert reinvited is session and f"m=audio {mixed.port} ".encode() in offer
        session.local_sdp = offer
        a.exchange.switchboard.on_sip(sip_events.MediaAnswered(session, ELSEWHERE))
        assert a.exchange.media.of("update")[-1][1].remote == ("127.0.0.1", 41000)
        assert a.exchange.media.open == {a.caller.leg.id, mixed.id}
        a.exchange.switchboard.on_sip(sip_events.CallEnded(session, "BYE"))
        await settle()
        assert a.exchange.switchboard.live_calls == [] and a.exchange.media.open == set()

    async def test_by_default_it_is_refused(self):
        a = await Consulting().begin(transfers="none")
        await a.transfers()
        assert a.told() == [403] and len(a.exchange.switchboard.live_calls) == 4

    async def test_where_nobody_was_consulted_it_is_refused(self):
        a = await Consulting().begin()
        a.exchange.switchboard.on_sip(sip_events.CallEnded(a.expert.session, "BYE"))
        await settle()
        a.exchange.sip.session_of = lambda _: a.caller.session
        await a.transfers()
        assert a.told() == [403] and a.call.live and a.caller.live

    async def test_another_accounts_call_is_not_joined(self):
        a = await Consulting().begin()
        a.consultation.account = "another"
        await a.transfers()
        assert a.told() == [403] and len(a.exchange.switchboard.live_calls) == 4

    async def test_a_port_that_is_taken_towards_the_expert_is_changed_by_another_offer(self):
        a = await Consulting().begin()
        session, mixed = a.expert.session, a.call.leg
        await a.transfers()
        session.local_sdp, port = a.exchange.sip.last("reinvite")[1][1], mixed.port
        a.exchange.media.stays = False
        a.exchange.switchboard.on_sip(sip_events.MediaAnswered(session, ELSEWHERE))
        reinvited, offer = a.exchange.sip.last("reinvite")[1]
        assert reinvited is session and mixed.port != port and f"m=audio {mixed.port} ".encode() in offer
        session.local_sdp = offer
        a.exchange.switchboard.on_sip(sip_events.MediaAnswered(session, ELSEWHERE))
        assert [verb for verb, _ in verbs(a.exchange, "reinvite")] == ["reinvite"] * 2
