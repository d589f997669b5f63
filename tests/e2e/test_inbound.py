"""A phone dials in: the webhook, the prompt heard whole, the conference made by its first use."""

import re

import numpy as np
import pytest

from tests.support.ears import all_hear_the_others, voices
from tests.support.eventually import eventually
from tests.support.house import PROMPT, House
from tests.support.phone import PhoneCall
from tests.support.prompts import spoken, wav
from tests.support.sounds import noise
from tests.support.studio import Studio
from tests.support.tones import find, has_speech, is_silent, loud_span, matches_throughout
from tests.support.webhook import bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL_ID = re.compile(r"c-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def heard_whole(prompt: np.typing.NDArray[np.int16], call: PhoneCall) -> None:
    score, _ = call.line.find(prompt)
    assert score >= 0.95, f"correlation {score:.3f} over the whole prompt"
    lowest = matches_throughout(prompt, call.line.pcm(), call.line.there())
    assert lowest >= 0.9, f"a piece of the prompt correlates at {lowest:.3f} only"
    assert call.line.lost() == 0


async def test_the_prompt_is_heard_whole_and_then_the_conference_exists(house: House, studio: Studio) -> None:
    room = house.room()
    house.tell(room, f"<SpeakSentence>{PROMPT}</SpeakSentence><Conference>{room}</Conference>")
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(room))

    event = await house.application.event("initiate", user=room)
    assert event.method == "POST"
    assert event.content_type == "application/json"
    assert CALL_ID.fullmatch(event["callId"])
    assert event["direction"] == "inbound"
    assert event["from"] == f"sip:alice@{alice.host}"
    assert event["to"] == f"sip:{room}@127.0.0.1:{house.server.sip_port}"
    assert event.get("answerTime") is None

    async def conferences() -> list[dict[str, object]]:
        status, rows = await house.rest.get("/conferences", name=room)
        assert status == 200
        return [row for row in rows if row.get("completedTime") is None]

    await eventually(conferences)
    heard_whole(await spoken(PROMPT), call)


async def test_the_first_sample_of_a_prompt_waits_for_the_ack(house: House, studio: Studio) -> None:
    room = house.room()
    prompt = noise(1, 0.6, 8000)
    house.application.files["/prompt.wav"] = (wav(prompt), "audio/wav")
    house.tell(room, f"<PlayAudio>/prompt.wav</PlayAudio><Conference>{room}</Conference>")
    alice = await studio.phone("alice", house.server.sip)
    alice.acks_when = lambda call: len(call.line.received) >= 15
    call = await alice.dial(house.uri(room))
    await eventually(lambda: call.line.find(prompt)[0] > 0.95)
    acked = next(rung.at for rung in alice.ladder if rung.message.method == "ACK" and rung.outgoing)
    before = [packet for packet in call.line.received if packet.at < acked]
    assert len(before) >= 15, "silence flows from the answer on"
    heard_whole(prompt, call)
    first = (call.line.audio[len(before)].timestamp - call.line.audio[0].timestamp) % 2**32
    assert is_silent(call.line.pcm()[:first])


@pytest.mark.parametrize("ptime", [20, 60])
async def test_the_bye_comes_after_the_last_frame_has_played(
    house: House, studio: Studio, ptime: int
) -> None:
    user = house.room()
    prompt = noise(2, 0.7, 8000)
    house.application.files["/last.wav"] = (wav(prompt), "audio/wav")
    house.tell(user, "<PlayAudio>/last.wav</PlayAudio>")
    alice = await studio.phone("alice", house.server.sip)
    for _ in range(20):  # a beat that is skipped costs a whole packet
        call = await alice.dial(house.uri(user), ptime_line=ptime)
        await call.ended()
        if call.line.find(prompt)[0] >= 0.95 or not call.line.skips(0):
            break
    heard_whole(prompt, call)
    _, end = loud_span(call.line.pcm())
    first = call.line.audio[0].timestamp
    last = [packet for packet in call.line.audio if (packet.timestamp - first) % 2**32 < end][-1]
    assert len(last.payload) == 8 * ptime
    assert call.ended_at is not None
    assert call.ended_at >= call.line.due(last.timestamp) + ptime / 1000 - 0.002, (
        "the last packet is heard for its ptime at the phone"
    )
    event = await house.application.event("disconnect", callId=await house.call_id(user))
    assert event["cause"] == "hangup"


