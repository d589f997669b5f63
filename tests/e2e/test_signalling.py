"""Who may call in, and how what cannot be is refused."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.baresip import Baresip
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.server import ACCOUNT, APPLICATION
from tests.support.studio import Studio
from tests.support.webhook import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Only 127.0.0.1 may call without credentials; 127.0.0.2 is a stranger, 127.0.0.3 the carrier.
STRANGER, CARRIER = "127.0.0.2", "127.0.0.3"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open(
        sections={
            "sip": {"allow": ["127.0.0.1/32"]},
            "users": [
                {"name": "alice", "password": "alices-secret", "account": ACCOUNT},
                {"name": "office", "password": "offices-secret"},
            ],
            "trunks": [
                {"name": "carrier", "host": f"{CARRIER}:5060", "inbound": [f"{CARRIER}/32"]},
                {
                    "name": "pbx",
                    "host": f"{STRANGER}:5060",
                    "inbound_users": ["office"],
                    "inbound_strip": "00",
                    "inbound_prefix": "+",
                    "inbound_calls_per_second": 0.01,
                },
            ],
        },
        numbers=["room-*", "known"],
    )
    yield house
    await house.close()


async def test_options_is_answered_with_what_is_understood(house: House, studio: Studio) -> None:
    for transport in ("udp", "tcp"):
        phone = await studio.phone("bob", house.server.sip, transport=transport)
        response = await phone.options(f"sip:127.0.0.1:{house.server.sip_port}")
        assert response.status == 200
        allowed = {method.strip() for method in ",".join(response.all("allow")).split(",")}
        assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS"} <= allowed


async def test_a_number_without_an_application_is_404(house: House, studio: Studio) -> None:
    phone = await studio.phone("bob", house.server.sip)
    assert await phone.invite(house.uri("nobody")).refused() == 404
    assert await phone.invite(house.uri("KNOWN")).refused() == 404


async def test_no_codec_in_common_is_488(house: House, studio: Studio) -> None:
    phone = await studio.phone("bob", house.server.sip)
    sdp = (
        b"v=0\r\no=b 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        b"m=audio 40000 RTP/AVP 3 18\r\na=rtpmap:3 GSM/8000\r\na=rtpmap:18 G729/8000\r\n"
    )
    assert await phone.invite(house.uri("known"), body=sdp).refused() == 488


async def test_strangers_are_refused_and_cannot_guess(house: House, studio: Studio) -> None:
    """With users configured a stranger may prove himself; without the proof he is told no more than that."""
    stranger = await studio.phone("mallory", house.server.sip, host=STRANGER)
    assert await stranger.invite(house.uri("known")).refused() in (401, 403)
    stranger.password = "guess"
    assert await stranger.invite(house.uri("known")).refused() in (401, 403)
    assert not house.application.of("initiate", **{"from": f"sip:mallory@{STRANGER}"})


async def test_a_user_may_call_in_from_anywhere_with_his_password(house: House, studio: Studio) -> None:
    alice = await studio.phone("alice", house.server.sip, host=STRANGER, password="alices-secret")
    call = await alice.dial(house.uri("known"))
    await call.bye()
    wrong = await studio.phone("alice", house.server.sip, host=STRANGER, password="wrong")
    assert await wrong.invite(house.uri("known")).refused() in (401, 403)
    assert "alices-secret" not in house.server.log


async def test_a_trunks_inbound_list_lets_its_calls_in_and_it_is_believed_who_calls(
    house: House, studio: Studio
) -> None:
    asserted = ("P-Asserted-Identity", "<sip:+442071838750@carrier.example>")
    for user, headers, known_as in [
        ("room-a", (asserted,), "+442071838750"),
        ("room-b", (asserted, ("Privacy", "id")), "Anonymous"),
    ]:
        carrier = await studio.phone("carrier", house.server.sip, host=CARRIER)
        call = await carrier.dial(house.uri(user), headers=headers)
        event = await house.application.event("initiate", user=user)
        assert event["from"] == known_as
        await call.bye()


async def test_a_trunk_that_comes_from_anywhere_is_known_by_its_digest_and_has_its_limits(
    house: House, studio: Studio
) -> None:
    options = {"host": STRANGER, "password": "offices-secret", "auth_user": "office"}
    pbx = await studio.phone("0012025550123", house.server.sip, **options)
    call = await pbx.dial(house.uri("room-c"))
    assert (await house.application.event("initiate", user="room-c"))["from"] == "+12025550123"
    more = pbx.invite(house.uri("room-c"))
    assert await more.refused() == 503
    assert more.final is not None and 0 < int(more.final["retry-after"]) <= 100
    await call.bye()


async def test_users_register_with_their_digest(house: House, studio: Studio) -> None:
    alice = await studio.phone("alice", house.server.sip, password="alices-secret")
    response = await alice.register(expires=120)
    assert response.status == 200
    assert any(str(alice.port) in contact for contact in response.all("contact"))
    assert (await alice.register(expires=0)).status == 200
    wrong = await studio.phone("alice", house.server.sip, password="wrong")
    assert (await wrong.register()).status in (401, 403)
    nobody = await studio.phone("nobody", house.server.sip, password="wrong")
    assert (await nobody.register()).status in (401, 403)


async def test_baresip_registers_though_it_stops_at_algorithms_that_it_does_not_know(house: House) -> None:
    registrar = f"127.0.0.1:{house.server.sip_port}"
    async with Baresip("alice", frequency=1130, password="alices-secret", registrar=registrar) as phone:
        await phone.registered()


async def test_unknown_methods_and_dialogs_are_refused(house: House, studio: Studio) -> None:
    phone = await studio.phone("bob", house.server.sip)
    assert (await phone.transact(phone.plain_request("SUBSCRIBE", house.uri("known")))).status in (405, 501)
    assert (await phone.transact(phone.plain_request("DANCE", house.uri("known")))).status in (405, 501)
    bye = phone.plain_request("BYE", house.uri("known"))
    bye.headers = [(n, v + ";tag=none" if n == "To" else v) for n, v in bye.headers]
    phone.server = None
    assert (await phone.transact(bye)).status == 481


async def test_a_cancelled_call_is_487_and_the_application_hears_of_it(house: House, studio: Studio) -> None:
    house.application.on("initiate", Reply(delay=3.0), user="room-slow")
    phone = await studio.phone("bob", house.server.sip)
    call = phone.invite(house.uri("room-slow"))
    await house.application.event("initiate", user="room-slow")
    await eventually(lambda: call.provisional)
    assert (await call.cancel()).status == 200
    assert await call.refused() == 487
    event = await house.application.event("disconnect", callId=await house.call_id("room-slow"))
    assert event["cause"] == "cancel"


async def test_the_answer_is_repeated_until_its_ack(house: House, studio: Studio) -> None:
    phone = await studio.phone("bob", house.server.sip)

    def answers() -> list[float]:
        return [
            rung.at
            for rung in phone.ladder
            if rung.message.status == 200 and rung.message.cseq[1] == "INVITE"
        ]

    phone.acks_when = lambda call: len(answers()) >= 3  # at 0, 0.5 and 1.5 s
    call = await phone.dial(house.uri("known"))
    acked = next(rung.at for rung in phone.ladder if rung.message.method == "ACK")
    await call.bye()
    assert sum(answer > acked for answer in answers()) <= 1, "of which one may have been under way"


async def test_while_stopping_new_calls_get_503_and_live_ones_a_bye(studio: Studio) -> None:
    house = await House.open(sections={"server": {"drain": 3}})
    try:
        phone = await studio.phone("bob", house.server.sip)
        call = await phone.dial(house.uri("room"))
        await house.joined(await house.call_id("room"))
        assert house.server.process is not None
        os.killpg(house.server.process.pid, signal.SIGTERM)
        await eventually(lambda: house.server.health()[0] in (0, 503))
        assert await phone.invite(house.uri("room")).refused() == 503
        assert call.state == "answered", "live calls go on while it drains"
        await call.ended()
        assert call.goodbye is not None
        await house.application.event("disconnect")
        await asyncio.to_thread(house.server.process.wait, 60)
    finally:
        await house.close()


async def test_the_application_id_is_the_configured_one(house: House, studio: Studio) -> None:
    phone = await studio.phone("bob", house.server.sip)
    await phone.dial(house.uri("room-app"))
    event = await house.application.event("initiate", user="room-app")
    assert (event["applicationId"], event["accountId"]) == (APPLICATION, ACCOUNT)
