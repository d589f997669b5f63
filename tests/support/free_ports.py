"""Ports that nobody uses, for servers that must be told theirs before they start."""

import os
import random
import socket
from contextlib import ExitStack

# Below the kernel's ephemeral range, so that no client socket takes one between the look and the use. Of the
# workers of one run each has its share, so that none takes what another has just found free.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SHARE = 22_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) // 2 * 2
LOWEST = 10_000 + _WORKER * _SHARE
HIGHEST = LOWEST + _SHARE
DEFAULTS = range(20_000, 20_128)  # the server's own default range stays free for whoever runs it by hand


def _bind(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def free_port(address: str = "127.0.0.1", *, outside: str = "") -> int:
    """One port free for UDP and TCP alike, and not in the range `outside` ("FIRST-LAST")."""
    first, last = (int(port) for port in (outside or "0-0").split("-"))
    for _ in range(500):
        port = random.randrange(LOWEST, HIGHEST)
        if port in DEFAULTS or first <= port <= last:
            continue
        try:
            with _bind(socket.SOCK_DGRAM, address, port), _bind(socket.SOCK_STREAM, address, port):
                return port
        except OSError:
            continue
    raise AssertionError(f"no free port on {address}")


def free_range(count: int, address: str = "127.0.0.1") -> str:
    """`count` free UDP ports side by side, the first even, as "FIRST-LAST"."""
    for _ in range(500):
        first = random.randrange(LOWEST, HIGHEST - count, 2)
        if first + count > DEFAULTS.start and first < DEFAULTS.stop:
            continue
        try:
            with ExitStack() as stack:
                for port in range(first, first + count):
                    stack.enter_context(_bind(socket.SOCK_DGRAM, address, port))
            return f"{first}-{first + count - 1}"
        except OSError:
            continue
    raise AssertionError(f"no {count} free ports on {address}")
