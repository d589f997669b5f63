"""Where events go, what comes back, and the courier that carries them (made in api/, over HTTP)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

from bxml.element import Element

Event = dict[str, object]


@dataclass(frozen=True)
class Callback:
    """One address for events, with its second try.

    Source: contract, URLs of BXML; webhooks.
    """

    url: str
    method: str = "POST"
    fallback_url: str | None = None
    fallback_method: str = "POST"
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    fallback_username: str | None = field(default=None, repr=False)
    fallback_password: str | None = field(default=None, repr=False)
    timeout: float = 15.0


# The fields of an element that all of its addresses share, and those that each has under its own name.
_SHARED = ("username", "password", "fallback_username", "fallback_password")
_OWN = ("url", "method", "fallback_url", "fallback_method")


@cache
def _fields(name: str) -> tuple[tuple[str, str], ...]:
    """Each field of a Callback, and what it is called in an element that has the address under `name`."""
    return (*((own, f"{name}_{own}") for own in _OWN), *((shared, shared) for shared in _SHARED))


def named(element: Element, name: str, timeout: float) -> Callback | None:
    """The address that `element` has under `name`; None where its URL is not given.

    `named(verb, "gather", 15.0)` is made of gatherUrl, gatherMethod and so on, as far as the element knows
    such attributes. Source: contract, URLs of BXML.
    """
    given = {field: getattr(element, found) for field, found in _fields(name) if hasattr(element, found)}
    if given["url"] is None:
        return None
    return Callback(**given, timeout=timeout)


def required(element: Element, name: str, timeout: float) -> Callback:
    """The same for an address that the contract requires."""
    callback = named(element, name, timeout)
    assert callback is not None, f"{type(element).__name__} was read without its {name} URL"
    return callback


@dataclass(frozen=True)
class Answer:
    """A webhook's answer: the body, and the URL that gave it (the base of relative URLs inside)."""

    body: bytes
    url: str


class DeliveryFailed(Exception):
    """Neither the URL nor its fallback answered with success; the text says what each did."""


class Courier(Protocol):
    """Carries events to the application."""

    async def ask(self, callback: Callback, event: Event) -> Answer:
        """Deliver a synchronous event and bring its answer. Raises DeliveryFailed."""

    def tell(
        self,
        callback: Callback,
        event: Event,
        answered: Callable[[Answer], None] | None = None,
        *,
        account: str | None = None,
    ) -> None:
        """Deliver in the background, in order for one call or conference; failures are logged.

        `answered` is for events whose answer may hold a document: it is called once with whatever a 2xx
        brought, when it arrives, and never if the delivery fails. No later event waits for that. `account`:
        whose event it is, where it does not say so itself.
        """
