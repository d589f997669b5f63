import numpy as np
import pytest

from speech.resample import convert
from tests.speech.files import peak, rms, tone


@pytest.mark.parametrize("to", [8000, 16000, 48000])
def test_a_tone_keeps_its_pitch_its_level_and_its_length(to: int) -> None:
    made = convert(tone(1000, 1.5, 22050), 22050, to)
    assert len(made) == -(-len(tone(1000, 1.5, 22050)) * to // 22050)
    assert peak(made.tobytes(), to) == pytest.approx(1000, abs=1)
    middle = made[to // 4 : -to // 4].tobytes()
    assert rms(middle) == pytest.approx(0.5 * 32767 / 2**0.5, rel=0.001)


def test_a_tone_keeps_its_place_in_time() -> None:
    click = np.zeros(22050, np.int16)
    click[11025] = 20000
    assert abs(int(np.abs(convert(click, 22050, 8000)).argmax()) - 4000) <= 1


@pytest.mark.parametrize("frequency", [4100, 5000, 8000, 10500])
def test_what_the_line_cannot_carry_does_not_fold_back(frequency: int) -> None:
    assert rms(convert(tone(frequency, 1, 22050), 22050, 8000)[800:-800].tobytes()) < 3


@pytest.mark.parametrize("frequency", [150, 300, 1000, 3400])
def test_the_telephone_band_passes_whole(frequency: int) -> None:
    made = convert(tone(frequency, 1, 22050, 0.3), 22050, 8000)[800:-800].tobytes()
    assert 20 * np.log10(rms(made) / (0.3 * 32767 / 2**0.5)) == pytest.approx(0, abs=0.1)


def test_offset_and_rumble_go() -> None:
    made = convert((tone(500, 2, 22050, 0.2) + tone(20, 2, 22050, 0.2) + 3000).astype(np.int16), 22050, 8000)
    middle = made[4000:12000].astype(float)
    assert abs(middle.mean()) < 2
    assert rms(made[4000:12000].tobytes()) == pytest.approx(0.2 * 32767 / 2**0.5, rel=0.01)


def test_a_loud_sound_is_scaled_and_never_clipped() -> None:
    made = convert(tone(700, 1, 22050, 0.99), 22050, 8000, gain=4.0)
    assert np.abs(made).max() == pytest.approx(0.9 * 32767, abs=2)
    quiet = convert(tone(700, 1, 22050, 0.1), 22050, 8000, gain=2.0)
    assert np.abs(quiet).max() == pytest.approx(0.2 * 32767, rel=0.05)


def test_nothing_and_silence_stay_what_they_are() -> None:
    assert len(convert(np.zeros(0, np.int16), 22050, 8000)) == 0
    assert not convert(np.zeros(22050, np.int16), 22050, 8000).any()
    assert len(convert(np.ones(1, np.int16), 22050, 8000)) == 1
