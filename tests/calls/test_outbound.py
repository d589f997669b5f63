"""Outbound calls: where they go, what their answers and failures become."""

import asyncio
from dataclasses import replace

import pytest

from calls.callbacks import Callback
from calls.errors import Conflict, Invalid, Unavailable
from calls.order import CallOrder, Redirect
from sip import events as sip_events
from sip.reason import Reason
from tests.support.exchange import ACCOUNT, APPLICATION, OFFER, Exchange, Trunk, join, settle

ORDER = CallOrder(
    application_id=APPLICATION,
    to="sip:bob@192.0.2.7:5062",
    from_="+19195550100",
    answer=Callback(url="http://app.test/answer"),
    disconnect=Callback(url="http://app.test/disconnect"),
    tag="t1",
)
PAUSE = "<Response><Pause duration='60'/></Response>"


async def dialled(exchange, **changes):
    call = await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, **changes))
    await settle()
    return call


async def answered(exchange, document=PAUSE):
    exchange.answer_with(document, "answer")
    call = await dialled(exchange)
    exchange.switchboard.on_sip(sip_events.CallAnswered(call.session, OFFER))
    await settle()
    return call


async def test_an_answered_call_asks_for_its_document_and_joins():
    exchange = Exchange()
    call = await answered(exchange, join())
    callback, event = exchange.courier.asked[0]
    assert callback.url == "http://app.test/answer"
    assert event["eventType"] == "answer" and event["direction"] == "outbound" and event["tag"] == "t1"
    assert event["to"] == "sip:bob@192.0.2.7:5062" and event["from"] == "+19195550100"
    assert "enqueuedTime" in event and "answerTime" in event
    assert call.state == "answered" and len(exchange.media.of("seat")) == 1


async def test_media_flows_from_the_answer_on():
    exchange = Exchange()
    await answered(exchange)
    assert exchange.media.of("connect")[0][1].remote == ("127.0.0.1", 40000)


async def test_a_number_goes_through_the_first_trunk_with_its_credentials():
    trunk = Trunk(name="carrier", host="192.0.2.9:5070", numbers=("+1*",), username="u", password="p")
    exchange = Exchange(trunks=[trunk])
    await dialled(exchange, to="+12025550123")
    (_, _, named) = exchange.sip.last("invite")
    assert named["to"] == "sip:+12025550123@192.0.2.9:5070"
    assert named["target"].remote == ("192.0.2.9", 5070) and named["credentials"] == ("u", "p")
    assert named["from_uri"] == "sip:+19195550100@127.0.0.1"


@pytest.mark.parametrize(
    ("ordered", "named", "called"),
    [
        ("sip:bob@192.0.2.7;transport=tcp", "sip:bob@192.0.2.7", "sip:bob@192.0.2.7;transport=tcp"),
        ("sip:bob@192.0.2.7:5062?Subject=x", "sip:bob@192.0.2.7:5062", "sip:bob@192.0.2.7:5062"),
        ("sip:bob:secret@192.0.2.7", "sip:bob@192.0.2.7", "sip:bob:secret@192.0.2.7"),
        ("SIP:bob@Example.COM", "sip:bob@example.com", "sip:bob@example.com"),
        ("sips:bob@192.0.2.7", "sip:bob@192.0.2.7", "sips:bob@192.0.2.7"),
        ("sip:+12025550123@192.0.2.7;x=y", "+12025550123", "sip:+12025550123@192.0.2.7;x=y"),
        ("sip:+1-202@192.0.2.7", "sip:+1-202@192.0.2.7", "sip:+1-202@192.0.2.7"),
    ],
)
async def test_parties_are_named_without_what_only_dialling_needs(ordered, named, called):
    exchange = Exchange()
    call = await dialled(exchange, to=ordered, from_="sip:us@192.0.2.1;x=y")
    event = call.event("answer")
    assert (event["to"], event["from"]) == (call.to, call.from_) == (named, "sip:us@192.0.2.1")
    (_, _, invite) = exchange.sip.last("invite")
    assert (invite["to"], invite["from_uri"]) == (called, "sip:us@192.0.2.1;x=y")


@pytest.mark.parametrize("to", ["+442071234567", "12025550123", "bob", "sip:", "http://x.test"])
async def test_what_no_trunk_takes_and_what_is_no_address_is_refused_by_field(to):
    exchange = Exchange(trunks=[Trunk(name="us", host="192.0.2.9", numbers=("+1*",))])
    with pytest.raises(Invalid, match="Invalid to"):
        await dialled(exchange, to=to)
    assert exchange.switchboard.live_calls == [] and exchange.media.open == set()


