"""One packet in and out: the kernel's floor beside the engine's path, on few ports and on many.

    python -m benchmarks.packets [--short]

Two hundred peers on loopback send a packet each and get one back, beat by beat, all in one process; only the
server's side is timed, as CPU time of user and kernel. "Kernel" is recvmmsg, sendmmsg and one epoll, with
nothing read of what came. "Batched" adds the columns, "plain" is the transport of systems without these
calls, "path" adds whose packet it is, headers in and out and statistics (`media.engine` without the mixer),
and "beat" is everything, the mixer too. Sending on loopback includes the delivery to the peer's socket.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from socket import AF_INET, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks import host, results
from media import memory
from media.engine import Engine
from media.messages import AnyCommand, Connect, Format, Open, Seat, Srtp
from media.shared import Shared, rows_for
from mixer import Mixer
from rtp import mmsg
from rtp.datagrams import Inbox, Outbox, Transport
from rtp.demux import Demux
from rtp.mmsg import BatchedTransport
from rtp.outgoing import Outgoing
from rtp.packet import HEADER, HEADER_BYTES
from rtp.plain import PlainTransport
from rtp.sockets import RECEIVE_BUFFER, SEND_BUFFER

LEGS: Final = 200
PORTS: Final = (1, 8, 16, 64)
PACKET: Final = HEADER_BYTES + 160
ROOM: Final = 4
STEAL: Final = 0.02
WANTED_BEAT: Final = 15.0
HERE: Final = int(IPv4Address("127.0.0.1"))
PCMU: Final = Format("PCMU", 8000, 8000)
WAYS: Final = ("kernel", "batched", "plain", "path", "beat")

Build = Callable[[Sequence[socket], Inbox, Outbox], Transport]


class Floor(BatchedTransport):
    """The system calls, and what it takes to make them again; nothing of what came is looked at."""

    def _read(self, inbox: Inbox, used: int) -> None:
        self._headers["namelen"][:used] = 16
        self._headers["controllen"][:used] = 64


class Peers:
    """One socket a leg; each sends a packet a beat to its leg's port and throws away what it gets."""

    def __init__(self, ports: int) -> None:
        self.locals = [_socket() for _ in range(ports)]
        self.sockets = [_socket() for _ in range(LEGS)]
        self.port = np.arange(LEGS) * ports // LEGS  # in order of port, as the engine keeps them
        self.sources = [peer.getsockname()[1] for peer in self.sockets]
        for peer, port in zip(self.sockets, self.port, strict=True):
            peer.connect(self.locals[port].getsockname())  # nothing from elsewhere is counted
        self._packets = np.zeros(LEGS, np.dtype([("header", HEADER), ("payload", "u1", 160)]))
        header = self._packets["header"]
        header["flags"], header["ssrc"] = 0x80, np.arange(LEGS)
        self._packets["payload"] = np.random.default_rng(1).integers(0, 256, (LEGS, 160))
        self.keys: list[Srtp | None] = [None] * LEGS

    def send(self) -> None:
        header = self._packets["header"]
        header["sequence"] += 1
        header["timestamp"] += 160
        data = self._packets.tobytes()
        for place, peer in enumerate(self.sockets):
            peer.send(self.sealed(place, data[place * PACKET : (place + 1) * PACKET]))

    def sealed(self, place: int, packet: bytes) -> bytes:
        """A peer's packet as it goes out."""
        return packet

    def drain(self) -> int:
        """How many packets all have got since the last time."""
        count = 0
        for peer in self.sockets:
            try:
                while True:
                    peer.recv(2048)
                    count += 1
            except BlockingIOError:
                continue
        return count

    def close(self) -> None:
        for peer in self.sockets:
            peer.close()


class TimedMixer(Mixer):
    """A mixer that says how much CPU time it took."""

    spent = 0

    def push(self, *columns: Any) -> None:
        begun = time.process_time_ns()
        super().push(*columns)
        self.spent += time.process_time_ns() - begun

    def tick(self, skipped: int = 0) -> None:
        begun = time.process_time_ns()
        super().tick(skipped)
        self.spent += time.process_time_ns() - begun


def measure_transport(ports: int, beats: int, build: Build) -> float:
    """Microseconds of CPU for one packet in and one out, by a transport alone."""
    peers = Peers(ports)
    inbox, outbox = Inbox(4 * LEGS), Outbox(LEGS)
    outbox.slots[:, 0] = 0x80
    outbox.lengths[:] = PACKET
    outbox.names["address"], outbox.names["port"] = HERE, peers.sources
    order = np.arange(LEGS)
    runs = _runs(peers.port)
    transport = build(peers.locals, inbox, outbox)
    times = []
    for _ in range(beats):
        peers.send()
        begun = time.process_time_ns()
        transport.receive(inbox)
        failed = transport.send(outbox, order, runs)
        times.append(time.process_time_ns() - begun)
        if failed or inbox.count != LEGS or peers.drain() != LEGS:
            raise RuntimeError("packets were lost on loopback: the run measured something else")
    transport.close()
    peers.close()
    return statistics.median(times) / 1000 / LEGS


