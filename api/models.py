"""What REST takes and gives, field by field. Source: contract, its OpenAPI document.

Requests: types are strict (a number is a JSON number), `null` counts as left out, unknown fields are
ignored. Answers: a field without a value is `null`; times are UTC with milliseconds and `Z`.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from bxml.attributes import DIALLED, E164, WITHHELD, can_be_dialled
from calls import clock

Method = Literal["GET", "POST"]
"""A webhook's method."""

_UUI = re.compile(r"[!-+\--~]+;encoding=(?:jwt|base64|hex)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def wrong(expected: str) -> PydanticCustomError:
    """A fault of one field, told by what was expected."""
    return PydanticCustomError("expected", "{expected}", {"expected": expected})


def at_odds(field: str, expected: str) -> PydanticCustomError:
    """A field that does not go with another one."""
    return PydanticCustomError("rule", "Invalid {field}: {expected}", {"field": field, "expected": expected})


def _number(value: str) -> str:
    if not E164.fullmatch(value):
        raise wrong("must be a telephone number in E.164 form, such as +19195551234")
    return value


def _destination(value: str) -> str:
    if not E164.fullmatch(value) and not ("@" in value and can_be_dialled(value)):
        raise wrong(f"must be a telephone number in E.164 form, such as +19195551234, or {DIALLED}")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", value):
        raise wrong("must be an absolute http or https URL")
    if "@" in parts.netloc:
        raise wrong("must not hold credentials: there are fields for them")
    return value


def _username(value: str) -> str:
    if ":" in value:  # where the password begins (RFC 7617 section 2)
        raise wrong("must not hold a colon")
    return value


def _ids(value: list[str]) -> list[str]:
    """Blank places name nobody: one is what comes of splitting an empty text."""
    return [each.strip() for each in value if each.strip()]


def _plain_text(value: str) -> str:
    if _CONTROL.search(value):
        raise wrong("must not hold control characters")
    return value


def _uui(value: str) -> str:
    if not all(_UUI.fullmatch(part.strip()) for part in value.split(",")):
        raise wrong("must be values with ;encoding= of jwt, base64 or hex, separated by commas")
    return value


def _moment(value: Any) -> datetime:
    """A query's time. Without an offset it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise wrong("must be a time in ISO 8601 form, such as 2022-06-21T19:13:21Z") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


Number = Annotated[str, AfterValidator(_number)]
Destination = Annotated[str, Field(max_length=1024), AfterValidator(_destination)]
Url = Annotated[str, Field(max_length=2048, json_schema_extra={"format": "uri"}), AfterValidator(_url)]
Username = Annotated[str, Field(max_length=1024), AfterValidator(_username)]
Password = Annotated[SecretStr, Field(max_length=1024)]
Tag = Annotated[str, Field(max_length=4096)]
Seconds = Annotated[float, Field(ge=0)]
QueryTime = Annotated[datetime, BeforeValidator(_moment)]
Time = Annotated[datetime, PlainSerializer(clock.text, return_type=str)]


def revealed(secret: SecretStr | None) -> str | None:
    """A password as it is to be sent."""
    return None if secret is None else secret.get_secret_value()


class Request(BaseModel):
    """A JSON body: camelCase names, strict types, null as if left out."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: given for name, given in value.items() if given is not None}
        return value


class Answer(BaseModel):
    """A JSON answer: camelCase names, built by the names of the code."""

    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=to_camel))


class Error(BaseModel):
    """The body of every 4xx and 5xx."""

    type: str
    description: str
    id: str | None = Field(description="Names the event in the server's log, where there is one.")


class MachineDetection(Request):
    """How an answering machine would be told from a person. Source: contract, machineDetection."""

    mode: Literal["sync", "async"] = "async"
    detection_timeout: Seconds = 15.0
    silence_timeout: Seconds = 10.0
    speech_threshold: Seconds = 10.0
    speech_end_threshold: Seconds = 5.0
    machine_speech_end_threshold: Seconds | None = None
    delay_result: bool = False
    callback_url: Url | None = None
    callback_method: Method = "POST"
    username: Username | None = None
    password: Password | None = None
    fallback_url: Url | None = None
    fallback_method: Method = "POST"
    fallback_username: Username | None = None
    fallback_password: Password | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "MachineDetection":
        if self.mode == "async" and self.callback_url is None:
            raise at_odds("machineDetection.callbackUrl", "is required with mode async")
        return self


