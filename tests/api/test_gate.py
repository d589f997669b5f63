"""What every request passes: credentials, the account in the path, the path itself, the method."""

import base64
import hashlib

import httpx
import pytest
from fastapi import FastAPI

from api.auth import TOKEN_SECONDS, Account, Credentials
from api.errors import ApiError
from tests.support.fake_switchboard import FakeSwitchboard

BASE = "/api/v2/accounts/9900000"


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


GOOD = basic("demo:secret")


@pytest.mark.parametrize(
    ("headers", "description"),
    [
        ({}, "Credentials are required"),
        (basic("demo:wrong"), "The credentials are not valid"),
        (basic("nobody:secret"), "The credentials are not valid"),
        (basic("demo:different"), "The credentials are not valid"),
        (basic("demo"), "The Basic credentials cannot be decoded"),
        ({"Authorization": "Basic !!!"}, "The Basic credentials cannot be decoded"),
        ({"Authorization": "Basic /w=="}, "The Basic credentials cannot be decoded"),
        ({"Authorization": "Basic"}, "The Basic credentials cannot be decoded"),
        ({"Authorization": "Digest x"}, "Authorization must be Basic or Bearer"),
        ({"Authorization": "Bearer x"}, "The token is not valid"),
        ({"Authorization": "Bearer eA==.00"}, "The token is not valid"),
        ({"Authorization": "Bearer /w==.ä".encode("latin-1").decode("latin-1")}, "The token is not valid"),
    ],
)
async def test_who_does_not_say_who_he_is_gets_401_and_a_challenge(
    anonymous: httpx.AsyncClient, headers: dict[str, str], description: str
) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    for method, path in (("GET", f"{BASE}/calls"), ("DELETE", f"{BASE}/nothing"), ("GET", "/api/v2")):
        response = await anonymous.request(method, path, headers=raw)
        assert response.status_code == 401
        assert response.json() == {"type": "authentication-error", "description": description, "id": None}
        assert response.headers["www-authenticate"] == 'Basic realm="mixminus", charset="UTF-8"'


async def test_passwords_may_hold_colons_and_any_letters() -> None:
    account = Account("1", "ünï", "a:b:ß")
    assert Credentials([account]).account(basic("ünï:a:b:ß")["Authorization"]) == account


@pytest.mark.parametrize("account", ["1111111", "0000000", "9900000x", "9900000%00"])
async def test_credentials_open_no_other_account_known_or_not(
    anonymous: httpx.AsyncClient, account: str
) -> None:
    for path in ("calls", "calls/c-1", "conferences", "nothing"):
        response = await anonymous.get(f"/api/v2/accounts/{account}/{path}", headers=GOOD)
        assert response.status_code == 403
        assert response.json()["type"] == "authorization-error"


async def test_403_comes_before_404_405_415_and_400(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.request(
        "DELETE", "/api/v2/accounts/1111111/calls", headers=GOOD, content=b"nonsense"
    )
    assert response.status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/api/v2",
        "/api/v2/accounts",
        "/api/v2/accounts/9900000",
        f"{BASE}/nothing",
        f"{BASE}/calls/c-1/nothing",
        f"{BASE}/recordings/r-1",
        f"{BASE}/calls/c-1/recordings/r-1/media/x",
        f"{BASE}//calls",
        f"{BASE}/calls//",
        f"{BASE}/calls%2F",
        f"{BASE}/calls%2fc-1",
        f"{BASE}/conferences/conf-1%2Fmembers/c-1",
        f"{BASE}/calls/%2e%2e/conferences",
        f"{BASE}/c%61lls",
        f"{BASE}/calls/c-1%00",
        f"{BASE}/calls/c-1%0d%0aX: y",
        f"{BASE}/calls;x=1",
    ],
)
async def test_an_unknown_path_and_every_trick_is_404(anonymous: httpx.AsyncClient, path: str) -> None:
    response = await anonymous.get(path, headers=GOOD)
    assert response.status_code == 404
    assert response.json()["type"] == "validation"


async def test_dot_segments_are_not_followed(app: FastAPI) -> None:
    for path in (f"{BASE}/../9900000/calls", f"{BASE}/./calls", f"{BASE}/calls/..", f"{BASE}/calls/."):
        assert await status_of(app, "GET", path) == 404


async def status_of(app: FastAPI, method: str, path: str) -> int:
    """The status for a path that no client library would send as it stands."""
    statuses = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", GOOD["Authorization"].encode())],
        "client": ("127.0.0.1", 4000),
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive, send)
    [status] = statuses
    assert isinstance(status, int)
    return status


