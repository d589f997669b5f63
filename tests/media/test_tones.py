"""Network tones as a telephone hears them."""

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
