"""Other addresses than 127.0.0.1: --address for phones on the network, and IPv6."""

import asyncio
import socket

import pytest

from tests.support.ears import all_hear_the_others, voices
from tests.support.house import House
from tests.support.server import Server
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")


def own_address() -> str:
    """This machine's address on a network, or one more of its loopback where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return str(sock.getsockname()[0])


async def test_address_binds_sip_and_rtp_and_lets_its_subnet_in(studio: Studio) -> None:
    address = own_address()
    server = Server(bare=True, arguments=("--address", address))
    try:
        server.start()
        calls = []
        for voice in voices()[:2]:
            phone = await studio.phone("remote", (address, server.sip_port), host=address, sound=voice)
            calls.append(await phone.dial(f"sip:room@{address}:{server.sip_port}"))
            assert calls[-1].server_media[0] == address
        await all_hear_the_others(calls, within=10)
        assert f"{address}:{server.sip_port}" in server.log
        for call in calls:
            await call.bye()
        await asyncio.to_thread(server.stop)
    finally:
        server.close()


async def test_sip_over_ipv6_reaches_the_same_conference(studio: Studio) -> None:
    """Media stays on IPv4."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    house = await House.open(listen="[::1]")
    try:
        room = house.room()
        calls = []
        for voice in voices()[:2]:
            phone = await studio.phone("six", ("::1", house.server.sip_port), host="::1", sound=voice)
            calls.append(
                await phone.dial(f"sip:{room}@[::1]:{house.server.sip_port}", socket=studio.socket())
            )
        await all_hear_the_others(calls)
        event = await house.application.event("initiate")
        assert event["to"] == f"sip:{room}@[::1]:{house.server.sip_port}"
        assert event["from"] == "sip:six@[::1]"
        for call in calls:
            await call.bye()
    finally:
        await house.close()
