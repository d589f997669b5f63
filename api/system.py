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
_FORM = {
    "schema": {
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": {"enum": ["client_credentials"]},
            "client_id": {"type": "string", "description": "Without Basic credentials."},
            "client_secret": {"type": "string", "description": "Without Basic credentials."},
        },
    }
}


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
            "security": [{"Basic": []}, {}],
            "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": _FORM}},
        },
    )
    async def create_token(request: Request) -> Response:
        """The client's id and secret are an account's username and password, by Basic or in the form.
        Source: RFC 6749 sections 2.3.1, 4.4 and 5.2."""
        authorization = request.headers.get("authorization")
        if authorization is not None:
            credentials.client(authorization, {})
        content = (await read(request, "application/x-www-form-urlencoded")).decode(errors="replace")
        form = parse_qs(content, keep_blank_values=True)
        if any(len(values) > 1 for values in form.values()):
            raise _bad("Each field of the form may be there once", "invalid_request")
        account = credentials.client(authorization, form)
        match form.get("grant_type"):
            case ["client_credentials"]:
                pass
            case None:
                raise _bad("Required but missing: grant_type", "invalid_request")
            case _:
                raise _bad("Invalid grant_type: must be client_credentials", "unsupported_grant_type")
        token = credentials.lend_token(account)
        body = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return JSONResponse(body, headers={"Cache-Control": "no-store"}, media_type=MEDIA_TYPE)

    return router


def _bad(description: str, error: str) -> ApiError:
    return ApiError(400, description, more={"error": error})


def _from_this_machine(request: Request) -> bool:
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False
