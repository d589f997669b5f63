"""Reading the configuration again: what it changes, and what a bad one does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from mixminus.config import ConfigError
from mixminus.reload import reload_when
from mixminus.settings import Config
from tests.support.eventually import eventually


class Source:
    """What is read next; `adopted` is what came of it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.content: Config | Exception = Config()
        self.waiting: tuple[str, ...] = ()
        self.adopted: list[Config] = []

    def read(self) -> Config:
        if isinstance(self.content, Exception):
            raise self.content
        return self.content

    async def adopt(self, config: Config) -> tuple[str, ...]:
        self.adopted.append(config)
        return self.waiting

    def has_adopted(self, count: int) -> bool:
        return len(self.adopted) == count


@asynccontextmanager
async def reloading() -> AsyncIterator[Source]:
    source = Source()
    task = asyncio.create_task(reload_when(source.asked, source.read, source.adopt))
    yield source
    assert not task.done()
    task.cancel()


def told(caplog: pytest.LogCaptureFixture, event: str) -> bool:
    return any(record.message == event for record in caplog.records)


async def test_each_request_is_a_reading_and_says_what_waits_for_a_restart(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    async with reloading() as source:
        source.waiting = ("rtp",)
        for count in (1, 2):
            source.asked.set()
            await eventually(partial(source.has_adopted, count))
        await eventually(lambda: told(caplog, "configuration_reloaded"))
    assert caplog.records[-1].after_restart == ["rtp"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("problem", "lines"),
    [
        (ConfigError("a.toml:3: sip.x: unknown\na.toml:7: users: bad"), 2),
        (OSError(2, "cert.pem: no such file"), 1),
        (RuntimeError("whatever"), 0),
    ],
)
async def test_what_cannot_be_read_changes_nothing_and_says_why_and_the_next_is_taken(
    problem: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with reloading() as source:
        source.content = problem
        source.asked.set()
        await eventually(lambda: told(caplog, "configuration_refused"))
        assert source.adopted == []
        assert len(getattr(caplog.records[-1], "problems", [])) == lines
        source.content = Config()
        source.asked.set()
        await eventually(lambda: source.adopted)
