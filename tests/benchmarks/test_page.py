"""The page of figures is made from the figures."""

import re

import pytest

from benchmarks import page, results


def figures(name):
    """What was saved last; of a benchmark that was never run nothing."""
    return results.load(name)


def test_every_block_of_the_page_is_made_and_every_maker_has_a_block():
    assert re.findall(r"<!-- (\w+) -->", page.PAGE.read_text()) == [
        each for name in page.BLOCKS for each in (name, "end")
    ]


def test_a_page_that_is_filled_again_stays_as_it_is():
    once = page.filled(page.PAGE.read_text(), figures)
    assert page.filled(once, figures) == once


def test_a_figure_of_a_run_stands_on_the_page_with_its_day_and_what_the_host_took():
    def ran(name):
        size = {"legs": 200, "us_per_leg_frame": 1.86}
        return {"sizes": [size], "at": "2026-11-30T10:00:00+00:00", "steal": 0.013, "void": True}

    made = page.filled("before <!-- tick -->\nold\n<!-- end --> after", ran)
    assert "| legs | 200 |\n|---|---|\n| µs of CPU per leg and frame | 1.9 |" in made
    assert "Measured 2026-11-30; stolen by the host: 1.3%; the run is void." in made
    assert (
        made.startswith("before <!-- tick -->") and made.endswith("<!-- end --> after") and "old" not in made
    )


def test_a_block_that_nothing_makes_and_a_benchmark_that_never_ran_are_told():
    with pytest.raises(KeyError, match="nonsense"):
        page.filled("<!-- nonsense -->\n<!-- end -->", figures)
    with pytest.raises(AssertionError, match=r"python -m benchmarks\.tick"):
        page.filled("<!-- tick -->\n<!-- end -->", lambda name: None)
