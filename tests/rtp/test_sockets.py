"""Both transports on real loopback sockets: the batched one of Linux, and the plain one of everywhere."""

import errno
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pytest

from rtp import mmsg
from rtp.addresses import FIRST, Book
from rtp.datagrams import Inbox, Outbox, Transport
from rtp.mmsg import BatchedTransport
from rtp.packet import SLOT
from rtp.plain import PlainTransport
from rtp.sockets import bind_ports, receive_buffer, transport

HERE = int(IPv4Address("127.0.0.1"))
Build = Callable[[Sequence[socket.socket], Inbox, Outbox], Transport]

needs_batches = pytest.mark.skipif(not mmsg.available(), reason="this system has no recvmmsg of 64-bit Linux")


class Loopback:
    """Two local ports under a transport, and one peer."""

    def __init__(self, build: Build) -> None:
        self.inbox, self.outbox = Inbox(64), Outbox(16)
        self.ports = [_socket() for _ in range(2)]
        self.peer = _socket()
        self.transport = build(self.ports, self.inbox, self.outbox)

    def close(self) -> None:
        self.transport.close()
        self.peer.close()

    def arrive(self, data: bytes, port: int = 0) -> None:
        self.peer.sendto(data, self.ports[port].getsockname())

    def receive(self) -> list[tuple[int, bytes]]:
        """(port, datagram) of all that has arrived, whole ones only."""
        self.transport.receive(self.inbox)
        box = self.inbox
        return [
            (int(box.port[place]), box.slots[place, : int(box.length[place])].tobytes())
            for place in range(box.count)
            if not box.truncated[place]
        ]

    def post(self, slot: int, data: bytes, to: tuple[str, int] | None = None) -> None:
        address, port = to or self.peer.getsockname()
        self.outbox.slots[slot, : len(data)] = np.frombuffer(data, np.uint8)
        self.outbox.lengths[slot] = len(data)
        self.outbox.names[slot]["address"] = int(IPv4Address(address))
        self.outbox.names[slot]["port"] = port

    def send(self, *runs: tuple[int, list[int]]) -> list[int]:
        order = [slot for _, slots in runs for slot in slots]
        bounds, start = [], 0
        for port, slots in runs:
            bounds.append((port, start, start + len(slots)))
            start += len(slots)
        return self.transport.send(self.outbox, np.array(order, np.intp), bounds)

    def got(self) -> list[tuple[bytes, int]]:
        """(datagram, port it came from) of all that the peer has."""
        packets = []
        while True:
            try:
                data, (_, source) = self.peer.recvfrom(4096)
            except BlockingIOError:
                return packets
            packets.append((data, source))


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def _plain(sockets: Sequence[socket.socket], inbox: Inbox, outbox: Outbox) -> Transport:
    return PlainTransport(sockets)


