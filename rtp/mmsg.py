"""recvmmsg and sendmmsg of Linux through ctypes, over arrays that are laid out once.

Source: recvmmsg(2), sendmmsg(2), struct mmsghdr of the 64-bit Linux ABI.
"""

import ctypes
import errno
import select
import socket
import sys
import time
from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.addresses import Book
from rtp.datagrams import IOVEC, NAME, NAME6, Inbox, Outbox
from rtp.packet import SLOT

MAX_BATCH: Final = 1024  # UIO_MAXIOV: the kernel takes no more messages at once

_HEADER: Final = np.dtype(
    {
        "names": ["name", "namelen", "iov", "iovlen", "control", "controllen", "flags", "length"],
        "formats": ["u8", "u4", "u8", "u8", "u8", "u8", "i4", "u4"],
        "offsets": [0, 8, 16, 24, 32, 40, 48, 56],
        "itemsize": 64,
    }
)
_CONTROL: Final = np.dtype(
    {
        "names": ["level", "type", "seconds", "nanoseconds", "level2", "type2", "dropped"],
        "formats": ["i4", "i4", "i8", "i8", "i4", "i4", "u4"],
        "offsets": [8, 12, 16, 24, 40, 44, 48],
        "itemsize": 64,
    }
)
"""Ancillary data as it comes: the arrival time, then the kernel's count of dropped datagrams if any."""

_TIMESTAMPNS: Final = 35  # SO_TIMESTAMPNS and SCM_TIMESTAMPNS with 64-bit times
_RXQ_OVFL: Final = 40  # SO_RXQ_OVFL
_TRUNC: Final = 0x20
_DONTWAIT: Final = 0x40


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
    libc.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    return libc


def available() -> bool:
    """Whether this system has both calls, with structures of the layout above."""
    if sys.platform != "linux" or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    libc = ctypes.CDLL(None)
    return hasattr(libc, "recvmmsg") and hasattr(libc, "sendmmsg")


class _Layout:
    """The message headers of one outbox, and room for those of one call. `book`: sockets are of IPv6, whose
    names are written anew for each call."""

    def __init__(self, outbox: Outbox, book: Book | None) -> None:
        count = len(outbox.slots)
        each = np.arange(count, dtype=np.uint64)
        self.outbox = outbox  # whose memory the headers point to
        self.templates = np.zeros(count, _HEADER)
        self.names = outbox.names if book is None else np.zeros(count, NAME6)
        self.names["family"] = socket.AF_INET if book is None else socket.AF_INET6
        self.templates["name"] = self.names.ctypes.data + each * np.uint64(self.names.itemsize)
        self.templates["namelen"] = self.names.itemsize
        self.templates["iov"] = outbox.iovecs.ctypes.data + each * np.uint64(IOVEC.itemsize)
        self.templates["iovlen"] = 1
        self.out = np.zeros(count, _HEADER)
        self.out_at = self.out.ctypes.data

    def aim(self, order: NDArray[np.intp], book: Book) -> None:
        """Write the names of these slots."""
        names = self.outbox.names[order]
        self.names["port"][order] = names["port"]
        self.names["high"][order], self.names["low"][order] = book.halves(names["address"].astype(np.uint32))


