"""A real NAT between this machine and a private network: two network namespaces, wired to us and each other.

    here (OUTSIDE.1) --- gate (OUTSIDE.2 | INSIDE.1, masquerade) --- home (INSIDE.10 and on)

What is opened `with nat.home():` lives in the private network. Needs root; the names and addresses are this
process's own, so that several may run at a time.
"""

import os
import socket
from contextlib import AbstractContextManager

from tests.support.namespaces import Network, entered, run

INSIDE = "10.66.0"

RULES = """
table ip nat {
    chain postrouting {
        type nat hook postrouting priority srcnat;
        oifname "out" masquerade fully-random
    }
}
"""

FORWARDING = """
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        iifname "out" meta l4proto {{ tcp, udp }} th dport {port} dnat to {address}
        iifname "out" udp dport {ports} dnat to {address}
    }}
}}
"""


class Nat(Network):
    """`with Nat(phones=20) as nat:`"""

    def __init__(self, phones: int) -> None:
        super().__init__()
        number = os.getpid() % 32_768  # 198.18.0.0/15, which is for tests of networks (RFC 2544), has as many
        self._outside = f"198.{18 + number // 16_384}.{number // 64 % 256}"
        self._network = number % 64 * 4
        self._gate, self._home = f"mixminus-gate-{number}", f"mixminus-home-{number}"
        self._wire = f"mixm{number}"
        self.phones = [f"{INSIDE}.{10 + each}" for each in range(phones)]
        """Their private addresses."""
        self.server = f"{self._outside}.{self._network + 1}"
        """Ours on the public side."""
        self.public = f"{self._outside}.{self._network + 2}"
        """Where all phones seem to be."""

    def _up(self) -> None:
        gate, home = self._gate, self._home
        self._add(gate, router=True)
        self._add(home)
        self._do("link", "add", self._wire, "type", "veth", "peer", "name", "out", "netns", gate)
        self._do("address", "add", f"{self.server}/30", "dev", self._wire)
        self._do("link", "set", self._wire, "up")
        self._do("-n", gate, "link", "add", "in", "type", "veth", "peer", "name", "lan", "netns", home)
        self._do("-n", gate, "address", "add", f"{self.public}/30", "dev", "out")
        self._do("-n", gate, "address", "add", f"{INSIDE}.1/24", "dev", "in")
        for link in ("out", "in"):
            self._do("-n", gate, "link", "set", link, "up")
        self._do("-n", home, "link", "set", "lan", "up")
        for address in self.phones:
            self._do("-n", home, "address", "add", f"{address}/24", "dev", "lan")
        self._do("-n", home, "route", "add", "default", "via", f"{INSIDE}.1")
        self._filter(gate, RULES)

    def forward(self, port: int, ports: str, address: str) -> None:
        """What comes from outside to `port`, and by UDP to `ports` ("FIRST-LAST"), goes to `address`."""
        self._filter(self._gate, FORWARDING.format(port=port, ports=ports, address=address))

    def forget(self) -> None:
        """As after a power cut of the box: no mapping is left, and what comes next gets another."""
        self._do("-n", self._gate, "link", "set", "out", "down")
        self._do("-n", self._gate, "link", "set", "out", "up")

    def home(self) -> AbstractContextManager[None]:
        """Sockets that this thread makes meanwhile are in the private network. No waiting within."""
        return entered(self._home)

    def udp(self, address: str) -> socket.socket:
        """A socket of a phone's."""
        with self.home():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind((address, 0))
        return sock

    def _do(self, *arguments: str) -> None:
        run("ip", *arguments)
