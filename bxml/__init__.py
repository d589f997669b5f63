"""BXML, the document language of a call: its verbs, the parser, the runner and the Performer it wants."""

from bxml.document import Document
from bxml.errors import BxmlError
from bxml.parser import lint, parse

__all__ = ["BxmlError", "Document", "lint", "parse"]
