"""POST /calls: to a SIP URI, through a trunk with digest, to a registered user, and every way it can fail."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.ears import all_hear_the_others, voices
from tests.support.eventually import eventually
from tests.support.free_ports import free_port
from tests.support.house import House
from tests.support.server import APPLICATION
from tests.support.sip_text import tag
from tests.support.sipp import Sipp
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARRIER, SIPP = free_port(), free_port()
NUMBER = "+19195550100"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    trunk = {"transport": "udp", "username": "carrier-user", "password": "carrier-secret"}
    sections = {
        "sip": {"srtp": "off", "srtp_keys_in_clear": True},
        "users": [
            {"name": "alice", "password": "alices-secret"},
            {"name": "careful", "password": "careful-secret", "srtp": "required"},
        ],
        "trunks": [
            {"name": "carrier", "host": f"127.0.0.1:{CARRIER}", "numbers": ["+1919*"], **trunk},
            {"name": "sipp", "host": f"127.0.0.1:{SIPP}", "numbers": ["+1920*"], **trunk},
        ],
    }
    house = await House.open(sections=sections)
    yield house
    await house.close()


def order(house: House, to: str, **more: Any) -> dict[str, Any]:
    return {
        "from": NUMBER,
        "to": to,
        "applicationId": APPLICATION,
        "answerUrl": house.application.url("/answer"),
        "disconnectUrl": house.application.url("/gone"),
        **more,
    }


async def test_a_call_that_rings_at_one_phone_is_picked_up_at_another(house: House, studio: Studio) -> None:
    desk = await studio.phone("desk", answers="ring")
    room = house.room()
    house.tell(room, f"<Transfer><SipUri>{desk.uri}</SipUri></Transfer>")
    caller = await studio.phone("caller", house.server.sip, sound=voices()[0])
    call = await caller.dial(house.uri(room))
    ringing = await desk.incoming()
    await eventually(lambda: ringing.state == "ringing", what=ringing.story)
    dialog = f"{ringing.call_id};to-tag={tag(ringing.remote)};from-tag={ringing.local_tag}"
    other = await studio.phone("other", house.server.sip, sound=voices()[5])
    wrong = other.invite(house.uri(room), headers=(("Replaces", f"{dialog}x;early-only"),))
    assert await wrong.refused() == 481 and ringing.state == "ringing"
    taken = await other.dial(house.uri(room), headers=(("Replaces", f"{dialog};early-only"),))
    await ringing.ended()
    assert ringing.goodbye is not None and ringing.goodbye.method == "CANCEL"
    await all_hear_the_others([call, taken])
    again = desk.invite(house.uri(room), headers=(("Replaces", f"{dialog};early-only"),))
    assert await again.refused() in (481, 603), "it rings no more"
    await taken.bye()
    await call.ended()


async def test_an_answered_call_gets_its_bxml_and_joins(house: House, studio: Studio) -> None:
    room = house.room()
    alice = await studio.phone("caller", house.server.sip, sound=voices()[0])
    inbound = await alice.dial(house.uri(room))
    bob = await studio.phone("bob", sound=voices()[3])
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    status, body = await house.rest.post("/calls", order(house, bob.uri, tag=room))
    assert status == 201
    assert body["callUrl"].endswith(body["callId"])
    outbound = await bob.incoming()
    await all_hear_the_others([inbound, outbound])
    event = await house.application.event("answer", callId=body["callId"])
    assert (event["direction"], event["to"], event["from"]) == ("outbound", bob.uri, NUMBER)
    assert event["tag"] == room
    assert event["answerTime"]
    status, call = await house.rest.get(f"/calls/{body['callId']}")
    assert (status, call["state"]) == (200, "answered")
    await outbound.bye()
    event = await house.application.event("disconnect", callId=body["callId"])
    assert (event.path, event["cause"]) == ("/gone", "hangup")


async def test_a_number_goes_out_through_its_trunk_with_digest(house: House, studio: Studio) -> None:
    carrier = await studio.phone("carrier", port=CARRIER, sound=voices()[2])
    carrier.demands = ("carrier-user", "carrier-secret")
    room = house.room()
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    status, body = await house.rest.post("/calls", order(house, "+19195551234", tag=room))
    assert status == 201
    await carrier.incoming()
    await house.application.event("answer", callId=body["callId"])
    invites = [rung.message for rung in carrier.ladder if rung.message.method == "INVITE"]
    invites = [message for message in invites if message.is_request]
    assert [message.get("proxy-authorization") is not None for message in invites] == [False, True]
    assert invites[0].cseq[0] + 1 == invites[1].cseq[0]
    assert "sip:+19195551234@" in invites[1].uri
    assert "carrier-secret" not in house.server.log


async def test_sipp_as_the_trunk_checks_the_digest_too(house: House) -> None:
    async with Sipp("uas_digest", port=SIPP) as sipp:
        house.application.on("answer", '<Response><Pause duration="0.3"/></Response>', to="+19205551234")
        status, body = await house.rest.post("/calls", order(house, "+19205551234"))
        assert status == 201
        event = await house.application.event("disconnect", callId=body["callId"])
        assert event["cause"] == "hangup", event
        await sipp.done()


async def test_a_number_without_a_trunk_is_refused(house: House) -> None:
    status, body = await house.rest.post("/calls", order(house, "+4420123456"))
    assert (status, body["type"]) == (400, "validation")


async def test_a_registered_user_is_rung_where_he_is(house: House, studio: Studio) -> None:
    alice = await studio.phone("alice", house.server.sip, password="alices-secret")
    status, body = await house.rest.post("/calls", order(house, house.uri("alice")))
    assert status == 201, "who is not registered now may be when it is his turn"
    event = await house.application.event("disconnect", callId=body["callId"])
    assert (event["cause"], event["sipResponseCode"]) == ("rejected", 480)
    assert (await alice.register()).status == 200
    house.application.on("answer", '<Response><Pause duration="30"/></Response>', to=house.uri("alice"))
    status, body = await house.rest.post("/calls", order(house, house.uri("alice")))
    assert status == 201
    call = await alice.incoming()
    await eventually(lambda: call.state == "answered")
    await call.bye()


async def test_a_user_who_wants_srtp_alone_calls_and_is_called_with_nothing_else(
    house: House, studio: Studio
) -> None:
    room = house.room()
    phone = await studio.phone("careful", house.server.sip, password="careful-secret", answers="ring")
    assert (await phone.register()).status == 200
    assert await phone.invite(house.uri(room)).refused() == 488
    status, _ = await house.rest.post("/calls", order(house, house.uri("careful")))
    assert status == 201
    rung = await phone.incoming()
    assert rung.invite is not None and b"RTP/SAVP" in rung.invite.body
    rung.refuse(486)
    other = await studio.phone("caller", house.server.sip, sound=voices()[0])
    sealed = await phone.dial(house.uri(room), suite="AES_CM_128_HMAC_SHA1_80", sound=voices()[3])
    await all_hear_the_others([sealed, await other.dial(house.uri(room))])


@pytest.mark.parametrize(
    "answers, cause",
    [(486, "busy"), (600, "busy"), (603, "rejected"), (404, "rejected"), (480, "timeout"), (500, "error")],
)
async def test_a_refusal_names_its_cause(house: House, studio: Studio, answers: int, cause: str) -> None:
    bob = await studio.phone("bob", answers=answers)
    status, body = await house.rest.post("/calls", order(house, bob.uri))
    assert status == 201
    event = await house.application.event("disconnect", callId=body["callId"])
    assert (event["cause"], event["sipResponseCode"]) == (cause, answers)
    _, call = await house.rest.get(f"/calls/{body['callId']}")
    assert call["disconnectCause"] == cause


async def test_ringing_too_long_is_cancelled(house: House, studio: Studio) -> None:
    bob = await studio.phone("bob", answers="ring")
    began = time.monotonic()
    _, body = await house.rest.post("/calls", order(house, bob.uri, callTimeout=1.0))
    event = await house.application.event("disconnect", callId=body["callId"])
    assert event["cause"] == "timeout"
    assert time.monotonic() - began > 0.8
    call = await bob.incoming()
    await call.ended()
    assert call.goodbye is not None and call.goodbye.method == "CANCEL"


async def test_completing_a_ringing_call_cancels_it(house: House, studio: Studio) -> None:
    bob = await studio.phone("bob", answers="ring")
    _, body = await house.rest.post("/calls", order(house, bob.uri))
    call = await bob.incoming()
    assert (await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
    await call.ended()
    event = await house.application.event("disconnect", callId=body["callId"])
    assert event["cause"] == "cancel"


async def test_a_late_answer_to_a_cancelled_call_is_hung_up(house: House, studio: Studio) -> None:
    bob = await studio.phone("bob", answers="ring")
    _, body = await house.rest.post("/calls", order(house, bob.uri))
    call = await bob.incoming()
    call.accept()
    assert (await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
    await call.ended()
    await house.application.event("disconnect", callId=body["callId"])


async def test_a_call_that_reaches_nobody_can_be_given_up(house: House) -> None:
    _, body = await house.rest.post("/calls", order(house, f"sip:x@127.0.0.1:{free_port()}"))
    assert (await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
    event = await house.application.event("disconnect", callId=body["callId"])
    assert event["cause"] in ("cancel", "error")


async def test_a_codec_the_server_lacks_ends_the_call(house: House, studio: Studio) -> None:
    bob = await studio.phone("bob", answers="ring")
    _, body = await house.rest.post("/calls", order(house, bob.uri))
    call = await bob.incoming()
    host, port = call.socket.address
    sdp = f"v=0\r\no=b 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 18\r\n"
    assert call.invite is not None
    bob.respond(call.invite, 200, sdp.encode(), to_tag=call.local_tag)
    call.state = "answered"
    await call.ended()
    event = await house.application.event("disconnect", callId=body["callId"])
    assert event["cause"] == "error", event


async def test_two_answers_at_one_address_land_on_two_ports(house: House, studio: Studio) -> None:
    """Both peers answer from one RTP address and port: the second call's SDP must move to another of ours."""
    room = house.room()
    bob = await studio.phone("bob", sound=voices()[0])
    carol = await studio.phone("carol", sound=voices()[5])
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    await house.rest.post("/calls", order(house, bob.uri, tag=room))
    first = await bob.incoming()
    carol.media = type(carol.media)(sound=carol.media.sound, socket=first.socket)
    await house.rest.post("/calls", order(house, carol.uri, tag=room))
    second = await carol.incoming()
    await eventually(lambda: first.server_media != second.server_media, what=second.story)
    await all_hear_the_others([first, second])
    await asyncio.gather(first.bye(), second.bye())
