"""Keys as phones send them: a Gather with its prompts and time-outs, each key of a conference, ringing."""

import os
import struct
import time
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest

from media.tones import keys
from tests.support.ears import held_up, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.prompts import wav
from tests.support.rtp_line import unwrapped
from tests.support.sipp import Sipp
from tests.support.sounds import Samples, noise
from tests.support.studio import Studio
from tests.support.tones import find, is_silent, level, longest_whole, loud_span
from tests.support.webhook import PATIENT, bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

REST = '<Pause duration="60"/>'
RELAY = "application/dtmf-relay"
SIPP_HAS_KEYS = Path("/usr/share/sip-tester/dtmf_2833_0.pcap").exists()


async def caller(house: House, studio: Studio, user: str, **options: object) -> PhoneCall:
    phone = await studio.phone("caller", house.server.sip)
    return await phone.dial(house.uri(user), **options)  # type: ignore[arg-type]


async def info(call: PhoneCall, kind: str, body: str) -> int:
    """The status that answers an INFO."""
    request = call.request("INFO", headers=(("Content-Type", kind),))
    return (await call.phone.transact(replace(request, body=body.encode()))).status


async def gathered(house: House, call_user: str, number: int = 1) -> tuple[str, str]:
    """Digits and terminating digit of a gather event."""
    call_id = await house.call_id(call_user)
    event = await house.application.event("gather", number=number, callId=call_id)
    return event["digits"], event["terminatingDigit"]


def sound_file(house: House, name: str, seconds: float, seed: int) -> np.typing.NDArray[np.int16]:
    """A sound like no other, at /NAME.wav of the application."""
    samples = noise(seed, seconds, 6000)
    house.application.files[f"/{name}.wav"] = (wav(samples), "audio/wav")
    return samples


# Gather


async def test_a_pin_by_rfc_4733_ends_at_its_terminating_digit(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, f'<Gather gatherUrl="/pin" terminatingDigits="#" tag="pin" {PATIENT}/>')
    house.application.on("gather", bxml(f"<Conference>{room}</Conference>"), tag="pin")
    call = await caller(house, studio, room)
    call.line.press("10*D#")
    assert await gathered(house, room) == ("10*D", "#")
    event = house.application.of("gather", tag="pin")[-1]
    assert event.path == "/pin" and event["to"].startswith(f"sip:{room}@")
    assert {"accountId", "applicationId", "callUrl", "startTime", "answerTime"} <= set(event.body)


async def test_the_prompt_stops_at_the_first_digit(house: House, studio: Studio) -> None:
    room = house.room()
    long = sound_file(house, "long", 20.0, 41)
    house.tell(
        room,
        f'<Gather gatherUrl="/pin" maxDigits="2" {PATIENT}><PlayAudio>/long.wav</PlayAudio></Gather>{REST}',
    )
    house.application.on("gather", bxml(REST), path="/pin")
    call = await caller(house, studio, room)
    await eventually(lambda: loud_span(call.line.pcm()) != (0, 0))
    await eventually(lambda: len(call.line.audio) > 60)
    call.line.press("5")
    await eventually(lambda: not call.line.pressing)
    heard = len(call.line.audio)
    await eventually(
        lambda: len(call.line.audio) > heard + 40 and is_silent(call.line.pcm(last=0.5)), what=call.story
    )
    assert call.line.find(long[-16000:])[0] < 0.5, "its end is not heard"
    assert house.application.of("gather", callId=await house.call_id(room)) == []
    call.line.press("6")
    assert await gathered(house, room) == ("56", "")


