"""A network in memory, and an engine on it whose beats come when the test says so."""

import os
from collections.abc import Sequence
from ipaddress import IPv4Address

import numpy as np
from numpy.typing import NDArray

from media import memory
from media.engine import Engine, mixer_for
from media.messages import AnyCommand, AnyEvent, Connect, Format, Open, Sound
from media.shared import Shared, rows_for
from rtp.datagrams import Inbox, Outbox
from rtp.demux import Demux
from rtp.outgoing import Outgoing

Address = tuple[str, int]
PCMU = Format("PCMU", 8000, 8000)
PCMA = Format("PCMA", 8000, 8000)


def rtp(
    sequence: int,
    *,
    ssrc: int = 1,
    payload: bytes = bytes(160),
    payload_type: int = 0,
    timestamp: int | None = None,
    marker: bool = False,
) -> bytes:
    """One RTP packet; without a timestamp, that of 20 ms packets numbered from 0."""
    stamp = sequence * 160 if timestamp is None else timestamp
    return (
        bytes([0x80, payload_type | marker << 7])
        + (sequence & 0xFFFF).to_bytes(2, "big")
        + (stamp & 0xFFFF_FFFF).to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
        + payload
    )


class VirtualNetwork:
    """What the engine takes for sockets: datagrams wait in `arriving`, and what was sent lies in `sent`."""

    batched = True

    def __init__(self) -> None:
        self.system_calls = 0
        self.overflowed = 0
        self.arriving: list[tuple[int, Address, bytes]] = []
        self.arrival = 0
        self.waited = 0.01  # seconds that what arrives has lain there
        self.sent: list[tuple[int, Address, bytes]] = []

    def receive(self, inbox: Inbox) -> None:
        now, self.arriving = self.arriving[: len(inbox.length)], self.arriving[len(inbox.length) :]
        inbox.count = len(now)
        for place, (port, (address, source), data) in enumerate(now):
            whole = data[: inbox.slots.shape[1]]
            inbox.slots[place, : len(whole)] = np.frombuffer(whole, np.uint8)
            inbox.length[place] = len(whole)
            inbox.truncated[place] = len(whole) < len(data)
            inbox.port[place] = port
            inbox.address[place] = int(IPv4Address(address))
            inbox.source[place] = source
            inbox.arrival[place] = self.arrival

    def send(
        self, outbox: Outbox, order: NDArray[np.intp], runs: Sequence[tuple[int, int, int]]
    ) -> list[int]:
        for port, start, stop in runs:
            for slot in order[start:stop]:
                name = outbox.names[slot]
                to = (str(IPv4Address(int(name["address"]))), int(name["port"]))
                self.sent.append((port, to, outbox.slots[slot, : int(outbox.lengths[slot])].tobytes()))
        return []

    def close(self) -> None:
        pass


class VirtualMedia:
    """An engine with `legs` rows and `ports` RTP ports; `beat` runs one beat of 20 ms."""

    def __init__(
        self, *, legs: int = 8, ports: int = 4, silence: float = 10.0, sound: Sound | None = None
    ) -> None:
        self.network = VirtualNetwork()
        self.now = 1000.0
        self.ports = ports
        self.events: list[AnyEvent] = []
        self.commands: list[AnyCommand] = []
        rows = rows_for(legs)
        self._descriptor = memory.anonymous("test-media")
        self.shared = Shared(self._descriptor, rows, create=True)
        self.demux = Demux(rows, self.shared.sources, self.shared.tombstones)
        outgoing = Outgoing(rows)
        self.engine = Engine(
            mixer=mixer_for(rows, sound or Sound()),
            demux=self.demux,
            outgoing=outgoing,
            inbox=Inbox(256),
            transport=self.network,
            shared=self.shared,
            ports=ports,
            silence=silence,
            sound=sound,
        )

    def close(self) -> None:
        os.close(self._descriptor)

    def open(self, leg: int, remote: Address | None, *, port: int = 0, **changes: object) -> None:
        """Open and connect a leg; `remote` is what its SDP names."""
        self.commands.append(Open(leg, port))
        self.commands.append(connect(leg, remote, **changes))

    def say(self, source: Address, data: bytes, *, port: int = 0) -> None:
        """A datagram arrives at a local port (an index) in this beat."""
        self.network.arriving.append((port, source, data))

    def beat(self, count: int = 1, *, skipped: int = 0) -> list[tuple[int, Address, bytes]]:
        """Run beats; returns what the last one sent."""
        for _ in range(count):
            self.now += 0.02 * (1 + skipped)
            wall = int(self.now * 1e9)
            self.network.arrival = wall - int(self.network.waited * 1e9)
            self.network.sent = []
            commands, self.commands = self.commands, []
            self.engine.beat(self.now, wall, skipped=skipped, commands=commands)
            self.events += self.engine.events
            self.engine.events = []
        return self.network.sent

    def told(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


def connect(leg: int, remote: Address | None, **changes: object) -> Connect:
    """A Connect for mu-law at 20 ms both ways, with telephone-event on 101, but for `changes`."""
    address, port = (int(IPv4Address(remote[0])), remote[1]) if remote else (0, 0)
    fields: dict[str, object] = {
        "leg": leg,
        "address": address,
        "port": port,
        "signalling": address,
        "learn": True,
        "renew": False,
        "payload_type": 0,
        "format": PCMU,
        "accepts": {0: PCMU, 8: PCMA},
        "dtmf": 101,
        "ptime": 20,
        "sends": True,
        "receives": True,
    }
    return Connect(**{**fields, **changes})  # type: ignore[arg-type]
