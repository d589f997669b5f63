"""Structured logs: one JSON object a line, on standard error.

A message is a short event name; its facts travel beside it as fields, so that `grep call_id` finds a
call's life and a machine reads the rest.
"""

import json
import logging
import os
import select
import sys
import threading
from collections import deque
from datetime import UTC, datetime

_LAST_LINES = 1.0  # seconds that an end waits for whoever reads

# What every LogRecord has of its own; anything else in it came in through `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """Formats a record as `{"time", "level", "logger", "event", ...fields}`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields = {
            name: value for name, value in vars(record).items() if name not in _OWN and value is not None
        }
        entry |= fields
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        line = json.dumps(entry, default=str, ensure_ascii=False)
        if line.isprintable():
            return line
        # What a terminal would obey and not show: JSON escapes the controls of ASCII alone.
        return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in line)


class LineHandler(logging.Handler):
    """Writes lines to a descriptor by a thread, so that nobody waits for who does not take them: a terminal
    that is stopped, a full pipe, a disk that stands still. What is lost meanwhile is counted, and told before
    the next line that gets through (`log_lines_lost`)."""

    def __init__(self, descriptor: int, *, most: int = 1 << 20) -> None:
        """`most`: bytes that wait at a time."""
        super().__init__()
        self._descriptor = descriptor
        self._most = most
        self._room = select.poll()
        self._room.register(descriptor, select.POLLOUT)
        self._lines: deque[tuple[bytes, int]] = deque()
        """What waits, the one that is being written too, each with the number of lines that go with it."""
        self._held = 0
        self.lost = 0
        # Reentrant: what Python collects while we hold it may have something to log.
        self._changed = threading.Condition(threading.RLock())
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Bytes that are still to be written."""
        return self._held

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode(errors="replace")
        except Exception:  # noqa: BLE001 - as logging's own handlers: whoever logs goes on
            self.handleError(record)
            return
        with self._changed:
            # One alone may be longer.
            if self._lines and self._held + len(line) > self._most:
                self.lost += 1
                return
            self._tell_lost()
            self._put(line, 1)

    def flush(self) -> None:
        """Wait until all is written, or nobody takes it."""
        with self._changed:
            self._tell_lost()
            self._changed.wait_for(lambda: not self._lines, _LAST_LINES)

    def _tell_lost(self) -> None:
        if self.lost:
            facts = {"msg": "log_lines_lost", "levelname": "WARNING", "name": __name__, "lines": self.lost}
            lines, self.lost = self.lost, 0
            self._put(f"{self.format(logging.makeLogRecord(facts))}\n".encode(), lines)

    def _put(self, line: bytes, lines: int) -> None:
        self._lines.append((line, lines))
        self._held += len(line)
        self._changed.notify_all()

    def _write_all(self) -> None:
        rest = b""  # of a line that was begun
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                line, lines = self._lines[0]
            lost = bool(rest := self._write(rest))
            if not lost and (rest := self._write(line)) == line:
                lost, rest = True, b""
            with self._changed:
                self._lines.popleft()
                self._held -= len(line)
                self.lost += lines if lost else 0
                self._changed.notify_all()

    def _write(self, data: bytes) -> bytes:
        """What could not be written."""
        try:
            while data:
                try:
                    data = data[os.write(self._descriptor, data) :]
                except BlockingIOError:  # a pipe or terminal that another program has left so
                    self._room.poll()
        except OSError:  # a reader that is gone, a full disk: the next line is tried again
            pass
        return data


def settle() -> None:
    """Wait until what has been logged is written, for whoever writes to standard error himself."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def configure(level: str = "INFO") -> None:
    """Send all logs of this process, libraries' included, to standard error as JSON lines."""
    handler = LineHandler(sys.stderr.fileno())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
