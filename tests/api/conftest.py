"""One application over a switchboard without telephones, and a client with the account's credentials."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.auth import Account, Credentials
from api.webhooks import Courier
from net.http import HttpClient
from net.policy import Policy
from tests.support.fake_switchboard import FakeSwitchboard

ACCOUNTS = (Account("9900000", "demo", "secret"), Account("1111111", "other", "different"))


@pytest.fixture
def switchboard() -> FakeSwitchboard:
    return FakeSwitchboard()


@pytest.fixture
def health() -> dict[str, object]:
    return {"status": "ok", "version": "1.2.3", "pids": {"control": 1, "media": [2], "speech": [3]}}


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient(Policy(allow=["127.0.0.0/8"]))
    yield client
    await client.close()


@pytest.fixture
async def courier(http: HttpClient) -> AsyncIterator[Courier]:
    courier = Courier(http)
    yield courier
    await courier.close(0.0)


def new_app(switchboard: Any, courier: Any, health: Any) -> FastAPI:
    return create_app(
        switchboard,
        Credentials(ACCOUNTS),
        courier=courier,
        health=health,
        metrics=lambda: b"calls_total 1\n",
        public_url="http://voice.example:8080/",
        version="1.2.3",
    )


class StandIn:
    """Whatever the running test has of a kind. Making an application takes longer than most tests with it."""

    def __init__(self) -> None:
        self.present: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.present, name)

    def __call__(self) -> Any:
        return self.present


@pytest.fixture(scope="session")
def stage() -> tuple[FastAPI, list[StandIn]]:
    parts = [StandIn(), StandIn(), StandIn()]
    return new_app(*parts), parts


@pytest.fixture
def app(
    stage: tuple[FastAPI, list[StandIn]],
    switchboard: FakeSwitchboard,
    courier: Courier,
    health: dict[str, object],
) -> FastAPI:
    app, parts = stage
    for part, present in zip(parts, (switchboard, courier, health), strict=True):
        part.present = present
    return app


@pytest.fixture
def own_app(switchboard: FakeSwitchboard, courier: Courier, health: dict[str, object]) -> FastAPI:
    """One that a test may change."""
    return new_app(switchboard, courier, lambda: health)


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        yield client


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    base = "http://server/api/v2/accounts/9900000"
    async with httpx.AsyncClient(transport=transport, base_url=base, auth=("demo", "secret")) as client:
        yield client
