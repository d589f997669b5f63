"""A SIP and RTP load generator: calls any SIP conference server, sends 20 ms packets, keeps what returns.

One thread, one epoll, one socket per leg as real phones have (a server may tell legs apart by their source).
It measures itself: the share of its packets that left more than 2 ms after they were due.
"""

import base64
import gc
import heapq
import random
import re
import secrets
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pylibsrtp import Policy, Session

FRAME = 0.02
LATE = 0.002
GAP = 0.06
BATCH = 24
PATIENCE = 10.0
SO_TIMESTAMPNS = 35
SILENT: Sequence[bytes] = ()
"""The frames of a leg that sends nothing."""
HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True)
class Codec:
    """What is offered, alone: `lines` are its attributes; `ticks` of the RTP clock go by in a packet. With
    `secure` the offer is of SRTP, and the packets are too."""

    payload_type: int
    lines: tuple[str, ...]
    ticks: int = 160
    secure: bool = False


PCMU = Codec(0, ("rtpmap:0 PCMU/8000",))
SUITE = "AES_CM_128_HMAC_SHA1_80"


@dataclass(slots=True)
class Leg:
    """One call. `frames` are encoded payloads of 20 ms, sent round and round."""

    number: int
    room: int
    seat: int
    uri: str
    frames: Sequence[bytes]
    sock: socket.socket
    phase: float  # of its packets within the beat, seconds
    call_id: str = field(default_factory=lambda: secrets.token_hex(10))
    tag: str = field(default_factory=lambda: secrets.token_hex(5))
    state: str = "new"  # new, calling, up, leaving, over, failed
    to: str = ""
    target: str = ""
    remote: tuple[str, int] | None = None
    invited_at: float = 0.0
    answered_at: float = 0.0
    left_at: float = 0.0
    failure: str = ""
    sent: int = 0
    sequence: int = field(default_factory=lambda: random.getrandbits(16))
    timestamp: int = field(default_factory=lambda: random.getrandbits(32))
    ssrc: int = field(default_factory=lambda: random.getrandbits(32))
    # what came back
    received: int = 0
    lost: int = 0
    last_sequence: int = -1
    last_at: float = 0.0
    gaps: int = 0
    longest_gap: float = 0.0
    heard: deque[bytes] = field(default_factory=lambda: deque(maxlen=25))
    listens: bool = True
    """What comes is kept in `heard`."""
    key: bytes = field(default_factory=lambda: secrets.token_bytes(30), repr=False)
    session: Session | None = None

    def forget(self) -> None:
        """Starts the counting of what comes back anew."""
        self.received = self.lost = self.gaps = 0
        self.longest_gap = 0.0
        self.last_at = 0.0


