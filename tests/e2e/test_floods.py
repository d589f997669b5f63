"""Connections and calls by the thousand that come to nothing: two who talk do not notice, others get in."""

import asyncio
import re
import resource
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

import pytest
import pytest_asyncio

from tests.support.ears import all_hear_the_others, keep_hearing, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.studio import Studio

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.alone]

FLOODER = "127.0.0.2"
MANY = 1500


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    """With no more descriptors than a process usually has, and no way to more."""
    house = await House.open()
    resource.prlimit(house.server.pids["control"], resource.RLIMIT_NOFILE, (1024, 1024))
    yield house
    await house.close()


@pytest.fixture
def descriptors() -> None:
    """Enough of them for the flood."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * MANY:
        pytest.skip("this machine gives no process so many sockets")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))


async def another_call(house: House, studio: Studio) -> None:
    """Two more can talk."""
    room, calls = house.room(), []
    for voice in voices()[2:4]:
        phone = await studio.phone("later", house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(room)))
    await all_hear_the_others(calls)
    for call in calls:
        await call.bye()


@pytest.mark.usefixtures("descriptors")
async def test_headers_that_never_end_keep_nobody_out(
    house: House, studio: Studio, pair: list[PhoneCall]
) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        for number in range(MANY):
            _, writer = await asyncio.open_connection("127.0.0.1", house.server.http_port)
            stack.callback(writer.close)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n")
            if number % 300 == 299:
                assert await asyncio.to_thread(house.server.healthy)
        await another_call(house, studio)
        status, _ = await house.rest.request("GET", "/calls")
        assert status == 200
        await keep_hearing(pair[0], [pair[1]])
    assert "system resource" not in house.server.log
    told = [record for record in house.server.records() if record.get("event") == "http_connections_full"]
    assert 1 <= len(told) <= 1 + (time.monotonic() - began) / 60, "once a minute"


def invite(house: House, number: int, media_port: int) -> bytes:
    body = (
        f"v=0\r\no=- 1 1 IN IP4 {FLOODER}\r\ns=-\r\nc=IN IP4 {FLOODER}\r\nt=0 0\r\n"
        f"m=audio {media_port} RTP/AVP 0\r\n"
    )
    return (
        f"INVITE {house.uri('flood')} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {FLOODER}:9;branch=z9hG4bKflood{number};rport\r\n"
        f"From: <sip:flood@{FLOODER}>;tag=f{number}\r\nTo: <{house.uri('flood')}>\r\n"
        f"Call-ID: flood-{number}\r\nCSeq: 1 INVITE\r\nContact: <sip:flood@{FLOODER}:9>\r\n"
        f"Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def test_calls_that_are_never_acknowledged_keep_nobody_out(
    house: House, studio: Studio, pair: list[PhoneCall]
) -> None:
    statuses: dict[str, set[str]] = {}
    began = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((FLOODER, 0))
        sock.setblocking(False)

        def hear() -> None:
            try:
                while True:
                    data = sock.recv(4096)
                    status, name = data[8:11], re.search(rb"Call-ID: (\S+)", data)
                    if name and data.startswith(b"SIP/2.0 "):
                        statuses.setdefault(name[1].decode(), set()).add(status.decode())
            except BlockingIOError:
                return

        left = list(range(MANY))
        while left:
            for place, number in enumerate(left):
                sock.sendto(invite(house, number, 40_000 + 2 * (number % 1000)), house.server.sip)
                if place % 20 == 19:
                    await asyncio.sleep(0.01)
                    hear()
            await asyncio.sleep(0.5)  # T1, after which phones repeat what the network has lost
            hear()
            left = [number for number in left if f"flood-{number}" not in statuses]
        await eventually(lambda: hear() or any("200" in each for each in statuses.values()))
        await another_call(house, studio)
        hear()
    refused = [name for name, each in statuses.items() if "503" in each]
    taken = [name for name in statuses if name not in refused]
    assert len(taken) <= 128 * (1 + (time.monotonic() - began) // 32), "each is waited for 32 s"
    metrics = await asyncio.to_thread(house.server.metrics)
    assert metrics["mixminus_media_legs"] <= 128 + 2 + 2
    await keep_hearing(pair[0], [pair[1]])
