"""Join, mute, hold, leave and end: who hears whom, and what the application is told."""

import asyncio
import re
import time
from itertools import product

import numpy as np
import pytest

from tests.support import g711
from tests.support.ears import all_hear_the_others, hears, held_up, keep_hearing, tone_of, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.prompts import spoken
from tests.support.sounds import Samples, noise
from tests.support.studio import Studio
from tests.support.tones import find, is_silent, loudest_moment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.alone]

Recording = np.typing.NDArray[np.int16]


async def callers(house: House, studio: Studio, *users: str) -> list[PhoneCall]:
    """A call to each of these, one after the other, each with a voice of its own."""
    calls = []
    for user, voice in zip(users, voices(), strict=False):
        phone = await studio.phone(f"caller-{tone_name(voice.frequency)}", house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(user)))
    return calls


def tone_name(frequency: int) -> str:
    return f"{frequency}hz"


async def test_up_to_six_hear_all_the_others_and_not_themselves(house: House, studio: Studio) -> None:
    room = house.room()
    calls: list[PhoneCall] = []
    for voice in voices()[:6]:
        phone = await studio.phone(tone_name(voice.frequency), house.server.sip, sound=voice)
        calls.append(await phone.dial(house.uri(room)))
        await all_hear_the_others(calls)
    for call in calls:
        await keep_hearing(call, [other for other in calls if other is not call])
    while len(calls) > 1:
        await calls.pop().bye()
        await all_hear_the_others(calls)
    await eventually(lambda: is_silent(calls[0].line.pcm(last=0.2)))


async def test_each_of_three_hears_the_exact_sum_of_the_other_two(house: House, studio: Studio) -> None:
    room = house.room()
    sounds = [noise(seed, 3.0, 9000) for seed in (11, 12, 13)]
    calls = []
    for number in range(3):
        phone = await studio.phone(f"noise-{number}", house.server.sip)
        calls.append(await phone.dial(house.uri(room), sound=None))
    await house.application.event("conferenceMemberJoin", number=3, name=room)
    for call, sound in zip(calls, sounds, strict=True):
        call.line.wanted = True
        call.line.say(Samples(sound, loop=True))
    left, seconds = range(3), 1.6
    for _ in range(60):
        begin = [len(call.line.audio) + 30 + seconds * 50 for call in calls]
        await eventually(lambda b=begin: all(len(c.line.audio) > n for c, n in zip(calls, b, strict=True)))
        problems = {
            listener: problem
            for listener in left
            if (problem := not_the_sum(listener, calls[listener].line.pcm(last=seconds), sounds)) is not None
        }
        if not problems:
            return
        assert held_up(calls, calls), problems
        left, seconds = [*problems], 0.2  # where the machine holds everybody up, less of it is whole
    raise AssertionError(f"this machine holds phones or server up all the time; {problems}")


def not_the_sum(listener: int, samples: Recording, sounds: list[Recording]) -> str | None:
    """What differs from the integer sum of the others, sample for sample; None when nothing does."""
    said = [g711.decode("PCMU", g711.encode("PCMU", sound)) for sound in sounds]
    total = np.zeros(len(samples), np.int32)
    for speaker, one in enumerate(said):
        score, lag = find(samples, np.concatenate((one, one)))
        if speaker == listener and score > 0.2:
            return f"{listener} hears himself"
        if speaker != listener:
            if score < 0.5:
                return f"{listener} does not hear {speaker}"
            total += np.concatenate((one, one))[lag : lag + len(samples)]
    exact = np.clip(total, -32765, 32764)
    # The law has 14 bits: which way the two below them are cut is left open.
    allowed = [g711.decode("PCMU", g711.encode("PCMU", exact + cut)) for cut in (-3, 0, 3)]
    wrong = np.count_nonzero(np.all([samples != expected for expected in allowed], axis=0))
    return f"{wrong} of {len(samples)} samples of {listener} are not the sum" if wrong else None


async def test_rooms_do_not_hear_each_other(house: House, studio: Studio) -> None:
    one, other = house.room(), house.room()
    calls = await callers(house, studio, one, other, one, other)
    await all_hear_the_others(calls[0::2])
    await all_hear_the_others(calls[1::2])


async def test_names_are_case_sensitive(house: House, studio: Studio) -> None:
    room = house.room()
    house.seat(f"{room}-a", f"{room}x")
    house.seat(f"{room}-b", f"{room}X")
    calls = await callers(house, studio, f"{room}-a", f"{room}-b")
    await house.application.event("conferenceCreated", name=f"{room}X")
    await keep_hearing(calls[0], [])


