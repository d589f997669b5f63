"""Kamailio as a carrier and as an edge proxy: digest, registration, Record-Route, TLS, fail-over."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.support.certificates import Authority
from tests.support.ears import all_hear_the_others, hears, voices
from tests.support.eventually import eventually
from tests.support.free_ports import free_port
from tests.support.house import House
from tests.support.kamailio import Kamailio
from tests.support.phone import Media, PhoneCall
from tests.support.server import APPLICATION
from tests.support.sip_text import Message
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Each party has an address of its own, as the trunks tell them apart. Phones behind the edge are 127.0.0.1.
SERVER, FIRST_CARRIER, SECOND_CARRIER, EDGE = "127.0.0.40", "127.0.0.41", "127.0.0.42", "127.0.0.43"
SIP, SIPS, TELEPHONE = free_port(SERVER), free_port(SERVER), free_port()
CREDENTIALS = {"username": "mixminus", "password": "trunk-secret"}


@dataclass
class World:
    house: House
    first: Kamailio
    second: Kamailio
    edge: Kamailio

    async def ring(self, to: str, room: str) -> str:
        """Order a call that joins `room`; its id."""
        answer = f"<Response><Conference>{room}</Conference></Response>"
        self.house.application.on("answer", answer, tag=room)
        status, body = await self.house.rest.post(
            "/calls",
            {
                "from": "+19195550100",
                "to": to,
                "applicationId": APPLICATION,
                "answerUrl": self.house.application.url("/answer"),
                "disconnectUrl": self.house.application.url("/gone"),
                "tag": room,
            },
        )
        assert status == 201, body
        return str(body["callId"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    ours = authority.issue(f"IP:{SERVER}")
    files = authority.certificate
    async with AsyncExitStack() as stack:

        async def kamailio(name: str, address: str, **values: str) -> Kamailio:
            proxy = Kamailio(name, address, authority.issue(f"IP:{address}"), files, **values)
            return await stack.enter_async_context(proxy)

        contract = {
            "CUSTOMER": f"{SERVER}:{SIP}",
            "CUSTOMER_IP": SERVER,
            "TELEPHONE": f"127.0.0.1:{TELEPHONE}",
            "REALM": "carrier.example",
            "PASSWORD": CREDENTIALS["password"],
        }
        first = await kamailio("carrier", FIRST_CARRIER, **contract)
        second = await kamailio("carrier", SECOND_CARRIER, **contract)
        behind = f"sip:{SERVER}:{SIPS};transport=tls"
        edge = await kamailio("edge", EDGE, SERVER=behind, SERVER_IP=SERVER)
        numbers = {"numbers": ["+1919*"], **CREDENTIALS}
        trunks = [
            {
                "name": "first",
                "host": f"{FIRST_CARRIER}:{first.port}",
                "transport": "tcp",  # so that its end is known at once
                "inbound": [FIRST_CARRIER],
                **numbers,
            },
            {
                "name": "second",
                "host": f"{SECOND_CARRIER}:{second.port}",
                "inbound": [SECOND_CARRIER],
                **numbers,
            },
            {
                "name": "secure",
                "host": f"{SECOND_CARRIER}:{second.tls_port}",
                "transport": "tls",
                "numbers": ["+44*"],
                "register": True,
                "strip": "+",
                "prefix": "00",
                **CREDENTIALS,
            },
        ]
        sip = {
            "listen": [f"udp:{SERVER}:{SIP}", f"tcp:{SERVER}:{SIP}", f"tls:{SERVER}:{SIPS}"],
            "allow": [EDGE],
            "certificate": ours.certificate,
            "private_key": ours.private_key,
            "authorities": files,
        }
        users = [{"name": "alice", "password": "alices-secret"}]
        house = await House.open(sections={"sip": sip, "trunks": trunks, "users": users})
        yield World(house, first, second, edge)
        await house.close()


def invited(call: PhoneCall) -> Message:
    """The INVITE by which a phone is in this call."""
    assert call.invite is not None
    return call.invite


async def test_a_carriers_calls_come_in_by_its_address(world: World, studio: Studio) -> None:
    """In both directions requests within the call take the carrier's Record-Route."""
    house, room = world.house, world.house.room()
    telephones = [await studio.phone("+19195550177", world.first.udp, sound=voice) for voice in voices()[:2]]
    one, two = [await phone.dial(f"sip:{room}@carrier.example") for phone in telephones]
    await all_hear_the_others([one, two])
    assert one.route and FIRST_CARRIER in one.route[0]
    await one.reoffer("sendonly")
    await hears(two, [one])
    await one.bye()
    conference = await house.conference(room)
    assert (await house.rest.post(f"/conferences/{conference}", {"status": "completed"}))[0] == 204
    goodbye = await eventually(lambda: two.goodbye, what=two.story)
    assert len(goodbye.all("via")) == 2, "the BYE came through the carrier"
    incoming = [record for record in house.server.records() if record["event"] == "call_incoming"]
    assert [record["trunk"] for record in incoming] == ["first", "first"]
    initiate = await house.application.event("initiate", user=room)
    vouched = {"verstat": "TN-Validation-Passed", "attestationIndicator": "A"}
    assert initiate["stirShaken"] == vouched
    assert (await house.rest.get(f"/calls/{initiate['callId']}"))[1]["stirShaken"] == vouched


