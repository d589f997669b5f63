"""The official Node SDK in a process of its own, spoken to line by line."""

import asyncio
import json
from types import TracebackType
from typing import Any

from tests.support.node import installed

OLDEST = 20  # what the SDK declares


class NodeSdk:
    """`async with NodeSdk(basePath=..., username=...) as sdk: await sdk("CallsApi", "getCallState", ...)`"""

    def __init__(self, **configuration: str) -> None:
        self._configuration = configuration
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "NodeSdk":
        folder = await asyncio.to_thread(installed, "the official Node SDK", OLDEST)
        self._process = await asyncio.create_subprocess_exec(
            "node",
            "sdk.js",
            cwd=folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 22,
        )
        await self._order({"configuration": self._configuration})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def __call__(self, api: str, method: str, *arguments: Any) -> tuple[int, Any]:
        """Status and data of one call; None among the arguments leaves one out."""
        answer = await self._order({"api": api, "method": method, "arguments": arguments})
        return answer["status"], answer.get("data")

    async def documents(self, *verbs: list[Any]) -> list[str]:
        """What the builders make of these verbs, with either root: `["SpeakSentence", "Hello"]`."""
        answer = await self._order({"document": verbs})
        return [answer["response"], answer["root"]]

    async def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        await process.stdin.drain()
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line, "node has ended"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer
