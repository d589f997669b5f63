"""Where figures go: JSON in benchmarks/results, a table on the terminal."""

import json
import platform
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import host

DIRECTORY = Path(__file__).parent / "results"


def save(name: str, figures: dict[str, Any]) -> Path:
    """Writes `figures` with the machine and the time as benchmarks/results/NAME.json."""
    DIRECTORY.mkdir(exist_ok=True)
    document = {
        "benchmark": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "host": host.describe(),
        **figures,
    }
    file = DIRECTORY / f"{name}.json"
    file.write_text(json.dumps(document, indent=1) + "\n")
    return file


def load(name: str) -> dict[str, Any] | None:
    file = DIRECTORY / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def table(title: str, rows: Iterable[tuple[str, str, str]]) -> None:
    """Rows of what, measured, wanted; where the first number measured misses a bar, that is said."""
    rows = [("", "measured", "wanted"), *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    sys.stdout.write(f"\n{title}\n")
    for row in rows:
        cells = (row[0].ljust(widths[0]), row[1].rjust(widths[1]), row[2].rjust(widths[2]))
        said = "MISSED" if missed(row[1], row[2]) else ""
        sys.stdout.write("  " + "  ".join((*cells, said)).rstrip() + "\n")
    sys.stdout.flush()


def verdict(void: bool, reason: str) -> int:
    """What a benchmark comes to: 0; 3 for a run that is void, and then it is said why."""
    if void:
        sys.stdout.write(f"  VOID: {reason}; this run says nothing.\n")
    return 3 if void else 0


def missed(measured: str, wanted: str) -> bool:
    bar, found = re.search(r"([<>])= ([\d.]+)", wanted), re.search(r"-?\d+(\.\d+)?", measured)
    if bar is None or found is None:
        return False
    value, bound = float(found[0]), float(bar[2])
    return value > bound if bar[1] == "<" else value < bound
