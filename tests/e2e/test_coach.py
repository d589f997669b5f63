"""The coach: heard by the calls he coaches, by nobody else for one frame, in any order of joining."""

from itertools import permutations

import pytest

from tests.support.ears import all_hear_the_others, hears, keep_hearing, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.sounds import SILENCE, Sound
from tests.support.studio import Studio
from tests.support.tones import is_silent
from tests.support.webhook import bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Team:
    """Agent, customer and coach, each dialling a user of his own; ids are known before anyone joins."""

    def __init__(self, house: House, studio: Studio) -> None:
        self.house, self.studio = house, studio
        self.room = house.room()
        self.calls: dict[str, PhoneCall] = {}
        self.ids: dict[str, str] = {}
        for role in ("agent", "customer"):
            house.seat(self.user(role), self.room)

    def user(self, role: str) -> str:
        return f"{self.room}-{role}"

    async def prepare(self, role: str, sound: Sound) -> None:
        """Dials, and waits in a pause for the word to join: so its id exists before it is a member."""
        user = self.user(role)
        self.house.tell(user, '<Pause duration="60"/>')
        phone = await self.studio.phone(role, self.house.server.sip, sound=sound)
        self.calls[role] = await phone.dial(self.house.uri(user))
        self.ids[role] = await self.house.call_id(user)

    async def join(self, role: str, attributes: str = "") -> None:
        url = self.house.application.url("/conference")
        verb = f'<Conference conferenceEventUrl="{url}" {attributes}>{self.room}</Conference>'
        status, _ = await self.house.rest.put_bxml(f"/calls/{self.ids[role]}/bxml", bxml(verb))
        assert status == 204

    async def joined(self, role: str) -> None:
        await self.house.joined(self.ids[role])

    async def member(self, role: str, **change: object) -> int:
        return (await self.house.member(self.room, self.ids[role], **change))[0]


async def team(house: House, studio: Studio, *order: str, quiet: tuple[str, ...] = ()) -> Team:
    """All joined in that order, the coach with the agent on his list. Those in `quiet` say silence."""
    made = Team(house, studio)
    for role, voice in zip(("agent", "customer", "coach"), voices()[::4], strict=False):
        await made.prepare(role, SILENCE if role in quiet else voice)
    for role in order:
        await made.join(role, f'callIdsToCoach="{made.ids["agent"]}"' if role == "coach" else "")
        await made.joined(role)
    return made


@pytest.mark.parametrize("order", list(permutations(("agent", "customer", "coach"))))
async def test_the_coach_is_heard_by_the_agent_alone(
    house: House, studio: Studio, order: tuple[str, ...]
) -> None:
    made = await team(house, studio, *order)
    agent, customer, coach = (made.calls[role] for role in ("agent", "customer", "coach"))
    await hears(agent, [customer, coach])
    await hears(coach, [agent, customer])
    await hears(customer, [agent])
    await keep_hearing(customer, [agent])


@pytest.mark.parametrize("order", list(permutations(("agent", "customer", "coach"))))
async def test_not_one_sample_of_the_coach_reaches_the_customer(
    house: House, studio: Studio, order: tuple[str, ...]
) -> None:
    """Everybody else is silent, so the customer's whole recording must be: an exact test, frame by frame."""
    made = await team(house, studio, *order, quiet=("agent", "customer"))
    await hears(made.calls["agent"], [made.calls["coach"]])
    for change in (
        {"mute": True},
        {"mute": False},
        {"hold": True},
        {"hold": False},
        {"callIdsToCoach": ["c-none"]},
    ):
        assert await made.member("coach", **change) == 204
    await eventually(lambda: is_silent(made.calls["agent"].line.pcm(last=0.3)))
    assert await made.member("coach", callIdsToCoach=[made.ids["agent"]]) == 204
    await hears(made.calls["agent"], [made.calls["coach"]])
    await made.calls["coach"].bye()
    await house.application.event("conferenceMemberExit", callId=made.ids["coach"])
    assert len(made.calls["customer"].line.audio) > 25
    assert is_silent(made.calls["customer"].line.pcm())


async def test_mute_and_hold_win_over_coaching(house: House, studio: Studio) -> None:
    made = await team(house, studio, "agent", "customer", "coach")
    agent, customer, coach = (made.calls[role] for role in ("agent", "customer", "coach"))
    assert await made.member("coach", mute=True) == 204
    await hears(agent, [customer])
    await hears(coach, [agent, customer])
    assert await made.member("coach", mute=False, hold=True) == 204
    await hears(coach, [])
    await hears(agent, [customer])
    assert await made.member("coach", hold=False) == 204
    await hears(agent, [customer, coach])
    assert await made.member("agent", mute=True) == 204
    await hears(coach, [customer])
    await hears(agent, [customer, coach])
    assert await made.member("agent", hold=True) == 204
    await hears(agent, [])
    await hears(customer, [])


