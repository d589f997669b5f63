"""The tables of conformance tell the truth, and their judge sees it when they do not."""

import subprocess
import sys

import pytest

from tests.conformance import attributes, endpoints, events, page, subject
from tests.conformance.attributes import Row


def test_the_tables_leave_nothing_out_and_their_page_is_theirs():
    assert page.faults() == []


def test_pytest_collects_every_test_that_the_tables_name(request):
    named = {test for line in page.lines() for test in line.tests}
    collected = {item.nodeid for item in request.session.items}  # most of them, in a run of everything
    named -= collected | {test.partition("[")[0] for test in collected}
    files = sorted({test.partition("::")[0] for test in named})
    if not files:
        return
    options = ["--collect-only", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=subject.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    collected = {line for line in run.stdout.splitlines() if "::" in line}
    collected |= {test.partition("[")[0] for test in collected}
    assert named - collected == set()


AMONG_FAKES = ("tests/bxml/test_runner.py::test_verbs_run_in_order_and_the_end_hangs_up",)
ROW = Row("Pause", "duration", ("tests/e2e/test_inbound.py::test_nothing_of_the_kind",), "")


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (ROW, "Pause duration: there is no test tests/e2e/test_inbound.py::test_nothing_of_the_kind"),
        (Row("Pause", "duration", (), ""), "Pause duration: performed, but no test shows it"),
        (Row("Pause", "colour", (), "why"), "attribute ('Pause', 'colour') does not exist"),
        (Row("Pause", "(itself)", (), "why"), "<Pause> is said to be only checked, which it is not"),
        (Row("Pause", "(itself)", AMONG_FAKES, ""), "<Pause> is shown by no end-to-end test"),
        (Row("Record", "(itself)", (), ""), "<Record> is said to be performed, which it is not"),
        (Row("Record", "tag", (), ""), "<Record> tag is said to be performed, but <Record> is not"),
    ],
)
def test_a_wrong_row_of_a_verb_is_found(row, fault, monkeypatch):
    others = [
        each for each in attributes.rows() if (each.element, each.attribute) != (row.element, row.attribute)
    ]
    monkeypatch.setattr(attributes, "rows", lambda: [*others, row])
    assert fault in page.faults()


def test_a_row_that_is_left_out_is_found(monkeypatch):
    some_attributes, some_statuses = attributes.rows()[1:], endpoints.rows()[:-1]
    monkeypatch.setattr(attributes, "rows", lambda: some_attributes)
    monkeypatch.setattr(endpoints, "rows", lambda: some_statuses)
    stated = {name: fields for name, fields in events.fields().items() if name != "gather"}
    monkeypatch.setattr(events, "fields", lambda: stated)
    found = page.faults()
    assert "attribute ('Bridge', '(itself)') is in no table" in found
    assert "status ('createToken', 415) is in no table" in found
    assert "event gather is in no table" in found
    assert "docs/conformance.md is not what the tables say: python -m tests.conformance --write" in found


GATHER = {
    "eventType": "gather",
    "eventTime": "2026-02-03T09:01:02.318Z",
    "accountId": "9900000",
    "applicationId": "04e88489-df02-4e34-a0ee-27a91849555f",
    "from": "+19195554321",
    "to": "+19195551234",
    "direction": "inbound",
    "callId": "c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85",
    "callUrl": "https://voice.example.net/api/v2/accounts/9900000/calls/c-15ac29a2-1331029c-2cb0-4a07-b215-b22865662d85",
    "startTime": "2026-02-03T09:00:00.120Z",
    "answerTime": "2026-02-03T09:00:06.441Z",
    "digits": "42",
    "terminatingDigit": "",
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"tag": "pin"}, None),
        ({"digits": None}, "gather lacks digits"),
        ({"colour": "red"}, "gather has colour, which the contract does not know"),
        ({"text": "yes"}, "gather has text, of which the table says: no speech is recognised"),
        ({"eventTime": "2026-02-03 09:01"}, "gather eventTime is '2026-02-03 09:01'"),
        ({"digits": 42}, "gather digits is 42"),
        ({"callId": "c-1"}, "gather callId is 'c-1'"),
        ({"eventType": "gathered"}, "gathered is no event of the contract"),
        ({"to": "19195551234"}, "gather to is '19195551234'"),
        ({"from": "<sip:alice@example.com>"}, "gather from is '<sip:alice@example.com>'"),
        ({"accountId": "9900001"}, f"gather callUrl {GATHER['callUrl']} is another call's"),
        (
            {"answerTime": "2026-02-03T08:59:59.999Z"},
            "gather startTime 2026-02-03T09:00:00.120Z is later than answerTime 2026-02-03T08:59:59.999Z",
        ),
        ({"tag": ""}, "gather tag is ''"),
    ],
)
def test_an_event_is_judged_by_its_fields(change, fault):
    event = {name: value for name, value in {**GATHER, **change}.items() if value is not None}
    assert events.faults(event)[:1] == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"digits": "7", "tag": "other"}, None),
        ({"callId": "c-1", "from": "+19195550000"}, None),
        ({"direction": "outbound"}, "gather direction is 'outbound', in gather it was 'inbound'"),
        ({"conferenceId": "conf-1", "direction": "outbound"}, None),
    ],
)
def test_events_of_a_call_agree_in_what_cannot_change(change, fault):
    assert events.disagreements([GATHER, GATHER | change]) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("privacy", "good"), [(True, True), ("false", True), (1, False), (0, False), ("yes", False)]
)
def test_a_flag_is_a_boolean_and_no_number(privacy, good):
    event = {name: value for name, value in GATHER.items() if name not in ("answerTime", "digits")}
    event |= {"eventType": "initiate", "privacy": privacy}
    del event["terminatingDigit"]
    assert events.faults(event) == ([] if good else [f"initiate privacy is {privacy!r}"])