def measure_engine(peers: Peers, beats: int) -> tuple[float, float]:
    """The same of the engine: (without the mixer, all of it). Closes the peers."""
    rows = rows_for(LEGS)
    descriptor = memory.anonymous("benchmark")
    shared = Shared(descriptor, rows, create=True)
    os.close(descriptor)
    mixer, inbox, outgoing = TimedMixer(rows), Inbox(4 * LEGS), Outgoing(rows)
    transport = BatchedTransport(peers.locals, inbox, outgoing.outbox)
    engine = Engine(
        mixer=mixer,
        demux=Demux(rows, shared.sources, shared.tombstones),
        outgoing=outgoing,
        inbox=inbox,
        transport=transport,
        shared=shared,
        ports=len(peers.locals),
        silence=10.0,
    )
    now = 0.0
    engine.beat(now, time.time_ns(), commands=_commands(peers))
    peers.drain()
    paths, whole = [], []
    for beat in range(beats):
        now += 0.02
        peers.send()
        mixer.spent = 0
        begun = time.process_time_ns()
        engine.beat(now, time.time_ns())
        spent = time.process_time_ns() - begun
        engine.events = []
        if peers.drain() != LEGS:
            raise RuntimeError("packets were lost on loopback: the run measured something else")
        if beat >= 10:  # the first ones pin and place
            whole.append(spent)
            paths.append(spent - mixer.spent)
    transport.close()
    peers.close()
    return statistics.median(paths) / 1000 / LEGS, statistics.median(whole) / 1000 / LEGS


def measure(ports: int, *, repeats: int, beats: int) -> dict[str, Any]:
    """The median over `repeats` runs of each way."""
    runs: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repeats):
        runs["kernel"].append(measure_transport(ports, beats, Floor))
        runs["batched"].append(measure_transport(ports, beats, BatchedTransport))
        runs["plain"].append(measure_transport(ports, beats, _plain))
        path, beat = measure_engine(Peers(ports), beats)
        runs["path"].append(path)
        runs["beat"].append(beat)
    return {"ports": ports} | {way: round(statistics.median(times), 2) for way, times in runs.items()}


def _commands(peers: Peers) -> list[AnyCommand]:
    commands: list[AnyCommand] = []
    for leg in range(1, LEGS + 1):
        source = peers.sources[leg - 1]
        commands += [
            Open(leg, int(peers.port[leg - 1])),
            Connect(
                leg=leg,
                address=HERE,
                port=source,
                signalling=HERE,
                learn=True,
                renew=False,
                payload_type=0,
                format=PCMU,
                accepts={0: PCMU},
                dtmf=101,
                ptime=20,
                sends=True,
                receives=True,
                srtp=peers.keys[leg - 1],
            ),
            Seat(leg, (leg - 1) // ROOM, False, False, None, []),
        ]
    return commands


def _runs(port: NDArray[np.intp]) -> list[tuple[int, int, int]]:
    starts = np.flatnonzero(np.diff(port, prepend=-1))
    stops = np.append(starts[1:], len(port))
    return list(zip(port[starts].tolist(), starts.tolist(), stops.tolist(), strict=True))


def _plain(sockets: Sequence[socket], inbox: Inbox, outbox: Outbox) -> Transport:
    return PlainTransport(sockets)


def _socket() -> socket:
    sock = socket(AF_INET, SOCK_DGRAM)
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER)
    sock.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.packets", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--beats", type=int, default=200, help="in each repeat")
    parser.add_argument("--short", action="store_true", help="under 20 s")
    options = parser.parse_args(argv)
    if options.short:
        options.repeats, options.beats = min(options.repeats, 2), min(options.beats, 90)
    return options


def main(argv: list[str] | None = None) -> int:
    """0; 1 on a system without recvmmsg; 3 when the run was void."""
    options = arguments(argv)
    if not mmsg.available():
        sys.stdout.write("packets: this system has no recvmmsg of 64-bit Linux\n")
        return 1
    share = host.CpuShare()
    sizes = [measure(ports, repeats=options.repeats, beats=options.beats) for ports in PORTS]
    steal = share.since().steal
    void = steal > STEAL
    results.save("packets", {"legs": LEGS, "sizes": sizes, "steal": round(steal, 4), "void": void})
    sys.stdout.write(f"\none packet in and out, {LEGS} legs: CPU in us\n")
    sys.stdout.write("  ports" + "".join(way.rjust(9) for way in WAYS) + "\n")
    for size in sizes:
        sys.stdout.write(f"  {size['ports']:5d}" + "".join(f"{size[way]:9.2f}" for way in WAYS) + "\n")
    sys.stdout.write(f"  wanted: beat <= {WANTED_BEAT:.0f}; stolen by the host: {steal:.1%}\n")
    return results.verdict(void, "the host stole time")


if __name__ == "__main__":
    raise SystemExit(main())
