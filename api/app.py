"""The HTTP application: what is in front of what."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI

from api import (
    calls,
    conferences,
    errors,
    hearing,
    member_sound,
    openapi,
    recordings,
    statistics,
    system,
    undelivered,
    watching,
)
from api.auth import Credentials
from api.gate import OWN_PREFIX, PREFIX, Gate
from api.links import Links
from api.system import Health, Metrics

if TYPE_CHECKING:
    from api.webhooks import Courier
    from calls.switchboard import Switchboard

_DESCRIPTION = (
    "Calls and conferences by REST. Instructions for calls are BXML documents, "
    "which the application gives in answer to webhooks."
)


def create_app(
    switchboard: "Switchboard",
    credentials: Credentials,
    *,
    courier: "Courier",
    health: Health,
    metrics: Metrics,
    public_url: str,
    version: str,
) -> FastAPI:
    """The ASGI application over a switchboard and the courier of its events, for those with `credentials`.

    `health` gives the body of /healthz, whose `status` is "ok" when the server accepts calls;
    `metrics` the text of /metrics; `public_url` is how clients reach this server.
    """
    base = public_url.rstrip("/")
    app = FastAPI(
        title="MixMinus",
        description=_DESCRIPTION,
        version=version,
        servers=[{"url": base}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    links = Links(base)
    contract = APIRouter(prefix=PREFIX)
    contract.include_router(calls.routes(switchboard, courier, links))
    contract.include_router(conferences.routes(switchboard, courier, links))
    contract.include_router(recordings.routes(switchboard))
    contract.include_router(statistics.routes(switchboard))
    # Also here, where a client of the contract looks beside the conference.
    contract.include_router(watching.routes(switchboard, documented=False))
    app.include_router(contract)
    beyond = APIRouter(prefix=OWN_PREFIX)
    beyond.include_router(hearing.routes(switchboard))
    beyond.include_router(watching.routes(switchboard, documented=True))
    beyond.include_router(member_sound.routes(switchboard))
    beyond.include_router(undelivered.routes(courier, links))
    app.include_router(beyond)
    app.include_router(system.routes(app, credentials, health, metrics))
    errors.install(app)
    openapi.install(app)
    app.add_middleware(Gate, credentials=credentials)
    return app
