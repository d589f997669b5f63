"""When the garbage collector looks at what: little and often by the clock, everything seldom."""

import asyncio
import gc

YOUNG = 0.25
"""Seconds between two looks at what is new since the last."""

PERIOD = 300.0
"""Seconds between two looks at everything."""


def settle() -> None:
    """What exists by now lives as long as the process, and need not be looked at again. From here on it is
    `tidy` that looks."""
    gc.collect()
    gc.freeze()
    gc.disable()


async def tidy(young: float = YOUNG, period: float = PERIOD) -> None:
    """Look at what is new, and now and then at everything, until cancelled.

    Left alone, the collector goes by how many more objects were made than freed. At a steady rate of calls
    that number stands still, since those of half a minute ago are freed meanwhile; then tens of thousands of
    new ones are looked at in one go, for a tenth of a second and more, in which nobody is answered.

    Calls leave no circles behind, and what is kept of them is nothing to look at (`calls.ended`); but each
    connection that is closed leaves one in asyncio, which would add up. At a hundred new calls a second there
    are some 200,000 objects to look at, most of them SIP transactions of the last half minute, and nobody
    should have to wait for that often.
    """
    loop = asyncio.get_running_loop()
    everything = loop.time() + period
    while True:
        await asyncio.sleep(young)
        if loop.time() < everything:
            gc.collect(0)
        else:
            gc.collect()
            everything = loop.time() + period
