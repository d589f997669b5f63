"""The OpenAPI document: what FastAPI cannot know of endpoints that read their bodies themselves."""

from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import models

AccountId = Annotated[str, Path(alias="accountId", description="The account whose credentials are sent.")]
CallId = Annotated[str, Path(alias="callId", description="From a webhook or an answer: c-…")]
ConferenceId = Annotated[str, Path(alias="conferenceId", description="From a webhook or a list: conf-…")]
RecordingId = Annotated[str, Path(alias="recordingId", description="From a webhook or a list: r-…")]
TranscriptionId = Annotated[str, Path(alias="transcriptionId", description="From a webhook or a list: t-…")]
MemberId = Annotated[str, Path(alias="memberId", description="The call id of the member.")]

BXML_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/xml": {"schema": {"type": "string", "description": "A BXML document."}}},
    }
}

OPEN: dict[str, Any] = {"security": []}
"""For endpoints that ask for no credentials."""

_REFERENCE = "#/components/schemas/{model}"

_REQUESTS: tuple[type[BaseModel], ...] = (
    models.CreateCall,
    models.UpdateCall,
    models.UpdateConference,
    models.UpdateMember,
    models.UpdateMemberSound,
    models.UpdateRecording,
    models.TranscribeRecording,
)

_REFUSALS = {
    400: "The request is wrong; the description names the field and what was expected",
    401: "Credentials are missing or wrong",
    403: "The credentials belong to another account",
    404: "The account has nothing of this id",
    409: "The call's state does not allow it",
    413: "The body is too large",
    415: "The body is of another media type",
    422: "The idempotency key came with another body",
    429: "A limit of the account is reached; Retry-After says for how long",
    500: "The server failed; its log has the id",
    503: "The server takes no calls now",
}

_SECURITY_SCHEMES = {
    "Basic": {"type": "http", "scheme": "basic"},
    "OAuth2": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "/api/v1/oauth2/token", "scopes": {}}},
    },
}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What an endpoint that reads `model` tells of its body; the model must be one of `_REQUESTS`."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def header_parameter(name: str, description: str) -> dict[str, Any]:
    """What an endpoint that looks at a header of its own tells of it."""
    parameter = {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
    return {"parameters": [parameter]}


def query_parameters(model: type[BaseModel]) -> dict[str, Any]:
    """What an endpoint that reads `model` tells of its query."""
    fields = model.model_json_schema()["properties"]
    parameters = [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]
    return {"parameters": parameters}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals that an endpoint may give, besides 405 and those of a misspelt path."""
    return {status: {"model": models.Error, "description": _REFUSALS[status]} for status in statuses}


def install(app: FastAPI) -> None:
    """Let the application give the whole document; it is made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=app.servers,
    )
    _, definitions = models_json_schema(
        [(model, "validation") for model in _REQUESTS], ref_template=_REFERENCE
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(definitions["$defs"])
    components["securitySchemes"] = _SECURITY_SCHEMES
    document["security"] = [{"Basic": []}, {"OAuth2": []}]
    # FastAPI names 422 for whatever has a parameter; those of ours are read, and refused, elsewhere.
    for operations in document["paths"].values():
        for operation in operations.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    for schema in components["schemas"].values():
        if "description" in schema:  # what a class says of its source is for those who read the code
            schema["description"] = schema["description"].partition(" Source:")[0]
    return document
