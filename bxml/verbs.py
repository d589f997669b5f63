"""The verbs and the elements inside them, attribute by attribute as the contract has them.

A field's type says what the document may write; its Python default is the contract's. Timeouts and durations
are seconds unless their type says milliseconds. None is "not given". Credentials stay out of `repr`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from bxml.attributes import (
    DIALLED,
    WITHHELD,
    Boolean,
    CallerId,
    CallId,
    CallIds,
    Children,
    Choice,
    ConferenceName,
    Content,
    Destination,
    Digits,
    DisplayName,
    DiversionReason,
    DiversionTreatment,
    EndpointId,
    FileFormat,
    Gender,
    Locale,
    Locales,
    Markup,
    Method,
    Number,
    ParameterName,
    ParameterValue,
    Password,
    PauseSeconds,
    PhoneNumberText,
    PhoneNumberUserToUser,
    Phrase,
    RingingSeconds,
    SipUriText,
    StreamName,
    TagText,
    Text,
    ToneMilliseconds,
    TonesToSend,
    Tracks,
    Url,
    Username,
    UserToUser,
    VoiceName,
    WebSocketUrl,
    can_be_dialled,
)
from bxml.element import Credentials, Element, FallbackCredentials, Tagged, Verb
from bxml.errors import quoted

MAX_PROMPTS = 20  # in a Gather, repetitions counted


@dataclass(frozen=True, kw_only=True)
class PlayAudio(Credentials, Verb):
    """Plays a sound file."""

    url: Annotated[Url, Content()]

    answers: ClassVar = True
    for_conferences: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class SpeakSentence(Verb):
    """Speaks text. `markup` is well-formed XML content: text with SSML elements, without namespaces."""

    markup: Annotated[str, Text(least=1), Markup()]
    voice: VoiceName | None = None
    gender: Gender = "female"
    locale: Locale = "en_US"

    answers: ClassVar = True
    for_conferences: ClassVar = True
    overrides: ClassVar = {"voice": frozenset({"gender", "locale"})}


@dataclass(frozen=True, kw_only=True)
class Bridge(FallbackCredentials, Tagged, Verb):
    """Joins this call with another live one."""

    call_id: Annotated[CallId, Content()]
    bridge_complete_url: Url | None = None
    bridge_complete_method: Method = "POST"
    bridge_complete_fallback_url: Url | None = None
    bridge_complete_fallback_method: Method = "POST"
    bridge_target_complete_url: Url | None = None
    bridge_target_complete_method: Method = "POST"
    bridge_target_complete_fallback_url: Url | None = None
    bridge_target_complete_fallback_method: Method = "POST"

    answers: ClassVar = True
    aliases: ClassVar = {"bridgeTargetCompleteFallback_url": "bridge_target_complete_fallback_url"}


@dataclass(frozen=True, kw_only=True)
class Conference(FallbackCredentials, Tagged, Verb):
    """Puts the call into the conference of that name. An empty `call_ids_to_coach` is no coach.

    `callback_timeout` None is that of the call that creates the conference.
    """

    name: Annotated[ConferenceName, Content()]
    mute: Boolean = False
    hold: Boolean = False
    call_ids_to_coach: CallIds = ()
    conference_event_url: Url | None = None
    conference_event_method: Method = "POST"
    conference_event_fallback_url: Url | None = None
    conference_event_fallback_method: Method = "POST"
    callback_timeout: Annotated[float, Number(1, 25)] | None = None

    answers: ClassVar = True
    aliases: ClassVar = {"name": "name", "calbackTimeout": "callback_timeout"}


@dataclass(frozen=True, kw_only=True)
class Endpoint(Element):
    """A WebRTC endpoint, inside Connect."""

    endpoint_id: Annotated[EndpointId, Content()]


@dataclass(frozen=True, kw_only=True)
class Connect(Verb):
    """Joins the call to a WebRTC endpoint."""

    endpoints: Annotated[tuple[Endpoint, ...], Children(least=1, most=1)]
    event_callback_url: Url | None = None
    event_fallback_url: Url | None = None

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class Forward(Verb):
    """Sends an unanswered inbound call on. `from_` None is the number that was called."""

    to: Destination
    from_: CallerId | None = None
    call_timeout: RingingSeconds = 30
    diversion_treatment: DiversionTreatment = "none"
    diversion_reason: DiversionReason = "unknown"
    uui: UserToUser | None = None
    privacy: Boolean = False
    caller_display_name: DisplayName | None = None

    def faults(self) -> Iterable[str]:
        shown = self.caller_display_name
        if self.privacy and shown is not None and shown.lower() not in map(str.lower, WITHHELD):
            yield f"attribute callerDisplayName: expected one of {', '.join(WITHHELD)} beside privacy"


@dataclass(frozen=True, kw_only=True)
class Gather(FallbackCredentials, Tagged, Verb):
    """Collects digits while prompts play."""

    prompts: Annotated[tuple[PlayAudio | SpeakSentence, ...], Children(most=MAX_PROMPTS)] = ()
    gather_url: Url | None = None
    gather_method: Method = "POST"
    gather_fallback_url: Url | None = None
    gather_fallback_method: Method = "POST"
    terminating_digits: Digits = ""
    max_digits: Annotated[int, Number(1, 50, whole=True)] = 50
    inter_digit_timeout: Annotated[float, Number(1, 60)] = 5
    first_digit_timeout: Annotated[float, Number(0, 60)] = 5
    repeat_count: Annotated[int, Number(1, whole=True)] = 1
    input: Annotated[str, Choice(("dtmf", "speech", "dtmf_speech"))] = "dtmf"
    hints: Phrase | None = None
    language: Phrase | None = None
    speech_model: Phrase | None = None
    partial_result_callback: Url | None = None
    partial_result_callback_method: Method = "POST"
    profanity_filter: Boolean = True
    speech_timeout: Annotated[float, Number(0)] = 5

    answers: ClassVar = True

    def faults(self) -> Iterable[str]:
        played = self.repeat_count * len(self.prompts)
        if played > MAX_PROMPTS:
            yield (
                f"attribute repeatCount: expected at most {MAX_PROMPTS} prompts with their repetitions, "
                f"got {self.repeat_count} times {len(self.prompts)}"
            )


@dataclass(frozen=True, kw_only=True)
class Hangup(Verb):
    """Ends an answered call; rejects one that is not answered."""


@dataclass(frozen=True, kw_only=True)
class Pause(Verb):
    """Silence."""

    duration: PauseSeconds = 1

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class PauseRecording(Verb):
    """Leaves what follows out of the running recording."""

    for_conferences: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class ResumeRecording(Verb):
    """Goes on with a paused recording."""

    for_conferences: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class Record(FallbackCredentials, Tagged, Verb):
    """Records the caller until a digit, silence or the maximum. `silence_timeout` 0 is off."""

    record_complete_url: Url | None = None
    record_complete_method: Method = "POST"
    record_complete_fallback_url: Url | None = None
    record_complete_fallback_method: Method = "POST"
    recording_available_url: Url | None = None
    recording_available_method: Method = "POST"
    transcribe: Boolean = False
    detect_language: Boolean = False
    transcription_available_url: Url | None = None
    transcription_available_method: Method = "POST"
    terminating_digits: Digits = "#"
    max_duration: Annotated[float, Number(1, 10_800)] = 60
    silence_timeout: Annotated[float, Number(0, 10_800)] = 0
    file_format: FileFormat = "wav"
    recording_name: Phrase | None = None

    answers: ClassVar = True
    aliases: ClassVar = {
        "recordCompleteFallback_url": "record_complete_fallback_url",
        "recordCompleteFallback_method": "record_complete_fallback_method",
    }


@dataclass(frozen=True, kw_only=True)
class Redirect(FallbackCredentials, Tagged, Verb):
    """Goes on with the document that the URL gives."""

    redirect_url: Url
    redirect_method: Method = "POST"
    redirect_fallback_url: Url | None = None
    redirect_fallback_method: Method = "POST"


@dataclass(frozen=True, kw_only=True)
class TransferLeg(FallbackCredentials, Tagged, Element):
    """What the destinations of a Transfer share."""

    transfer_answer_url: Url | None = None
    transfer_answer_method: Method = "POST"
    transfer_answer_fallback_url: Url | None = None
    transfer_answer_fallback_method: Method = "POST"
    transfer_disconnect_url: Url | None = None
    transfer_disconnect_method: Method = "POST"


@dataclass(frozen=True, kw_only=True)
class PhoneNumber(TransferLeg):
    """A number to transfer to."""

    number: Annotated[PhoneNumberText, Content()]
    uui: PhoneNumberUserToUser | None = None


@dataclass(frozen=True, kw_only=True)
class SipUri(TransferLeg):
    """A SIP address to transfer or refer to."""

    uri: Annotated[SipUriText, Content()]
    uui: UserToUser | None = None


@dataclass(frozen=True, kw_only=True)
class Refer(Tagged, Verb):
    """Asks the far end to call a SIP address instead."""

    destinations: Annotated[tuple[SipUri, ...], Children(least=1, most=1)]
    refer_complete_url: Url | None = None
    refer_complete_method: Method = "POST"

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class Ring(Verb):
    """Plays ringing. Whether it answers stands in the verb itself, so `answers` says no."""

    duration: PauseSeconds = 5
    answer_call: Boolean = True


@dataclass(frozen=True, kw_only=True)
class SendDtmf(Verb):
    """Sends digits; a comma or w is a pause of 0.5 s, W one of 1 s."""

    digits: Annotated[TonesToSend, Content()] = field(repr=False)
    tone_duration: ToneMilliseconds = 200
    tone_interval: ToneMilliseconds = 400

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class StartGather(Credentials, Tagged, Verb):
    """Reports every digit from now on."""

    dtmf_url: Url
    dtmf_method: Method = "POST"

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class StopGather(Verb):
    """Ends what StartGather began."""


@dataclass(frozen=True, kw_only=True)
class StartRecording(Credentials, Tagged, Verb):
    """Records the call, or the conference, while other verbs run."""

    recording_available_url: Url | None = None
    recording_available_method: Method = "POST"
    transcribe: Boolean = False
    detect_language: Boolean = False
    transcription_available_url: Url | None = None
    transcription_available_method: Method = "POST"
    file_format: FileFormat = "wav"
    multi_channel: Boolean = False
    recording_name: Phrase | None = None

    answers: ClassVar = True
    for_conferences: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class StopRecording(Verb):
    """Ends what StartRecording began."""

    for_conferences: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class StreamParam(Element):
    """A parameter for the receiver of a stream."""

    name: ParameterName
    value: ParameterValue


@dataclass(frozen=True, kw_only=True)
class StartStream(Credentials, Verb):
    """Copies the call's audio to a WebSocket."""

    params: Annotated[tuple[StreamParam, ...], Children(most=12)] = ()
    destination: WebSocketUrl
    destination_username: Username | None = field(default=None, repr=False)
    destination_password: Password | None = field(default=None, repr=False)
    name: StreamName | None = None
    mode: Annotated[str, Choice(("unidirectional", "bidirectional"))] = "unidirectional"
    tracks: Tracks = "inbound"
    stream_event_url: Url | None = None
    stream_event_method: Method = "POST"

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class StopStream(Verb):
    """Ends a stream by name; `wait`: blocks until its WebSocket closes."""

    name: StreamName
    wait: Boolean = False


