"""Network namespaces: machines of their own addresses and ports on this one. They need root."""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

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


class Network:
    """Namespaces and what is between them, there from `with` to its end. Whoever has some sets them `_up`."""

    def __init__(self) -> None:
        need_namespaces()
        self._names: list[str] = []

    def __enter__(self) -> Self:
        try:
            self._up()
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._down()

    def _up(self) -> None:
        raise NotImplementedError

    def _down(self) -> None:
        for name in reversed(self._names):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def _add(self, name: str, *, router: bool = False) -> None:
        """A namespace with its loopback; one that is a `router` passes packets on."""
        self._names.append(name)
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        if router:
            self._sysctl(name, "net/ipv4/ip_forward", "1")

    def _sysctl(self, name: str, key: str, value: str) -> None:
        run("ip", "netns", "exec", name, "sh", "-c", f"echo {value} > /proc/sys/{key}")

    def _filter(self, name: str, rules: str) -> None:
        """Rules of nftables."""
        run("ip", "netns", "exec", name, "nft", "-f", "-", text=rules)


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
