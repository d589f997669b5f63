"""One encode per distinct sound: who shares, who does not, and that nobody hears a seam."""

import numpy as np
import pytest

from mixer import Mixer, Tuning
from mixer.encode import WARM
from tests.mixer.stage import push
from tests.mixer.wide import Phone, talk


class Room:
    """A talker in L16 and three listeners behind gates; the talker says a tone of 200 Hz, or nothing."""

    def __init__(self, codec: str, rate: int) -> None:
        self.mixer = Mixer(16)
        self.talker = Phone(self.mixer, "L16", 16000).join()
        self.listeners = [Phone(self.mixer, codec, rate).join() for _ in range(3)]
        for phone in self.listeners:
            self.mixer.analyse(phone.handle, gate=True, keys=False)

    def run(self, beats: int, *, tone: bool = True, speaks: bool = False) -> int:
        """Some beats, in which the first listener says a tone of his own or sends silence; how many
        payloads were encoded in the last."""
        first = self.listeners[0]
        for _ in range(beats):
            made = self.mixer.encoded
            said = self.talker.tone(200) if tone else self.talker.zeros()
            own = first.tone(1500) if speaks else first.zeros()
            push(self.mixer, [self.talker.packet(said), first.packet(own)])
            self.mixer.tick()
            for phone in self.listeners:
                phone.listen()
        return self.mixer.encoded - made

    def steepest(self, which: int, beats: int) -> int:
        heard = np.concatenate(self.listeners[which].heard[-beats:]).astype(int)
        return int(np.abs(np.diff(heard)).max())


@pytest.mark.parametrize(("codec", "rate"), [("OPUS", 16000), ("OPUS", 48000)])
def test_nobody_hears_the_moment_at_which_an_encoder_is_shared_or_left(codec, rate):
    room = Room(codec, rate)
    assert room.run(2 * WARM) == 1
    steady = room.steepest(1, 10)
    assert room.run(20, speaks=True) == 2
    assert room.steepest(0, 22) <= 1.1 * steady
    assert room.run(50 + WARM) == 1  # after the gate has closed, and some time more
    assert room.steepest(0, 50 + WARM) <= 1.1 * steady


def test_listeners_of_g722_find_together_in_silence_alone():
    """Encoders of G.722 that have come apart stay so: a switch would be heard while anything sounds."""
    room = Room("G722", 16000)
    assert room.run(2 * WARM) == 4
    assert room.run(2 * WARM, tone=False) == 1
    room.run(20)
    steady = room.steepest(1, 10)
    assert room.run(20, speaks=True) == 2
    assert room.steepest(0, 22) <= 1.1 * steady
    assert room.run(60) == 2  # the others, and he who cannot come back to them before silence
    assert room.steepest(0, 60) <= 1.1 * steady


def test_those_who_hear_nothing_share_silence_whatever_their_room():
    mixer = Mixer(16)
    phones = [Phone(mixer, "G722", 16000).join(room, hold=True) for room in (1, 1, 2, 3)]
    phones.append(Phone(mixer, "G722", 16000))  # in no room
    talk(mixer, {}, beats=2 * WARM, listeners=tuple(phones))
    made = mixer.encoded
    mixer.tick()
    assert mixer.encoded == made + 1


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_silence_is_encoded_for_nobody_and_nobody_hears_it_begin_or_end(rate):
    mixer = Mixer(16)
    talker = Phone(mixer, "L16", 16000).join()
    phone = Phone(mixer, "OPUS", rate).join()
    for beats, tone in ((40, 500.0), (40, 0.0), (40, 700.0)):
        made = mixer.encoded
        talk(mixer, {talker: tone}, beats=beats, listeners=(phone,))
        assert mixer.encoded - made == beats if tone else mixer.encoded - made < 10
        heard = np.concatenate(phone.heard[-20:]).astype(int)
        if tone:
            assert 5000 < phone.level(tone) < 7000
            steady = np.abs(np.diff(heard)).max()
            begun = np.concatenate(phone.heard[-beats:]).astype(int)
            assert np.abs(np.diff(begun)).max() <= 1.15 * steady
        else:
            assert np.abs(heard).max() <= 1


def test_silence_is_the_same_for_all_whatever_they_heard_before():
    mixer = Mixer(16)
    talker = Phone(mixer, "L16", 16000).join()
    phones = [Phone(mixer, "OPUS", 16000).join() for _ in range(2)]
    phones.append(Phone(mixer, "OPUS", 16000).join(2))
    talk(mixer, {talker: 500.0}, beats=20)
    talk(mixer, {talker: 0.0}, beats=20)
    assert len({phone.payload() for phone in phones}) == 1


def test_a_sender_who_may_stop_in_silence_does():
    mixer = Mixer(8)
    phone = Phone(mixer, "OPUS", 16000, Tuning(dtx=True)).join()
    sent = []
    for _ in range(60):
        mixer.tick()
        sent.append(len(phone.payload()))
    assert sent[-40:].count(0) > 30
    assert any(sent[-40:])  # and says so now and then


def test_a_prompt_to_one_is_encoded_for_him_alone():
    mixer = Mixer(16)
    phones = [Phone(mixer, "OPUS", 16000).join() for _ in range(3)]
    talk(mixer, {}, beats=2 * WARM, listeners=tuple(phones))
    at = np.arange(8000) / 8000
    mixer.play(phones[0].handle, np.rint(6000 * np.sin(2 * np.pi * 700 * at)).astype(np.int16))
    made = mixer.encoded
    talk(mixer, {}, beats=30, listeners=tuple(phones))
    assert mixer.encoded - made == 30
    assert phones[0].level(700) > 3000
    assert phones[1].level(700) < 10


def test_those_who_want_to_be_sent_to_in_other_ways_do_not_share():
    mixer = Mixer(16)
    talker = Phone(mixer, "L16", 16000).join()
    phones = [
        Phone(mixer, "OPUS", 16000, Tuning(bitrate=bitrate)).join() for bitrate in (16_000, 16_000, 32_000)
    ]
    talk(mixer, {talker: 700.0}, beats=2 * WARM, listeners=tuple(phones))
    made = mixer.encoded
    talk(mixer, {talker: 700.0})
    assert mixer.encoded == made + 2


def test_encoders_of_rooms_that_are_over_are_dropped():
    mixer = Mixer(8)
    phones = [Phone(mixer, "OPUS", 16000) for _ in range(2)]
    for room in range(60):
        for phone in phones:
            phone.join(room)
        mixer.tick()
        mixer.tick()
    for _ in range(WARM):
        mixer.tick()
    assert len(mixer._encoders._shared) == 1
