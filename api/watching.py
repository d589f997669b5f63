"""What happens in a conference, as server-sent events. Beyond the contract.

Source of the format: the HTML standard, "Server-sent events".
"""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.gate import is_head
from api.openapi import AccountId, ConferenceId, refusals

if TYPE_CHECKING:
    from calls.gallery import News, Spectator
    from calls.switchboard import Switchboard

HEARTBEAT = 15.0
"""Seconds of no news after which a comment is sent: proxies close what is silent, and by it a reader that is
gone is found out."""

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_STREAM: dict[int | str, dict[str, Any]] = {
    204: {"description": "The conference has ended"},
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
}


def routes(switchboard: "Switchboard", *, documented: bool) -> APIRouter:
    """The endpoint /accounts/{accountId}/conferences/{conferenceId}/events."""
    router = APIRouter(prefix="/accounts/{accountId}/conferences", tags=["Beyond the contract"])

    @router.get(
        "/{conferenceId}/events",
        operation_id="getConferenceEvents",
        summary="Watch a conference: who comes, goes, talks, is muted, held or coached",
        response_class=StreamingResponse,
        responses={**_STREAM, **refusals(401, 403, 404, 429, 500)},
        include_in_schema=documented,
    )
    async def get_events(request: Request, account: AccountId, conference_id: ConferenceId) -> Response:
        """A stream of server-sent events that begins with the state of things and ends with the conference.
        For a conference that has ended the answer is 204, which tells browsers not to come back."""
        conference = switchboard.conference(account, conference_id)
        if conference.completed_time is not None:
            return Response(status_code=204)
        if is_head(request.scope):
            return StreamingResponse(_nothing(), headers=_HEADERS, media_type=_Stream.media_type)
        return _Stream(switchboard.gallery.watch(conference))

    return router


class _Stream(StreamingResponse):
    """One spectator's news, until the conference ends, he goes, or he is dismissed."""

    media_type = "text/event-stream"

    def __init__(self, spectator: "Spectator") -> None:
        super().__init__(_written(spectator), headers=_HEADERS)
        self._spectator = spectator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._spectator.leave()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield


async def _written(spectator: "Spectator") -> AsyncIterator[bytes]:
    number = 0
    while True:
        news = await spectator.next(HEARTBEAT)
        if spectator.dismissed:
            return
        if news is None:
            yield b": still here\n\n"
            continue
        number += 1
        yield _event(number, news)
        if news["eventType"] == "end":
            return


def _event(number: int, news: "News") -> bytes:
    """JSON has no line breaks of its own, so one data line holds it."""
    return f"id: {number}\nevent: {news['eventType']}\ndata: {json.dumps(news)}\n\n".encode()
