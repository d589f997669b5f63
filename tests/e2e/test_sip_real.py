"""What real peers ask of SIP beyond a plain call: reliable ringing, session timers, TLS, WebSocket."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from tests.support.certificates import Authority
from tests.support.collector import Collector, Copy
from tests.support.eventually import PATIENCE, eventually
from tests.support.free_ports import free_port
from tests.support.house import House
from tests.support.jssip import JsSip
from tests.support.server import APPLICATION
from tests.support.sipp import Sipp
from tests.support.webhook import PATIENT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIP, TLS, WS, WSS, HEP = (free_port() for _ in range(5))
ORIGIN = "https://phone.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(authority: Authority) -> AsyncIterator[House]:
    ours = authority.issue("DNS:localhost", "IP:127.0.0.1")
    listen = [f"tls:127.0.0.1:{TLS}", f"ws:127.0.0.1:{WS}", f"wss:127.0.0.1:{WSS}"]
    sip = {
        "listen": [f"udp:127.0.0.1:{SIP}", f"tcp:127.0.0.1:{SIP}", *listen],
        "certificate": ours.certificate,
        "private_key": ours.private_key,
        "authorities": authority.certificate,
        "origins": [ORIGIN],
        "hep": f"udp:localhost:{HEP}",
        "hep_id": 2001,
    }
    house = await House.open(sections={"sip": sip})
    yield house
    await house.close()


@pytest.mark.parametrize("transport", ["u1", "t1"])
async def test_a_caller_who_requires_reliable_ringing_and_a_timer(house: House, transport: str) -> None:
    room = house.room()
    house.tell(room, f'<Ring answerCall="false" duration="2"/><Conference>{room}</Conference>')
    async with Sipp(
        "uac_reliable", remote=("127.0.0.1", SIP), user=room, calls=3, transport=transport
    ) as sipp:
        await sipp.done()


async def test_a_gateway_whose_only_description_is_in_a_reliable_183(house: House) -> None:
    room = house.room()
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    async with Sipp("uas_reliable") as sipp:
        status, body = await house.rest.post(
            "/calls",
            {
                "from": "+19195550100",
                "to": f"sip:service@127.0.0.1:{sipp.port}",
                "applicationId": APPLICATION,
                "answerUrl": house.application.url("/answer"),
                "disconnectUrl": house.application.url("/gone"),
                "tag": room,
            },
        )
        assert status == 201
        await sipp.done()
    event = await house.application.event("disconnect", callId=body["callId"])
    assert event["cause"] == "hangup"


def options(transport: str) -> bytes:
    lines = (
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} there.invalid;branch=z9hG4bK{transport}\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:a@there.invalid>;tag=1\r\nTo: <sip:127.0.0.1>\r\n"
        f"Call-ID: {transport}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    return lines.encode()


async def test_tls_shows_the_configured_certificate_and_answers_and_a_collector_hears_of_it(
    house: House, authority: Authority
) -> None:
    async with Collector(HEP) as collector:
        await asks_over_tls(authority)
        copies = await eventually(lambda: both(collector))
    asked, answered = copies
    assert asked.payload.startswith(b"OPTIONS ") and answered.payload.startswith(b"SIP/2.0 200 ")
    assert asked.destination == answered.source == ("127.0.0.1", TLS) and asked.agent == 2001
    assert house.server.metrics()["mixminus_sip_hep_dropped_total"] > 0, "nobody was there at first"


def both(collector: Collector) -> list[Copy]:
    """The request and its response, among whatever else passes."""
    copies = [copy for copy in collector.copies if b"CSeq: 1 OPTIONS" in copy.payload]
    return copies if len(copies) == 2 else []


async def asks_over_tls(authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.certificate)
    reader, writer = await asyncio.open_connection("127.0.0.1", TLS, ssl=context, server_hostname="localhost")
    writer.write(options("TLS"))
    async with asyncio.timeout(PATIENCE):
        assert (await reader.readline()).startswith(b"SIP/2.0 200 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("transport", ["ws", "wss"])
async def test_a_browser_of_a_named_page_is_answered(
    house: House, authority: Authority, transport: str
) -> None:
    secured = ssl.create_default_context(cafile=authority.certificate) if transport == "wss" else None
    async with connect(
        f"{transport}://localhost:{WS if secured is None else WSS}/",
        subprotocols=[Subprotocol("sip")],
        origin=Origin(ORIGIN),
        ssl=secured,
        proxy=None,
    ) as line:
        await line.send(options(transport.upper()).decode())
        async with asyncio.timeout(PATIENCE):
            answer = await line.recv()
        assert str(answer).startswith("SIP/2.0 200 ")


@pytest.mark.parametrize("transport", ["ws", "wss"])
async def test_jssip_registers_calls_holds_presses_keys_and_is_rung(
    house: House, authority: Authority, transport: str
) -> None:
    """Signalling alone, as a page would do it. What a browser offers as media is refused as such."""
    user, room = f"jssip-{transport}", house.room()
    url = f"{transport}://localhost:{WS if transport == 'ws' else WSS}/"
    house.tell(room, f'<Gather maxDigits="1" gatherUrl="/gathered" {PATIENT}/>')
    joins = f'<Response><Conference conferenceEventUrl="/conference">{room}</Conference></Response>'
    house.application.on("gather", joins, user=room)
    uri = f"sip:{user}@localhost"
    async with JsSip(url, uri, origin=ORIGIN, authority=authority.certificate) as phone:
        await phone({"do": "call", "to": f"sip:{room}@localhost"})
        await phone.told("confirmed")
        call_id = await house.call_id(room)
        await phone({"do": "key", "key": "5"})
        gathered = await house.application.event("gather", callId=call_id)
        assert gathered["digits"] == "5"
        await house.joined(call_id)
        await phone({"do": "hold"})
        await phone.told("held")
        await phone({"do": "unhold"})
        await phone.told("unheld")
        await phone({"do": "bye"})
        event = await house.application.event("disconnect", callId=call_id)
        assert event["cause"] == "hangup"

        await phone({"do": "call", "to": f"sip:{room}@localhost", "webrtc": True})
        assert (await phone.told("refused"))["status"] == 488

        house.application.on("answer", joins, tag=user)
        order = {
            "from": "+19195550100",
            "to": f"sip:{user}@localhost",
            "applicationId": APPLICATION,
            "answerUrl": house.application.url("/answer"),
            "tag": user,
        }
        status, body = await house.rest.post("/calls", order)
        assert status == 201
        await phone.told("confirmed", 2)
        await house.joined(body["callId"])
        assert (await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
        assert (await phone.told("ended", 2))["by"] == "remote"


async def test_the_server_calls_itself_over_tls(house: House) -> None:
    """As a peer of a peer: the name is checked, the call is answered, and both ends are told."""
    room = house.room()
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    status, body = await house.rest.post(
        "/calls",
        {
            "from": "+19195550100",
            "to": f"sip:{room}@localhost:{TLS};transport=tls",
            "applicationId": APPLICATION,
            "answerUrl": house.application.url("/answer"),
            "tag": room,
        },
    )
    assert status == 201
    await eventually(lambda: len(house.application.of("conferenceMemberJoin")) >= 1)
    assert (await house.rest.post(f"/calls/{body['callId']}", {"state": "completed"}))[0] == 200
