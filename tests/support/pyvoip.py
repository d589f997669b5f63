"""Drives the pyVoIP softphone, which runs as a process of its own (see pyvoip_phone.py)."""

import asyncio
import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.eventually import eventually
from tests.support.free_ports import free_port, free_range
from tests.support.programs import missing
from tests.support.server import ROOT


class PyVoip:
    """`async with PyVoip(server, "alice") as phone:` is registered; then `call`, `heard`, `hang_up`."""

    def __init__(
        self, server: tuple[str, int], user: str, *, password: str = "none", frequency: int = 440
    ) -> None:
        if importlib.util.find_spec("pyVoIP") is None:
            missing("pyVoIP is missing; install it with: pip install 'mixminus[test]'")
        self.directory = tempfile.TemporaryDirectory(prefix="pyvoip-")
        self.recording = Path(self.directory.name) / "heard"
        # pyVoIP makes the same Call-ID and branch after a restart on the same port: a new port for each run.
        self.line = [
            sys.executable,
            str(ROOT / "tests/support/pyvoip_phone.py"),
            *("--server", server[0], "--port", str(server[1]), "--user", user, "--password", password),
            *("--sip-port", str(free_port()), "--rtp-port", free_range(12).split("-")[0]),
            *("--frequency", str(frequency), "--recording", str(self.recording)),
        ]
        self.facts: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._errors = Path(self.directory.name) / "errors"

    async def __aenter__(self) -> "PyVoip":
        with self._errors.open("wb") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *self.line, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=errors
            )
        self._reader = asyncio.get_running_loop().create_task(self._read())
        await self.told("registered")
        return self

    async def _read(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.facts.append(json.loads(line))

    async def told(self, what: str, *, within: float = 10.0) -> None:
        def there() -> bool:
            failed = [fact for fact in self.facts if fact["is"] == "failed"]
            if failed:
                pytest.fail(f"pyVoIP: {failed[0]['why']}\n{self.story()}")
            return any(fact["is"] == what for fact in self.facts)

        await eventually(
            there, within=within, what=lambda: f"pyVoIP {what}; told {self.facts}\n{self.story()}"
        )

    def story(self) -> str:
        return self._errors.read_text(errors="replace")[-3000:]

    async def _do(self, **command: Any) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        await self.process.stdin.drain()

    async def call(self, number: str) -> None:
        await self._do(do="call", number=number)
        await self.told("answered")

    async def hang_up(self) -> None:
        await self._do(do="hangup")
        await self.told("ended")

    def heard(self, *, last: float | None = None) -> np.typing.NDArray[np.int16]:
        """int16 at 8 kHz, of eight bits' worth."""
        raw = self.recording.read_bytes() if self.recording.exists() else b""
        samples = (np.frombuffer(raw, np.uint8).astype(np.int16) - 128) * 256
        return samples[-int(last * 8000) :] if last is not None else samples

    async def __aexit__(self, *_: object) -> None:
        assert self.process is not None and self.process.stdin is not None
        if self.process.returncode is None:
            try:
                await self._do(do="quit")
                self.process.stdin.close()
                await asyncio.wait_for(self.process.wait(), 20)
            except (TimeoutError, ConnectionError):
                self.process.kill()
                await self.process.wait()
        if self._reader is not None:
            await self._reader
        self.directory.cleanup()
