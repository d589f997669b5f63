"""A phone's media: UDP sockets that record all they get, lines that send, one clock that drives dozens."""

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from tests.support import g711, tones
from tests.support.sealing import Sealing
from tests.support.sounds import SILENCE, Sound

SO_TIMESTAMPNS = 35  # Linux: kernel receive time as a struct timespec
EVENT_CODES = {digit: code for code, digit in enumerate("0123456789*#ABCD")}


class Packet(NamedTuple):
    at: float  # kernel's receive time, seconds since 1970
    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    ssrc: int
    payload: bytes
    source: tuple[str, int]


def _pair(family: int, address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A socket for sound, and one that keeps the port above it, where reports go (RFC 3550 section 11), from
    being somebody else's."""
    while True:
        sound, above = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        try:
            sound.bind((address, port))
            above.bind((address, sound.getsockname()[1] + 1))
        except OSError:
            sound.close()
            above.close()
            if port:
                raise
        else:
            return sound, above


class MediaSocket:
    """One UDP socket, perhaps shared by several lines: each packet goes to the line whose remote sent it."""

    def __init__(
        self,
        address: str = "127.0.0.1",
        port: int = 0,
        *,
        network: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`network`: where its sockets are made, see `tests.support.nat`."""
        self._network = network
        self.loop = asyncio.get_running_loop()
        self.lines: list[Line] = []
        self.strays: list[tuple[float, bytes, tuple[str, int]]] = []
        self._open(address, port)

    def _open(self, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self._network():
            self.sock, self._above = _pair(family, address, port)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.setblocking(False)
        self.loop.add_reader(self.sock.fileno(), self._readable)

    @property
    def address(self) -> tuple[str, int]:
        return self.sock.getsockname()[:2]  # type: ignore[no-any-return]

    def rebind(self) -> None:
        """From another port from now on, as a NAT that forgot its mapping makes it look."""
        host = self.address[0]
        self._shut()
        self._open(host, 0)

    def close(self) -> None:
        if self.sock.fileno() >= 0:
            self._shut()

    def _shut(self) -> None:
        self.loop.remove_reader(self.sock.fileno())
        self.sock.close()
        self._above.close()

    def send(self, data: bytes, remote: tuple[str, int]) -> None:
        try:
            self.sock.sendto(data, remote)
        except ConnectionRefusedError:
            pass  # the ICMP answer to an earlier packet: the server's port is gone, as after a hang-up
        except BlockingIOError:
            pass  # a full buffer loses a packet, as a network does

    def _readable(self) -> None:
        while True:
            try:
                data, ancillary, _, source = self.sock.recvmsg(2048, 64)
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                continue
            at = time.time()
            for level, kind, value in ancillary:
                if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", value[:16])
                    at = seconds + nanoseconds / 1e9
            self._received(at, data, source[:2])

    def _received(self, at: float, data: bytes, source: tuple[str, int]) -> None:
        owners = [line for line in self.lines if line.remote == source]
        if not owners and len(self.lines) == 1:
            owners = self.lines
        if len(data) < 8 or data[0] >> 6 != 2 or len(owners) != 1:
            self.strays.append((at, data, source))
        elif 200 <= data[1] <= 207:
            owners[0].take_report(data)
        else:
            owners[0].take(at, data, source)


class Line:
    """One stream each way. Sends only while `sending`; keeps every packet it gets in `received`."""

    def __init__(
        self,
        media: MediaSocket,
        *,
        sound: Sound | None,
        law: str = "PCMU",
        payload_type: int = 0,
        ptime: int = 20,
        sequence: int | None = None,
        timestamp: int | None = None,
        ssrc: int | None = None,
    ) -> None:
        self.media = media
        media.lines.append(self)
        self.remote: tuple[str, int] | None = None
        self.sound: Sound = sound or SILENCE
        self.sending = False
        self.wanted = sound is not None  # a phone that sends nothing at all has no sound
        self.law, self.payload_type, self.ptime = law, payload_type, ptime
        self.dtmf: int | None = None
        self.laws: dict[int, str] = {}  # what each payload type we may get means
        self.sequence = random.getrandbits(16) if sequence is None else sequence
        self.timestamp = random.getrandbits(32) if timestamp is None else timestamp
        self.ssrc = random.getrandbits(32) if ssrc is None else ssrc
        self.position = 0
        self.sent: list[tuple[float, int]] = []  # of each packet the time, and that on the line's own clock
        self.marker = True
        self.received: list[Packet] = []
        self.reports: list[bytes] = []  # RTCP that came to this socket
        self.sealing: Sealing | None = None  # SRTP
        self._digits: list[tuple[str, int]] = []  # digit, packets still to send
        self._digit_start: int | None = None
        self._digit_packets = 0

    # --- what it says

    def say(self, sound: Sound) -> None:
        self.sound, self.position = sound, 0

    def press(self, digits: str, *, milliseconds: int = 100) -> None:
        """Queues RFC 4733 events: a packet every ptime, the last sent three times, 60 ms apart."""
        packets = max(2, milliseconds // self.ptime)
        self._digits += [(digit, packets) for digit in digits]

    @property
    def pressing(self) -> bool:
        return bool(self._digits)

    def tick(self) -> None:
        """One ptime has passed."""
        samples = self.ptime * 8
        if self.sending and self.wanted and self.remote is not None:
            if self._digits and self.dtmf is not None:
                self._send_digit(samples)
            else:
                self._send(
                    self.payload_type,
                    self.marker,
                    self.timestamp,
                    self.sound.payload(self.law, self.position, samples),
                )
                self.marker = False
            self.position += samples
        self.timestamp = (self.timestamp + samples) & 0xFFFFFFFF

    def _send(self, kind: int, marker: bool, timestamp: int, payload: bytes) -> None:
        assert self.remote is not None
        header = struct.pack("!BBHII", 0x80, kind | (marker << 7), self.sequence, timestamp, self.ssrc)
        packet = header + payload
        self.media.send(packet if self.sealing is None else self.sealing.protect(packet), self.remote)
        self.sent.append((time.time(), self.timestamp))
        self.sequence = (self.sequence + 1) & 0xFFFF

    def _send_digit(self, samples: int) -> None:
        assert self.dtmf is not None
        digit, packets = self._digits[0]
        first = self._digit_start is None
        if first:
            self._digit_start, self._digit_packets = self.timestamp, 0
        assert self._digit_start is not None
        self._digit_packets += 1
        last = self._digit_packets >= packets
        duration = min(self._digit_packets, packets) * samples
        payload = struct.pack("!BBH", EVENT_CODES[digit], 10 | (0x80 if last else 0), duration)
        for _ in range(3 if last else 1):
            self._send(self.dtmf, first, self._digit_start, payload)
            first = False
        if last:
            self._digits.pop(0)
            self._digit_start = None
            self.marker = True

    def unevenness(self, since: float) -> float:
        """Seconds by which some packet sent since then was later than another, each by when it was due."""
        sent = [packet for packet in self.sent if packet[0] >= since]
        due = unwrapped(timestamp for _, timestamp in sent)
        late = [at - place / 8000 for (at, _), place in zip(sent, due, strict=True)]
        return max(late, default=0.0) - min(late, default=0.0)

    def report(self, data: bytes) -> None:
        """Sends RTCP from the socket of RTP."""
        assert self.remote is not None
        self.media.send(data if self.sealing is None else self.sealing.protect_report(data), self.remote)

    # --- what it heard

    def take(self, at: float, data: bytes, source: tuple[str, int]) -> None:
        packet = data if self.sealing is None else self.sealing.unprotect(data)
        if packet is None or len(packet) < 12:
            return
        flags, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet)
        payload = packet[12 + 4 * (flags & 15) :]
        self.received.append(
            Packet(at, sequence, timestamp, second & 127, bool(second >> 7), ssrc, payload, source)
        )

    def take_report(self, data: bytes) -> None:
        report = data if self.sealing is None else self.sealing.unprotect(data, report=True)
        if report is not None:
            self.reports.append(report)

    def skips(self, since: float) -> int:
        """How often, since then, the server had to skip beats, see `there`."""
        heard = [packet for packet in self.audio if packet.at >= since]
        return sum(
            later.ssrc == sooner.ssrc
            and (later.sequence - sooner.sequence) % 65536 == 1
            and (later.timestamp - sooner.timestamp) % 2**32 > len(sooner.payload)
            for sooner, later in pairwise(heard)
        )

    @property
    def audio(self) -> list[Packet]:
        return [packet for packet in self.received if packet.payload_type in self.laws]

    def pcm(self, *, last: float | None = None, since: int = 0) -> "np.typing.NDArray[np.int16]":
        """What was received from packet number `since` on, laid out by timestamp (gaps are zeros), decoded.

        `last`: only that many seconds at the end.
        """
        packets, places = self._laid_out(last, since)
        samples = np.zeros(self._length(packets, places), np.int16)
        for place, packet in zip(places, packets, strict=True):
            decoded = g711.decode(self.laws[packet.payload_type], packet.payload)
            samples[place : place + len(decoded)] = decoded
        return samples

    def there(self, *, last: float | None = None, since: int = 0) -> "np.typing.NDArray[np.bool_]":
        """Of which samples of `pcm` the server said anything: not of those of beats that it had to skip, over
        which the timestamps leap while the sequence goes on."""
        packets, places = self._laid_out(last, since)
        there = np.ones(self._length(packets, places), np.bool_)
        for place, (sooner, later) in zip(places, pairwise(packets), strict=False):
            if later.ssrc == sooner.ssrc and (later.sequence - sooner.sequence) % 65536 == 1:
                leap = (later.timestamp - sooner.timestamp) % 2**32
                there[place + len(sooner.payload) : place + leap] = False
        return there

    def _laid_out(self, last: float | None, since: int) -> tuple[list[Packet], list[int]]:
        """Packets, and the sample at which each begins. Another SSRC has timestamps of its own, which have
        nothing to do with those before: its sound begins where that of the one before has ended."""
        packets = self.audio[since:]
        if last is not None and packets:
            packets = packets[-max(1, int(last * 8000 / max(1, len(packets[-1].payload)))) :]
        places: list[int] = []
        end = 0
        for _, stream in groupby(packets, key=lambda packet: packet.ssrc):
            own = list(stream)
            begins = unwrapped([packet.timestamp for packet in own])
            first = min(begins)
            places += [end + begin - first for begin in begins]
            end = self._length(own, places[-len(own) :])
        return packets, places

    @staticmethod
    def _length(packets: list[Packet], places: list[int]) -> int:
        ends = [place + len(packet.payload) for place, packet in zip(places, packets, strict=True)]
        length = max(ends, default=0)
        assert length < 8000 * 1200, "timestamps jump by more than twenty minutes"
        return length

    def find(self, sound: "np.typing.NDArray[np.int16]", *, since: int = 0) -> tuple[float, int]:
        """How well and where the whole sound stands in `pcm(since=since)`, as `tones.find` says it."""
        return tones.find(sound, self.pcm(since=since), self.there(since=since))

    def due(self, timestamp: int) -> float:
        """When the sample with this timestamp was to leave, on our clock, as the least late packet has it."""
        own, *stamps = unwrapped([timestamp, *(packet.timestamp for packet in self.audio)])
        return min(packet.at - (stamp - own) / 8000 for packet, stamp in zip(self.audio, stamps, strict=True))

    def gaps(self, *, longer_than: float = 0.06) -> list[float]:
        times = [packet.at for packet in self.received]
        return [later - sooner for sooner, later in pairwise(times) if later - sooner > longer_than]

    def lost(self) -> int:
        """Packets missing between the first and the last received."""
        numbers = unwrapped([packet.sequence for packet in self.received], 16)
        return max(numbers) - min(numbers) + 1 - len(set(numbers)) if numbers else 0

    def close(self) -> None:
        self.sending = False
        if self in self.media.lines:
            self.media.lines.remove(self)


def unwrapped(numbers: Iterable[int], bits: int = 32) -> list[int]:
    """Numbers of a wrapping counter as ones that do not wrap, each near the one before."""
    result: list[int] = []
    size = 1 << bits
    for number in numbers:
        if not result:
            result.append(number)
            continue
        step = (number - result[-1]) % size
        result.append(result[-1] + (step - size if step >= size // 2 else step))
    return result


class MediaClock:
    """Drives every line from one timer, a step each 10 ms; a late step is made up for, as sound cards do."""

    STEP = 0.01

    def __init__(self) -> None:
        self._lines: dict[Line, int] = {}  # line -> step at which it is due
        self._step = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def add(self, line: Line) -> None:
        # Lines are due on different steps, as phones that nobody synchronised.
        self._lines[line] = self._step + 1 + len(self._lines) % max(1, line.ptime // 10)

    def remove(self, line: Line) -> None:
        self._lines.pop(line, None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            self._step += 1
            for line, due in list(self._lines.items()):
                if due <= self._step:
                    line.tick()
                    self._lines[line] = due + line.ptime // 10
            await asyncio.sleep(max(0.0, start + self._step * self.STEP - loop.time()))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
