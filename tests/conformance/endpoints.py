"""The statuses of each operation, with what shows them."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.conformance import subject

CASE = "tests/api/test_statuses.py::test_an_operation_gives_each_status_that_it_promises[{}-{}]"
ANYWHERE = "anywhere"


@dataclass(frozen=True)
class Row:
    """One status of one operation. Either `tests` show it, or `reason` says why it does not come yet.

    `method` and `path` are empty for what holds anywhere, and for what the OpenAPI document does not have.
    """

    operation: str
    method: str
    path: str
    status: int
    tests: tuple[str, ...]
    reason: str


@cache
def rows() -> tuple[Row, ...]:
    """All of the table."""
    data = tomllib.loads(Path(__file__).with_name("endpoints.toml").read_text())
    places = {operation: (method, path) for operation, method, path, _ in subject.operations()}
    found = [
        Row(ANYWHERE, "", "", int(status), tuple(tests), "") for status, tests in data.pop(ANYWHERE).items()
    ]
    for operation, stated in data.items():
        method, path = places.get(operation, ("", ""))
        also, reasons = stated.get("also", {}), stated.get("reasons", {})
        shown = {*map(str, stated["here"]), *also, *reasons}
        for status in sorted(shown):
            here = (CASE.format(operation, status),) if int(status) in stated["here"] else ()
            tests = (*here, *also.get(status, ()))
            found.append(Row(operation, method, path, int(status), tests, reasons.get(status, "")))
    return tuple(found)
