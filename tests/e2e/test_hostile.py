"""Garbage, webhooks that misbehave, clients that vanish: other calls do not notice."""

import random
import socket
import struct

import pytest

from tests.support.ears import all_hear_the_others, hears, keep_hearing, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import CallRefused, PhoneCall
from tests.support.server import ACCOUNT, APPLICATION
from tests.support.studio import Studio
from tests.support.webhook import Reply, bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")


def garbage(seed: int, count: int) -> list[bytes]:
    generator = random.Random(seed)
    invite = (
        b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK1\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: garbage\r\nCSeq: 1 INVITE\r\n\r\n"
    )
    made = [
        b"",
        b"\r\n\r\n",
        b"\0" * 60_000,
        b"SIP/2.0 200 OK\r\n\r\n",
        invite,
        invite[:40],
        invite.replace(b" ", b"\t"),
    ]
    made += [generator.randbytes(generator.randrange(1, 1400)) for _ in range(count)]
    for _ in range(count):
        broken = bytearray(invite)
        for _ in range(generator.randrange(1, 20)):
            broken[generator.randrange(len(broken))] = generator.randrange(256)
        made.append(bytes(broken))
    return made


async def test_garbage_on_the_sip_port_harms_nobody(house: House, pair: list[PhoneCall]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in garbage(1, 150):
            sock.sendto(data[:65_000], house.server.sip)
    for data in garbage(2, 20):
        with socket.create_connection(house.server.sip) as stream:
            stream.sendall(data)
    assert pair[0].state == "answered"


async def test_garbage_on_the_rtp_ports_harms_nobody(house: House, pair: list[PhoneCall]) -> None:
    """From strangers, and from the right address with nonsense in it; also oversized, empty and RTCP-like."""
    first, last = (int(port) for port in house.server.rtp_ports.split("-"))
    packets = garbage(3, 10)
    packets += [
        struct.pack("!BBHII", 0x80, kind, 1, 1, 1) + b"x" * 160 for kind in (0, 8, 13, 96, 127, 200, 201)
    ]
    packets += [
        b"\x80\0\0\1",
        b"\xbf\0\0\1" + bytes(20),
        b"\x90\0" + bytes(10) + b"\xff\xff\xff\xff",
        bytes(9000),
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for port in range(first, last + 1):
            for data in packets:
                sock.sendto(data, ("127.0.0.1", port))
    call = pair[0]
    for data in (
        b"",
        b"\x80",
        bytes(11),
        b"\x80\x00\x00\x01" + bytes(8),
        b"\x80\x7f" + bytes(3000),
        b"\xff" * 172,
    ):
        call.socket.send(data, call.server_media)


async def test_a_stranger_who_sprays_every_port_hears_and_says_nothing(
    house: House, studio: Studio, pair: list[PhoneCall]
) -> None:
    first, last = (int(port) for port in house.server.rtp_ports.split("-"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        loud = bytes([0x80] * 80 + [0x00] * 80)
        for sequence in range(50):
            for port in range(first, last + 1, 2):
                header = struct.pack("!BBHII", 0x80, 0, sequence, sequence * 160, 77)
                sock.sendto(header + loud, ("127.0.0.1", port))
            if sequence % 10 == 0:
                await keep_hearing(pair[0], [pair[1]], seconds=0.25)
        with pytest.raises(BlockingIOError):
            sock.recv(2048)


WEBHOOKS = [
    pytest.param(Reply(status=500), "callback-error", id="500"),
    pytest.param(Reply(status=302, headers={"Location": "/elsewhere"}), "callback-error", id="redirects"),
    pytest.param(Reply(b"not xml at all", content_type="text/plain"), "invalid-bxml", id="nonsense"),
    pytest.param(Reply(b"\xff\xfe\x00" * 100), "invalid-bxml", id="binary"),
    pytest.param(Reply(b"<Response>" + b" " * (1 << 20) + b"</Response>"), "callback-error", id="1 MB"),
    pytest.param(bxml("<Say>hello</Say>"), "invalid-bxml", id="unknown verb"),
    pytest.param(bxml('<Conference mute="maybe">x</Conference>'), "invalid-bxml", id="bad value"),
    pytest.param(
        '<!DOCTYPE r [<!ENTITY a "aaaa">]><Response><SpeakSentence>&a;</SpeakSentence></Response>',
        "invalid-bxml",
        id="entities",
    ),
    pytest.param(bxml("<Conference>x</Conference>" * 3000), "invalid-bxml", id="64 KB and more"),
]


@pytest.mark.parametrize("answer, cause", WEBHOOKS)
async def test_a_bad_answer_ends_its_call_alone(
    house: House, studio: Studio, pair: list[PhoneCall], answer: Reply | str, cause: str
) -> None:
    user = house.room()
    house.application.on("initiate", answer, user=user)
    phone = await studio.phone("victim", house.server.sip)
    call = phone.invite(house.uri(user))
    await eventually(lambda: call.state == "ended", what=call.story)
    event = await house.application.event("disconnect", callId=await house.call_id(user))
    assert event["cause"] == cause and event["errorMessage"], event


async def test_a_broken_conference_event_url_harms_nobody(house: House, studio: Studio) -> None:
    room = house.room()
    house.application.on("*", Reply(status=500), name=room)
    calls = []
    for voice in voices()[2:4]:
        phone = await studio.phone("member", house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(room)))
    await all_hear_the_others(calls)


async def test_a_webhook_that_hangs_and_a_client_that_vanishes_are_noticed_and_let_go(studio: Studio) -> None:
    house = await House.open(callback_timeout=6, sections={"rtp": {"silence_hangup": 6}})
    try:
        room = house.room()
        stays, ghost = [
            await (await studio.phone(name, house.server.sip, sound=voice)).dial(house.uri(room))
            for name, voice in (("stays", voices()[2]), ("ghost", voices()[8]))
        ]
        await hears(stays, [ghost])
        house.application.on("initiate", Reply(hang=True), user="hung")
        victim = (await studio.phone("victim", house.server.sip)).invite(house.uri("hung"))
        call_id = await house.call_id("hung")
        await keep_hearing(stays, [ghost])
        ghost.phone.deaf = True
        ghost.vanish()
        await victim.ended()
        event = await house.application.event("disconnect", callId=call_id)
        assert event["cause"] == "callback-error" and event["errorMessage"], event
        ids = [event["callId"] for event in house.application.of("conferenceMemberJoin", name=room)]
        await house.application.event("conferenceMemberExit", callId=ids[1])
        await hears(stays, [])
        assert stays.state == "answered"
        assert any(
            record.get("event") == "leg_silent" and record.get("call_id") == ids[1]
            for record in house.server.records()
        )
        metrics = house.server.metrics()
        assert any("silent" in name and value >= 1 for name, value in metrics.items()), metrics
    finally:
        await house.close()


async def test_a_send_to_an_impossible_address_stops_no_other(
    house: House, studio: Studio, pair: list[PhoneCall]
) -> None:
    """Broadcast, a closed port, nowhere: the SDP may name them; what is sent there fails or is lost."""
    for number, address in enumerate((("255.255.255.255", 4000), ("127.0.0.1", 1), ("203.0.113.1", 9))):
        phone = await studio.phone(f"odd-{number}", house.server.sip, sound=voices()[4 + number])
        call = phone.invite(house.uri(house.room()), sdp_address=address)
        try:
            await call.answered()
        except CallRefused as refusal:
            assert refusal.status in (400, 488), refusal
            continue
        await keep_hearing(pair[0], [pair[1]], seconds=0.3)
        await call.bye()


async def test_an_unsupported_verb_is_an_application_error(house: House, studio: Studio) -> None:
    user = house.room()
    house.tell(user, '<StartStream destination="wss://127.0.0.1/x"/>')
    phone = await studio.phone("victim", house.server.sip)
    call = phone.invite(house.uri(user))
    await eventually(lambda: call.state == "ended", what=call.story)
    event = await house.application.event("disconnect", callId=await house.call_id(user))
    assert event["cause"] == "application-error"
    assert "StartStream" in event["errorMessage"]


async def test_the_account_and_application_are_told_apart(house: House) -> None:
    async def status(path: str) -> int:
        found, _ = await house.rest.request("GET", path)
        return found

    assert await status("/calls/c-none") == 404
    house.rest.base = house.rest.base.replace(ACCOUNT, "9900001")
    try:
        assert await status("/calls") == 403
    finally:
        house.rest.base = house.server.api
    assert APPLICATION
