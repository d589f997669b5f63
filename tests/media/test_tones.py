"""Network tones as a telephone hears them."""

import itertools

import numpy as np
import pytest

from media import tones
from tests.support.tones import level


def test_a_ring_is_two_seconds_of_440_and_480_hz() -> None:
    samples = np.frombuffer(tones.ringback(), "<i2")
    assert len(samples) == 16_000
    for second in (samples[:8000], samples[8000:]):
        assert level(second, 440) == pytest.approx(2502, rel=0.01)  # -19 dBm0
        assert level(second, 480) == pytest.approx(2502, rel=0.01)
        assert level(second, 460) < 5 and level(second, 350) < 5


@pytest.mark.parametrize("key", "0123456789*#ABCD")
def test_each_key_is_its_two_tones_and_no_other(key: str) -> None:
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
    keypad = dict(zip("123A456B789C*0#D", itertools.product(rows, columns), strict=True))
    samples = np.frombuffer(tones.keys(key.lower(), tone=200, interval=400), "<i2")
    assert len(samples) == 600 * 8 and not samples[1600:].any()
    for frequency in rows + columns:
        loud = level(samples[:1600], frequency)
        if frequency in keypad[key]:
            assert loud == pytest.approx(7914 if frequency in rows else 9963, rel=0.02)  # -9 and -7 dBm0
        else:
            assert loud < 100


def test_pauses_between_keys_are_silence() -> None:
    samples = np.frombuffer(tones.keys("W1,2", tone=50, interval=100), "<i2")
    assert len(samples) == 8 * (1000 + 50 + 500 + 50 + 100)
    loud = np.flatnonzero(samples) // 8
    assert loud[0] <= 1001 and 1049 <= loud[loud < 1500].max() < 1050
    assert 1550 <= loud[loud > 1100].min() <= 1551 and loud[-1] < 1600
