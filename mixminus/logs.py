"""Structured logs: one JSON object a line, on standard error.

A message is a short event name; its facts travel beside it as fields, so that `grep call_id` finds a
call's life and a machine reads the rest.
"""

import json
import logging
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
        return json.dumps(entry, default=str, ensure_ascii=False)


def configure(level: str = "INFO") -> None:
    """Send all logs of this process, libraries' included, to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
