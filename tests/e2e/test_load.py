"""200 calls in rooms of four, by the load generator: what holds on any machine.

How much CPU time that takes and how long anything lasts is for `make bench` to say.
"""

from typing import Any

import pytest

from benchmarks import latency, load
from benchmarks.rig import subject

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    options = load.arguments(
        ["--calls", "200", "--rate", "25", "--seconds", "4", "--settle", "4", "--sample", "200"]
    )
    with subject(None, None, pinned=True) as found:
        return load.measure(found, options)


def test_everybody_hears_exactly_the_others(figures: dict[str, Any]) -> None:
    assert figures["up"] == 200, figures["failures"]
    assert figures["died"] == 0
    assert figures["listeners_wrong"] == 0


def test_200_legs_end_on_16_ports_and_60_system_calls_a_beat(figures: dict[str, Any]) -> None:
    assert figures["rtp_ports"] <= 16
    assert figures["system_calls_per_beat"] <= 60


def test_every_beat_has_a_packet_for_everybody_and_none_is_lost(figures: dict[str, Any]) -> None:
    assert figures["packets_per_beat"] == 200
    assert figures["packets_missing_by_sequence"] == 0


def test_delay_is_measured() -> None:
    options = latency.arguments(["--pairs", "6", "--seconds", "4", "--settle", "4"])
    with subject(None, None, pinned=True) as found:
        figures = latency.measure(found, options)
    assert figures["up"] == 12, figures["failures"]
    assert 0 < figures["clicks_back"] <= figures["clicks_sent"]
    assert figures["delay_ms_p5"] > 0
