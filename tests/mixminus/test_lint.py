"""`mixminus lint`: what is wrong with a document, by line and column."""

import io
from pathlib import Path

import pytest

from mixminus.cli import main

GOOD = """<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <SpeakSentence>Welcome to {user}.</SpeakSentence>
  <Conference>{user}</Conference>
</Response>
"""
BAD = """<Response>
  <SpeakSentence voice="nobody">Hello</SpeakSentence>
  <Pause duration="-1" lenght="2"/>
  <Dial/>
</Response>
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "welcome.xml"


def linted(file: Path, text: str | bytes, *options: str) -> int:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return main(["lint", *options, str(file)])


def test_a_good_document_is_passed_in_silence(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert linted(file, GOOD) == 0
    assert capsys.readouterr() == ("", "")


def test_every_error_and_warning_has_its_place_in_the_order_of_the_document(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert linted(file, BAD) == 1
    said, other = capsys.readouterr()
    lines = said.splitlines()
    assert other == ""
    assert [line.removeprefix(str(file)).split(" ")[0] for line in lines] == [
        ":2:3:",
        ":3:3:",
        ":3:3:",
        ":4:3:",
    ]
    assert "<SpeakSentence> attribute voice: expected" in lines[0]
    assert "<Pause> attribute duration: expected" in lines[1]
    assert lines[2].endswith(": warning: <Pause> attribute lenght is unknown and ignored")
    assert "<Dial> is not a verb" in lines[3]


def test_a_warning_alone_is_no_failure(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert linted(file, "<Response>\n<Hangup colour='red'/></Response>") == 0
    expected = f"{file}:2:1: warning: <Hangup> attribute colour is unknown and ignored\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("text", [b"", b"<Response>", b"hello", b"\xff\xfe", b"<!DOCTYPE x><Response/>"])
def test_what_is_no_xml_has_one_error_with_a_place(
    file: Path, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    assert linted(file, text) == 1
    [line] = capsys.readouterr().out.splitlines()
    place = line.removeprefix(f"{file}:").split(":")
    assert int(place[0]) >= 1 and int(place[1]) >= 1 and place[2].strip()


def test_a_document_for_a_conference_has_six_verbs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = "<Response><Hangup/></Response>"
    assert linted(file, document) == 0
    assert linted(file, document, "--conference") == 1
    assert f"{file}:1:11: <Hangup> is not legal in a conference" in capsys.readouterr().out


def test_a_verb_that_is_right_and_not_performed_is_a_warning(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert linted(file, "<Response><Pause/>\n<Record/><StopRecording/></Response>") == 0
    warning = "<Record> is not supported: a call that comes to it ends with application-error"
    assert capsys.readouterr().out == f"{file}:2:1: warning: {warning}\n"
    assert linted(file, "<Response><StartRecording/><StopRecording/></Response>", "--conference") == 0
    assert (
        capsys.readouterr().out == f"{file}:1:11: warning: <StartRecording> is not supported: it is skipped\n"
    )


NEVER = "is never come to"


@pytest.mark.parametrize(
    ("verbs", "remark"),
    [
        ('<Gather input="speech"/>', "<Gather> attribute input: speech is not supported: a call that comes"),
        ('<Gather input="dtmf_speech"/>', "<Gather> attribute input: speech is not supported: digits are"),
        ("<Hangup/><Pause/><Pause/>", f"<Pause> {NEVER}: <Hangup> ends the document"),
        ('<Redirect redirectUrl="/r"/><Record/>', f"<Record> {NEVER}: <Redirect> ends the document"),
        ('<Forward to="sip:a@b"/><Pause/>', f"<Pause> {NEVER}: <Forward> ends the document"),
        ('<Gather gatherUrl="/g"/><Hangup/>', f"<Hangup> {NEVER}: <Gather> ends the document"),
        ('<Bridge bridgeCompleteUrl="/b">c</Bridge><Tag/>', f"<Tag> {NEVER}: <Bridge> ends the document"),
        (
            '<Transfer transferCompleteUrl="/t"><SipUri>sip:a@b</SipUri></Transfer><Tag/>',
            f"<Tag> {NEVER}: <Transfer> ends the document",
        ),
        (
            '<Refer referCompleteUrl="/t"><SipUri>sip:a@b</SipUri></Refer><Tag/>',
            f"<Tag> {NEVER}: <Refer> ends the document",
        ),
        (
            '<Tag>a</Tag><Pause/><Forward to="sip:a@b"/>',
            "<Forward> comes after <Pause>, which answers the call: a call that comes to it ends with",
        ),
        ('<Ring/><Forward to="sip:a@b"/>', "<Forward> comes after <Ring>, which answers the call: a call"),
    ],
)
def test_what_cannot_be_meant_is_a_warning(
    file: Path, capsys: pytest.CaptureFixture[str], verbs: str, remark: str
) -> None:
    assert linted(file, f"<Response>{verbs}</Response>") == 0
    lines = [line.partition("warning: ")[2] for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.startswith(remark)] == lines[-1:]


@pytest.mark.parametrize(
    "verbs",
    [
        '<Ring answerCall="false"/><Forward to="sip:a@b"/>',
        "<Gather/><Bridge>c</Bridge><Transfer><SipUri>sip:a@b</SipUri></Transfer><Hangup/>",
    ],
)
def test_what_can_be_meant_is_none(file: Path, capsys: pytest.CaptureFixture[str], verbs: str) -> None:
    assert linted(file, f"<Response>{verbs}</Response>") == 0
    assert capsys.readouterr().out == ""


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(tmp_path / "none.xml")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'none.xml'}: No such file or directory\n"


def test_a_document_may_come_by_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"<Response>\n<Dial/></Response>")))
    assert main(["lint", "-"]) == 1
    assert capsys.readouterr().out.startswith("standard input:2:1: <Dial> is not a verb")


def test_what_is_no_file_is_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "/dev/zero"]) == 1
    assert capsys.readouterr().err == "/dev/zero: expected a file\n"
