"""BXML documents as they come in: parsed, with absolute URLs; what is odd about them is in the log."""

import logging
import math

import bxml
from bxml import Document

logger = logging.getLogger(__name__)


def read(body: bytes | str, *, base: str | None, call_id: str) -> Document:
    """A document for a call. Raises BxmlError."""
    return _resolved(bxml.parse(body), base, call_id=call_id)


def read_for_conference(body: bytes, *, base: str | None, conference_id: str) -> Document:
    """A document for a conference. Raises BxmlError."""
    return _resolved(bxml.parse(body, conference=True), base, conference_id=conference_id)


class Pace:
    """How fast the documents of one call may follow each other: twenty as fast as they come, then ten a
    second. Documents that lead to each other without a pause would take the time of everybody's calls."""

    _AT_ONCE, _A_SECOND = 20, 10

    def __init__(self) -> None:
        self._next = -math.inf

    def wait(self, now: float) -> float:
        """Seconds that one more document has to wait; `now` by any clock that never goes back."""
        self._next = max(self._next, now - self._AT_ONCE / self._A_SECOND) + 1 / self._A_SECOND
        return max(0.0, self._next - now)


def _resolved(document: Document, base: str | None, **whose: str) -> Document:
    for warning in document.warnings:
        logger.warning("bxml_warning", extra={**whose, "warning": str(warning)})
    return document.resolve(base)
