"""Calls by REST. Source: contract, calls."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from api.answers import answer, page
from api.body import parse_json, read, read_json, read_query
from api.idempotency import HEADER, REPLAYED, Idempotency, key_of
from api.links import Links
from api.models import CallQuery, CallState, CreateCall, CreatedCall, UpdateCall, revealed
from api.openapi import (
    BXML_BODY,
    AccountId,
    CallId,
    header_parameter,
    json_body,
    query_parameters,
    refusals,
)
from api.redirects import redirect
from calls.callbacks import Callback
from calls.order import CallOrder
from calls.routing import ordered_party

if TYPE_CHECKING:
    from api.webhooks import Courier
    from calls.call import Call
    from calls.ended import EndedCall
    from calls.switchboard import Switchboard

logger = logging.getLogger(__name__)

_MASK = "*****"
"""Stands for a password in an answer (contract, createCall)."""


@dataclass(frozen=True)
class _Placed:
    """What of a new call is not in its order."""

    call_id: str
    enqueued_time: datetime | None


def routes(switchboard: "Switchboard", courier: "Courier", links: Links) -> APIRouter:
    """The endpoints under /accounts/{accountId}/calls."""
    idempotency: Idempotency[_Placed] = Idempotency()
    router = APIRouter(prefix="/accounts/{accountId}/calls", tags=["Calls"])

    @router.post(
        "",
        operation_id="createCall",
        summary="Place an outbound call",
        status_code=201,
        response_model=CreatedCall,
        responses=refusals(400, 401, 403, 413, 415, 422, 429, 500, 503),
        openapi_extra=json_body(CreateCall)
        | header_parameter(HEADER, "Sent again with the same key within 24 hours, no second call is placed."),
    )
    async def create_call(request: Request, account: AccountId) -> Response:
        """The answer says that the call was taken, nothing about who is called."""
        key, body = key_of(request), await read(request, "application/json")
        wanted = parse_json(body, CreateCall)

        async def place() -> _Placed:
            return await _place(switchboard, account, wanted)

        placed, earlier = await idempotency.once(account, key, body, place)
        created = _created(account, placed, wanted, links)
        headers = {"Location": created.call_url} | ({REPLAYED: "true"} if earlier else {})
        return answer(created, status=201, headers=headers)

    @router.get(
        "",
        operation_id="listCalls",
        summary="List calls, oldest first",
        response_model=list[CallState],
        responses=refusals(400, 401, 403, 500),
        openapi_extra=query_parameters(CallQuery),
    )
    async def list_calls(request: Request, account: AccountId) -> Response:
        """A longer list goes on at the URL in the Link header."""
        query = read_query(request, CallQuery)
        found = switchboard.calls(
            account,
            to=None if query.to is None else ordered_party(query.to),
            from_=None if query.from_ is None else ordered_party(query.from_),
            min_start=query.min_start_time,
            max_start=query.max_start_time,
            cause=query.disconnect_cause,
        )
        return await page(
            request,
            found,
            base=links.base,
            size=query.page_size,
            token=query.page_token,
            key=_key,
            model=_state,
        )

    @router.get(
        "/{callId}",
        operation_id="getCallState",
        summary="See one call",
        response_model=CallState,
        responses=refusals(401, 403, 404, 500),
    )
    async def get_call(account: AccountId, call_id: CallId) -> Response:
        return answer(_state(switchboard.call(account, call_id)))

    @router.post(
        "/{callId}",
        operation_id="updateCall",
        summary="Give a call another document by a webhook, or end it",
        responses=refusals(400, 401, 403, 404, 409, 415, 500),
        openapi_extra=json_body(UpdateCall),
    )
    async def update_call(request: Request, account: AccountId, call_id: CallId) -> Response:
        call = switchboard.call(account, call_id)
        update = await read_json(request, UpdateCall)
        if update.state == "completed":
            await switchboard.complete_call(call)
        else:
            await switchboard.redirect_call(
                call, redirect(update, courier, call.callback_timeout, update.tag)
            )
        return Response(status_code=200)

    @router.put(
        "/{callId}/bxml",
        operation_id="updateCallBxml",
        summary="Interrupt a call with a document",
        status_code=204,
        responses=refusals(400, 401, 403, 404, 409, 413, 415, 500),
        openapi_extra=BXML_BODY,
    )
    async def replace_bxml(request: Request, account: AccountId, call_id: CallId) -> Response:
        call = switchboard.call(account, call_id)
        await switchboard.replace_bxml(call, await read(request, "application/xml"))
        return Response(status_code=204)

    return router


def order(wanted: CreateCall) -> CallOrder:
    """A checked request as the switchboard takes it."""
    username, password = wanted.username, revealed(wanted.password)
    disconnect = None
    if wanted.disconnect_url is not None:
        disconnect = Callback(
            url=wanted.disconnect_url,
            method=wanted.disconnect_method,
            username=username,
            password=password,
            timeout=wanted.callback_timeout,
        )
    return CallOrder(
        application_id=wanted.application_id,
        to=wanted.to,
        from_=wanted.from_,
        answer=Callback(
            url=wanted.answer_url,
            method=wanted.answer_method,
            fallback_url=wanted.answer_fallback_url,
            fallback_method=wanted.answer_fallback_method,
            username=username,
            password=password,
            fallback_username=wanted.fallback_username,
            fallback_password=revealed(wanted.fallback_password),
            timeout=wanted.callback_timeout,
        ),
        disconnect=disconnect,
        call_timeout=wanted.call_timeout,
        callback_timeout=wanted.callback_timeout,
        priority=wanted.priority,
        tag=wanted.tag,
        privacy=wanted.privacy,
        display_name=wanted.display_name,
        uui=wanted.uui,
    )


async def _place(switchboard: "Switchboard", account: str, wanted: CreateCall) -> _Placed:
    call = await switchboard.create_call(account, order(wanted))
    if wanted.machine_detection is not None:
        logger.warning(
            "machine_not_detected",
            extra={
                "call_id": call.id,
                "mode": wanted.machine_detection.mode,
                "reason": "machineDetection is accepted, but nothing is detected yet",
            },
        )
    return _Placed(call.id, call.enqueued_time)


def _created(account: str, placed: _Placed, wanted: CreateCall, links: Links) -> CreatedCall:
    return CreatedCall(
        application_id=wanted.application_id,
        account_id=account,
        call_id=placed.call_id,
        to=ordered_party(wanted.to),
        from_=ordered_party(wanted.from_),
        enqueued_time=placed.enqueued_time,
        call_url=links.call(account, placed.call_id),
        call_timeout=_number(wanted.call_timeout),
        callback_timeout=_number(wanted.callback_timeout),
        tag=wanted.tag,
        answer_method=wanted.answer_method,
        answer_url=wanted.answer_url,
        answer_fallback_method=wanted.answer_fallback_method,
        answer_fallback_url=wanted.answer_fallback_url,
        disconnect_method=wanted.disconnect_method,
        disconnect_url=wanted.disconnect_url,
        username=wanted.username,
        password=_masked(wanted.password),
        fallback_username=wanted.fallback_username,
        fallback_password=_masked(wanted.fallback_password),
        priority=wanted.priority,
    )


def _state(call: "Call | EndedCall") -> CallState:
    return CallState(
        call_id=call.id,
        parent_call_id=call.parent,
        application_id=call.application_id,
        account_id=call.account,
        to=call.to,
        from_=call.from_,
        direction=call.direction,
        state=call.state,
        identity=call.identity,
        stir_shaken=call.stir_shaken or None,
        enqueued_time=call.enqueued_time,
        start_time=call.start_time,
        answer_time=call.answer_time,
        end_time=call.end_time,
        disconnect_cause=call.disconnect_cause,
        error_message=call.error_message,
        error_id=call.error_id,
        last_update=call.last_update,
    )


def _key(call: "Call | EndedCall") -> tuple[datetime, str]:
    return call.enqueued_time or call.start_time or call.last_update, call.id


def _masked(secret: SecretStr | None) -> str | None:
    return None if secret is None else _MASK


def _number(value: float) -> float | int:
    """30 rather than 30.0, as the contract writes it."""
    return int(value) if value.is_integer() else value
