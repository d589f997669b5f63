"""How the members of a conference sound, and who is brought to the usual level. Beyond the contract."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import answer
from api.body import read_json
from api.models import MemberSound, UpdateMemberSound
from api.openapi import AccountId, ConferenceId, MemberId, json_body, refusals

if TYPE_CHECKING:
    from calls.conference import Conference, Member
    from calls.switchboard import Switchboard


def routes(switchboard: "Switchboard") -> APIRouter:
    """The endpoint /accounts/{accountId}/conferences/{conferenceId}/members/{memberId}."""
    router = APIRouter(prefix="/accounts/{accountId}/conferences", tags=["Beyond the contract"])

    @router.get(
        "/{conferenceId}/members/{memberId}",
        operation_id="getMemberSound",
        summary="See how a member sounds",
        response_model=MemberSound,
        responses=refusals(401, 403, 404, 500),
    )
    async def get_sound(account: AccountId, conference_id: ConferenceId, member_id: MemberId) -> Response:
        return answer(_sound(switchboard, *switchboard.seat(account, conference_id, member_id)))

    @router.put(
        "/{conferenceId}/members/{memberId}",
        operation_id="updateMemberSound",
        summary="Bring a member to the usual level, or leave him as he is",
        status_code=204,
        responses=refusals(400, 401, 403, 404, 415, 500),
        openapi_extra=json_body(UpdateMemberSound),
    )
    async def update_sound(
        request: Request, account: AccountId, conference_id: ConferenceId, member_id: MemberId
    ) -> Response:
        switchboard.seat(account, conference_id, member_id)
        update = await read_json(request, UpdateMemberSound)
        # He may have left while it came.
        _, member = switchboard.seat(account, conference_id, member_id)
        switchboard.control_gain(member, update.gain_control)
        return Response(status_code=204)

    return router


def _sound(switchboard: "Switchboard", conference: "Conference", member: "Member") -> MemberSound:
    figures = switchboard.sound_of(member)
    return MemberSound(
        call_id=member.call_id,
        conference_id=conference.id,
        gain_control=member.leg.gain,
        talking=figures is not None and figures.talking,
        level=None if figures is None else figures.loudness,
        noise=None if figures is None else figures.noise,
        gain=0.0 if figures is None else figures.gain_db,
    )
