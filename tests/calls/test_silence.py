"""A leg that says nothing is told of once its caller has acknowledged our answer: before, it is no call."""

import logging

import pytest

from media.client import LegHeard, LegSilent
from sip import events as sip_events
from tests.support.exchange import Exchange, join, settle


def told(caplog: pytest.LogCaptureFixture) -> list[float]:
    return [record.seconds for record in caplog.records if record.message == "leg_silent"]


async def test_a_silent_leg_is_told_of_when_its_ack_has_come(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    exchange = Exchange()
    exchange.answer_with(join())
    session = exchange.ring()
    await settle()
    (call,) = exchange.switchboard.live_calls
    exchange.switchboard.on_media(LegSilent(call.leg.id, 10.0))
    assert (told(caplog), exchange.switchboard.silence.total) == ([], 0)
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    assert (told(caplog), exchange.switchboard.silence.total) == ([10.0], 1)
    call.end("hangup")


@pytest.mark.parametrize("way", ["it is heard", "it never comes"])
async def test_a_leg_is_not_told_of_when(caplog: pytest.LogCaptureFixture, way: str):
    caplog.set_level(logging.WARNING)
    exchange = Exchange()
    exchange.answer_with(join())
    session = exchange.ring()
    await settle()
    (call,) = exchange.switchboard.live_calls
    exchange.switchboard.on_media(LegSilent(call.leg.id, 10.0))
    if way == "it is heard":
        exchange.switchboard.on_media(LegHeard(call.leg.id))
        exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
        call.end("hangup")
    else:
        exchange.switchboard.on_sip(sip_events.CallEnded(session, "no ACK to our 200"))
    await settle()
    assert (told(caplog), exchange.switchboard.silence.total) == ([], 0)
    assert len(exchange.switchboard.silence) == 0


async def test_a_live_call_that_falls_silent_is_told_of_at_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING)
    exchange = Exchange()
    call = await exchange.dial_in(join())
    exchange.switchboard.on_media(LegSilent(call.leg.id, 10.0))
    assert (told(caplog), exchange.switchboard.silence.total) == ([10.0], 1)
    call.end("hangup")
