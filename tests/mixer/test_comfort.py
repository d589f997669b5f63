"""Senders that are silent and say so (comfort noise, RFC 3389), and those who just stop."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.mixer.sounds import noise, payloads, samples, syllables, tone
from tests.mixer.stage import Person, Stage
from tests.support.tones import rms

SECOND = 50


class Line:
    """Alice speaks, Bob hears; both in one room."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.alice, self.bob = self.stage.member(), self.stage.member()

    def say(self, sound: NDArray[np.int16]) -> NDArray[np.int16]:
        """What Bob hears meanwhile."""
        return np.concatenate([self._beat(frame) for frame in payloads(sound)])

    def pause(self, beats: int) -> NDArray[np.int16]:
        """Nothing is sent, time goes on."""
        heard = [self._beat(None) for _ in range(beats)]
        self.alice.timestamp = (self.alice.timestamp + 160 * beats) & 0xFFFFFFFF
        return np.concatenate(heard)

    def comfort(self, level: int) -> None:
        """Alice says that she says nothing."""
        alice = self.alice
        self.stage.mixer.note(
            np.array([alice.row]),
            np.array([alice.sequence], np.uint16),
            np.array([alice.ssrc], np.uint32),
            np.array([level], np.int16),
        )
        alice.sequence = (alice.sequence + 1) & 0xFFFF

    def figure(self, name: str) -> int:
        return int(getattr(self.stage.mixer, name)[self.alice.row])

    def _beat(self, frame: bytes | None) -> NDArray[np.int16]:
        if frame is not None:
            self.stage.push([self.alice.packet(frame)])
        self.stage.mixer.tick()
        return self.stage.samples(self.bob).copy()


def level(sound: NDArray[np.int16]) -> float:
    return float(20 * np.log10(max(rms(sound), 0.01) / 32768))


@pytest.mark.parametrize("dbov", [50, 60, 70])
def test_noise_of_the_level_that_was_told_is_heard_until_speech_comes_back(dbov: int) -> None:
    line = Line()
    line.say(samples(tone(1, -20)))
    line.comfort(dbov)
    heard = line.pause(2 * SECOND)
    assert level(heard[1600:]) == pytest.approx(-dbov, abs=1.5)
    assert level(heard[1600:8000]) == pytest.approx(level(heard[8000:]), abs=1.5)
    back = line.say(samples(tone(0.5, -20)))
    assert level(back[800:]) == pytest.approx(-20, abs=0.5)


def test_nobody_can_make_others_hear_loud_noise() -> None:
    line = Line()
    line.say(samples(tone(1, -20)))
    line.comfort(0)
    assert level(line.pause(SECOND)) <= -35


def test_a_told_pause_is_no_gap_and_no_loss_and_speech_does_not_buzz_into_it() -> None:
    line = Line()
    line.say(samples(tone(1, -10, 200)))
    line.comfort(127)
    heard = line.pause(SECOND)
    dying = int(np.flatnonzero(np.abs(heard) > 200)[-1]) if (np.abs(heard) > 200).any() else 0
    assert dying < 160 + 40, "speech is continued for longer than it takes to fade"
    line.say(samples(tone(1, -10, 200)))
    assert (line.figure("gaps"), line.figure("lost"), line.figure("late")) == (0, 0, 0)


def test_speech_that_breaks_off_without_a_word_is_still_concealed_and_counted() -> None:
    line = Line()
    line.say(samples(tone(1, -10, 200)))
    heard = line.pause(SECOND)
    assert rms(heard[160:480]) > 1000 and line.figure("gaps") == 1


def test_a_sender_that_just_stops_while_he_is_silent_is_no_gap() -> None:
    line = Line()
    line.say(samples(syllables(1, -20), noise(0.5, -70)))
    line.pause(2 * SECOND)
    line.say(samples(syllables(1, -20)))
    assert (line.figure("gaps"), line.figure("lost"), line.figure("late")) == (0, 0, 0)


def test_telephone_events_in_the_stream_are_not_lost_packets() -> None:
    line = Line()
    line.say(samples(tone(0.5, -20)))
    for _ in range(7):
        line.comfort(-1)
        line.pause(1)
    line.say(samples(tone(0.5, -20)))
    assert line.figure("lost") == 0


def resumes(shift: Callable[[Person], None], comfort: bool) -> tuple[NDArray[np.int16], Line]:
    line = Line()
    line.say(samples(tone(1, -20, 400)))
    if comfort:
        line.comfort(127)
    line.pause(2 * SECOND)
    shift(line.alice)
    return line.say(samples(tone(1, -20, 400))), line


def _jump(by: int) -> Callable[[Person], None]:
    def shift(person: Person) -> None:
        person.timestamp = (person.timestamp + by) & 0xFFFFFFFF

    return shift


@pytest.mark.parametrize("comfort", [True, False])
@pytest.mark.parametrize(
    "by", [0, 800, -800, -2 * 8000, 3_000_000, -3_000_000], ids=lambda by: f"timestamp{by:+}"
)
def test_speech_is_back_within_two_frames_and_without_a_click(by: int, comfort: bool) -> None:
    """Whatever the sender's timestamps did meanwhile: -16000 is one whose clock stood still."""
    heard, line = resumes(_jump(by), comfort)
    assert rms(heard[320:480]) == pytest.approx(rms(samples(tone(1, -20, 400))), rel=0.2), "speech is late"
    steps = np.abs(np.diff(heard.astype(int)))
    steepest = np.abs(np.diff(samples(tone(1, -20, 400)).astype(int))).max()
    assert steps.max() <= 1.3 * steepest
    assert level(heard[2000:]) == pytest.approx(-20, abs=0.3)
    assert line.figure("lost") == 0


def test_comfort_noise_before_speech_that_was_overtaken_is_no_end_of_the_pause() -> None:
    """The packet before it arrives later: the pause goes on."""
    line = Line()
    line.say(samples(tone(1, -20)))
    last = line.alice.packet(payloads(samples(tone(0.02, -20)))[0])
    line.comfort(60)
    line.stage.push([last])
    line.pause(5)
    assert level(line.pause(SECOND)) == pytest.approx(-60, abs=1.5)


def test_noise_is_forgotten_when_an_audience_grows() -> None:
    line = Line()
    line.stage.mixer.flags(line.alice.handle, mute=True, hold=False)
    line.say(samples(tone(0.5, -20)))
    line.comfort(50)
    line.pause(5)
    line.stage.mixer.flags(line.alice.handle, mute=False, hold=False)
    assert level(line.pause(SECOND)) < -70


def test_no_ones_noise_depends_on_who_else_has_some() -> None:
    heard = []
    for others in (0, 3):
        stage = Stage()
        alice, bob = stage.member(), stage.member()
        rest = [stage.member(room=2) for _ in range(others)]
        for _ in range(5):
            stage.say(dict.fromkeys([alice, *rest], 120))
        people = [alice, *rest]
        stage.mixer.note(
            np.array([person.row for person in people]),
            np.array([person.sequence for person in people], np.uint16),
            np.array([person.ssrc for person in people], np.uint32),
            np.full(len(people), 50, np.int16),
        )
        for _ in range(5):
            stage.mixer.tick()
        heard.append(stage.payload(bob))
    assert heard[0] == heard[1]
