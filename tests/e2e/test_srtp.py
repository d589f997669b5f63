"""Calls with SRTP, and RTCP both ways, over real sockets."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rtp.rtcp import parse_compound
from tests.support.baresip import Baresip
from tests.support.ears import all_hear_the_others, keep_hearing, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.linphone import Linphone
from tests.support.phone import Media, PhoneCall
from tests.support.rest import Rest
from tests.support.sealing import SUITES
from tests.support.server import ACCOUNT, APPLICATION
from tests.support.studio import Studio
from tests.support.tones import tones

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open(sections={"sip": {"srtp": "optional", "srtp_keys_in_clear": True}})
    yield house
    await house.close()


async def count(house: House, name: str) -> float:
    metrics: dict[str, float] = await asyncio.to_thread(house.server.metrics)
    return metrics[f"mixminus_media_{name}_total"]


async def rejected(house: House) -> float:
    # What is numbered as if it were old is taken for a replay before its key is looked at.
    return await count(house, "srtp_rejected") + await count(house, "srtp_replayed")


async def statistics(house: House, call_id: str) -> dict[str, Any]:
    async with Rest(house.server) as rest:
        rest.base = f"{house.server.http}/api/mixminus/v1/accounts/{ACCOUNT}"
        status, body = await rest.get(f"/calls/{call_id}/statistics")
    assert status == 200, body
    return dict(body["media"])


async def dialled(house: House, studio: Studio, room: str, user: str, voice: int, **media: Any) -> PhoneCall:
    phone = await studio.phone(user, house.server.sip, sound=voices()[voice], media=Media(**media))
    house.seat(user, room)
    return await phone.dial(house.uri(user))


async def test_phones_with_every_suite_and_one_without_hear_each_other_and_keys_may_change(
    house: House, studio: Studio
) -> None:
    room = house.room()
    calls = [
        await dialled(house, studio, room, f"secure-{place}", place, suite=suite)
        for place, suite in enumerate(SUITES)
    ]
    calls.append(await dialled(house, studio, room, "plain", len(SUITES)))
    await all_hear_the_others(calls)

    before = await rejected(house)
    sources = [call.line.received[-1].ssrc for call in calls]
    for call in calls[:2]:
        renewed = call.line.sealing
        assert renewed is not None
        renewed.renew()
        others = [other for other in calls if other is not calls[2]]
        heard = asyncio.create_task(keep_hearing(calls[2], others))
        assert (await call.reoffer("sendrecv")).status == 200
        await heard
    await all_hear_the_others(calls)
    changed = [call.line.received[-1].ssrc != source for call, source in zip(calls, sources, strict=True)]
    assert changed == [True, True, False, False, False]
    assert await rejected(house) == before
    assert all(not call.line.sealing.refused for call in calls[2:-1] if call.line.sealing is not None)


async def test_garbage_at_the_port_of_a_call_with_keys_is_counted_and_changes_nothing(
    house: House, studio: Studio
) -> None:
    room = house.room()
    alice = await dialled(house, studio, room, "alice", 0, suite="AES_CM_128_HMAC_SHA1_80")
    bob = await dialled(house, studio, room, "bob", 1, suite="AEAD_AES_128_GCM")
    await all_hear_the_others([alice, bob])
    before = await rejected(house)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(2000):
            header = struct.pack("!BBHII", 0x80, 0, number, 160 * number, alice.line.ssrc)
            alice.socket.send(
                header + bytes(170), alice.server_media
            )  # from the very source, without its key
            stranger.sendto(header + bytes(170), alice.server_media)
            if number % 50 == 0:
                await asyncio.sleep(0.01)

    async def noticed() -> bool:
        return await rejected(house) >= before + 1900

    await eventually(noticed, what=alice.story)
    await all_hear_the_others([alice, bob])


async def test_reports_go_both_ways_on_one_port_and_tell_the_round_trip(house: House, studio: Studio) -> None:
    room = house.room()
    plain = await dialled(house, studio, room, "reporting", 0, rtcp_mux=True)
    secure = await dialled(
        house, studio, room, "reporting-secure", 1, rtcp_mux=True, suite="AES_CM_128_HMAC_SHA1_80"
    )
    for call, user in ((plain, "reporting"), (secure, "reporting-secure")):
        await eventually(lambda call=call: call.line.reports, what=call.story)  # type: ignore[misc]
        said = parse_compound(call.line.reports[-1])
        assert said is not None and said.ntp is not None
        assert [block.ssrc for block in said.blocks] == [call.line.ssrc]
        assert said.sender == call.line.received[-1].ssrc
        block = struct.pack("!IIIIII", said.sender, 64 << 24 | 3, 0, 80, said.ntp, 0)
        call.line.report(struct.pack("!BBHI", 0x81, 201, 7, call.line.ssrc) + block)
        call_id = await house.call_id(user)

        async def told(call_id: str = call_id) -> dict[str, Any]:
            figures = await statistics(house, call_id)
            assert figures["reportedLost"] == 3 and figures["reportedLoss"] == 0.25, figures
            return figures

        figures = await eventually(told, what=call.story)
        assert figures["reportedJitterMilliseconds"] == 10.0
        age = 1000 * (time.time() - call.line.received[0].at)
        assert figures["roundTripMilliseconds"] is not None and figures["roundTripMilliseconds"] < age


async def ring(house: House, room: str, uri: str) -> str:
    """An order for a call into the room; its id."""
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    order = {
        "from": "+19195550100",
        "to": uri,
        "applicationId": APPLICATION,
        "answerUrl": house.application.url("/answer"),
        "tag": room,
    }
    status, body = await house.rest.post("/calls", order)
    assert status == 201, body
    return str(body["callId"])


async def suite_of(house: House, call_id: str) -> str | None:
    """What the call is encrypted with, by REST; its figures are there a moment after its sound."""

    async def told() -> list[str | None]:
        async with Rest(house.server) as rest:
            rest.base = f"{house.server.http}/api/mixminus/v1/accounts/{ACCOUNT}"
            media = (await rest.get(f"/calls/{call_id}/statistics"))[1]["media"]
        return [] if media is None else [media["srtp"]]

    (suite,) = await eventually(told)
    return suite  # type: ignore[no-any-return]


async def test_baresip_is_encrypted_when_it_offers_keys_and_when_it_is_offered_some(
    house: House, studio: Studio
) -> None:
    """Under RTP/AVP, which leaves it to the other side. The report in the clear by which baresip opens its
    way is no attack."""
    room, before = house.room(), await rejected(house)
    alice = await dialled(house, studio, room, "with-baresip", 2)
    house.seat("baresip-room", room)
    mine, its = voices()[2].frequency, voices()[6].frequency
    async with Baresip("baresip", frequency=its, keys_offered=True) as phone:
        await phone.dial(house.uri("baresip-room"))
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its}, what=phone.story)
        await eventually(lambda: tones(phone.heard(last=0.2)) == {mine}, what=phone.story)
        assert await suite_of(house, await house.call_id("baresip-room")) in SUITES
        await phone.hold()
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == set(), what=phone.story)
        await phone.resume()
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its}, what=phone.story)
        await eventually(lambda: tones(phone.heard(last=0.2)) == {mine}, what=phone.story)
        await phone.hang_up()

        call_id = await ring(house, room, f"sip:baresip@127.0.0.1:{phone.port}")
        await phone.answer()
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its}, what=phone.story)
        assert await suite_of(house, call_id) in SUITES
    assert await rejected(house) == before and await count(house, "rtcp_in_clear") > 0


@pytest.mark.parametrize(
    ("codec", "rate", "sound", "insists"), [("opus", 48000, 48000, True), ("G722", 8000, 16000, False)]
)
async def test_linphone_is_encrypted_when_it_dials_and_where_it_insists_when_it_is_rung(
    house: House, studio: Studio, codec: str, rate: int, sound: int, insists: bool
) -> None:
    """It offers and takes keys under RTP/SAVP alone: an offer of RTP/AVP it refuses, or answers in the
    clear."""
    room = house.room()
    alice = await dialled(house, studio, room, "with-linphone", 3)
    house.seat("linphone-room", room)
    mine, its = voices()[3].frequency, voices()[9].frequency
    linphone = Linphone("linphone", frequency=its, codec=codec, rate=rate, encryption="srtp", insists=insists)
    async with linphone as phone:
        await phone.register(f"127.0.0.1:{house.server.sip_port}", "none")
        await phone.dial(house.uri("linphone-room"))
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its}, what=phone.story)
        await eventually(lambda: tones(phone.heard(last=0.2, rate=sound)) == {mine}, what=phone.story)
        assert await suite_of(house, await house.call_id("linphone-room")) in SUITES
        phone.order("pause")
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == set(), what=phone.story)
        phone.order("resume 1")
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its}, what=phone.story)
        await eventually(lambda: tones(phone.heard(last=0.2, rate=sound)) == {mine}, what=phone.story)
        phone.order("terminate")
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == set())

        call_id = await ring(house, room, house.uri("linphone"))
        await phone.said("incoming call")
        phone.order("answer")
        await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its}, what=phone.story)
        assert (await suite_of(house, call_id) in SUITES) == insists
