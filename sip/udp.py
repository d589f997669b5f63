"""Datagrams on an asyncio loop: many read per wake-up, each sent at once."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable

from sip.flow import Address

log = logging.getLogger(__name__)

BATCH = 32
"""Datagrams read before the loop gets its turn again."""
BUFFER = 4 << 20
"""Bytes asked for as socket buffers; the kernel may give less."""


class UdpSocket:
    """One bound socket. `on_datagram(data, remote, socket)` gets what arrives."""

    def __init__(
        self,
        address: Address,
        on_datagram: Callable[[bytes, Address, "UdpSocket"], None],
        statistics: Counter[str],
    ) -> None:
        """OSError when the address is in use or not ours."""
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._on_datagram = on_datagram
        self._statistics = statistics
        try:
            self._socket.setblocking(False)
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
        try:
            self._socket.sendto(data, remote)
        except BlockingIOError:
            self._statistics["udp_send_dropped"] += 1

    def close(self) -> None:
        """Stops reading."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        for _ in range(BATCH):
            try:
                data, remote = self._socket.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError as error:
                # An ICMP error of an earlier send, on systems that report it here.
                self._statistics["udp_receive_errors"] += 1
                log.info("sip_receive_error", extra={"error": str(error)})
                return
            self._on_datagram(data, remote[:2], self)
