"""The worker process as control sees it: started, given jobs, watched, started again."""

import asyncio
import logging
import os
import socket
import sys
from contextlib import suppress

from speech.jobs import OUTCOMES, READY, Done, Failed, Job, pack, unpack

logger = logging.getLogger(__name__)

START_SECONDS = 30.0
STOP_SECONDS = 2.0
RESTART_SECONDS = 1.0  # between attempts to start a worker that does not come up
CHUNK = 1 << 20


class JobFailed(Exception):
    """The worker says that the job's input is at fault, and why."""


class WorkerLost(Exception):
    """The job ended without an outcome: the process died on it, was killed, or took too long."""


class Worker:
    """`engine` is "module:Class" of the speech engine. Jobs may run side by side, each in its own fork."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self.version = ""
        self.deaths = 0

    async def start(self) -> None:
        """Start the process and wait until its engine is loaded. ChildProcessError when that fails."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name="speech worker")

    async def close(self) -> None:
        """Close the worker's socket, on which it ends, and wait for that."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._end()

    @property
    def pids(self) -> list[int]:
        return [self._process.pid] if self._process is not None and self._process.returncode is None else []

    async def run(self, job: Job, payload: bytes = b"") -> bytes:
        """The samples of one job. Raises JobFailed or WorkerLost; cancelled, it abandons the job."""
        try:
            async with asyncio.timeout(job.deadline):
                channel = await self._channel()
                answer = await _exchange(channel, pack(job), payload)
        except TimeoutError:
            raise WorkerLost(f"it took longer than {job.deadline} seconds") from None
        except OSError as error:
            raise WorkerLost(f"the worker is gone ({type(error).__name__})") from None
        try:
            outcome, samples = unpack(answer, OUTCOMES)
        except ValueError:
            raise WorkerLost("the worker ended in the middle of it") from None
        match outcome:
            case Failed(reason):
                raise JobFailed(reason)
            case Done(size):
                if len(samples) != size:
                    raise WorkerLost("the worker ended in the middle of it")
                return bytes(samples)

    async def _channel(self) -> socket.socket:
        """Our end of a fresh channel whose other end the worker has."""
        while True:
            await self._ready.wait()
            assert self._control is not None
            ours, theirs = socket.socketpair()
            with theirs:
                try:
                    socket.send_fds(self._control, [b"\0"], [theirs.fileno()])
                except OSError:
                    # It has just died, and nothing of this job was lost: the next worker may have it.
                    ours.close()
                    self._ready.clear()
                else:
                    return ours

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._control = ours
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MIXMINUS_")}
        environment["OPENBLAS_NUM_THREADS"] = "1"  # a process that forks has one thread
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "speech.worker"),
                *("--fd", str(theirs.fileno()), "--engine", self._engine),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment,
                # A signal to our group is not for it, and it cannot ignore one before it is loaded.
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                answer = await asyncio.get_running_loop().sock_recv(ours, CHUNK)
            ready, _ = unpack(answer, READY)
        except (TimeoutError, OSError, ValueError):
            await self._end()
            raise ChildProcessError(
                f"the speech worker with the engine {self._engine} does not start"
            ) from None
        self.version = ready.version
        self._ready.set()

    async def _keep(self) -> None:
        """Start another worker whenever one has died."""
        while True:
            assert self._process is not None
            status = await self._process.wait()
            self._ready.clear()
            self.deaths += 1
            logger.error("speech_worker_died", extra={"status": status})
            await self._end()
            while not self._ready.is_set():
                try:
                    await self._spawn()
                except OSError as error:
                    logger.error("speech_worker_does_not_start", extra={"reason": str(error)})
                    await asyncio.sleep(RESTART_SECONDS)

    async def _end(self) -> None:
        self._ready.clear()
        if self._control is not None:
            self._control.close()
        if self._process is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def _exchange(channel: socket.socket, header: bytes, payload: bytes) -> bytes:
    """Write the job to the channel, read to its end and close it."""
    reader, writer = await asyncio.open_unix_connection(sock=channel, limit=CHUNK)
    try:
        writer.write(header)
        writer.write(payload)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.transport.abort()  # all is read, or nobody wants it any more
