"""Those who watch conferences: what they are told, when, and what becomes of those who do not listen."""

import asyncio

import pytest

from calls import gallery as module
from calls.errors import LimitReached
from calls.gallery import LOOK, MOST_STREAMS, MOST_WAITING, Gallery
from media.client import Voice
from sip import events as sip_events
from tests.support.eventually import eventually
from tests.support.exchange import ACCOUNT, Exchange, join, settle
from tests.support.fake_switchboard import FakeSwitchboard


class Audience:
    """A conference of two calls, a gallery over it, and what is heard of the legs."""

    def __init__(self):
        self.board = FakeSwitchboard()
        self.gallery = Gallery(self.board)
        self.conference = self.board.add_conference()
        self.members = [self.conference.join(self.board.add_call()) for _ in range(2)]

    def hear(self, member, level, *, talking):
        self.board.heard[self.members[member].leg.id] = Voice(talking, level)


async def news(spectator):
    """What waits for him."""
    found = []
    while (one := await spectator.next(0.001)) is not None:
        found.append(one)
    return found


def kinds(found):
    return [one["eventType"] for one in found]


async def test_the_first_news_is_the_state_of_things():
    audience = Audience()
    audience.members[1].mute = True
    audience.hear(0, -23.5, talking=False)
    (state,) = await news(audience.gallery.watch(audience.conference))
    assert state["eventType"] == "state" and state["name"] == "standup"
    assert state["conferenceId"] == audience.conference.id
    first, second = state["members"]
    assert first["level"] == -23.5 and not first["mute"]
    assert second == {
        "callId": audience.members[1].call_id,
        "mute": True,
        "hold": False,
        "callIdsToCoach": [],
        "level": None,
    }


async def test_talking_and_silent_are_told_once_each_and_of_the_right_member():
    audience = Audience()
    spectator = audience.gallery.watch(audience.conference)
    await news(spectator)
    for beat, talking in enumerate([False, True, True, True, False, False]):
        audience.hear(1, -20, talking=talking)
        audience.gallery.look(beat * 0.1)
    told = [one for one in await news(spectator) if one["eventType"] != "level"]
    assert kinds(told) == ["talking", "silent"]
    assert {one["callId"] for one in told} == {audience.members[1].call_id}


async def test_levels_are_told_once_a_second_and_of_the_silent_only_when_they_change():
    audience = Audience()
    spectator = audience.gallery.watch(audience.conference)
    await news(spectator)
    audience.hear(0, -20, talking=True)
    audience.hear(1, -70, talking=False)
    for beat in range(50):
        audience.gallery.look(beat * 0.1)
    levels = [one for one in await news(spectator) if one["eventType"] == "level"]
    assert [one["level"] for one in levels if one["callId"] == audience.members[0].call_id] == [-20] * 5
    assert [one["level"] for one in levels if one["callId"] == audience.members[1].call_id] == [-70]


async def test_the_level_of_who_begins_is_not_that_of_the_silence_before():
    audience = Audience()
    spectator = audience.gallery.watch(audience.conference)
    await news(spectator)
    audience.hear(0, -96, talking=True)  # who talks is known at once, how loud a fifth of a second later
    audience.gallery.look(0.0)
    audience.gallery.look(0.1)
    audience.hear(0, -20, talking=True)
    audience.gallery.look(0.2)
    assert [one.get("level") for one in await news(spectator)] == [None, -20]


async def test_who_does_not_listen_misses_the_oldest_and_is_told_how_much():
    audience = Audience()
    slow, quick = (audience.gallery.watch(audience.conference) for _ in range(2))
    await news(quick)
    for number in range(1000):
        audience.gallery.tell(audience.conference, "mute", audience.members[0], mute=number)
        if number % 100 == 0:
            assert quick.missed == 0
            await news(quick)
    found = await news(slow)
    assert kinds(found)[0] == "missed" and found[0]["count"] == 1001 - MOST_WAITING
    assert [one["mute"] for one in found[1:]] == list(range(1000 - MOST_WAITING, 1000))
    assert audience.gallery.missed == 1001 - MOST_WAITING


async def test_the_end_is_the_last_news_and_nobody_watches_any_more():
    audience = Audience()
    spectator = audience.gallery.watch(audience.conference)
    audience.gallery.tell(audience.conference, "end")
    audience.gallery.tell(audience.conference, "mute", audience.members[0], mute=True)
    assert kinds(await news(spectator)) == ["state", "end"]
    assert len(audience.gallery) == 0
    spectator.leave()


async def test_an_account_has_so_many_streams_and_leaves_others_theirs():
    audience = Audience()
    streams = [audience.gallery.watch(audience.conference) for _ in range(MOST_STREAMS)]
    with pytest.raises(LimitReached):
        audience.gallery.watch(audience.conference)
    audience.gallery.watch(audience.board.add_conference(account="1111111")).leave()
    streams[0].leave()
    audience.gallery.watch(audience.conference)


async def test_nobody_is_listened_to_while_nobody_watches(monkeypatch):
    monkeypatch.setattr(module, "LOOK", LOOK / 20)
    audience = Audience()
    looks = []
    monkeypatch.setattr(audience.gallery, "look", looks.append)
    spectator = audience.gallery.watch(audience.conference)
    await eventually(lambda: looks)
    spectator.leave()
    assert len(audience.gallery) == 0
    await asyncio.sleep(LOOK / 20)  # one look may be under way
    before = len(looks)
    await asyncio.sleep(LOOK / 4)
    assert len(looks) == before


async def test_the_story_of_a_conference_is_told_in_order():
    exchange = Exchange()
    host = await exchange.dial_in(join())
    board = exchange.switchboard
    conference = board.conferences(ACCOUNT)[-1]
    spectator = board.gallery.watch(conference)
    guest = await exchange.dial_in(join())
    await board.update_member(conference, guest.id, mute=True, hold=True)
    await board.update_member(conference, guest.id, mute=True, hold=False, coaches=[host.id])
    board.on_sip(sip_events.CallEnded(guest.session, "BYE"))
    await settle()
    await board.complete_conference(conference)
    found = await news(spectator)
    wanted = ["state", "join", "mute", "hold", "hold", "coach", "leave", "leave", "end"]
    assert kinds(found) == wanted
    assert found[1]["callId"] == guest.id and found[1]["mute"] is False and found[1]["callIdsToCoach"] == []
    assert [found[3]["hold"], found[4]["hold"]] == [True, False]
    assert found[5]["callIdsToCoach"] == [host.id]
    assert [one["callId"] for one in found[6:8]] == [guest.id, host.id]
