"""Structured logs: one JSON object a line, on standard error.

A message is a short event name; its facts travel beside it as fields, so that `grep call_id` finds a
call's life and a machine reads the rest.
"""

import json
import logging
import os
import select
import sys
from datetime import UTC, datetime

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
    """Writes lines to a descriptor, and waits for nobody who does not read them: a terminal that is stopped,
    a full pipe, a full disk. What is lost meanwhile is counted, and told before the next line that gets
    through (`log_lines_lost`)."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._rest = b""
        """What is still to be written of a line that was begun."""
        self.lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - as logging's own handlers: whoever logs goes on
            self.handleError(record)
            return
        if self._rest and not self._write(self._rest):
            self.lost += 1
            return
        if self.lost:
            facts = {"msg": "log_lines_lost", "levelname": "WARNING", "name": __name__, "lines": self.lost}
            line = f"{self.format(logging.makeLogRecord(facts))}\n{line}"
        if self._write(f"{line}\n".encode(errors="replace")) or self._rest:
            self.lost = 0
        else:
            self.lost += 1

    def _write(self, data: bytes) -> bool:
        """Whether all of it went; of what was begun the rest is kept."""
        begun = bool(self._rest)
        try:
            # No more at a time than a pipe takes whole that takes anything (PIPE_BUF).
            while data and any(state & select.POLLOUT for _, state in self._poll.poll(0)):
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
                begun = True
        except OSError:  # a reader that is gone, a full disk: the next line is tried again
            pass
        self._rest = data if begun else b""
        return not data


def configure(level: str = "INFO") -> None:
    """Send all logs of this process, libraries' included, to standard error as JSON lines."""
    handler = LineHandler(sys.stderr.fileno())
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
