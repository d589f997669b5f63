"""Prompts that were made before: the latest in memory, many on disk.

A file is written beside its place and renamed into it, holds a digest of its samples and is never changed. So
whatever stops or shares the directory, a file is whole or is found not to be, and is then made again.
"""

import asyncio
import logging
import os
import struct
import tempfile
import threading
import time
from collections import OrderedDict
from hashlib import blake2b
from pathlib import Path

from speech.prompt import Prompt

logger = logging.getLogger(__name__)

_MAGIC = b"MMP1"
_HEAD = struct.Struct("<4sII16s")  # magic, rate, bytes of samples, their digest
_SUFFIX = ".prompt"
_STALE_SECONDS = 3600.0  # an unfinished file older than this belongs to nobody


class Store:
    """Prompts by name. Sizes are bytes. Trouble with the disk is logged and costs speed, never a prompt."""

    def __init__(self, directory: Path, *, memory: int, disk: int) -> None:
        self._directory = directory
        self._memory = memory
        self._disk = disk
        self._held: OrderedDict[str, Prompt] = OrderedDict()
        self._held_size = 0
        self._disk_size = 0
        self._files = threading.Lock()

    async def open(self) -> None:
        """Make the directory, drop what an interrupted run left, and see how much is there."""
        await asyncio.to_thread(self._open)

    def held(self, name: str) -> Prompt | None:
        """The prompt, if it is in memory."""
        prompt = self._held.get(name)
        if prompt is not None:
            self._held.move_to_end(name)
        return prompt

    async def load(self, name: str) -> Prompt | None:
        """The prompt from disk, or None when it is not there or not whole."""
        prompt = await asyncio.to_thread(self._read, name)
        if prompt is not None:
            self._hold(prompt)
        return prompt

    async def keep(self, prompt: Prompt) -> None:
        """Remember a prompt under its name."""
        self._hold(prompt)
        await asyncio.to_thread(self._write, prompt)

    def _hold(self, prompt: Prompt) -> None:
        if len(prompt.samples) > self._memory // 4:
            return  # one long file would push all the short ones out
        replaced = self._held.pop(prompt.name, None)
        self._held_size += len(prompt.samples) - (len(replaced.samples) if replaced is not None else 0)
        self._held[prompt.name] = prompt
        while self._held_size > self._memory:
            _, oldest = self._held.popitem(last=False)
            self._held_size -= len(oldest.samples)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}{_SUFFIX}"

    def _open(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._directory.glob("*.tmp"):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    path.unlink(missing_ok=True)
            self._disk_size = sum(size for _, size, _ in self._listing())
            if self._disk_size > self._disk:
                self._trim()
        except OSError as error:
            logger.warning("prompt_cache_unusable", extra={"reason": str(error)})

    def _read(self, name: str) -> Prompt | None:
        path = self._path(name)
        try:
            data = path.read_bytes()
            if len(data) >= _HEAD.size:
                magic, rate, size, digest = _HEAD.unpack_from(data)
                samples = data[_HEAD.size :]
                if magic == _MAGIC and size == len(samples) and digest == _digest(samples):
                    os.utime(path)  # what is used is kept
                    return Prompt(samples, rate, name)
            logger.warning("prompt_cache_damaged", extra={"path": str(path)})
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("prompt_cache_unreadable", extra={"path": str(path), "reason": str(error)})
        return None

    def _write(self, prompt: Prompt) -> None:
        size = len(prompt.samples)
        if size > self._disk // 4:
            return
        data = _HEAD.pack(_MAGIC, prompt.rate, size, _digest(prompt.samples)) + prompt.samples
        try:
            handle, unfinished = tempfile.mkstemp(dir=self._directory, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(unfinished, self._path(prompt.name))
            except OSError:
                os.unlink(unfinished)
                raise
            with self._files:
                self._disk_size += len(data)
                if self._disk_size > self._disk:
                    self._trim()
        except OSError as error:
            logger.warning("prompt_cache_not_written", extra={"reason": str(error)})

    def _trim(self) -> None:
        """Remove what was not used for longest until a tenth of the room is free again."""
        listing = sorted(self._listing())
        self._disk_size = sum(size for _, size, _ in listing)
        for _, size, path in listing:
            if self._disk_size <= self._disk * 9 // 10:
                return
            path.unlink(missing_ok=True)
            self._disk_size -= size

    def _listing(self) -> list[tuple[float, int, Path]]:
        found = []
        for path in self._directory.glob(f"*{_SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another server that shares the directory was quicker
            found.append((status.st_mtime, status.st_size, path))
        return found


def _digest(samples: bytes) -> bytes:
    return blake2b(samples, digest_size=16).digest()
