"""Keeps the registrar's bindings in a file, so that phones are reachable after a restart."""

import asyncio
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from sip import bindings
from sip.bindings import BindingsError
from sip.registrar import Registrar

logger = logging.getLogger(__name__)

FILE = "registrations.json"

# A crash loses the registrations of so many seconds; a thousand phones that register cost one write.
_SECONDS = 5.0


class Registrations:
    """The copy on disk of what a registrar knows. `start` reads it, then writes it as it changes."""

    def __init__(self, registrar: Registrar, directory: Path) -> None:
        self._registrar = registrar
        self._file = directory / FILE
        self._written = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what the last process has left. A file that cannot be used is left alone until the next
        change, and only logged: phones register again by themselves."""
        try:
            text = await asyncio.to_thread(self._read)
            if text:
                loop = asyncio.get_running_loop()
                count = bindings.load(self._registrar, text, now=loop.time(), wall=time.time())
                logger.info("registrations_restored", extra={"bindings": count})
        except (OSError, UnicodeDecodeError, BindingsError) as error:
            logger.warning("registrations_unreadable", extra={"file": str(self._file), "reason": str(error)})
        self._written = self._registrar.changes
        self._task = asyncio.create_task(self._keep(), name="registrations")

    async def close(self) -> None:
        """Write what has changed, and stop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._save()

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            await self._save()

    async def _save(self) -> None:
        if self._registrar.changes == self._written:
            return
        changes = self._registrar.changes
        text = bindings.dump(self._registrar, now=asyncio.get_running_loop().time(), wall=time.time())
        try:
            await asyncio.to_thread(self._write, text)
        except OSError as error:
            logger.warning("registrations_unwritable", extra={"file": str(self._file), "reason": str(error)})
            return
        self._written = changes

    def _read(self) -> str:
        return self._file.read_text("utf-8") if self._file.exists() else ""

    def _write(self, text: str) -> None:
        """A new file in the place of the old one: a reader finds one of them whole."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as output:
            output.write(text)
        fresh.replace(self._file)
