"""Histograms and counters in shared memory."""

import numpy as np
import pytest

from media.shared import BINS, QUALITY, histogram_bin, quantile, spread


def test_a_quantile_is_no_less_than_its_values_and_little_more() -> None:
    bins = np.zeros(BINS, np.int64)
    for microseconds in [100] * 50 + [1000] * 49 + [15_000]:
        bins[histogram_bin(microseconds)] += 1
    assert quantile(bins, 0.5) == pytest.approx(0.1, rel=0.2)
    assert quantile(bins, 0.99) == pytest.approx(1.0, rel=0.2)
    assert 15.0 <= quantile(bins, 1.0) < 18.0


def test_no_value_has_no_quantile() -> None:
    assert quantile(np.zeros(BINS, np.int64), 0.99) == 0.0


@pytest.mark.parametrize("microseconds", [-5.0, 0.0, 0.5, 1.0])
def test_what_is_no_time_at_all_is_in_the_first_bin(microseconds: float) -> None:
    assert histogram_bin(microseconds) == 0


def test_an_hour_is_in_the_last_bin() -> None:
    assert histogram_bin(3.6e9) == BINS - 1


def test_what_is_typical_and_what_is_worst_is_told_of_those_who_are_known() -> None:
    legs = np.zeros(4, QUALITY)
    legs["mos"], legs["loss"], legs["jitter"] = (
        [4.4, 2.0, np.nan, 4.0],
        [0, 0.2, 0, 0],
        [0.01, 0.03, 0.0, 0.02],
    )
    legs["round_trip"] = legs["far_loss"] = np.nan
    figures = spread(legs)
    assert (figures["mos_min"], figures["mos_p50"]) == (2.0, 4.0)
    assert (figures["loss_max"], figures["jitter_max"], figures["jitter_p50"]) == (0.2, 30.0, 15.0)
    assert not any(name.startswith(("round_trip", "far_loss")) for name in figures)
    assert spread(legs[:0]) == {}