@pytest.mark.parametrize("mute, hold", list(product((False, True), repeat=2)))
async def test_mute_and_hold_by_attribute(house: House, studio: Studio, mute: bool, hold: bool) -> None:
    room = house.room()
    house.seat(f"{room}-b", room, f'mute="{str(mute).lower()}" hold="{str(hold).lower()}"')
    alice, bob = await callers(house, studio, room, f"{room}-b")
    await house.joined(await house.call_id(f"{room}-b"))
    await hears(alice, [] if mute or hold else [bob])
    await hears(bob, [] if hold else [alice])
    await keep_hearing(alice, [] if mute or hold else [bob])
    await keep_hearing(bob, [] if hold else [alice])


async def test_mute_and_hold_by_rest_are_independent(house: House, studio: Studio) -> None:
    room = house.room()
    alice, bob = await callers(house, studio, room, room)
    await all_hear_the_others([alice, bob])
    ids = [event["callId"] for event in house.application.of("conferenceMemberJoin", name=room)]
    bob_id = ids[1]

    async def state() -> tuple[bool, bool]:
        _, body = await house.rest.get(f"/conferences/{await house.conference(room)}/members/{bob_id}")
        return body["mute"], body["hold"]

    assert (await house.member(room, bob_id, mute=True))[0] == 204
    await hears(alice, [])
    await hears(bob, [alice])
    assert (await house.member(room, bob_id, hold=True))[0] == 204
    await hears(bob, [])
    assert await state() == (True, True)
    assert (await house.member(room, bob_id, hold=False))[0] == 204
    await hears(bob, [alice])
    await hears(alice, [])
    assert await state() == (True, False)
    assert (await house.member(room, bob_id, mute=False))[0] == 204
    await all_hear_the_others([alice, bob])


async def test_nothing_said_while_muted_is_heard_after_unmuting(house: House, studio: Studio) -> None:
    room = house.room()
    house.seat(f"{room}-b", room, 'mute="true"')
    alice, bob = await callers(house, studio, room, f"{room}-b")
    bob_id = await house.call_id(f"{room}-b")
    await house.joined(bob_id)
    await hears(bob, [alice])
    secret, public = tone_of(bob), voices()[8]
    for _ in range(3):
        start = len(alice.line.audio)
        bob.line.say(public)  # what was secret is said no more, but may lie in a buffer
        sent = len(bob.line.sent)
        await eventually(lambda n=sent: len(bob.line.sent) > n)
        assert (await house.member(room, bob_id, mute=False))[0] == 204
        await hears(alice, [bob])
        heard = alice.line.pcm(since=start)
        assert loudest_moment(heard, secret) < 450, "buffered before the unmute, heard after it"
        assert (await house.member(room, bob_id, mute=True))[0] == 204
        await hears(alice, [])
        bob.line.say(voices()[1])
        await hears(bob, [alice])


async def test_events_tell_the_life_of_a_conference(house: House, studio: Studio) -> None:
    room = house.room()
    verbs = f'<Tag>creators</Tag><Conference conferenceEventUrl="/conference">{room}</Conference>'
    house.tell(f"{room}-a", verbs)
    house.tell(f"{room}-b", verbs.replace("creators", "joiners").replace("/conference", "/elsewhere"))
    alice, bob = await callers(house, studio, f"{room}-a", f"{room}-b")
    await house.application.event("conferenceMemberJoin", number=2, name=room)
    conference = await house.conference(room)
    assert re.fullmatch(r"conf-[0-9a-f]{8}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", conference)
    status, body = await house.rest.get(f"/conferences/{conference}")
    assert status == 200
    assert body["name"] == room
    assert len(body["activeMembers"]) == 2
    await alice.bye()
    await bob.bye()
    await house.application.event("conferenceCompleted", name=room)
    told = [e for e in house.application.events if e.get("conferenceId") == conference]
    assert [e.type for e in told] == [
        "conferenceCreated",
        "conferenceMemberJoin",
        "conferenceMemberJoin",
        "conferenceMemberExit",
        "conferenceMemberExit",
        "conferenceCompleted",
    ]
    assert {e.path for e in told} == {"/conference"}
    assert {e.get("tag") for e in told} == {"creators"}
    assert [e.get("callId") for e in told[1:5]] == [
        await house.call_id(f"{room}-a"),
        await house.call_id(f"{room}-b"),
    ] * 2

    async def ended() -> bool:
        status, body = await house.rest.get(f"/conferences/{conference}")
        return status == 200 and body["completedTime"] is not None and not body["activeMembers"]

    await eventually(ended)
    assert (await house.rest.post(f"/conferences/{conference}", {"status": "completed"}))[0] == 404


