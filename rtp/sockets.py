"""The bound sockets of a port range, and the fastest transport this system has for them: recvmmsg and
sendmmsg of Linux (`rtp.mmsg`), elsewhere a plain drain of the same shape (`rtp.plain`).
"""

import socket
from collections.abc import Sequence
from typing import Final

from rtp.addresses import Book
from rtp.datagrams import Inbox, Outbox, Transport
from rtp.mmsg import BatchedTransport, available
from rtp.plain import PlainTransport

RECEIVE_BUFFER: Final = 4 << 20
SEND_BUFFER: Final = 1 << 20


def bind_ports(address: str, ports: Sequence[int]) -> list[tuple[socket.socket, socket.socket]]:
    """(RTP, RTCP) sockets for each even port and the odd one beside it; at :: they are of both families.
    Raises OSError, all or none, with the address and the port in it."""
    pairs: list[tuple[socket.socket, socket.socket]] = []
    opened: list[socket.socket] = []
    try:
        for port in ports:
            pair = _bind(address, port, opened), _bind(address, port + 1, opened)
            pairs.append(pair)
    except OSError:
        for sock in opened:
            sock.close()
        raise
    return pairs


def _bind(address: str, port: int, opened: list[socket.socket]) -> socket.socket:
    six = ":" in address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    opened.append(sock)
    if six:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    try:
        sock.bind((address, port))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} ({address}:{port}/udp)") from error
    return sock


def receive_buffer(sock: socket.socket) -> int:
    """The bytes the kernel grants, which may be fewer than were asked for."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def transport(sockets: Sequence[socket.socket], inbox: Inbox, outbox: Outbox, book: Book) -> Transport:
    """The batched transport where the system has it, else the plain one. `book` is for sockets of IPv6."""
    known = book if sockets[0].family == socket.AF_INET6 else None
    if available():
        return BatchedTransport(sockets, inbox, outbox, known)
    return PlainTransport(sockets, known)
