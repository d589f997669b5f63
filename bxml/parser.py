"""BXML to verbs: the whole document is checked before any of it is performed.

The parser knows how an element is declared (`bxml.element`) and no verb by its name.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from bxml import markup, safe
from bxml.attributes import Address, got
from bxml.document import Document
from bxml.element import Element, Nest, Slot, Verb, schema
from bxml.errors import BxmlError, clipped, quoted
from bxml.remarks import remarks
from bxml.safe import Node
from bxml.verbs import VERBS

ROOTS = ("Response", "Bxml")
CONFERENCE_VERBS = tuple(name for name, verb in VERBS.items() if verb.for_conferences)
MAX_WARNINGS = 20  # a document can hold ten thousand unknown attributes; a log need not

E = TypeVar("E", bound=Element)


def parse(text: bytes | str, *, conference: bool = False) -> Document:
    """The document in `text`; `conference`: it is to run in a conference, where six verbs are legal.

    Raises `BxmlError` for the first thing wrong in the order of the document, and nothing else.
    """
    reader = _Reader()
    document = reader.document(safe.read(text), conference)
    errors = reader.errors()
    if errors:
        raise errors[0]
    return document


def lint(text: bytes | str, *, conference: bool = False) -> tuple[Sequence[BxmlError], Sequence[BxmlError]]:
    """Everything wrong with `text` in the order of the document, one error if it is not XML at all; beside it
    what is ignored, or right and not performed or come to."""
    reader = _Reader()
    try:
        document = reader.document(safe.read(text), conference)
    except BxmlError as error:
        return [error], []
    return reader.errors(), [*reader.warnings, *remarks(document, conference=conference)]


class _Reader:
    """Makes elements of nodes and notes what is wrong, so that one reading finds all of it."""

    def __init__(self) -> None:
        self._errors: list[BxmlError] = []
        self.warnings: list[BxmlError] = []

    def errors(self) -> list[BxmlError]:
        return sorted(self._errors, key=lambda error: (error.line, error.column))

    def document(self, root: Node, conference: bool) -> Document:
        if root.name not in ROOTS:
            self._wrong(root, f"is not the root of a document: expected {_either(ROOTS)}")
            return Document()
        self._no_text(root)
        for name in root.attributes:
            self._ignored(root, name)
        verbs = [self._verb(node, conference) for node in root.children]
        warnings = tuple(f"line {warning.line}: {warning.message}" for warning in self.warnings)
        return Document(tuple(verb for verb in verbs if verb is not None), warnings)

    def _verb(self, node: Node, conference: bool) -> Verb | None:
        verb = VERBS.get(node.name)
        if verb is None:
            self._wrong(node, f"is not a verb{_hint(node.name, VERBS)}")
            return None
        if conference and not verb.for_conferences:
            self._wrong(node, f"is not legal in a conference document: expected {_either(CONFERENCE_VERBS)}")
        return self._element(verb, node)

    def _element(self, element: type[E], node: Node) -> E | None:
        """The element; None when something in it is wrong, which is noted then."""
        errors = len(self._errors)
        declared = schema(element)
        given = self._given(element, node)
        values: dict[str, Any] = {"at": (node.line, node.column)}
        for slot in declared.attributes.values():
            text = given.get(slot.field)
            if text is not None and not _absent(slot, text):
                self._read(node, slot, text, values)
            elif slot.required:
                self._wrong(node, f"{slot.place} is missing: expected {slot.rule.expected}")
        if declared.text is not None:
            self._read(node, declared.text, node.text.strip() or given.get(declared.text.field, ""), values)
        elif declared.markup is not None:
            self._read(node, declared.markup, markup.inside(node), values)
        else:
            self._no_text(node)
        if declared.nest is not None:
            values[declared.nest.field] = self._nested(node, declared.nest)
        elif declared.markup is None:
            for child in node.children:
                self._wrong(child, f"is not expected inside {_tag(node.name)}: expected no element")
        if len(self._errors) > errors:
            return None
        made = element(**values)
        for fault in made.faults():
            self._wrong(node, fault)
        return made

    def _given(self, element: type[Element], node: Node) -> dict[str, str]:
        """The text that the attributes give for each field, whatever their spelling."""
        known = schema(element).attributes
        given = {known[name].field: text for name, text in node.attributes.items() if name in known}
        for name, text in node.attributes.items():
            if name in element.aliases:
                given.setdefault(element.aliases[name], text)
            elif name not in known:
                self._ignored(node, name, _hint(name, known))
        for name in element.overrides.keys() & node.attributes.keys():
            for field in element.overrides[name] & given.keys():
                del given[field]
        return given

    def _read(self, node: Node, slot: Slot, text: str, values: dict[str, Any]) -> None:
        try:
            values[slot.field] = slot.rule.read(text)
        except ValueError:
            self._wrong(node, f"{slot.place}: expected {slot.rule.expected}{got(slot.rule, text)}")

    def _nested(self, node: Node, nest: Nest) -> tuple[Element, ...]:
        wanted = _either(nest.elements)
        children = []
        for child in node.children:
            if child.name in nest.elements:
                children.append(self._element(nest.elements[child.name], child))
            else:
                self._wrong(child, f"is not expected inside {_tag(node.name)}: expected {wanted}")
        if not nest.count.fits(len(children)):
            self._wrong(node, f"expected {nest.count.expected} of {wanted}, got {len(children)}")
        return tuple(child for child in children if child is not None)

    def _no_text(self, node: Node) -> None:
        if text := node.text.strip():
            self._wrong(node, f"expected no text, got {quoted(text)}")

    def _wrong(self, node: Node, message: str) -> None:
        self._errors.append(BxmlError(f"{_tag(node.name)} {message}", node.line, node.column))

    def _ignored(self, node: Node, name: str, hint: str = "") -> None:
        if len(self.warnings) < MAX_WARNINGS:
            what = f"{_tag(node.name)} attribute {clipped(name)} is unknown and ignored{hint}"
            self.warnings.append(BxmlError(what, node.line, node.column))


def _absent(slot: Slot, text: str) -> bool:
    """Templates leave the attribute of a URL they do not have empty."""
    return isinstance(slot.rule, Address) and not text.strip()


def _tag(name: str) -> str:
    return f"<{clipped(name)}>"


def _either(names: Iterable[str]) -> str:
    *others, last = (_tag(name) for name in names)
    return f"{', '.join(others)} or {last}" if others else last


def _hint(name: str, known: Iterable[str]) -> str:
    meant = next((each for each in known if each.lower() == name.lower()), None)
    return f", did you mean {meant}?" if meant else ""
