"""Keys heard as tones. Levels, durations and frequencies are those of ITU-T Q.24 table A-1."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mixer import ALAW, ULAW
from mixer.analysis import Analysis
from mixer.inband import KEYS, Pressed
from mixer.rows import Rows
from tests.mixer.sounds import coded, key, noise, samples, silence, syllables


def heard(sound: NDArray[np.int16], frame: int = 160, *, keys_heard: bool = True) -> list[Pressed]:
    return listen(sound, frame, keys_heard=keys_heard)[0]


def listen(
    sound: NDArray[np.int16], frame: int = 160, *, keys_heard: bool = True
) -> tuple[list[Pressed], NDArray[np.int16]]:
    """The keys in a sound, and what others hear of it."""
    rows = Rows(2)
    analysis = Analysis(rows, keys_heard=keys_heard)
    row = np.array([rows.hand_out() & 0xFFFF])
    analysis.inband.wanted[row] = True
    found, passed = [], []
    for at in range(0, sound.size - frame + 1, frame):
        frames = sound[None, at : at + frame].copy()
        analysis.begin()
        analysis.hear(row, frames)
        analysis.advance()
        found += analysis.keys
        passed.append(frames[0])
    return found, np.concatenate(passed)


def names(sound: NDArray[np.int16]) -> str:
    return "".join(pressed.key for pressed in heard(sound))


def dialled(keys: str, seconds: float, pause: float, **how: float) -> NDArray[np.float64]:
    """All keys, one after another, each at another place in its frame."""
    parts = [part for name in keys for part in (key(name, seconds, **how), silence(pause), silence(0.0013))]
    return np.concatenate([silence(0.1), *parts, silence(0.1)])


@pytest.mark.parametrize("law", [ULAW, ALAW])
@pytest.mark.parametrize("level", [0, -10, -25])
def test_every_key_of_40_ms_with_40_ms_between_is_heard_once(level: float, law: int) -> None:
    sound = dialled(KEYS, 0.04, 0.04, low=level, high=level)
    assert names(coded(samples(sound + noise(len(sound) / 8000, -65)), law)) == KEYS


def test_how_long_a_key_was_held_is_told() -> None:
    ((_, name, duration),) = heard(samples(silence(0.1), key("5", 0.3), silence(0.2)))
    assert name == "5" and 280 <= duration <= 310


def test_the_same_key_twice_is_two_keys_and_a_key_with_a_gap_of_10_ms_is_one() -> None:
    broken = key("7", 0.1)
    broken[400:480] = 0
    assert names(samples(silence(0.1), broken, silence(0.04), key("7", 0.04), silence(0.1))) == "77"


@pytest.mark.parametrize("off", [(0.015, 0.015), (-0.015, 0.015), (0.015, -0.015), (-0.015, -0.015)])
def test_frequencies_may_be_wrong_by_1_5_percent(off: tuple[float, float]) -> None:
    parts = [part for name in KEYS for part in (key(name, 0.05, off=off), silence(0.05))]
    assert names(samples(silence(0.1), *parts, silence(0.1))) == KEYS


@pytest.mark.parametrize("off", [(0.035, 0), (-0.035, 0), (0, 0.035), (0, -0.035)])
def test_frequencies_wrong_by_3_5_percent_are_no_keys(off: tuple[float, float]) -> None:
    parts = [part for name in KEYS for part in (key(name, 0.1, off=off), silence(0.05))]
    assert names(samples(silence(0.1), *parts, silence(0.1))) == ""


@pytest.mark.parametrize(("low", "high"), [(-14, -10), (-10, -18)])
def test_twist_of_4_and_8_db_is_borne(low: float, high: float) -> None:
    assert names(samples(dialled(KEYS, 0.04, 0.04, low=low, high=high))) == KEYS


@pytest.mark.parametrize(("low", "high"), [(-22, -10), (-10, -24), (-40, -40)])
def test_more_twist_and_whispers_are_no_keys(low: float, high: float) -> None:
    assert names(samples(dialled(KEYS, 0.1, 0.1, low=low, high=high))) == ""


def test_a_tone_of_23_ms_is_no_key() -> None:
    assert names(samples(dialled(KEYS, 0.023, 0.06))) == ""


def test_noise_15_db_below_the_key_is_borne() -> None:
    sound = dialled(KEYS * 4, 0.05, 0.05, low=-10, high=-10)
    assert names(samples(sound + noise(len(sound) / 8000, -10 - 3.2 - 15))) == KEYS * 4


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_keys_are_heard_at_every_rate(rate: int) -> None:
    gap = np.zeros(rate // 20)
    parts = [part for name in KEYS for part in (key(name, 0.05, rate=rate), gap)]
    found = heard(samples(gap, *parts, gap, gap), rate // 50)
    assert "".join(pressed.key for pressed in found) == KEYS


def test_a_voice_presses_no_key() -> None:
    assert names(samples(syllables(20, -20) + noise(20, -55))) == ""


def test_one_tone_alone_is_no_key() -> None:
    at = np.arange(8000) / 8000
    assert names(samples(8000 * np.sin(2 * np.pi * 770 * at), 8000 * np.sin(2 * np.pi * 1336 * at))) == ""


def test_others_hear_less_than_60_ms_of_a_key_that_is_not_to_be_heard() -> None:
    _, passed = listen(samples(silence(0.1), key("8", 0.3), silence(0.3)), keys_heard=False)
    loud = np.abs(passed) > 1000
    assert loud.any() and np.flatnonzero(loud).max() < 800 + 480
    _, passed = listen(samples(silence(0.1), key("8", 0.3), silence(0.3)))
    assert np.flatnonzero(np.abs(passed) > 1000).max() > 3000