async def test_digits_typed_ahead_of_the_prompt_are_taken_and_it_is_not_heard(
    house: House, studio: Studio
) -> None:
    room = house.room()
    welcome = sound_file(house, "welcome", 1.0, 42)
    menu = sound_file(house, "menu", 5.0, 43)
    house.tell(
        room,
        '<PlayAudio>/welcome.wav</PlayAudio><Gather gatherUrl="/pin" maxDigits="4" terminatingDigits="#" '
        f"{PATIENT}><PlayAudio>/menu.wav</PlayAudio></Gather>",
    )
    house.application.on("gather", bxml(REST), path="/pin")
    call = await caller(house, studio, room)
    call.line.press("471", milliseconds=60)
    await eventually(lambda: call.line.find(welcome)[0] > 0.9)
    call.line.press("1", milliseconds=60)
    assert await gathered(house, room) == ("4711", "")
    assert call.line.find(menu[:800])[0] < 0.5, "not even its first tenth of a second"


async def test_time_outs_of_the_first_and_of_the_next_digit(house: House, studio: Studio) -> None:
    room = house.room()
    prompt = sound_file(house, "ask", 0.5, 44)
    house.tell(
        room,
        '<Gather gatherUrl="/first" firstDigitTimeout="1.5"><PlayAudio>/ask.wav</PlayAudio></Gather>',
    )
    again = bxml('<Gather gatherUrl="/next" firstDigitTimeout="60" interDigitTimeout="1"/>')
    house.application.on("gather", again, path="/first")
    house.application.on("gather", bxml(REST), path="/next")
    call = await caller(house, studio, room)
    assert await gathered(house, room) == ("", "")
    (first,) = house.application.of("gather", callId=await house.call_id(room))
    begin = call.line.due(call.line.audio[0].timestamp) + call.line.find(prompt)[1] / 8000
    assert first.at - begin > 0.5 + 1.5 - 0.1

    pressed = time.time()
    call.line.press("8")
    assert await gathered(house, room, number=2) == ("8", "")
    event = house.application.of("gather", callId=await house.call_id(room))[1]
    assert event.path == "/next"
    assert event.at - pressed > 1.0


async def test_the_prompt_is_repeated_with_its_pause_and_then_the_next_verb_runs(
    house: House, studio: Studio
) -> None:
    room, farewell = house.room(), sound_file(house, "bye", 0.4, 46)
    prompt = sound_file(house, "again", 0.4, 45)
    house.tell(
        room,
        '<Gather firstDigitTimeout="0.7" repeatCount="3"><PlayAudio>/again.wav</PlayAudio></Gather>'
        "<PlayAudio>/bye.wav</PlayAudio>",
    )
    call = await caller(house, studio, room)
    await call.ended()
    heard, there = call.line.pcm(), call.line.there()
    starts = []
    for _ in range(3):
        score, lag = find(prompt, heard, there)
        assert score > 0.9
        starts.append(lag)
        heard[lag : lag + len(prompt)] = 0
    assert find(prompt, heard)[0] < 0.3, "three times and not a fourth"
    for sooner, later in pairwise(sorted(starts)):
        assert (later - sooner) / 8000 > 0.4 + 0.7 - 0.05
    score, lag = call.line.find(farewell)
    assert score > 0.9 and lag > max(starts) + len(prompt)
    assert house.application.of("gather", callId=await house.call_id(room)) == []


@pytest.mark.parametrize("kind", [RELAY, "application/dtmf"])
async def test_digits_come_by_info_too(house: House, studio: Studio, kind: str) -> None:
    room = house.room()
    house.tell(room, f'<Gather gatherUrl="/info" maxDigits="3" {PATIENT}/>')
    house.application.on("gather", bxml(REST), path="/info")
    call = await caller(house, studio, room, dtmf=None)
    for key in "4*A":
        body = f"Signal={key}\r\nDuration=160\r\n" if kind == RELAY else key
        assert await info(call, kind, body) == 200
    assert await gathered(house, room) == ("4*A", "")


