"""Rooms with legs of several rates and codecs: who hears whom, how exactly, and that nobody hears more."""

import numpy as np
import pytest

from mixer import Mixer, Room
from tests.mixer.stage import push
from tests.mixer.wide import Phone, talk

CODECS = [
    ("PCMU", 8000),
    ("PCMA", 8000),
    ("L16", 8000),
    ("L16", 16000),
    ("G722", 16000),
    ("OPUS", 8000),
    ("OPUS", 16000),
    ("OPUS", 48000),
]
FREQUENCIES = (410, 530, 670, 830, 970, 1130, 1370, 1550)


@pytest.fixture
def mixer() -> Mixer:
    return Mixer(32)


def test_phones_of_every_codec_hear_all_others_and_not_themselves(mixer):
    phones = [Phone(mixer, codec, rate).join() for codec, rate in CODECS]
    tones = dict(zip(phones, FREQUENCIES, strict=True))
    talk(mixer, {phone: float(tone) for phone, tone in tones.items()}, beats=60)
    for listener in phones:
        own = tones[listener]
        assert listener.level(own) < 300, (listener.codec, listener.rate)
        for speaker, tone in tones.items():
            if speaker is not listener:
                heard = listener.level(tone)
                assert 3500 < heard < 7000, (listener.codec, listener.rate, speaker.codec, heard)


@pytest.mark.parametrize(("codec", "rate"), [("L16", 8000), ("L16", 16000)])
def test_within_a_rate_the_sum_is_exact(mixer, codec, rate):
    random = np.random.default_rng(1)
    phones = [Phone(mixer, codec, rate).join() for _ in range(4)]
    narrow = Phone(mixer).join()  # makes the room one of two rates, and says nothing
    for _ in range(12):
        frames = {phone: random.integers(-12_000, 12_000, phone.frame).astype(np.int16) for phone in phones}
        push(
            mixer, [phone.packet(frame) for phone, frame in frames.items()] + [narrow.packet(narrow.zeros())]
        )
        mixer.tick()
    for listener in phones:
        others = [frame.astype(np.int64) for phone, frame in frames.items() if phone is not listener]
        listener.listen()
        assert (listener.heard[-1] == np.clip(sum(others), -32768, 32767)).all()


def test_across_rates_a_tone_arrives_whole_and_late_by_the_filter_alone(mixer):
    wide, narrow = Phone(mixer, "L16", 16000).join(), Phone(mixer, "L16", 8000).join()
    talk(mixer, {wide: 1000.0, narrow: 0.0}, beats=30)
    assert narrow.level(1000) == pytest.approx(6000, rel=0.01)
    talk(mixer, {wide: 0.0, narrow: 1000.0}, beats=30)
    assert wide.level(1000) == pytest.approx(6000, rel=0.01)


def test_what_a_narrow_phone_cannot_hear_does_not_reach_it_as_something_else(mixer):
    wide, narrow = Phone(mixer, "L16", 16000).join(), Phone(mixer, "L16", 8000).join()
    talk(mixer, {wide: 5000.0, narrow: 0.0}, beats=30)
    assert max(int(np.abs(frame).max()) for frame in narrow.heard[-10:]) < 10


def test_a_wideband_pair_in_a_room_with_a_narrowband_phone_still_hears_wideband(mixer):
    one, other = Phone(mixer, "L16", 16000).join(), Phone(mixer, "OPUS", 16000).join()
    narrow = Phone(mixer, "PCMU").join()
    talk(mixer, {one: 6000.0, other: 0.0, narrow: 0.0}, beats=40)
    assert other.level(6000) > 3000
    talk(mixer, {one: 0.0, other: 6000.0, narrow: 0.0}, beats=40)
    assert one.level(6000) > 3000
    assert narrow.level(2000) < 30


