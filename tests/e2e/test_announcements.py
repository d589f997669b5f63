"""What a conference is told to play, as its members hear it."""

import asyncio

import bandwidth
import numpy as np
import pytest

from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.prompts import spoken, wav
from tests.support.server import ACCOUNT, PASSWORD, USER
from tests.support.sounds import noise
from tests.support.studio import Studio
from tests.support.tones import is_silent
from tests.support.webhook import Reply, bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

Samples = np.typing.NDArray[np.int16]


def file(house: House, name: str, seed: int, seconds: float) -> Samples:
    """Puts a sound that is like no other at the application's `/name.wav`."""
    samples = noise(seed, seconds, 8000)
    house.application.files[f"/{name}.wav"] = (wav(samples), "audio/wav")
    return samples


def play(*names: str) -> str:
    return bxml("".join(f"<PlayAudio>/{name}.wav</PlayAudio>" for name in names))


async def member(house: House, studio: Studio, room: str, name: str, attributes: str = "") -> PhoneCall:
    """A silent phone in the room, after the application was told of it."""
    user = f"{room}-{name}"
    house.seat(user, room, attributes)
    phone = await studio.phone(name, house.server.sip)
    call = await phone.dial(house.uri(user))
    await house.joined(await house.call_id(user))
    return call


async def heard(call: PhoneCall, sound: Samples) -> int:
    """Waits until the whole sound has been heard as it was made; where it began, in samples."""

    def whole() -> bool:
        score, _ = call.line.find(sound)
        assert score >= 0.95, f"correlation {score:.3f}"
        return True

    await eventually(whole, every=0.1, what=call.story)
    return call.line.find(sound)[1]


async def put(house: House, room: str, document: str) -> int:
    status, _ = await house.rest.put_bxml(f"/conferences/{await house.conference(room)}/bxml", document)
    return status


async def test_a_join_is_announced_to_both_and_not_to_who_is_on_hold(house: House, studio: Studio) -> None:
    room, sentence = house.room(), "Somebody has joined the conference."
    alice = await member(house, studio, room, "alice")
    held = await member(house, studio, room, "held", 'hold="true"')
    house.application.on(
        "conferenceMemberJoin", bxml(f"<SpeakSentence>{sentence}</SpeakSentence>"), name=room
    )
    bob = await member(house, studio, room, "bob", 'mute="true"')
    prompt = await spoken(sentence)
    for call in (alice, bob):
        await heard(call, prompt)
    assert is_silent(held.line.pcm())
    assert len(held.line.audio) > 50


async def test_two_answers_at_the_same_time_never_overlap(house: House, studio: Studio) -> None:
    room = house.room()
    one, two = file(house, "one", 21, 1.0), file(house, "two", 22, 1.0)
    # The second event is sent a quarter of a second after the first, as that is not answered yet.
    house.application.on("conferenceCreated", Reply(play("one").encode(), delay=0.5), name=room)
    house.application.on("conferenceMemberJoin", Reply(play("two").encode(), delay=0.25), name=room)
    alice = await member(house, studio, room, "alice")
    starts = [await heard(alice, sound) for sound in (one, two)]
    assert abs(starts[0] - starts[1]) >= len(one)


async def test_answers_are_heard_in_the_order_in_which_they_arrive(house: House, studio: Studio) -> None:
    room = house.room()
    late, early = file(house, "late", 23, 0.5), file(house, "early", 24, 1.5)
    begun = asyncio.Event()
    house.application.on("conferenceCreated", Reply(play("late").encode(), after=begun), name=room)
    house.application.on("conferenceMemberJoin", play("early"), name=room)
    alice = await member(house, studio, room, "alice")
    await heard(alice, early[:4000])
    begun.set()
    assert await heard(alice, early) + len(early) <= await heard(alice, late)


async def test_put_interrupts_a_long_sentence(house: House, studio: Studio) -> None:
    room, long = house.room(), "This goes on and on, and nobody will ever hear how it ends. " * 5
    new = file(house, "new", 25, 0.5)
    alice = await member(house, studio, room, "alice")
    prompt = await spoken(long.strip())
    assert await put(house, room, bxml(f"<SpeakSentence>{long}</SpeakSentence>")) == 204
    await heard(alice, prompt[:8000])
    assert await put(house, room, play("new")) == 204
    end = await heard(alice, new) + len(new)
    assert alice.line.find(prompt[-8000:])[0] < 0.5
    packets = len(alice.line.audio)
    await eventually(lambda: len(alice.line.audio) > packets + 25)
    assert is_silent(alice.line.pcm()[end + 160 :]), "after the new document there is nothing of the old"


