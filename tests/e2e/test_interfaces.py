"""Other addresses than 127.0.0.1: --address for phones on the network, and IPv6."""

import asyncio
import socket

import pytest

from tests.support.ears import all_hear_the_others, voices
from tests.support.house import House
from tests.support.server import APPLICATION, Server
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
        await all_hear_the_others(calls)
        assert f"{address}:{server.sip_port}" in server.log
        for call in calls:
            await call.bye()
        await asyncio.to_thread(server.stop)
    finally:
        server.close()


async def test_phones_of_both_families_meet_in_one_conference(studio: Studio) -> None:
    """Each is called by the family of its signalling, and its sound goes by the one that its SDP names."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    house = await House.open(listen=["127.0.0.1", "[::1]"], sections={"rtp": {"address": "::"}})
    try:
        room = house.room()
        port = house.server.sip_port
        calls = []
        ways = [
            ("::1", "::1"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("127.0.0.1", "::1"),
            ("::1", "127.0.0.1"),
        ]
        for voice, (host, sound) in zip(voices(), ways, strict=False):
            shown = f"[{host}]" if ":" in host else host
            user = "six" if ":" in host else "four"
            phone = await studio.phone(user, (host, port), host=host, sound=voice)
            calls.append(await phone.dial(f"sip:{room}@{shown}:{port}", socket=studio.socket(sound)))
            assert calls[-1].server_media[0] == sound
        await all_hear_the_others(calls)
        for moved in calls[2:4]:  # the second of them to the other family
            assert (await moved.move_media()).status == 200
            assert moved.server_media[0] == moved.phone.host
        await all_hear_the_others(calls)

        six = await studio.phone("callee", host="::1", sound=voices()[5], answers="ring")
        house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
        order = {
            "from": "+19195550100",
            "to": six.uri,
            "applicationId": APPLICATION,
            "answerUrl": house.application.url("/answer"),
            "tag": room,
        }
        assert (await house.rest.post("/calls", order))[0] == 201
        called = await six.incoming()
        called.accept()
        await all_hear_the_others([*calls, called])
        event = await house.application.event("initiate")
        assert event["to"] == f"sip:{room}@[::1]:{house.server.sip_port}"
        assert event["from"] == "sip:six@[::1]"
        for call in calls:
            await call.bye()
    finally:
        await house.close()
