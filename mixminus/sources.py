"""Where settings come from: a TOML file, then the environment; every value with the place where it stands."""

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

PREFIX = "MIXMINUS_"

Key = tuple[str | int, ...]
"""Where a value stands: ("sip", "listen"), ("users", 0, "name")."""


class ConfigError(Exception):
    """A configuration that cannot be used: one line for each thing that is wrong with it."""


def spell(key: Key) -> str:
    """`sip.listen`, `users[0].name`."""
    return re.sub(r"\.\[", "[", ".".join(f"[{part}]" if isinstance(part, int) else part for part in key))


@dataclass
class Sources:
    """What was read, before it is judged."""

    file: str = ""
    """The file's name for messages; empty without a file."""
    values: dict[str, object] = field(default_factory=dict)
    _lines: dict[Key, int] = field(default_factory=dict)
    _variables: dict[Key, str] = field(default_factory=dict)
    _problems: dict[Key, str] = field(default_factory=dict)

    def refuse(self, key: Key, message: str) -> None:
        """Notes what is wrong with a key; only the first thing about each is kept."""
        self._problems.setdefault(key, message)

    def refused(self, key: Key) -> bool:
        """True when the key, or something in it, has been refused."""
        return any(known[: len(key)] == key for known in self._problems)

    def raise_problems(self) -> None:
        """Raises `ConfigError` when anything was refused, in the order of the file's lines."""
        if self._problems:
            in_order = sorted(self._problems, key=lambda key: self._lines.get(self._nearest(key), 0))
            raise ConfigError("\n".join(f"{self._place(k)}{spell(k)}: {self._problems[k]}" for k in in_order))

    def _nearest(self, key: Key) -> Key:
        while key and key not in self._lines and key not in self._variables:
            key = key[:-1]
        return key

    def _place(self, key: Key) -> str:
        nearest = self._nearest(key)
        if nearest in self._variables:
            return f"{self._variables[nearest]}: "
        if nearest in self._lines:
            return f"{self.file}:{self._lines[nearest]}: "
        return f"{self.file}: " if self.file else ""

    def read_file(self, path: Path) -> None:
        """Reads a TOML file. Raises `ConfigError` when it cannot be read or is no TOML."""
        self.file = str(path)
        try:
            content = path.read_text("utf-8-sig")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: expected text in UTF-8 (byte {error.start} is not)") from error
        try:
            self.values = tomllib.loads(content)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}:{_toml_fault(str(error), content)}") from error
        self._lines = line_numbers(content)

    def read_environment(self, environ: Mapping[str, str], arrays: Collection[str]) -> None:
        """Lays `MIXMINUS_SECTION__KEY`, and `MIXMINUS_SECTION` for arrays of tables, over what the file says.

        Other variables of the prefix are left alone, since Kubernetes makes some out of a service's name; one
        that looks like a slip is refused.
        """
        for variable in sorted(environ):
            if not variable.startswith(PREFIX):
                continue
            section, separator, name = variable.removeprefix(PREFIX).lower().partition("__")
            key: Key = (section, name) if separator else (section,)
            if separator and section in arrays:
                self._refuse_variable(
                    key, variable, f"expected {PREFIX}{section.upper()} with an array of tables"
                )
            elif separator or section in arrays:
                self._set(key, variable, environ[variable])
            elif near := get_close_matches(section, arrays, n=1, cutoff=0.8):
                self._refuse_variable(key, variable, f"unknown, did you mean {PREFIX}{near[0].upper()}?")

    def _refuse_variable(self, key: Key, variable: str, message: str) -> None:
        self._variables[key] = variable
        self.refuse(key, message)

    def _set(self, key: Key, variable: str, written: str) -> None:
        self._variables[key] = variable
        try:
            parsed = tomllib.loads(f"value = {written}\n")
        except tomllib.TOMLDecodeError:
            parsed = {}
        if parsed.keys() != {"value"}:
            self.refuse(key, "expected a TOML value: a text needs quotes inside, such as '\"text\"'")
            return
        if len(key) == 1:
            self._lines = {known: line for known, line in self._lines.items() if known[0] != key[0]}
            self.values[str(key[0])] = parsed["value"]
            return
        if key[0] not in self.values:
            self._variables.setdefault(key[:1], variable)
        table = self.values.setdefault(str(key[0]), {})
        if isinstance(table, dict):
            table[str(key[1])] = parsed["value"]


def _toml_fault(message: str, content: str) -> str:
    """Line, column and what tomllib says of a text that is no TOML."""
    end = content.rstrip("\n")
    last = f"{end.count(chr(10)) + 1}:{len(end) - end.rfind(chr(10))}"
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    why = message if found is None else found[1]
    place = f"{found[2]}:{found[3]}" if found is not None and found[2] else last
    twice = " (is it there twice?)" if why.startswith("Cannot overwrite") else ""
    return f"{place}: not TOML: {why}{twice}"


_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    + r"'''.*?'{3,5}|"
    + r'"(?:[^"\\\n]|\\.)*"|'
    + r"'[^'\n]*'|#[^\n]*|[\[\]{}\n]|[^\"'#\[\]{}\n]+",
    re.DOTALL,
)
_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?")
_KEY = re.compile(
    r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)


def line_numbers(content: str) -> dict[Key, int]:
    """The line of each table header and key of a TOML text that has been found valid, from 1."""
    lines: dict[Key, int] = {}
    table: Key = ()
    counts: dict[Key, int] = {}
    rows = content.split("\n")
    for number in _fresh_lines(content):
        row = rows[number - 1]
        if header := _HEADER.fullmatch(row):
            table = _names(header[2])
            for depth in range(1, len(table)):
                lines.setdefault(table[:depth], number)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                lines.setdefault(table, number)
                table = (*table, counts[table])
            lines.setdefault(table, number)
        elif found := _KEY.match(row):
            key = (*table, *_names(found[1]))
            lines.setdefault(key, number)
    return lines


def _names(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _fresh_lines(content: str) -> list[int]:
    """The lines that do not begin inside a text or a bracket of the line before."""
    fresh, number, depth = [1], 1, 0
    for token in _TOKEN.findall(content):
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        elif token == "\n" and depth == 0:
            fresh.append(number + 1)
        number += token.count("\n")
    return fresh