async def test_a_coach_who_joins_muted_is_heard_by_nobody(house: House, studio: Studio) -> None:
    made = Team(house, studio)
    for role, voice in zip(("agent", "coach"), voices()[::4], strict=False):
        await made.prepare(role, voice)
    await made.join("agent")
    await made.join("coach", f'mute="true" callIdsToCoach="{made.ids["agent"]}"')
    await hears(made.calls["coach"], [made.calls["agent"]])
    await hears(made.calls["agent"], [])
    assert is_silent(made.calls["agent"].line.pcm())


async def test_lists_are_changed_by_rest(house: House, studio: Studio) -> None:
    made = await team(house, studio, "agent", "customer", "coach")
    agent, customer, coach = (made.calls[role] for role in ("agent", "customer", "coach"))

    async def shown() -> list[str]:
        conference = await house.conference(made.room)
        _, body = await house.rest.get(f"/conferences/{conference}/members/{made.ids['coach']}")
        return list(body["callIdsToCoach"])

    await hears(agent, [customer, coach])
    assert await made.member("coach", callIdsToCoach=[made.ids["customer"]]) == 204
    await hears(customer, [agent, coach])
    await hears(agent, [customer])
    assert await shown() == [made.ids["customer"]]
    assert await made.member("coach", callIdsToCoach=[made.ids["agent"], made.ids["customer"]]) == 204
    await all_hear_the_others([agent, customer, coach])
    assert await made.member("coach", callIdsToCoach=[]) == 204
    await all_hear_the_others([agent, customer, coach])
    assert await shown() == []
    assert await made.member("coach", mute=False) == 204
    assert await made.member("coach", callIdsToCoach=[made.ids["agent"]]) == 204
    await hears(customer, [agent])
    await hears(agent, [customer, coach])


async def test_a_second_coach_by_rest_is_refused_and_changes_nothing(house: House, studio: Studio) -> None:
    made = await team(house, studio, "agent", "customer", "coach")
    agent, customer, coach = (made.calls[role] for role in ("agent", "customer", "coach"))
    status, body = await house.member(
        made.room, made.ids["customer"], mute=True, callIdsToCoach=[made.ids["agent"]]
    )
    assert status == 400
    assert body["type"] == "validation"
    await hears(agent, [customer, coach])
    await hears(customer, [agent])
    await hears(coach, [agent, customer])


async def test_a_second_coach_by_bxml_ends_that_call_alone(house: House, studio: Studio) -> None:
    made = await team(house, studio, "agent", "coach", quiet=("agent",))
    await made.prepare("second", voices()[7])
    await made.join("second", f'callIdsToCoach="{made.ids["agent"]}"')
    await made.calls["second"].ended()
    event = await house.application.event("disconnect", callId=made.ids["second"])
    assert event["cause"] == "application-error"
    assert "coach" in event["errorMessage"]
    await hears(made.calls["agent"], [made.calls["coach"]])
    assert made.calls["coach"].state == "answered"


async def test_the_slot_is_free_when_the_coach_leaves(house: House, studio: Studio) -> None:
    made = await team(house, studio, "agent", "coach")
    await made.calls["coach"].bye()
    await house.application.event("conferenceMemberExit", callId=made.ids["coach"])
    await made.prepare("next", voices()[7])
    await made.join("next", f'callIdsToCoach="{made.ids["agent"]}"')
    await hears(made.calls["agent"], [made.calls["next"]])
    await hears(made.calls["next"], [made.calls["agent"]])


async def test_a_coached_call_that_comes_back_is_coached_again(house: House, studio: Studio) -> None:
    made = await team(house, studio, "agent", "customer", "coach")
    agent, customer, coach = (made.calls[role] for role in ("agent", "customer", "coach"))
    await hears(agent, [customer, coach])
    status, _ = await house.rest.put_bxml(
        f"/calls/{made.ids['agent']}/bxml", '<Response><Pause duration="60"/></Response>'
    )
    assert status == 204
    await hears(agent, [])
    await made.join("agent")
    await hears(agent, [customer, coach])
    await keep_hearing(customer, [agent])


async def test_unknown_ended_own_and_foreign_ids_do_no_harm(house: House, studio: Studio) -> None:
    made = Team(house, studio)
    for role, voice in zip(("agent", "coach"), voices()[::4], strict=False):
        await made.prepare(role, voice)
    await made.join("agent")
    ids = f"c-none, ,{made.ids['coach']}, {made.ids['agent']} ,not-an-id"
    await made.join("coach", f'callIdsToCoach="{ids}"')
    await all_hear_the_others([made.calls["agent"], made.calls["coach"]])


async def test_an_empty_list_is_no_coach(house: House, studio: Studio) -> None:
    made = Team(house, studio)
    for role, voice in zip(("agent", "customer"), voices()[::4], strict=False):
        await made.prepare(role, voice)
        await made.join(role, 'callIdsToCoach=""')
    await all_hear_the_others([made.calls["agent"], made.calls["customer"]])