async def test_a_trailing_slash_is_taken(anonymous: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call()
    for path in (f"{BASE}/calls/", f"{BASE}/calls/{call.id}/", "/healthz/"):
        assert (await anonymous.get(path, headers=GOOD)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", f"{BASE}/calls", "GET, HEAD, POST"),
        ("PUT", f"{BASE}/calls/c-1", "GET, HEAD, POST"),
        ("GET", f"{BASE}/calls/c-1/bxml", "PUT"),
        ("POST", f"{BASE}/conferences", "GET, HEAD"),
        ("DELETE", f"{BASE}/conferences/conf-1", "GET, HEAD, POST"),
        ("POST", f"{BASE}/conferences/conf-1/members/c-1", "GET, HEAD, PUT"),
        ("OPTIONS", f"{BASE}/statistics", "GET, HEAD"),
        ("GET", f"{BASE}/calls/c-1/recording", "PUT"),
        ("DELETE", f"{BASE}/recordings", "GET, HEAD"),
        ("POST", f"{BASE}/calls/c-1/recordings/r-1", "DELETE, GET, HEAD"),
        ("PUT", f"{BASE}/calls/c-1/recordings/r-1/transcription", "DELETE, GET, HEAD, POST"),
        ("DELETE", f"{BASE}/conferences/conf-1/recordings/r-1", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("HEAD", "/api/v1/oauth2/token", "POST"),
    ],
)
async def test_another_method_is_405_and_told_which_are_allowed(
    anonymous: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    response = await anonymous.request(method, path, headers=GOOD)
    assert response.status_code == 405
    assert response.headers["allow"] == allow
    if method != "HEAD":
        assert response.json()["type"] == "validation"


async def test_head_is_get(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.head(f"{BASE}/calls", headers=GOOD)).status_code == 200


# Tokens


async def test_a_token_opens_its_account_and_no_other(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post(
        "/api/v1/oauth2/token", headers=GOOD, data={"grant_type": "client_credentials"}
    )
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", TOKEN_SECONDS)
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await anonymous.get(f"{BASE}/calls", headers=bearer)).status_code == 200
    assert (await anonymous.get("/api/v2/accounts/1111111/calls", headers=bearer)).status_code == 403


GRANT = {"grant_type": "client_credentials"}
IN_FORM = GRANT | {"client_id": "demo", "client_secret": "secret"}


async def test_a_client_may_name_itself_in_the_form(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post("/api/v1/oauth2/token", data=IN_FORM)
    assert response.status_code == 200
    bearer = {"Authorization": f"Bearer {response.json()['access_token']}"}
    assert (await anonymous.get(f"{BASE}/calls", headers=bearer)).status_code == 200
    again = await anonymous.post("/api/v1/oauth2/token", headers=bearer, data=IN_FORM)
    assert (again.status_code, again.json()["description"]) == (401, "Authorization must be Basic")


@pytest.mark.parametrize(
    ("headers", "form", "status", "error"),
    [
        ({}, GRANT, 401, "invalid_client"),
        (basic("demo:wrong"), GRANT, 401, "invalid_client"),
        (
            basic("demo:wrong"),
            GRANT | {"client_id": "demo", "client_secret": "secret"},
            401,
            "invalid_client",
        ),
        ({}, IN_FORM | {"client_secret": "wrong"}, 401, "invalid_client"),
        ({}, GRANT | {"client_id": "demo"}, 401, "invalid_client"),
        (GOOD, {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (GOOD, {"scope": "voice"}, 400, "invalid_request"),
        (GOOD, {"grant_type": ["client_credentials"] * 2}, 400, "invalid_request"),
    ],
)
async def test_a_token_needs_credentials_and_the_right_grant(
    anonymous: httpx.AsyncClient,
    headers: dict[str, str],
    form: dict[str, str | list[str]],
    status: int,
    error: str,
) -> None:
    refused = await anonymous.post("/api/v1/oauth2/token", headers=headers, data=form)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    assert ("www-authenticate" in refused.headers) is (status == 401)


async def test_a_token_is_asked_for_by_a_form(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.post("/api/v1/oauth2/token", headers=GOOD, json={})).status_code == 415


def test_a_token_ends_in_time_and_cannot_be_changed() -> None:
    moment = 1000.0
    credentials = Credentials([Account("1", "u", "p"), Account("2", "v", "q")], clock=lambda: moment)
    token = credentials.lend_token(Account("1", "u", "p"))
    assert credentials.account(f"Bearer {token}").id == "1"
    assert credentials.account(f"bearer  {token}").id == "1"
    forged = base64.urlsafe_b64encode(f"2:{1000 + TOKEN_SECONDS}".encode()).decode()
    signature = token.partition(".")[2]
    for wrong in (f"{forged}.{signature}", f"{forged}.{hashlib.sha256(forged.encode()).hexdigest()}"):
        with pytest.raises(ApiError, match="not valid"):
            credentials.account(f"Bearer {wrong}")
    moment += TOKEN_SECONDS
    with pytest.raises(ApiError, match="expired"):
        credentials.account(f"Bearer {token}")


def test_an_account_does_not_show_its_password() -> None:
    assert "secret" not in repr(Account("1", "demo", "secret"))


def test_other_accounts_count_at_once_and_end_the_tokens_of_those_before() -> None:
    credentials = Credentials([Account("1", "a", "old"), Account("2", "b", "same")])
    assert credentials.adopt([Account("2", "b", "same"), Account("1", "a", "old")]) == set()
    token = credentials.lend_token(Account("2", "b", "same"))
    assert credentials.adopt([Account("2", "b", "same"), Account("1", "a", "old")]) == set()
    assert credentials.account(f"Bearer {token}").id == "2"
    assert credentials.adopt([Account("1", "a", "new")]) == {"1", "2"}
    for gone in (basic("a:old")["Authorization"], basic("b:same")["Authorization"], f"Bearer {token}"):
        with pytest.raises(ApiError):
            credentials.account(gone)
    assert credentials.account(basic("a:new")["Authorization"]).id == "1"
