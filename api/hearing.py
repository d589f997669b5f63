"""How well a call is heard, and why one does not hear another, by REST. Beyond the contract."""

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response

from api.answers import answer
from api.models import Answer, Time
from api.openapi import AccountId, CallId, refusals
from calls.hearing import shown

if TYPE_CHECKING:
    from calls import hearing
    from calls.conference import Change
    from calls.switchboard import Switchboard

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

_OtherCallId = Annotated[str, Path(alias="otherCallId", description="The call that should be heard.")]


class Finding(Answer):
    """One reason, or one hint."""

    code: str = Field(description="For programs; new ones may come.")
    description: str
    sure: bool = Field(description="False: it need not stop the voice.")


class Setting(Answer):
    """Since when a member's setting has its value, and who gave it."""

    by: Literal["document", "rest"]
    at: Time


class Seat(Answer):
    """A place in a conference."""

    conference_id: str
    conference_name: str
    mute: bool
    hold: bool
    call_ids_to_coach: list[str]
    mute_set: Setting
    hold_set: Setting
    call_ids_to_coach_set: Setting


class Media(Answer):
    """What was agreed, and what media counts. Directions are the phone's."""

    direction: Direction = Field(description="Of the phone's side; what is not sendrecv is a hold.")
    codec: str
    packet_time: int
    srtp: str | None = Field(description="The suite that its sound is encrypted with, null for none.")
    sdp_address: str | None
    source_address: str | None = Field(description="Where packets come from, null until one came.")
    seconds_since_packet: float | None
    level: float | None = Field(description="dB of full scale at the loudest of late, null for silence.")
    delay_milliseconds: float
    packets_received: int
    packets_sent: int
    packets_lost: int
    packets_late: int
    packets_doubled: int
    packets_rejected: int = Field(description="Those that did not pass the keys of SRTP.")
    mean_opinion_score: float | None = Field(
        description="Of what the server hears, by the E-model: 1 (bad) to 4.4. Null before the first packets."
    )
    mean_opinion_score_of_call: float | None = Field(description="Its mean since the call has sound.")
    loss: float = Field(description="Share of packets lost or late in the last seconds.")
    jitter_milliseconds: float
    clock_drift: float | None = Field(
        description="Parts per million by which the phone's clock is faster than ours; null at first."
    )
    round_trip_milliseconds: float | None = Field(description="By RTCP; null where none is known.")
    reported_loss: float | None = Field(
        description="Share of our packets that the phone lost, by its last RTCP report."
    )
    reported_lost: int | None = Field(description="The same in packets, of the whole stream.")
    reported_jitter_milliseconds: float | None
    reported_opinion_score: float | None = Field(
        description="Of what the phone hears, by these: as meanOpinionScore. Null where it sends no reports."
    )


class Party(Answer):
    """One of the two calls."""

    call_id: str
    state: str
    signalling_address: str | None
    seat: Seat | None
    media: Media | None


class CallStatistics(Answer):
    """A call's sound; `media` is null while nothing is agreed, and when the call has ended."""

    call_id: str
    state: str
    media: Media | None


class Hearing(Answer):
    """Whether the first call hears the second; `findings` in the order of the way from phone to phone."""

    hears: bool
    findings: list[Finding]
    listener: Party
    speaker: Party


def routes(switchboard: "Switchboard") -> APIRouter:
    """The endpoints /hears/{otherCallId} and /statistics under /accounts/{accountId}/calls/{callId}."""
    router = APIRouter(prefix="/accounts/{accountId}/calls", tags=["Beyond the contract"])

    @router.get(
        "/{callId}/hears/{otherCallId}",
        operation_id="getHearing",
        summary="See why one call does not hear another",
        response_model=Hearing,
        responses=refusals(401, 403, 404, 500),
    )
    async def get_hearing(account: AccountId, call_id: CallId, other_id: _OtherCallId) -> Response:
        found = switchboard.hearing(account, call_id, other_id)
        return answer(
            Hearing(
                hears=found.hears,
                findings=[
                    Finding(code=each.code, description=each.description, sure=each.sure)
                    for each in found.findings
                ],
                listener=_party(found.listener),
                speaker=_party(found.speaker),
            )
        )

    @router.get(
        "/{callId}/statistics",
        operation_id="getCallStatistics",
        summary="See how well a call is heard: loss, jitter, round trip, delay, score",
        response_model=CallStatistics,
        responses=refusals(401, 403, 404, 500),
    )
    async def get_call_statistics(account: AccountId, call_id: CallId) -> Response:
        party = switchboard.party(account, call_id)
        return answer(CallStatistics(call_id=party.call.id, state=party.call.state, media=_media(party)))

    return router


def _party(party: "hearing.Party") -> Party:
    session = party.call.session
    return Party(
        call_id=party.call.id,
        state=party.call.state,
        signalling_address=None if session is None else session.remote_ip,
        seat=_seat(party),
        media=_media(party),
    )


def _seat(party: "hearing.Party") -> Seat | None:
    if party.seat is None:
        return None
    conference, member = party.seat
    return Seat(
        conference_id=conference.id,
        conference_name=conference.name,
        mute=member.mute,
        hold=member.hold,
        call_ids_to_coach=list(member.coaches),
        mute_set=_setting(member.changes["mute"]),
        hold_set=_setting(member.changes["hold"]),
        call_ids_to_coach_set=_setting(member.changes["coaches"]),
    )


def _setting(change: "Change") -> Setting:
    return Setting(by=change.by, at=change.at)


def _media(party: "hearing.Party") -> Media | None:
    agreed, figures = party.agreed, party.figures
    if agreed is None or figures is None:
        return None
    directions: dict[tuple[bool, bool], Direction] = {
        (True, True): "sendrecv",
        (True, False): "sendonly",
        (False, True): "recvonly",
        (False, False): "inactive",
    }
    return Media(
        direction=directions[agreed.receives, agreed.sends],
        codec=agreed.codec.name,
        packet_time=agreed.ptime,
        srtp=None if agreed.keys is None else agreed.keys.suite,
        sdp_address=_place(agreed.remote),
        source_address=_place(figures.source),
        seconds_since_packet=None if figures.silent_for is None else round(figures.silent_for, 2),
        level=figures.level_db,
        delay_milliseconds=figures.delay_ms,
        packets_received=figures.received,
        packets_sent=figures.sent,
        packets_lost=figures.lost,
        packets_late=figures.late,
        packets_doubled=figures.duplicate,
        packets_rejected=figures.rejected,
        mean_opinion_score=figures.mos,
        mean_opinion_score_of_call=figures.mos_mean,
        loss=figures.loss,
        jitter_milliseconds=figures.jitter_ms,
        clock_drift=figures.drift_ppm,
        round_trip_milliseconds=figures.round_trip_ms,
        reported_loss=figures.far_loss,
        reported_lost=figures.far_lost,
        reported_jitter_milliseconds=figures.far_jitter_ms,
        reported_opinion_score=figures.far_mos,
    )


def _place(address: tuple[str, int] | None) -> str | None:
    return None if address is None else shown(address)