@pytest.fixture(
    params=[pytest.param(BatchedTransport, marks=needs_batches), _plain], ids=["batched", "plain"]
)
def loopback(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    loopback = Loopback(request.param)
    yield loopback
    loopback.close()


def test_nothing_has_arrived_is_an_empty_batch(loopback: Loopback) -> None:
    assert loopback.receive() == []


def test_datagrams_of_all_ports_come_in_one_batch(loopback: Loopback) -> None:
    for number in range(10):
        loopback.arrive(bytes([number]) * (number + 1), port=number % 2)
    received = loopback.receive()
    assert sorted(received) == sorted((n % 2, bytes([n]) * (n + 1)) for n in range(10))
    assert set(loopback.inbox.address[:10].tolist()) == {HERE}
    assert set(loopback.inbox.source[:10].tolist()) == {loopback.peer.getsockname()[1]}
    assert loopback.receive() == []


def test_an_empty_datagram_is_a_datagram(loopback: Loopback) -> None:
    loopback.arrive(b"")
    assert loopback.receive() == [(0, b"")]


def test_a_datagram_longer_than_a_slot_is_told_from_whole_ones(loopback: Loopback) -> None:
    loopback.arrive(bytes(SLOT + 1))
    loopback.arrive(bytes(SLOT))
    assert loopback.receive() == [(0, bytes(SLOT))]
    assert loopback.inbox.truncated[:2].tolist() == [True, False]
    loopback.arrive(b"after")
    assert loopback.receive() == [(0, b"after")]


def test_what_does_not_fit_into_a_batch_comes_in_the_next(loopback: Loopback) -> None:
    for number in range(100):
        loopback.arrive(bytes([number]), port=number % 2)
    received = loopback.receive()
    assert len(received) == 64
    received += loopback.receive()
    assert sorted(data[0] for _, data in received) == list(range(100))


def test_arrival_is_wall_clock_time(loopback: Loopback) -> None:
    before = time.time_ns()
    loopback.arrive(b"x")
    loopback.receive()
    assert before - 10_000_000 <= int(loopback.inbox.arrival[0]) <= time.time_ns() + 10_000_000


@needs_batches
def test_the_kernel_says_when_a_packet_came_and_not_when_it_was_read() -> None:
    loopback = Loopback(BatchedTransport)
    loopback.arrive(b"x")
    sent = time.time_ns()
    time.sleep(0.05)
    loopback.receive()
    assert int(loopback.inbox.arrival[0]) - sent < 25_000_000
    loopback.close()


def test_each_datagram_leaves_from_the_port_of_its_run(loopback: Loopback) -> None:
    for slot in range(4):
        loopback.post(slot, bytes([slot]) * 20)
    assert loopback.send((1, [3, 0]), (0, [2])) == []
    first, second = (sock.getsockname()[1] for sock in loopback.ports)
    assert sorted(loopback.got()) == [(bytes(20), second), (b"\x02" * 20, first), (b"\x03" * 20, second)]


def test_a_slot_may_change_its_length_and_its_address(loopback: Loopback) -> None:
    loopback.post(0, b"long ago")
    loopback.send((0, [0]))
    loopback.post(0, b"now", loopback.ports[1].getsockname())
    loopback.send((0, [0]))
    assert [data for data, _ in loopback.got()] == [b"long ago"]
    assert loopback.receive() == [(1, b"now")]


def test_an_impossible_address_fails_alone_and_the_rest_is_sent(loopback: Loopback) -> None:
    for slot in range(6):
        loopback.post(slot, bytes([slot]))
    for slot in (0, 3, 5):
        loopback.post(slot, bytes([slot]), ("127.0.0.1", 0))
    assert loopback.send((0, [0, 1, 2, 3, 4, 5])) == [0, 3, 5]
    assert sorted(data for data, _ in loopback.got()) == [b"\x01", b"\x02", b"\x04"]


@needs_batches
def test_a_batch_costs_a_call_a_port() -> None:
    loopback = Loopback(BatchedTransport)
    for number in range(40):
        loopback.arrive(bytes([number]), port=number % 2)
    for slot in range(16):
        loopback.post(slot, b"x")
    before = loopback.transport.system_calls
    loopback.receive()
    loopback.send((0, list(range(8))), (1, list(range(8, 16))))
    assert loopback.transport.system_calls - before == 1 + 2 + 2
    loopback.close()


@needs_batches
def test_what_the_kernel_had_to_drop_is_counted() -> None:
    loopback = Loopback(BatchedTransport)
    loopback.ports[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(100):
        loopback.arrive(bytes(172))
    while loopback.receive():
        pass
    loopback.arrive(b"one more tells how many were lost")
    assert len(loopback.receive()) == 1
    assert 50 < loopback.transport.overflowed < 100
    loopback.close()


def test_where_the_c_library_lacks_the_calls_the_plain_transport_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtp.sockets.available", lambda: False)
    loopback = Loopback(lambda sockets, inbox, outbox: transport(sockets, inbox, outbox, Book()))
    assert not loopback.transport.batched
    loopback.arrive(b"x")
    assert loopback.receive() == [(0, b"x")]
    loopback.close()


# IPv6

SIX = IPv6Address("::1")


@pytest.mark.parametrize(
    "build", [pytest.param(BatchedTransport, marks=needs_batches), PlainTransport], ids=["batched", "plain"]
)
def test_a_socket_of_both_families_sends_to_each_and_tells_who_sent(build: type) -> None:
    port = _free_pair()
    ((local, beside),) = bind_ports("::", [port])
    peers = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
    for peer, host in zip(peers, ("127.0.0.1", "::1"), strict=True):
        peer.bind((host, 0))
        peer.setblocking(False)
    inbox, outbox, book = Inbox(16), Outbox(4), Book()
    known: Transport
    if build is PlainTransport:
        known = PlainTransport([local, beside], book)
    else:
        known = BatchedTransport([local, beside], inbox, outbox, book)

    def arrived() -> list[tuple[int, int]]:
        known.receive(inbox)
        return sorted(zip(inbox.address[: inbox.count].tolist(), inbox.source.tolist(), strict=False))

    def speak() -> None:
        for peer, host in zip(peers, ("127.0.0.1", "::1"), strict=True):
            peer.sendto(b"x", (host, port))

    sources = [peer.getsockname()[1] for peer in peers]
    speak()
    assert arrived() == sorted([(HERE, sources[0]), (0, sources[1])]), "an address that nobody named is 0"
    book.enter(FIRST + 7, SIX.packed)
    speak()
    assert arrived() == [(HERE, sources[0]), (FIRST + 7, sources[1])]
    for slot, (number, source) in enumerate([(HERE, sources[0]), (FIRST + 7, sources[1])]):
        outbox.slots[slot, 0], outbox.lengths[slot] = slot, 1
        outbox.names[slot]["address"], outbox.names[slot]["port"] = number, source
    assert known.send(outbox, np.array([1, 0], np.intp), [(0, 0, 2)]) == []
    assert [peer.recv(10) for peer in peers] == [b"\x00", b"\x01"]
    known.close()
    for peer in peers:
        peer.close()


# Binding


def _free_pair() -> int:
    """An even port that is free together with the odd one beside it."""
    for _ in range(100):
        with _socket() as sock:
            port = sock.getsockname()[1] & ~1
        try:
            for pair in bind_ports("127.0.0.1", [port]):
                for sock in pair:
                    sock.close()
        except OSError as error:
            logging.getLogger(__name__).debug("port_taken", extra={"reason": str(error)})
            continue
        return port
    raise AssertionError("no free pair of ports")


def test_each_pair_is_an_even_port_and_the_odd_one_beside_it() -> None:
    port = _free_pair()
    ((rtp, rtcp),) = bind_ports("127.0.0.1", [port])
    assert (rtp.getsockname()[1], rtcp.getsockname()[1]) == (port, port + 1)
    assert receive_buffer(rtp) >= 100_000
    rtp.close()
    rtcp.close()


@pytest.mark.parametrize("taken", [0, 1])
def test_a_port_in_use_is_named_and_none_stays_bound(taken: int) -> None:
    port = _free_pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port + taken))
        with pytest.raises(OSError, match=f"127.0.0.1:{port + taken}/udp") as caught:
            bind_ports("127.0.0.1", [port])
        assert caught.value.errno == errno.EADDRINUSE
    for pair in bind_ports("127.0.0.1", [port]):
        for sock in pair:
            sock.close()
