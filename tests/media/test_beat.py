"""When a beat runs, and when beats are left out."""

import pytest

from media.beat import PERIOD, Beat


def test_a_beat_in_time_skips_nothing() -> None:
    beat = Beat(10.0)
    for count in range(100):
        assert beat.begin(beat.deadline) == (pytest.approx(10.0 + count * PERIOD), 0)


def test_a_beat_late_by_less_than_a_period_is_run_and_the_next_is_not_put_off() -> None:
    beat = Beat(10.0)
    assert beat.begin(10.0 + 0.9 * PERIOD) == (10.0, 0)
    assert beat.deadline == pytest.approx(10.0 + PERIOD)


def test_whole_periods_are_left_out_and_the_grid_is_kept() -> None:
    beat = Beat(10.0)
    assert beat.begin(10.0 + 2.5 * PERIOD) == (pytest.approx(10.0 + 2 * PERIOD), 2)
    assert beat.deadline == pytest.approx(10.0 + 3 * PERIOD)


def test_a_stall_of_two_seconds_is_a_hundred_beats() -> None:
    beat = Beat(0.0)
    deadline, skipped = beat.begin(2.001)
    assert (skipped, deadline) == (100, pytest.approx(2.0))
