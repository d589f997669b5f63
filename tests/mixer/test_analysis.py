"""Who talks, what a gate lets through, what gain control does: in frames, without a mixer around them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mixer.analysis import Analysis
from mixer.noise import dbov, square
from mixer.rows import Rows
from tests.mixer.sounds import noise, samples, silence, syllables, tone

FRAME = 160


class Booth:
    """Some legs, each of which says an array."""

    def __init__(self, legs: int = 1, *, gate: bool = False, gain: bool = False) -> None:
        rows = Rows(legs + 1)
        self.analysis = Analysis(rows)
        self.rows = np.array([rows.hand_out() & 0xFFFF for _ in range(legs)])
        self.analysis.gate.on[self.rows] = gate
        self.analysis.gain.on[self.rows] = gain
        self.talking: list[NDArray[np.bool_]] = []

    def say(self, *sounds: NDArray[np.int16]) -> NDArray[np.int16]:
        """What others get to hear of it, (legs, samples) in whole frames."""
        heard = []
        for at in range(0, sounds[0].size - FRAME + 1, FRAME):
            frame = np.stack([sound[at : at + FRAME] for sound in sounds])
            self.analysis.begin()
            self.analysis.hear(self.rows, frame)
            self.analysis.advance()
            self.talking.append(self.analysis.talk.talking[self.rows].copy())
            heard.append(frame)
        return np.concatenate(heard, axis=1)

    def talks(self, leg: int = 0) -> NDArray[np.bool_]:
        return np.array(self.talking)[:, leg]


def frames_with_sound(heard: NDArray[np.int16]) -> NDArray[np.bool_]:
    return heard.reshape(-1, FRAME).any(axis=1)


def test_a_talker_is_told_within_80_ms_and_let_go_half_a_second_after_his_last_word() -> None:
    booth = Booth()
    booth.say(samples(noise(2, -65), syllables(3, -26) + noise(3, -65, 2), noise(2, -65, 3)))
    (changes,) = np.nonzero(np.diff(booth.talks().astype(int)))
    began, ended = (changes + 1) * 0.02
    assert 2.0 < began <= 2.08 and 5.0 < ended <= 5.5, (began, ended)


@pytest.mark.parametrize("level", [-70, -65, -55, -45, -40])
def test_noise_is_no_talk_whatever_its_level_once_it_is_known(level: float) -> None:
    booth = Booth()
    booth.say(samples(noise(12, level)))
    assert not booth.talks()[200:].any()


@pytest.mark.parametrize("muted", [0, 8])
def test_a_room_is_no_talker_when_its_muted_microphone_is_opened(muted: int) -> None:
    """What A-law and mu-law have for silence is 8 and 0."""
    booth = Booth()
    booth.say(samples(silence(4) + muted, noise(4, -60)))
    assert not booth.talks().any()


def test_a_click_is_no_talk() -> None:
    click = silence(0.01)
    click[40] = 20_000
    booth = Booth()
    booth.say(samples(noise(1, -65), click, noise(1, -65, 2)))
    assert not booth.talks().any()


def test_what_is_loud_is_talk_for_as_long_as_it_lasts() -> None:
    booth = Booth()
    booth.say(samples(tone(10, -26)))
    assert booth.talks()[3:].all()


def test_quiet_speech_is_told_from_quieter_noise() -> None:
    booth = Booth()
    booth.say(samples(noise(3, -68), syllables(2, -48) + noise(2, -68, 2)))
    assert booth.talks()[155:].mean() > 0.9 and not booth.talks()[:150].any()


def test_levels_are_dbov() -> None:
    booth = Booth(2)
    booth.say(samples(tone(1, -30)), samples(noise(1, -50)))
    assert dbov(booth.analysis.talk.level[booth.rows]) == pytest.approx([-30, -50], abs=0.6)


def test_no_leg_changes_what_is_found_of_another() -> None:
    sounds = [
        samples(noise(3, -65, 1)),
        samples(syllables(3, -26)),
        samples(noise(1.5, -60, 2), syllables(1.5, -30)),
    ]
    together = Booth(3, gate=True, gain=True)
    heard = together.say(*sounds)
    for leg, sound in enumerate(sounds):
        alone = Booth(1, gate=True, gain=True)
        assert (alone.say(sound)[0] == heard[leg]).all()
        assert (alone.talks() == together.talks(leg)).all()


def test_room_noise_behind_a_gate_is_exactly_zero() -> None:
    heard = Booth(gate=True).say(samples(noise(5, -65)))[0]
    assert not heard[5 * FRAME :].any()


@pytest.mark.parametrize("level", [-70, -65, -60])
def test_deep_noise_that_comes_and_goes_does_not_open_a_gate(level: float) -> None:
    """Rooms rumble: half the power per octave, from 60 Hz on."""
    random = np.random.default_rng(5)
    frequency = np.fft.rfftfreq(80_000, 1 / 8000)
    spectrum = random.normal(size=frequency.size) + 1j * random.normal(size=frequency.size)
    rumble = np.fft.irfft(np.where(frequency < 60, 0, spectrum / np.sqrt(frequency + 1)), 80_000)
    rumble *= np.sqrt(float(square(level)) / np.mean(rumble**2))
    heard = Booth(gate=True).say(samples(rumble))[0]
    assert frames_with_sound(heard)[150:].mean() < 0.02


def test_speech_passes_a_gate_bit_for_bit_but_for_the_2_ms_in_which_it_opens() -> None:
    said = samples(noise(1, -65), syllables(2, -30) + noise(2, -65, 2))
    heard = Booth(gate=True).say(said)[0]
    (open_,) = np.nonzero(frames_with_sound(heard)[10:])
    first = (open_[0] + 10) * FRAME
    assert 8000 - FRAME <= first <= 8000 + FRAME
    assert (heard[first + 16 :] == said[first + 16 :]).all()


def test_a_word_that_begins_at_the_end_of_a_frame_opens_the_gate_in_that_frame() -> None:
    word = samples(noise(1, -65), silence(0.014), tone(0.006, -30), tone(0.2, -30))
    heard = Booth(gate=True).say(word)[0]
    assert (heard[8000 + 112 : 8160] == word[8000 + 112 : 8160]).all()


def test_a_gate_that_opens_and_shuts_makes_no_click() -> None:
    """No step that the sound itself does not have, even where a tone is cut off by it."""
    said = samples(noise(1, -65), tone(0.5, -50, 200) + noise(0.5, -65, 3), noise(1, -65, 2))
    heard = Booth(gate=True).say(said)[0].astype(int)
    assert heard[8000:12000].any() and not heard[-FRAME:].any()
    limit = np.abs(np.diff(said.astype(int))).max()
    assert np.abs(np.diff(heard)).max() <= limit


def test_the_gate_stays_open_for_300_ms_behind_a_word() -> None:
    heard = Booth(gate=True).say(samples(noise(1, -65), tone(0.2, -30), noise(1, -65, 2)))[0]
    (open_,) = np.nonzero(frames_with_sound(heard)[10:])
    assert open_[-1] + 10 == 59 + 15  # the frame after it is the one that fades


def test_without_a_gate_and_gain_every_sample_passes() -> None:
    said = samples(noise(1, -65), syllables(1, -3), silence(1))
    assert (Booth().say(said)[0] == said).all()


@pytest.mark.parametrize("level", [-40, -33, -20, -15])
def test_gain_brings_a_speaker_to_the_usual_level(level: float) -> None:
    booth = Booth(gain=True)
    heard = booth.say(samples(syllables(15, level) + noise(15, -70)))[0].astype(float)
    loud = heard[-3 * 8000 :]
    loud = loud[np.abs(loud) > 100]
    assert 10 * np.log10(np.mean(loud**2) / 32768**2) == pytest.approx(-26, abs=3)


def test_noise_does_not_swell_in_a_pause() -> None:
    booth = Booth(gain=True)
    booth.say(samples(syllables(5, -40) + noise(5, -70)))
    before = booth.analysis.gain.gain[1]
    booth.say(samples(noise(10, -70)))
    assert booth.analysis.gain.gain[1] == pytest.approx(before, rel=0.05)


def test_a_shout_after_whispers_is_limited_at_once() -> None:
    booth = Booth(gain=True)
    booth.say(samples(syllables(15, -45) + noise(15, -75)))
    heard = booth.say(samples(tone(0.5, -6)))[0]
    assert np.abs(heard[FRAME:]).max() <= 30_000


def test_gain_is_bounded() -> None:
    booth = Booth(gain=True)
    booth.say(samples(syllables(25, -55) + noise(25, -80)))
    assert 20 * np.log10(booth.analysis.gain.gain[1]) <= 18.2


def test_what_was_said_in_private_tells_in_nothing_afterwards() -> None:
    """The gate's and the gain's state after an audience has grown is that of a leg that said nothing."""
    booth = Booth(2, gate=True, gain=True)
    booth.say(samples(syllables(6, -10)), samples(noise(6, -60)))
    booth.analysis.forget(booth.rows)
    after = samples(noise(1, -55, 4), syllables(2, -40))
    heard = booth.say(after, after)
    assert (heard[0] == heard[1]).all()


def test_the_tone_of_a_key_that_an_event_tells_is_not_heard() -> None:
    rows = Rows(2)
    analysis = Analysis(rows, keys_heard=False)
    row = np.array([rows.hand_out() & 0xFFFF])
    passed = []
    for tick in range(20):
        if 2 <= tick < 10:
            analysis.tell_keys(row, np.array([2], np.int32))
        frame = samples(tone(0.02, -20))[None]
        analysis.hear(row, frame)
        analysis.advance()
        passed.append((frame[0] == samples(tone(0.02, -20))).all())
    silent = range(2, 9 + 2 + 5)  # the last event, what is buffered, and a while; and the frame that rises
    assert passed == [tick not in silent for tick in range(20)]


@pytest.mark.parametrize("frame", [320, 960])
def test_wideband_legs_are_listened_to_in_the_same_way(frame: int) -> None:
    random = np.random.default_rng(7)
    room = np.rint(random.normal(0, np.sqrt(square(-65)), (100, frame))).astype(np.int16)
    at = np.arange(20 * frame) / (50 * frame)
    word = (
        np.rint(np.sqrt(2 * square(-30)) * np.sin(2 * np.pi * 600 * at)).astype(np.int16).reshape(20, frame)
    )
    rows = Rows(2)
    analysis = Analysis(rows)
    row = np.array([rows.hand_out() & 0xFFFF])
    analysis.gate.on[row] = True
    heard, talking = [], []
    for said in (*room, *word, *room):
        passed = said[None].copy()
        analysis.hear(row, passed)
        analysis.advance()
        heard.append(passed[0])
        talking.append(bool(analysis.talk.talking[row[0]]))
    assert not np.any(heard[10:100]) and not np.any(heard[140:])
    assert all((one == other).all() for one, other in zip(heard[101:120], word[1:], strict=True))
    assert not any(talking[:100]) and all(talking[103:120]) and not any(talking[145:])
