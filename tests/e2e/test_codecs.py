"""Codecs on real sockets: changed within a call by either side, and heard by those who have others."""

import asyncio
import base64
import re
import secrets
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from G722 import G722

from tests.support import ffmpeg
from tests.support.ears import hears, voices
from tests.support.eventually import eventually
from tests.support.free_ports import free_range
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.sip_text import Message
from tests.support.studio import Studio
from tests.support.tones import once_heard, tones

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open(sections={"sip": {"srtp_keys_in_clear": True}})
    yield house
    await house.close()


class Wide:
    """A tone as G.722 sends it: a byte for two samples at 16 kHz, and 8000 of them a second."""

    def __init__(self, frequency: int) -> None:
        turns = 2 * np.pi * frequency * np.arange(16_000) / 16_000
        self.frequency = frequency
        self._samples = np.rint(3000 * np.sin(turns)).astype(np.int16)
        self._codec = G722(16_000, 64_000, False)

    def payload(self, law: str, position: int, count: int) -> bytes:
        place = 2 * position % 16_000
        encoded: bytes = self._codec.encode(np.tile(self._samples, 2)[place : place + 2 * count])
        return encoded


def wide_tones(call: PhoneCall) -> set[int]:
    """What a phone hears of the G.722 that it is sent, over the last 0.3 s."""
    packets = [packet for packet in call.line.received if packet.payload_type == 9]
    if not packets:
        return set()
    decoder = G722(16_000, 64_000, False)
    heard = np.concatenate([np.frombuffer(decoder.decode(packet.payload), np.int16) for packet in packets])
    return tones(heard[-4800::2].astype(np.int16))


def formats(sdp: bytes) -> list[str]:
    """Those of the audio line."""
    line = next(row for row in sdp.decode().split("\r\n") if row.startswith("m=audio"))
    return line.split()[3:]


def described(call: PhoneCall, types: str, *lines: str, port: int = 0) -> bytes:
    """Of the phone's own port, if nothing else is said."""
    host, port = call.socket.address[0], port or call.socket.address[1]
    head = f"v=0\r\no=b 1 9 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    secure = any(line.startswith("a=crypto:") for line in lines)
    audio = f"m=audio {port} RTP/{'SAVP' if secure else 'AVP'} {types}\r\n"
    return "".join([head, audio, *(f"{line}\r\n" for line in lines)]).encode()


async def offered(call: PhoneCall, body: bytes, reply: bytes = b"") -> Message:
    """A re-INVITE of the phone; `reply` is its answer where the other side is to offer."""
    response = await call._final(call.request("INVITE", body))
    assert response.status == 200, call.story()
    call._ack(response, reply)
    return response


async def test_a_codec_changes_within_a_call_by_the_offers_of_both_sides(
    house: House, studio: Studio
) -> None:
    room, (mine, its) = house.room(), voices()[2:4]
    alice = await (await studio.phone("alice", house.server.sip, sound=mine)).dial(house.uri(room))
    bob = await (await studio.phone("bob", house.server.sip, sound=its)).dial(house.uri(room))
    await hears(alice, [bob])

    answer = await offered(bob, described(bob, "9 0", "a=rtpmap:9 G722/8000"))
    assert formats(answer.body) == ["9"]
    wide = Wide(its.frequency)
    bob.line.payload_type, bob.line.sound = 9, wide
    await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its.frequency}, what=alice.story)
    await eventually(lambda: wide_tones(bob) == {mine.frequency}, what=bob.story)

    # The same in packets of 40 ms.
    await offered(bob, described(bob, "9 0", "a=rtpmap:9 G722/8000", "a=ptime:40"))
    await eventually(lambda: len(bob.line.received[-1].payload) == 320, what=bob.story)
    await eventually(lambda: wide_tones(bob) == {mine.frequency}, what=bob.story)

    # It asks us to offer, and takes a law out of what we do.
    offer = await offered(bob, b"", described(bob, "8"))
    assert formats(offer.body) == ["9", "111", "0", "8", "98", "97", "101", "102", "103"]
    bob.line.payload_type, bob.line.law, bob.line.laws, bob.line.sound = 8, "PCMA", {8: "PCMA"}, its
    await hears(alice, [bob])
    await hears(bob, [alice])


@pytest.mark.parametrize(
    ("codec", "payload_type", "suite"),
    [
        ("OPUS", 111, None),
        ("G722", 9, None),
        ("OPUS", 111, "AES_CM_128_HMAC_SHA1_80"),
        ("G722", 9, "AES_CM_128_HMAC_SHA1_32"),
    ],
)
async def test_ffmpeg_speaks_and_hears_in_a_conference(
    house: House, studio: Studio, codec: str, payload_type: int, suite: str | None
) -> None:
    """With keys: it reads and writes SRTP by its own code, not libsrtp's."""
    room, (mine, its) = house.room(), voices()[4:6]
    alice = await (await studio.phone("alice", house.server.sip, sound=mine)).dial(house.uri(room))
    bob = await (await studio.phone("bob", house.server.sip)).dial(house.uri(room))
    port = int(free_range(4).partition("-")[0])
    lines = [f"a=rtpmap:{payload_type} {ffmpeg.CODECS[codec][2]}", "a=ptime:20"]
    key, its_keys, our_keys = base64.b64encode(secrets.token_bytes(30)).decode(), None, None
    if suite is not None:
        its_keys = (suite, key)
        lines.append(f"a=crypto:1 {suite} inline:{key}")
    bob.line.sending = False
    answer = await offered(bob, described(bob, str(payload_type), *lines, port=port))
    assert formats(answer.body) == [str(payload_type)]
    if suite is not None:
        line = re.search(r"a=crypto:1 (\S+) inline:(\S+)", answer.body.decode())
        assert line is not None and line[1] == suite
        our_keys = (suite, line[2])

    async def hears_alice() -> bool:
        told = await ffmpeg.hears(codec, payload_type, port=port, seconds=1.0, keys=our_keys)
        return once_heard(told, {mine.frequency})

    await eventually(hears_alice, what=alice.story)  # again where the machine held somebody up

    ours = int(answer.body.decode().partition("m=audio ")[2].partition(" ")[0])

    async def is_heard() -> bool:
        speech = asyncio.create_task(
            ffmpeg.says(
                codec, payload_type, its.frequency, local_port=port, port=ours, seconds=1.5, keys=its_keys
            )
        )
        try:
            return bool(await eventually(lambda: tones(alice.line.pcm(last=0.3)) == {its.frequency}))
        finally:
            await speech

    await eventually(is_heard, what=alice.story)
