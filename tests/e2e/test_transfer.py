"""Calls joined by Transfer, Bridge and Forward, with real phones: who hears whom, what all are told."""

import asyncio
import time
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from tests.e2e.test_digits import Events
from tests.support.ears import hears, keep_hearing, never_heard, voices
from tests.support.eventually import eventually
from tests.support.free_ports import free_port
from tests.support.house import House
from tests.support.phone import Phone, PhoneCall
from tests.support.sounds import Silence
from tests.support.studio import Studio
from tests.support.tones import has_speech, level, loudest_moment
from tests.support.webhook import bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARRIER = free_port()
VOICES = voices()
URLS = 'transferAnswerUrl="/answered" transferDisconnectUrl="/gone"'
HUMAN, AGENT, OTHER = VOICES[0], VOICES[5], VOICES[9]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    trunks = [{"name": "carrier", "host": f"127.0.0.1:{CARRIER}", "numbers": ["+1919*"], "transport": "udp"}]
    house = await House.open(sections={"trunks": trunks})
    yield house
    await house.close()


def to_transfer(*phones: Phone, attributes: str = "", urls: str = URLS) -> str:
    legs = "".join(f"<SipUri {urls}>{phone.uri}</SipUri>" for phone in phones)
    return f'<Transfer transferCompleteUrl="/complete" {attributes}>{legs}</Transfer>'


async def transferred(house: House, studio: Studio, verbs: str, **rules: str) -> tuple[PhoneCall, str]:
    """A caller whose document is `verbs`, and the id of his call; `rules`: answers to the events of his."""
    room = house.room()
    house.tell(room, verbs)
    for kind, answer in rules.items():
        house.application.on(kind, bxml(answer), user=room)
    caller = await studio.phone("caller", house.server.sip, sound=HUMAN)
    call = await caller.dial(house.uri(room))
    return call, await house.call_id(room)


async def test_the_two_hear_each_other_and_nobody_else(house: House, studio: Studio) -> None:
    bystander = await studio.phone("bystander", house.server.sip, sound=OTHER)
    apart = await bystander.dial(house.uri(house.room()))
    agent = await studio.phone("agent", sound=AGENT)
    call, call_id = await transferred(house, studio, to_transfer(agent), transferComplete="<Hangup/>")
    leg = await agent.incoming()
    await hears(call, [leg])
    await hears(leg, [call])
    await keep_hearing(call, [leg])
    never_heard(apart, call)
    never_heard(apart, leg)
    answer = await house.application.event("transferAnswer", parentCallId=call_id)
    assert (answer["direction"], answer["transferTo"]) == ("outbound", agent.uri)
    assert answer["to"].startswith("sip:room-") and answer["from"].startswith("sip:caller@")
    _, shown = await house.rest.get(f"/calls/{answer['callId']}")
    assert (shown["parentCallId"], shown["direction"], shown["to"]) == (call_id, "outbound", agent.uri)
    await leg.bye()
    gone = await house.application.event("transferDisconnect", callId=answer["callId"])
    assert (gone.path, gone["cause"], gone["parentCallId"]) == ("/gone", "hangup", call_id)
    complete = await house.application.event("transferComplete", callId=call_id)
    assert (complete.path, complete["cause"], complete["transferTo"]) == ("/complete", "hangup", agent.uri)
    await call.ended()


