"""The official Python SDK against this server: only its host is changed."""

import asyncio

import bandwidth
import pytest
from bandwidth.api import CallsApi, ConferencesApi, RecordingsApi, StatisticsApi, TranscriptionsApi
from bandwidth.models import (
    CallStateEnum,
    ConferenceStateEnum,
    CreateCall,
    RecordingStateEnum,
    TranscribeRecording,
    UpdateCall,
    UpdateCallRecording,
    UpdateConference,
    UpdateConferenceMember,
    bxml,
)

from tests.support.ears import all_hear_the_others, hears, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.prompts import spoken
from tests.support.server import ACCOUNT, APPLICATION, PASSWORD, USER
from tests.support.studio import Studio
from tests.support.tones import find

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bandwidth"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
]


URL = "https://app.example/x"


def client(house: House) -> bandwidth.ApiClient:
    return bandwidth.ApiClient(
        bandwidth.Configuration(
            host=f"{house.server.http}/api/v2",
            username=USER,
            password=PASSWORD,
            ignore_operation_servers=True,
        )
    )


async def test_the_sdk_calls_lists_coaches_and_ends(house: House, studio: Studio) -> None:
    room = house.room()
    with client(house) as api:
        calls, conferences = CallsApi(api), ConferencesApi(api)
        alice = await (await studio.phone("alice", house.server.sip, sound=voices()[0])).dial(house.uri(room))
        bob_phone = await studio.phone("bob", sound=voices()[3])
        house.application.on("answer", f"<Response><Conference>{room}</Conference></Response>", tag=room)
        created = await asyncio.to_thread(
            calls.create_call,
            ACCOUNT,
            CreateCall.from_dict(
                {
                    "from": "+19195550100",
                    "to": bob_phone.uri,
                    "applicationId": APPLICATION,
                    "answerUrl": house.application.url("/answer"),
                    "tag": room,
                }
            ),
        )
        bob = await bob_phone.incoming()
        await all_hear_the_others([alice, bob])

        state = await asyncio.to_thread(calls.get_call_state, ACCOUNT, created.call_id)
        assert state.state == "answered"
        rows = await asyncio.to_thread(conferences.list_conferences, ACCOUNT, name=room)
        assert [row.name for row in rows] == [room]
        one = await asyncio.to_thread(conferences.get_conference, ACCOUNT, rows[0].id)
        assert len(one.active_members) == 2

        member = UpdateConferenceMember(mute=True)
        await asyncio.to_thread(
            conferences.update_conference_member, ACCOUNT, one.id, created.call_id, member
        )
        await hears(alice, [])
        member = await asyncio.to_thread(conferences.get_conference_member, ACCOUNT, one.id, created.call_id)
        assert member.mute is True
        assert member.call_ids_to_coach == []

        ended = UpdateConference(status=ConferenceStateEnum.COMPLETED)
        await asyncio.to_thread(conferences.update_conference, ACCOUNT, one.id, ended)
        await asyncio.gather(alice.ended(), bob.ended())
        after = await asyncio.to_thread(conferences.get_conference, ACCOUNT, one.id)
        assert after.completed_time is not None

        # The smoke tests of the SDK complete a call that has just ended, and expect 200.
        update = UpdateCall(state=CallStateEnum.COMPLETED)
        await asyncio.to_thread(calls.update_call, ACCOUNT, created.call_id, update)
        figures = await asyncio.to_thread(StatisticsApi(api).get_statistics, ACCOUNT)
        assert figures.current_call_queue_size == 0


async def test_the_sdk_replaces_bxml_and_is_told_of_errors(house: House, studio: Studio) -> None:
    room = house.room()
    with client(house) as api:
        calls = CallsApi(api)
        alice = await (await studio.phone("alice", house.server.sip)).dial(house.uri(room))
        call_id = await house.call_id(room)
        await asyncio.to_thread(
            calls.update_call_bxml, ACCOUNT, call_id, "<?xml version='1.0'?><Bxml><Hangup/></Bxml>"
        )
        await alice.ended()

        def status_of(account: str, call: str) -> int:
            try:
                calls.get_call_state(account, call)
            except bandwidth.exceptions.ApiException as error:
                return int(error.status)
            return 200

        assert await asyncio.to_thread(status_of, ACCOUNT, "c-none") == 404
        assert await asyncio.to_thread(status_of, "9900001", call_id) == 403
        await eventually(lambda: house.application.of("disconnect", callId=call_id))