async def test_verbs_follow_each_other_without_overlap(house: House, studio: Studio) -> None:
    user = house.room()
    first, second = noise(3, 0.4, 8000), noise(4, 0.4, 8000)
    house.application.files["/first.wav"] = (wav(first), "audio/wav")
    house.application.files["/second.wav"] = (wav(second), "audio/wav")
    house.tell(
        user,
        '<PlayAudio>/first.wav</PlayAudio><Pause duration="0.5"/><PlayAudio>/second.wav</PlayAudio><Hangup/>',
    )
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(user))
    await call.ended()
    recording = call.line.pcm()
    (score_1, start_1), (score_2, start_2) = call.line.find(first), call.line.find(second)
    assert min(score_1, score_2) >= 0.95
    assert (start_2 - start_1 - len(first)) / 8000 >= 0.45
    assert is_silent(recording[start_1 + len(first) + 160 : start_2 - 160])


async def test_a_sentence_has_its_voice_and_its_breaks(house: House, studio: Studio) -> None:
    user = house.room()
    sentence = "One<break time='700ms'/>two"
    escaped = sentence.replace("<", "&lt;").replace(">", "&gt;")
    house.tell(
        user,
        f'<SpeakSentence voice="simon">{sentence}</SpeakSentence><Pause duration="1.4"/>'
        f'<SpeakSentence locale="en_UK" gender="female">{escaped}</SpeakSentence>',
    )
    alice = await studio.phone("alice", house.server.sip)
    for _ in range(20):  # a beat that is skipped is silent too
        call = await alice.dial(house.uri(user))
        await call.ended()
        if not call.line.skips(0):
            break
    frames = np.abs(call.line.pcm().astype(int))
    loud = np.flatnonzero(frames > 300) / 8000
    quiet = np.diff(loud)
    first, between, last = (float(pause) for pause in quiet[quiet > 0.6])
    assert [first, last] == pytest.approx([1.0, 1.0], abs=0.3), "a break, with a voice's own rest"
    assert between > 1.4, "the Pause, with what it takes from verb to verb"
    middle = loud[np.argmax(quiet)] + 0.1
    samples = call.line.pcm()
    his, hers = samples[: int(middle * 8000)], samples[int(middle * 8000) :]
    assert has_speech(his) and has_speech(hers)
    assert find(his[int(loud[0] * 8000) :][:2400], hers)[0] < 0.8, "two voices, not one twice"


async def test_silence_is_sent_every_20_ms_without_waiting_for_a_packet(house: House, studio: Studio) -> None:
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(house.room()), sound=None)
    await eventually(lambda: len(call.line.received) >= 50)
    assert call.line.sent == []
    assert call.line.lost() == 0
    assert {len(packet.payload) for packet in call.line.received} == {160}
    assert len({packet.ssrc for packet in call.line.received}) == 1

    def in_time() -> bool:
        first, last = call.line.received[0], call.line.received[-1]
        pace = (last.timestamp - first.timestamp) % 2**32 / 8000 / (last.at - first.at)
        assert 0.95 < pace < 1.05, f"{pace} seconds of sound a second"
        return True

    await eventually(in_time)
    assert is_silent(call.line.pcm())


@pytest.mark.parametrize("offered, sent", [(20, 20), (40, 40), (60, 60), (30, 20), (10, 20), (None, 20)])
async def test_ptime_is_kept_where_it_can_be(
    house: House, studio: Studio, offered: int | None, sent: int
) -> None:
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(house.room()), ptime_line=offered)
    await eventually(lambda: len(call.line.received) >= 10)
    assert {len(packet.payload) for packet in call.line.received} == {sent * 8}
    for sooner, later in zip(call.line.received, call.line.received[1:], strict=False):
        step = (later.timestamp - sooner.timestamp) % 2**32
        # A leap of whole beats is right only where some were skipped, which a marker tells.
        assert step == sent * 8 or (later.marker and step > sent * 8 and step % 160 == 0)


