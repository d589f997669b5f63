"""What every request passes before it is routed: credentials, the account in its path, a plain path.

The order is that of the answers: 401, 403, then 404 and whatever else (contract, errors).
It stands in front of the routing because a router knows 404 and 405 before it knows who asks.
"""

import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import Credentials
from api.errors import ApiError

logger = logging.getLogger(__name__)

PREFIX = "/api/v2"

OWN_PREFIX = "/api/mixminus/v1"
"""Where what this server offers beyond the contract is found."""

# Where the scope has the method that came.
_ASKED = "mixminus.asked"

_ACCOUNT = re.compile(rf"(?:{PREFIX}|{OWN_PREFIX})/accounts/([^/]+)")

# No path of ours needs an escape, a dot segment or an empty segment; what has one is a trick.
_PLAIN_PATH = re.compile(rb"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+|/")


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, credentials: Credentials) -> None:
        self._app = app
        self._credentials = credentials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(self._admit(scope), receive, watched)
        except ApiError as error:
            await error.response()(scope, receive, watched)
        finally:
            # /healthz and /metrics are asked every few seconds: they are worth no line.
            level = logging.INFO if scope["path"].startswith("/api/") else logging.DEBUG
            logger.log(
                level,
                "http_request",
                extra={
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "milliseconds": round((time.monotonic() - began) * 1000, 1),
                },
            )

    def _admit(self, scope: Scope) -> Scope:
        """The scope to go on with: no trailing slash, HEAD as the GET it stands for. Raises ApiError."""
        path: str = scope["path"]
        if any(path == prefix or path.startswith(f"{prefix}/") for prefix in (PREFIX, OWN_PREFIX)):
            account = self._credentials.account(header(scope, b"authorization"))
            named = _ACCOUNT.match(path)
            if named and named[1] != account.id:
                raise ApiError(403, "These credentials do not open this account")
        raw = bytes(scope.get("raw_path") or path.encode())
        stripped = raw[:-1] if len(raw) > 1 and raw.endswith(b"/") else raw
        if not _PLAIN_PATH.fullmatch(stripped):
            raise ApiError(404, "Not found")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        plain = {"path": stripped.decode("ascii"), "raw_path": stripped, "method": method}
        return {**scope, **plain, _ASKED: scope["method"]}


def is_head(scope: Scope) -> bool:
    """Whether only the header of the answer is asked for."""
    return bool(scope[_ASKED] == "HEAD")


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, by its lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None