class BatchedTransport:
    """One recvmmsg for each port that has packets, one sendmmsg for each port that has some to send. `book`:
    the sockets are of IPv6, and this knows their addresses' numbers."""

    batched = True

    def __init__(
        self, sockets: Sequence[socket.socket], inbox: Inbox, outbox: Outbox, book: Book | None = None
    ) -> None:
        self.system_calls = 0
        self.overflowed = 0
        self._descriptors = [sock.fileno() for sock in sockets]
        self._sockets = list(sockets)
        self._dropped = np.zeros(len(sockets), np.uint32)
        self._turn = 0
        self._epoll = select.epoll()
        self._index = {descriptor: index for index, descriptor in enumerate(self._descriptors)}
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
            sock.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        libc = _libc()
        self._recvmmsg, self._sendmmsg = libc.recvmmsg, libc.sendmmsg
        self._book = book
        self._layouts: dict[int, _Layout] = {}
        self._lay_out_inbox(inbox)
        self._layout(outbox)

    def receive(self, inbox: Inbox) -> None:
        ready = self._epoll.poll(0)
        self.system_calls += 1
        inbox.count = 0
        if not ready:
            return
        # Another port begins each time, so that a flood on one cannot fill every batch before the others.
        self._turn += 1
        turn = self._turn % len(ready)
        room = len(inbox.length)
        used = 0
        for descriptor, _ in ready[turn:] + ready[:turn]:
            port = self._index[descriptor]
            while used < room:
                most = min(room - used, MAX_BATCH)
                count = self._recvmmsg(descriptor, self._headers_at + 64 * used, most, _DONTWAIT, None)
                self.system_calls += 1
                if count <= 0:
                    break  # nothing left, or an error that belongs to no datagram
                inbox.port[used : used + count] = port
                used += count
                if count < most:
                    break
        inbox.count = used
        self._read(inbox, used)

    def send(
        self, outbox: Outbox, order: NDArray[np.intp], runs: Sequence[tuple[int, int, int]]
    ) -> list[int]:
        failed: list[int] = []
        layout = self._layout(outbox)
        if self._book is not None:
            layout.aim(order, self._book)
        np.take(layout.templates, order, out=layout.out[: len(order)], mode="clip")
        for port, start, stop in runs:
            descriptor = self._descriptors[port]
            while start < stop:
                count = self._sendmmsg(descriptor, layout.out_at + 64 * start, stop - start, _DONTWAIT)
                self.system_calls += 1
                if count > 0:
                    start += count
                elif ctypes.get_errno() in (errno.EAGAIN, errno.ENOBUFS):
                    failed.extend(
                        order[start:stop].tolist()
                    )  # this port's buffer is full, not one message bad
                    break
                elif ctypes.get_errno() != errno.EINTR:
                    failed.append(int(order[start]))
                    start += 1
        return failed

    def close(self) -> None:
        self._epoll.close()
        for sock in self._sockets:
            sock.close()

    def _lay_out_inbox(self, inbox: Inbox) -> None:
        count = len(inbox.length)
        each = np.arange(count, dtype=np.uint64)
        self._names = np.zeros(count, NAME if self._book is None else NAME6)
        self._control = np.zeros(count, _CONTROL)
        self._iovecs = np.zeros(count, IOVEC)
        self._iovecs["base"] = inbox.slots.ctypes.data + each * np.uint64(SLOT)
        self._iovecs["length"] = SLOT
        self._headers = np.zeros(count, _HEADER)
        self._headers["name"] = self._names.ctypes.data + each * np.uint64(self._names.itemsize)
        self._headers["namelen"] = self._names.itemsize
        self._headers["iov"] = self._iovecs.ctypes.data + each * np.uint64(IOVEC.itemsize)
        self._headers["iovlen"] = 1
        self._headers["control"] = self._control.ctypes.data + each * np.uint64(_CONTROL.itemsize)
        self._headers["controllen"] = _CONTROL.itemsize
        self._headers_at = self._headers.ctypes.data

    def _layout(self, outbox: Outbox) -> _Layout:
        """That of an outbox, made when it is first seen."""
        layout = self._layouts.get(id(outbox))
        if layout is None:
            layout = self._layouts[id(outbox)] = _Layout(outbox, self._book)
        return layout

    def _read(self, inbox: Inbox, used: int) -> None:
        """The columns of what the kernel wrote, and the headers made ready for the next batch."""
        headers, names, control = self._headers[:used], self._names[:used], self._control[:used]
        inbox.length[:used] = headers["length"]
        inbox.truncated[:used] = headers["flags"] & _TRUNC
        if self._book is None:
            inbox.address[:used] = names["address"]
        else:
            high, low = names["high"].astype(np.uint64), names["low"].astype(np.uint64)
            inbox.address[:used] = self._book.numbers(high, low)
        inbox.source[:used] = names["port"]
        arrival = control["seconds"] * 1_000_000_000
        arrival += control["nanoseconds"]
        if (control["type"] != _TIMESTAMPNS).any():
            arrival[control["type"] != _TIMESTAMPNS] = time.time_ns()
        inbox.arrival[:used] = arrival
        if control["dropped"].any():
            ports = inbox.port[:used]
            before = int(self._dropped.sum(dtype=np.int64))
            np.maximum.at(self._dropped, ports, control["dropped"])
            self.overflowed += int(self._dropped.sum(dtype=np.int64)) - before
            control["dropped"] = 0
        control["type"] = 0
        headers["namelen"] = names.itemsize
        headers["controllen"] = _CONTROL.itemsize
