"""The official Python SDK against this server: only its host is changed."""

import asyncio

import bandwidth
import pytest
from bandwidth.api import CallsApi, ConferencesApi, StatisticsApi
from bandwidth.models import (
    CallStateEnum,
    ConferenceStateEnum,
    CreateCall,
    UpdateCall,
    UpdateConference,
    UpdateConferenceMember,
)

from tests.support.ears import all_hear_the_others, hears, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.server import ACCOUNT, APPLICATION, PASSWORD, USER
from tests.support.studio import Studio

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:bandwidth"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:pydantic"),
]


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
