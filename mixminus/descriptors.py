"""What a process has open from its start, and how many files and sockets it may have open."""

import logging
import os
import resource
import sys

logger = logging.getLogger(__name__)

_ENOUGH = 65_536
_OWN = 40  # of the process itself: two workers, libraries, files that are read
_LEAST = 8
_COMFORTABLE = 128


def open_standard() -> None:
    """Give a process that was started without standard input, output or error an empty one: else a socket
    would have its number, and get what is printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def raise_limit() -> None:
    """Raise the soft limit of open files towards the hard one, for this process and those it starts.

    The usual soft limit of 1024 is there for programs that use select(); nothing here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    logger.info("open_files_limit", extra={"limit": soft})


def connections(kinds: int, sockets: int) -> int:
    """How many connections each of `kinds` of listeners may hold, so that as many files as for one of them
    are left to calls and webhooks; `sockets`: how many are open anyway."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _ENOUGH if soft == resource.RLIM_INFINITY else soft
    share = max(_LEAST, (limit - sockets - _OWN) // (kinds + 1))
    if share < _COMFORTABLE:
        logger.warning(
            "few_open_files", extra={"limit": limit, "connections": share, "raise_by": "ulimit -n"}
        )
    return share
