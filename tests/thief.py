"""Runs a command while every CPU is taken away in random bursts, as a host does that sells it twice.

python -m tests.thief [--share 0.3] -- .venv/bin/python -m pytest tests/e2e/test_refer.py

For root, whose bursts nothing can interrupt; for others it is load as any.
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import subprocess
import sys
import time

SHORTEST, LONGEST = 0.010, 0.060  # seconds of a burst


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


def main(argv: list[str] | None = None) -> int:
    """What the command returned."""
    parser = argparse.ArgumentParser(prog="tests.thief", description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=0.3, help="of every CPU that is taken")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(argv)
    thieves = [
        multiprocessing.Process(target=steal, args=(cpu, options.share), daemon=True)
        for cpu in os.sched_getaffinity(0)
    ]
    for thief in thieves:
        thief.start()
    try:
        return subprocess.run(options.command, check=False).returncode
    finally:
        for thief in thieves:
            thief.terminate()


if __name__ == "__main__":
    sys.exit(main())
