"""All conferences: how calls join and leave, and what the application is told about it.

Joining and leaving do not wait for anything, so on one event loop each is a single step: a name
has at most one live conference, and a joiner either finds it or makes the next one.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from bxml import BxmlError
from calls import clock, ids
from calls.callbacks import Answer, Callback, Courier, Event
from calls.conference import Attendee, Change, Conference, Member
from calls.conference_script import ConferenceScript
from calls.documents import read_for_conference
from calls.ended import EndedConference
from calls.errors import Invalid, NotFound, VerbFailed
from calls.gallery import Gallery
from calls.history import History, within

if TYPE_CHECKING:
    from bxml.verbs import Conference as ConferenceVerb
    from media.client import Leg, MediaClient
    from speech.speech import Speech

logger = logging.getLogger(__name__)

# How many of those that are over REST tells of: hours of a busy server cost little.
_MOST_ENDED = 10_000

# How spectators are told of a setting of a member: the event, and the key of its value.
_NEWS = {"mute": ("mute", "mute"), "hold": ("hold", "hold"), "coaches": ("coach", "callIdsToCoach")}


@dataclass(frozen=True)
class Limits:
    """How large, how coached and how old a conference may become; 0 = no limit for the first two."""

    members: int = 0
    coaches: int = 1
    hours: float = 24.0


class Conferences:
    """The live ones by account and name, and the records of ended ones."""

    def __init__(
        self,
        media: "MediaClient",
        speech: "Speech",
        courier: Courier,
        limits: Limits,
        gallery: Gallery,
    ) -> None:
        self._media = media
        self._speech = speech
        self._courier = courier
        self._limits = limits
        self._history: History[Conference, EndedConference] = History(most=_MOST_ENDED)
        self._gallery = gallery
        self._live: dict[tuple[str, str], Conference] = {}
        self._rooms = count(1)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def over(self) -> int:
        """Ended ones of which there is a record."""
        return self._history.over

    @property
    def member_count(self) -> int:
        return sum(len(conference.members) for conference in self._live.values())

    def next_room(self) -> int:
        """A room of the mixer that nobody has been in."""
        return next(self._rooms)

    def search(
        self,
        account: str,
        *,
        name: str | None,
        min_created: datetime | None,
        max_created: datetime | None,
    ) -> list[Conference | EndedConference]:
        """The account's, oldest first; None: whatever that is. Source: contract, listConferences."""
        return [
            conference
            for conference in self._history.of(account)
            if (name is None or conference.name == name)
            and within(conference.created_time, min_created, max_created)
        ]

    def get(self, account: str, conference_id: str) -> Conference | EndedConference:
        """One, live or ended. Raises NotFound."""
        conference = self._history.find(account, conference_id)
        if conference is None:
            raise NotFound("Conference", conference_id)
        return conference

    # Joining and leaving

    def join(self, call: Attendee, leg: "Leg", verb: "ConferenceVerb", events: Callback | None) -> Member:
        """Seat a call; the conference is made by its first use.

        `events` is where the verb wants conference events to go: it counts only if this call
        creates the conference. Raises VerbFailed when a limit says no.
        """
        listed = tuple(verb.call_ids_to_coach)
        conference = self._live.get((call.account, verb.name))
        if conference is not None:
            self._check_capacity(conference)
            if listed:
                self._check_coach(conference, call.id, VerbFailed)
        created = conference is None
        if conference is None:
            conference = self._create(call, verb, events)
        member = Member(
            call=call,
            leg=leg,
            mute=verb.mute,
            hold=verb.hold,
            coaches=listed,
            left=asyncio.get_running_loop().create_future(),
        )
        # The seat carries everything at once, so that no frame is mixed with half of the rules.
        self._media.seat(
            leg,
            conference.room,
            mute=member.mute,
            hold=member.hold,
            coaches=conference.heard_by(call.id, listed),
            coached_by=conference.coached_by(call.id),
        )
        conference.members[call.id] = member
        call.membership = (conference, member)
        logger.info(
            "conference_joined",
            extra={"call_id": call.id, "conference_id": conference.id, "conference": conference.name},
        )
        if created:
            self._tell(conference, conference.event("conferenceCreated"))
        self._tell(conference, conference.event("conferenceMemberJoin", member))
        self._gallery.tell(
            conference,
            "join",
            member,
            mute=member.mute,
            hold=member.hold,
            callIdsToCoach=list(listed),
        )
        return member

    def leave(self, call: Attendee) -> None:
        """Take a call out of its conference, if it is in one; the last to leave ends it."""
        if call.membership is None:
            return
        conference, member = call.membership
        if call.leg is not None:
            self._media.unseat(call.leg)
        self._part(conference, member)
        if not conference.members:
            self._complete(conference)

    def end(self, conference: Conference) -> None:
        """Let everybody go; each call goes on with what follows its `<Conference>`."""
        self._media.end_room(conference.room)
        for member in list(conference.members.values()):
            self._part(conference, member)
        self._complete(conference)

    def _create(self, call: Attendee, verb: "ConferenceVerb", events: Callback | None) -> Conference:
        identifier, room = ids.conference_id(), self.next_room()
        conference = Conference(
            id=identifier,
            account=call.account,
            name=verb.name,
            room=room,
            created_time=clock.now(),
            events=events,
            callback_timeout=verb.callback_timeout or call.callback_timeout,
            tag=call.tag,
            script=ConferenceScript(identifier, room, self._media, self._speech),
        )
        self._live[conference.account, conference.name] = conference
        self._history.add(conference)
        loop = asyncio.get_running_loop()
        conference.expiry = loop.call_later(self._limits.hours * 3600, self.end, conference)
        logger.info("conference_created", extra={"conference_id": conference.id, "conference": verb.name})
        return conference

    def _part(self, conference: Conference, member: Member) -> None:
        del conference.members[member.call_id]
        member.call.membership = None
        if not member.left.done():
            member.left.set_result(None)
        logger.info("conference_left", extra={"call_id": member.call_id, "conference_id": conference.id})
        self._tell(conference, conference.event("conferenceMemberExit", member))
        self._gallery.tell(conference, "leave", member)

    def _complete(self, conference: Conference) -> None:
        conference.completed_time = clock.now()
        conference.script.stop()
        del self._live[conference.account, conference.name]
        self._history.retire(conference.record())
        if conference.expiry is not None:
            conference.expiry.cancel()
        self._gallery.tell(conference, "end")
        logger.info("conference_completed", extra={"conference_id": conference.id})
        if conference.events is not None:
            event = conference.event("conferenceCompleted")
            self._courier.tell(conference.events, event, account=conference.account)

    # Documents

    def redirect(self, conference: Conference, callback: Callback) -> None:
        """Ask this URL for a document, to be performed after those that were answered before."""
        self._ask(conference, callback, conference.event("conferenceRedirect"))

    def replace_document(self, conference: Conference, text: bytes) -> None:
        """Perform this document now, instead of what plays and waits. Raises BxmlError, of nothing done.

        It comes from no URL: what is relative in it is so to the URL of the conference's events.
        """
        document = read_for_conference(text, base=conference.event_url, conference_id=conference.id)
        conference.script.replace(document)

    def _tell(self, conference: Conference, event: Event) -> None:
        if conference.events is not None:
            self._ask(conference, conference.events, event)

    def _ask(self, conference: Conference, callback: Callback, event: Event) -> None:
        self._courier.tell(callback, event, partial(self._answered, conference, event))

    def _answered(self, conference: Conference, event: Event, answer: Answer) -> None:
        """Queue the document in an answer; a bad one is refused whole, and only the log says so.

        Source: contract, conference BXML. The answer to the last exit finds an ended conference.
        """
        if not answer.body.strip() or conference.completed_time is not None:
            return
        try:
            document = read_for_conference(answer.body, base=answer.url, conference_id=conference.id)
        except BxmlError as error:
            logger.warning(
                "conference_document_refused",
                extra={
                    "conference_id": conference.id,
                    "event_type": event["eventType"],
                    "reason": str(error),
                },
            )
            return
        conference.script.append(document)

    # Members

    def update(
        self,
        conference: Conference,
        call_id: str,
        *,
        mute: bool | None = None,
        hold: bool | None = None,
        coaches: Iterable[str] | None = None,
    ) -> None:
        """Change a member's flags; None leaves one as it is. All or nothing.

        Source: contract, updateConferenceMember. Raises NotFound, Invalid (another coach is there).
        """
        member = self.member(conference, call_id)
        listed = None if coaches is None else tuple(dict.fromkeys(coaches))
        if listed and not member.coaches:
            self._check_coach(conference, call_id, Invalid)
        before = (member.mute, member.hold, member.coaches)
        if mute is not None or hold is not None:
            member.mute = member.mute if mute is None else mute
            member.hold = member.hold if hold is None else hold
            self._media.flags(member.leg, mute=member.mute, hold=member.hold)
        if listed is not None and listed != member.coaches:
            member.coaches = listed
            self._media.coach(member.leg, conference.heard_by(call_id, listed))
        after = (member.mute, member.hold, member.coaches)
        for name, old, new in zip(member.changes, before, after, strict=True):
            if new != old:
                member.changes[name] = Change("rest", clock.now())
                kind, key = _NEWS[name]
                value = list(new) if isinstance(new, tuple) else new
                self._gallery.tell(conference, kind, member, **{key: value})

    def member(self, conference: Conference, call_id: str) -> Member:
        """One member, by its call id. Raises NotFound."""
        member = conference.members.get(call_id)
        if member is None:
            raise NotFound("Member", call_id)
        return member

    def _check_capacity(self, conference: Conference) -> None:
        limit = self._limits.members
        if limit and len(conference.members) >= limit:
            raise VerbFailed(f"Conference {conference.name} is full: it may have {limit} members")

    def _check_coach(
        self, conference: Conference, call_id: str, refusal: type[VerbFailed] | type[Invalid]
    ) -> None:
        limit = self._limits.coaches
        present = [m.call_id for m in conference.members.values() if m.coaches and m.call_id != call_id]
        if limit and len(present) >= limit:
            raise refusal(f"Conference {conference.name} already has a coach: {present[0]}")