@pytest.mark.parametrize(
    ("coach_at", "agent_at", "customer_at"),
    [
        (("L16", 16000), ("PCMU", 8000), ("PCMU", 8000)),
        (("PCMU", 8000), ("OPUS", 48000), ("OPUS", 48000)),
        (("OPUS", 48000), ("G722", 16000), ("G722", 16000)),
        (("G722", 16000), ("G722", 16000), ("PCMA", 8000)),
    ],
)
def test_a_coach_is_heard_by_the_coached_alone_whatever_they_hear_in(mixer, coach_at, agent_at, customer_at):
    agent, customer = Phone(mixer, *agent_at).join(), Phone(mixer, *customer_at).join()
    coach = Phone(mixer, *coach_at).join(coaches=[agent.handle])
    talk(mixer, {coach: 1000.0, agent: 530.0, customer: 830.0}, beats=60)
    assert agent.level(1000) > 3500
    assert customer.level(1000) < 30
    assert coach.level(530) > 3500
    assert coach.level(830) > 3500
    assert customer.level(530) > 3500


def test_muted_and_held_phones_of_another_rate_are_not_heard(mixer):
    muted, held = Phone(mixer, "OPUS", 48000).join(mute=True), Phone(mixer, "G722", 16000).join(hold=True)
    listener = Phone(mixer).join()
    talk(mixer, {muted: 530.0, held: 830.0, listener: 1130.0}, beats=40)
    assert max(int(np.abs(frame).max()) for frame in listener.heard[-20:]) <= 8
    assert muted.level(1130) > 3500
    assert max(int(np.abs(frame).max()) for frame in held.heard[-10:]) < 10


def test_prompts_reach_legs_and_rooms_of_every_rate(mixer):
    phones = [Phone(mixer, codec, rate).join() for codec, rate in CODECS]
    at = np.arange(8000 * 2) / 8000
    mixer.play(Room(1), np.rint(6000 * np.sin(2 * np.pi * 700 * at)).astype(np.int16))
    mixer.play(phones[-1].handle, np.rint(6000 * np.sin(2 * np.pi * 1900 * at)).astype(np.int16))
    talk(mixer, {}, beats=90, listeners=tuple(phones))
    for phone in phones:
        assert 4500 < phone.level(700) < 7000, (phone.codec, phone.rate)
        assert (phone.level(1900) > 3500) == (phone is phones[-1])


@pytest.mark.parametrize("gap", [0, 1])
def test_a_leg_goes_on_in_another_codec_within_two_frames_and_without_a_click(mixer, gap):
    listener, leg = Phone(mixer, "L16", 16000).join(), Phone(mixer, "PCMU").join()

    def say(beats: int) -> None:
        for _ in range(beats):
            push(mixer, [leg.packet(leg.tone(200))])
            mixer.tick()
            listener.listen()

    say(20)
    codecs = ("OPUS", 48000), ("PCMA", 8000), ("G722", 16000), ("L16", 8000), ("OPUS", 16000), ("PCMU", 8000)
    for codec, rate in codecs:
        leg.change(codec, rate)
        for _ in range(gap):
            mixer.tick()
            listener.listen()
        say(30)
        heard = np.concatenate(listener.heard[-34:]).astype(float)
        loudest = np.abs(heard).reshape(-1, 320).max(axis=1)
        assert loudest[4 + gap + 2 :].min() > 1000, codec
        assert loudest[-10:].min() > 5000, codec
        assert np.abs(np.diff(heard)).max() < 6 * 471, codec  # 471 are the tone's own


def test_a_wide_leg_whose_far_end_sends_g711_all_the_same_is_heard(mixer):
    listener = Phone(mixer, "L16", 16000).join()
    leg = Phone(mixer, "PCMU")
    mixer.set_format(leg.handle, 5)
    leg.join()
    for _ in range(30):
        push(mixer, [leg.packet(leg.tone(700))])
        mixer.tick()
        listener.listen()
    assert 5000 < listener.level(700) < 7000


def test_a_filter_between_rates_ends_with_the_people_it_stood_between(mixer):
    talker, other = Phone(mixer).join(), Phone(mixer, "L16", 16000).join()
    talk(mixer, {talker: 700.0}, beats=20, listeners=(other,))
    mixer.close(talker.handle)
    mixer.close(other.handle)
    mixer.tick()
    newcomer, listener = Phone(mixer).join(), Phone(mixer, "L16", 16000).join()
    mixer.tick()
    assert newcomer.row == talker.row
    assert not mixer.bus(listener.handle).any()
