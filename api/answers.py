"""Answers with JSON, and lists in pages. Source: contract, rules of REST and paging."""

import asyncio
import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlencode

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.errors import MEDIA_TYPE, ApiError

_Row = TypeVar("_Row")

# Rows written before the event loop is let go: a long page must not delay SIP.
_ROWS_AT_ONCE = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One object."""
    return Response(_bytes(model), status_code=status, headers=headers, media_type=MEDIA_TYPE)


def empty_list() -> Response:
    """A list without rows."""
    return Response(b"[]", media_type=MEDIA_TYPE)


async def page(
    request: Request,
    rows: Sequence[_Row],
    *,
    base: str,
    size: int,
    token: str | None,
    key: Callable[[_Row], tuple[datetime, str]],
    model: Callable[[_Row], BaseModel],
) -> Response:
    """One page of a list that is ordered oldest first.

    `key` gives a row's creation time and id, from which the token of the next page is made; the
    Link header leads there. Raises ApiError 400 for a token that is not ours.
    """
    start = _after(rows, token, key) if token is not None else 0
    shown = rows[start : start + size]
    headers = {}
    if shown and start + size < len(rows):
        query = [
            (name, value)
            for name, value in parse_qsl(request.url.query, keep_blank_values=True)
            if name != "pageToken"
        ]
        query.append(("pageToken", _token(key(shown[-1]))))
        url = f"{base}{request.url.path}?{urlencode(query, quote_via=quote)}"
        headers["Link"] = f'<{url}>; rel="next"'
    chunks = []
    for first in range(0, len(shown), _ROWS_AT_ONCE):
        chunks += [_bytes(model(row)) for row in shown[first : first + _ROWS_AT_ONCE]]
        await asyncio.sleep(0)
    return Response(b"[" + b",".join(chunks) + b"]", headers=headers, media_type=MEDIA_TYPE)


def _bytes(model: BaseModel) -> bytes:
    return model.model_dump_json(by_alias=True).encode()


def _token(key: tuple[datetime, str]) -> str:
    created, identifier = key
    millisecond = (created - _EPOCH) // timedelta(milliseconds=1)
    return base64.urlsafe_b64encode(f"{millisecond}:{identifier}".encode()).decode().rstrip("=")


def _after(rows: Sequence[_Row], token: str, key: Callable[[_Row], tuple[datetime, str]]) -> int:
    """The index of the first row of the page that a token asks for.

    That is the one behind the last row shown; where that one has left the list, the first that
    was created later.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        millisecond, _, identifier = text.partition(":")
        created = _EPOCH + timedelta(milliseconds=int(millisecond))
    except (binascii.Error, ValueError, OverflowError) as error:
        raise ApiError(400, "Invalid pageToken: must come from a Link header") from error
    for index, row in enumerate(rows):
        if key(row)[1] == identifier:
            return index + 1
    return next((index for index, row in enumerate(rows) if key(row)[0] > created), len(rows))