async def test_another_accounts_application_is_refused_as_one_that_is_not_there():
    exchange = Exchange()
    for account, application in (("another", APPLICATION), (ACCOUNT, "no-such-application")):
        with pytest.raises(Invalid, match=f"Application id {application} not found"):
            await exchange.switchboard.create_call(account, replace(ORDER, application_id=application))
        assert exchange.switchboard.calls(account) == []
    assert exchange.sip.done == [] and exchange.media.open == set()


async def test_of_two_documents_put_at_once_one_is_performed():
    exchange = Exchange()
    call = await answered(exchange, join())
    documents = [f"<Response><SpeakSentence>{said}</SpeakSentence></Response>" for said in ("one", "two")]
    await asyncio.gather(
        *(exchange.switchboard.replace_bxml(call, document.encode()) for document in documents)
    )
    await settle()
    assert [playback.samples[:3] for playback in exchange.media.playbacks if not playback.stopped] == [b"two"]
    assert len([task for task in asyncio.all_tasks() if task.get_name() == call.id]) == 1
    await exchange.finish_prompt()
    assert call.disconnect_cause == "hangup" and exchange.media.of("unseat") == [(1,)]


async def test_a_user_who_is_not_registered_is_a_rejected_call():
    exchange = Exchange(users={"alice": ""})
    await dialled(exchange, to="sip:alice@127.0.0.1")
    event = exchange.courier.event("disconnect")
    assert event["cause"] == "rejected" and event["sipResponseCode"] == 480
    assert "alice" in event["errorMessage"]


async def test_another_accounts_user_cannot_be_rung():
    exchange = Exchange(users={"alice": "other"})
    with pytest.raises(Invalid, match=r"^Invalid to: this account may not call the user alice$"):
        await dialled(exchange, to="sip:alice@127.0.0.1")


async def test_an_unknown_application_is_refused():
    with pytest.raises(Invalid, match="not found"):
        await dialled(Exchange(), application_id="nobody")


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (486, "busy"),
        (600, "busy"),
        (408, "timeout"),
        (480, "timeout"),
        (603, "rejected"),
        (404, "rejected"),
        (503, "error"),
    ],
)
async def test_each_failure_has_the_contracts_cause_and_the_sip_code(status, cause):
    exchange = Exchange()
    call = await dialled(exchange)
    exchange.switchboard.on_sip(sip_events.CallFailed(call.session, status, "No"))
    await settle()
    event = exchange.courier.event("disconnect")
    assert event["cause"] == cause and event["sipResponseCode"] == status
    assert exchange.media.open == set() and "hang_up" not in exchange.sip.verbs()


async def test_what_a_far_end_says_in_another_charset_is_told_all_the_same():
    exchange = Exchange()
    call = await dialled(exchange)
    exchange.switchboard.on_sip(sip_events.CallFailed(call.session, 499, "Occup\udce9"))
    await settle()
    told = exchange.courier.event("disconnect")["errorMessage"]
    assert told == call.error_message == "Callee answered 499 Occup\ufffd"
    call = await answered(exchange)
    reason = Reason(503, "Occup\udce9")
    exchange.switchboard.on_sip(sip_events.CallEnded(call.session, "BYE", (reason,)))
    await settle()
    assert call.error_message == "The far end ended the call: SIP 503: Occup\ufffd"


async def test_a_call_that_rings_too_long_is_cancelled_as_timeout():
    exchange = Exchange()
    call = await dialled(exchange, call_timeout=0.0)
    exchange.switchboard.on_sip(sip_events.CallRinging(call.session, 180, None))
    await call.ended.wait()
    assert exchange.sip.verbs() == ["invite", "hang_up"]
    assert exchange.courier.event("disconnect")["cause"] == "timeout"


async def test_completed_before_the_answer_is_a_cancel():
    exchange = Exchange()
    call = await dialled(exchange)
    await exchange.switchboard.complete_call(call)
    assert exchange.sip.verbs() == ["invite", "hang_up"]
    assert exchange.courier.event("disconnect")["cause"] == "cancel"


async def test_completed_is_welcome_for_a_minute_after_the_end_and_then_a_conflict():
    from datetime import timedelta

    exchange = Exchange()
    call = await answered(exchange)
    await exchange.switchboard.complete_call(call)
    await exchange.switchboard.complete_call(call)
    call.end_time -= timedelta(seconds=61)
    with pytest.raises(Conflict):
        await exchange.switchboard.complete_call(call)


