"""The test phone against itself: what later tests lean on."""

import pytest

from tests.support.eventually import eventually
from tests.support.phone import CallRefused
from tests.support.sounds import Samples, Tone, noise
from tests.support.studio import Studio
from tests.support.tones import find, is_silent, tones


@pytest.fixture
async def studio():
    async with Studio() as studio:
        yield studio


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_two_phones_hear_each_other(studio, transport):
    alice = await studio.phone("alice", transport=transport, sound=Tone(410))
    bob = await studio.phone("bob", transport=transport, sound=Tone(670))
    alice.server = (bob.host, bob.port)
    call = await alice.dial(bob.uri)
    answered = await bob.incoming()
    for ear, tone in ((call, 670), (answered, 410)):
        await eventually(lambda ear=ear, tone=tone: tones(ear.line.pcm(last=0.2)) == {tone})
    assert call.line.lost() == 0
    await call.bye()
    await answered.ended()


async def test_samples_arrive_whole_at_every_ptime(studio):
    bob = await studio.phone("bob")
    for ptime in (10, 20, 30, 60):
        sound = noise(ptime, 0.5)
        alice = await studio.phone("alice")
        call = await alice.dial(
            bob.uri, sound=Samples(sound), ptime=ptime, sequence=65530, timestamp=2**32 - 400
        )
        answered = bob.incoming_calls[-1]
        await eventually(lambda a=answered: len(a.line.pcm()) > 5000)
        score, _ = find(sound, answered.line.pcm())
        assert score > 0.99
        assert answered.line.lost() == 0
        await call.bye()


async def test_refusal_cancel_and_digest(studio):
    bob = await studio.phone("bob", answers=486)
    alice = await studio.phone("alice")
    with pytest.raises(CallRefused) as refused:
        await alice.dial(bob.uri)
    assert refused.value.status == 486

    bob.answers = "ring"
    call = alice.invite(bob.uri)
    ringing = await bob.incoming(2)
    await eventually(lambda: call.state == "ringing")
    await call.cancel()
    await ringing.ended()
    assert await call.refused() == 487

    bob.answers, bob.demands = "accept", ("alice", "secret")
    assert await alice.invite(bob.uri).refused() == 407
    alice.password = "wrong"
    assert await alice.invite(bob.uri).refused() == 407
    alice.password = "secret"
    await (await alice.dial(bob.uri)).bye()


async def test_hold_stops_the_sound_and_resume_brings_it_back(studio):
    bob = await studio.phone("bob", sound=Tone(670))
    alice = await studio.phone("alice", sound=Tone(410))
    call = await alice.dial(bob.uri)
    answered = await bob.incoming()
    await eventually(lambda: tones(answered.line.pcm(last=0.2)) == {410})
    await call.reoffer("inactive")
    heard = len(answered.line.received)
    assert not call.line.sending and not answered.line.sending
    await call.reoffer("sendrecv")
    await eventually(lambda: len(answered.line.received) > heard + 20)
    await call.bye()


async def test_digits_leave_as_events_and_rebinding_changes_the_source(studio):
    bob = await studio.phone("bob")
    alice = await studio.phone("alice")
    call = await alice.dial(bob.uri)
    answered = await bob.incoming()
    call.line.press("5#")
    await eventually(lambda: not call.line.pressing)
    await eventually(lambda: len(answered.line.audio) > 20)
    events = [packet for packet in answered.line.received if packet.payload_type == 101]
    assert {packet.payload[0] for packet in events} == {5, 11}
    assert len([packet for packet in events if packet.payload[1] & 0x80]) == 6
    call.socket.rebind()
    await eventually(lambda: answered.line.received[-1].source == call.socket.address)
    assert is_silent(answered.line.pcm(last=0.1))
    await call.bye()
