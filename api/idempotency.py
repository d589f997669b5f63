"""Requests that may be sent again: the same key brings the same answer, and the deed is done once.

Source: draft-ietf-httpapi-idempotency-key-header, section 2; the contract knows nothing like it.
"""

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from starlette.requests import Request

from api.errors import ApiError

HEADER = "Idempotency-Key"

REPLAYED = "Idempotent-Replayed"
"""Says in an answer that it is the one given earlier."""

_SECONDS_KEPT = 24 * 3600.0
# Of one account. A key costs some four hundred bytes, whatever the request's size.
_MOST_KEPT = 50_000

_KEY = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")

Result = TypeVar("Result")


def key_of(request: Request) -> str | None:
    """The request's key, None where it has none. Raises ApiError 400."""
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise ApiError(400, f"Invalid {HEADER}: must be one header of 1 to 255 printable ASCII characters")
    return given[0]


@dataclass(frozen=True)
class _Done(Generic[Result]):
    body: bytes
    result: Result
    until: float


class Idempotency(Generic[Result]):
    """What was done under which key. Of the body only a hash is kept.

    `clock` gives seconds; `most` bounds the keys of each account, of which the oldest go first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = _MOST_KEPT) -> None:
        self._clock = clock
        self._most = most
        self._done: dict[str, OrderedDict[str, _Done[Result]]] = {}
        self._under_way: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def once(
        self, account: str, key: str | None, body: bytes, act: Callable[[], Awaitable[Result]]
    ) -> tuple[Result, bool]:
        """What `act` returned for this key, and whether that was earlier; without a key, what it returns.

        A second request waits for the first one. What `act` refuses is not kept: it may be tried again.
        Raises ApiError 422 when the key came with another body.
        """
        if key is None:
            return await act(), False
        lock = self._under_way.setdefault((account, key), asyncio.Lock())
        async with lock:
            done = self._done.setdefault(account, OrderedDict())
            now, digest = self._clock(), hashlib.sha256(body).digest()
            while done and next(iter(done.values())).until <= now:
                done.popitem(last=False)
            if (earlier := done.get(key)) is not None:
                if earlier.body != digest:
                    raise ApiError(422, f"Invalid {HEADER}: it has been used with another body")
                return earlier.result, True
            result = await act()
            done[key] = _Done(digest, result, now + _SECONDS_KEPT)
            if len(done) > self._most:
                done.popitem(last=False)
            return result, False
