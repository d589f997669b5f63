"""The worker process: `python -m speech.worker --fd N --engine MODULE:CLASS`.

It loads the engine and FFmpeg once and then forks for every job: a job that crashes, hangs or eats memory
takes only itself along, and leaves no state behind for the next. A job arrives as one byte with a socket
attached; the child reads the job from that socket, writes the outcome and ends. When control closes its end,
or dies, so does this.
"""

import argparse
import ctypes
import gc
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

import numpy as np

from speech.decode import decode
from speech.engine import Engine, load
from speech.errors import PromptError
from speech.jobs import JOBS, Decode, Done, Failed, Job, Outcome, Ready, Speak, pack, unpack
from speech.resample import convert

MEMORY = 1 << 30  # bytes a job may take on top of what is loaded
FILES = 64
NICENESS = 5  # prompts can wait; the sound of live calls cannot
_PR_SET_PDEATHSIG = 1
_GAIN = (
    1.6  # brings espeak-ng's voices, at the volume the engine asks for, to about -20 dBFS while they speak
)


def main() -> None:
    # A signal to the process group is meant for control, which closes the socket when it is done.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--engine", required=True)
    arguments = parser.parse_args()
    with socket.socket(fileno=arguments.fd) as control:
        engine = load(arguments.engine)
        # The first of everything costs; what is touched now is shared by all forks.
        convert(np.ones(2205, np.int16), 22050, 8000)
        _bound()
        _hush()
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children leave no zombies
        gc.collect()
        gc.freeze()
        control.sendall(pack(Ready(engine.version)))
        while True:
            _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not descriptors:
                return
            with socket.socket(fileno=descriptors[0]) as channel:
                if os.fork() == 0:
                    control.close()
                    _child(channel, engine)


def _hush() -> None:
    """Keep for Python's own words what was standard error: the libraries comment on every odd input there."""
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def _bound() -> None:
    """Limits that all jobs inherit."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    if sys.platform == "linux":
        with open("/proc/self/statm", "rb") as statm:
            size = int(statm.read().split()[0]) * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _child(channel: socket.socket, engine: Engine) -> NoReturn:
    """Do one job and end the process.

    An error that is ours and not the input's goes up to the interpreter, which prints it and ends the process
    too: control then finds no outcome on the channel.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with channel.makefile("rb") as incoming:
        job, payload = unpack(incoming.read(), JOBS)
    signal.alarm(job.deadline)
    resource.setrlimit(resource.RLIMIT_CPU, (job.deadline, job.deadline))
    sound = b""
    outcome: Outcome
    try:
        sound = _perform(job, payload, engine)
        outcome = Done(len(sound))
    except PromptError as error:
        outcome = Failed(str(error))
    except MemoryError:
        outcome = Failed("it takes too much memory")
    with suppress(BrokenPipeError):  # nobody waits any more
        channel.sendall(pack(outcome) + sound)
    os._exit(0)


def _perform(job: Job, payload: memoryview, engine: Engine) -> bytes:
    match job:
        case Speak():
            sound = engine.synthesize(job.markup, job.voice, job.seconds)
            return convert(sound.samples, sound.rate, job.rate, _GAIN).astype("<i2").tobytes()
        case Decode():
            return decode(bytes(payload), job.kind, job.rate, job.seconds).astype("<i2").tobytes()


if __name__ == "__main__":
    main()
