"""A small client of the REST API: status and JSON, nothing hidden."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.server import PASSWORD, USER, Server


class Rest:
    """`async with Rest(server) as rest: status, body = await rest.get("/calls")`"""

    def __init__(self, server: Server, *, user: str = USER, password: str = PASSWORD) -> None:
        self.base = server.api
        proof = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {proof}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Rest":
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=aiohttp.ClientTimeout(total=60))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        assert self._session is not None
        async with self._session.request(method, self.base + path, **options) as answer:
            raw = await answer.read()
            return answer.status, (await answer.json(content_type=None)) if raw else None

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The data of a stream of server-sent events, one after the other."""
        assert self._session is not None
        patience = aiohttp.ClientTimeout(total=None, sock_read=60)
        async with self._session.get(self.base + path, timeout=patience) as answer:
            assert answer.status == 200, await answer.text()
            yield (json.loads(line[6:]) async for line in answer.content if line.startswith(b"data: "))

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        return await self.request("GET", path, params=query)

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.request("POST", path, json=body)

    async def put(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.request("PUT", path, json=body)

    async def put_bxml(self, path: str, document: str) -> tuple[int, Any]:
        return await self.request(
            "PUT", path, data=document.encode(), headers={"Content-Type": "application/xml"}
        )
