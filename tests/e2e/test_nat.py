"""A real NAT, with twenty phones behind it, or the server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.ears import hears, voices
from tests.support.eventually import eventually
from tests.support.free_ports import free_port
from tests.support.house import House
from tests.support.nat import Nat
from tests.support.phone import Media, Phone, PhoneCall
from tests.support.server import ACCOUNT, APPLICATION, Server
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONES = 20


class Home:
    """The phones of the private network; each has an address and a voice."""

    def __init__(self, nat: Nat, house: House, port: int) -> None:
        self.nat, self.house, self.server = nat, house, (nat.server, port)

    async def phone(self, studio: Studio, number: int, **options: object) -> Phone:
        address = self.nat.phones[number]
        media = studio.socket(address, network=self.nat.home)
        sound = voices()[(number * 5 + number // 12) % len(voices())]
        return await studio.phone(
            f"phone-{number}",
            self.server,
            host=address,
            sock=self.nat.udp(address),
            media=Media(sound=sound, socket=media),
            **options,
        )

    def uri(self, user: str) -> str:
        return f"sip:{user}@{self.nat.server}:{self.server[1]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home() -> AsyncIterator[Home]:
    with Nat(PHONES) as nat:
        port = free_port(nat.server)
        sections = {
            "sip": {
                "listen": [f"udp:{nat.server}:{port}", f"tcp:{nat.server}:{port}"],
                "allow": [nat.public],
            },
            "rtp": {"address": nat.server},
        }
        house = await House.open(sections=sections)
        yield Home(nat, house, port)
        await house.close()


async def test_twenty_phones_behind_one_nat_talk_and_survive_its_forgetting(
    home: Home, studio: Studio
) -> None:
    """Two in each conference: everybody hears his partner, back through their NAT, and nobody else."""
    phones = [await home.phone(studio, number) for number in range(PHONES)]
    rooms = [home.house.room() for _ in range(PHONES // 2)]
    calls = await asyncio.gather(
        *(phone.dial(home.uri(rooms[number // 2])) for number, phone in enumerate(phones))
    )
    pairs = list(zip(calls[::2], calls[1::2], strict=True))
    await asyncio.gather(*(hear_only_each_other(*pair) for pair in pairs))
    for call in calls:
        assert call.final is not None
        assert f"received={home.nat.public}" in call.final["via"] and ";rport=" in call.final["via"]

    home.nat.forget()
    await asyncio.gather(*(hear_only_each_other(*pair) for pair in pairs))
    assert home.house.server.metrics()["mixminus_media_rebindings_total"] == PHONES

    # By a new mapping too: a phone's own request says where it is now, and there it is told of the end.
    first, second = pairs[0]
    assert (await first.reoffer("sendrecv")).status == 200
    conference = await home.house.conference(rooms[0])
    assert (await second.bye()).status == 200
    assert (await home.house.rest.post(f"/conferences/{conference}", {"status": "completed"}))[0] == 204
    await eventually(lambda: first.goodbye, what=first.story)


async def hear_only_each_other(*pair: PhoneCall) -> None:
    """From now on."""
    before = [len(call.line.received) for call in pair]
    for call, other, start in zip(pair, reversed(pair), before, strict=True):

        def listened(call: PhoneCall = call, start: int = start) -> bool:
            return len(call.line.received) >= start + 20

        await eventually(listened, what=call.story)
        await hears(call, [other])


async def test_a_phone_behind_a_nat_registers_and_is_rung(home: Home, studio: Studio) -> None:
    phone = await home.phone(studio, 3)
    assert (await phone.register()).status == 200
    home.house.application.on("answer", "<Response><Conference>lone</Conference></Response>", tag="nat")
    order = {
        "from": "+19195550100",
        "to": home.uri("phone-3"),
        "applicationId": APPLICATION,
        "answerUrl": home.house.application.url("/answer"),
        "tag": "nat",
    }
    status, body = await home.house.rest.post("/calls", order)
    assert status == 201
    call = await phone.incoming()
    await eventually(lambda: len(call.line.received) > 10, what=call.story)
    assert (await home.house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
    await eventually(lambda: call.goodbye, what=call.story)


async def test_a_server_behind_a_nat_is_reached_by_what_it_advertises(
    home: Home, studio: Studio, tmp_path: Path
) -> None:
    """SIP and RTP ports forwarded as they are; the rest is one key."""
    document = tmp_path / "room.xml"
    document.write_text("<Response><Conference>{user}</Conference></Response>")
    application = {"id": APPLICATION, "account": ACCOUNT, "bxml": str(document)}
    nat, inside = home.nat, home.nat.phones[0]
    with nat.home():
        port = free_port(inside)
        sip = {"listen": [f"udp:{inside}:{port}", f"tcp:{inside}:{port}"]}
        sip |= {"advertise": nat.public, "allow": [nat.server]}
        sections = {"sip": sip, "rtp": {"address": inside}, "applications": [application]}
        server = Server(sections=sections)
        nat.forward(port, server.rtp_ports, inside)
        server.start()
    try:
        calls = []
        for voice, transport in zip(voices()[:2], ("udp", "tcp"), strict=True):
            phone = await studio.phone(
                "outside", (nat.public, port), host=nat.server, sound=voice, transport=transport
            )
            calls.append(await phone.dial(f"sip:room@{nat.public}:{port}"))
        await hear_only_each_other(*calls)
        assert all(nat.public in call.target for call in calls)
        for call in calls:
            assert (await call.bye()).status == 200
        server.stop()
    finally:
        server.close()
