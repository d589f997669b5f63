"""BXML documents on disk: what is wrong with them, for `check` and `lint`."""

import stat
import sys
from pathlib import Path

import bxml
from bxml.safe import MAX_BYTES

# As far as a document may go and one byte more, so that what is longer is seen.
_ENOUGH = MAX_BYTES + 1


def fault(path: Path) -> str | None:
    """What is wrong first with a document on disk, and where; None for a good one."""
    try:
        bxml.parse(_read(path).decode().replace("{user}", "user"))
    except bxml.BxmlError as error:
        return f"{path}:{error.line}:{error.column}: {error.message}"
    except UnicodeDecodeError as error:
        return f"{path}: expected text in UTF-8 (byte {error.start} is not)"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def lint(file: str, *, conference: bool) -> int:
    """Print what is wrong with a document, and what of it is ignored, in its order, one a line. 0; 1 for a
    document with errors or one that cannot be read. `file`: its path, or `-` for standard input."""
    path = "standard input" if file == "-" else file
    try:
        text = sys.stdin.buffer.read(_ENOUGH) if file == "-" else _read(Path(file))
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return 1
    # `{user}` stands for the called user in a document on disk; the columns stay where they are.
    text = text.replace(b"{user}", b"a_user")
    errors, warnings = bxml.lint(text, conference=conference)
    found = [(error, "") for error in errors] + [(warning, "warning: ") for warning in warnings]
    for remark, kind in sorted(found, key=lambda each: (each[0].line, each[0].column)):
        print(f"{path}:{max(remark.line, 1)}:{max(remark.column, 1)}: {kind}{remark.message}")
    return 1 if errors else 0


def _read(path: Path) -> bytes:
    """The bytes of a file, `_ENOUGH` at most. Raises OSError, also for what is no file and may never end."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or path == Path("/dev/stdin")):
        raise OSError(0, "expected a file")
    with path.open("rb") as file:
        return file.read(_ENOUGH)
