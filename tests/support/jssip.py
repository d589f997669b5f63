"""JsSIP over WebSocket in a process of its own (see tests/e2e/node/phone.js): signalling, no sound."""

import asyncio
import json
import os
from typing import Any

from tests.support.eventually import eventually
from tests.support.node import installed

OLDEST = 18  # a Node that is still looked after


class JsSip:
    """`async with JsSip("wss://localhost:5061", "sip:bob@localhost", origin=...) as phone:` is registered.

    What happened is in `facts`. It answers what rings. `authority`: a PEM file that it believes.
    """

    def __init__(self, url: str, uri: str, *, origin: str, password: str = "", authority: str = "") -> None:
        self._first = {"url": url, "uri": uri, "origin": origin, "password": password}
        self._environment = {**os.environ, "NODE_EXTRA_CA_CERTS": authority}
        self.facts: list[dict[str, Any]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "JsSip":
        folder = await asyncio.to_thread(installed, "JsSIP", OLDEST)
        self._process = await asyncio.create_subprocess_exec(
            *("node", "phone.js"),
            cwd=folder,
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reader = asyncio.get_running_loop().create_task(self._read())
        await self(self._first)
        try:
            await self.told("registered")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.facts.append(json.loads(line))

    async def __call__(self, order: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()

    async def told(self, what: str, number: int = 1) -> dict[str, Any]:
        """The `number`-th fact of that kind."""

        def found() -> dict[str, Any] | None:
            facts = [fact for fact in self.facts if fact["is"] == what]
            return facts[number - 1] if len(facts) >= number else None

        told = await eventually(found, what=lambda: f"JsSIP {what}; told {self.facts}")
        return dict(told)

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None and self._process.stdin is not None and self._reader is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader
