"""When the garbage collector looks at everything: seldom, since nothing else happens meanwhile."""

import asyncio
import gc

PERIOD = 300.0
"""Seconds between two looks."""

_NEVER = 20_000  # young objects are looked at as usual; of the oldest so many rounds later, which is hours


def settle() -> None:
    """What exists by now lives as long as the process, and need not be looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, _NEVER)


async def tidy(period: float = PERIOD) -> None:
    """Look at everything now and then, until cancelled.

    Calls leave no circles behind, and what is kept of them is nothing to look at (`calls.ended`); but each
    connection that is closed leaves one in asyncio, which would add up. At a hundred new calls a second there
    are some 200,000 objects to look at, most of them SIP transactions of the last half minute, and nobody
    should have to wait for that often.
    """
    while True:
        await asyncio.sleep(period)
        gc.collect()