async def test_the_caller_hears_ringback_and_the_called_side_a_word_before_they_are_joined(
    house: House, studio: Studio
) -> None:
    agent = await studio.phone("agent", sound=AGENT, answers="ring")
    screen = "<SpeakSentence>A call for you.</SpeakSentence>"
    call, _ = await transferred(house, studio, to_transfer(agent), transferAnswer=screen)
    leg = await agent.incoming()

    def rings() -> bool:
        heard = call.line.pcm(last=0.3)
        return level(heard, 440) > 1500 and level(heard, 480) > 1500

    await eventually(rings, what=call.story)
    leg.accept()
    await hears(leg, [call])
    await hears(call, [leg])
    await keep_hearing(call, [leg])
    heard = leg.line.pcm()
    frames = heard[: len(heard) // 160 * 160].reshape(-1, 160)
    alone = int(np.argmax([level(frame, 410) > 1500 for frame in frames]))
    assert has_speech(heard[: alone * 160]), "the sentence comes before the caller's voice"
    await call.bye()
    await leg.ended()


async def test_what_the_callees_network_says_is_heard_before_the_answer_and_nobody_there_hears_the_caller(
    house: House, studio: Studio
) -> None:
    agent = await studio.phone("agent", sound=AGENT, answers="ring")
    call, _ = await transferred(house, studio, to_transfer(agent, urls=""))
    leg = await agent.incoming()
    leg.progress()
    await hears(call, [leg])
    await keep_hearing(call, [leg])
    assert level(call.line.pcm(last=0.3), 440) < 300, "no ringback of ours beside it"
    never_heard(leg, call)
    meanwhile = asyncio.create_task(keep_hearing(call, [leg], seconds=1.0))
    await asyncio.sleep(0.3)
    leg.accept()
    await hears(leg, [call])
    await meanwhile


async def test_a_forwarded_caller_hears_the_callees_network_before_anybody_has_answered(
    house: House, studio: Studio
) -> None:
    agent = await studio.phone("agent", sound=AGENT, answers="ring")
    room = house.room()
    house.tell(room, f'<Forward to="{agent.uri}"/>')
    caller = await studio.phone("caller", house.server.sip, sound=HUMAN)
    call = caller.invite(house.uri(room))
    leg = await agent.incoming()
    leg.progress()
    await eventually(lambda: any(m.status == 183 for m in call.provisional), what=call.story)
    await hears(call, [leg])
    assert call.state == "ringing"
    leg.accept()
    await call.answered()
    await hears(leg, [call])
    await hears(call, [leg])


def dropped(house: House) -> float:
    """Packets that were nobody's, so far."""
    metrics = house.server.metrics()
    return sum(value for name, value in metrics.items() if name.startswith("mixminus_media_dropped_"))


async def test_of_a_callee_who_talks_before_his_200_only_what_comes_after_it_is_heard(
    house: House, studio: Studio
) -> None:
    """Nothing is known of him before, so what came earlier is dropped, and nothing of it is played late."""
    agent = await studio.phone("agent", sound=AGENT, answers="ring")
    call, _ = await transferred(house, studio, to_transfer(agent, urls=""))
    leg = await agent.incoming()
    assert leg.invite is not None
    before = dropped(house)
    leg.adopt(leg.invite.body, ours="sendrecv")
    await eventually(lambda: len(leg.line.sent) >= 15)
    leg.line.sending = False
    await eventually(lambda: dropped(house) - before >= len(leg.line.sent), what=call.story)
    never_heard(call, leg)
    start = len(call.line.audio)
    leg.accept()
    leg.line.say(voices()[9])
    await hears(call, [leg])
    assert loudest_moment(call.line.pcm(since=start), AGENT.frequency) < 450


async def test_keys_of_either_reach_the_other_and_are_in_no_log(house: House, studio: Studio) -> None:
    agent = await studio.phone("agent", sound=AGENT)
    call, _ = await transferred(house, studio, to_transfer(agent))
    leg = await agent.incoming()
    await hears(call, [leg])
    call.line.press("19#")
    await eventually(lambda: Events(leg).keys == "19#", what=leg.story)
    leg.line.press("7*")
    await eventually(lambda: Events(call).keys == "7*", what=call.story)
    assert Events(leg).keys == "19#"
    await hears(call, [leg])
    await hears(leg, [call])
    assert not any('"19#"' in line or '"digit"' in line for line in house.server.log.splitlines())


async def test_the_first_of_three_to_answer_gets_the_caller(house: House, studio: Studio) -> None:
    first = await studio.phone("first", answers="ring")
    second = await studio.phone("second", answers="ring", sound=AGENT)
    third = await studio.phone("third", answers="ring")
    call, call_id = await transferred(house, studio, to_transfer(first, second, third, urls=URLS))
    legs = [await phone.incoming() for phone in (first, second, third)]
    legs[1].accept()
    await hears(call, [legs[1]])
    for loser in (legs[0], legs[2]):
        await loser.ended()
        assert loser.goodbye is not None and loser.goodbye.method == "CANCEL"
    for phone in (first, third):
        gone = await house.application.event("transferDisconnect", transferTo=phone.uri)
        assert (gone["cause"], gone["parentCallId"]) == ("cancel", call_id)
    await call.bye()
    await legs[1].ended()
    gone = await house.application.event("transferDisconnect", transferTo=second.uri)
    assert gone["cause"] == "hangup"
    assert house.application.of("transferComplete", callId=call_id) == []


async def test_two_who_answer_at_once_are_not_joined_with_each_other(house: House, studio: Studio) -> None:
    phones = [await studio.phone(name, answers="ring", sound=AGENT) for name in ("one", "two")]
    call, _ = await transferred(house, studio, to_transfer(*phones))
    legs = [await phone.incoming() for phone in phones]
    for leg in legs:
        leg.accept()
    await eventually(lambda: sum(leg.state == "ended" for leg in legs) == 1, what=call.story)
    (winner,) = [leg for leg in legs if leg.state != "ended"]
    await hears(call, [winner])
    await hears(winner, [call])


async def test_busy_is_told_and_the_call_goes_on(house: House, studio: Studio) -> None:
    agent = await studio.phone("agent", answers=486)
    call, call_id = await transferred(
        house, studio, to_transfer(agent), transferComplete="<SpeakSentence>Nobody is there.</SpeakSentence>"
    )
    complete = await house.application.event("transferComplete", callId=call_id)
    assert (complete["cause"], complete["errorMessage"]) == ("busy", "Callee is busy")
    await call.ended()
    assert has_speech(call.line.pcm())


async def test_nobody_answers_in_time(house: House, studio: Studio) -> None:
    agent = await studio.phone("agent", answers="ring")
    began = time.monotonic()
    _, call_id = await transferred(house, studio, to_transfer(agent, attributes='callTimeout="1"'))
    complete = await house.application.event("transferComplete", callId=call_id)
    assert complete["cause"] == "timeout" and time.monotonic() - began > 0.8
    leg = await agent.incoming()
    await leg.ended()
    assert leg.goodbye is not None and leg.goodbye.method == "CANCEL"


async def test_a_caller_who_gives_up_cancels_the_ringing(house: House, studio: Studio) -> None:
    agent = await studio.phone("agent", answers="ring")
    call, _ = await transferred(house, studio, to_transfer(agent))
    leg = await agent.incoming()
    await call.bye()
    await leg.ended()
    gone = await house.application.event("transferDisconnect", transferTo=agent.uri)
    assert gone["cause"] == "cancel"


async def test_numbers_go_through_the_trunk_with_the_caller_id_that_was_asked_for(
    house: House, studio: Studio
) -> None:
    carrier = await studio.phone("carrier", port=CARRIER, sound=AGENT)
    verbs = (
        '<Transfer transferCallerId="+19195550199" transferCallerDisplayName="Desk">'
        "<PhoneNumber>+19195550123</PhoneNumber></Transfer>"
    )
    call, _ = await transferred(house, studio, verbs)
    leg = await carrier.incoming()
    await hears(call, [leg])
    assert leg.invite is not None and "sip:+19195550123@" in leg.invite.uri
    assert leg.invite["from"].startswith('"Desk" <sip:+19195550199@')
    await leg.bye()
    await call.ended()

    verbs = '<Transfer privacy="true"><SipUri uui="YWJj;encoding=base64">{}</SipUri></Transfer>'
    callee = await studio.phone("callee")
    await transferred(house, studio, verbs.format(callee.uri))
    leg = await callee.incoming()
    assert leg.invite is not None and "anonymous@anonymous.invalid" in leg.invite["from"]
    assert leg.invite["privacy"] == "id" and leg.invite["user-to-user"] == "YWJj;encoding=base64"


async def test_bridge_takes_the_target_out_of_its_conference(house: House, studio: Studio) -> None:
    room = house.room()
    host = await studio.phone("host", house.server.sip, sound=OTHER)
    seated = await host.dial(house.uri(room))
    target_phone = await studio.phone("target", house.server.sip, sound=AGENT)
    target = await target_phone.dial(house.uri(room))
    target_id = await house.call_id(room)
    await hears(seated, [target])
    house.application.on("bridgeTargetComplete", bxml(f"<Conference>{room}</Conference>"), callId=target_id)
    call, call_id = await transferred(
        house,
        studio,
        f'<Bridge bridgeCompleteUrl="/bridged" bridgeTargetCompleteUrl="/target">{target_id}</Bridge>',
    )
    await hears(call, [target])
    await hears(target, [call])
    await hears(seated, [])
    never_heard(seated, call)
    await call.bye()
    event = await house.application.event("bridgeTargetComplete", callId=target_id)
    assert event.path == "/target" and event.get("cause") is None
    await hears(seated, [target])
    assert house.application.of("bridgeComplete", callId=call_id) == []


async def test_when_the_target_of_a_bridge_hangs_up_the_other_goes_on(house: House, studio: Studio) -> None:
    room = house.room()
    target_phone = await studio.phone("target", house.server.sip, sound=AGENT)
    target = await target_phone.dial(house.uri(room))
    target_id = await house.call_id(room)
    verbs = f'<Bridge bridgeCompleteUrl="/bridged">{target_id}</Bridge>'
    call, call_id = await transferred(
        house, studio, verbs, bridgeComplete="<SpeakSentence>He has gone.</SpeakSentence>"
    )
    await hears(call, [target])
    await target.bye()
    event = await house.application.event("bridgeComplete", callId=call_id)
    assert event.path == "/bridged" and event.get("cause") is None
    start = len(call.line.audio)
    await call.ended()
    assert has_speech(call.line.pcm(since=start))


async def test_a_bridge_with_a_call_that_is_over_fails_and_goes_on(house: House, studio: Studio) -> None:
    _, call_id = await transferred(house, studio, '<Bridge bridgeCompleteUrl="/bridged">c-nobody</Bridge>')
    event = await house.application.event("bridgeComplete", callId=call_id)
    assert (event["cause"], event["errorMessage"]) == ("unknown", "Call c-nobody not found")
    assert len(event["errorId"]) == 36


async def test_redirecting_one_of_two_bridged_calls_ends_the_bridge(house: House, studio: Studio) -> None:
    room, other = house.room(), house.room()
    target_phone = await studio.phone("target", house.server.sip, sound=AGENT)
    target = await target_phone.dial(house.uri(room))
    target_id = await house.call_id(room)
    call, call_id = await transferred(house, studio, f"<Bridge>{target_id}</Bridge><Pause duration='30'/>")
    await hears(call, [target])
    house.application.on("redirect", bxml(f"<Conference>{other}</Conference>"), callId=target_id)
    status, _ = await house.rest.post(
        f"/calls/{target_id}", {"redirectUrl": house.application.url("/elsewhere")}
    )
    assert status == 200
    await hears(call, [])
    await hears(target, [])
    _, shown = await house.rest.get(f"/calls/{call_id}")
    assert shown["state"] == "answered"


async def test_a_forwarded_caller_hears_his_phone_ring_and_then_the_destination(
    house: House, studio: Studio
) -> None:
    agent = await studio.phone("agent", sound=AGENT, answers="ring")
    room = house.room()
    house.tell(room, f'<Forward to="{agent.uri}" from="+19195550177"/>')
    caller = await studio.phone("caller", house.server.sip, sound=HUMAN)
    call = caller.invite(house.uri(room))
    leg = await agent.incoming()
    await eventually(lambda: call.state == "ringing", what=call.story)
    assert leg.invite is not None and "<sip:+19195550177@" in leg.invite["from"]
    leg.accept()
    await call.answered()
    await hears(call, [leg])
    await hears(leg, [call])
    call_id = await house.call_id(room)
    await leg.bye()
    await call.ended()
    event = await house.application.event("disconnect", callId=call_id)
    assert event["cause"] == "hangup"


async def test_a_forward_to_somebody_busy_is_busy_for_the_caller(house: House, studio: Studio) -> None:
    agent = await studio.phone("agent", answers=486)
    room = house.room()
    house.tell(room, f'<Forward to="{agent.uri}"/>')
    caller = await studio.phone("caller", house.server.sip)
    call = caller.invite(house.uri(room))
    assert await call.refused() == 486
    event = await house.application.event("disconnect", callId=await house.call_id(room))
    assert event["cause"] == "busy"


async def test_a_caller_who_gives_up_a_forward_cancels_it(house: House, studio: Studio) -> None:
    agent = await studio.phone("agent", answers="ring", sound=Silence())
    room = house.room()
    house.tell(room, f'<Forward to="{agent.uri}"/>')
    caller = await studio.phone("caller", house.server.sip)
    call = caller.invite(house.uri(room))
    leg = await agent.incoming()
    await eventually(lambda: call.state == "ringing", what=call.story)
    await asyncio.gather(call.cancel(), leg.ended())
    assert leg.goodbye is not None and leg.goodbye.method == "CANCEL"
    event = await house.application.event("disconnect", callId=await house.call_id(room))
    assert event["cause"] == "cancel"


async def test_a_number_that_is_forwarded_to_itself_costs_ten_legs_and_its_caller_a_refusal(
    house: House, studio: Studio
) -> None:
    room = house.room()
    house.tell(room, f'<Forward to="{house.uri(room)}"/>')
    caller = await studio.phone("caller", house.server.sip)
    assert await caller.invite(house.uri(room)).refused() == 603
    _, calls = await house.rest.get("/calls")
    directions = sorted(call["direction"] for call in calls if room in call["to"])
    assert directions == ["inbound"] * 10 + ["outbound"] * 10
