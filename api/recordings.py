"""Recordings and transcriptions by REST. Source: contract, recordings.

Nothing is recorded or transcribed: every list is empty and every id unknown. The lists do not ask whether
their call or conference exists: the contract's recordings outlive it.
"""

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import empty_list
from api.body import read_query
from api.models import RecordingQuery, TranscribeRecording, UpdateRecording
from api.openapi import (
    AccountId,
    CallId,
    ConferenceId,
    RecordingId,
    TranscriptionId,
    json_body,
    query_parameters,
    refusals,
)
from calls.errors import NotFound

if TYPE_CHECKING:
    from calls.switchboard import Switchboard

_LIST = refusals(401, 403, 500)
_ONE = refusals(401, 403, 404, 500)


def routes(switchboard: "Switchboard") -> APIRouter:
    """The endpoints of recordings and transcriptions under /accounts/{accountId}."""
    router = APIRouter(prefix="/accounts/{accountId}")
    _lists(router)
    _recordings(router)
    _transcriptions(router)

    @router.put(
        "/calls/{callId}/recording",
        operation_id="updateCallRecordingState",
        summary="Pause or resume what StartRecording began",
        tags=["Recordings"],
        responses=_ONE,
        openapi_extra=json_body(UpdateRecording),
    )
    async def update_recording(account: AccountId, call_id: CallId) -> Response:
        raise NotFound("Recording of call", switchboard.call(account, call_id).id)

    return router


def _lists(router: APIRouter) -> None:
    @router.get(
        "/recordings",
        operation_id="listAccountCallRecordings",
        summary="List the account's recordings of calls",
        tags=["Recordings"],
        responses=refusals(400, 401, 403, 500),
        openapi_extra=query_parameters(RecordingQuery),
    )
    async def list_account_recordings(request: Request, account: AccountId) -> Response:
        read_query(request, RecordingQuery)
        return empty_list()

    @router.get(
        "/calls/{callId}/recordings",
        operation_id="listCallRecordings",
        summary="List a call's recordings",
        tags=["Recordings"],
        responses=_LIST,
    )
    async def list_call_recordings(account: AccountId, call_id: CallId) -> Response:
        return empty_list()

    @router.get(
        "/conferences/{conferenceId}/recordings",
        operation_id="listConferenceRecordings",
        summary="List a conference's recordings",
        tags=["Conferences"],
        responses=_LIST,
    )
    async def list_conference_recordings(account: AccountId, conference_id: ConferenceId) -> Response:
        return empty_list()

    @router.get(
        "/calls/{callId}/transcriptions",
        operation_id="listRealTimeTranscriptions",
        summary="List a call's real-time transcriptions",
        tags=["Transcriptions"],
        responses=_LIST,
    )
    async def list_transcriptions(account: AccountId, call_id: CallId) -> Response:
        return empty_list()


def _recordings(router: APIRouter) -> None:
    async def of_call(account: AccountId, call_id: CallId, recording_id: RecordingId) -> Response:
        raise NotFound("Recording", recording_id)

    async def of_conference(
        account: AccountId, conference_id: ConferenceId, recording_id: RecordingId
    ) -> Response:
        raise NotFound("Recording", recording_id)

    one = "/calls/{callId}/recordings/{recordingId}"
    text = json_body(TranscribeRecording)
    operations: list[tuple[str, str, int, str, str, dict[str, Any] | None]] = [
        ("GET", one, 200, "getCallRecording", "See one recording", None),
        ("DELETE", one, 204, "deleteRecording", "Delete a recording with its transcription", None),
        ("GET", f"{one}/media", 200, "downloadCallRecording", "Download a recording", None),
        ("DELETE", f"{one}/media", 204, "deleteRecordingMedia", "Delete a recording's sound", None),
        ("GET", f"{one}/transcription", 200, "getRecordingTranscription", "Read a transcription", None),
        ("POST", f"{one}/transcription", 204, "transcribeCallRecording", "Order a transcription", text),
        (
            "DELETE",
            f"{one}/transcription",
            204,
            "deleteRecordingTranscription",
            "Delete a transcription",
            None,
        ),
    ]
    for method, path, status, operation, summary, body in operations:
        router.add_api_route(
            path,
            of_call,
            methods=[method],
            status_code=status,
            operation_id=operation,
            summary=summary,
            tags=["Recordings"],
            responses=_ONE,
            openapi_extra=body,
        )
    one = "/conferences/{conferenceId}/recordings/{recordingId}"
    for path, operation, summary in [
        (one, "getConferenceRecording", "See one recording of a conference"),
        (f"{one}/media", "downloadConferenceRecording", "Download a recording of a conference"),
    ]:
        router.add_api_route(
            path,
            of_conference,
            methods=["GET"],
            operation_id=operation,
            summary=summary,
            tags=["Conferences"],
            responses=_ONE,
        )


def _transcriptions(router: APIRouter) -> None:
    async def of_call(account: AccountId, call_id: CallId, transcription_id: TranscriptionId) -> Response:
        raise NotFound("Transcription", transcription_id)

    for method, operation, summary in [
        ("GET", "getRealTimeTranscription", "Read a real-time transcription"),
        ("DELETE", "deleteRealTimeTranscription", "Delete a real-time transcription"),
    ]:
        router.add_api_route(
            "/calls/{callId}/transcriptions/{transcriptionId}",
            of_call,
            methods=[method],
            operation_id=operation,
            summary=summary,
            tags=["Transcriptions"],
            responses=_ONE,
        )
