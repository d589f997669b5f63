"""Senders that are silent and say so (comfort noise, RFC 3389), and those who just stop."""

from collections.abc import Callable

import av
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

    def comfort(self, level: int, *spectrum: int) -> None:
        """Alice says that she says nothing; `spectrum`: indexes of reflection coefficients."""
        alice = self.alice
        self.stage.mixer.note(
            np.array([alice.row]),
            np.array([alice.sequence], np.uint16),
            np.array([alice.ssrc], np.uint32),
            np.array([level], np.int16),
            np.array([spectrum], np.uint8) if spectrum else None,
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


def power(sound: NDArray[np.int16]) -> NDArray[np.float64]:
    """Of each Hz up to half the rate in 32 bands, in dB beside their mean."""
    pieces = sound[: len(sound) // 256 * 256].reshape(-1, 256) * np.hanning(256)
    bands: NDArray[np.float64] = np.square(np.abs(np.fft.rfft(pieces)[:, :128])).mean(axis=0)
    bands = 10 * np.log10(bands.reshape(32, 4).mean(axis=1) + 1e-9)
    return bands - bands.mean()


def told_by_ffmpeg(sound: NDArray[np.int16]) -> tuple[int, ...]:
    """The comfort noise packet that FFmpeg makes of so much noise: level, coefficients."""
    encoder = av.CodecContext.create("comfortnoise", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    packets = []
    for piece in sound[: len(sound) // 640 * 640].reshape(-1, 1, 640):
        frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
        frame.sample_rate = 8000
        packets += encoder.encode(frame)
    return tuple(bytes(packets[-1]))


ROOMS = {"a fan, below": (1.0, -0.9), "a hiss, above": (1.0, 0.7), "a hum at 1 kHz": (1.0, -1.3, 0.85)}


@pytest.mark.parametrize("room", ROOMS)
def test_noise_has_the_spectrum_that_ffmpeg_tells_of_and_the_level(room: str) -> None:
    white = np.random.default_rng(5).normal(0, 1, 10 * 8000)
    said = np.fft.irfft(np.fft.rfft(white) / np.fft.rfft(ROOMS[room], len(white)))
    said = np.rint(said / said.std() * 60).astype(np.int16)  # -55 dBov
    dbov, *spectrum = told_by_ffmpeg(said)
    line = Line()
    line.say(samples(tone(1, -20)))
    line.comfort(dbov, *spectrum)
    heard = line.pause(6 * SECOND)[1600:]
    assert level(heard) == pytest.approx(level(said), abs=1.5)
    wanted, found = power(said), power(heard)
    assert np.ptp(wanted) > 8 and np.abs(found - wanted).mean() < 1.5
    line.comfort(dbov)
    assert np.ptp(power(line.pause(6 * SECOND)[1600:])) < 4, "the next is flat again"


@pytest.mark.parametrize("spectrum", [(0,) * 12, (254,) * 12, (255, 0, 254), (0,), (254,), (127, 127, 254)])
def test_no_spectrum_makes_noise_louder_than_told(spectrum: tuple[int, ...]) -> None:
    line = Line()
    line.say(samples(tone(1, -20)))
    line.comfort(50, *spectrum)
    heard = line.pause(4 * SECOND)[1600:]
    assert level(heard) == pytest.approx(-50, abs=3)


def test_of_packets_that_come_together_the_last_tells_and_another_source_tells_nothing() -> None:
    line = Line()
    line.say(samples(tone(1, -20)))
    alice = line.alice
    rows, numbers = np.array([alice.row] * 3), np.arange(alice.sequence, alice.sequence + 3)
    line.stage.mixer.note(
        rows,
        numbers.astype(np.uint16),
        np.array([alice.ssrc, alice.ssrc, alice.ssrc + 1], np.uint32),
        np.array([30, 50, 30], np.int16),
        np.array([[20], [127], [20]], np.uint8),
    )
    heard = line.pause(6 * SECOND)[1600:]
    assert level(heard) == pytest.approx(-50, abs=1.5) and np.ptp(power(heard)) < 4


def test_another_source_is_not_taken_for_one_that_pauses() -> None:
    """Its numbers may well lie before those of the comfort noise of the source that it replaces."""
    line = Line()
    line.say(samples(tone(1, -20)))
    line.comfort(50)
    line.pause(10)
    line.alice.ssrc += 1
    line.alice.sequence = (line.alice.sequence - 1000) & 0xFFFF
    line.say(samples(tone(1, -10, 200)))
    heard = line.pause(SECOND)
    assert rms(heard[160:480]) > 1000 and line.figure("gaps") == 1


def test_coloured_noise_has_no_seams_between_frames() -> None:
    """A narrow one would show them: what is far from its band is 30 dB below."""
    line = Line()
    line.say(samples(tone(1, -20)))
    line.comfort(40, 127 - 114, 127 + 114)
    heard = line.pause(4 * SECOND)[1600:]
    bands = power(heard)
    assert bands.max() - bands[-8:].max() > 25


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
            np.array([[20, 200, 127], *[[127, 127, 127], [90, 127, 127], [30, 30, 30]][:others]], np.uint8),
        )
        for _ in range(5):
            stage.mixer.tick()
        heard.append(stage.payload(bob))
    assert heard[0] == heard[1]
