"""The transport for systems without recvmmsg: one call a datagram, the same columns."""

import selectors
import socket
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import numpy as np
from numpy.typing import NDArray

from rtp.addresses import Book
from rtp.datagrams import Inbox, Outbox
from rtp.packet import SLOT

_TRUNC = getattr(socket, "MSG_TRUNC", 0)


class PlainTransport:
    """recvmsg_into and sendto, a datagram at a time. The arrival time is that of the reading."""

    batched = False

    def __init__(self, sockets: Sequence[socket.socket], book: Book | None = None) -> None:
        """`book`: the sockets are of IPv6, and this knows their addresses' numbers."""
        self._book = book
        self.system_calls = 0
        self.overflowed = 0  # not told by the system
        self._sockets = list(sockets)
        self._turn = 0
        self._selector = selectors.DefaultSelector()
        for index, sock in enumerate(self._sockets):
            sock.setblocking(False)
            self._selector.register(sock, selectors.EVENT_READ, index)

    def receive(self, inbox: Inbox) -> None:
        ready = self._selector.select(0)
        self.system_calls += 1
        inbox.count = 0
        self._turn += 1
        turn = self._turn % max(1, len(ready))
        for key, _ in ready[turn:] + ready[:turn]:
            self._drain(self._sockets[key.data], key.data, inbox)

    def send(
        self, outbox: Outbox, order: NDArray[np.intp], runs: Sequence[tuple[int, int, int]]
    ) -> list[int]:
        failed = []
        for port, start, stop in runs:
            sock = self._sockets[port]
            for slot in order[start:stop].tolist():
                name = outbox.names[slot]
                data = outbox.slots[slot, : int(outbox.lengths[slot])].data
                self.system_calls += 1
                try:
                    sock.sendto(data, (self._text(int(name["address"])), int(name["port"])))
                except OSError:
                    failed.append(slot)
        return failed

    def close(self) -> None:
        self._selector.close()
        for sock in self._sockets:
            sock.close()

    def _drain(self, sock: socket.socket, port: int, inbox: Inbox) -> None:
        while inbox.count < len(inbox.length):
            place = inbox.count
            self.system_calls += 1
            try:
                length, _, flags, (address, source, *_) = sock.recvmsg_into([inbox.slots[place]])
            except OSError:  # nothing left, or an error that belongs to no datagram
                return
            inbox.length[place] = min(length, SLOT)
            inbox.truncated[place] = bool(flags & _TRUNC)
            inbox.port[place] = port
            inbox.address[place] = self._number(address)
            inbox.source[place] = source
            inbox.arrival[place] = time.time_ns()
            inbox.count = place + 1

    def _text(self, number: int) -> str:
        if self._book is None:
            return str(IPv4Address(number))
        high, low = self._book.halves(np.array([number], np.uint32))
        return str(IPv6Address(int(high[0]) << 64 | int(low[0])))

    def _number(self, address: str) -> int:
        if self._book is None:
            return int(IPv4Address(address))
        whole = int(IPv6Address(address.partition("%")[0]))
        halves = np.array([whole >> 64, whole & 0xFFFF_FFFF_FFFF_FFFF], np.uint64)
        return int(self._book.numbers(halves[:1], halves[1:])[0])
