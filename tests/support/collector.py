"""A HEP collector that keeps what it gets, written apart from the server's side of it."""

import asyncio
import socket
import struct
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Copy:
    family: int
    protocol: int
    source: tuple[str, int]
    destination: tuple[str, int]
    at: float
    kind: int
    agent: int
    payload: bytes


def decode(packet: bytes) -> Copy:
    assert packet[:4] == b"HEP3" and struct.unpack("!H", packet[4:6])[0] == len(packet)
    chunks: dict[int, bytes] = {}
    place = 6
    while place < len(packet):
        vendor, kind, length = struct.unpack_from("!HHH", packet, place)
        assert vendor == 0 and length >= 6 and kind not in chunks
        chunks[kind] = packet[place + 6 : place + length]
        place += length
    assert place == len(packet)
    family = chunks[1][0]
    source, destination = (
        socket.inet_ntop(family, chunks[kind]) for kind in ((3, 4) if family == socket.AF_INET else (5, 6))
    )
    numbers = {kind: int.from_bytes(value, "big") for kind, value in chunks.items() if kind != 15}
    return Copy(
        family,
        numbers[2],
        (source, numbers[7]),
        (destination, numbers[8]),
        numbers[9] + numbers[10] / 1e6,
        numbers[11],
        numbers[12],
        chunks[15],
    )


class Collector:
    """`async with Collector() as collector:`; listens at `port` of 127.0.0.1."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.copies: list[Copy] = []
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> "Collector":
        collector = self

        class Ear(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, source: Any) -> None:
                collector.copies.append(decode(data))

        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", self.port))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()
        await asyncio.sleep(0)
