"""Network namespaces: machines of their own addresses and ports on this one. They need root."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.programs import missing, need

CLONE_NEWNET = 0x4000_0000


def need_namespaces() -> None:
    """The test is skipped (in CI: it fails) where no namespace can be made."""
    need("ip", "iproute2")
    need("nft", "nftables")
    if os.geteuid():
        missing("network namespaces need root")


def run(*line: str, text: str = "") -> None:
    """A command that succeeds, with this on its standard input."""
    done = subprocess.run(line, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(line)}: {done.stderr}"


def delete(*names: str) -> None:
    """Those that are there."""
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Sockets that this thread makes meanwhile are in that namespace. No waiting within."""
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{name}") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


def _enter(descriptor: int) -> None:
    """os.setns, which Python has from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
