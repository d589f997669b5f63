"""A call centre's whole day in one call: menu, transfer, conference, coach, hold, farewell; judged by ear."""

from collections.abc import Iterable

import pytest

from tests.conformance import events
from tests.support.ears import all_hear_the_others, hears, never_heard, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.prompts import spoken
from tests.support.studio import Studio
from tests.support.tones import is_silent
from tests.support.webhook import PATIENT, Event, bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

MENU = "For sales press one."
WHISPER = "A caller from the menu."
FAREWELL = "Thank you for calling."
CUSTOMER, AGENT, SUPERVISOR = voices()[0], voices()[5], voices()[9]


async def heard(call: PhoneCall, sentence: str) -> int:
    """Waits until the whole sentence was heard; where it began, in samples."""
    prompt = await spoken(sentence)

    def whole() -> bool:
        score, _ = call.line.find(prompt)
        assert score > 0.9, f"correlation {score:.3f}"
        return True

    await eventually(whole, every=0.1, what=call.story)
    return call.line.find(prompt)[1]


def told(house: House, *, skip: Iterable[str] = (), **wanted: str) -> list[str]:
    """The types of the events with these fields, in the order in which the application got them."""
    return [event.type for event in house.application.of("*", **wanted) if event.type not in skip]


def to_room(room: str, attributes: str = "", after: str = "") -> str:
    return f'<Conference conferenceEventUrl="/conference" {attributes}>{room}</Conference>{after}'


