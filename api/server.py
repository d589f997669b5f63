"""The HTTP server, as a guest in the event loop of the process. The settings of uvicorn are here only."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from api.connections import bounded

# Also the most connections that are accepted in one turn of the loop, before any of them can be counted.
_BACKLOG = 128

CONNECTIONS = 512
"""At a time, where nothing else is said."""

KEEP_ALIVE = 75
"""Seconds that a connection may wait for its next request: longer than clients let one wait, since who closes
when the other asks leaves him without an answer. Where places are short an idle one is given up."""


class _Guest(uvicorn.Server):
    """uvicorn without its hold on the process: signals stay with the command line."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepts = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepts.set()


def _tell(record: logging.LogRecord) -> bool:
    """What uvicorn says in words, as one of our events."""
    record.reason, record.msg, record.args = record.getMessage().strip(), "http_server_failed", ()
    return True


class HttpServer:
    """Serves an application at `listen`: "address:port", IPv6 in brackets, port 0 for a free one.

    At most `connections` at a time, each with `patience` seconds for the whole header of a request; see
    `api.connections`.
    """

    def __init__(
        self,
        app: ASGIApp,
        listen: str,
        *,
        grace: int = 3,
        connections: int = CONNECTIONS,
        patience: float = 10.0,
    ) -> None:
        self._listen = listen
        self._server = _Guest(
            uvicorn.Config(
                app,
                http=bounded(connections, patience),
                backlog=_BACKLOG,
                lifespan="off",
                ws="none",
                log_config=None,
                # Below that it only speaks of requests that it could not read: see `api.connections`.
                log_level="error",
                access_log=False,
                server_header=False,
                # The proxy on this machine may say for whom it asks; nobody else may.
                forwarded_allow_ips="127.0.0.1,::1",
                timeout_graceful_shutdown=grace,
                timeout_keep_alive=KEEP_ALIVE,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_tell)
        self._task: asyncio.Task[None] | None = None
        self.address: tuple[str, int] = ("", 0)
        """Where the server listens, once started."""

    async def start(self) -> None:
        """Listen and accept. Raises OSError naming the key and the address that cannot be had."""
        listener = self._bind()
        self.address = listener.getsockname()[:2]
        self._task = asyncio.get_running_loop().create_task(self._server.serve([listener]), name="http")
        accepts = asyncio.create_task(self._server.accepts.wait())
        await asyncio.wait({self._task, accepts}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            accepts.cancel()
            await self._task

    async def close(self) -> None:
        """Take no more connections, let requests under way finish for `grace` seconds, then end them."""
        if self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._task = None

    def _bind(self) -> socket.socket:
        host, _, port = self._listen.rpartition(":")
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named by its protocol, so that asyncio knows it for TCP and sends each answer at once (TCP_NODELAY).
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, int(port)))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise OSError(error.errno, f"http.listen {self._listen}: {error.strerror}") from error
        return listener
