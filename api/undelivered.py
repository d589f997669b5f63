"""Asynchronous events that nobody took: kept, listed, and sent again on demand. Beyond the contract."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.answers import page
from api.body import read_query
from api.document import AccountId, query_parameters, refusals
from api.letter import Letter
from api.links import Links
from api.models import Answer, Page, Time
from calls import clock
from calls.errors import NotFound

if TYPE_CHECKING:
    from api.webhooks import Courier

# Of one account. An event has some hundred bytes, and at most a tag of four kilobytes.
_MOST_KEPT = 1000


@dataclass(frozen=True)
class Undelivered:
    """A letter that was given up. `reason` says what each address did."""

    letter: Letter
    failed_time: datetime
    reason: str

    @property
    def id(self) -> str:
        return self.letter.id


class DeadLetters:
    """What could not be delivered, by account and id, oldest first; `most` bounds each account's."""

    def __init__(self, *, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._kept: dict[str, OrderedDict[str, Undelivered]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def keep(self, letter: Letter, reason: str) -> None:
        """Keep a letter; the account's oldest makes room."""
        kept = self._kept.setdefault(letter.account, OrderedDict())
        kept[letter.id] = Undelivered(letter, clock.now(), reason)
        if len(kept) > self._most:
            kept.popitem(last=False)

    def of(self, account: str) -> list[Undelivered]:
        """The account's, oldest failure first."""
        return list(self._kept.get(account, {}).values())

    def take(self, account: str, identifier: str) -> Undelivered:
        """Hand one out, and keep it no longer. Raises NotFound."""
        kept = self._kept.get(account, OrderedDict())
        if identifier not in kept:
            raise NotFound("Undelivered event", identifier)
        return kept.pop(identifier)


class UndeliveredQuery(Page):
    page_size: Annotated[int, Field(ge=1, le=1000)] = 1000


class UndeliveredEvent(Answer):
    """An event that could not be delivered."""

    event_id: str = Field(description="The Idempotency-Key of its deliveries.")
    sequence: int = Field(description="Its number among the events of its call or conference.")
    url: str
    method: str
    fallback_url: str | None
    failed_time: Time
    attempts: int = Field(description="How often it was given up.")
    reason: str = Field(description="What the receiver did, the last time.")
    event: dict[str, Any] = Field(description="The event as it was to be sent.")


EventId = Annotated[str, Path(alias="eventId", description="From the list.")]


def routes(courier: "Courier", links: Links) -> APIRouter:
    """The endpoints under /accounts/{accountId}/undelivered."""
    router = APIRouter(prefix="/accounts/{accountId}/undelivered", tags=["Events"])

    @router.get(
        "",
        operation_id="listUndelivered",
        summary="List the events that could not be delivered, oldest failure first",
        response_model=list[UndeliveredEvent],
        responses=refusals(400, 401, 403, 500),
        openapi_extra=query_parameters(UndeliveredQuery),
    )
    async def list_undelivered(request: Request, account: AccountId) -> Response:
        """Only those whose answer means nothing; the latest thousand, until the server is restarted."""
        query = read_query(request, UndeliveredQuery)
        return await page(
            request,
            courier.undelivered.of(account),
            base=links.base,
            size=query.page_size,
            token=query.page_token,
            key=lambda row: (row.failed_time, row.id),
            model=_row,
        )

    @router.post(
        "/{eventId}/replay",
        operation_id="replayUndelivered",
        summary="Send an event once more",
        status_code=202,
        responses=refusals(401, 403, 404, 500),
    )
    async def replay(account: AccountId, event_id: EventId) -> Response:
        """It leaves the list, and comes back to it if it fails again. Number and key stay what they were."""
        courier.replay(account, event_id)
        return Response(status_code=202)

    return router


def _row(undelivered: Undelivered) -> UndeliveredEvent:
    letter = undelivered.letter
    return UndeliveredEvent(
        event_id=letter.id,
        sequence=letter.sequence,
        url=letter.callback.url,
        method=letter.callback.method,
        fallback_url=letter.callback.fallback_url,
        failed_time=undelivered.failed_time,
        attempts=letter.attempts,
        reason=undelivered.reason,
        event=letter.event,
    )