async def test_from_the_menu_to_the_farewell(house: House, studio: Studio) -> None:
    room = house.room()
    application, rest = house.application, house.rest
    farewell = f"<SpeakSentence>{FAREWELL}</SpeakSentence>"
    agent_phone = await studio.phone("agent", sound=AGENT)
    bystander_phone = await studio.phone("bystander", house.server.sip, sound=voices()[2])
    bystander = await bystander_phone.dial(house.uri(house.room()))

    # The menu: the customer hears it, and his key takes him on.
    menu = f"<SpeakSentence>{MENU}</SpeakSentence>"
    keyed = f'gatherUrl="/menu" maxDigits="1" tag="customer" {PATIENT}'
    house.tell(f"{room}-menu", f"<Gather {keyed}>{menu}</Gather>")
    transfer = (
        '<Transfer transferCompleteUrl="/served"><SipUri transferAnswerUrl="/whisper" '
        f'transferDisconnectUrl="/agent-gone">{agent_phone.uri}</SipUri></Transfer>'
    )
    application.on("gather", lambda event: bxml(transfer if event["digits"] == "1" else ""), path="/menu")
    application.on("transferAnswer", bxml(f"<SpeakSentence>{WHISPER}</SpeakSentence>"), path="/whisper")
    application.on("transferComplete", bxml(to_room(room, after=farewell)), path="/served")
    application.on("redirect", bxml(to_room(room, after=farewell)), path="/to-the-room")
    customer_phone = await studio.phone("customer", house.server.sip, sound=CUSTOMER)
    customer = await customer_phone.dial(house.uri(f"{room}-menu"))
    customer_id = await house.call_id(f"{room}-menu")
    await heard(customer, MENU)
    customer.line.press("1")

    # The agent: a whisper for him alone, then the two hear each other.
    agent = await agent_phone.incoming()
    await heard(agent, WHISPER)
    await hears(agent, [customer])
    await hears(customer, [agent])
    assert customer.line.find(await spoken(WHISPER))[0] < 0.5, "the customer hears no whisper"
    agent_id = str((await application.event("transferAnswer", parentCallId=customer_id))["callId"])

    # Both go to a conference: the agent by REST, which ends the transfer, and so the customer follows.
    status, _ = await rest.post(f"/calls/{agent_id}", {"redirectUrl": application.url("/to-the-room")})
    assert status == 200
    await house.joined(agent_id)
    await house.joined(customer_id)
    await all_hear_the_others([agent, customer])

    # The supervisor listens in, unheard, then coaches the agent, then joins openly.
    unheard = len(customer.line.audio)  # what came before has a sentence in it, which holds every frequency
    house.tell(f"{room}-supervisor", to_room(room, 'mute="true" tag="supervisor"', farewell))
    supervisor_phone = await studio.phone("supervisor", house.server.sip, sound=SUPERVISOR)
    supervisor = await supervisor_phone.dial(house.uri(f"{room}-supervisor"))
    supervisor_id = await house.call_id(f"{room}-supervisor")
    await hears(supervisor, [agent, customer])
    coach = {"mute": False, "callIdsToCoach": [agent_id]}
    assert (await house.member(room, supervisor_id, **coach))[0] == 204
    await hears(agent, [customer, supervisor])
    await hears(supervisor, [agent, customer])
    coached = len(customer.line.audio)
    await eventually(lambda: len(customer.line.audio) > coached + 25, what=customer.story)
    await hears(customer, [agent])
    never_heard(customer, supervisor, since=unheard)
    assert (await house.member(room, supervisor_id, callIdsToCoach=[]))[0] == 204
    await all_hear_the_others([agent, customer, supervisor])

    # The customer waits while they talk about him.
    assert (await house.member(room, customer_id, hold=True))[0] == 204
    await hears(customer, [])
    await hears(agent, [supervisor])
    await hears(supervisor, [agent])
    held = len(customer.line.audio)
    await eventually(lambda: len(customer.line.audio) > held + 25, what=customer.story)
    assert is_silent(customer.line.pcm(since=held))
    assert (await house.member(room, customer_id, hold=False))[0] == 204
    await all_hear_the_others([agent, customer, supervisor])

    # The end, by REST: each goes on with his own document, hears the farewell, and is hung up.
    everybody = {customer_id: customer, agent_id: agent, supervisor_id: supervisor}
    conference_id = await house.conference(room)
    since = {call_id: len(call.line.pcm()) for call_id, call in everybody.items()}
    assert (await rest.post(f"/conferences/{conference_id}", {"status": "completed"}))[0] == 204
    for call_id, call in everybody.items():
        assert await heard(call, FAREWELL) >= since[call_id] - 8000
        await call.ended()
        assert call.goodbye is not None and call.goodbye.method == "BYE"
    await application.event("disconnect", callId=customer_id)
    await application.event("disconnect", callId=supervisor_id)
    await application.event("transferDisconnect", callId=agent_id)
    await hears(bystander, [])
    assert is_silent(bystander.line.pcm()), "a call in another room heard nothing of all this"

    # What the application was told: in order for each call and for the conference, with every field.
    seats = ("conferenceMemberJoin", "conferenceMemberExit")
    assert told(house, skip=seats, callId=customer_id) == [
        "initiate",
        "gather",
        "transferComplete",
        "disconnect",
    ]
    assert told(house, skip=seats, callId=agent_id) == ["transferAnswer", "redirect", "transferDisconnect"]
    assert told(house, skip=seats, callId=supervisor_id) == ["initiate", "disconnect"]
    for call_id in everybody:
        assert [kind for kind in told(house, callId=call_id) if kind in seats] == list(seats)
    assert told(house, conferenceId=conference_id) == [
        "conferenceCreated",
        *["conferenceMemberJoin"] * 3,
        *["conferenceMemberExit"] * 3,
        "conferenceCompleted",
    ]
    events_of_the_story = [
        event
        for event in application.events
        if event.get("callId") in everybody or event.get("conferenceId") == conference_id
    ]
    assert len(events_of_the_story) == 4 + 3 + 2 + 8
    assert [problem for event in events_of_the_story for problem in events.faults(event.fields)] == []
    _causes(house, customer_id, agent_id, supervisor_id)


def _causes(house: House, customer_id: str, agent_id: str, supervisor_id: str) -> None:
    """The fields that tell this story from others."""

    def one(kind: str, call_id: str) -> Event:
        (event,) = house.application.of(kind, callId=call_id)
        return event

    assert (one("gather", customer_id)["digits"], one("gather", customer_id)["tag"]) == ("1", "customer")
    served, answered = one("transferComplete", customer_id), one("transferAnswer", agent_id)
    assert served["cause"] == "hangup"
    assert served["transferCallerId"] == one("initiate", customer_id)["from"]
    for name in ("transferCallerId", "transferTo"):
        assert served[name] == answered[name] == one("transferDisconnect", agent_id)[name]
    assert one("redirect", agent_id)["parentCallId"] == customer_id
    assert one("transferDisconnect", agent_id)["cause"] == "hangup"
    for call_id in (customer_id, supervisor_id):
        assert one("disconnect", call_id)["cause"] == "hangup"
