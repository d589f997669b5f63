"""Every path of recordings and transcriptions exists. Source: contract, recordings."""

import httpx
import pytest

from tests.api.rest import fault
from tests.support.fake_switchboard import FakeSwitchboard

RECORDING = "/calls/c-1/recordings/r-1"
LISTS = [
    "/recordings",
    "/calls/c-1/recordings",
    "/conferences/conf-1/recordings",
    "/calls/c-1/transcriptions",
]
ONES = [
    ("GET", RECORDING),
    ("DELETE", RECORDING),
    ("GET", f"{RECORDING}/media"),
    ("DELETE", f"{RECORDING}/media"),
    ("GET", f"{RECORDING}/transcription"),
    ("POST", f"{RECORDING}/transcription"),
    ("DELETE", f"{RECORDING}/transcription"),
    ("GET", "/conferences/conf-1/recordings/r-1"),
    ("GET", "/conferences/conf-1/recordings/r-1/media"),
]
TRANSCRIPTIONS = [("GET", "/calls/c-1/transcriptions/t-1"), ("DELETE", "/calls/c-1/transcriptions/t-1")]
CHANGES = [("PUT", "/calls/c-1/recording")]
ALL = [*(("GET", path) for path in LISTS), *ONES, *TRANSCRIPTIONS, *CHANGES]


@pytest.mark.parametrize("path", LISTS)
async def test_lists_are_empty_for_calls_and_conferences_known_or_not(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, path: str
) -> None:
    call, conference = switchboard.add_call(), switchboard.add_conference()
    for known in (path, path.replace("c-1", call.id).replace("conf-1", conference.id)):
        response = await client.get(known)
        assert (response.status_code, response.json()) == (200, [])
        assert response.headers["content-type"] == "application/json;charset=UTF-8"
        assert "link" not in response.headers


@pytest.mark.parametrize(("method", "path"), ALL)
async def test_401_comes_first_and_403_next(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    ours, theirs = f"/api/v2/accounts/9900000{path}", f"/api/v2/accounts/1111111{path}"
    assert (await anonymous.request(method, ours, content=b"nonsense")).status_code == 401
    response = await anonymous.request(method, theirs, content=b"nonsense", auth=("demo", "secret"))
    assert response.status_code == 403


@pytest.mark.parametrize(("method", "path"), [*ONES, *TRANSCRIPTIONS])
async def test_404_comes_before_what_is_wrong_with_the_body(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard, method: str, path: str
) -> None:
    call = switchboard.add_call()
    what = "Transcription [t-1]" if "transcriptions" in path else "Recording [r-1]"
    for known in (path, path.replace("c-1", call.id)):
        response = await client.request(method, known, content=b"nonsense")
        assert fault(response, 404) == f"{what} not found"


async def test_nothing_can_be_paused(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call, other = switchboard.add_call(), switchboard.add_call("1111111")
    for known, description in [
        ("c-1", "Call [c-1] not found"),
        (other.id, f"Call [{other.id}] not found"),
        (call.id, f"Recording of call [{call.id}] not found"),
    ]:
        for body in ({"state": "paused"}, {"state": "over"}):
            assert fault(await client.put(f"/calls/{known}/recording", json=body), 404) == description


@pytest.mark.parametrize("field", ["minStartTime", "maxStartTime"])
async def test_the_accounts_list_checks_its_filters(client: httpx.AsyncClient, field: str) -> None:
    query = {"to": "+19195551234", "from": "+19195554321", field: "2026-02-03T09:00:00Z"}
    assert (await client.get("/recordings", params=query)).status_code == 200
    assert field in fault(await client.get("/recordings", params={field: "yesterday"}))
