"""RTCP of all legs: when each is due, what it says, and what the far ends say. Source: RFC 3550 section 6.

Every leg is a session of two, so that the interval is the least one, 5 s, at random between half and one and
a half times that and divided by e - 3/2 (section 6.3.1), the first one half as long. Which legs are due is
one comparison a beat; at most `BATCH` compounds leave in one beat, all written together. A compound is a
sender or receiver report, a CNAME that is random and the call's own (RFC 7022 section 4.2), and at the end a
BYE.

Reports are words u32 of the network's order, `WORDS` a compound.
"""

import base64
import math
import secrets
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.datagrams import Outbox
from rtp.reception import ReceptionReport
from rtp.rtcp import BYE, CNAME, RR, SDES, SR, Compound, ntp_middle, ntp_time

BATCH: Final = 64
INTERVAL: Final = 5.0
PER_SECOND: Final = 50  # beats
WORDS: Final = 22
CNAME_BYTES: Final = 16  # 96 bits in base64
REMEMBERED: Final = 4  # of our reports, the times that a far end may refer to
LONGEST: Final = 60.0  # seconds; a round trip beyond that is a lie
_NEVER: Final = np.iinfo(np.int64).max
_COMPENSATION: Final = math.e - 1.5
_EARLY: Final = -0.05  # seconds of round trip below zero that clocks may well be set by
_DELAYS: Final = 65_536  # of LSR and DLSR in a second
_SDES_WORDS: Final = 7
_VERSION: Final = 0x80 << 24


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent to legs, columns of equal length: ssrc u32, timestamp u32 (the RTP time of now), packets
    and octets (of payload) i64."""

    ssrc: NDArray[np.uint32]
    timestamp: NDArray[np.uint32]
    packets: NDArray[np.int64]
    octets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """A last compound on its way: data, IPv4 in host order, UDP port, the socket's index."""

    data: bytes
    address: int
    port: int
    socket: int


