"""The official Python SDK against the server on a real socket; its strict models read each answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import bandwidth
import pytest
from bandwidth import exceptions, models
from fastapi import FastAPI

from api.server import HttpServer
from calls.callbacks import Callback
from calls.errors import Conflict
from tests.support.fake_switchboard import START, FakeSwitchboard

ACCOUNT = "9900000"
APPLICATION = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"


@pytest.fixture
async def host(app: FastAPI) -> AsyncIterator[str]:
    server = HttpServer(app, "127.0.0.1:0", grace=1)
    await server.start()
    yield f"http://127.0.0.1:{server.address[1]}"
    await server.close()


@pytest.fixture
def sdk(host: str) -> bandwidth.ApiClient:
    return bandwidth.ApiClient(
        bandwidth.Configuration(
            host=f"{host}/api/v2", username="demo", password="secret", ignore_operation_servers=True
        )
    )


@pytest.fixture
def calls(sdk: bandwidth.ApiClient) -> bandwidth.CallsApi:
    return bandwidth.CallsApi(sdk)


@pytest.fixture
def conferences(sdk: bandwidth.ApiClient) -> bandwidth.ConferencesApi:
    return bandwidth.ConferencesApi(sdk)


async def test_a_call_is_created(calls: bandwidth.CallsApi, switchboard: FakeSwitchboard) -> None:
    order = models.CreateCall(
        to="+19195551234",
        var_from="+19195554321",
        application_id=APPLICATION,
        answer_url="https://app.example/answer",
        answer_method=models.CallbackMethodEnum.GET,
        disconnect_url="https://app.example/disconnect",
        username="u",
        password="p",
        call_timeout=30.0,
        callback_timeout=15.0,
        privacy=False,
        display_name="Daily",
        priority=5,
        tag="a tag",
        machine_detection=models.MachineDetectionConfiguration(
            mode=models.MachineDetectionModeEnum.ASYNC,
            detection_timeout=5.0,
            callback_url="https://app.example/machine",
        ),
    )
    answer = await asyncio.to_thread(calls.create_call_with_http_info, ACCOUNT, order)
    assert answer.status_code == 201
    created = answer.data
    assert len(created.call_id) == 47
    assert created.account_id == ACCOUNT
    assert created.enqueued_time == START
    assert created.answer_method == models.CallbackMethodEnum.GET
    assert (created.username, created.password) == ("u", "*****")
    assert created.call_timeout == 30
    assert created.additional_properties == {}
    [(_, _, taken)] = switchboard.done
    assert taken.answer.password == "p"


async def test_the_smallest_order_is_taken(calls: bandwidth.CallsApi) -> None:
    order = models.CreateCall(
        to="sip:bob@127.0.0.1:5070",
        var_from="+19195554321",
        application_id=APPLICATION,
        answer_url="http://127.0.0.1:9000/answer",
    )
    created = await asyncio.to_thread(calls.create_call, ACCOUNT, order)
    assert created.answer_method == created.disconnect_method == models.CallbackMethodEnum.POST


async def test_calls_are_listed_and_shown(calls: bandwidth.CallsApi, switchboard: FakeSwitchboard) -> None:
    call = switchboard.add_call(
        state="disconnected",
        answer_time=START,
        end_time=START + timedelta(seconds=5),
        disconnect_cause="hangup",
    )
    switchboard.add_call(to="+19995550000")
    listed = await asyncio.to_thread(calls.list_calls, ACCOUNT, to="+19195551234", page_size=10)
    assert [row.call_id for row in listed] == [call.id]
    state = await asyncio.to_thread(calls.get_call_state, ACCOUNT, call.id)
    assert state.direction == models.CallDirectionEnum.INBOUND
    assert state.end_time == START + timedelta(seconds=5)
    assert state.error_message is None
    assert state.additional_properties == {}


async def test_a_call_is_redirected_replaced_and_ended(
    calls: bandwidth.CallsApi, switchboard: FakeSwitchboard
) -> None:
    call = switchboard.add_call()
    redirect = models.UpdateCall(redirect_url="https://app.example/r", tag="t")
    answer = await asyncio.to_thread(calls.update_call_with_http_info, ACCOUNT, call.id, redirect)
    assert answer.status_code == 200
    bxml = "<Bxml><SpeakSentence>Hello</SpeakSentence></Bxml>"
    answer = await asyncio.to_thread(calls.update_call_bxml_with_http_info, ACCOUNT, call.id, bxml)
    assert answer.status_code == 204
    over = models.UpdateCall(state=models.CallStateEnum.COMPLETED)
    answer = await asyncio.to_thread(calls.update_call_with_http_info, ACCOUNT, call.id, over)
    assert answer.status_code == 200
    assert [done[0] for done in switchboard.done] == ["redirect_call", "replace_bxml", "complete_call"]
    assert switchboard.done[1][2] == bxml.encode()


async def test_conferences_are_listed_shown_updated_and_ended(
    conferences: bandwidth.ConferencesApi, switchboard: FakeSwitchboard
) -> None:
    conference = switchboard.add_conference(events=Callback(url="https://app.example/conf"), tag="t")
    call = switchboard.add_call()
    conference.join(call)
    switchboard.add_conference("daily")

    [row] = await asyncio.to_thread(conferences.list_conferences, ACCOUNT, name="standup", page_size=5)
    assert (row.id, row.active_members, row.completed_time) == (conference.id, None, None)

    shown = await asyncio.to_thread(conferences.get_conference, ACCOUNT, conference.id)
    assert len(shown.id) == 50
    assert shown.created_time == START
    assert shown.active_members is not None
    assert [member.call_id for member in shown.active_members] == [call.id]

    bxml = "<Bxml><StopRecording/></Bxml>"
    answer = await asyncio.to_thread(
        conferences.update_conference_bxml_with_http_info, ACCOUNT, conference.id, bxml
    )
    assert answer.status_code == 204

    over = models.UpdateConference(status=models.ConferenceStateEnum.COMPLETED)
    answer = await asyncio.to_thread(
        conferences.update_conference_with_http_info, ACCOUNT, conference.id, over
    )
    assert answer.status_code == 204
    assert [done[0] for done in switchboard.done] == ["replace_conference_bxml", "complete_conference"]


async def test_a_member_is_shown_and_changed(
    conferences: bandwidth.ConferencesApi, switchboard: FakeSwitchboard
) -> None:
    conference, call = switchboard.add_conference(), switchboard.add_call()
    conference.join(call)
    update = models.UpdateConferenceMember(mute=True, call_ids_to_coach=["c-2"])
    answer = await asyncio.to_thread(
        conferences.update_conference_member_with_http_info, ACCOUNT, conference.id, call.id, update
    )
    assert answer.status_code == 204
    member = await asyncio.to_thread(conferences.get_conference_member, ACCOUNT, conference.id, call.id)
    assert (member.mute, member.hold, member.call_ids_to_coach) == (True, False, ["c-2"])
    assert member.conference_id == conference.id
    assert member.additional_properties == {}
    for nothing in (models.UpdateConferenceMember(), models.UpdateConferenceMember(callIdsToCoach=None)):
        await asyncio.to_thread(
            conferences.update_conference_member, ACCOUNT, conference.id, call.id, nothing
        )
    assert switchboard.done[-1] == ("update_member", call.id, None, None, None)


async def test_statistics_are_read(sdk: bandwidth.ApiClient, switchboard: FakeSwitchboard) -> None:
    switchboard.queue = (2, 900)
    statistics = await asyncio.to_thread(bandwidth.StatisticsApi(sdk).get_statistics, ACCOUNT)
    assert (statistics.current_call_queue_size, statistics.max_call_queue_size) == (2, 900)


async def test_refusals_are_the_exceptions_of_the_sdk(
    host: str, calls: bandwidth.CallsApi, switchboard: FakeSwitchboard
) -> None:
    call = switchboard.add_call()
    with pytest.raises(exceptions.NotFoundException) as missing:
        await asyncio.to_thread(calls.get_call_state, ACCOUNT, "does-not-exist")
    assert missing.value.data.description == "Call [does-not-exist] not found"
    with pytest.raises(exceptions.ForbiddenException):
        await asyncio.to_thread(calls.list_calls, "not-an-account")
    with pytest.raises(exceptions.BadRequestException) as invalid:
        await asyncio.to_thread(calls.update_call, ACCOUNT, call.id, models.UpdateCall())
    assert "redirectUrl" in invalid.value.data.description
    switchboard.refuses = Conflict(f"Call [{call.id}] cannot be modified in its current state")
    with pytest.raises(exceptions.ApiException) as conflict:
        await asyncio.to_thread(
            calls.update_call, ACCOUNT, call.id, models.UpdateCall(redirect_url="http://h/")
        )
    assert conflict.value.status == 409
    stranger = bandwidth.CallsApi(
        bandwidth.ApiClient(
            bandwidth.Configuration(
                host=f"{host}/api/v2", username="demo", password="wrong", ignore_operation_servers=True
            )
        )
    )
    with pytest.raises(exceptions.UnauthorizedException):
        await asyncio.to_thread(stranger.list_calls, ACCOUNT)


async def test_client_credentials_are_exchanged_for_a_token(host: str, switchboard: FakeSwitchboard) -> None:
    client = bandwidth.ApiClient(
        bandwidth.Configuration(
            host=f"{host}/api/v2",
            client_id="demo",
            client_secret="secret",
            access_token_url=f"{host}/api/v1/oauth2/token",
            ignore_operation_servers=True,
        )
    )
    assert await asyncio.to_thread(bandwidth.CallsApi(client).list_calls, ACCOUNT) == []


async def test_recordings_and_transcriptions_are_empty_lists_and_none_is_found(
    sdk: bandwidth.ApiClient, conferences: bandwidth.ConferencesApi, switchboard: FakeSwitchboard
) -> None:
    call, conference = switchboard.add_call(), switchboard.add_conference()
    recordings, transcriptions = bandwidth.RecordingsApi(sdk), bandwidth.TranscriptionsApi(sdk)
    order = models.TranscribeRecording(callback_url="https://app.example/t")
    paused = models.UpdateCallRecording(state=models.RecordingStateEnum.PAUSED)
    lists = [
        (recordings.list_account_call_recordings,),
        (recordings.list_call_recordings, call.id),
        (transcriptions.list_real_time_transcriptions, call.id),
        (conferences.list_conference_recordings, conference.id),
    ]
    for method, *rest in lists:
        assert await asyncio.to_thread(method, ACCOUNT, *rest) == []
    ones = [
        (recordings.get_call_recording, call.id, "r-1"),
        (recordings.delete_recording, call.id, "r-1"),
        (recordings.download_call_recording, call.id, "r-1"),
        (recordings.delete_recording_media, call.id, "r-1"),
        (recordings.get_recording_transcription, call.id, "r-1"),
        (recordings.transcribe_call_recording, call.id, "r-1", order),
        (recordings.delete_recording_transcription, call.id, "r-1"),
        (recordings.update_call_recording_state, call.id, paused),
        (transcriptions.get_real_time_transcription, call.id, "t-1"),
        (transcriptions.delete_real_time_transcription, call.id, "t-1"),
        (conferences.get_conference_recording, conference.id, "r-1"),
        (conferences.download_conference_recording, conference.id, "r-1"),
    ]
    for method, *rest in ones:
        with pytest.raises(exceptions.NotFoundException) as missing:
            await asyncio.to_thread(method, ACCOUNT, *rest)
        assert missing.value.data.description.endswith("not found")