class CreateCall(Request):
    """An outbound call. Source: contract, createCall."""

    from_: Number = Field(alias="from", description="Whose number the callee sees: +19195551234.")
    to: Destination = Field(description="A number such as +19195551234, or a SIP URI.")
    application_id: str = Field(description="One of the account's applications.")
    answer_url: Url = Field(description="Asked for a document when the callee answers.")
    answer_method: Method = "POST"
    username: Username | None = Field(None, description="For answerUrl and disconnectUrl.")
    password: Password | None = None
    answer_fallback_url: Url | None = Field(None, description="Asked where answerUrl fails.")
    answer_fallback_method: Method = "POST"
    fallback_username: Username | None = None
    fallback_password: Password | None = None
    disconnect_url: Url | None = Field(None, description="Told of the end of the call.")
    disconnect_method: Method = "POST"
    call_timeout: Annotated[float, Field(ge=1, le=300, description="Seconds of ringing.")] = 30.0
    callback_timeout: Annotated[float, Field(ge=1, le=25, description="Seconds of a webhook.")] = 15.0
    machine_detection: MachineDetection | None = Field(None, description="Taken; nothing is detected yet.")
    priority: Annotated[int, Field(ge=1, le=5, description="In the queue; 1 goes first.")] = 5
    tag: Tag | None = Field(None, description="Stands in the events of the call.")
    privacy: bool = Field(False, description="The callee is not shown the number.")
    display_name: Annotated[str, Field(max_length=256), AfterValidator(_plain_text)] | None = None
    uui: Annotated[str, Field(max_length=350), AfterValidator(_uui)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "CreateCall":
        if self.privacy and self.display_name is not None and self.display_name not in WITHHELD:
            raise at_odds("displayName", f"with privacy it must be one of {', '.join(WITHHELD)}")
        if self.uui is not None and not self.to.lower().startswith(("sip:", "sips:")):
            raise at_odds("uui", "needs a SIP URI in to")
        return self


class RedirectFields(Request):
    """What updates of calls and of conferences have in common."""

    redirect_url: Url | None = Field(None, description="Asked for the next document.")
    redirect_method: Method = "POST"
    username: Username | None = Field(None, description="For redirectUrl.")
    password: Password | None = None
    redirect_fallback_url: Url | None = Field(None, description="Asked where redirectUrl fails.")
    redirect_fallback_method: Method = "POST"
    fallback_username: Username | None = None
    fallback_password: Password | None = None


class UpdateCall(RedirectFields):
    """Another document for a call, or its end. Source: contract, updateCall."""

    state: Literal["active", "completed"] = Field("active", description="completed hangs up.")
    tag: Tag | None = Field(None, description="Replaces that of the call; an empty one clears it.")

    @model_validator(mode="after")
    def _consistent(self) -> "UpdateCall":
        # The official SDK sends both methods with completed, and guides send credentials.
        if self.state == "completed" and self.redirect_url is not None:
            raise at_odds("redirectUrl", "is not allowed with state completed")
        if self.state == "completed" and self.tag is not None:
            raise at_odds("tag", "is not allowed with state completed")
        if self.state == "active" and self.redirect_url is None:
            raise at_odds("redirectUrl", "is required with state active")
        return self


class UpdateConference(RedirectFields):
    """The end of a conference, or a document for it. Source: contract, updateConference."""

    status: Literal["active", "completed"] = Field("active", description="completed ends the conference.")

    @model_validator(mode="after")
    def _consistent(self) -> "UpdateConference":
        if self.status == "completed" and self.redirect_url is not None:
            raise at_odds("redirectUrl", "is not allowed with status completed")
        if self.status == "active" and self.redirect_url is None:
            raise at_odds("redirectUrl", "is required with status active")
        return self


class UpdateMember(Request):
    """What changes for a member; what is left out stays. Source: contract, updateConferenceMember."""

    mute: bool | None = Field(None, description="Nobody hears the member.")
    hold: bool | None = Field(None, description="The member hears nobody and is not heard.")
    call_ids_to_coach: Annotated[list[str], AfterValidator(_ids)] | None = Field(
        None, description="Who alone hears the member; an empty list: everybody."
    )


class UpdateMemberSound(Request):
    """Whether a member is brought to the usual level. Beyond the contract."""

    gain_control: bool


class UpdateRecording(Request):
    """Pause or resume a recording. Source: contract, recordings."""

    state: Literal["paused", "recording"]


class TranscribeRecording(Request):
    """Order a transcription of a recording. Source: contract, recordings."""

    callback_url: Url | None = None
    callback_method: Method = "POST"
    username: Username | None = None
    password: Password | None = None
    tag: Tag | None = None
    callback_timeout: Annotated[float, Field(ge=1, le=25)] = 15.0
    detect_language: bool = False


class RecordingQuery(BaseModel):
    """The query of the account's recordings, which has no pages. Source: contract, recordings."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    to: str | None = None
    from_: str | None = Field(None, alias="from")
    min_start_time: QueryTime | None = None
    max_start_time: QueryTime | None = None


class Page(BaseModel):
    """The query of a list."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    page_token: str | None = Field(None, description="From the Link header of the page before.")


class CallQuery(Page):
    """Source: contract, listCalls."""

    to: str | None = None
    from_: str | None = Field(None, alias="from")
    min_start_time: QueryTime | None = None
    max_start_time: QueryTime | None = None
    disconnect_cause: str | None = None
    page_size: Annotated[int, Field(ge=1, le=10000)] = 1000


class ConferenceQuery(Page):
    """Source: contract, listConferences."""

    name: str | None = None
    min_created_time: QueryTime | None = None
    max_created_time: QueryTime | None = None
    page_size: Annotated[int, Field(ge=1, le=1000)] = 1000


class CreatedCall(Answer):
    """The answer to a new call; passwords are masked."""

    application_id: str
    account_id: str
    call_id: str
    to: str
    from_: str = Field(serialization_alias="from")
    enqueued_time: Time | None
    call_url: str
    call_timeout: float | int
    callback_timeout: float | int
    tag: str | None
    answer_method: Method
    answer_url: str
    answer_fallback_method: Method
    answer_fallback_url: str | None
    disconnect_method: Method
    disconnect_url: str | None
    username: str | None
    password: str | None
    fallback_username: str | None
    fallback_password: str | None
    priority: int


class CallState(Answer):
    """One call. Source: contract, getCallState."""

    call_id: str
    parent_call_id: str | None
    application_id: str
    account_id: str
    to: str
    from_: str = Field(serialization_alias="from")
    direction: Literal["inbound", "outbound"]
    state: str = Field(description="queued, initiated, answered or disconnected; more may come.")
    identity: str | None = None
    stir_shaken: dict[str, str] | None = None
    enqueued_time: Time | None
    start_time: Time | None
    answer_time: Time | None
    end_time: Time | None
    disconnect_cause: str | None
    error_message: str | None
    error_id: str | None
    last_update: Time


class ConferenceMember(Answer):
    """One member. Source: contract, getConferenceMember."""

    call_id: str
    conference_id: str
    member_url: str
    mute: bool
    hold: bool
    call_ids_to_coach: list[str]


class MemberSound(Answer):
    """How a member sounds. Beyond the contract."""

    call_id: str
    conference_id: str
    gain_control: bool
    talking: bool
    level: float | None = Field(description="dBov of the loudest 20 ms of late, null while nothing is known.")
    noise: float | None = Field(description="dBov of what speech is told from.")
    gain: float = Field(description="dB that gain control adds.")


class ConferenceRow(Answer):
    """One conference of a list. Source: contract, listConferences."""

    id: str
    name: str
    created_time: Time
    completed_time: Time | None
    conference_event_url: str | None
    conference_event_method: str = Field(description="GET or POST.")
    tag: str | None


class ConferenceState(ConferenceRow):
    """One conference with its members; an ended one has none. Source: contract, getConferenceById."""

    active_members: list[ConferenceMember]


class Statistics(Answer):
    """The account's queue of outbound calls. Source: contract, getStatistics."""

    current_call_queue_size: int
    max_call_queue_size: int
