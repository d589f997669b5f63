"""Bodies: type, size, depth, and what is not JSON. Source: contract, rules of REST."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from api import body
from api.body import MAX_BYTES
from tests.api.rest import ORDER, fault
from tests.support.fake_switchboard import FakeSwitchboard

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'APPLICATION/JSON;Charset="UTF-8"; x=y'],
)
async def test_json_may_name_its_charset(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.request(
        "POST", "/calls", content=httpx.Request("POST", "http://h", json=ORDER).content,
        headers={"Content-Type": content_type},
    )  # fmt: skip
    assert response.status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain;charset=utf-8"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/jsonx"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_another_type_is_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.post("/calls", content=b"{}", headers=headers)
    assert fault(response, 415).startswith("The body must be application/json in UTF-8")


async def test_a_document_must_be_xml(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call()
    for content_type in ("application/json", "text/xml", "application/xml; charset=utf-16"):
        response = await client.put(
            f"/calls/{call.id}/bxml", content=b"<Bxml/>", headers={"Content-Type": content_type}
        )
        assert fault(response, 415).startswith("The body must be application/xml")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"\xff\xfe{}",
        b'{"to": "\xff"}',
        b'{"to": "\\ud800"}',
        b'{"callTimeout": NaN}',
        b'{"callTimeout": Infinity}',
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"[" * 60000,
        b'{"priority": ' + b"9" * 6000 + b"}",
    ],
)
async def test_what_is_not_json_is_400(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/calls", content=content, headers=JSON)
    assert fault(response).startswith("The body is not JSON: ")


@pytest.mark.parametrize("content", [b"[]", b"null", b'"x"', b"7"])
async def test_json_that_is_no_object_is_400(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/calls", content=content, headers=JSON)
    assert fault(response) == "The body must be a JSON object"


async def test_a_number_beyond_all_bounds_is_400(client: httpx.AsyncClient) -> None:
    content = httpx.Request("POST", "http://h", json=ORDER).content[:-1] + b',"callTimeout":1e999}'
    description = fault(await client.post("/calls", content=content, headers=JSON))
    assert description == "Invalid callTimeout: must be at most 300, but was inf"


async def test_a_body_announced_as_too_large_is_413(client: httpx.AsyncClient) -> None:
    response = await client.post("/calls", content=b" " * (MAX_BYTES + 1), headers=JSON)
    assert fault(response, 413) == f"The body may have at most {MAX_BYTES} bytes"
    assert response.headers["connection"] == "close"


async def test_a_body_that_grows_too_large_is_413(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 4096

    response = await client.post("/calls", content=endless(), headers=JSON)
    assert fault(response, 413).startswith("The body may have at most")
    assert sent <= MAX_BYTES // 4096 + 2


async def test_a_body_of_the_largest_size_is_read(
    client: httpx.AsyncClient, switchboard: FakeSwitchboard
) -> None:
    call = switchboard.add_call()
    text = b"<Bxml>" + b" " * (MAX_BYTES - 13) + b"</Bxml>"
    assert len(text) == MAX_BYTES
    response = await client.put(
        f"/calls/{call.id}/bxml", content=text, headers={"Content-Type": "application/xml"}
    )
    assert response.status_code == 204


async def test_a_body_that_never_arrives_is_408(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "_SECONDS", 0.05)

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    response = await client.post("/calls", content=stalled(), headers=JSON)
    assert fault(response, 408) == "The body did not arrive within 0.05 s"
    assert response.headers["connection"] == "close"