class Reports:
    """Columns of `rows` legs, by the mixer's rows.

    What far ends say, NaN while they have not: `round_trip` (s), `far_loss` (share since their report
    before), `far_jitter` (s); `far_lost` i64: packets. `outbox`: the compounds of a beat. `address`, `port`,
    `socket`: where a leg's reports go and from which socket; port 0 is nowhere.
    """

    def __init__(self, rows: int, seed: int | None = None) -> None:
        self.outbox = Outbox(BATCH)
        self.goodbyes: deque[Goodbye] = deque()
        self.address = np.zeros(rows, np.uint32)
        self.port = np.zeros(rows, np.uint16)
        self.socket = np.zeros(rows, np.int32)
        self.round_trip = np.full(rows, np.nan)
        self.far_loss = np.full(rows, np.nan)
        self.far_jitter = np.full(rows, np.nan)
        self.far_lost = np.zeros(rows, np.int64)
        self._random = np.random.default_rng(seed)
        self._due = np.full(rows, _NEVER, np.int64)
        self._beat = 0
        self._clock = np.full(rows, 8000)
        self._cname = np.zeros((rows, _SDES_WORDS - 2), ">u4")
        self._packets = np.zeros((rows, 2), np.int64)  # sent at the last report, and at the one before it
        self._times = np.zeros((rows, REMEMBERED), np.uint32)
        self._written = np.zeros(rows, np.int64)
        self._heard_ssrc = np.zeros(rows, np.uint32)
        self._heard_time = np.zeros(rows, np.uint32)
        self._heard_at = np.zeros(rows, np.int64)

    def open(self, row: int) -> None:
        """A leg takes a row; nothing is reported before `connect`."""
        self.close(row)
        name = base64.b64encode(secrets.token_bytes(CNAME_BYTES * 3 // 4))
        item = bytes([CNAME, CNAME_BYTES]) + name + bytes(2)
        self._cname[row] = np.frombuffer(item, ">u4")

    def close(self, row: int) -> None:
        self._due[row] = _NEVER
        self.address[row] = self.port[row] = 0
        self.round_trip[row] = self.far_loss[row] = self.far_jitter[row] = np.nan
        self.far_lost[row] = 0
        self._packets[row] = 0
        self._times[row] = self._written[row] = 0
        self._heard_ssrc[row] = self._heard_time[row] = self._heard_at[row] = 0

    def connect(
        self, row: int, address: int, port: int, socket: int, clock: int, beat: int, *, waits: bool = False
    ) -> None:
        """Where the leg's reports go (port 0: nowhere for now), and the RTP clock of what is sent to it.
        `waits`: not before the far end has reported itself."""
        self.address[row], self.port[row], self.socket[row] = address, port, socket
        self._clock[row] = clock
        if port == 0:
            self._due[row] = _NEVER
        elif self._due[row] == _NEVER and not waits:
            self._due[row] = beat + self._intervals(1, INTERVAL / 2)[0]

    def due(self, beat: int) -> NDArray[np.intp]:
        """The rows whose reports are to be written now, each at once given its next turn."""
        self._beat = beat
        rows = np.flatnonzero(self._due <= beat)[:BATCH]
        if len(rows):
            self._due[rows] = beat + self._intervals(len(rows), INTERVAL)
        return rows

    def reported(self, row: int) -> None:
        """The far end of a row has reported: it takes reports, too."""
        if self.port[row] and self._due[row] == _NEVER:
            self._due[row] = self._beat + self._intervals(1, INTERVAL / 2)[0]

    def begun(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these are sent reports."""
        begun: NDArray[np.bool_] = self._due[rows] != _NEVER
        return begun

    def write(
        self,
        rows: NDArray[np.intp],
        wall: int,
        sending: Sending,
        received: ReceptionReport,
        *,
        bye: bool = False,
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """The compounds of these rows at `wall` (ns since 1970): (bytes u8[n, 4 * WORDS], length of each)."""
        each = np.arange(len(rows))
        words = np.zeros((len(rows), WORDS), ">u4")
        sends = sending.packets != self._packets[rows, 1]
        self._packets[rows, 1], self._packets[rows, 0] = self._packets[rows, 0], sending.packets
        seconds, fraction = ntp_time(wall)
        # Receiver reports are overwritten from the third word on.
        words[:, 1] = sending.ssrc
        words[:, 2:4] = seconds, fraction
        words[:, 4], words[:, 5], words[:, 6] = (
            sending.timestamp,
            sending.packets,
            sending.octets & 0xFFFF_FFFF,
        )
        self._remember(rows[sends], ntp_middle(wall))
        report = np.where(sends, 7, 2)
        self._write_blocks(words, each, report, rows, wall, received)
        source = report + 6 * received.heard
        kind = np.where(sends, SR, RR)
        words[:, 0] = _VERSION | received.heard.astype(np.int64) << 24 | kind << 16 | source - 1
        words[each, source] = _VERSION | 1 << 24 | SDES << 16 | _SDES_WORDS - 1
        words[each, source + 1] = sending.ssrc
        for place in range(_SDES_WORDS - 2):
            words[each, source + 2 + place] = self._cname[rows, place]
        end = source + _SDES_WORDS
        if bye:
            words[each, end] = _VERSION | 1 << 24 | BYE << 16 | 1
            words[each, end + 1] = sending.ssrc
            end = end + 2
        return words.view(np.uint8), (4 * end).astype(np.int32)

    def hear(self, row: int, said: Compound, ssrc: int, arrival: int) -> None:
        """A far end's compound arrived (ns since 1970); `ssrc`: of the stream that it is sent."""
        if said.ntp is not None:
            self._heard_ssrc[row], self._heard_time[row], self._heard_at[row] = said.sender, said.ntp, arrival
        for block in said.blocks:
            if block.ssrc != ssrc:
                continue
            self.far_loss[row] = block.fraction / 256.0
            self.far_lost[row] = block.lost
            self.far_jitter[row] = block.jitter / float(self._clock[row])
            if block.last and block.last in self._times[row].tolist():
                passed = (ntp_middle(arrival) - block.last - block.delay) & 0xFFFF_FFFF
                trip = (passed - (passed >> 31 << 32)) / _DELAYS
                if _EARLY <= trip <= LONGEST:
                    self.round_trip[row] = max(trip, 0.0)

    # Within

    def _intervals(self, count: int, seconds: float) -> NDArray[np.int64]:
        beats = seconds * PER_SECOND * self._random.uniform(0.5, 1.5, count) / _COMPENSATION
        return beats.astype(np.int64)

    def _remember(self, rows: NDArray[np.intp], middle: int) -> None:
        self._times[rows, self._written[rows] % REMEMBERED] = middle
        self._written[rows] += 1

    def _write_blocks(
        self,
        words: NDArray[np.uint32],
        each: NDArray[np.intp],
        place: NDArray[np.intp],
        rows: NDArray[np.intp],
        wall: int,
        received: ReceptionReport,
    ) -> None:
        each, place, rows = each[received.heard], place[received.heard], rows[received.heard]
        ssrc = received.ssrc[received.heard]
        known = (self._heard_ssrc[rows] == ssrc) & (self._heard_time[rows] != 0)
        since = np.maximum(wall - self._heard_at[rows], 0) * _DELAYS // 1_000_000_000
        loss = received.fraction.astype(np.int64) << 24 | received.lost & 0xFF_FFFF
        for column in (
            ssrc,
            loss[received.heard],
            received.highest[received.heard],
            received.jitter[received.heard],
            np.where(known, self._heard_time[rows], 0),
            np.where(known, np.minimum(since, 0xFFFF_FFFF), 0),
        ):
            words[each, place] = column
            place = place + 1
