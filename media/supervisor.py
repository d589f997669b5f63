"""Starts the media process, carries messages to and fro, and starts another when it dies.

Control owns what must outlive a media process: the bound sockets of the port range and the shared columns.
A successor therefore has the same ports at once, and finds out whose late packets to keep out.
"""

import asyncio
import errno
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from media import memory
from media.channel import MAX_DESCRIPTORS, Channel
from media.messages import AnyEvent, Command, Ready, Report, Setup, Sound
from media.shared import Shared, rows_for
from rtp.sockets import bind_ports

logger = logging.getLogger(__name__)

BIND_SECONDS = 1.0
START_SECONDS = 30.0  # a fresh interpreter on a machine that has little time for it
STUCK_SECONDS = 5.0  # without a single beat; a host may well stall for two
SERVED_SECONDS = 1.0  # a process that has mixed so long is followed by another at once
END_SECONDS = 1.0
MAX_COMMANDS = 1000  # in one message
_SOURCES = str(Path(__file__).resolve().parent.parent)
MAX_QUEUED = 10_000  # messages; a process that reads none of so many does not live


class Supervisor:
    """One media process after the other. `on_event` gets its events, `on_lost` its end, in the loop."""

    def __init__(
        self,
        *,
        address: str,
        ports: Sequence[int],
        legs: int,
        silence: float,
        sound: Sound,
        on_event: Callable[[AnyEvent], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._address = address
        self._ports = ports
        self._legs = legs
        self._silence = silence
        self._sound = sound
        self._on_event = on_event
        self._on_lost = on_lost
        self._sockets: list[tuple[socket.socket, socket.socket]] = []
        self._descriptor = -1
        self._channel: Channel | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._pending: list[tuple[Command, int | None]] = []
        self._flushing = False
        self._received = 0
        self._running = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Report)
        self.shared: Shared | None = None
        self.ready: Ready | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Bind the ports and wait until the beat runs. Raises OSError."""
        self._sockets = await self._bind()
        try:
            self._descriptor = memory.anonymous("mixminus-media")
            self.shared = Shared(self._descriptor, rows_for(self._legs), create=True)
            await self._spawn()
            assert self._process is not None
            await self._wait_ready(self._process)
        except BaseException:
            await self.close()
            raise
        self._keeper = asyncio.create_task(self._keep(), name="media-keeper")

    async def close(self) -> None:
        """End the process: it goes when its channel closes, and is killed if it does not."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        self._disconnect()
        if self._process is not None:
            await _end(self._process)
            self._process = None
        for pair in self._sockets:
            for sock in pair:
                sock.close()
        self._sockets = []
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def pids(self) -> list[int]:
        return [self._process.pid] if self._process and self._process.returncode is None else []

    def send(self, command: Command, descriptor: int | None = None) -> None:
        """Queue a command for the message of this pass of the loop. Takes over the descriptor."""
        if self._channel is None:
            if descriptor is not None:
                os.close(descriptor)
            return
        self._pending.append((command, descriptor))
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def commit(self) -> None:
        """Send what is queued now, not at the end of this pass of the loop."""
        if self._pending:
            self._flush()

    # The channel

    def _flush(self) -> None:
        self._flushing = False
        pending, self._pending = self._pending, []
        channel = self._channel
        if channel is None:
            _close_all(pending)
            return
        while pending:
            message, pending = _cut(pending)
            descriptors = [descriptor for _, descriptor in message if descriptor is not None]
            channel.push(self._encoder.encode([command for command, _ in message]), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        self._write()

    def _write(self) -> None:
        channel = self._channel
        if channel is None:
            return
        loop = asyncio.get_running_loop()
        if channel.flush():
            loop.remove_writer(channel.fileno())
        else:
            loop.add_writer(channel.fileno(), self._write)
            if channel.queued > MAX_QUEUED and self._process is not None:
                logger.error("media_reads_nothing", extra={"pid": self._process.pid})
                _kill(self._process)

    def _read(self) -> None:
        channel = self._channel
        if channel is None:
            return
        for frame in channel.pull():
            report = self._decoder.decode(frame)
            if report.number != self._received:
                raise AssertionError(f"media event {self._received} is missing, {report.number} came")
            self._received += len(report.events)
            for event in report.events:
                if isinstance(event, Ready):
                    self.ready = event
                    self._running.set()
                # Each on its own, so that a handler that fails does not take the others' events along.
                asyncio.get_running_loop().call_soon(self._on_event, event)
        if channel.closed:
            self.ready = None  # whatever is asked for from now on would never be answered
            self._disconnect()

    def _disconnect(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(channel.fileno())
            loop.remove_writer(channel.fileno())
            channel.close()
        _close_all(self._pending)
        self._pending = []

    # The process

    async def _bind(self) -> list[tuple[socket.socket, socket.socket]]:
        """The sockets of the range; a predecessor that was killed may need a moment to let go of them."""
        deadline = time.monotonic() + BIND_SECONDS
        while True:
            try:
                return bind_ports(self._address, self._ports)
            except OSError as error:
                in_use = error.errno == errno.EADDRINUSE
                if not in_use or time.monotonic() >= deadline:
                    key = "rtp.address" if error.errno == errno.EADDRNOTAVAIL else "rtp.ports"
                    raise OSError(error.errno, f"{key}: {error.strerror}") from error
            await asyncio.sleep(0.1)

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        rtp = [pair[0].fileno() for pair in self._sockets]
        rtcp = [pair[1].fileno() for pair in self._sockets]
        paths = [_SOURCES, os.environ.get("PYTHONPATH", "")]
        try:
            self._process = await asyncio.create_subprocess_exec(
                # -P: a folder called media where the server was started is not this package.
                *(sys.executable, "-P", "-m", "media.process", "--fd", str(theirs.fileno())),
                pass_fds=[theirs.fileno(), self._descriptor, *rtp, *rtcp],
                stdin=asyncio.subprocess.DEVNULL,
                # One thread: what it would win in the beat's small products, waiting for others loses.
                env={
                    **os.environ,
                    "OPENBLAS_NUM_THREADS": "1",
                    "PYTHONPATH": os.pathsep.join(path for path in paths if path),
                },
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._received = 0
        self._running.clear()
        self._channel = Channel(ours)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read)
        self.send(Setup(rtp, rtcp, self._descriptor, self._legs, self._silence, self._sound))

    async def _wait_ready(self, process: asyncio.subprocess.Process) -> None:
        running = asyncio.create_task(self._running.wait())
        ended = asyncio.create_task(process.wait())
        try:
            await asyncio.wait((running, ended), timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.cancel()
            ended.cancel()
        if self.ready is not None:
            return
        why = f"within {START_SECONDS:g} seconds"
        if self._running.is_set() or process.returncode is not None:
            await _end(process)
            why = f"({_ending(process.returncode or 0)})"
        _kill(process)
        raise ChildProcessError(f"the media process did not start {why}")

    async def _keep(self) -> None:
        """Watch the process; when it ends, say so and start the next, at once where it had served."""
        pause = 0.0
        while True:
            assert self._process is not None
            started = time.monotonic()
            reason = await self._watch(self._process)
            self._disconnect()
            self.ready = None
            self.restarts += 1
            logger.error("media_lost", extra={"pid": self._process.pid, "reason": reason})
            self._on_lost(reason)
            pause = pause_after(time.monotonic() - started, pause)
            await asyncio.sleep(pause)
            await self._restart()

    async def _restart(self) -> None:
        try:
            await self._spawn()
            assert self._process is not None
            await self._wait_ready(self._process)
        except OSError as error:
            logger.error("media_not_restarted", extra={"reason": str(error)})

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        """Wait for the end of a process; one that has stopped beating is killed."""
        beats, moved = -1, time.monotonic()
        while True:
            try:
                status = await asyncio.wait_for(process.wait(), 1.0)
            except TimeoutError:
                assert self.shared is not None
                now, before = time.monotonic(), beats
                beats = self.shared.count("beats")
                if beats != before:
                    moved = now
                elif now - moved > STUCK_SECONDS:
                    logger.error("media_stuck", extra={"pid": process.pid, "seconds": now - moved})
                    _kill(process)
            else:
                return _ending(status)


def pause_after(lived: float, before: float) -> float:
    """Seconds until one is started in the place of a process that lived so long and had waited `before`."""
    return 0.0 if lived > SERVED_SECONDS else min(5.0, before * 2 or 0.25)


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"


def _cut(
    pending: list[tuple[Command, int | None]],
) -> tuple[list[tuple[Command, int | None]], list[tuple[Command, int | None]]]:
    """The first message, and what is left for the next."""
    carried = 0
    for place, (_, descriptor) in enumerate(pending):
        carried += descriptor is not None
        if place == MAX_COMMANDS or carried > MAX_DESCRIPTORS:
            return pending[:place], pending[place:]
    return pending, []


def _close_all(pending: list[tuple[Command, int | None]]) -> None:
    for _, descriptor in pending:
        if descriptor is not None:
            os.close(descriptor)


async def _end(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
