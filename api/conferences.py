"""Conferences and their members by REST. Source: contract, conferences."""

from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.answers import answer, page
from api.body import read, read_json, read_query
from api.links import Links
from api.models import (
    ConferenceMember,
    ConferenceQuery,
    ConferenceRow,
    ConferenceState,
    UpdateConference,
    UpdateMember,
)
from api.openapi import BXML_BODY, AccountId, ConferenceId, MemberId, json_body, query_parameters, refusals
from api.redirects import redirect

if TYPE_CHECKING:
    from api.webhooks import Courier
    from calls.conference import Conference, Member
    from calls.ended import EndedConference
    from calls.switchboard import Switchboard


def routes(switchboard: "Switchboard", courier: "Courier", links: Links) -> APIRouter:
    """The endpoints under /accounts/{accountId}/conferences."""
    router = APIRouter(prefix="/accounts/{accountId}/conferences", tags=["Conferences"])

    @router.get(
        "",
        operation_id="listConferences",
        summary="List conferences, oldest first, ended ones too",
        response_model=list[ConferenceRow],
        responses=refusals(400, 401, 403, 500),
        openapi_extra=query_parameters(ConferenceQuery),
    )
    async def list_conferences(request: Request, account: AccountId) -> Response:
        """A longer list goes on at the URL in the Link header."""
        query = read_query(request, ConferenceQuery)
        found = switchboard.conferences(
            account,
            name=query.name,
            min_created=query.min_created_time,
            max_created=query.max_created_time,
        )
        return await page(
            request,
            found,
            base=links.base,
            size=query.page_size,
            token=query.page_token,
            key=_key,
            model=_row,
        )

    @router.get(
        "/{conferenceId}",
        operation_id="getConference",
        summary="See one conference and its members",
        response_model=ConferenceState,
        responses=refusals(401, 403, 404, 500),
    )
    async def get_conference(account: AccountId, conference_id: ConferenceId) -> Response:
        conference = switchboard.conference(account, conference_id)
        members = [_member(conference, member, links) for member in conference.members.values()]
        return answer(ConferenceState(**_row(conference).model_dump(mode="python"), active_members=members))

    @router.post(
        "/{conferenceId}",
        operation_id="updateConference",
        summary="End a conference, or fetch a document for it",
        status_code=204,
        responses=refusals(400, 401, 403, 404, 415, 500),
        openapi_extra=json_body(UpdateConference),
    )
    async def update_conference(
        request: Request, account: AccountId, conference_id: ConferenceId
    ) -> Response:
        """Answered before the webhook of a redirect is made: its outcome is not told here."""
        conference = switchboard.conference(account, conference_id)
        update = await read_json(request, UpdateConference)
        if update.status == "completed":
            await switchboard.complete_conference(conference)
        else:
            wanted = redirect(update, courier, conference.callback_timeout)
            await switchboard.redirect_conference(conference, wanted)
        return Response(status_code=204)

    @router.put(
        "/{conferenceId}/bxml",
        operation_id="updateConferenceBxml",
        summary="Let a conference hear another document",
        status_code=204,
        responses=refusals(400, 401, 403, 404, 413, 415, 500),
        openapi_extra=BXML_BODY,
    )
    async def replace_bxml(request: Request, account: AccountId, conference_id: ConferenceId) -> Response:
        """Stops what plays and drops what waits. A document that is refused changes nothing."""
        conference = switchboard.conference(account, conference_id)
        await switchboard.replace_conference_bxml(conference, await read(request, "application/xml"))
        return Response(status_code=204)

    @router.get(
        "/{conferenceId}/members/{memberId}",
        operation_id="getConferenceMember",
        summary="See one member",
        response_model=ConferenceMember,
        responses=refusals(401, 403, 404, 500),
    )
    async def get_member(account: AccountId, conference_id: ConferenceId, member_id: MemberId) -> Response:
        return answer(_member(*switchboard.seat(account, conference_id, member_id), links))

    @router.put(
        "/{conferenceId}/members/{memberId}",
        operation_id="updateConferenceMember",
        summary="Mute, hold or make a coach",
        status_code=204,
        responses=refusals(400, 401, 403, 404, 415, 500),
        openapi_extra=json_body(UpdateMember),
    )
    async def update_member(
        request: Request, account: AccountId, conference_id: ConferenceId, member_id: MemberId
    ) -> Response:
        """What is left out stays as it is; all of it happens, or nothing."""
        conference, _ = switchboard.seat(account, conference_id, member_id)
        update = await read_json(request, UpdateMember)
        await switchboard.update_member(
            conference, member_id, mute=update.mute, hold=update.hold, coaches=update.call_ids_to_coach
        )
        return Response(status_code=204)

    return router


def _row(conference: "Conference | EndedConference") -> ConferenceRow:
    return ConferenceRow(
        id=conference.id,
        name=conference.name,
        created_time=conference.created_time,
        completed_time=conference.completed_time,
        conference_event_url=conference.event_url,
        conference_event_method=conference.event_method,
        tag=conference.tag,
    )


def _member(conference: "Conference | EndedConference", member: "Member", links: Links) -> ConferenceMember:
    return ConferenceMember(
        call_id=member.call_id,
        conference_id=conference.id,
        member_url=links.member(conference.account, conference.id, member.call_id),
        mute=member.mute,
        hold=member.hold,
        call_ids_to_coach=list(member.coaches),
    )


def _key(conference: "Conference | EndedConference") -> tuple[datetime, str]:
    return conference.created_time, conference.id
