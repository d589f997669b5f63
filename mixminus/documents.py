"""BXML documents on disk: what is wrong with them, for `check` and `lint`."""

import stat
import sys
from pathlib import Path

import bxml
from bxml.safe import MAX_BYTES
from mixminus.config import ConfigError
from mixminus.settings import Config


def check_documents(config: Config) -> None:
    """Parse every document that an application has on disk. Raises ConfigError naming key, file and place."""
    problems = []
    for number, application in enumerate(config.applications, start=1):
        if application.bxml is None:
            continue
        where = f"applications[{number}].bxml: {application.bxml}"
        try:
            bxml.parse(_read(application.bxml).decode().replace("{user}", "user"))
        except bxml.BxmlError as error:
            problems.append(f"{where}:{error.line}:{error.column}: {error.message}")
        except UnicodeDecodeError as error:
            problems.append(f"{where}: expected text in UTF-8 (byte {error.start} is not)")
        except OSError as error:
            problems.append(f"{where}: {error.strerror}")
    if problems:
        raise ConfigError("\n".join(problems))


def lint(path: Path, *, conference: bool) -> int:
    """Print what is wrong with a document, and what of it is ignored, in its order, one a line. 0; 1 for a
    document with errors or one that cannot be read."""
    try:
        # `{user}` stands for the called user in a document on disk; the columns stay where they are.
        text = _read(path).replace(b"{user}", b"a_user")
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return 1
    errors, warnings = bxml.lint(text, conference=conference)
    found = [(error, "") for error in errors] + [(warning, "warning: ") for warning in warnings]
    for remark, kind in sorted(found, key=lambda each: (each[0].line, each[0].column)):
        print(f"{path}:{max(remark.line, 1)}:{max(remark.column, 1)}: {kind}{remark.message}")
    return 1 if errors else 0


def _read(path: Path) -> bytes:
    """The bytes of a file, as far as a document may go and one more, so that what is longer is seen. Raises
    OSError, also for what is no file and might never end."""
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or path == Path("/dev/stdin")):
        raise OSError(0, "expected a file")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)