@dataclass(frozen=True, kw_only=True)
class CustomParam(Element):
    """A parameter for the receiver of a transcription."""

    name: ParameterName
    value: ParameterValue


@dataclass(frozen=True, kw_only=True)
class StartTranscription(Credentials, Verb):
    """Transcribes the call while it goes on."""

    params: Annotated[tuple[CustomParam, ...], Children(most=12)] = ()
    name: StreamName | None = None
    tracks: Tracks = "inbound"
    transcription_event_url: Url | None = None
    transcription_event_method: Method = "POST"
    destination: WebSocketUrl | None = None
    stabilized: Boolean = True
    detect_language: Boolean = False
    preferred_languages: Locales = ("en-US",)

    answers: ClassVar = True


@dataclass(frozen=True, kw_only=True)
class StopTranscription(Verb):
    """Ends the transcription of that name, or all of them."""

    name: StreamName | None = None


@dataclass(frozen=True, kw_only=True)
class Tag(Verb):
    """Sets the call's tag; "" clears it."""

    tag: Annotated[TagText, Content()]


@dataclass(frozen=True, kw_only=True)
class Transfer(FallbackCredentials, Tagged, Verb):
    """Rings destinations and joins the first that answers. `transfer_caller_id` None is the remote number."""

    destinations: Annotated[tuple[PhoneNumber | SipUri, ...], Children(least=1, most=8)]
    transfer_caller_id: CallerId | None = None
    transfer_caller_display_name: DisplayName | None = None
    call_timeout: RingingSeconds = 30
    transfer_complete_url: Url | None = None
    transfer_complete_method: Method = "POST"
    transfer_complete_fallback_url: Url | None = None
    transfer_complete_fallback_method: Method = "POST"
    diversion_treatment: DiversionTreatment = "none"
    diversion_reason: DiversionReason = "unknown"
    privacy: Boolean = False

    answers: ClassVar = True

    def faults(self) -> Iterable[str]:
        for leg in self.destinations:
            if isinstance(leg, SipUri) and not can_be_dialled(leg.uri):
                yield f"expected in <SipUri> {DIALLED}, got {quoted(leg.uri)}"


VERBS: Mapping[str, type[Verb]] = {verb.__name__: verb for verb in Verb.__subclasses__()}
