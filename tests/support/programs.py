"""Foreign programs that tests run: found, or the test is skipped with the apt line (in CI: it fails)."""

import os
import shutil
from typing import NoReturn

import pytest


def need(program: str, package: str) -> str:
    """The program's path."""
    path = shutil.which(program)
    if path is not None:
        return path
    missing(f"{program} is missing; install it with: sudo apt-get install {package}")


def missing(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
