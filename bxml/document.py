"""A document that has been read: its verbs, and what was ignored in it."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin

from bxml.attributes import Address, got
from bxml.element import Element, Slot, Verb, schema
from bxml.errors import BxmlError

E = TypeVar("E", bound=Element)


@dataclass(frozen=True)
class Document:
    """Verbs in the order in which they run.

    `warnings` are sentences about what was ignored, each with its line; they quote no value.
    """

    verbs: tuple[Verb, ...] = ()
    warnings: tuple[str, ...] = ()

    def resolve(self, base: str | None) -> "Document":
        """The same with every URL absolute; `base` is the URL that gave this document, if there is one.

        `BxmlError` for a relative URL without a base, or one that makes no http(s) URL with it.
        """
        return dataclasses.replace(self, verbs=tuple(_resolved(verb, base) for verb in self.verbs))


def _resolved(element: E, base: str | None) -> E:
    declared = schema(type(element))
    changes: dict[str, Any] = {}
    for slot in declared.slots:
        if isinstance(slot.rule, Address) and getattr(element, slot.field) is not None:
            changes[slot.field] = _absolute(element, slot, slot.rule, base)
    if declared.nest is not None:
        children = getattr(element, declared.nest.field)
        changes[declared.nest.field] = tuple(_resolved(child, base) for child in children)
    return dataclasses.replace(element, **changes)


def _absolute(element: Element, slot: Slot, rule: Address, base: str | None) -> str:
    url: str = getattr(element, slot.field)
    absolute = dataclasses.replace(rule, relative=False)
    try:
        return absolute.read(urljoin(base or "", url))
    except ValueError:
        reason = "with the URL of this document" if base else "for this document has no URL of its own"
        message = f"<{type(element).__name__}> {slot.place}: expected {absolute.expected}, {reason}"
        raise BxmlError(message + got(rule, url), *element.at) from None
