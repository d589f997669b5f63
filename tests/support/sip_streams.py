"""A phone's TCP connections: those it opened and those it accepted, messages taken whole off each."""

import asyncio
import contextlib
from collections.abc import Callable

from tests.support.sip_text import split_stream

Address = tuple[str, int]


class Streams:
    def __init__(self, on_message: Callable[[bytes, asyncio.StreamWriter], None]) -> None:
        self._on_message = on_message
        self._writers: list[asyncio.StreamWriter] = []
        self._readers: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """The port it got."""
        self._listener = await asyncio.start_server(self._accepted, host, port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def connect(self, hop: Address, host: str) -> None:
        """A connection to `hop`, the one that is there or a new one from `host`."""
        if self._find(hop) is None:
            self._accepted(*await asyncio.open_connection(*hop, local_addr=(host, 0)))

    def to(self, hop: Address) -> asyncio.StreamWriter:
        writer = self._find(hop)
        assert writer is not None, f"no connection to {hop}"
        return writer

    def _find(self, hop: Address) -> asyncio.StreamWriter | None:
        for writer in self._writers:
            if not writer.is_closing() and writer.get_extra_info("peername")[:2] == hop:
                return writer
        return None

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.get_running_loop().create_task(self._read(reader, writer))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = bytearray()
        try:
            while data := await reader.read(65536):
                buffer += data
                for message in split_stream(buffer):
                    self._on_message(message, writer)
        except ConnectionError:
            pass  # as good as the end of the stream
        finally:
            self._writers.remove(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for task in list(self._readers):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
