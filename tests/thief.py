"""Runs a command while every CPU is taken away in random bursts, as a host does that sells it twice.

python -m tests.thief [--share 0.3] [--disk 20] -- .venv/bin/python -m pytest tests/e2e/test_refer.py

For root, whose bursts nothing can interrupt; for others it is load as any. With `--disk` temporary files are
on a disk that now and then stands still for so many seconds: whoever writes there waits. For root alone.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

SHORTEST, LONGEST = 0.010, 0.060  # seconds of a burst
DISK = 2 << 30  # bytes, of which only those take room that are written


def steal(cpu: int, share: float) -> None:
    """Takes so much of a CPU until it is ended, or nobody is left who could end it."""
    parent = os.getppid()
    os.sched_setaffinity(0, {cpu})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while os.getppid() == parent:
        burst = random.uniform(SHORTEST, LONGEST)
        end = time.monotonic() + burst
        while time.monotonic() < end:
            pass
        time.sleep(random.uniform(0.2, 1.8) * burst * (1 - share) / share)


def hold(disk: Path, seconds: float) -> None:
    """Lets it stand still for so long, again and again, until nobody is left who could end this."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(random.uniform(0.5, 3.0) * seconds)
        subprocess.run(["fsfreeze", "--freeze", disk], check=True)
        try:
            time.sleep(seconds)
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)


@contextlib.contextmanager
def disk() -> Iterator[Path]:
    """A folder that is a file system of its own."""
    with tempfile.TemporaryDirectory(prefix="mixminus-disk-") as place:
        image, folder = Path(place, "image"), Path(place, "folder")
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(DISK)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def main(argv: list[str] | None = None) -> int:
    """What the command returned."""
    parser = argparse.ArgumentParser(prog="tests.thief", description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.3, help="of every CPU that is taken, 0 for none")
    parser.add_argument("--disk", type=float, default=0.0, help="seconds for which the disk stands still")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(argv)
    thieves: list[BaseProcess] = []
    if options.share:
        thieves += [
            multiprocessing.Process(target=steal, args=(cpu, options.share), daemon=True)
            for cpu in os.sched_getaffinity(0)
        ]
    environment = dict(os.environ)
    with contextlib.ExitStack() as stack:
        if options.disk:
            folder = stack.enter_context(disk())
            environment["TMPDIR"] = str(folder)
            thieves.append(multiprocessing.Process(target=hold, args=(folder, options.disk), daemon=True))
        for thief in thieves:
            thief.start()
        try:
            return subprocess.run(options.command, check=False, env=environment).returncode
        finally:
            for thief in thieves:
                thief.terminate()
                thief.join()


if __name__ == "__main__":
    sys.exit(main())