async def test_a_phone_that_sends_both_ways_presses_each_key_once(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, f'<Gather gatherUrl="/both" terminatingDigits="#" {PATIENT}/>')
    house.application.on("gather", bxml(REST), path="/both")
    call = await caller(house, studio, room)
    for key in "1123#":
        call.line.press(key)
        assert await info(call, RELAY, f"Signal={key}\r\nDuration=100\r\n") == 200
        await eventually(lambda: not call.line.pressing)
    assert await gathered(house, room) == ("1123", "#")


async def test_sipps_recorded_keys_are_understood(house: House) -> None:
    if os.geteuid() != 0 or not SIPP_HAS_KEYS:
        pytest.skip("sipp plays its recordings, those of Debian, through a raw socket: for root only")
    room = house.room()
    house.tell(room, f'<Gather gatherUrl="/sipp" maxDigits="4" {PATIENT}/>')
    house.application.on("gather", bxml("<Hangup/>"), path="/sipp")
    async with Sipp("uac_digits", remote=house.server.sip, user=room) as sipp:
        await sipp.done()
    assert await gathered(house, room) == ("10*0", "")


async def test_keys_heard_as_tones_between_the_answer_and_the_gather_are_its_own(
    house: House, studio: Studio
) -> None:
    """A phone that knows no telephone events, whose caller knows the menu and does not wait for it."""
    room = house.room()
    sound_file(house, "slow", 1.5, 48)
    house.tell(room, '<PlayAudio>/slow.wav</PlayAudio><Gather gatherUrl="/tones" terminatingDigits="#"/>')
    house.application.on("gather", bxml(REST), path="/tones")
    parts = [np.frombuffer(keys(key, tone=70, interval=80), "<i2") for key in "1590#"]
    sound = Samples(np.concatenate([np.zeros(800, np.int16), *parts]))
    for _ in range(20):
        call = await caller(house, studio, room, dtmf=None, sound=sound)
        found = await gathered(house, room)
        await call.bye()
        if found == ("1590", "#"):
            return
        assert held_up([call], [call]), found
    raise AssertionError(f"everybody is held up again and again; {found}")


# StartGather


async def test_after_stop_gather_keys_are_for_the_next_gather_alone(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, f'<StartGather dtmfUrl="/keys"/>{REST}')
    call = await caller(house, studio, room)
    call_id = await house.call_id(room)
    call.line.press("1")
    await house.application.event("dtmf", callId=call_id)
    assert (await house.rest.put_bxml(f"/calls/{call_id}/bxml", bxml(f"<StopGather/>{REST}")))[0] == 204
    call.line.press("2")
    await eventually(lambda: not call.line.pressing)
    url = house.application.url("/after")
    document = bxml(f'<Gather gatherUrl="{url}" maxDigits="1" {PATIENT}/>')
    assert (await house.rest.put_bxml(f"/calls/{call_id}/bxml", document))[0] == 204
    assert await gathered(house, room) == ("2", "")
    assert [event["digit"] for event in house.application.of("dtmf", callId=call_id)] == ["1"]


