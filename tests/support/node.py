"""The Node packages of tests/e2e/node, installed at the first use."""

import fcntl
import subprocess
from pathlib import Path

import pytest

from tests.support.programs import need

FOLDER = Path(__file__).resolve().parents[1] / "e2e" / "node"


def installed(what: str, oldest: int) -> Path:
    """The folder with the packages. Skips the test where Node is older than `what` declares."""
    for program in ("node", "npm"):
        need(program, "nodejs npm")
    found = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    if int(found.removeprefix("v").partition(".")[0]) < oldest:
        pytest.skip(f"{what} needs Node {oldest} or newer, and this is {found.strip()}")
    lock, stamp = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two tests may come to it at a time, in two processes
        if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
            _install()
            stamp.touch()
    return FOLDER


def _install() -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=250)
    assert run.returncode == 0, f"{' '.join(command)}: {run.stdout}{run.stderr}"
