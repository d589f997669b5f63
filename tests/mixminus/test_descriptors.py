"""The limit of open files, in processes of their own: a limit once lowered stays."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from mixminus.descriptors import raise_limit
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
raise_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == hard
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize("soft, hard", [(256, 1000), (1000, 1000)])
def test_the_soft_limit_of_open_files_becomes_the_hard_one(soft: int, hard: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(soft), str(hard)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1000"


def test_a_process_without_standard_files_gets_empty_ones() -> None:
    script = """
import os
from mixminus.descriptors import open_standard
open_standard()
import sys
print("to nobody", flush=True)
print("to nobody", file=sys.stderr, flush=True)
assert sys.stdin.read() == "" and not sys.stdin.isatty()
assert os.open(os.devnull, os.O_RDONLY) == 3
"""
    closed = f"exec {sys.executable} -c '{script}' <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", closed], check=False).returncode == 0


CONNECTIONS = """
import resource, sys
from mixminus.descriptors import connections
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
print(connections(2, 130))
"""


@pytest.mark.parametrize("limit, each", [(256, 28), (1000, 276), (170, 8)])
def test_connections_leave_files_to_calls(limit: int, each: int) -> None:
    """Two kinds of listeners: what the process needs itself and three times as many."""
    done = subprocess.run(
        [sys.executable, "-c", CONNECTIONS, str(limit)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(each)
