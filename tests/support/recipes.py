"""The blocks of docs/recipes.md, as their first lines label them:

# on the server: my.toml              a file
# on the phone                        commands
# on the phone, typed there           what is typed into the program that was started last
<!-- on the server: room.xml -->      a file, in another language
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import ROOT

PAGE = ROOT / "docs" / "recipes.md"

_SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LABEL = re.compile(r"(?:#|<!--) on (?:the|a) ([^,:]+?)(?:, ([^:]+?))?(?:: (.+?))?(?: -->)?")


@dataclass(frozen=True)
class Block:
    """One of a recipe. `machine`: without its article; `how`: the rest of the label; `file`: empty for
    commands."""

    machine: str
    how: str
    file: str
    text: str


class Recipe:
    """The blocks of one section. Each is taken once; a test that has left some has not run the recipe."""

    def __init__(self, title: str, page: Path = PAGE) -> None:
        sections = dict(_SECTION.findall(page.read_text()))
        self.left = [_labelled(text) for _, text in _BLOCK.findall(sections[title])]

    def take(self, machine: str, file: str = "", *, having: str = "") -> Block:
        """The next block that goes there, into that file (empty: commands and what is typed), and has this
        in its text."""
        for block in self.left:
            if (block.machine, block.file) == (machine, file) and having in block.text:
                self.left.remove(block)
                return block
        raise AssertionError(f"no block for {machine} {file} with {having!r} among {self.left}")


def titles(page: Path = PAGE) -> list[str]:
    return [title for title, _ in _SECTION.findall(page.read_text())]


def _labelled(text: str) -> Block:
    first, _, rest = text.partition("\n")
    label = _LABEL.fullmatch(first)
    assert label is not None, f"{first!r} does not say on which machine this is"
    machine, how, file = label.groups(default="")
    return Block(machine, how, file, rest)
