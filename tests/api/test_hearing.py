"""What lies beyond the contract is behind the same door."""

import httpx
import pytest

from tests.api.test_gate import GOOD

HEARS = "calls/c-1/hears/c-2"


@pytest.mark.parametrize(
    ("account", "headers", "status"), [("9900000", {}, 401), ("1111111", GOOD, 403), ("9900000", GOOD, 404)]
)
async def test_the_same_credentials_open_the_same_account(
    anonymous: httpx.AsyncClient, account: str, headers: dict[str, str], status: int
) -> None:
    path = HEARS if status != 404 else "nothing"
    response = await anonymous.get(f"/api/mixminus/v1/accounts/{account}/{path}", headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize(
    ("account", "headers", "status"), [("9900000", {}, 401), ("1111111", GOOD, 403), ("9900000", GOOD, 404)]
)
async def test_the_statistics_of_a_call_are_its_accounts(
    anonymous: httpx.AsyncClient, account: str, headers: dict[str, str], status: int
) -> None:
    path = f"/api/mixminus/v1/accounts/{account}/calls/c-nobody/statistics"
    assert (await anonymous.get(path, headers=headers)).status_code == status


async def test_it_is_documented_as_beyond_the_contract(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    path = "/api/mixminus/v1/accounts/{accountId}/calls/{callId}/hears/{otherCallId}"
    operation = document["paths"][path]["get"]
    assert operation["operationId"] == "getHearing" and operation["tags"] == ["Beyond the contract"]
    path = "/api/mixminus/v1/accounts/{accountId}/calls/{callId}/statistics"
    operation = document["paths"][path]["get"]
    assert operation["operationId"] == "getCallStatistics" and operation["tags"] == ["Beyond the contract"]
