"""BXML documents as they come in: parsed, with absolute URLs; what is odd about them is in the log."""

import logging

import bxml
from bxml import Document

logger = logging.getLogger(__name__)


def read(body: bytes | str, *, base: str | None, call_id: str) -> Document:
    """A document for a call. Raises BxmlError."""
    return _resolved(bxml.parse(body), base, call_id=call_id)


def read_for_conference(body: bytes, *, base: str | None, conference_id: str) -> Document:
    """A document for a conference. Raises BxmlError."""
    return _resolved(bxml.parse(body, conference=True), base, conference_id=conference_id)


def _resolved(document: Document, base: str | None, **whose: str) -> Document:
    for warning in document.warnings:
        logger.warning("bxml_warning", extra={**whose, "warning": str(warning)})
    return document.resolve(base)
