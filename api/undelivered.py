"""Events that nobody took, by REST: listed, and sent again on demand. Beyond the contract."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.answers import page
from api.body import read_query
from api.dead_letters import Undelivered
from api.links import Links
from api.models import Answer, Page, Time
from api.openapi import AccountId, query_parameters, refusals
from api.webhooks import Courier


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


def routes(courier: Courier, links: Links) -> APIRouter:
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
