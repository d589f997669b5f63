"""With no configuration file: the built-in document, and what the start says. Ports come by environment."""

import asyncio
import re
import stat
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.support.ears import all_hear_the_others, voices
from tests.support.house import PROMPT
from tests.support.prompts import spoken
from tests.support.rest import Rest
from tests.support.server import Server
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    server = Server(bare=True)
    try:
        yield server.start()
        await asyncio.to_thread(server.stop)
    finally:
        server.close()


async def test_any_name_is_a_conference_with_a_welcome(server: Server, studio: Studio) -> None:
    calls = []
    for number, voice in enumerate(voices()[:2]):
        phone = await studio.phone(f"p{number}", server.sip, sound=voice)
        calls.append(await phone.dial(server.uri("stand-up")))
    await all_hear_the_others(calls)
    prompt = await spoken(PROMPT)
    for call in calls:
        assert call.line.find(prompt)[0] >= 0.95


async def test_forbidden_characters_of_a_name_are_replaced(server: Server, studio: Studio) -> None:
    calls = []
    for user, voice in zip(("a%20b%21", "a_b_"), voices(), strict=False):
        phone = await studio.phone("someone", server.sip, sound=voice)
        calls.append(await phone.dial(server.uri(user)))
    await all_hear_the_others(calls)


async def test_a_phone_may_register_where_no_users_are(server: Server, studio: Studio) -> None:
    phone = await studio.phone("anybody", server.sip)
    assert (await phone.register()).status == 200


async def test_the_password_is_made_kept_and_printed(server: Server) -> None:
    file = server.data / "password"
    password = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert password in server.log
    async with Rest(server, password=password) as rest:
        assert await rest.get("/conferences") is not None
        status, _ = await rest.get("/calls")
        assert status == 200
    async with Rest(server, password="wrong") as rest:
        status, body = await rest.get("/calls")
        assert (status, body["type"]) == (401, "authentication-error")


async def test_the_start_says_where_to_dial_and_where_the_api_is(server: Server) -> None:
    assert f":{server.sip_port}" in server.log
    assert f"{server.http}" in server.log
    assert "/docs" in server.log
    status, body = server.health()
    assert status == 200
    assert body["status"] == "ok" or body["status"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", body["version"])
    assert set(body["pids"]) == {"control", "media", "speech"}


async def test_open_endpoints_are_open(server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/docs", "/openapi.json", "/metrics"):
            async with session.get(server.http + path) as answer:
                assert answer.status == 200, path


@pytest.mark.parametrize("key", ["sip", "http"])
async def test_an_address_in_use_is_named_and_ends_the_start(server: Server, key: str) -> None:
    second = Server(bare=True)
    try:
        if key == "sip":
            second.environment["MIXMINUS_SIP__LISTEN"] = f'["udp:127.0.0.1:{server.sip_port}"]'
            port = server.sip_port
        else:
            second.environment["MIXMINUS_HTTP__LISTEN"] = f'"127.0.0.1:{server.http_port}"'
            port = server.http_port
        second.spawn()
        assert second.process is not None
        assert await asyncio.to_thread(second.process.wait, 60) == 1
        line = next(line for line in second.log.splitlines() if str(port) in line)
        assert f"{key}.listen" in line
        assert "Traceback" not in second.log
    finally:
        second.close()


async def test_the_rtp_ports_in_use_are_named_and_end_the_start(server: Server) -> None:
    second = Server(bare=True)
    try:
        second.environment["MIXMINUS_RTP__PORTS"] = f'"{server.rtp_ports}"'
        second.spawn()
        assert second.process is not None
        assert await asyncio.to_thread(second.process.wait, 60) == 1
        assert "rtp.ports" in second.log
        assert "Traceback" not in second.log
    finally:
        second.close()
