"""Many datagrams as columns, and what the beat needs of a network that carries them.

Received datagrams lie in an `Inbox`, those to be sent in an `Outbox`; both are allocated once. A local port
is an index: RTP ports first, then the RTCP ports beside them in the same order.
"""

import socket
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rtp.packet import SLOT

OUT_SLOT: Final = 2048  # the longest packet of any codec, and what SRTP appends

NAME: Final = np.dtype(
    [("family", "u2"), ("port", ">u2"), ("address", ">u4"), ("zero", "u8")],
)
"""struct sockaddr_in of Linux."""

NAME6: Final = np.dtype(
    [("family", "u2"), ("port", ">u2"), ("flow", "u4"), ("high", ">u8"), ("low", ">u8"), ("scope", "u4")],
)
"""struct sockaddr_in6 of Linux, its address in two halves."""

IOVEC: Final = np.dtype([("base", "u8"), ("length", "u8")])


class Inbox:
    """Up to `slots` datagrams: the first `count` of each column are this batch's.

    slots u8[n, SLOT]; length i32 (bytes), port i32 (index), address u32 (a number of `rtp.addresses`) and
    source u16 (of the sender, host order), arrival i64 (ns of the wall clock), truncated bool (longer than a
    slot).
    """

    def __init__(self, slots: int) -> None:
        self.count = 0
        self.slots: NDArray[np.uint8] = np.zeros((slots, SLOT), np.uint8)
        self.length = np.zeros(slots, np.int32)
        self.port = np.zeros(slots, np.int32)
        self.address = np.zeros(slots, np.uint32)
        self.source = np.zeros(slots, np.uint16)
        self.arrival = np.zeros(slots, np.int64)
        self.truncated = np.zeros(slots, bool)


class Outbox:
    """Datagrams that keep their place: slot i is sent to `names[i]`, `lengths[i]` bytes of `slots[i]`."""

    def __init__(self, slots: int) -> None:
        self.slots: NDArray[np.uint8] = np.zeros((slots, OUT_SLOT), np.uint8)
        self.names = np.zeros(slots, NAME)
        self.names["family"] = socket.AF_INET
        self.iovecs = np.zeros(slots, IOVEC)
        self.iovecs["base"] = self.slots.ctypes.data + np.arange(slots, dtype=np.uint64) * np.uint64(OUT_SLOT)

    @property
    def lengths(self) -> NDArray[np.uint64]:
        return self.iovecs["length"]


class Transport(Protocol):
    """What the beat needs of the network."""

    batched: bool
    system_calls: int
    overflowed: int  # datagrams that the kernel dropped because a receive buffer was full

    def receive(self, inbox: Inbox) -> None:
        """Fill the inbox with what has arrived, without waiting; what does not fit stays in the kernel."""

    def send(
        self, outbox: Outbox, order: NDArray[np.intp], runs: Sequence[tuple[int, int, int]]
    ) -> list[int]:
        """Send the outbox's slots `order`; (port, start, stop) in `runs` says which part goes out of which
        local port. Returns the slots that could not be sent; each other one was."""

    def close(self) -> None: ...
