"""How fast documents follow each other."""

import asyncio

import pytest

from calls.documents import Pace
from tests.support.exchange import Exchange, settle


def test_twenty_documents_wait_for_nothing_and_then_ten_come_in_a_second():
    pace, now = Pace(), 1000.0
    assert [pace.wait(now) for _ in range(20)] == pytest.approx([0.0] * 20, abs=1e-6)
    for number in range(1, 31):
        wait = pace.wait(now)
        now += wait
        assert wait == pytest.approx(0.1, abs=1e-6) and now == pytest.approx(1000 + number / 10, abs=1e-6)


def test_who_pauses_between_documents_never_waits():
    pace = Pace()
    assert [pace.wait(now / 8) for now in range(0, 8000)] == [0.0] * 8000
    assert [pace.wait(2000.0) for _ in range(20)] == pytest.approx([0.0] * 20, abs=1e-6)


async def test_documents_that_lead_to_each_other_for_ever_are_slowed_and_can_be_ended():
    exchange = Exchange()
    loop, endless = asyncio.get_running_loop(), '<Response><Redirect redirectUrl="/again"/></Response>'
    exchange.answer_with(endless, "redirect")
    began = loop.time()
    call = await exchange.dial_in(endless)
    for _ in range(200):
        await settle()
    assert 20 <= len(exchange.courier.asked) <= 22 + 10 * (loop.time() - began)
    await exchange.switchboard.complete_call(call)
    asked = len(exchange.courier.asked)
    await settle()
    assert not call.live and len(exchange.courier.asked) == asked
