"""What a trunk says of its sound: prompts that wait, and packets that do."""

import pytest

from sip import events as sip_events
from tests.support.exchange import Exchange, Trunk, settle
from tests.support.hand import Hand

TRUNK = Trunk(name="carrier", host="192.0.2.9", leading_silence=300, delay_floor=40)
DOCUMENT = "<Response><SpeakSentence>One.</SpeakSentence><SpeakSentence>Two.</SpeakSentence></Response>"


@pytest.fixture
async def hand(monkeypatch):
    return Hand(monkeypatch)


async def test_the_first_prompt_waits_from_the_ack_on_and_the_next_does_not(hand):
    exchange = Exchange(trunks=[TRUNK])
    exchange.answer_with(DOCUMENT)
    session = exchange.ring(trunk="carrier")
    await settle()
    await hand.on(1)  # the ACK takes its time
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    await hand.on(0.29)
    assert not exchange.media.playbacks
    await hand.on(0.02)
    assert len(exchange.media.playbacks) == 1
    await exchange.finish_prompt()
    assert len(exchange.media.playbacks) == 2


async def test_the_silence_is_over_when_fetching_the_prompt_took_longer(hand):
    exchange = Exchange(trunks=[TRUNK])
    exchange.answer_with("<Response><Pause duration='1'/><SpeakSentence>One.</SpeakSentence></Response>")
    session = exchange.ring(trunk="carrier")
    await settle()
    exchange.switchboard.on_sip(sip_events.CallAcknowledged(session, None))
    await settle()
    await hand.on(1.01)
    assert len(exchange.media.playbacks) == 1


async def test_phones_hear_at_once(hand):
    exchange = Exchange(trunks=[TRUNK])
    await exchange.dial_in(DOCUMENT)
    assert len(exchange.media.playbacks) == 1
    assert not exchange.media.of("treat")


async def test_packets_of_a_trunk_wait_as_it_says(hand):
    exchange = Exchange(trunks=[TRUNK])
    await exchange.dial_in(DOCUMENT, trunk="carrier")
    ((leg, bounds),) = exchange.media.of("treat")
    assert bounds == {"floor": 40, "ceiling": None} and leg in exchange.media.open
