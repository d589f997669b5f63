"""Reading what a request carries: its type, its size and its time are bounded before its sense is asked."""

import asyncio
from email.message import Message
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from api.errors import ApiError, invalid

MAX_BYTES = 64 * 1024
"""A BXML document may have 64 KB; no JSON body of the contract comes near it."""

_SECONDS = 10.0

_Model = TypeVar("_Model", bound=BaseModel)


async def read_json(request: Request, model: type[_Model]) -> _Model:
    """The body as a model of `api.models`. Raises ApiError 400, 408, 413 or 415."""
    return parse_json(await read(request, "application/json"), model)


def parse_json(content: bytes, model: type[_Model]) -> _Model:
    """A body that was read, as a model of `api.models`. Raises ApiError 400."""
    try:
        # Depth and the size of numbers are bounded by the parser; NaN and Infinity are not JSON.
        value = from_json(content, allow_inf_nan=False, cache_strings="none")
    except ValueError as error:
        raise ApiError(400, f"The body is not JSON: {error}") from error
    return _checked(model, value)


def read_query(request: Request, model: type[_Model]) -> _Model:
    """The query as a model of `api.models`; a name given twice has its last value. Raises ApiError 400."""
    return _checked(model, dict(request.query_params))


async def read(request: Request, media_type: str) -> bytes:
    """The bytes of a body of this media type, UTF-8 if it is text. Raises ApiError."""
    _check_type(request, media_type)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MAX_BYTES:
        raise _too_large()
    content = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise _too_large()
    except TimeoutError as error:
        raise ApiError(
            408, f"The body did not arrive within {_SECONDS:g} s", headers={"Connection": "close"}
        ) from error
    return bytes(content)


def _checked(model: type[_Model], value: object) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from error


def _check_type(request: Request, media_type: str) -> None:
    given = Message()
    given["content-type"] = request.headers.get("content-type", "")
    charset = given.get_content_charset() or "utf-8"
    encoding = request.headers.get("content-encoding", "identity")
    named = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if named != media_type or charset not in ("utf-8", "us-ascii") or encoding.lower() != "identity":
        raise ApiError(415, f"The body must be {media_type} in UTF-8, without a content encoding")


def _too_large() -> ApiError:
    return ApiError(413, f"The body may have at most {MAX_BYTES} bytes", headers={"Connection": "close"})
