"""SIGHUP: reads the configuration again and lets the running server take what may change."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mixminus.config import ConfigError
from mixminus.settings import Config

logger = logging.getLogger(__name__)


async def reload_when(
    asked: asyncio.Event,
    read: Callable[[], Config],
    adopt: Callable[[Config], Awaitable[tuple[str, ...]]],
) -> None:
    """Each time that `asked` is set: `read`, in a thread, and `adopt`, which returns the sections that wait
    for a restart. What cannot be read or used changes nothing, and the log says why, line by line."""
    while True:
        await asked.wait()
        asked.clear()
        try:
            config = await asyncio.to_thread(read)
            waiting = await adopt(config)
        except ConfigError as error:
            logger.warning("configuration_refused", extra={"problems": str(error).splitlines()})
            continue
        except OSError as error:
            logger.warning("configuration_refused", extra={"problems": [error.strerror or str(error)]})
            continue
        except Exception:
            # Whatever else is wrong with it, calls go on with the one before.
            logger.exception("configuration_refused")
            continue
        for warning in config.warnings:
            logger.warning("configuration", extra={"warning": warning})
        logger.info("configuration_reloaded", extra={"after_restart": list(waiting) or None})