class Generator:
    """`target` is a URI with {room} in it, such as "sip:room-{room}@127.0.0.1:5060".

    `address` is the generator's own. `on_sent(leg, frame number, time)` and `on_received(leg, packet, time)`,
    when given, see every packet; times are seconds since 1970, the received one's from the kernel.
    """

    def __init__(
        self,
        target: str,
        *,
        address: str = "127.0.0.1",
        codec: Codec = PCMU,
        on_sent: Callable[[Leg, int, float], None] | None = None,
        on_received: Callable[[Leg, bytes, float], None] | None = None,
    ) -> None:
        self.target = target
        self.address = address
        self.codec = codec
        self.on_sent, self.on_received = on_sent, on_received
        found = re.search(r"@([^:;>]+)(?::(\d+))?", target)
        if found is None:
            raise ValueError(f"no host in {target}")
        self.server = (found.group(1), int(found.group(2) or 5060))
        self.legs: list[Leg] = []
        self.sent = self.late = 0
        self.worst_lateness = 0.0
        self._epoll = select.epoll()
        self._by_fd: dict[int, Leg] = {}
        self._by_call: dict[str, Leg] = {}
        self._due: list[tuple[float, int]] = []
        self._sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sip.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self._sip.bind((address, 0))
        self._sip.setblocking(False)
        self._epoll.register(self._sip.fileno(), select.EPOLLIN)
        self._sip_port = self._sip.getsockname()[1]
        self._again: list[tuple[float, int]] = []  # when to look whether a leg's request must be repeated
        self._start = time.monotonic()

    def add(self, room: int, seat: int, frames: Sequence[bytes], phase: float | None = None) -> Leg:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if frames is SILENT:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.bind((self.address, 0))
        sock.setblocking(False)
        if self.on_received is not None:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        number = len(self.legs)
        leg = Leg(
            number=number,
            room=room,
            seat=seat,
            uri=self.target.format(room=room),
            frames=frames,
            sock=sock,
            phase=random.random() * FRAME if phase is None else phase,
        )
        self.legs.append(leg)
        self._by_fd[sock.fileno()] = leg
        self._by_call[leg.call_id] = leg
        # What one that says nothing hears is left to the kernel to throw away.
        self._epoll.register(sock.fileno(), select.EPOLLIN if frames is not SILENT else 0)
        return leg

    def remove(self, leg: Leg) -> None:
        """A leg whose call is over: what it holds is given back, its figures stay."""
        self._epoll.unregister(leg.sock.fileno())
        del self._by_fd[leg.sock.fileno()], self._by_call[leg.call_id]
        leg.sock.close()

    def close(self) -> None:
        self._epoll.close()
        self._sip.close()
        for leg in self.legs:
            leg.sock.close()

    # --- the loop

    def run(self, until: Callable[[], bool], *, seconds: float) -> bool:
        """Sends, receives and answers until `until` holds (True) or the time is over (False)."""
        gc.disable()  # a full collection takes longer than a packet may be late
        try:
            return self._run(until, seconds)
        finally:
            gc.enable()

    def _run(self, until: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        look = 0.0
        while (now := time.monotonic()) < deadline:
            if now >= look:
                if until():
                    return True
                look = now + 0.01
            self._repeat(now)
            self._send_due(now)
            wake = min(self._due[0][0] if self._due else deadline, look, deadline)
            # epoll rounds up to whole milliseconds: packets leave up to one late, and nothing spins.
            # A server's beat brings a packet for every leg at once: some are read, then it is time to send.
            for fd, _ in self._epoll.poll(max(0.0, wake - time.monotonic()), BATCH):
                leg = self._by_fd.get(fd)
                if leg is None:
                    self._receive_sip()
                else:
                    self._receive(leg)
        return until()

    def dial(self, legs: Sequence[Leg], *, rate: float, patience: float = 10.0) -> None:
        """INVITEs at `rate` a second; comes back when each is up or failed."""
        queue = deque(legs)
        start = time.monotonic()
        placed = 0

        def step() -> bool:
            nonlocal placed
            while queue and time.monotonic() >= start + placed / rate:
                self._invite(queue.popleft())
                placed += 1
            return not queue and all(leg.state in ("up", "failed") for leg in legs)

        self.run(step, seconds=len(legs) / rate + patience)
        for leg in legs:
            if leg.state == "calling":
                leg.state, leg.failure = "failed", "no final response"

    def hang_up(self, legs: Sequence[Leg], *, patience: float = 5.0) -> None:
        live = [leg for leg in legs if leg.state == "up"]
        queue = deque(live)

        def step() -> bool:
            for _ in range(min(5, len(queue))):
                leg = queue.popleft()
                leg.state = "leaving"
                self._bye(leg)
            return all(leg.state == "over" for leg in live)

        self.run(step, seconds=patience + len(live) / 100)

    def churn(self, make: Callable[[], Leg], *, rate: float, hold: float, seconds: float) -> None:
        """`rate` calls a second for so many seconds, each hung up `hold` seconds after its answer.

        Nobody of a room listens on when the first of them says BYE: whatever a server takes for that, and
        for the answers before it, what was heard is of the time in which all were there.
        """
        rooms: dict[int, list[Leg]] = {}
        talking: deque[Leg] = deque()
        leaving: deque[Leg] = deque()
        start, placed = time.monotonic(), 0

        def step() -> bool:
            nonlocal placed
            now = time.monotonic()
            while placed < rate * min(now - start, seconds):
                leg = make()
                rooms.setdefault(leg.room, []).append(leg)
                self._invite(leg)
                talking.append(leg)
                placed += 1
            for _ in range(len(talking)):
                leg = talking.popleft()
                if leg.state == "calling" and now - leg.invited_at > PATIENCE:
                    leg.state, leg.failure = "failed", "no final response"
                if leg.state == "failed":
                    self.remove(leg)
                elif leg.state == "up" and now - leg.answered_at >= hold:
                    leg.state, leg.left_at = "leaving", now
                    self._bye(leg)
                    leaving.append(leg)
                    for other in rooms.pop(leg.room, ()):
                        other.listens = False
                else:
                    talking.append(leg)
            for _ in range(len(leaving)):
                leg = leaving.popleft()
                if leg.state == "leaving" and now - leg.left_at <= PATIENCE:
                    leaving.append(leg)
                    continue
                leg.failure = "" if leg.state == "over" else leg.failure or "no answer to BYE"
                self.remove(leg)
            return now - start >= seconds and not talking and not leaving

        self.run(step, seconds=seconds + hold + 3 * PATIENCE)

    # --- RTP

    def _send_due(self, now: float) -> None:
        due = self._due
        while due and due[0][0] <= now:
            at, number = due[0]
            leg = self.legs[number]
            if leg.state != "up":
                heapq.heappop(due)
                continue
            index = leg.sent % len(leg.frames)
            kind = self.codec.payload_type | (0 if leg.sent else 0x80)
            packet = HEADER.pack(0x80, kind, leg.sequence, leg.timestamp, leg.ssrc) + leg.frames[index]
            if leg.session is not None:
                packet = leg.session.protect(packet)
            if self.on_sent is not None:
                self.on_sent(leg, leg.sent, time.time())
            try:
                leg.sock.send(packet)
            except (ConnectionRefusedError, BlockingIOError):
                pass  # lost, as on a network; it is missing in what comes back
            lateness = time.monotonic() - at
            self.sent += 1
            if lateness > LATE:
                self.late += 1
                self.worst_lateness = max(self.worst_lateness, lateness)
            leg.sent += 1
            leg.sequence = (leg.sequence + 1) & 0xFFFF
            leg.timestamp = (leg.timestamp + self.codec.ticks) & 0xFFFFFFFF
            heapq.heapreplace(due, (at + FRAME, number))

    def _receive(self, leg: Leg) -> None:
        at = time.monotonic()
        try:
            if self.on_received is None:
                packet = leg.sock.recv(2048)
            else:
                packet, ancillary, _, _ = leg.sock.recvmsg(2048, 64)
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
                self.on_received(leg, packet, seconds + nanoseconds / 1e9)
        except (BlockingIOError, ConnectionRefusedError):
            return
        if len(packet) < 12 or packet[1] & 127 != self.codec.payload_type:
            return
        sequence = packet[2] << 8 | packet[3]
        if leg.received:
            missing = (sequence - leg.last_sequence - 1) & 0xFFFF
            leg.lost += missing if missing < 0x8000 else 0
            gap = at - leg.last_at
            if gap > GAP:
                leg.gaps += 1
            leg.longest_gap = max(leg.longest_gap, gap)
        leg.received += 1
        leg.last_sequence, leg.last_at = sequence, at
        if leg.listens:
            leg.heard.append(packet[12:])

    # --- SIP

    def _headers(self, leg: Leg, method: str, uri: str, cseq: int) -> list[str]:
        local = f"{self.address}:{self._sip_port}"
        return [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{leg.call_id}{cseq}{method}",
            "Max-Forwards: 70",
            f"From: <sip:load-{leg.number}@{local}>;tag={leg.tag}",
            f"To: {leg.to or f'<{leg.uri}>'}",
            f"Call-ID: {leg.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:load-{leg.number}@{local}>",
        ]

    def _put(self, lines: list[str], body: str = "") -> None:
        if body:
            lines.append("Content-Type: application/sdp")
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        self._sip.sendto(text.encode(), self.server)

    def _invite(self, leg: Leg, *, again: bool = False) -> None:
        body = (
            f"v=0\r\no=load {leg.number} 1 IN IP4 {self.address}\r\ns=-\r\n"
            f"c=IN IP4 {self.address}\r\nt=0 0\r\n"
            f"m=audio {leg.sock.getsockname()[1]} RTP/{'SAVP' if self.codec.secure else 'AVP'} "
            f"{self.codec.payload_type}\r\n"
        )
        lines = [*self.codec.lines, "ptime:20"]
        if self.codec.secure:
            lines.append(f"crypto:1 {SUITE} inline:{base64.b64encode(leg.key).decode()}")
            leg.session = Session(Policy(leg.key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        body += "".join(f"a={line}\r\n" for line in lines)
        self._put(self._headers(leg, "INVITE", leg.uri, 1), body)
        if not again:
            leg.state, leg.invited_at = "calling", time.monotonic()
        heapq.heappush(self._again, (time.monotonic() + 0.5, leg.number))

    def _bye(self, leg: Leg) -> None:
        self._put(self._headers(leg, "BYE", leg.target, 2))
        heapq.heappush(self._again, (time.monotonic() + 0.5, leg.number))

    def _repeat(self, now: float) -> None:
        while self._again and self._again[0][0] <= now:
            _, number = heapq.heappop(self._again)
            leg = self.legs[number]
            if leg.state == "calling":
                self._invite(leg, again=True)
            elif leg.state == "leaving":
                self._bye(leg)

    def _receive_sip(self) -> None:
        while True:
            try:
                data, source = self._sip.recvfrom(65536)
            except BlockingIOError:
                return
            text = data.decode(errors="replace")
            found = re.search(r"(?im)^(?:call-id|i)\s*:\s*(\S+)", text)
            leg = self._by_call.get(found.group(1)) if found else None
            if leg is None:
                continue
            if text.startswith("SIP/2.0 "):
                self._response(leg, int(text[8:11]), text)
            else:
                self._request(leg, text, source)

    def _response(self, leg: Leg, status: int, text: str) -> None:
        inviting = re.search(r"(?im)^cseq\s*:\s*\d+\s+INVITE", text) is not None
        if status < 200:
            return
        if not inviting:
            leg.state = "over"
            return
        leg.to = _header(text, "to|t")
        if status >= 300:
            lines = self._headers(leg, "ACK", leg.uri, 1)
            lines[1] = lines[1].replace(
                "1ACK", "1INVITE"
            )  # the ACK to a refusal is of the INVITE's transaction
            self._put(lines)
            leg.state, leg.failure = "failed", text.partition("\r\n")[0]
            return
        leg.target = re.sub(r"^.*<|>.*$", "", _header(text, "contact|m"))
        self._put(self._headers(leg, "ACK", leg.target, 1))
        if leg.state != "calling":
            return  # a repeated 200: its ACK is all it wants
        now = leg.answered_at = time.monotonic()
        host = re.search(r"(?m)^c=IN IP4 (\S+)", text)
        port = re.search(r"(?m)^m=audio (\d+)", text)
        if host is None or port is None:
            leg.state, leg.failure = "failed", "a 200 without SDP"
            return
        leg.remote = (host.group(1), int(port.group(1)))
        leg.sock.connect(leg.remote)
        leg.state = "up"
        if leg.frames is SILENT:
            return
        beat = self._start + (now - self._start) // FRAME * FRAME
        heapq.heappush(self._due, (beat + FRAME + leg.phase, leg.number))

    def _request(self, leg: Leg, text: str, source: tuple[str, int]) -> None:
        method = text.partition(" ")[0]
        if method == "ACK":
            return
        vias = re.findall(r"(?im)^(?:via|v)\s*:.*?$", text)
        lines = ["SIP/2.0 200 OK", *(via.strip() for via in vias)]
        lines += [f"From: {_header(text, 'from|f')}", f"To: {_header(text, 'to|t')}"]
        lines += [f"Call-ID: {leg.call_id}", f"CSeq: {_header(text, 'cseq')}", "Content-Length: 0", "", ""]
        self._sip.sendto("\r\n".join(lines).encode(), source)
        if method == "BYE":
            leg.state, leg.failure = "failed", "the server hung up"


def _header(text: str, names: str) -> str:
    found = re.search(rf"(?im)^(?:{names})\s*:\s*(.*?)\s*$", text)
    return found.group(1) if found else ""
