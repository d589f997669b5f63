import os
import time

import pytest

from speech.prompt import Prompt
from speech.store import Store


def prompt(name: str, size: int = 1000) -> Prompt:
    return Prompt(os.urandom(size), 8000, name)


@pytest.fixture
async def store(tmp_path):
    store = Store(tmp_path / "a" / "prompts", memory=10_000, disk=100_000)
    await store.open()
    return store


async def another(store: Store) -> Store:
    """The same directory, as after a restart."""
    fresh = Store(store._directory, memory=10_000, disk=100_000)
    await fresh.open()
    return fresh


async def test_a_prompt_survives_a_restart(store):
    made = prompt("one")
    await store.keep(made)
    assert store.held("one") is made
    fresh = await another(store)
    assert fresh.held("one") is None
    assert await fresh.load("one") == made
    assert fresh.held("one") == made
    assert await fresh.load("two") is None


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
async def test_a_damaged_file_counts_as_absent_and_is_removed(store, damage):
    await store.keep(prompt("one"))
    (path,) = store._directory.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[500] ^= 1
    path.write_bytes({"cut": data[:-10], "flip": data, "empty": b"", "other": b"RIFF" + bytes(100)}[damage])
    fresh = await another(store)
    assert await fresh.load("one") is None
    assert not path.exists()


async def test_memory_keeps_what_was_used_last(store):
    for number in range(10):
        await store.keep(prompt(str(number)))
    assert store.held("0") is not None
    await store.keep(prompt("10"))
    assert store.held("0") is not None
    assert store.held("1") is None
    assert await store.load("1") is not None


async def test_one_long_sound_does_not_push_out_the_short_ones(store):
    await store.keep(prompt("short"))
    await store.keep(prompt("long", 9000))
    assert store.held("short") is not None
    assert store.held("long") is None
    assert await store.load("long") is not None


async def test_the_disk_is_bounded_and_loses_what_was_not_used_longest(store):
    for number in range(97):
        await store.keep(prompt(str(number)))
        stamp = time.time() - 1000 + number
        os.utime(store._path(str(number)), (stamp, stamp))
    fresh = await another(store)
    assert await fresh.load("0") is not None  # used now
    await fresh.keep(prompt("more", 2000))
    size = sum(path.stat().st_size for path in store._directory.iterdir())
    assert size <= 100_000
    fresh = await another(store)
    assert await fresh.load("0") is not None
    assert await fresh.load("1") is None
    assert await fresh.load("96") is not None


async def test_leftovers_of_an_interrupted_run_are_removed_and_those_of_others_are_not(store):
    old, young = store._directory / "x.tmp", store._directory / "y.tmp"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))
    await another(store)
    assert not old.exists()
    assert young.exists()


async def test_without_a_disk_prompts_are_still_held(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.touch()
    store = Store(blocked / "prompts", memory=10_000, disk=100_000)
    await store.open()
    made = prompt("one")
    await store.keep(made)
    assert store.held("one") is made
    assert "prompt_cache_not_written" in caplog.text


async def test_prompts_are_readable_by_their_owner_only(store):
    await store.keep(prompt("one"))
    assert store._directory.stat().st_mode & 0o077 == 0
    assert store._path("one").stat().st_mode & 0o077 == 0
