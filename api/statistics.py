"""The account's queue of outbound calls. Source: contract, getStatistics."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from api.answers import answer
from api.models import Statistics
from api.openapi import AccountId, refusals

if TYPE_CHECKING:
    from calls.switchboard import Switchboard


def routes(switchboard: "Switchboard") -> APIRouter:
    """The endpoint /accounts/{accountId}/statistics."""
    router = APIRouter(prefix="/accounts/{accountId}/statistics", tags=["Statistics"])

    @router.get(
        "",
        operation_id="getStatistics",
        summary="See how many calls wait to be dialled",
        response_model=Statistics,
        responses=refusals(401, 403, 500),
    )
    async def get_statistics(account: AccountId) -> Response:
        size, largest = switchboard.statistics(account)
        return answer(Statistics(current_call_queue_size=size, max_call_queue_size=largest))

    return router
