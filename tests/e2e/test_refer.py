"""Calls that are sent elsewhere by REFER, with real phones."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.support.baresip import Baresip
from tests.support.ears import hears, keep_hearing, never_heard, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.sip_text import address, tag
from tests.support.studio import Studio
from tests.support.tones import has_speech, tones
from tests.support.webhook import bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

HUMAN, AGENT, OTHER = voices()[0], voices()[5], voices()[9]
REFER = '<Refer referCompleteUrl="/referred"><SipUri>{}</SipUri></Refer>'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    house = await House.open(sections={"sip": {"transfers": "any"}})
    yield house
    await house.close()


async def sent(house: House, studio: Studio, to: str, *, answers: int = 202) -> tuple[PhoneCall, str]:
    """A caller who has been sent to `to`, and has answered the REFER."""
    user = house.room()
    house.tell(user, REFER.format(to))
    caller = await studio.phone("caller", house.server.sip)
    call = caller.invite(house.uri(user))
    call.answers_refer = answers
    await call.answered()
    await eventually(lambda: call.referred, what=call.story)
    return call, await house.call_id(user)


async def test_the_far_end_goes_where_it_is_sent_and_the_call_is_over(house: House, studio: Studio) -> None:
    carol = await studio.phone("carol")
    call, call_id = await sent(house, studio, carol.uri)
    (refer,) = call.referred
    assert address(refer["refer-to"]) == carol.uri
    assert await call.tell_of_refer("100 Trying", "active;expires=60") == 200
    there = await call.phone.dial(address(refer["refer-to"]))
    assert await call.tell_of_refer("200 OK") == 200
    await call.ended()
    assert call.goodbye is not None and call.goodbye.method == "BYE"
    event = await house.application.event("referComplete", callId=call_id)
    assert (event.path, event["referCallStatus"]) == ("/referred", "success")
    assert (event["referSipResponseCode"], event["notifySipResponseCode"]) == (202, 200)
    gone = await house.application.event("disconnect", callId=call_id)
    assert gone["cause"] == "hangup"
    await hears(there, [])
    assert there.state == "answered"


async def test_a_far_end_that_does_not_go_hears_the_answer_to_refer_complete(
    house: House, studio: Studio
) -> None:
    house.application.on("referComplete", bxml("<SpeakSentence>Stay here, please.</SpeakSentence>"))
    call, call_id = await sent(house, studio, "sip:nobody@192.0.2.50", answers=603)
    event = await house.application.event("referComplete", callId=call_id)
    assert (event["referCallStatus"], event["referSipResponseCode"]) == ("failure", 603)
    assert event.get("notifySipResponseCode") is None
    await call.ended()
    assert has_speech(call.line.pcm())


async def test_a_phone_that_hangs_up_once_it_goes_has_gone(house: House, studio: Studio) -> None:
    call, call_id = await sent(house, studio, "sip:carol@192.0.2.50")
    assert (await call.bye()).status == 200
    assert await call.tell_of_refer("200 OK") == 200
    event = await house.application.event("referComplete", callId=call_id)
    assert event["referCallStatus"] == "success" and event.get("notifySipResponseCode") is None


def dialog(call: PhoneCall) -> str:
    """A Replaces value for a call that the phone has made, as its server sees it."""
    return f"{call.call_id};to-tag={tag(call.remote)};from-tag={call.local_tag}"


async def test_a_phone_takes_the_place_of_another_in_its_conference(house: House, studio: Studio) -> None:
    room = house.room()
    host = await studio.phone("host", house.server.sip, sound=HUMAN)
    seated = await host.dial(house.uri(room))
    desk = await studio.phone("desk", house.server.sip, sound=AGENT)
    before = await desk.dial(house.uri(room))
    call_id = await house.call_id(room)
    await hears(seated, [before])
    mobile = await studio.phone("mobile", house.server.sip, sound=OTHER)
    wrong = mobile.invite(house.uri(room), headers=(("Replaces", dialog(before) + "x"),))
    assert await wrong.refused() == 481
    after = await mobile.dial(house.uri(room), headers=(("Replaces", dialog(before)),))
    await before.ended()
    assert before.goodbye is not None and before.goodbye.method == "BYE"
    await hears(seated, [after])
    await hears(after, [seated])
    await keep_hearing(seated, [after])
    conference = await house.conference(room)
    _, members = await house.rest.get(f"/conferences/{conference}")
    assert len(members["activeMembers"]) == 2
    assert house.application.of("conferenceMemberExit", callId=call_id) == []
    late = mobile.invite(house.uri(room), headers=(("Replaces", dialog(before)),))
    assert await late.refused() == 603
    await after.bye()
    event = await house.application.event("disconnect", callId=call_id)
    assert event["cause"] == "hangup"


async def test_an_agent_transfers_his_caller_to_somebody_else(house: House, studio: Studio) -> None:
    """A blind transfer by an agent's phone, which hangs up when it is told of the answer."""
    room = house.room()
    agent = await studio.phone("agent", sound=AGENT)
    house.tell(room, f'<Transfer transferCompleteUrl="/done"><SipUri>{agent.uri}</SipUri></Transfer>')
    caller = await studio.phone("caller", house.server.sip, sound=HUMAN)
    call = await caller.dial(house.uri(room))
    leg = await agent.incoming()
    await hears(call, [leg])
    expert = await studio.phone("expert", sound=OTHER, answers="ring")
    assert (await leg.refer(expert.uri)).status == 202
    ringing = await expert.incoming()
    await eventually(lambda: "SIP/2.0 180 Ringing" in leg.told, what=leg.story)
    await hears(leg, [call])
    ringing.accept()
    await leg.ended()
    assert leg.told == ["SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "SIP/2.0 200 OK"]
    await hears(call, [ringing])
    await hears(ringing, [call])
    await keep_hearing(call, [ringing])
    never_heard(ringing, leg)
    assert house.application.of("transferComplete", callId=await house.call_id(room)) == []
    await ringing.bye()
    event = await house.application.event("transferComplete", callId=await house.call_id(room))
    assert event["cause"] == "hangup"


async def test_an_agent_consults_an_expert_and_leaves_them_to_each_other(
    house: House, studio: Studio
) -> None:
    """An attended transfer: both of the agent's calls are here."""
    first, second = house.room(), house.room()
    agent = await studio.phone("agent", house.server.sip, sound=AGENT)
    expert = await studio.phone("expert", sound=OTHER)
    house.tell(first, f"<Transfer><SipUri>{agent.uri}</SipUri></Transfer>")
    house.tell(second, f"<Transfer><SipUri>{expert.uri}</SipUri></Transfer>")
    caller = await studio.phone("caller", house.server.sip, sound=HUMAN)
    call = await caller.dial(house.uri(first))
    leg = await agent.incoming()
    await hears(call, [leg])
    await hears(leg, [call])
    consultation = await agent.dial(house.uri(second))
    there = await expert.incoming()
    await hears(there, [consultation])
    assert (await leg.refer(f"{house.uri(second)}?Replaces={quote(dialog(consultation))}")).status == 202
    await leg.ended()
    await consultation.ended()
    await hears(call, [there])
    await hears(there, [call])
    never_heard(call, consultation, since=len(call.line.audio) - 10)
    await call.bye()
    await there.ended()


async def test_a_transfer_to_somebody_busy_leaves_the_agent_with_his_caller(
    house: House, studio: Studio
) -> None:
    room = house.room()
    agent = await studio.phone("agent", house.server.sip, sound=AGENT)
    call = await agent.dial(house.uri(room))
    busy = await studio.phone("busy", answers=486)
    assert (await call.refer(busy.uri)).status == 202
    await eventually(lambda: "SIP/2.0 486 Busy Here" in call.told, what=call.story)
    other = await studio.phone("other", house.server.sip, sound=OTHER)
    await hears(call, [await other.dial(house.uri(room))])


async def test_baresip_goes_where_it_is_sent(house: House, studio: Studio) -> None:
    carol = await studio.phone("carol", sound=AGENT)
    user = house.room()
    house.tell(user, REFER.format(carol.uri))
    async with Baresip("softphone", frequency=voices()[9].frequency) as phone:
        await phone.dial(house.uri(user))
        leg = await carol.incoming()
        event = await house.application.event("referComplete", callId=await house.call_id(user))
        assert event["referCallStatus"] == "success" and event["notifySipResponseCode"] == 200
        await eventually(lambda: AGENT.frequency in tones(phone.heard(last=0.2)), what=phone.story)
        assert leg.state == "answered"


async def test_baresip_transfers_its_caller(house: House, studio: Studio) -> None:
    room = house.room()
    host = await studio.phone("host", house.server.sip, sound=HUMAN)
    seated = await host.dial(house.uri(room))
    expert = await studio.phone("expert", sound=AGENT)
    async with Baresip("softphone", frequency=OTHER.frequency) as phone:
        await phone.dial(house.uri(room))
        await eventually(lambda: HUMAN.frequency in tones(phone.heard(last=0.2)), what=phone.story)
        await phone.transfer(expert.uri)
        leg = await expert.incoming()
        await hears(seated, [leg])
        await hears(leg, [seated])
