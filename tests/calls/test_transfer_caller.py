"""Transfer: as whom the caller is shown, and what he hears meanwhile."""

import pytest

from calls.callbacks import Callback
from calls.order import CallOrder
from media import tones
from sip import events as sip_events
from tests.calls.transferring import SCREEN, Transferring, phone, to_transfer
from tests.support.exchange import ACCOUNT, APPLICATION, Trunk, settle

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
