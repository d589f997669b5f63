"""Datagrams on an asyncio loop: many read per wake-up, each sent at once."""

import asyncio
import errno
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable

from sip.flow import Address

BATCH = 32
"""Datagrams read before the loop gets its turn again."""
TRIES = 8
"""How often a datagram is given to the kernel, which may tell of others each time."""
_RECEIVE_ERRORS = {
    socket.AF_INET: (socket.IPPROTO_IP, 11),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 25),
}
"""IP_RECVERR and IPV6_RECVERR (Linux, ip(7)): ICMP errors are queued, each with the datagram it is about."""
_ERRNO = struct.Struct("=I")
"""What a `sock_extended_err` begins with."""
BUFFER = 4 << 20
"""Bytes asked for as socket buffers; the kernel may give less."""


class UdpSocket:
    """One bound socket. `on_datagram(data, remote, socket)` gets what arrives."""

    def __init__(
        self,
        address: Address,
        on_datagram: Callable[[bytes, Address, "UdpSocket"], None],
        statistics: Counter[str],
        on_unreachable: Callable[[bytes], None],
    ) -> None:
        """OSError when the address is in use or not ours."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._on_datagram = on_datagram
        self._statistics = statistics
        self._on_unreachable = on_unreachable
        try:
            self._socket.setblocking(False)
            if sys.platform == "linux":
                self._socket.setsockopt(*_RECEIVE_ERRORS[family], 1)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        self.address: Address = self._socket.getsockname()[:2]
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._readable)

    def send(self, data: bytes, remote: Address) -> None:
        """OSError when the kernel refuses the message. A full buffer drops it: SIP repeats itself."""
        for left in reversed(range(TRIES)):
            try:
                self._socket.sendto(data, remote)
                return
            except BlockingIOError:
                self._statistics["udp_send_dropped"] += 1
                return
            except OSError:
                # It may be about another datagram, of which ICMP has told: then this one has not been sent.
                if not left:
                    raise

    def close(self) -> None:
        """Stops reading."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        told = False
        for number in range(BATCH):
            try:
                data, remote = self._socket.recvfrom(65_535)
            except BlockingIOError:
                told = told or number == 0
                break
            except OSError:  # ICMP has told of something; who sends that without end keeps nobody waiting
                told = True
                continue
            self._on_datagram(data, remote[:2], self)
        if told:
            self._read_errors()

    def _read_errors(self) -> None:
        """What ICMP has said of datagrams of ours: each comes back as far as it was quoted."""
        if sys.platform != "linux":
            return
        for _ in range(BATCH):
            try:
                data, told, _, _ = self._socket.recvmsg(2_048, 512, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                return
            # What is too large for a network on the way is sent in fragments when it is repeated.
            if not any(_ERRNO.unpack_from(each)[0] == errno.EMSGSIZE for _, _, each in told):
                self._statistics["udp_unreachable"] += 1
                self._on_unreachable(data)
