"""What the engine hears in the sound of legs, and tells: talkers, levels, keys by their tones."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from media.messages import Digit, Open, Seat, Sound, Treat
from mixer import ULAW, g711
from tests.mixer.sounds import key, noise, samples, silence, syllables, tone
from tests.support.tones import rms
from tests.support.virtual_network import Address, VirtualMedia, connect, rtp

ALICE = ("198.51.100.1", 4000)
BOB = ("198.51.100.2", 4000)


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


def payload(sound: NDArray[np.int16]) -> bytes:
    coded = np.empty((1, sound.size), np.uint8)
    g711.encode(sound[None].astype(np.int32), g711.encode_base(np.array([ULAW], np.uint8)), coded)
    return coded.tobytes()


class Speaker:
    """Sends a sound as mu-law packets of 20 ms, one a beat."""

    def __init__(self, media: VirtualMedia, source: Address) -> None:
        self.media, self.source, self.sent = media, source, 0

    def say(self, sound: NDArray[np.int16], *, hearer: Address = BOB) -> NDArray[np.int16]:
        """What `hearer` was sent meanwhile."""
        coded, heard = payload(sound), []
        for at in range(0, len(coded) - 159, 160):
            self.media.say(self.source, rtp(self.sent, ssrc=5, payload=coded[at : at + 160]))
            self.sent += 1
            heard += [data[12:] for _, to, data in self.media.beat() if to == hearer]
        out = np.empty((1, 160 * len(heard)), np.int16)
        words = np.frombuffer(b"".join(heard), np.uint8)[None].astype(np.uint16) | g711.VALID
        g711.decode(words, out)
        return out[0]


def together(media: VirtualMedia, **alice: object) -> Speaker:
    """Alice and Bob in a room; Alice is to speak."""
    media.open(1, ALICE, **alice)
    media.open(2, BOB)
    media.commands += [Seat(leg, 1, False, False, None, []) for leg in (1, 2)]
    return Speaker(media, ALICE)


def figures(media: VirtualMedia, leg: int) -> np.void:
    (row,) = np.flatnonzero(media.shared.legs["leg"] == leg)
    figure: np.void = media.shared.legs[row]
    return figure


def test_who_talks_is_told_in_the_beat_and_how_loud_five_times_a_second(media: VirtualMedia) -> None:
    alice = together(media)
    alice.say(samples(noise(1, -60)))
    assert not figures(media, 1)["talking"]
    alice.say(samples(syllables(1, -20)))
    assert figures(media, 1)["talking"] and not figures(media, 2)["talking"]
    level = 10 * np.log10(figures(media, 1)["level"] / 32768**2)
    assert level == pytest.approx(-20, abs=5)
    alice.say(samples(noise(1, -60)))
    assert not figures(media, 1)["talking"]


def test_keys_are_heard_where_no_telephone_event_was_agreed_and_nowhere_else(media: VirtualMedia) -> None:
    sound = samples(silence(0.2), *[part for name in "19#D" for part in (key(name), silence(0.08))])
    together(media, dtmf=-1).say(sound)
    assert media.told(Digit) == [Digit(1, name, media.told(Digit)[0].duration, True) for name in "19#D"]
    assert 50 <= media.told(Digit)[0].duration <= 80
    media.commands.append(connect(1, ALICE, dtmf=101))
    Speaker(media, ALICE).say(sound)
    assert len(media.told(Digit)) == 4


def test_the_tone_beside_a_telephone_event_is_not_heard_by_the_others(media: VirtualMedia) -> None:
    alice = together(media)
    before = alice.say(samples(tone(0.4, -20)))
    beside = []
    for packet in range(15):
        event = bytes([5, 10]) + (160 * (packet + 1)).to_bytes(2, "big")
        media.say(ALICE, rtp(10_000 + packet, ssrc=5, payload=event, payload_type=101, timestamp=160 * 20))
        beside.append(alice.say(samples(key("5", 0.02))))
    assert rms(before[-1600:]) > 1000
    assert rms(np.concatenate(beside[2:])) < 10
    after = alice.say(samples(tone(0.6, -20)))
    assert rms(after[-1600:]) > 1000


@pytest.mark.parametrize(("payload_type", "spectrum", "above"), [(13, b"", 0), (98, b"\x14", -12)])
def test_comfort_noise_is_heard_in_the_pause_and_neither_it_nor_keys_count_as_lost(
    media: VirtualMedia, payload_type: int, spectrum: bytes, above: int
) -> None:
    """`above`: dB of the upper half of its spectrum beside the lower."""
    alice = together(media, comfort=98)
    alice.say(samples(tone(1, -20)))
    comfort = rtp(alice.sent, ssrc=5, payload=bytes([50]) + spectrum, payload_type=payload_type)
    media.say(ALICE, comfort)
    media.say(ALICE, rtp(alice.sent + 1, ssrc=5, payload=bytes([5, 138, 1, 0]), payload_type=101))
    heard = [data[12:] for _ in range(60) for _, to, data in media.beat() if to == BOB]
    words = np.frombuffer(b"".join(heard[20:]), np.uint8)[None].astype(np.uint16) | g711.VALID
    noise_heard = np.empty(words.shape, np.int16)
    g711.decode(words, noise_heard)
    assert 20 * np.log10(rms(noise_heard[0]) / 32768) == pytest.approx(-50, abs=1.5)
    lower, upper = np.array_split(np.square(np.abs(np.fft.rfft(noise_heard[0]))), 2)
    assert 10 * np.log10(upper.sum() / lower.sum()) == pytest.approx(above, abs=2)
    packet = payload(samples(tone(0.02, -20)))
    media.say(ALICE, rtp(alice.sent + 2, ssrc=5, payload=packet, timestamp=160 * (alice.sent + 60)))
    media.beat(15)
    assert figures(media, 1)["lost"] == 0


def test_the_operator_may_let_keys_be_heard() -> None:
    media = VirtualMedia(sound=Sound(keys_heard=True))
    heard = together(media, dtmf=-1).say(samples(silence(0.2), key("5", 0.3), silence(0.2)))
    assert rms(heard[3200:4000]) > 1000
    media.close()


def test_a_gate_is_for_the_codecs_that_have_one() -> None:
    media = VirtualMedia(sound=Sound(gate=("PCMU",)))
    heard = together(media).say(samples(noise(1, -60), tone(0.5, -20), noise(1, -60)))
    assert rms(heard[2000:7500]) < 10 and rms(heard[9000:11000]) > 1000 and rms(heard[-1600:]) < 10
    media.close()


def test_gain_control_is_for_all_or_for_a_member(media: VirtualMedia) -> None:
    alice = together(media)
    alice.say(samples(syllables(4, -40) + noise(4, -75)))
    assert figures(media, 1)["gain"] == 1
    media.commands.append(Treat(1, True, 6, 200))
    alice.say(samples(syllables(4, -40) + noise(4, -75)))
    assert figures(media, 1)["gain"] > 1.5


def test_a_leg_waits_as_long_as_is_said_of_it(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.commands.insert(1, Treat(1, False, 46, 200))
    Speaker(media, ALICE).say(samples(tone(1, -20)))
    assert 46 <= figures(media, 1)["delay"] / 8 < 66


def test_all_legs_wait_as_long_as_is_configured() -> None:
    media = VirtualMedia(sound=Sound(floor=46))
    media.commands.append(Open(1, 0))
    media.commands.append(connect(1, ALICE))
    Speaker(media, ALICE).say(samples(tone(1, -20)))
    assert 46 <= figures(media, 1)["delay"] / 8 < 66
    media.close()
