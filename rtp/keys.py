"""Keys on their way out: telephone events in columns by row, and what is to follow each. Source: RFC 4733.

Time is the beat's clock in samples. A beat costs a few array operations for all tones at once; only where one
begins or ends is there work for that leg alone.
"""

import heapq
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.dtmf import KEYS, MAX_DURATION

FRAME: Final = 160
PER_MILLISECOND: Final = 8
SAID: Final = 3  # how often an event's end is, a beat apart (RFC 4733 section 2.5.1.4)
PAUSES: Final = {",": 500, "w": 500, "W": 1000}
"""What is no key: ms of silence. Source: contract, SendDtmf."""

_PART = re.compile(r"([0-9*#A-Da-d]?)([,wW]*)")


def plan(keys: str, interval: float) -> list[tuple[str, float]]:
    """What is to be pressed, and for how many ms there is silence after each; "" is silence alone.

    `interval` ms follow each key, the last one too, so that what is pressed next stays apart; pauses take its
    place. Raises ValueError for what is neither a key nor a pause, without saying what it was.
    """
    if not re.fullmatch(r"[0-9*#A-Da-d,wW]*", keys):
        raise ValueError("expected keys out of 0-9, *, # and A-D, and the pauses comma, w and W")
    parts = _PART.findall(keys)
    return [
        (key.upper(), sum(PAUSES[pause] for pause in pauses) if pauses else interval)
        for key, pauses in parts
        if key or pauses
    ]


@dataclass(frozen=True)
class Tones:
    """What is to be said of the tones of one beat: columns of equal length.

    rows intp; code u8 (RFC 4733 table 3); began i64 (the clock at its first sample), duration i64 (samples);
    first bool: nothing was said of it yet; over bool: it has ended; last bool: its end is said for the last
    time.
    """

    rows: NDArray[np.intp]
    code: NDArray[np.uint8]
    began: NDArray[np.int64]
    duration: NDArray[np.int64]
    first: NDArray[np.bool_]
    over: NDArray[np.bool_]
    last: NDArray[np.bool_]


@dataclass(eq=False)
class _Sending:
    """What is left to press on one row."""

    id: int
    row: int
    steps: deque[tuple[int, int]] = field(repr=False)  # number of the key, samples of silence after it
    began: int = 0
    silence: int = 0


class KeySender:
    """The keys of all rows. `sending`: anything at all is to be done; `on`: an event is being said, by row;
    `finished`: the ids of what was sent to its end, last silence included, since they were last taken."""

    def __init__(self, rows: int) -> None:
        self.on = np.zeros(rows, bool)
        self.finished: list[int] = []
        self._code = np.zeros(rows, np.uint8)
        self._began = np.zeros(rows, np.int64)
        self._elapsed = np.zeros(rows, np.int64)
        self._length = np.zeros(rows, np.int64)
        self._ends = np.zeros(rows, np.int32)  # how often the end has been said
        self._rows = np.zeros(0, np.intp)  # those with a tone
        self._sendings: dict[int, _Sending] = {}
        self._pressing: dict[int, _Sending] = {}  # whose tone is on
        self._agenda: list[tuple[int, int, _Sending]] = []
        self._due: list[_Sending] = []
        self._tone = np.zeros(rows, np.int64)

    def __repr__(self) -> str:
        return "KeySender()"  # it may be about to send a PIN

    @property
    def sending(self) -> bool:
        return bool(self._sendings) or self._rows.size > 0

    def send(self, id: int, row: int, keys: str, *, tone: float, interval: float, clock: int) -> None:
        """Press `keys` on a row from `clock` on; `tone` and `interval` in ms. Raises ValueError for what is
        no key, for a tone that no event can be as long as, and where keys are being sent already."""
        length = round(tone * PER_MILLISECOND)
        if not 0 < length <= MAX_DURATION:
            raise ValueError(f"expected a tone of up to {MAX_DURATION // PER_MILLISECOND} ms, got {tone:g}")
        if row in self._sendings:
            raise ValueError("keys are being sent already")
        steps = plan(keys, interval)
        start = clock
        if steps and not steps[0][0]:
            start += round(steps.pop(0)[1] * PER_MILLISECOND)
        numbered = deque((KEYS.index(key), round(after * PER_MILLISECOND)) for key, after in steps)
        self._tone[row] = length
        sending = self._sendings[row] = _Sending(id, row, numbered)
        self._plan(start, sending)

    def stop(self, id: int) -> None:
        """Press no more; a tone that is on ends in the next beat. It is not reported."""
        for row, sending in list(self._sendings.items()):
            if sending.id == id:
                del self._sendings[row]
                self._length[row] = np.minimum(self._length[row], self._elapsed[row])

    def drop(self, row: int) -> None:
        """The row's leg is gone."""
        self._sendings.pop(row, None)
        if self._pressing.pop(row, None) is not None:
            self.on[row] = False
            self._rows = np.flatnonzero(self.on)

    def skip(self, samples: int) -> None:
        """Time went on without a beat."""
        self._elapsed[self._rows] += samples

    def begin(self, clock: int, ready: Callable[[int], bool]) -> None:
        """Press what is due in the frame that starts at `clock`, on rows that are `ready` for it."""
        while self._agenda and self._agenda[0][0] <= clock:
            self._due.append(heapq.heappop(self._agenda)[2])
        if not self._due:
            return
        due, self._due = self._due, []
        for sending in due:
            row = sending.row
            if self._sendings.get(row) is not sending:
                continue  # stopped
            if not sending.steps:
                del self._sendings[row]
                self.finished.append(sending.id)
            elif self.on[row] or not ready(row):
                self._due.append(sending)
            else:
                self._code[row], sending.silence = sending.steps.popleft()
                sending.began = self._began[row] = clock
                self._elapsed[row], self._length[row], self._ends[row] = 0, self._tone[row], 0
                self.on[row] = True
                self._pressing[row] = sending
        self._rows = np.flatnonzero(self.on)

    def advance(self) -> Tones:
        """The tones of this beat, one frame longer; those whose end was said often enough are on no more."""
        rows = self._rows
        self._elapsed[rows] += FRAME
        elapsed, length = self._elapsed[rows], self._length[rows]
        over = elapsed >= length
        self._ends[rows] += over
        last = self._ends[rows] == SAID
        tones = Tones(
            rows=rows,
            code=self._code[rows],
            began=self._began[rows],
            duration=np.minimum(elapsed, length),
            first=elapsed == FRAME,
            over=over,
            last=last,
        )
        if last.any():
            self._end(rows[last].tolist())
        return tones

    def _end(self, rows: list[int]) -> None:
        self.on[rows] = False
        self._rows = np.flatnonzero(self.on)
        for row in rows:
            sending = self._pressing.pop(row)
            if self._sendings.get(row) is sending:
                self._plan(sending.began + int(self._length[row]) + sending.silence, sending)

    def _plan(self, clock: int, sending: _Sending) -> None:
        heapq.heappush(self._agenda, (clock, sending.id, sending))