async def test_every_key_of_a_muted_member_is_told_in_order_and_nobody_hears_it(
    house: House, studio: Studio
) -> None:
    room = house.room()
    start = '<StartGather dtmfUrl="/keys" tag="watched"/>'
    house.tell(f"{room}-a", f'{start}<Conference mute="true">{room}</Conference>')
    house.tell(f"{room}-b", f'<Conference conferenceEventUrl="/conference">{room}</Conference>')
    calls = []
    for user, voice in zip((f"{room}-a", f"{room}-b"), voices(), strict=False):
        phone = await studio.phone(user, house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(user)))
    alice, bob = calls
    call_id = await house.call_id(f"{room}-a")
    quiet = len(bob.line.audio)
    keys = "1234567890*#ABCD"
    alice.line.press(keys, milliseconds=60)
    await house.application.event("dtmf", number=len(keys), callId=call_id)
    told = house.application.of("dtmf", callId=call_id)
    assert "".join(event["digit"] for event in told) == keys
    assert {(event.path, event.get("tag"), event.method) for event in told} == {("/keys", "watched", "POST")}
    assert is_silent(bob.line.pcm(since=quiet)), "keys make no sound, and she is muted"

    document = '<Response><StartGather dtmfUrl="/other"/><Conference>elsewhere</Conference></Response>'
    assert (await house.rest.put_bxml(f"/calls/{call_id}/bxml", document))[0] == 204
    alice.line.press("7")
    event = await house.application.event("dtmf", callId=call_id, path="/other")
    assert event["digit"] == "7"
    document = f"<Response><StopGather/>{REST}</Response>"
    assert (await house.rest.put_bxml(f"/calls/{call_id}/bxml", document))[0] == 204
    alice.line.press("8")
    await eventually(lambda: not alice.line.pressing)
    document = f'<Response><Gather gatherUrl="/after" maxDigits="1" {PATIENT}/></Response>'
    assert (await house.rest.put_bxml(f"/calls/{call_id}/bxml", document))[0] == 204
    event = await house.application.event("gather", callId=call_id)
    assert event["digits"] == "8", "what StartGather did not take is typed ahead"
    assert len(house.application.of("dtmf", callId=call_id)) == len(keys) + 1


# SendDtmf


class Events:
    """RFC 4733 as a receiver of its own reads it: packets of one payload type, grouped by their timestamp."""

    def __init__(self, call: PhoneCall) -> None:
        packets = [packet for packet in call.line.received if packet.payload_type == call.line.dtmf]
        stamps = list(dict.fromkeys(packet.timestamp for packet in packets))
        self.groups = [[packet for packet in packets if packet.timestamp == stamp] for stamp in stamps]

    @property
    def keys(self) -> str:
        return "".join("0123456789*#ABCD"[group[0].payload[0]] for group in self.groups)

    @property
    def starts(self) -> list[float]:
        """Seconds from the first key's timestamp to each."""
        stamps = unwrapped([group[0].timestamp for group in self.groups])
        return [(stamp - stamps[0]) / 8000 for stamp in stamps]


@pytest.mark.parametrize("ptime", [10, 20, 60])
async def test_a_phone_gets_the_digits_that_are_sent_to_it(house: House, studio: Studio, ptime: int) -> None:
    room = house.room()
    after = sound_file(house, "after", 0.3, 47)
    house.tell(
        room,
        '<SendDtmf toneDuration="120" toneInterval="80">1#aw*,W2</SendDtmf>'
        '<SendDtmf toneInterval="50">9</SendDtmf><PlayAudio>/after.wav</PlayAudio>',
    )
    lines = {"maxptime_line": 10} if ptime == 10 else {}
    call = await caller(house, studio, room, ptime_line=ptime, **lines)
    await call.ended()
    events = Events(call)
    assert events.keys == "1#A*29"
    wanted = [0.0, 0.2, 0.4, 0.4 + 0.62, 0.4 + 0.62 + 1.62, 0.4 + 0.62 + 1.62 + 0.2]
    # A key begins where a packet of audio ends.
    for (sooner, later), (begin, end) in zip(pairwise(events.starts), pairwise(wanted), strict=True):
        assert later - sooner > end - begin - (0.07 if ptime == 60 else 0.03)
    for number, group in enumerate(events.groups):
        flags, durations = (
            [p.payload[1] for p in group],
            [int.from_bytes(p.payload[2:], "big") for p in group],
        )
        assert [packet.marker for packet in group] == [True] + [False] * (len(group) - 1)
        assert [bool(flag & 0x80) for flag in flags] == [False] * (len(group) - 3) + [True] * 3
        assert durations == sorted(durations) and durations[-1] == (1600 if number == 5 else 960)
        begun = call.line.due(group[0].timestamp)
        assert group[-3].at - begun > durations[-1] / 8000 - 0.08, "as long as it says"
    assert call.line.lost() == 0
    score, lag = call.line.find(after)
    assert score > 0.95, "audio after the digits is whole and in its place"
    end = (events.groups[-1][0].timestamp - call.line.audio[0].timestamp) % 2**32 + 1600
    assert lag >= end


