"""Every refusal in the contract's body: `{"type", "description", "id"}`. Source: contract, errors."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from calls import ids
from calls.errors import Conflict, Invalid, LimitReached, NotFound, OrderError, Unavailable

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/json;charset=UTF-8"

_TYPES = {401: "authentication-error", 403: "authorization-error", 429: "error", 503: "system-overloaded"}

_STATUSES: dict[type[OrderError], int] = {
    NotFound: 404,
    Conflict: 409,
    Invalid: 400,
    LimitReached: 429,
    Unavailable: 503,
}

# More than this many faults of one body are not listed: the client knows by then.
_FAULTS_LISTED = 5


class ApiError(Exception):
    """A refusal with its HTTP status. `description` is for the client; `more` adds keys to the body."""

    def __init__(
        self,
        status: int,
        description: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description)
        self.status = status
        self.headers = headers
        self.more = more

    def response(self) -> Response:
        return refusal(self.status, str(self), headers=self.headers, more=self.more)


def refusal(
    status: int,
    description: str,
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
    error_id: str | None = None,
) -> Response:
    """The answer to a request that is not carried out."""
    kind = _TYPES.get(status, "internal-error" if status >= 500 else "validation")
    body = {"type": kind, "description": description, "id": error_id, **(more or {})}
    return JSONResponse(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def describe(faults: Sequence[Mapping[str, Any]]) -> str:
    """Pydantic's list of faults as one sentence each: the field, and what was expected of it."""
    missing = [_place(fault) for fault in faults if fault["type"] == "missing"]
    sentences = [f"Required but missing: {', '.join(missing)}"] if missing else []
    sentences += [_sentence(fault) for fault in faults if fault["type"] != "missing"]
    more = len(sentences) - _FAULTS_LISTED
    listed = sentences[:_FAULTS_LISTED]
    return "; ".join([*listed, f"and {more} more"] if more > 0 else listed)


def _place(fault: Mapping[str, Any]) -> str:
    """`callIdsToCoach[2]` for the location ("callIdsToCoach", 2); "" for the body as a whole."""
    name = ""
    for step in fault["loc"]:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else str(step)
    return name


def _sentence(fault: Mapping[str, Any]) -> str:
    place, context = _place(fault), fault.get("ctx", {})
    match fault["type"]:
        case "string_type":
            expected = "must be a string"
        case "bool_type":
            expected = "must be true or false"
        case "int_type" | "int_parsing" | "int_from_float":
            expected = "must be a whole number"
        case "float_type":
            expected = "must be a number"
        case "list_type":
            expected = "must be a list"
        case "model_type" | "model_attributes_type" | "dict_type":
            expected = "must be a JSON object"
        case "literal_error":
            expected = f"must be {context['expected']}"
        case "string_too_long" | "too_long":  # of a password, which is no string any more
            expected = f"must have at most {context['max_length']} characters"
        case "greater_than_equal":
            expected = f"must be at least {context['ge']:g}, but was {fault['input']}"
        case "less_than_equal":
            expected = f"must be at most {context['le']:g}, but was {fault['input']}"
        case "rule":
            return str(fault["msg"])
        case _:
            expected = str(fault["msg"])
    return f"Invalid {place}: {expected}" if place else f"The body {expected}"


def invalid(error: ValidationError) -> ApiError:
    """A body or a query that can be read, but is not what the endpoint takes."""
    return ApiError(400, describe(error.errors(include_url=False)))


def install(app: FastAPI) -> None:
    """Make the application answer every failure with the contract's body."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(OrderError, _order_error)
    app.add_exception_handler(HTTPException, _routing_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _broken)


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _order_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OrderError)
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, LimitReached) else None
    return refusal(_STATUSES[type(error)], str(error), headers=headers)


async def _routing_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(allowed_methods(request.app, request.url.path))
        return refusal(405, "Method not allowed here", headers={"Allow": allowed})
    description = "Not found" if error.status_code == 404 else error.detail
    return refusal(error.status_code, description, headers=error.headers)


async def _gone(_: Request, error: Exception) -> Response:
    logger.info("client_left", extra={"reason": type(error).__name__})
    return refusal(400, "The body did not arrive")


async def _broken(request: Request, error: Exception) -> Response:
    error_id = ids.error_id()
    logger.error(
        "request_broken",
        extra={"method": request.method, "path": request.url.path, "error_id": error_id},
        exc_info=error,
    )
    return refusal(500, "An internal error occurred", error_id=error_id)


def allowed_methods(app: FastAPI, path: str) -> list[str]:
    """The methods that some route has for a path, by the OpenAPI document."""
    methods: set[str] = set()
    steps = path.split("/")
    for template, operations in app.openapi()["paths"].items():
        pattern = template.split("/")
        if len(pattern) == len(steps) and all(
            wanted.startswith("{") or wanted == step for wanted, step in zip(pattern, steps, strict=True)
        ):
            methods |= {method.upper() for method in operations}
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods)
