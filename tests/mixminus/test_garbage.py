"""Circles that libraries leave behind are found, though the collector never looks by itself."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from mixminus import garbage
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


class Node:
    def __init__(self) -> None:
        self.itself = self


async def test_a_circle_that_has_grown_old_is_found_at_the_next_look() -> None:
    garbage.settle()
    node = Node()
    found = weakref.ref(node)
    gc.collect(1)  # it is among the oldest now
    del node
    gc.collect(1)
    assert found() is not None
    tidying = asyncio.create_task(garbage.tidy(0.0, 0.0))
    await eventually(lambda: found() is None)
    tidying.cancel()


async def test_a_young_circle_is_found_by_the_next_short_look() -> None:
    garbage.settle()
    node = Node()
    found = weakref.ref(node)
    del node
    tidying = asyncio.create_task(garbage.tidy(0.0))
    await eventually(lambda: found() is None)
    tidying.cancel()


async def test_nothing_is_looked_at_but_by_the_clock() -> None:
    """However many objects a steady rate of calls makes and frees."""
    garbage.settle()
    assert not gc.isenabled()


def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    node = Node()
    garbage.settle()
    found = weakref.ref(node)
    del node
    assert gc.collect() == 0 and found() is not None