async def test_the_rest_of_its_operations_and_what_its_builders_make(house: House, studio: Studio) -> None:
    """By a token, which the SDK fetches for itself."""
    room, sentence = house.room(), await spoken("This is for all of you.")
    alice = await (await studio.phone("alice", house.server.sip)).dial(house.uri(room))
    call_id, conference = await house.call_id(room), await house.conference(room)
    configuration = bandwidth.Configuration(
        host=f"{house.server.http}/api/v2",
        client_id=USER,
        client_secret=PASSWORD,
        access_token_url=f"{house.server.http}/api/v1/oauth2/token",
        ignore_operation_servers=True,
    )
    with bandwidth.ApiClient(configuration) as api:
        calls, conferences = CallsApi(api), ConferencesApi(api)
        recordings, transcriptions = RecordingsApi(api), TranscriptionsApi(api)

        rows = await asyncio.to_thread(calls.list_calls, ACCOUNT, to=house.uri(room), page_size=1)
        assert [row.call_id for row in rows] == [call_id]
        for listed in (
            (recordings.list_account_call_recordings,),
            (recordings.list_call_recordings, call_id),
            (transcriptions.list_real_time_transcriptions, call_id),
            (conferences.list_conference_recordings, conference),
        ):
            assert await asyncio.to_thread(listed[0], ACCOUNT, *listed[1:]) == []
        of_call, paused = (call_id, "r-1"), UpdateCallRecording(state=RecordingStateEnum.PAUSED)
        for missing in (
            (recordings.get_call_recording, *of_call),
            (recordings.download_call_recording, *of_call),
            (recordings.delete_recording, *of_call),
            (recordings.delete_recording_media, *of_call),
            (recordings.transcribe_call_recording, *of_call, TranscribeRecording(callback_url=URL)),
            (recordings.get_recording_transcription, *of_call),
            (recordings.delete_recording_transcription, *of_call),
            (recordings.update_call_recording_state, call_id, paused),
            (transcriptions.get_real_time_transcription, call_id, "t-1"),
            (transcriptions.delete_real_time_transcription, call_id, "t-1"),
            (conferences.get_conference_recording, conference, "r-1"),
            (conferences.download_conference_recording, conference, "r-1"),
        ):
            with pytest.raises(bandwidth.exceptions.NotFoundException):
                await asyncio.to_thread(missing[0], ACCOUNT, *missing[1:])

        document = bxml.Response([bxml.SpeakSentence("This is for all of you.")]).to_bxml()
        await asyncio.to_thread(conferences.update_conference_bxml, ACCOUNT, conference, document)
        await eventually(lambda: find(sentence, alice.line.pcm())[0] > 0.9, what=alice.story)
        redirect = UpdateConference(redirect_url=house.application.url("/redirected"))
        await asyncio.to_thread(conferences.update_conference, ACCOUNT, conference, redirect)
        await house.application.event("conferenceRedirect", conferenceId=conference)

        gather = bxml.Gather(gather_url="/pressed", max_digits=1, first_digit_timeout=60, tag="built")
        house.application.on("redirect", bxml.Response([gather]).to_bxml(), callId=call_id)
        update = UpdateCall(redirect_url=house.application.url("/next"))
        await asyncio.to_thread(calls.update_call, ACCOUNT, call_id, update)
        await house.application.event("redirect", callId=call_id)
        alice.line.press("6")
        event = await house.application.event("gather", callId=call_id)
        assert (event["digits"], event["tag"]) == ("6", "built")
        await alice.ended()
