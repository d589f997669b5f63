"""A Gather in real time: prompts play, keys come, time passes. What it comes to is the collector's to say."""

import asyncio
from collections.abc import Awaitable, Callable

from bxml.verbs import Gather
from calls.digits import Collector, Keypad


async def gather(verb: Gather, keypad: Keypad, prompts: Callable[[], Awaitable[None]]) -> Collector:
    """Collect what `verb` wants; `prompts` plays all of its prompts once, and is cancelled by the first key.

    Raises what `prompts` raises.
    """
    loop = asyncio.get_running_loop()
    collector = Collector(
        terminating=verb.terminating_digits,
        most=verb.max_digits,
        first=verb.first_digit_timeout,
        between=verb.inter_digit_timeout,
        hearings=verb.repeat_count if verb.prompts else 0,
        now=loop.time(),
    )
    pressed = asyncio.Event()
    with keypad.gathering(collector, pressed.set, loop.time()):
        while not collector.over:
            pressed.clear()
            if collector.prompting:
                if await _unless(pressed, prompts()):
                    collector.prompt_ended(loop.time())
            elif collector.deadline is not None:
                await _unless(pressed, asyncio.sleep(collector.deadline - loop.time()))
                collector.expire(loop.time())
    return collector


async def _unless(pressed: asyncio.Event, doing: Awaitable[None]) -> bool:
    """Whether this came to its end; it is cancelled when a key is pressed first."""
    task = asyncio.ensure_future(doing)
    key = asyncio.ensure_future(pressed.wait())
    try:
        await asyncio.wait({task, key}, return_when=asyncio.FIRST_COMPLETED)
        ended = task.done()
    finally:
        key.cancel()
        task.cancel()
        await asyncio.wait({task})
        failure = None if task.cancelled() else task.exception()
    if failure is not None:
        raise failure
    return ended
