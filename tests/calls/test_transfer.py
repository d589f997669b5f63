"""Transfer: who is rung as whom, who is joined, what each side is told, and what happens when they race."""

import asyncio

import pytest

from calls.callbacks import Callback
from calls.order import CallOrder, Redirect
from media import tones
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, DeliveryFailed, Exchange, Trunk, join, settle

PAUSE = "<Response><Pause duration='60'/></Response>"
SCREEN = "<Response><SpeakSentence>A call for you.</SpeakSentence></Response>"
URLS = 'transferAnswerUrl="/answered" transferDisconnectUrl="/gone"'


def phone(name, attributes=URLS):
    return f"<SipUri {attributes}>sip:{name}@192.0.2.7</SipUri>"


def to_transfer(*destinations, after="", **attributes):
    attributes = {"transferCompleteUrl": "/complete"} | attributes
    written = "".join(f' {name}="{value}"' for name, value in attributes.items() if value)
    return f"<Response><Transfer{written}>{''.join(destinations)}</Transfer>{after}</Response>"


class Transferring:
    """An exchange with a call that runs a Transfer; `legs` are the calls that it has dialled, in order."""

    def __init__(self, *, trunks=(), answer="<Response/>", complete=None):
        self.exchange = Exchange(trunks=trunks)
        self.exchange.answer_with(answer, "transferAnswer")
        self.exchange.answer_with(complete or join("after"), "transferComplete")

    async def begin(self, *destinations, after="", headers=(), **attributes):
        document = to_transfer(*(destinations or (phone("b"),)), after=after, **attributes)
        self.call = await self.exchange.dial_in(document, headers=headers)
        return self

    @property
    def legs(self):
        switchboard = self.exchange.switchboard
        return [call for call in switchboard.calls(ACCOUNT) if call.parent == self.call.id]

    @property
    def invites(self):
        return [named for verb, _, named in self.exchange.sip.done if verb == "invite"]

    def on(self, leg, event, *details):
        self.exchange.switchboard.on_sip(event(leg.session, *details))

    async def answers(self, leg):
        self.on(leg, sip_events.CallAnswered, OFFER)
        await settle()

    async def hangs_up(self, call):
        self.on(call, sip_events.CallEnded, "BYE")
        await settle()

    def asked(self, kind):
        return [(to, event) for to, event in self.exchange.courier.asked if event["eventType"] == kind]

    def told(self, kind="transferDisconnect"):
        return [(to, event) for to, event in self.exchange.courier.told if event["eventType"] == kind]

    def seated(self):
        """Leg ids by room, of those seated now."""
        seated = {}
        for verb, *what in self.exchange.media.done:
            if verb == "seat":
                seated[what[0]] = what[1]
            elif verb == "end_room":
                seated = {leg: room for leg, room in seated.items() if room != what[0]}
        return seated

    def joined(self, leg):
        seated = self.seated()
        ours, theirs = self.call.leg.id, leg.leg.id
        return ours in seated and seated[ours] == seated.get(theirs) and len(seated) == 2


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


# Who the caller is


async def test_the_default_caller_id_is_the_remote_party():
    t = Transferring()
    order = CallOrder(
        application_id=APPLICATION,
        to="sip:x@192.0.2.8",
        from_="+19195550100",
        answer=Callback(url="http://app.test/answer"),
    )
    t.exchange.answer_with(to_transfer(phone("b")), "answer")
    t.call = await t.exchange.switchboard.create_call(ACCOUNT, order)
    await settle()
    await t.answers(t.call)
    assert t.invites[1]["from_uri"] == "sip:x@192.0.2.8"


async def test_caller_id_and_display_name_are_shown():
    t = await Transferring().begin(transferCallerId="+19195550199", transferCallerDisplayName="Desk")
    assert t.invites[0]["from_uri"] == "sip:+19195550199@127.0.0.1"
    assert t.invites[0]["display_name"] == "Desk" and t.invites[0]["headers"] == ()


@pytest.mark.parametrize("word", ["Restricted", "anonymous", "Private", "Unavailable"])
async def test_a_withheld_number_is_anonymous_to_everybody(word):
    trunk = Trunk(name="carrier", host="192.0.2.9", numbers=("+1*",))
    t = Transferring(trunks=[trunk])
    await t.begin("<PhoneNumber>+19195550100</PhoneNumber>", phone("b"), transferCallerId=word)
    for named in t.invites:
        assert named["from_uri"] == "sip:anonymous@anonymous.invalid" and named["display_name"] == "Anonymous"
        assert named["headers"] == (("Privacy", "id"),)


async def test_with_privacy_only_a_trunk_still_learns_the_number():
    trunk = Trunk(name="carrier", host="192.0.2.9", numbers=("+1*",))
    t = await Transferring(trunks=[trunk]).begin(
        "<PhoneNumber>+19195550100</PhoneNumber>", phone("b"), privacy="true"
    )
    by_trunk, direct = t.invites
    assert by_trunk["from_uri"] == direct["from_uri"] == "sip:anonymous@anonymous.invalid"
    identity = ("P-Asserted-Identity", "<sip:+19195550001@127.0.0.1>")
    assert by_trunk["headers"] == (("Privacy", "id"), identity)
    assert direct["headers"] == (("Privacy", "id"),)


async def test_user_to_user_goes_to_the_destination_that_has_it():
    t = await Transferring().begin(phone("a", 'uui="YWJj;encoding=base64"'), phone("b"))
    assert [named["headers"] for named in t.invites] == [(("User-to-User", "YWJj;encoding=base64"),), ()]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, ()),
        ({"diversionTreatment": "propagate"}, ("<sip:x@y>;reason=away",)),
        (
            {"diversionTreatment": "stack", "diversionReason": "no-answer"},
            ("<sip:room@127.0.0.1>;reason=no-answer;counter=1", "<sip:x@y>;reason=away"),
        ),
    ],
)
async def test_diversions_are_dropped_passed_on_or_stacked(attributes, expected):
    came_with = (("Diversion", "<sip:x@y>;reason=away"),)
    t = await Transferring().begin(headers=came_with, **attributes)
    assert t.invites[0]["headers"] == tuple(("Diversion", value) for value in expected)


# What the caller hears


async def test_the_caller_hears_ringback_from_the_first_ringing_until_he_is_joined():
    t = await Transferring(answer=SCREEN).begin(phone("a"), phone("b"))
    assert t.exchange.media.playbacks == []
    for leg in t.legs:
        t.on(leg, sip_events.CallRinging, 180, None)
    await settle()
    (ringback,) = t.exchange.media.playbacks
    assert ringback.target is t.call.leg and ringback.samples == tones.ringback()
    await t.answers(t.legs[0])
    assert not ringback.stopped
    await t.exchange.finish_prompt()
    assert ringback.stopped and t.joined(t.legs[0])


async def test_ringback_stops_when_nobody_answers():
    t = await Transferring().begin()
    (leg,) = t.legs
    t.on(leg, sip_events.CallRinging, 180, None)
    await settle()
    t.on(leg, sip_events.CallFailed, 486, "Busy Here")
    await settle()
    assert t.exchange.media.playbacks[0].stopped


# Either side leaves


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
