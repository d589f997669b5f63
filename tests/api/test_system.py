"""The server's own endpoints: health, figures, documents, statistics."""

import httpx
import pytest
from fastapi import FastAPI

from tests.support.fake_switchboard import FakeSwitchboard

OPERATIONS = {
    ("post", "/calls"): ("createCall", "Calls"),
    ("get", "/calls"): ("listCalls", "Calls"),
    ("get", "/calls/{callId}"): ("getCallState", "Calls"),
    ("post", "/calls/{callId}"): ("updateCall", "Calls"),
    ("put", "/calls/{callId}/bxml"): ("updateCallBxml", "Calls"),
    ("get", "/conferences"): ("listConferences", "Conferences"),
    ("get", "/conferences/{conferenceId}"): ("getConference", "Conferences"),
    ("post", "/conferences/{conferenceId}"): ("updateConference", "Conferences"),
    ("put", "/conferences/{conferenceId}/bxml"): ("updateConferenceBxml", "Conferences"),
    ("get", "/conferences/{conferenceId}/members/{memberId}"): ("getConferenceMember", "Conferences"),
    ("put", "/conferences/{conferenceId}/members/{memberId}"): ("updateConferenceMember", "Conferences"),
    ("get", "/conferences/{conferenceId}/recordings"): ("listConferenceRecordings", "Conferences"),
    ("get", "/conferences/{conferenceId}/recordings/{recordingId}"): (
        "getConferenceRecording",
        "Conferences",
    ),
    ("get", "/conferences/{conferenceId}/recordings/{recordingId}/media"): (
        "downloadConferenceRecording",
        "Conferences",
    ),
    ("get", "/recordings"): ("listAccountCallRecordings", "Recordings"),
    ("put", "/calls/{callId}/recording"): ("updateCallRecordingState", "Recordings"),
    ("get", "/calls/{callId}/recordings"): ("listCallRecordings", "Recordings"),
    ("get", "/calls/{callId}/recordings/{recordingId}"): ("getCallRecording", "Recordings"),
    ("delete", "/calls/{callId}/recordings/{recordingId}"): ("deleteRecording", "Recordings"),
    ("get", "/calls/{callId}/recordings/{recordingId}/media"): ("downloadCallRecording", "Recordings"),
    ("delete", "/calls/{callId}/recordings/{recordingId}/media"): ("deleteRecordingMedia", "Recordings"),
    ("get", "/calls/{callId}/recordings/{recordingId}/transcription"): (
        "getRecordingTranscription",
        "Recordings",
    ),
    ("post", "/calls/{callId}/recordings/{recordingId}/transcription"): (
        "transcribeCallRecording",
        "Recordings",
    ),
    ("delete", "/calls/{callId}/recordings/{recordingId}/transcription"): (
        "deleteRecordingTranscription",
        "Recordings",
    ),
    ("get", "/statistics"): ("getStatistics", "Statistics"),
    ("get", "/calls/{callId}/transcriptions"): ("listRealTimeTranscriptions", "Transcriptions"),
    ("get", "/calls/{callId}/transcriptions/{transcriptionId}"): (
        "getRealTimeTranscription",
        "Transcriptions",
    ),
    ("delete", "/calls/{callId}/transcriptions/{transcriptionId}"): (
        "deleteRealTimeTranscription",
        "Transcriptions",
    ),
}


async def test_health_is_open_and_tells_when_the_server_is_not_ready(
    anonymous: httpx.AsyncClient, health: dict[str, object]
) -> None:
    response = await anonymous.get("/healthz")
    assert response.status_code == 200
    assert response.json() == health
    health["status"] = "stopping"
    response = await anonymous.get("/healthz")
    assert response.status_code == 503
    assert response.json()["status"] == "stopping"


async def test_figures_are_open_to_this_machine_only(app: FastAPI) -> None:
    for address, auth, status in (
        ("127.0.0.1", None, 200),
        ("::1", None, 200),
        ("192.0.2.7", None, 401),
        ("192.0.2.7", ("demo", "wrong"), 401),
        ("192.0.2.7", ("other", "different"), 200),
        ("not an address", None, 401),
    ):
        transport = httpx.ASGITransport(app=app, client=(address, 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://server", auth=auth) as client:
            response = await client.get("/metrics")
        assert response.status_code == status
        if status == 200:
            assert response.text == "calls_total 1\n"
            assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_the_document_has_the_contracts_operations(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    assert document["servers"] == [{"url": "http://voice.example:8080"}]
    found = {
        (method, path.removeprefix("/api/v2/accounts/{accountId}")): (
            operation["operationId"],
            operation["tags"][0],
        )
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if path.startswith("/api/v2/")
    }
    assert found == OPERATIONS
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            created = (method, path) == ("post", "/api/v2/accounts/{accountId}/calls")
            assert ("422" in operation["responses"]) == created


async def test_the_document_names_every_parameter(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    listing = document["paths"]["/api/v2/accounts/{accountId}/calls"]["get"]
    assert [(parameter["in"], parameter["name"]) for parameter in listing["parameters"]] == [
        ("path", "accountId"),
        ("query", "pageToken"),
        ("query", "to"),
        ("query", "from"),
        ("query", "minStartTime"),
        ("query", "maxStartTime"),
        ("query", "disconnectCause"),
        ("query", "pageSize"),
    ]


async def test_every_reference_of_the_document_leads_somewhere(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()

    def references(part: object) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(references, part))
        if not isinstance(part, dict):
            return set()
        own = {part["$ref"]} if "$ref" in part else set()
        return own.union(*map(references, part.values()))

    found = references(document)
    assert "#/components/schemas/CreateCall" in found
    assert document["components"]["schemas"]["CreateCall"]["description"] == "An outbound call."
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert found <= known


async def test_the_documents_page_needs_nothing_from_elsewhere(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<script" not in response.text
    assert 'src="' not in response.text
    assert 'href="http' not in response.text
    for operation, _ in OPERATIONS.values():
        assert f"<code>{operation}</code>" in response.text
    assert "callIdsToCoach" in response.text


async def test_the_documents_page_says_what_a_field_takes_and_what_is_within(
    anonymous: httpx.AsyncClient,
) -> None:
    page = (await anonymous.get("/docs")).text
    assert "<td>callTimeout</td><td>number</td><td>1 to 300, default 30</td>" in page
    assert "<td>Seconds of ringing.</td>" in page
    assert "<td>machineDetection</td><td>MachineDetection</td>" in page and "<td>speechThreshold</td>" in page
    hears = page.partition("getHearing")[2].partition("<details>")[0]
    assert hears.count("<code>Party</code>") == 1 and "<td>sdpAddress</td><td>string | null</td>" in hears


async def test_statistics_are_whole_numbers(client: httpx.AsyncClient, switchboard: FakeSwitchboard) -> None:
    switchboard.queue = (3, 1500)
    response = await client.get("/statistics")
    assert response.json() == {"currentCallQueueSize": 3, "maxCallQueueSize": 1500}


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/healthz"])
async def test_wrong_credentials_do_not_close_what_is_open(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.get(path, auth=("demo", "wrong"))).status_code == 200
