"""Sums by room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixer import mix


def summed(sizes: list[int]) -> None:
    random = np.random.default_rng(len(sizes))
    rows = random.integers(-32768, 32768, (sum(sizes) + 1, 5)).astype(np.int32)
    rows[-1] = 0
    kept = rows.copy()
    sums = mix.sums(rows, mix.rounds(np.array(sizes, np.intp)))
    ends = np.cumsum(sizes).tolist()
    expected = [kept[end - size : end].sum(axis=0).tolist() for size, end in zip(sizes, ends, strict=True)]
    assert sums.tolist() == [*expected, [0] * 5]
    assert (rows == kept).all()


@given(st.lists(st.integers(1, 40), max_size=12))
def test_rooms_of_any_size_are_summed_exactly(sizes):
    summed(sizes)


@pytest.mark.parametrize("sizes", [[], [1], [1000], [1] * 300, [4] * 100, [65, 1, 64]])
def test_no_room_one_room_and_many_rooms_are_summed(sizes):
    summed(sizes)


def test_the_largest_room_alone_says_how_many_rounds_there_are():
    assert [len(mix.rounds(np.array(sizes))) for sizes in ([4], [4] * 500, [4, 5], [1])] == [2, 2, 3, 1]


def test_parts_are_numbered_within_their_owner():
    owner, nth = mix.spread(np.array([2, 0, 3]))
    assert (owner.tolist(), nth.tolist()) == ([0, 0, 2, 2, 2], [0, 1, 0, 1, 2])
