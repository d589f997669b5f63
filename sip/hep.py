"""A copy of every SIP message to a collector, in the Homer Encapsulation Protocol, version 3 (HEP3 Network
Protocol Specification, revision 36): what `encode` makes, and the asyncio part that sends it.

Credentials, keys and digits are taken out as for the log. A copy is one datagram that is sent or dropped at
once: the collector can neither hold up a call nor fill our memory.
"""

import asyncio
import logging
import re
import socket
import struct
import time
from collections import Counter
from ipaddress import ip_address

from sip.flow import Address, Flow
from sip.trace import is_keep_alive, readable

logger = logging.getLogger(__name__)

MOST_PER_SECOND = 5_000
"""Copies that are made in a second; a flood of SIP is not to become two."""
LOOK_AGAIN = 30.0
"""Seconds until a collector whose name led nowhere is looked up again."""

IP_FAMILY, IP_PROTOCOL = 0x01, 0x02
SOURCE, DESTINATION = {4: 0x03, 6: 0x05}, {4: 0x04, 6: 0x06}
SOURCE_PORT, DESTINATION_PORT = 0x07, 0x08
SECONDS, MICROSECONDS = 0x09, 0x0A
PROTOCOL, AGENT, PAYLOAD = 0x0B, 0x0C, 0x0F

_FAMILIES = {4: 2, 6: 10}
_UDP, _TCP, _SIP = 17, 6, 1
_LENGTH = re.compile(r"^(content-length|l)[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)


def encode(data: bytes, flow: Flow, *, sent: bool, agent: int, at: float) -> bytes:
    """One packet about a message that came over a flow, or was sent over it, at that time (seconds since
    1970)."""
    places = (flow.local, flow.remote) if sent else (flow.remote, flow.local)
    (source, source_port), (destination, destination_port) = places
    source_ip, destination_ip = (ip_address(host.partition("%")[0]) for host in (source, destination))
    version = source_ip.version
    second, microsecond = divmod(int(at * 1_000_000), 1_000_000)
    chunks = (
        _chunk(IP_FAMILY, _FAMILIES[version].to_bytes(1, "big")),
        _chunk(IP_PROTOCOL, (_UDP if flow.transport == "udp" else _TCP).to_bytes(1, "big")),
        _chunk(SOURCE[version], source_ip.packed),
        _chunk(DESTINATION[version], destination_ip.packed),
        _chunk(SOURCE_PORT, source_port.to_bytes(2, "big")),
        _chunk(DESTINATION_PORT, destination_port.to_bytes(2, "big")),
        _chunk(SECONDS, second.to_bytes(4, "big")),
        _chunk(MICROSECONDS, microsecond.to_bytes(4, "big")),
        _chunk(PROTOCOL, _SIP.to_bytes(1, "big")),
        _chunk(AGENT, agent.to_bytes(4, "big")),
        _chunk(PAYLOAD, shown(data)),
    )
    body = b"".join(chunks)
    return struct.pack("!4sH", b"HEP3", 6 + len(body)) + body


def shown(data: bytes) -> bytes:
    """A message as in the log, and yet SIP: with its line ends, and the length that the body now has."""
    head, _, body = readable(data).partition("\n\n")
    body = body.replace("\n", "\r\n")
    head = _LENGTH.sub(rf"\1: {len(body.encode())}", head)
    return (head.replace("\n", "\r\n") + "\r\n\r\n" + body).encode()


def _chunk(kind: int, value: bytes) -> bytes:
    """A chunk of the protocol's own vendor, 0."""
    return struct.pack("!HHH", 0, kind, 6 + len(value)) + value


class Hep:
    """Sends copies to the collector at `collector` (host and port) from `start` to `close`; until its name is
    looked up, and whenever the kernel takes no more, they are dropped. `statistics` counts the messages, and
    of how many the copy was dropped."""

    def __init__(self, collector: Address, agent: int) -> None:
        self._collector = collector
        self._agent = agent
        self._socket: socket.socket | None = None
        self._looking: asyncio.Task[None] | None = None
        self._second, self._made = 0, 0
        self.statistics: Counter[str] = Counter(hep_messages=0, hep_dropped=0)

    @property
    def ready(self) -> bool:
        """Whether the collector is known."""
        return self._socket is not None

    def start(self) -> None:
        """Look the collector up, again and again if need be."""
        self._looking = asyncio.get_running_loop().create_task(self._look(), name="hep")

    async def close(self) -> None:
        """No copy is made from now on."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def received(self, data: bytes, flow: Flow, now: float) -> None:
        """A message has come."""
        self._copy(data, flow, now, sent=False)

    def sent(self, data: bytes, flow: Flow, now: float) -> None:
        """A message goes out."""
        self._copy(data, flow, now, sent=True)

    def _copy(self, data: bytes, flow: Flow, now: float, *, sent: bool) -> None:
        if is_keep_alive(data):
            return
        if int(now) != self._second:
            self._second, self._made = int(now), 0
        self._made += 1
        self.statistics["hep_messages"] += 1
        if self._socket is None or self._made > MOST_PER_SECOND:
            self.statistics["hep_dropped"] += 1
            return
        packet = encode(data, flow, sent=sent, agent=self._agent, at=time.time())
        try:
            try:
                self._socket.send(packet)
            except ConnectionRefusedError:  # what ICMP said of the copy before: nobody was there
                self.statistics["hep_dropped"] += 1
                self._socket.send(packet)
        except OSError:  # the kernel's buffer is full, or there is no way
            self.statistics["hep_dropped"] += 1

    async def _look(self) -> None:
        host, port = self._collector
        while self._socket is None:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
                self._socket = _connected(found[0][0], (str(found[0][4][0]), port))
            except OSError as error:
                logger.warning("hep_collector_unknown", extra={"collector": host, "error": str(error)})
                await asyncio.sleep(LOOK_AGAIN)


def _connected(family: int, address: Address) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock
