"""The tables as one page of Markdown, and what is wrong with them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance import attributes, endpoints, events, subject

PAGE = Path("docs") / "conformance.md"
COMMAND = "python -m tests.conformance --write"

_HEAD = f"""# Conformance

What this server does of Bandwidth's Programmable Voice: each attribute of each verb, each field of each
event, each operation of REST with its statuses, and the tests that show it. *Performed* means that a test
shows it done; *checked only* that a wrong value is refused, and no more comes of a right one; *not yet* that
it does not come.

This page is made from the tables in `tests/conformance/`, by `{COMMAND}`. `make check` fails when it is not
what they say, when they name a test that does not exist, or when the server has something of which they do
not speak.
"""


@dataclass(frozen=True)
class Line:
    """One row of the page."""

    chapter: str
    section: str
    name: str
    state: str
    tests: tuple[str, ...]
    reason: str


def lines() -> Iterator[Line]:
    """All rows, in the order of the page."""
    for row in attributes.rows():
        state = "checked only" if row.reason else "performed"
        yield Line("Verbs", row.element, row.attribute, state, row.tests, row.reason)
    for event, fields in events.fields().items():
        for field in fields.values():
            name = field.name if field.always else f"{field.name} (sometimes)"
            state = "not yet" if field.reason else "performed"
            yield Line("Events", event, name, state, field.tests, field.reason)
    for given in endpoints.rows():
        section = f"{given.operation}: {given.method} {given.path}" if given.path else given.operation
        state = "not yet" if given.reason else "performed"
        yield Line("REST", section, str(given.status), state, given.tests, given.reason)


def page() -> str:
    """docs/conformance.md."""
    shown = list(lines())
    written, chapter, section = [_HEAD, _summary(shown)], "", ""
    for line in shown:
        if line.chapter != chapter:
            chapter = line.chapter
            written.append(f"\n## {chapter}")
        if line.section != section:
            section = line.section
            written.append(f"\n### {section}\n\n| | state | shown by |\n|---|---|---|")
        told = "<br>".join([*([line.reason] if line.reason else []), *(f"`{test}`" for test in line.tests)])
        written.append(f"| {line.name} | {line.state} | {told} |")
    return "\n".join(written) + "\n"


def _summary(shown: Iterable[Line]) -> str:
    counts: dict[str, dict[str, int]] = {}
    for line in shown:
        states = counts.setdefault(line.chapter, {"performed": 0, "checked only": 0, "not yet": 0})
        states[line.state] += 1
    rows = [
        f"| {chapter} | {' | '.join(str(count) for count in states.values())} |"
        for chapter, states in counts.items()
    ]
    return "\n".join(["| | performed | checked only | not yet |", "|---|---|---|---|", *rows])


def faults() -> list[str]:
    """Where the tables say what is not so, or leave something out; and a page that is not theirs."""
    return [
        *_of_tests(),
        *_missing("attribute", _wanted_attributes(), [(r.element, r.attribute) for r in attributes.rows()]),
        *_missing("status", _wanted_statuses(), _stated_statuses()),
        *_of_verbs(),
        *_of_events(),
        *_of_real_phones(),
        *_of_the_page(),
    ]


def _of_tests() -> Iterator[str]:
    known = subject.tests()
    for line in lines():
        where = f"{line.section} {line.name}"
        if line.state == "performed" and not line.tests:
            yield f"{where}: performed, but no test shows it"
        if line.state == "not yet" and line.tests:
            yield f"{where}: not yet, but tests are said to show it"
        for test in line.tests:
            if re.sub(r"\[.*\]$", "", test) not in known:
                yield f"{where}: there is no test {test}"


def _missing(what: str, wanted: Iterable[object], stated: list[object]) -> Iterator[str]:
    expected = set(wanted)
    yield from (f"{what} {each} is in no table" for each in sorted(expected - set(stated), key=str))
    yield from (f"{what} {each} does not exist" for each in sorted(set(stated) - expected, key=str))
    yield from (
        f"{what} {each} is there twice"
        for each in sorted({e for e in stated if stated.count(e) > 1}, key=str)
    )


def _wanted_attributes() -> Iterator[tuple[str, str]]:
    for element, names in subject.elements().items():
        yield from ((element, name) for name in names)


def _wanted_statuses() -> Iterator[tuple[str, int]]:
    return ((operation, status) for operation, _, _, status in subject.operations())


def _stated_statuses() -> list[object]:
    return [(row.operation, row.status) for row in endpoints.rows() if row.operation != endpoints.ANYWHERE]


def _of_verbs() -> Iterator[str]:
    performed = subject.performed()
    for row in attributes.rows():
        if row.attribute == subject.ITSELF and row.element not in subject.INNER:
            if (row.element in performed) == bool(row.reason):
                stated = "only checked" if row.reason else "performed"
                yield f"<{row.element}> is said to be {stated}, which it is not"
        elif not row.reason and row.element not in performed and row.element not in subject.INNER:
            yield f"<{row.element}> {row.attribute} is said to be performed, but <{row.element}> is not"


def _of_events() -> Iterator[str]:
    built = subject.events()
    stated = events.fields()
    yield from (f"event {event} is in no table" for event in sorted(built - stated.keys()))
    for event, fields in stated.items():
        comes = any(not field.reason for field in fields.values())
        if comes != (event in built):
            yield f"event {event} is said to {'come' if comes else 'be missing'}, which is not so"


def _of_real_phones() -> Iterator[str]:
    """Each verb that is performed, and each event that comes, wants a test over real SIP and RTP."""
    for row in attributes.rows():
        if row.attribute == subject.ITSELF and not row.reason and not _over_sip(row.tests):
            yield f"<{row.element}> is shown by no end-to-end test"
    for event, fields in events.fields().items():
        kind = fields["eventType"]
        if not kind.reason and not _over_sip(kind.tests):
            yield f"event {event} is shown by no end-to-end test"


def _over_sip(tests: Iterable[str]) -> bool:
    return any(test.startswith("tests/e2e/") for test in tests)


def _of_the_page() -> Iterator[str]:
    file = subject.ROOT / PAGE
    if not file.exists() or file.read_text() != page():
        yield f"{PAGE} is not what the tables say: {COMMAND}"
