"""Conferences: who is seated how, what the application is told, and how everybody is let go."""

import pytest

from calls.application import Application
from calls.callbacks import Callback
from calls.conferences import Limits
from calls.errors import Invalid, NotFound
from sip import events as sip_events
from tests.support.exchange import ACCOUNT, Exchange, join, settle
from tests.support.hand import Hand

HOUR = 3600.0
EVENTS = {"conferenceEventUrl": "http://app.test/conference"}
FAREWELL = "<SpeakSentence>Goodbye.</SpeakSentence>"


@pytest.fixture
async def hand(monkeypatch):
    return Hand(monkeypatch)


def the_conference(exchange):
    return exchange.switchboard.conferences(ACCOUNT)[-1]


async def hang_up(exchange, call):
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE"))
    await settle()


async def test_the_first_use_creates_and_tells_created_then_join():
    exchange = Exchange()
    call = await exchange.dial_in(join(tag="daily", **EVENTS))
    assert exchange.courier.kinds() == ["conferenceCreated", "conferenceMemberJoin"]
    created, joined = (event for _, event in exchange.courier.told)
    assert len(created["conferenceId"]) == 50 and created["name"] == "room" and created["tag"] == "daily"
    assert joined["callId"] == call.id and joined["from"] == "+19195550001"
    assert "accountId" not in joined and "callUrl" not in joined


async def test_later_joiners_event_url_and_tag_are_ignored():
    exchange = Exchange()
    await exchange.dial_in(join(tag="daily", **EVENTS))
    await exchange.dial_in(join(tag="other", conferenceEventUrl="http://elsewhere.test/"))
    callback, event = exchange.courier.told[-1]
    assert callback.url == EVENTS["conferenceEventUrl"] and event["tag"] == "daily"
    assert len(exchange.switchboard.conferences(ACCOUNT)) == 1


async def test_without_an_event_url_nothing_is_told():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    await hang_up(exchange, call)
    assert exchange.courier.kinds() == ["disconnect"]


async def test_the_last_to_leave_ends_it_and_the_name_makes_another():
    exchange = Exchange()
    call = await exchange.dial_in(join(**EVENTS))
    first = the_conference(exchange)
    await hang_up(exchange, call)
    assert exchange.courier.kinds()[2:] == ["conferenceMemberExit", "conferenceCompleted", "disconnect"]
    assert first.completed_time is not None and first.members == {}
    await exchange.dial_in(join(**EVENTS))
    assert the_conference(exchange).id != first.id


async def test_completed_by_rest_lets_every_call_go_on_with_its_document():
    exchange = Exchange()
    calls = [await exchange.dial_in(join(after=FAREWELL, **EVENTS)) for _ in range(2)]
    await exchange.switchboard.complete_conference(the_conference(exchange))
    await settle()
    assert len(exchange.media.of("end_room")) == 1 and exchange.media.of("unseat") == []
    assert exchange.courier.kinds()[3:] == [
        "conferenceMemberExit",
        "conferenceMemberExit",
        "conferenceCompleted",
    ]
    assert [playback.samples[:8] for playback in exchange.media.playbacks] == [b"Goodbye."] * 2
    for playback in exchange.media.playbacks:
        playback.done.set_result(None)
    await settle()
    assert [call.disconnect_cause for call in calls] == ["hangup", "hangup"]


async def test_orders_to_an_ended_conference_are_not_found():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    conference = the_conference(exchange)
    await hang_up(exchange, call)
    with pytest.raises(NotFound):
        await exchange.switchboard.complete_conference(conference)
    with pytest.raises(NotFound):
        await exchange.switchboard.update_member(conference, call.id, mute=True)


async def test_flags_of_a_joiner_are_in_his_seat():
    exchange = Exchange()
    await exchange.dial_in(join(mute="true", hold="true"))
    ((_leg, _room, mute, hold, coaches, coached_by),) = exchange.media.of("seat")
    assert mute and hold and coaches is None and coached_by == []


async def test_a_coach_is_seated_with_those_who_are_there_and_joiners_with_their_coaches():
    exchange = Exchange()
    agent = await exchange.dial_in(join())
    listed = f"{agent.id}, c-not-here-yet"
    await exchange.dial_in(join(callIdsToCoach=listed))
    seats = exchange.media.of("seat")
    assert seats[1][4] == [agent.leg.id]
    await exchange.dial_in(join())
    assert exchange.media.of("seat")[2][4:] == (None, [])


async def test_a_coached_call_that_joins_later_brings_its_coach_in_the_seat():
    exchange = Exchange()
    exchange.answer_with("<Response><Pause duration='60'/></Response>")
    agent = await exchange.dial_in("<Response><Pause duration='60'/></Response>")
    coach = await exchange.dial_in(join(callIdsToCoach=agent.id))
    assert exchange.media.of("seat")[0][4] == []
    await exchange.switchboard.replace_bxml(agent, join().encode())
    await settle()
    assert exchange.media.of("seat")[1][4:] == (None, [coach.leg.id])


async def test_a_coach_who_lists_himself_coaches_nobody():
    exchange = Exchange()
    call = await exchange.dial_in(join())
    await exchange.switchboard.update_member(the_conference(exchange), call.id, coaches=[call.id])
    assert exchange.media.of("coach") == [(call.leg.id, [])]
    assert the_conference(exchange).members[call.id].coaches == (call.id,)


async def test_a_second_coach_by_document_ends_that_call_and_never_sits():
    exchange = Exchange()
    await exchange.dial_in(join(callIdsToCoach="c-1"))
    second = await exchange.dial_in(join(callIdsToCoach="c-2"))
    assert second.disconnect_cause == "application-error" and "coach" in second.error_message
    assert len(exchange.media.of("seat")) == 1


