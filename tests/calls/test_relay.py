"""Keys between two joined calls: who gets them, in which form, and who does not."""

import asyncio

from calls.relay import Relay
from media import tones
from media.client import DigitReceived as Event
from sip import events as sip_events
from tests.calls.transferring import Transferring
from tests.support.exchange import OFFER, settle

WITHOUT_EVENTS = OFFER.replace(b" 101", b"").replace(b"a=rtpmap:101 telephone-event/8000\r\n", b"")


class Joined(Transferring):
    """Two calls joined by a Transfer; `leg` is the one that was dialled."""

    async def begin(self, *, answer=OFFER, before="", **attributes):
        await super().begin(**attributes) if not before else await self._after(before)
        (self.leg,) = self.legs
        self.on(self.leg, sip_events.CallAnswered, answer)
        await settle()
        return self

    async def _after(self, before):
        transfer = "<Transfer><SipUri>sip:b@192.0.2.7</SipUri></Transfer>"
        self.call = await self.exchange.dial_in(f"<Response>{before}{transfer}</Response>")

    async def presses(self, call, keys, source="rtp", milliseconds=160):
        for key in keys:
            if source == "rtp":
                self.exchange.switchboard.on_media(Event(call.leg.id, key, milliseconds))
            else:
                self.on(call, sip_events.DigitReceived, key, milliseconds)
        await settle()

    def passed(self):
        return self.exchange.media.of("send_digits")


async def test_keys_reach_the_other_as_events_one_after_another():
    j = await Joined().begin()
    await j.presses(j.call, "1", milliseconds=250)
    await j.presses(j.call, "2#", milliseconds=10)
    assert j.passed() == [(j.leg.leg.id, "1", 250.0, 60.0)]
    await j.exchange.finish_prompt()
    assert j.passed()[1:] == [(j.leg.leg.id, "2", 100.0, 60.0)]
    await j.exchange.finish_prompt()
    assert j.passed()[2:] == [(j.leg.leg.id, "#", 100.0, 60.0)]
    await j.presses(j.leg, "5", source="info")
    assert j.passed()[3] == (j.call.leg.id, "5", 160.0, 60.0)


async def test_a_far_end_without_events_is_told_by_info_and_one_without_either_hears_them():
    j = await Joined().begin(answer=WITHOUT_EVENTS)
    await j.presses(j.call, "7")
    assert j.passed() == []
    assert j.exchange.media.playbacks[-1].samples == tones.keys("7", tone=160.0, interval=60.0)
    await j.exchange.finish_prompt()
    j.leg.session.takes_info = True
    await j.presses(j.call, "89")
    told = [entry[1] for entry in j.exchange.sip.done if entry[0] == "press"]
    assert told == [(j.leg.session, "8", 160), (j.leg.session, "9", 160)]


async def test_what_a_start_gather_takes_is_not_passed_on():
    j = await Joined().begin(before='<StartGather dtmfUrl="/keys"/>')
    await j.presses(j.call, "4")
    assert j.passed() == [] and j.exchange.courier.event("dtmf")["digit"] == "4"
    await j.presses(j.leg, "6")
    assert j.passed() == [(j.call.leg.id, "6", 160.0, 60.0)]


async def test_keys_pressed_before_the_two_are_joined_stay_here():
    j = Joined(answer="<Response><Pause duration='60'/></Response>")
    await j.begin()
    await j.presses(j.call, "1")
    await j.presses(j.leg, "2")
    assert j.passed() == []


async def test_when_one_has_left_keys_are_for_the_next_gather_again():
    gather = "<Response><Gather maxDigits='1' gatherUrl='/digits'/></Response>"
    j = Joined(complete=gather)
    j.exchange.answer_with("<Response><Pause duration='60'/></Response>", "gather")
    await j.begin()
    await j.presses(j.call, "11")
    await j.hangs_up(j.leg)
    await j.presses(j.call, "3")
    assert len(j.passed()) == 1
    (event,) = [event for _, event in j.asked("gather")]
    assert event["digits"] == "3"


async def test_no_more_keys_wait_than_one_can_type():
    j = await Joined().begin()
    await j.presses(j.call, "1" * 200)
    for _ in range(60):
        if not j.exchange.media.playbacks[-1].done.done():
            await j.exchange.finish_prompt()
    assert len(j.passed()) == 50
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("keys")]


async def test_no_digit_is_in_a_repr():
    j = await Joined().begin()
    relay = Relay(j.leg)
    relay.press("5", 0.1)
    assert "5" not in repr(relay).replace(hex(id(relay)), "")
    relay.close()