async def test_a_number_goes_out_with_digest_and_by_the_other_carrier_when_one_is_killed(
    world: World, studio: Studio
) -> None:
    room = world.house.room()
    telephone = await studio.phone("telephone", port=TELEPHONE, sound=voices()[2])
    await world.ring("+19195551234", room)
    before = await telephone.incoming()
    assert FIRST_CARRIER in invited(before)["record-route"]
    guest = await studio.phone("guest", world.edge.udp, sound=voices()[4])
    inside = await guest.dial(f"sip:{room}@{EDGE}")
    await all_hear_the_others([before, inside])
    await world.first.kill()
    telephone.media = Media(sound=voices()[6])
    await world.ring("+19195551234", room)
    after = await telephone.incoming(2)
    assert SECOND_CARRIER in invited(after)["record-route"]
    # Sound does not go through the carrier's proxy: who talked already goes on.
    await all_hear_the_others([before, inside, after])
    before.phone.calls.pop(before.call_id)  # its way for a BYE is gone
    await before.close()
    await after.bye()


async def test_a_trunk_over_tls_is_registered_with_and_called_back_by_it(
    world: World, studio: Studio
) -> None:
    house, room = world.house, world.house.room()
    await eventually(lambda: house.server.metrics()['mixminus_trunk_registered{trunk="secure"}'] == 1.0)
    telephone = await studio.phone("telephone", world.second.udp, port=TELEPHONE, sound=voices()[7])
    house.tell("mixminus", f"<Conference>{room}</Conference>")
    called = await telephone.dial("sip:mixminus@carrier.example")
    telephone.media = Media(sound=voices()[8])
    call_id = await world.ring("+442071838750", room)
    rung = await telephone.incoming()
    assert invited(rung).uri.startswith("sip:00442071838750@")
    await all_hear_the_others([called, rung])
    assert (await house.rest.post(f"/calls/{call_id}", {"state": "completed"}))[0] == 200
    await eventually(lambda: rung.goodbye, what=rung.story)
    await called.bye()
    assert CREDENTIALS["password"] not in house.server.log


async def test_phones_behind_an_edge_call_register_and_are_rung(world: World, studio: Studio) -> None:
    """UDP to the edge, TLS from there."""
    house, room = world.house, world.house.room()
    bob = await studio.phone("bob", world.edge.udp, sound=voices()[0])
    there = await bob.dial(f"sip:{room}@{EDGE}")
    assert len(there.route) == 2, "one for each transport"
    alice = await studio.phone("alice", world.edge.udp, password="alices-secret", sound=voices()[3])
    assert (await alice.register()).status == 200
    await world.edge.kill()
    await world.edge.start()  # the connection that she registered over is gone, her Path is not
    await world.ring(f"sip:alice@{SERVER}", room)
    here = await alice.incoming()
    dialled = [record["next_hop"] for record in house.server.records() if record["event"] == "call_dialled"]
    assert dialled[-1] == f"{EDGE}:{world.edge.tls_port}"
    await all_hear_the_others([there, here])
    assert (await there.reoffer("inactive")).status == 200
    await hears(here, [])
    assert (await there.reoffer("sendrecv")).status == 200
    await all_hear_the_others([there, here])
    await here.bye()
    conference = await house.conference(room)
    assert (await house.rest.post(f"/conferences/{conference}", {"status": "completed"}))[0] == 204
    await eventually(lambda: there.goodbye, what=there.story)
