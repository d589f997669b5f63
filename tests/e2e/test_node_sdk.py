"""The official Node SDK against this server: only its base path is changed; its builders' documents run."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

import bxml
from tests.support.ears import all_hear_the_others, hears, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.node_sdk import NodeSdk
from tests.support.phone import PhoneCall
from tests.support.prompts import spoken
from tests.support.server import ACCOUNT, APPLICATION, PASSWORD, USER
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "c-00000000-00000000-0000-0000-0000-000000000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdk(house: House) -> AsyncIterator[NodeSdk]:
    async with NodeSdk(basePath=f"{house.server.http}/api/v2", username=USER, password=PASSWORD) as sdk:
        yield sdk


async def test_it_calls_lists_coaches_and_ends(house: House, studio: Studio, sdk: NodeSdk) -> None:
    room = house.room()
    alice = await (await studio.phone("alice", house.server.sip, sound=voices()[0])).dial(house.uri(room))
    alice_id = await house.call_id(room)
    bob_phone = await studio.phone("bob", sound=voices()[4])
    house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
    order = {
        "from": "+19195550100",
        "to": bob_phone.uri,
        "applicationId": APPLICATION,
        "answerUrl": house.application.url("/answer"),
        "tag": room,
    }
    status, created = await sdk("CallsApi", "createCall", ACCOUNT, order)
    assert (status, created["accountId"], created["tag"]) == (201, ACCOUNT, room)
    bob_id = created["callId"]
    bob = await bob_phone.incoming()
    await all_hear_the_others([alice, bob])

    status, state = await sdk("CallsApi", "getCallState", ACCOUNT, bob_id)
    assert (status, state["state"], state["direction"]) == (200, "answered", "outbound")
    status, rows = await sdk("CallsApi", "listCalls", ACCOUNT, bob_phone.uri)
    assert (status, [row["callId"] for row in rows]) == (200, [bob_id])

    status, rows = await sdk("ConferencesApi", "listConferences", ACCOUNT, room)
    assert (status, [row["name"] for row in rows]) == (200, [room])
    conference = rows[0]["id"]
    status, shown = await sdk("ConferencesApi", "getConference", ACCOUNT, conference)
    assert status == 200 and {member["callId"] for member in shown["activeMembers"]} == {alice_id, bob_id}

    member = (ACCOUNT, conference, bob_id)
    assert await sdk("ConferencesApi", "updateConferenceMember", *member, {"mute": True}) == (204, "")
    await hears(alice, [])
    change = {"mute": False, "callIdsToCoach": [alice_id]}
    assert await sdk("ConferencesApi", "updateConferenceMember", *member, change) == (204, "")
    await hears(alice, [bob])
    status, shown = await sdk("ConferencesApi", "getConferenceMember", *member)
    assert (status, shown["mute"], shown["callIdsToCoach"]) == (200, False, [alice_id])

    sentence = await spoken("This is for both of you.")

    def heard(call: PhoneCall) -> bool:  # beside a tone
        return call.line.find(sentence)[0] > 0.5

    [document, _] = await sdk.documents(["SpeakSentence", "This is for both of you."])
    assert await sdk("ConferencesApi", "updateConferenceBxml", ACCOUNT, conference, document) == (204, "")
    for call in (alice, bob):
        await eventually(lambda call=call: heard(call), every=0.1, what=call.story)

    end = {"status": "completed"}
    assert await sdk("ConferencesApi", "updateConference", ACCOUNT, conference, end) == (204, "")
    await asyncio.gather(alice.ended(), bob.ended())
    assert (await sdk("CallsApi", "updateCall", ACCOUNT, bob_id, {"state": "completed"}))[0] == 200
    status, figures = await sdk("StatisticsApi", "getStatistics", ACCOUNT)
    assert (status, figures["currentCallQueueSize"]) == (200, 0)


async def test_a_call_runs_what_its_builders_made(house: House, studio: Studio, sdk: NodeSdk) -> None:
    room = house.room()
    alice = await (await studio.phone("alice", house.server.sip, sound=voices()[0])).dial(house.uri(room))
    call_id = await house.call_id(room)
    prompt = await spoken("Please hold.")

    def heard(since: int) -> bool:
        return alice.line.find(prompt, since=since)[0] > 0.9

    for document in await sdk.documents(["SpeakSentence", "Please hold."], ["Pause", {"duration": 60}]):
        before = len(alice.line.audio)
        assert await sdk("CallsApi", "updateCallBxml", ACCOUNT, call_id, document) == (204, "")
        await eventually(lambda since=before: heard(since), every=0.1, what=alice.story)
    house.application.on("redirect", "<Response><Hangup/></Response>", callId=call_id)
    redirect = {"redirectUrl": house.application.url("/redirected")}
    assert (await sdk("CallsApi", "updateCall", ACCOUNT, call_id, redirect))[0] == 200
    await alice.ended()


URLS = {"username": "u", "password": "p", "tag": "t"}
VERBS = [
    ["Bridge", NOBODY, {"bridgeCompleteUrl": "/b", "bridgeTargetCompleteUrl": "/t", **URLS}],
    ["Conference", "room", {"mute": True, "hold": False, "callIdsToCoach": NOBODY}],
    ["Connect", {"eventCallbackUrl": "/e"}, [["Endpoint", "e-1"]]],
    ["Forward", {"to": "+19195550100", "from": "+19195550101", "callTimeout": 20}],
    ["Gather", {"gatherUrl": "/g", "maxDigits": 4, "terminatingDigits": "#"}, [["SpeakSentence", "PIN?"]]],
    ["Hangup"],
    ["Pause", {"duration": 2.5}],
    ["PauseRecording"],
    ["PlayAudio", "http://files.example/a.wav", {"username": "u", "password": "p"}],
    ["Record", {"recordCompleteUrl": "/r", "maxDuration": 30, "fileFormat": "mp3"}],
    ["Redirect", {"redirectUrl": "/r", "redirectMethod": "GET"}],
    ["ResumeRecording"],
    ["Ring", {"duration": 3, "answerCall": False}],
    ["SendDtmf", "12w3", {"toneDuration": 100, "toneInterval": 200}],
    ["SpeakSentence", "Hello", {"voice": "susan", "gender": "female", "locale": "en_US"}],
    ["StartGather", {"dtmfUrl": "/d", "dtmfMethod": "POST"}],
    ["StartRecording", {"recordingAvailableUrl": "/a", "multiChannel": True}],
    ["StartStream", {"destination": "wss://s.example/"}, [["StreamParam", {"name": "a", "value": "b"}]]],
    ["StartTranscription", {"destination": "wss://s.example/", "name": "t"}],
    ["StopGather"],
    ["StopRecording"],
    ["StopStream", {"name": "s"}],
    ["StopTranscription", {"name": "t"}],
    ["Tag", "t"],
    ["Transfer", {"transferCompleteUrl": "/t", "callTimeout": 20}, [["SipUri", "sip:a@b.example"]]],
]  # fmt: skip


async def test_every_builder_is_understood(sdk: NodeSdk) -> None:
    for verb in VERBS:
        for document in await sdk.documents(verb):
            [read] = bxml.parse(document).verbs
            assert type(read).__name__ == verb[0]


async def test_what_does_not_exist_yet_is_told_as_the_contract_tells_it(
    house: House, studio: Studio, sdk: NodeSdk
) -> None:
    room = house.room()
    await (await studio.phone("alice", house.server.sip)).dial(house.uri(room))
    call_id, conference = await house.call_id(room), await house.conference(room)
    lists = [
        ("RecordingsApi", "listAccountCallRecordings", ACCOUNT),
        ("RecordingsApi", "listCallRecordings", ACCOUNT, call_id),
        ("TranscriptionsApi", "listRealTimeTranscriptions", ACCOUNT, call_id),
        ("ConferencesApi", "listConferenceRecordings", ACCOUNT, conference),
    ]
    for call in lists:
        assert await sdk(*call) == (200, [])
    of_call = (ACCOUNT, call_id, "r-1")
    missing = [
        ("RecordingsApi", "getCallRecording", *of_call),
        ("RecordingsApi", "deleteRecording", *of_call),
        ("RecordingsApi", "downloadCallRecording", *of_call),
        ("RecordingsApi", "deleteRecordingMedia", *of_call),
        ("RecordingsApi", "getRecordingTranscription", *of_call),
        ("RecordingsApi", "deleteRecordingTranscription", *of_call),
        ("RecordingsApi", "transcribeCallRecording", *of_call, {"callbackUrl": "http://a.example/"}),
        ("RecordingsApi", "updateCallRecordingState", ACCOUNT, call_id, {"state": "paused"}),
        ("TranscriptionsApi", "getRealTimeTranscription", ACCOUNT, call_id, "t-1"),
        ("TranscriptionsApi", "deleteRealTimeTranscription", ACCOUNT, call_id, "t-1"),
        ("ConferencesApi", "getConferenceRecording", ACCOUNT, conference, "r-1"),
        ("ConferencesApi", "downloadConferenceRecording", ACCOUNT, conference, "r-1"),
        ("CallsApi", "getCallState", ACCOUNT, NOBODY),
    ]
    for call in missing:
        status, _ = await sdk(*call)
        assert status == 404, call
    assert (await sdk("CallsApi", "getCallState", "9900001", call_id))[0] == 403
    status, body = await sdk("CallsApi", "updateCall", ACCOUNT, call_id, {})
    assert (status, body["type"]) == (400, "validation") and "redirectUrl" in body["description"]
