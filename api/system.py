"""The server's own endpoints: its health and figures, its documentation, and bearer tokens."""

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from api.auth import TOKEN_SECONDS, Credentials
from api.body import read
from api.docs import page
from api.errors import MEDIA_TYPE, ApiError
from api.openapi import OPEN, refusals

Health = Callable[[], Mapping[str, object]]
"""The body of /healthz; its `status` is "ok" when everything accepts, anything else before and after."""

Metrics = Callable[[], bytes]
"""The figures in Prometheus' text format."""

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_NO_SCRIPTS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_FORM = {"schema": {"type": "object", "properties": {"grant_type": {"enum": ["client_credentials"]}}}}


def routes(app: FastAPI, credentials: Credentials, health: Health, metrics: Metrics) -> APIRouter:
    """The endpoints outside of /api/v2."""
    router = APIRouter(tags=["Server"])

    @router.get("/healthz", operation_id="getHealth", summary="Is the server up", openapi_extra=OPEN)
    async def get_health() -> Response:
        """503 before the server accepts calls, and while it stops."""
        body = dict(health())
        status = 200 if body["status"] == "ok" else 503
        return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)

    @router.get("/metrics", operation_id="getMetrics", summary="The server's figures", openapi_extra=OPEN)
    async def get_metrics(request: Request) -> Response:
        """Prometheus' text format. From another machine, credentials of any account are needed."""
        if not _from_this_machine(request):
            credentials.account(request.headers.get("authorization"))
        return Response(metrics(), media_type=_PROMETHEUS)

    @router.get("/docs", include_in_schema=False)
    async def get_docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers=_NO_SCRIPTS)

    @router.post(
        "/api/v1/oauth2/token",
        operation_id="createToken",
        summary="Lend a bearer token",
        responses=refusals(400, 401, 415),
        openapi_extra={
            "security": [{"Basic": []}],
            "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": _FORM}},
        },
    )
    async def create_token(request: Request) -> Response:
        """The client's id and secret are an account's username and password. Source: RFC 6749 4.4."""
        account = credentials.account(request.headers.get("authorization"))
        form = parse_qs((await read(request, "application/x-www-form-urlencoded")).decode("latin-1"))
        if form.get("grant_type") != ["client_credentials"]:
            raise ApiError(
                400,
                "Invalid grant_type: must be client_credentials",
                more={"error": "unsupported_grant_type"},
            )
        token = credentials.lend_token(account)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return JSONResponse(body, headers={"Cache-Control": "no-store"}, media_type=MEDIA_TYPE)

    return router


def _from_this_machine(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