async def test_a_redirect_is_heard_after_what_plays(house: House, studio: Studio) -> None:
    room = house.room()
    first, second = file(house, "first", 27, 2.0), file(house, "second", 28, 0.5)
    alice = await member(house, studio, room, "alice")
    bob = await member(house, studio, room, "bob")
    assert await put(house, room, play("first")) == 204
    await heard(alice, first[:4000])
    house.application.on("conferenceRedirect", Reply(status=500), path="/broken")
    house.application.on("conferenceRedirect", play("second"), path="/fallback")
    order = {
        "status": "active",
        "redirectUrl": house.application.url("/broken"),
        "redirectFallbackUrl": house.application.url("/fallback"),
    }
    status, _ = await house.rest.post(f"/conferences/{await house.conference(room)}", order)
    assert status == 204
    for call in (alice, bob):
        assert await heard(call, first) + len(first) <= await heard(call, second)


async def test_after_broken_sounds_the_sentence_is_heard(house: House, studio: Studio) -> None:
    room, sentence = house.room(), "This is heard all the same."
    house.application.files["/broken.wav"] = (b"no sound at all", "audio/wav")
    verbs = "<PlayAudio>/gone.wav</PlayAudio><PlayAudio>/broken.wav</PlayAudio><StartRecording/>"
    alice = await member(house, studio, room, "alice")
    assert await put(house, room, bxml(f"{verbs}<SpeakSentence>{sentence}</SpeakSentence>")) == 204
    await heard(alice, await spoken(sentence))


async def test_a_gather_in_an_answer_is_refused_and_the_conference_lives(
    house: House, studio: Studio
) -> None:
    room = house.room()
    refused, good = file(house, "refused", 29, 0.5), file(house, "good", 30, 0.5)
    document = bxml("<PlayAudio>/refused.wav</PlayAudio><Gather/>")
    house.application.on("conferenceCreated", document, name=room)
    alice = await member(house, studio, room, "alice")
    await eventually(
        lambda: any(record["event"] == "conference_document_refused" for record in house.server.records())
    )
    assert await put(house, room, document) == 400
    house.application.on("conferenceMemberJoin", play("good"), name=room)
    bob = await member(house, studio, room, "bob")
    for call in (alice, bob):
        await heard(call, good)
        assert call.line.find(refused)[0] < 0.5


async def test_the_end_of_the_conference_silences_it(house: House, studio: Studio) -> None:
    room, user = house.room(), house.room()
    long, farewell = file(house, "long", 31, 20.0), file(house, "farewell", 32, 0.5)
    house.seat(user, room, after="<PlayAudio>/farewell.wav</PlayAudio>")
    alice = await studio.phone("alice", house.server.sip)
    call = await alice.dial(house.uri(user))
    await house.joined(await house.call_id(user))
    assert await put(house, room, play("long", "good")) == 204
    await heard(call, long[:4000])
    conference = f"/conferences/{await house.conference(room)}"
    assert (await house.rest.post(conference, {"status": "completed"}))[0] == 204
    await heard(call, farewell)
    await call.ended()
    assert call.line.find(long[-8000:])[0] < 0.5
    assert await put(house, room, play("long")) == 404


async def test_the_official_sdk_gives_a_conference_a_document(house: House, studio: Studio) -> None:
    room = house.room()
    sound = file(house, "sdk", 33, 0.5)
    alice = await member(house, studio, room, "alice")
    conferences = bandwidth.ConferencesApi(
        bandwidth.ApiClient(
            bandwidth.Configuration(
                host=f"{house.server.http}/api/v2",
                username=USER,
                password=PASSWORD,
                ignore_operation_servers=True,
            )
        )
    )
    identifier = await house.conference(room)
    await asyncio.to_thread(conferences.update_conference_bxml, ACCOUNT, identifier, play("sdk"))
    await heard(alice, sound)
    with pytest.raises(bandwidth.exceptions.BadRequestException) as refused:
        await asyncio.to_thread(conferences.update_conference_bxml, ACCOUNT, identifier, bxml("<Pause/>"))
    assert "<Pause> is not legal in a conference document" in refused.value.data.description