async def test_a_reused_name_is_a_new_conference(house: House, studio: Studio) -> None:
    room = house.room()
    first = (await callers(house, studio, room))[0]
    before = await house.conference(room)
    await first.bye()
    await house.application.event("conferenceCompleted", name=room)
    await callers(house, studio, room)
    await house.application.event("conferenceCreated", number=2, name=room)
    assert await house.conference(room) != before


@pytest.mark.parametrize("body", [{}, {"username": "demo", "password": "anything"}])
async def test_completing_lets_every_call_go_on_with_its_farewell(
    house: House, studio: Studio, body: dict[str, str]
) -> None:
    room, farewell = house.room(), "The meeting is over."
    house.seat(f"{room}-a", room, after=f"<SpeakSentence>{farewell}</SpeakSentence>")
    house.seat(f"{room}-b", room)
    alice, bob = await callers(house, studio, f"{room}-a", f"{room}-b")
    await all_hear_the_others([alice, bob])
    conference = await house.conference(room)
    status, _ = await house.rest.post(f"/conferences/{conference}", {"status": "completed", **body})
    assert status == 204
    await asyncio.gather(alice.ended(), bob.ended())
    assert alice.line.find(await spoken(farewell))[0] >= 0.95
    await house.application.event("conferenceCompleted", name=room)
    types = [e.type for e in house.application.events if e.get("conferenceId") == conference]
    assert types[-3:] == ["conferenceMemberExit", "conferenceMemberExit", "conferenceCompleted"]
    for user in (f"{room}-a", f"{room}-b"):
        event = await house.application.event("disconnect", callId=await house.call_id(user))
        assert event["cause"] == "hangup"


async def test_redirecting_one_member_leaves_the_others_alone(house: House, studio: Studio) -> None:
    room, elsewhere = house.room(), house.room()
    calls = await callers(house, studio, room, room, room)
    await all_hear_the_others(calls)
    one = house.application.of("conferenceMemberJoin", name=room)[0]["callId"]
    house.application.on("redirect", f"<Response><Conference>{elsewhere}</Conference></Response>", callId=one)
    status, _ = await house.rest.post(
        f"/calls/{one}", {"state": "active", "redirectUrl": house.application.url("/moved")}
    )
    assert status == 200
    await house.application.event("conferenceMemberExit", callId=one)
    await hears(calls[0], [])
    await all_hear_the_others(calls[1:])


async def test_new_bxml_takes_a_call_out_of_its_conference(house: House, studio: Studio) -> None:
    room, elsewhere = house.room(), house.room()
    calls = await callers(house, studio, room, room)
    await all_hear_the_others(calls)
    one = house.application.of("conferenceMemberJoin", name=room)[0]["callId"]
    document = f"<Bxml><Conference>{elsewhere}</Conference></Bxml>"
    assert (await house.rest.put_bxml(f"/calls/{one}/bxml", document))[0] == 204
    await hears(calls[1], [])
    await hears(calls[0], [])
    assert (await house.rest.post(f"/calls/{one}", {"state": "completed"}))[0] == 200
    await calls[0].ended()


async def test_held_phones_are_silent_and_come_back(house: House, studio: Studio) -> None:
    room = house.room()
    alice, bob = await callers(house, studio, room, room)
    await all_hear_the_others([alice, bob])
    for direction, held_address in (("sendonly", False), ("inactive", False), ("sendonly", True)):
        response = await alice.reoffer(direction, held_address=held_address)
        assert response.status == 200
        answered = re.search(rb"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r?$", response.body)
        assert answered, response.body
        assert answered.group(1) in (b"recvonly", b"inactive")
        if direction == "inactive":
            assert answered.group(1) == b"inactive"
            await hears(bob, [])
            told_nothing = "nothing is sent to a phone that wants nothing"
            await eventually(lambda: time.time() - alice.line.received[-1].at > 0.5, what=told_nothing)
        assert (await alice.reoffer("sendrecv")).status == 200
        await all_hear_the_others([alice, bob])
