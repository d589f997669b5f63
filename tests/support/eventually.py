"""Wait for a condition with a deadline: the only way a test here waits for another party."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds that a wait may last: what comes at all comes sooner, however busy the machine is, and though its
disk may stand still for twenty of them."""


async def eventually(
    condition: Callable[[], Any],
    *,
    within: float = PATIENCE,
    every: float = 0.02,
    what: str | Callable[[], str] = "",
) -> Any:
    """The first true value of `condition` (plain or async).

    `condition` may raise AssertionError to say "not yet, because"; the last reason stands in the failure.
    """
    deadline = time.monotonic() + within
    while True:
        reason: object = None
        value: Any = None
        try:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
        except AssertionError as error:
            reason = error
        else:
            if value:
                return value
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"not within {within} s: {told or condition}; last: {reason or value!r}")
        await asyncio.sleep(every)
