"""The E-model beside figures that are known of it."""

import numpy as np
import pytest

from benchmarks import results
from benchmarks.impairment import CODECS as MEASURED
from benchmarks.impairment import LOSSES, impairment
from rtp.quality import (
    BEST,
    EQUIPMENT,
    LOOKAHEAD,
    ROBUSTNESS,
    ROBUSTNESS_WITH_FEC,
    burst_ratio,
    delay_impairment,
    loss_impairment,
    opinion,
)

CODECS = {"PCMU", "PCMA", "L16", "G722", "OPUS"}


def test_every_codec_has_its_figures() -> None:
    assert set(EQUIPMENT) == set(ROBUSTNESS) == set(LOOKAHEAD) == CODECS


def test_a_codec_costs_as_much_as_the_loss_of_g711_by_which_it_would_score_the_same() -> None:
    g711 = {"PCMU/8 clean": 4.4} | {f"PCMU/8 {loss}% lost": 4.4 - 0.1 * loss for loss in LOSSES}
    same = {name.replace("PCMU/8", "same"): score for name, score in g711.items()}
    sturdy = {"sturdy clean": 4.3} | {f"sturdy {loss}% lost": 4.3 - 0.05 * loss for loss in LOSSES}
    networks = {name: {"pesq": score} for name, score in (g711 | same | sturdy).items()}
    assert impairment(networks, "same") == (0.0, pytest.approx(25.1))
    assert impairment(networks, "sturdy") == (pytest.approx(95 * 1 / 26.1), pytest.approx(50.2))


@pytest.mark.parametrize("name", MEASURED)
def test_the_figures_are_near_those_that_the_published_measurement_gives(name: str) -> None:
    measured = results.load("quality")
    assert measured is not None
    equipment, robustness = impairment(measured["networks"], name)
    codec = MEASURED[name]
    taken = ROBUSTNESS_WITH_FEC if codec == "OPUS" else ROBUSTNESS[codec]
    assert EQUIPMENT[codec] == pytest.approx(equipment, abs=3)
    assert 0.6 < robustness / taken < 1.6


@pytest.mark.parametrize(
    ("rating", "score"),
    [(-5, 1.0), (0, 1.0), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (93.2, 4.41), (110, 4.5)],
)
def test_opinions_are_those_of_annex_b(rating: float, score: float) -> None:
    assert opinion(np.array([rating]))[0] == pytest.approx(score, abs=0.01)


def test_opinion_never_falls_while_the_rating_rises() -> None:
    assert (np.diff(opinion(np.linspace(-10, 120, 500))) >= 0).all()


def test_no_delay_takes_nothing_away_and_more_takes_more() -> None:
    impairment = delay_impairment(np.linspace(0, 1, 200))
    assert impairment[0] == 0
    assert (np.diff(impairment) >= 0).all()


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.15, 0.2, 0.25])
def test_delay_costs_about_what_the_known_approximation_says(seconds: float) -> None:
    ms = seconds * 1000
    approximation = 0.024 * ms + 0.11 * max(ms - 177.3, 0)  # of G.107 by Cole and Rosenbluth, 2001
    assert delay_impairment(np.array([seconds]))[0] == pytest.approx(approximation, abs=2)


def test_loss_at_random_costs_what_g113_says_and_bursts_cost_more() -> None:
    one = np.ones(1)
    concealed = loss_impairment(0.05 * one, one, 0 * one, 25.1 * one)[0]
    assert concealed == pytest.approx(95 * 5 / 30.1)
    assert loss_impairment(0.05 * one, 3 * one, 0 * one, 25.1 * one)[0] > concealed
    assert loss_impairment(0 * one, one, 11 * one, 19 * one)[0] == 11


def test_the_burst_ratio_of_single_losses_is_one_and_of_threes_about_three() -> None:
    lost, breaks, loss = np.array([10.0, 30.0, 0.0]), np.array([10.0, 10.0, 0.0]), np.array([0.01, 0.03, 0.0])
    assert burst_ratio(lost, breaks, loss) == pytest.approx([1.0, 2.91, 1.0])


def test_a_clean_call_without_delay_is_as_good_as_the_model_knows() -> None:
    assert opinion(np.array([BEST]))[0] == pytest.approx(4.41, abs=0.005)