async def test_an_unanswered_call_cannot_be_redirected():
    exchange = Exchange()
    call = await dialled(exchange)
    with pytest.raises(Conflict):
        await exchange.switchboard.redirect_call(call, Redirect(Callback(url="http://app.test/x")))


async def test_redirect_interrupts_and_brings_another_document():
    exchange = Exchange()
    exchange.answer_with(join(), "redirect")
    call = await answered(exchange)
    await exchange.switchboard.redirect_call(call, Redirect(Callback(url="http://app.test/x"), tag=""))
    await settle()
    assert exchange.courier.asked[-1][1]["eventType"] == "redirect"
    assert "tag" not in exchange.courier.asked[-1][1]
    assert len(exchange.media.of("seat")) == 1


async def test_a_bad_document_by_rest_changes_nothing():
    exchange = Exchange()
    call = await answered(exchange, join())
    with pytest.raises(Invalid, match="Say"):
        await exchange.switchboard.replace_bxml(call, b"<Response><Say/></Response>")
    assert call.live and exchange.media.of("unseat") == []


async def test_an_answer_whose_address_is_taken_moves_our_leg():
    exchange = Exchange()
    exchange.media.stays = False
    call = await answered(exchange)
    assert len(exchange.media.of("move")) == 1
    (_, (session, offer), _) = exchange.sip.last("reinvite")
    assert session is call.session and f"m=audio {call.leg.port}".encode() in offer
    exchange.switchboard.on_sip(sip_events.MediaAnswered(call.session, OFFER))
    assert len(exchange.media.of("update")) == 1


async def test_an_offer_that_waits_behind_the_far_ends_is_said_anew():
    """Both sides offer at once: what ours said before the answer to theirs would be an older version."""
    exchange = Exchange()
    exchange.media.stays = False
    call = await answered(exchange)
    (_, (_, first), _) = exchange.sip.last("reinvite")
    exchange.switchboard.on_sip(sip_events.MediaOffered(call.session, OFFER.replace(b"40000", b"40002")))
    (_, (_, said), _) = exchange.sip.last("accept_media")
    (_, (_, second), _) = exchange.sip.last("reinvite")
    versions = [int(sdp.split(b"o=mixminus ")[1].split()[1]) for sdp in (first, said, second)]
    assert versions == sorted(set(versions))
    exchange.switchboard.on_sip(sip_events.MediaAnswered(call.session, OFFER))
    exchange.switchboard.on_sip(sip_events.MediaOffered(call.session, OFFER))
    assert exchange.sip.verbs().count("reinvite") == 2


async def test_no_new_calls_while_stopping_and_live_ones_end():
    exchange = Exchange()
    call = await answered(exchange)
    await exchange.switchboard.stop(drain=0.0)
    assert not call.live and exchange.sip.verbs()[-2:] == ["stop_accepting", "hang_up"]
    with pytest.raises(Unavailable):
        await dialled(exchange)


async def test_a_caller_without_an_answer_is_sent_to_another_server_when_this_one_stops():
    exchange = Exchange()
    exchange.ring()
    await exchange.switchboard.stop(drain=0.0)
    assert "reject" not in exchange.sip.verbs()
    (_, (_, reason), _) = exchange.sip.last("hang_up")
    assert reason.cause == 503
    assert exchange.courier.event("disconnect")["cause"] == "hangup"


async def test_somebody_who_does_not_want_to_wait_ends_the_drain():
    exchange = Exchange()
    call = await answered(exchange)
    stopping = asyncio.create_task(exchange.switchboard.stop(drain=3600.0))
    await settle()
    assert call.live
    exchange.switchboard.hurry()
    await stopping
    assert not call.live


async def test_a_lost_media_process_ends_its_calls_with_a_reason():
    from media.client import MediaLost

    exchange = Exchange()
    call = await answered(exchange, join(conferenceEventUrl="http://app.test/c"))
    exchange.switchboard.on_media(MediaLost(legs=(call.leg.id,), reason="killed"))
    assert exchange.courier.kinds()[-3:] == ["conferenceMemberExit", "conferenceCompleted", "disconnect"]
    event = exchange.courier.event("disconnect")
    assert (event["cause"], event["errorMessage"]) == ("error", "media process lost")
    assert exchange.sip.last("hang_up")[1][1].text == "media process lost"
