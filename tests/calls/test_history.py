"""What is kept of calls and conferences that are over: for how long, how much, and what REST tells of it."""

import gc
import tracemalloc
from datetime import timedelta

import pytest

from calls import clock
from calls.callbacks import Callback
from calls.ended import EndedCall, EndedConference
from calls.errors import Conflict, NotFound
from calls.history import History
from calls.order import Redirect
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, Exchange, join, settle

CALLS = 500
MOST_BYTES = 1300
"""Of an ended call and half a conference; Python's own caches have their part in it."""


class Clock:
    """The wall clock, which a test can move."""

    def __init__(self, monkeypatch):
        self.passed = timedelta()
        now = clock.now
        monkeypatch.setattr(clock, "now", lambda: now() + self.passed)


@pytest.fixture
def wall(monkeypatch):
    return Clock(monkeypatch)


class Live:
    def __init__(self, number, account=ACCOUNT):
        self.id, self.account = f"conf-{number}", account


def record(number, account=ACCOUNT):
    moment = clock.now()
    return EndedConference(f"conf-{number}", account, "room", moment, moment, None, "POST", 15.0, None)


def test_the_order_is_that_in_which_calls_began_whatever_the_order_of_their_ends():
    history = History(most=10)
    for number in range(4):
        history.add(Live(number))
    for number in (2, 0):
        history.retire(record(number))
    assert [each.id for each in history.of(ACCOUNT)] == ["conf-0", "conf-1", "conf-2", "conf-3"]
    assert isinstance(history.find(ACCOUNT, "conf-2"), EndedConference)
    assert isinstance(history.find(ACCOUNT, "conf-3"), Live)


def test_where_there_are_too_many_the_one_that_ended_first_is_forgotten():
    history = History(most=2)
    for number in range(4):
        history.add(Live(number))
    for number in (3, 1, 0):
        history.retire(record(number))
    assert [each.id for each in history.of(ACCOUNT)] == ["conf-0", "conf-1", "conf-2"]


def test_after_seven_days_nothing_is_told_any_more(wall):
    history = History(most=10)
    for number in range(2):
        history.add(Live(number))
    history.retire(record(0))
    wall.passed = timedelta(days=7, seconds=1)
    history.retire(record(1))
    assert [each.id for each in history.of(ACCOUNT)] == ["conf-1"]


def test_of_an_idle_server_too(wall):
    history = History(most=10)
    history.add(Live(0))
    history.retire(record(0))
    wall.passed = timedelta(days=7, seconds=1)
    assert history.find(ACCOUNT, "conf-0") is None and history.of(ACCOUNT) == []


def test_another_accounts_records_are_nobody_elses():
    history = History(most=10)
    history.add(Live(1, "other"))
    history.retire(record(1, "other"))
    assert history.find(ACCOUNT, "conf-1") is None and history.of(ACCOUNT) == []


async def hang_up(exchange, *calls):
    for call in calls:
        exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()


async def test_of_an_ended_call_rest_tells_what_it_told_before_and_takes_no_orders():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    before = exchange.switchboard.call(ACCOUNT, call.id)
    await hang_up(exchange, call)
    board, kept = exchange.switchboard, exchange.switchboard.call(ACCOUNT, call.id)
    assert before is call and isinstance(kept, EndedCall)
    for field in EndedCall.__struct_fields__:
        assert getattr(kept, field) == (getattr(call, field) or None)
    assert (kept.state, kept.disconnect_cause, kept.from_) == ("disconnected", "hangup", "+19195550001")
    assert board.calls(ACCOUNT, to=call.to) == [kept]
    await board.complete_call(kept)
    with pytest.raises(Conflict, match=call.id):
        await board.redirect_call(kept, Redirect(Callback(url="http://app.test/")))
    with pytest.raises(Conflict, match=call.id):
        await board.replace_bxml(kept, b"<Response/>")
    assert board.hearing(ACCOUNT, call.id, call.id).findings[0].code == "same-call"


async def test_to_complete_a_call_that_ended_more_than_a_minute_ago_is_a_conflict(wall):
    exchange = Exchange()
    call = await exchange.dial_in(join())
    await hang_up(exchange, call)
    wall.passed = timedelta(seconds=61)
    with pytest.raises(Conflict):
        await exchange.switchboard.complete_call(exchange.switchboard.call(ACCOUNT, call.id))


async def test_an_ended_conference_is_told_of_and_has_no_members():
    exchange = Exchange()
    call = await exchange.dial_in(join("standup"))
    (live,) = exchange.switchboard.conferences(ACCOUNT)
    await hang_up(exchange, call)
    (kept,) = exchange.switchboard.conferences(ACCOUNT, name="standup")
    assert isinstance(kept, EndedConference) and kept.id == live.id and kept.members == {}
    assert kept.created_time == live.created_time and kept.completed_time == live.completed_time
    with pytest.raises(NotFound):
        exchange.switchboard.seat(ACCOUNT, kept.id, call.id)
    with pytest.raises(NotFound):
        await exchange.switchboard.complete_conference(kept)


async def test_an_ended_call_keeps_little_and_leaves_the_garbage_collector_nothing(wall):
    exchange = Exchange()

    async def pair(room):
        caller = f"sip:a-long-enough-name-{room}@127.0.0.1:40000"
        named = {"called": f"sip:room-{room}@127.0.0.1:5060", "caller": caller}
        await hang_up(exchange, *[await exchange.dial_in(join(f"room-{room}"), **named) for _ in range(2)])
        for remembered in (exchange.sip.done, exchange.media.done, exchange.courier.asked):
            remembered.clear()
        exchange.courier.told.clear()

    async def pairs(rooms):
        for room in rooms:
            await pair(room)
        wall.passed += timedelta(seconds=20)
        await pair("last")  # its end is when calls that ended a while ago are forgotten

    await pairs(range(20))
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        tracked = len(gc.get_objects())
        await pairs(range(1000, 1000 + CALLS // 2))
        circles = gc.collect()  # gives back, too, what Python keeps of freed objects for new ones
        kept = tracemalloc.get_traced_memory()[0]
        tracked = len(gc.get_objects()) - tracked
    finally:
        tracemalloc.stop()
        gc.enable()
    assert len(exchange.switchboard.calls(ACCOUNT)) > CALLS
    assert circles == 0
    assert kept / CALLS < MOST_BYTES
    assert tracked < CALLS / 20
