"""Calls that are sent elsewhere by REFER, with real phones."""

import pytest

from tests.support.ears import hears
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.phone import PhoneCall
from tests.support.sip_text import address
from tests.support.studio import Studio
from tests.support.tones import has_speech
from tests.support.webhook import bxml

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFER = '<Refer referCompleteUrl="/referred"><SipUri>{}</SipUri></Refer>'


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