async def test_a_phone_without_events_hears_the_digits(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, "<SendDtmf>7</SendDtmf>")
    call = await caller(house, studio, room, dtmf=None)
    await call.ended()
    begin, end = loud_span(call.line.pcm())
    there = call.line.there()
    assert 1580 - np.sum(~there) < end - begin < 1620
    tone = call.line.pcm()[begin:end][longest_whole(there[begin:end])]
    assert level(tone, 852) > 7000 and level(tone, 1209) > 9000
    assert level(tone, 770) < 300 and level(tone, 1336) < 300


async def test_what_is_sent_to_one_call_can_be_gathered_in_another(house: House, studio: Studio) -> None:
    """The server's own digits, back through a phone that answers a call of the server."""
    room = house.room()
    house.tell(room, f'<Gather gatherUrl="/echo" terminatingDigits="#" {PATIENT}/>')
    house.application.on("gather", bxml(REST), path="/echo")
    sender = house.room()
    house.tell(sender, f"<SendDtmf>2468,#</SendDtmf>{REST}")
    receiving = await caller(house, studio, room)
    sending = await caller(house, studio, sender)
    await eventually(lambda: Events(sending).keys == "2468#")
    for packet in [packet for group in Events(sending).groups for packet in group]:
        kind = packet.payload_type | packet.marker << 7
        header = struct.pack("!BBHII", 0x80, kind, packet.sequence, packet.timestamp, receiving.line.ssrc)
        assert receiving.line.remote is not None
        receiving.socket.send(header + packet.payload, receiving.line.remote)
    assert await gathered(house, room) == ("2468", "#")


# Ring


async def test_ring_answers_and_plays_ringback_in_its_cadence(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, f'<Ring duration="7.5"/>{REST}')
    call = await caller(house, studio, room)
    await eventually(lambda: len(call.line.pcm()) > 8.2 * 8000)
    heard = call.line.pcm()
    frames = heard[: len(heard) // 160 * 160].reshape(-1, 160)
    there = call.line.there()[: frames.size].reshape(-1, 160).all(axis=1)
    loud = np.abs(frames).max(axis=1) > 500
    for missing in np.flatnonzero(~there[1:]) + 1:
        loud[missing] = loud[missing - 1]
    edges = np.flatnonzero(np.diff(loud.astype(int), prepend=0))
    spans = [int(later - sooner) * 0.02 for sooner, later in pairwise(edges)]
    unsure = (
        0.02 * max(len(list(group)) for there, group in groupby(there) if not there)
        if not there.all()
        else 0.0
    )
    assert spans == pytest.approx([2.0, 4.0, 1.5], abs=0.15 + unsure), (
        "two of sound, four of none, cut at the end"
    )
    first = slice(edges[0] + 1, edges[1] - 1)
    ring = frames[first][longest_whole(there[first])].ravel()
    assert len(ring) >= 800
    assert level(ring, 440) == pytest.approx(2500, rel=0.05)
    assert level(ring, 480) == pytest.approx(2500, rel=0.05)


async def test_ring_without_answering_is_heard_before_the_answer(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, '<Ring answerCall="false" duration="1"/>')
    phone = await studio.phone("caller", house.server.sip)
    call = phone.invite(house.uri(room))
    assert await call.refused() == 603
    (refusal,) = [rung.at for rung in phone.ladder if rung.message.status == 603]
    assert 183 in [rung.message.status for rung in phone.ladder]
    assert refusal - call.line.due(call.line.audio[0].timestamp) > 1.0 - 0.1
    heard = call.line.pcm()
    assert level(heard[:8000], 440) > 1500 and level(heard[:8000], 480) > 1500
