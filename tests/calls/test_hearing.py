"""Why one call does not hear another: each thing that stops a voice, and what is said of it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from calls.errors import NotFound
from media.client import LegStatistics
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, OFFER, Exchange, join, settle

WELL = LegStatistics(
    source=("127.0.0.1", 40000),
    silent_for=0.01,
    received=500,
    sent=500,
    lost=0,
    late=0,
    duplicate=0,
    delay_ms=21.5,
    level_db=-12.0,
    talking=True,
    loudness=-20.0,
    noise=-60.0,
    gain_db=0.0,
)


class Stage:
    """Two calls; `figures` is what media says of each, by call."""

    def __init__(self, exchange, listener, speaker):
        self.exchange, self.listener, self.speaker = exchange, listener, speaker
        self.figures = {listener.leg.id: WELL, speaker.leg.id: WELL}
        exchange.media.leg_statistics = lambda leg: self.figures[leg.id]

    @classmethod
    async def set(cls, listener="", speaker="", room="room"):
        exchange = Exchange()
        first = await exchange.dial_in(listener or join())
        second = await exchange.dial_in(speaker or join(room))
        return cls(exchange, first, second)

    def found(self):
        return self.exchange.switchboard.hearing(ACCOUNT, self.listener.id, self.speaker.id)

    def codes(self):
        return [finding.code for finding in self.found().findings]

    def text(self):
        return self.found().findings[0].description

    async def offered(self, call, sdp):
        self.exchange.switchboard.on_sip(sip_events.MediaOffered(call.session, sdp))
        await settle()


async def test_nothing_is_found_where_all_is_well():
    stage = await Stage.set()
    assert stage.found().hears and stage.found().findings == ()


async def test_two_conferences_are_named():
    stage = await Stage.set(room="elsewhere")
    assert stage.codes() == ["not-together"] and not stage.found().hears
    assert "the listener is in room (conf-" in stage.text() and "in elsewhere (conf-" in stage.text()


@pytest.mark.parametrize(
    ("listener", "speaker", "code"),
    [
        ({}, {"mute": "true"}, "speaker-muted"),
        ({}, {"hold": "true"}, "speaker-held"),
        ({"hold": "true"}, {}, "listener-held"),
    ],
)
async def test_what_a_document_said_is_told_with_its_time(listener, speaker, code):
    stage = await Stage.set(join(**listener), join(**speaker))
    assert stage.codes() == [code]
    assert ", by its document" in stage.text() and "since 20" in stage.text()


async def test_what_rest_has_changed_is_told_as_such_and_the_rest_is_not():
    stage = await Stage.set("", join(mute="true"))
    board = stage.exchange.switchboard
    conference = board.conferences(ACCOUNT)[0]
    await board.update_member(conference, stage.speaker.id, mute=True, hold=True)
    muted, held = stage.found().findings
    assert (muted.code, held.code) == ("speaker-muted", "speaker-held")
    assert "by its document" in muted.description and "by REST" in held.description


async def test_a_coach_is_heard_by_those_he_coaches_alone():
    stage = await Stage.set()
    board = stage.exchange.switchboard
    conference = board.conferences(ACCOUNT)[0]
    await board.update_member(conference, stage.speaker.id, coaches=["c-other"])
    assert stage.codes() == ["speaker-coaches-others"] and "c-other" in stage.text()
    await board.update_member(conference, stage.speaker.id, coaches=[stage.listener.id])
    assert stage.codes() == []


async def test_a_muted_listener_hears():
    stage = await Stage.set(join(mute="true"))
    assert stage.codes() == []


async def test_a_speaker_of_whom_no_packet_came_has_an_address_that_was_not_learnt():
    stage = await Stage.set()
    stage.figures[stage.speaker.leg.id] = replace(WELL, source=None, silent_for=None, received=0)
    assert stage.codes() == ["speaker-address-not-learnt"]
    assert "127.0.0.1:40000" in stage.text()


async def test_a_speaker_whose_packets_do_not_pass_his_keys_is_told_so():
    stage = await Stage.set()
    stage.figures[stage.speaker.leg.id] = replace(WELL, source=None, silent_for=None, rejected=250)
    assert stage.codes() == ["speaker-keys"] and "250 packets" in stage.text()
    stage.figures[stage.speaker.leg.id] = replace(WELL, rejected=3)
    assert stage.codes() == []


async def test_a_line_that_fell_silent_is_told_with_its_seconds():
    stage = await Stage.set()
    stage.figures[stage.speaker.leg.id] = replace(WELL, silent_for=12.34)
    assert stage.codes() == ["speaker-no-packets"] and "for 12.3 s" in stage.text()
    stage.figures[stage.speaker.leg.id] = replace(WELL, silent_for=12.34, source=("2001:db8::1", 40000))
    assert "from [2001:db8::1]:40000" in stage.text()


@pytest.mark.parametrize("level", [None, -78.0])
async def test_a_speaker_who_says_nothing_is_a_hint_and_no_verdict(level):
    stage = await Stage.set()
    stage.figures[stage.speaker.leg.id] = replace(WELL, level_db=level)
    assert stage.codes() == ["speaker-quiet"] and stage.found().hears


async def test_loss_on_either_way_is_a_hint_from_a_tenth_on():
    stage = await Stage.set()
    stage.figures[stage.speaker.leg.id] = replace(WELL, loss=0.09)
    stage.figures[stage.listener.leg.id] = replace(WELL, far_loss=0.09)
    assert stage.codes() == []
    stage.figures[stage.speaker.leg.id] = replace(WELL, loss=0.25)
    stage.figures[stage.listener.leg.id] = replace(WELL, far_loss=0.5)
    assert stage.codes() == ["speaker-loses-packets", "listener-loses-packets"] and stage.found().hears
    assert "25%" in stage.text() and "50%" in stage.found().findings[1].description


async def test_a_hold_by_reinvite_is_told_of_either_side():
    stage = await Stage.set()
    await stage.offered(stage.speaker, OFFER + b"a=recvonly\r\n")
    assert stage.codes() == ["speaker-direction"]
    await stage.offered(stage.speaker, OFFER)
    await stage.offered(stage.listener, OFFER + b"a=sendonly\r\n")
    assert stage.codes() == ["listener-direction"]
    await stage.offered(stage.listener, OFFER)
    await stage.offered(stage.speaker, OFFER + b"a=sendonly\r\n")
    assert stage.codes() == ["speaker-holds-with-music"]


async def test_a_listener_from_whom_nothing_came_may_be_behind_a_nat():
    stage = await Stage.set()
    stage.figures[stage.listener.leg.id] = replace(WELL, source=None, silent_for=None, received=0)
    assert stage.codes() == ["listener-address-not-learnt"] and stage.found().hears


async def test_calls_that_have_ended_or_are_not_answered_yet_are_nowhere():
    stage = await Stage.set()
    stage.exchange.switchboard.on_sip(sip_events.CallEnded(stage.speaker.session, "BYE"))
    await settle()
    assert stage.codes() == ["speaker-ended"] and "hangup" in stage.text()
    stage.speaker = stage.listener
    assert stage.codes() == ["same-call"]


async def test_a_pair_joined_by_a_bridge_hears_each_other_without_a_conference():
    stage = await Stage.set()
    for call in (stage.listener, stage.speaker):
        stage.exchange.switchboard.live_conferences.leave(call)
    assert stage.codes() == ["not-together"]
    pair = SimpleNamespace(over=SimpleNamespace(is_set=lambda: False), leave=lambda _: None)
    stage.listener.pair = stage.speaker.pair = pair
    assert stage.codes() == []


async def test_a_call_of_another_account_is_not_found():
    stage = await Stage.set()
    with pytest.raises(NotFound):
        stage.exchange.switchboard.hearing("1111111", stage.listener.id, stage.speaker.id)
