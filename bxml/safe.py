"""XML from strangers, read into plain nodes.

Nothing here is ever resolved, included, fetched or expanded. A document type is refused before the XML
library sees the text, so there are no entities beyond the five of XML 1.0 section 4.6; the library is set to
do nothing with them all the same. All work is linear in a text of at most 64 KB.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from lxml import etree

from bxml.errors import BxmlError, clipped

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_ATTRIBUTES = 64
MAX_NODES = 2_000

# Sections whose inside is not markup, and how each one ends.
_SECTIONS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"))
_DECLARED_ENCODING = re.compile(r"<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([^\"']*)[\"']")
_XML_NAMESPACE = "{http://www.w3.org/XML/1998/namespace}"


@dataclass(frozen=True)
class Node:
    """One element. `content` is its text and its elements in order; `line` and `column` count from 1.

    Names keep a foreign namespace as `{uri}name`, so that they equal no name of ours; `xml:lang` stays as
    it is written.
    """

    name: str
    attributes: Mapping[str, str]
    content: tuple["Node | str", ...]
    line: int
    column: int

    @property
    def text(self) -> str:
        """The element's own text, without that of the elements inside it."""
        return "".join(part for part in self.content if isinstance(part, str))

    @property
    def children(self) -> tuple["Node", ...]:
        return tuple(part for part in self.content if isinstance(part, Node))


def read(document: bytes | str) -> Node:
    """The root element of `document`; `BxmlError` for all that is too big, too deep or not plain XML."""
    text, encoded = _decoded(document)
    places = _places(text)
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the text says of itself
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(encoded, parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = (error.msg or "no element found").rsplit(", line ", 1)[0]
        raise BxmlError(f"not well-formed XML: {clipped(reason, 200)}", line or 1, column or 1) from None
    return _node(root, iter(places), 1)


def _decoded(document: bytes | str) -> tuple[str, bytes]:
    """The text, and the same in UTF-8 without a byte order mark."""
    try:
        encoded = document.encode() if isinstance(document, str) else document
        if len(encoded) > MAX_BYTES:
            raise BxmlError(f"expected at most {MAX_BYTES} bytes, got {len(encoded)}")
        text = encoded.decode("utf-8-sig")
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise BxmlError(f"expected UTF-8, which ends at offset {error.start}") from None
    if "\0" in text:
        _refuse(text, text.index("\0"), "expected text, got a NUL character")
    declared = _DECLARED_ENCODING.match(text)
    if declared and declared[1].lower() not in ("utf-8", "utf8", "us-ascii"):
        _refuse(text, 0, f'expected the encoding UTF-8, got "{clipped(declared[1])}"')
    return text, text.encode()


def _refuse(text: str, offset: int, message: str) -> NoReturn:
    line = text.count("\n", 0, offset) + 1
    raise BxmlError(message, line, offset - text.rfind("\n", 0, offset))


def _places(text: str) -> list[tuple[int, int]]:
    """Line and column of each start tag in document order, which is the order of the elements.

    In well-formed XML a `<` outside of comments, CDATA and processing instructions is always markup. What
    is not well-formed may be misread here; the XML library then refuses it, and nothing is used.
    """
    places: list[tuple[int, int]] = []
    nodes = 0
    line, line_start, counted = 1, 0, 0
    at = text.find("<")
    while at >= 0:
        line += text.count("\n", counted, at)
        line_start = max(line_start, text.rfind("\n", counted, at) + 1)
        counted = at
        place = (line, at - line_start + 1)
        section = next((pair for pair in _SECTIONS if text.startswith(pair[0], at)), None)
        if section is None and text.startswith("<!", at):
            raise BxmlError("expected no document type or other declaration", *place)
        end = at + 1
        if section is not None:
            end = text.find(section[1], at + len(section[0]))
            if end < 0:
                return places
        elif not text.startswith("</", at):
            places.append(place)
        nodes += not text.startswith("</", at)
        if nodes > MAX_NODES:
            raise BxmlError(f"expected at most {MAX_NODES} elements and comments", *place)
        at = text.find("<", end)
    return places


def _node(element: etree._Element, places: Iterator[tuple[int, int]], depth: int) -> Node:
    line, column = next(places)
    name = _name(element.tag)
    if depth > MAX_DEPTH:
        raise BxmlError(f"expected elements nested at most {MAX_DEPTH} deep", line, column)
    if len(element.attrib) > MAX_ATTRIBUTES:
        message = (
            f"<{clipped(name)}>: expected at most {MAX_ATTRIBUTES} attributes, got {len(element.attrib)}"
        )
        raise BxmlError(message, line, column)
    content: list[Node | str] = [element.text or ""]
    for child in element:
        content += (_node(child, places, depth + 1), child.tail or "")
    attributes = {_name(key): str(value) for key, value in element.attrib.items()}
    return Node(name, attributes, tuple(part for part in content if part), line, column)


def _name(clark: object) -> str:
    return str(clark).replace(_XML_NAMESPACE, "xml:")
