"""What was received of each leg's stream, as its reports tell it: RFC 3550 A.1, A.3 and A.8, for all legs at
once.

A batch's packets lie side by side by row, in order of arrival; what is a recursion over one leg's packets in
the RFC is a weighted sum over them here. Arrival is the kernel's time stamp, and each leg has its own RTP
clock.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from rtp.drift import Drift

MAX_DROPOUT: Final = 3000  # RFC 3550 A.1; a step beyond it is another numbering
MAX_MISORDER: Final = 100
BROKEN: Final = 1.0  # seconds; two packets whose way differs by more are on two timelines
_KEPT: Final = 15.0 / 16.0
_MOST_LOST: Final = 0x7F_FFFF
_NANO: Final = 1e-9

_Rows = NDArray[np.intp]
_Column = TypeVar("_Column", bound=NDArray[Any])


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """The figures of a report block, columns of equal length: ssrc u32, fraction u8 (of 256, since the last
    report), lost i64 (since the stream began), highest u32 (extended sequence number), jitter u32 (in the
    stream's clock); heard bool: anything was received since the last report."""

    ssrc: NDArray[np.uint32]
    fraction: NDArray[np.uint8]
    lost: NDArray[np.int64]
    highest: NDArray[np.uint32]
    jitter: NDArray[np.uint32]
    heard: NDArray[np.bool_]


class Reception:
    """Columns of `rows` streams.

    `expected`, `received` and `breaks` (i64) count packets, and times that a number was left out, since the
    stream began. `clock` f8: of the stream, Hz. `jitter` f8: in seconds. `drift`: of the far end's clock.
    """

    def __init__(self, rows: int) -> None:
        self.drift = Drift(rows)
        self.received = np.zeros(rows, np.int64)
        self.breaks = np.zeros(rows, np.int64)
        self.clock = np.full(rows, 8000.0)
        self._known = np.zeros(rows, bool)
        self._ssrc = np.zeros(rows, np.uint32)
        self._base = np.zeros(rows, np.int64)
        self._highest = np.zeros(rows, np.int64)
        self.jitter = np.zeros(rows)  # seconds
        self._timed = np.zeros(rows, bool)  # there is a packet that the next one's time may be taken from
        self._timestamp = np.zeros(rows, np.uint32)
        self._arrival = np.zeros(rows, np.int64)
        self._transit = np.zeros(rows)  # seconds
        self._expected_before = np.zeros(rows, np.int64)
        self._received_before = np.zeros(rows, np.int64)

    def open(self, row: int) -> None:
        """A leg takes a row."""
        self._known[row] = False
        self.clock[row] = 8000.0
        self._begin(np.array([row]), np.zeros(1, np.uint16))
        self.jitter[row] = self._transit[row] = 0.0
        self.drift.restart(row)

    def set_clock(self, rows: int | _Rows, hertz: float | NDArray[np.float64]) -> None:
        """Another RTP clock of what these legs send: it tells another time, and what was counted stays."""
        self.clock[rows] = hertz
        self._timed[rows] = False
        self.jitter[rows] = self._transit[rows] = 0.0
        self.drift.restart(rows)

    @property
    def expected(self) -> NDArray[np.int64]:
        return np.where(self._known, self._highest - self._base + 1, 0)

    def take(
        self,
        rows: _Rows,
        ssrc: NDArray[np.uint32],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        arrival: NDArray[np.int64],
        audio: NDArray[np.bool_],
    ) -> None:
        """Note a batch of packets in order of arrival (ns of the wall clock). All are counted; those with
        `audio` tell the time, which others may not (a key's packets all have that of its beginning)."""
        if not len(rows):
            return
        if np.bincount(rows).max() > 1:
            order = np.argsort(rows.astype(np.uint16), kind="stable")
            rows, ssrc, sequence = rows[order], ssrc[order], sequence[order]
            timestamp, arrival, audio = timestamp[order], arrival[order], audio[order]
        first, counts = _runs(rows)
        current = ssrc[first + counts - 1]
        one_source = ssrc == current.repeat(counts)
        if not one_source.all():  # what the source before it sent is of no interest any more
            rows, sequence, timestamp = rows[one_source], sequence[one_source], timestamp[one_source]
            arrival, audio = arrival[one_source], audio[one_source]
            first, counts = _runs(rows)
        legs = rows[first]
        begun = ~self._known[legs] | (self._ssrc[legs] != current)
        if begun.any():
            self._begin(legs[begun], sequence[first[begun]])
            self._ssrc[legs[begun]] = current[begun]
            self.jitter[legs[begun]] = 0.0
            self._known[legs] = True
        self._number(legs, sequence, first, counts)
        if not audio.all():
            rows, timestamp, arrival = rows[audio], timestamp[audio], arrival[audio]
            if not len(rows):
                return
            first, counts = _runs(rows)
        self._time(rows[first], timestamp, arrival, first, counts)

    def report(self, rows: _Rows) -> ReceptionReport:
        """The figures of these rows for a report that is sent now."""
        expected, received = self.expected[rows], self.received[rows]
        interval = expected - self._expected_before[rows]
        heard = received != self._received_before[rows]
        missing = np.maximum(interval - (received - self._received_before[rows]), 0)
        fraction = np.minimum((missing << 8) // np.maximum(interval, 1), 255)
        self._expected_before[rows], self._received_before[rows] = expected, received
        return ReceptionReport(
            ssrc=self._ssrc[rows],
            fraction=fraction.astype(np.uint8),
            lost=np.clip(expected - received, -_MOST_LOST - 1, _MOST_LOST),
            highest=(self._highest[rows] & 0xFFFF_FFFF).astype(np.uint32),
            jitter=np.rint(self.jitter[rows] * self.clock[rows]).astype(np.uint32),
            heard=heard & self._known[rows],
        )

    # Within

    def _begin(self, rows: _Rows, sequence: NDArray[np.uint16]) -> None:
        """These rows count from here on; their next packet is number `sequence`."""
        self._timed[rows] = False
        self._base[rows] = sequence
        self._highest[rows] = sequence.astype(np.int64) - 1
        self.received[rows] = self.breaks[rows] = 0
        self._expected_before[rows] = self._received_before[rows] = 0

    def _number(self, legs: _Rows, sequence: NDArray[np.uint16], first: _Rows, counts: _Rows) -> None:
        """Count by sequence number."""
        step = self._steps(legs, sequence, counts)
        furthest = np.maximum.reduceat(step, first)
        restarted = (furthest > MAX_DROPOUT) | (furthest < -MAX_MISORDER)
        if restarted.any():
            self._begin(legs[restarted], sequence[first[restarted]])
            step = self._steps(legs, sequence, counts)
            furthest = np.maximum.reduceat(step, first)
        if (furthest > counts).any():
            lift = np.arange(len(legs), dtype=np.int64).repeat(counts) << 17
            so_far = np.maximum.accumulate(np.maximum(step, 0) + lift) - lift
            before = np.concatenate([[0], so_far[:-1]])
            before[first] = 0
            self.breaks[legs] += np.add.reduceat((step > before + 1).astype(np.int64), first)
        self._highest[legs] += np.maximum(furthest, 0)
        self.received[legs] += counts

    def _steps(self, legs: _Rows, sequence: NDArray[np.uint16], counts: _Rows) -> NDArray[np.int64]:
        top = (self._highest[legs] & 0xFFFF).astype(np.uint16)
        return (sequence - top.repeat(counts)).view(np.int16).astype(np.int64)

    def _time(
        self,
        legs: _Rows,
        timestamp: NDArray[np.uint32],
        arrival: NDArray[np.int64],
        first: _Rows,
        counts: _Rows,
    ) -> None:
        """Interarrival jitter and transit time."""
        alone = len(legs) == len(timestamp)
        before, came, clock = self._timestamp[legs], self._arrival[legs], self.clock[legs]
        linked = self._timed[legs]
        last = first + counts - 1
        if not alone:
            before, came = _shifted(timestamp, first, before), _shifted(arrival, first, came)
            clock = clock.repeat(counts)
            linked = _shifted(np.ones(len(timestamp), bool), first, linked)
        later = (arrival - came) * _NANO - (timestamp - before).view(
            np.int32
        ) / clock  # D(i-1, i), in seconds
        change = np.abs(later)
        linked = linked & (change <= BROKEN)
        if alone and linked.all():
            self.jitter[legs] += (change - self.jitter[legs]) / 16.0
            self._transit[legs] += later
            self.drift.note(legs, self._transit[legs])
        else:
            self._time_runs(legs, later, linked, first, counts)
        self._timestamp[legs], self._arrival[legs] = timestamp[last], arrival[last]
        self._timed[legs] = True

    def _time_runs(
        self,
        legs: _Rows,
        later: NDArray[np.float64],
        linked: NDArray[np.bool_],
        first: _Rows,
        counts: _Rows,
    ) -> None:
        """The same where a leg got several packets, or one that does not go on from the one before."""
        later = np.where(linked, later, 0.0)
        last = first + counts - 1
        followed = np.cumsum(linked)
        weight = _KEPT ** (followed[last].repeat(counts) - followed)
        links = np.add.reduceat(linked.astype(np.int64), first)
        added = np.add.reduceat(np.abs(later) * weight / 16.0, first)
        self.jitter[legs] = self.jitter[legs] * _KEPT**links + added
        broken = links < counts
        if broken.any():
            self._transit[legs[broken]] = 0.0
            self.drift.restart(legs[broken])
        way = np.cumsum(later)
        way -= (way[first] - later[first] - self._transit[legs]).repeat(counts)
        whole = ~broken
        self.drift.note(legs[whole], np.minimum.reduceat(way, first)[whole])
        self._transit[legs[whole]] = way[last][whole]


def _shifted(column: _Column, first: _Rows, heads: _Column) -> _Column:
    """Of each packet the value of the one before it; `heads` for the first ones of rows."""
    before: _Column = np.empty_like(column)
    before[1:] = column[:-1]
    before[first] = heads
    return before


def _runs(rows: _Rows) -> tuple[_Rows, _Rows]:
    """(where each row's packets begin, how many they are) of rows, at least one, that lie side by side."""
    begins = np.empty(len(rows), bool)
    begins[0] = True
    np.not_equal(rows[1:], rows[:-1], out=begins[1:])
    first = begins.nonzero()[0]
    counts = np.empty_like(first)
    np.subtract(first[1:], first[:-1], out=counts[:-1])
    counts[-1] = len(rows) - first[-1]
    return first, counts