async def test_maxptime_of_10_is_obeyed(house: House, studio: Studio) -> None:
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(house.room()), maxptime_line=10)
    await eventually(lambda: len(call.line.received) >= 10)
    assert {len(packet.payload) for packet in call.line.received} == {80}


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
async def test_any_law_and_ptime_is_heard(house: House, studio: Studio, law: str, ptime: int) -> None:
    room = house.room()
    low, high = voices()[1], voices()[6]
    alice = await studio.phone("alice", house.server.sip, sound=low)
    bob = await studio.phone("bob", house.server.sip, sound=high)
    calls = [
        await alice.dial(house.uri(room), laws=(law,), ptime=ptime, sequence=65_530, timestamp=2**32 - 800),
        await bob.dial(house.uri(room)),
    ]
    assert calls[0].line.law == law
    await all_hear_the_others(calls)


async def test_a_call_over_tcp_works_the_same(house: House, studio: Studio) -> None:
    room = house.room()
    alice = await studio.phone("alice", house.server.sip, transport="tcp", sound=voices()[0])
    bob = await studio.phone("bob", house.server.sip, sound=voices()[2])
    calls = [await alice.dial(house.uri(room) + ";transport=tcp"), await bob.dial(house.uri(room))]
    await all_hear_the_others(calls)
    await calls[0].bye()


async def test_an_invite_without_sdp_is_offered_some(house: House, studio: Studio) -> None:
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(house.room()), without_sdp=True)
    await eventually(lambda: len(call.line.received) >= 10)
    await call.bye()


async def test_redirect_and_tag_are_performed(house: House, studio: Studio) -> None:
    user, room = house.room(), house.room()
    never = f"<Conference>{user}</Conference>"
    house.tell(user, f"<Tag>\n first </Tag><Redirect redirectUrl='/next'/>{never}")
    house.application.on("redirect", bxml(f"<Redirect redirectUrl='/on' tag='second'/>{never}"), path="/next")
    house.application.on("redirect", bxml("<Redirect redirectUrl='/cleared' tag=''/>"), path="/on")
    after = f"<Tag>third</Tag><Conference>{room}</Conference>"
    house.application.on("redirect", bxml(after), path="/cleared")
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(user))
    call_id = await house.call_id(user)
    await house.application.event("redirect", number=3, callId=call_id)
    told = house.application.of("redirect", callId=call_id)
    assert [(event.path, event.get("tag")) for event in told] == [
        ("/next", "first"),
        ("/on", "second"),
        ("/cleared", None),
    ]
    status, conferences = await house.rest.get("/conferences", name=room)
    assert status == 200 and [one["tag"] for one in conferences] == ["third"]
    assert await house.rest.get("/conferences", name=user) == (200, []), "what follows a Redirect is not run"
    await call.bye()
    assert (await house.application.event("disconnect", callId=call_id))["tag"] == "third"


async def test_hangup_before_any_sound_refuses_the_call(house: House, studio: Studio) -> None:
    user = house.room()
    house.tell(user, "<Hangup/>")
    alice = await studio.phone("alice", house.server.sip)
    assert await alice.invite(house.uri(user)).refused() == 603
    event = await house.application.event("disconnect", callId=await house.call_id(user))
    assert event["cause"] == "hangup" and event.get("answerTime") is None


async def test_what_the_invite_brings_along_is_told_in_initiate(house: House, studio: Studio) -> None:
    room = house.room()
    caller = await studio.phone("caller", house.server.sip)
    brought = (
        ("User-to-User", "YWJj;encoding=base64"),
        ("X-Order", "4711"),
        ("Diversion", "<sip:+19195550111@carrier.example>;reason=no-answer"),
    )
    await caller.dial(house.uri(room), headers=brought)
    event = await house.application.event("initiate", user=room)
    assert event["uui"] == "YWJj;encoding=base64"
    assert event["sipHeaders"] == {"x-order": "4711"}
    assert event["diversion"] == {"origTo": "+19195550111", "reason": "no-answer"}
