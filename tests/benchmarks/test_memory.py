"""What a run of the benchmark of new calls may say of memory."""

import pytest

from benchmarks.memory import Window, flatness


def run(*, seconds, most, grows=0.0, per_call=1.0):
    """Windows of 30 s at a hundred calls a second, half as many conferences; `grows`: MB a window, without
    end; `per_call`: kB of each ended call that is kept."""
    windows = []
    for end in range(30, seconds + 1, 30):
        calls = min(most, 100 * end)
        size = 100 + calls * per_call / 1024 + grows * end / 30
        windows.append(Window(end, {"control": size, "media": 50.0}, calls, min(most // 2, 50 * end)))
    return windows


def test_the_second_half_of_a_run_with_a_full_history_shows_growth_and_flatness():
    found = flatness(run(seconds=600, most=20_000), 600)
    assert found.full_after == 240 and found.since == 330
    assert found.growth == {"control": 0.0, "media": 0.0}
    assert found.kilobytes_per_call == pytest.approx(1.0)
    assert flatness(run(seconds=600, most=20_000, grows=0.5), 600).growth["control"] == pytest.approx(4.5)


def test_a_history_that_fills_in_the_second_half_leaves_what_comes_after():
    assert flatness(run(seconds=600, most=40_000), 600).since == 450


def test_a_run_that_does_not_fill_the_history_shows_no_flatness_but_what_a_call_keeps():
    found = flatness(run(seconds=120, most=20_000), 120)
    assert found.full_after is None and found.growth == {} and found.since is None
    assert found.kilobytes_per_call == pytest.approx(1.0)
