"""The attributes of each element of BXML, with what shows them."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKED = "tests/bxml/test_verbs.py::test_an_absent_attribute_has_its_default_or_is_asked_for[{}-{}]"


@dataclass(frozen=True)
class Row:
    """One attribute. `tests` show it performed, or only checked where there is a `reason`."""

    element: str
    attribute: str
    tests: tuple[str, ...]
    reason: str


@cache
def rows() -> tuple[Row, ...]:
    """All of the table."""
    data = tomllib.loads(Path(__file__).with_name("verbs.toml").read_text())
    return tuple(
        _row(element, attribute, tuple(entry.get("tests", ())), entry.get("reason", ""))
        for element, entries in data.items()
        for entry in entries
        for attribute in entry["attributes"]
    )


def _row(element: str, attribute: str, tests: tuple[str, ...], reason: str) -> Row:
    if reason and not tests and not attribute.startswith("("):
        tests = (CHECKED.format(element, attribute),)
    return Row(element, attribute, tests, reason)
