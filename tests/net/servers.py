"""Small HTTP servers on free loopback ports, well-behaved and not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def site(
    handler: Handler, *, host: str = "127.0.0.1", tls: SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve every path and method with `handler`; gives the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_site(talk: Talk) -> AsyncIterator[int]:
    """Serve bytes: `talk` is called once the request's header has been read. Gives the port."""

    talking: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking.add(asyncio.current_task())
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return  # the client has left, as many of these tests want it to, or the test is over
        finally:
            talking.discard(asyncio.current_task())
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in talking:
            if task is not None:
                task.cancel()
        await server.wait_closed()


class Names:
    """A name server of ours: each name has a list of answers, the last of which repeats."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): list(turns) for name, turns in answers.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        self.asked.append(host)
        turns = self._answers.get(host)
        if turns is None:
            raise OSError("Name or service not known")
        addresses = turns.pop(0) if len(turns) > 1 else turns[0]
        return [(10 if ":" in address else 2, 1, 6, "", (address, port)) for address in addresses]
