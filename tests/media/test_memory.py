"""Prompts as memory that crosses to another process and never changes."""

import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

from media import memory

SAMPLES = np.arange(-4000, 4000, dtype="<i2")


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = memory.sealed(SAMPLES.tobytes())
    yield descriptor
    os.close(descriptor)


@pytest.fixture(params=["copied", "mapped"], autouse=True)
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "mapped":
        monkeypatch.setattr(memory, "MAPPED", 0)


def test_samples_come_back_as_they_went_in(descriptor: int) -> None:
    assert np.array_equal(memory.samples(descriptor, SAMPLES.nbytes), SAMPLES)


def test_samples_outlive_the_descriptor() -> None:
    descriptor = memory.sealed(SAMPLES.tobytes())
    samples = memory.samples(descriptor, SAMPLES.nbytes)
    os.close(descriptor)
    assert np.array_equal(samples, SAMPLES)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system cannot seal memory")
def test_sealed_memory_neither_changes_nor_shrinks(descriptor: int) -> None:
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)


def test_memory_that_is_not_sealed_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = memory.sealed(SAMPLES.tobytes())
    samples = memory.samples(descriptor, SAMPLES.nbytes)
    os.pwrite(descriptor, bytes(100), 0)
    os.ftruncate(descriptor, 0)
    os.close(descriptor)
    assert np.array_equal(samples, SAMPLES)


@pytest.mark.parametrize("size", [SAMPLES.nbytes + 2, 7])
def test_a_size_that_is_not_there_is_refused(descriptor: int, size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        memory.samples(descriptor, size)


def test_no_samples_are_an_empty_prompt() -> None:
    descriptor = memory.sealed(b"")
    assert len(memory.samples(descriptor, 0)) == 0
    os.close(descriptor)


def test_shared_memory_is_seen_by_both_mappings() -> None:
    descriptor = memory.anonymous("test")
    os.ftruncate(descriptor, mmap.PAGESIZE)
    one, other = memory.shared(descriptor, mmap.PAGESIZE), memory.shared(descriptor, mmap.PAGESIZE)
    os.close(descriptor)
    one[0:3] = b"abc"
    assert other[0:3] == b"abc"