async def test_a_second_coach_by_rest_is_refused_and_nothing_changes():
    exchange = Exchange()
    await exchange.dial_in(join(callIdsToCoach="c-1"))
    other = await exchange.dial_in(join())
    conference = the_conference(exchange)
    with pytest.raises(Invalid, match="coach"):
        await exchange.switchboard.update_member(conference, other.id, mute=True, coaches=["c-1"])
    assert conference.members[other.id].mute is False
    assert exchange.media.of("flags") == [] and exchange.media.of("coach") == []


async def test_a_second_coach_is_welcome_where_the_setting_says_so():
    exchange = Exchange(limits=Limits(coaches=0))
    await exchange.dial_in(join(callIdsToCoach="c-1"))
    second = await exchange.dial_in(join(callIdsToCoach="c-2"))
    assert second.live and len(exchange.media.of("seat")) == 2


async def test_the_coachs_place_is_free_when_he_leaves():
    exchange = Exchange()
    await exchange.dial_in(join())
    coach = await exchange.dial_in(join(callIdsToCoach="c-1"))
    await hang_up(exchange, coach)
    assert (await exchange.dial_in(join(callIdsToCoach="c-2"))).live


async def test_omitted_fields_stay_and_an_empty_list_ends_coaching():
    exchange = Exchange()
    call = await exchange.dial_in(join(mute="true", callIdsToCoach="c-1"))
    conference = the_conference(exchange)
    await exchange.switchboard.update_member(conference, call.id, hold=True)
    member = conference.members[call.id]
    assert (member.mute, member.hold, member.coaches) == (True, True, ("c-1",))
    assert exchange.media.of("flags") == [(call.leg.id, True, True)]
    await exchange.switchboard.update_member(conference, call.id, coaches=[])
    assert member.coaches == () and exchange.media.of("coach") == [(call.leg.id, None)]


async def test_a_full_conference_names_its_limit():
    exchange = Exchange(limits=Limits(members=1))
    await exchange.dial_in(join())
    second = await exchange.dial_in(join())
    assert second.disconnect_cause == "application-error" and "1 members" in second.error_message


async def test_names_are_the_accounts_own_and_case_counts():
    exchange = Exchange(
        applications=[
            Application(id=user, account=account, numbers=(user,), initiated=Callback(url="http://app.test/"))
            for user, account in (("ours", ACCOUNT), ("theirs", "another"))
        ]
    )
    for user, name in (("ours", "Room"), ("ours", "room"), ("theirs", "room"), ("ours", "room")):
        await exchange.dial_in(join(name), called=f"sip:{user}@127.0.0.1")
    assert [len(c.members) for c in exchange.switchboard.conferences(ACCOUNT)] == [1, 2]
    assert [len(c.members) for c in exchange.switchboard.conferences("another")] == [1]
    rooms = [room for _, room, *_ in exchange.media.of("seat")]
    assert rooms[1] == rooms[3] and len(set(rooms)) == 3


async def test_at_its_greatest_age_it_ends_as_if_completed(hand):
    exchange = Exchange(limits=Limits(hours=2))
    calls = [await exchange.dial_in(join(after=FAREWELL, **EVENTS)) for _ in range(2)]
    await hand.on(2 * HOUR - 60)
    assert the_conference(exchange).completed_time is None
    await hand.on(60)
    assert the_conference(exchange).completed_time is not None and len(exchange.media.of("end_room")) == 1
    assert exchange.courier.kinds()[3:] == [
        "conferenceMemberExit",
        "conferenceMemberExit",
        "conferenceCompleted",
    ]
    assert [playback.samples[:8] for playback in exchange.media.playbacks] == [b"Goodbye."] * 2
    assert all(call.live for call in calls)


@pytest.mark.parametrize("by", ["the last to leave", "rest"])
async def test_one_that_ended_early_does_not_end_its_successor_of_the_same_name(hand, by):
    exchange = Exchange(limits=Limits(hours=2))
    call = await exchange.dial_in(join(**EVENTS))
    await hand.on(HOUR)
    if by == "rest":
        await exchange.switchboard.complete_conference(the_conference(exchange))
    else:
        await hang_up(exchange, call)
    await exchange.dial_in(join(**EVENTS))
    ended = len(exchange.media.of("end_room"))
    await hand.on(2 * HOUR - 60)
    await exchange.dial_in(join())
    assert len(the_conference(exchange).members) == 2 and len(exchange.media.of("end_room")) == ended
    assert exchange.courier.kinds().count("conferenceCompleted") == 1
    await hand.on(60)
    assert exchange.courier.kinds().count("conferenceCompleted") == 2


async def test_a_redirected_member_leaves_and_the_others_stay():
    exchange = Exchange()
    first = await exchange.dial_in(join(after=FAREWELL, **EVENTS))
    await exchange.dial_in(join(**EVENTS))
    await exchange.switchboard.replace_bxml(first, b"<Response><Pause duration='60'/></Response>")
    await settle()
    assert exchange.courier.kinds()[-1] == "conferenceMemberExit"
    assert len(the_conference(exchange).members) == 1
    assert exchange.media.playbacks == [], "the rest of the old document never runs"


async def test_conference_redirect_is_asked_even_without_an_event_url():
    from calls.order import Redirect

    exchange = Exchange()
    await exchange.dial_in(join())
    order = Redirect(Callback(url="http://app.test/redirect"))
    await exchange.switchboard.redirect_conference(the_conference(exchange), order)
    callback, event = exchange.courier.told[-1]
    assert callback.url == "http://app.test/redirect" and event["eventType"] == "conferenceRedirect"
