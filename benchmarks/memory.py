"""The memory of a server over a run, and whether it is flat once its history of ended calls is full."""

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import host

MEGABYTE = 1 << 20
LOOK = 0.5
"""Seconds between two looks at resident memory."""
SETTLED = 60.0
"""Seconds after which all that lives as long as a call, or as its transactions (32 s), is there."""


@dataclass(frozen=True)
class Window:
    """A stretch of the run: its end in seconds, the most MB of each process within it, and at its end the
    ended calls and conferences that the server still tells of."""

    seconds: float
    megabytes: Mapping[str, float]
    calls: int
    conferences: int


@dataclass(frozen=True)
class Flatness:
    """What a run says of the server's memory.

    `full_after`: seconds until no more ended calls and conferences were kept than before, None where that
    was not reached; `kilobytes_per_call`: growth of control from `SETTLED` on, until then or to the end, by
    ended call; `growth`: MB of each process from `since` to the end, where the history was full all along:
    none where the run was too short.
    """

    full_after: float | None
    kilobytes_per_call: float | None
    since: float | None
    growth: Mapping[str, float]


def flatness(windows: Sequence[Window], seconds: float) -> Flatness:
    """Of a run of so many seconds. The second half counts, or what of it the full history leaves; what comes
    when no new calls come any more says nothing."""
    windows = [each for each in windows if each.seconds < seconds + LOOK]
    kept = [(each.calls, each.conferences) for each in windows]
    full = next((n for n in range(1, len(windows)) if len(set(kept[n - 1 :])) == 1), None)
    filling = [each for each in windows if each.seconds >= SETTLED]
    filling = [each for each in filling if full is None or each.seconds < windows[full].seconds]
    slope = None
    if len(filling) > 1 and filling[-1].calls > filling[0].calls:
        grown = filling[-1].megabytes["control"] - filling[0].megabytes["control"]
        slope = grown * 1024 / (filling[-1].calls - filling[0].calls)
    if full is None:
        return Flatness(None, slope, None, {})
    late = [each for each in windows[full:] if each.seconds > seconds / 2]
    growth = {}
    if len(late) > 1:
        growth = {name: late[-1].megabytes[name] - most for name, most in late[0].megabytes.items()}
    return Flatness(windows[full].seconds, slope, late[0].seconds if growth else None, growth)


class Memory(threading.Thread):
    """Watches the processes from `start` to `end`; each window is written to the terminal when it is over.

    `kept` tells how many ended calls and conferences the server keeps.
    """

    def __init__(
        self, processes: Mapping[str, int], kept: Callable[[], tuple[int, int]], *, window: float
    ) -> None:
        super().__init__(daemon=True)
        self._processes = processes
        self._kept = kept
        self._window = window
        self._over = threading.Event()
        self.windows: list[Window] = []

    def run(self) -> None:
        began = time.monotonic()
        most = dict.fromkeys(self._processes, 0)
        over = False
        while not over:
            over = self._over.wait(LOOK)
            for name, pid in self._processes.items():
                most[name] = max(most[name], host.resident(pid))
            now = time.monotonic() - began
            if over or now >= self._window * (len(self.windows) + 1):
                self._close(now, most)
                most = dict.fromkeys(self._processes, 0)

    def end(self) -> None:
        self._over.set()
        self.join()

    def _close(self, now: float, most: Mapping[str, int]) -> None:
        megabytes = {name: round(size / MEGABYTE, 1) for name, size in most.items()}
        self.windows.append(Window(round(now, 1), megabytes, *self._kept()))
        told = ", ".join(f"{name} {size:g} MB" for name, size in megabytes.items())
        latest = self.windows[-1]
        kept = f"kept {latest.calls} ended calls, {latest.conferences} conferences"
        sys.stdout.write(f"  {latest.seconds:5.0f} s: {told}; {kept}\n")
        sys.stdout.flush()
