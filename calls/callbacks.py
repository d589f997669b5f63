"""Where events go, what comes back, and the courier that carries them (made in api/, over HTTP)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

Event = dict[str, object]


@dataclass(frozen=True)
class Callback:
    """One address for events, with its second try.

    Source: contract bxml.md section 2.2, callbacks.md section 1.
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
