"""Whole documents from files, each with what is to be said of it in comments behind the root."""

import re
from pathlib import Path

import pytest

import bxml

FOLDER = Path(__file__).with_name("documents")
SAID = re.compile(r"<!-- ((?:conference|verbs|line).*?) -->", re.DOTALL)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("right/*.xml")), ids=lambda path: path.stem)
def test_right_documents_have_these_verbs(path: Path) -> None:
    *marks, names = SAID.findall(path.read_text())
    document = bxml.parse(path.read_bytes(), conference="conference" in marks)
    assert [type(verb).__name__ for verb in document.verbs] == names.removeprefix("verbs: ").split()
    assert document.warnings == ()
    assert document.resolve("https://app.example/calls/").resolve(None).verbs


@pytest.mark.parametrize("path", sorted(FOLDER.glob("wrong/*.xml")), ids=lambda path: path.stem)
def test_wrong_documents_get_these_sentences(path: Path) -> None:
    said = SAID.findall(path.read_text())
    conference = said[0] == "conference"
    errors = [str(error) for error in bxml.lint(path.read_bytes(), conference=conference)[0]]
    assert errors == said[conference:]
    with pytest.raises(bxml.BxmlError) as raised:
        bxml.parse(path.read_text(), conference=conference)
    assert str(raised.value) == errors[0]
