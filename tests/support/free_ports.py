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

_given: set[int] = (
    set()
)  # no port twice in a run: between the look and the use it belongs to who was told of it


def _bind(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind)
    if kind == socket.SOCK_STREAM:  # what an ended server has left in TIME_WAIT is in nobody's way
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def free_port(address: str = "127.0.0.1") -> int:
    """One port free for UDP and TCP alike."""
    return _free(1, 1, address, socket.SOCK_DGRAM, socket.SOCK_STREAM)


def free_range(count: int, address: str = "127.0.0.1") -> str:
    """`count` free UDP ports side by side, the first even, as "FIRST-LAST"."""
    first = _free(count, 2, address, socket.SOCK_DGRAM)
    return f"{first}-{first + count - 1}"


def is_free(port: int, address: str) -> bool:
    """Whether it can be bound now, for UDP and TCP alike."""
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            _bind(kind, address, port).close()
    except OSError:
        return False
    return True


def _free(count: int, step: int, address: str, *kinds: socket.SocketKind) -> int:
    """The first of so many ports; it is a multiple of `step`."""
    for _ in range(500):
        first = random.randrange(LOWEST, HIGHEST - count, step)
        ports = set(range(first, first + count))
        if ports & _given or not ports.isdisjoint(DEFAULTS):
            continue
        try:
            with ExitStack() as stack:
                for port in ports:
                    for kind in kinds:
                        stack.enter_context(_bind(kind, address, port))
        except OSError:
            continue
        _given.update(ports)
        return first
    raise AssertionError(f"no {count} free ports side by side on {address}")
