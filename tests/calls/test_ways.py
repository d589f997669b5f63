"""A callee with several phones: all ring, the first answer wins, and what becomes of the others."""

import asyncio
from dataclasses import replace

import pytest

from calls.dialling import Failure
from calls.routing import User
from calls.terms import TermsPolicy
from sip import events as sip_events
from sip.access import Trunk
from sip.flow import Flow
from sip.registrar import Contact
from sip.registration import believed
from sip.uri import Uri
from tests.calls.test_outbound import ORDER, PAUSE
from tests.support.eventually import eventually
from tests.support.exchange import ACCOUNT, OFFER, Exchange, settle

LOCAL = ("127.0.0.1", 5060)


def registered(exchange, *phones, user="alice"):
    """Each phone registers from its own address, which is its Contact too."""
    for number, port in enumerate(phones):
        exchange.registrar.register(
            user,
            [Contact(f"sip:{user}@192.0.2.5:{port}")],
            call_id=f"register-{number}",
            cseq=1,
            source=Flow("udp", LOCAL, ("192.0.2.5", port)),
            now=asyncio.get_running_loop().time(),
        )


async def ringing(*ports, terms=None, alice=""):
    """An exchange where alice's phones ring; their sessions, in the order of `ports`."""
    exchange = Exchange(users={"alice": alice}, terms=terms)
    registered(exchange, *reversed(ports))  # the newest is asked first
    exchange.answer_with(PAUSE, "answer")
    call = await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="sip:alice@127.0.0.1"))
    await settle()
    sessions = [arguments[0] for verb, arguments, _ in exchange.sip.done if verb == "invite"]
    return exchange, call, sessions


def cancelled(exchange):
    return [arguments[0] for verb, arguments, _ in exchange.sip.done if verb == "hang_up"]


async def tell(exchange, event):
    exchange.switchboard.on_sip(event)
    await settle()


async def refuses(exchange, session, status):
    await tell(exchange, sip_events.CallFailed(session, status, "Refused"))


async def test_all_phones_of_a_user_ring_at_once_each_with_a_leg_of_its_own():
    exchange, _, sessions = await ringing(6001, 6002, 6003)
    assert [s.request_uri.port for s in sessions] == [6001, 6002, 6003]
    assert len(exchange.media.open) == 3


async def test_the_first_answer_wins_and_the_others_stop_ringing():
    exchange, call, (first, second, third) = await ringing(6001, 6002, 6003)
    await tell(exchange, sip_events.CallRinging(first, 180, None))
    await tell(exchange, sip_events.CallAnswered(second, OFFER))
    assert call.state == "answered" and call.session is second
    assert cancelled(exchange) == [first, third]
    assert exchange.media.open == {call.leg.id} and len(exchange.media.of("connect")) == 1
    for session in (first, third):
        await refuses(exchange, session, 487)
    assert call.live and exchange.courier.kinds() == []
    await tell(exchange, sip_events.CallEnded(second, "BYE"))
    assert not call.live and exchange.switchboard.register.sessions == {} and exchange.media.open == set()


async def test_one_refusal_leaves_the_others_ringing_and_the_last_one_ends_the_call():
    exchange, call, (first, second) = await ringing(6001, 6002)
    await refuses(exchange, first, 486)
    assert call.live and call.session is second and len(exchange.media.open) == 1
    await refuses(exchange, second, 480)
    assert call.disconnect_cause == "busy" and call.sip_response_code == 486
    assert exchange.switchboard.register.sessions == {} and exchange.media.open == set()


@pytest.mark.parametrize(("status", "cause"), [(600, "busy"), (603, "rejected")])
async def test_who_declines_at_one_phone_declines_at_all(status, cause):
    exchange, call, (first, second) = await ringing(6001, 6002)
    await refuses(exchange, first, status)
    assert call.disconnect_cause == cause and call.sip_response_code == status
    assert cancelled(exchange) == [second] and exchange.media.open == set()


async def test_whoever_gives_up_stops_all_phones():
    exchange, call, sessions = await ringing(6001, 6002)
    await exchange.switchboard.complete_call(call)
    assert sorted(s.id for s in cancelled(exchange)) == [s.id for s in sessions]
    assert exchange.media.open == set() and exchange.switchboard.register.sessions == {}


@pytest.mark.parametrize(
    ("statuses", "winner"),
    [((408, 486), 486), ((480, 404), 404), ((486, 404), 486), ((486, 603), 603), ((408, 480), 408)],
)
def test_the_failure_that_says_most_is_told(statuses, winner):
    failures = [Failure("", None, status) for status in statuses]
    assert max(failures, key=lambda failure: failure.weight).status == winner


# Addresses that demand TLS


async def invited(exchange, to):
    exchange.answer_with(PAUSE, "answer")
    call = await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to=to))
    await settle()
    return call, [
        (named["to"], named["target"].transport) for verb, _, named in exchange.sip.done if verb == "invite"
    ]


async def test_a_sips_address_is_called_by_tls():
    _, invites = await invited(Exchange(), "sips:bob@192.0.2.5")
    assert invites == [("sips:bob@192.0.2.5", "tls")]


async def test_of_a_users_phones_a_sips_address_rings_those_that_are_reached_by_tls():
    exchange = Exchange(users={"alice": ""})
    registered(exchange, 6001)
    call, invites = await invited(exchange, "sips:alice@127.0.0.1")
    assert invites == [] and call.disconnect_cause == "rejected" and "not over TLS" in call.error_message
    secured = Flow("tls", LOCAL, ("192.0.2.5", 6002), 3)
    contact, now = Contact("sip:alice@192.0.2.5:6002;transport=tls"), asyncio.get_running_loop().time()
    exchange.registrar.register("alice", [contact], call_id="tls", cseq=1, source=secured, now=now)
    _, invites = await invited(exchange, "sips:alice@127.0.0.1")
    assert invites == [("sip:alice@192.0.2.5:6002;transport=tls", "tls")]


# Trunks


FIRST = Trunk("first", "192.0.2.9", username="u", password="p", strip="+", prefix="00")
SECOND = Trunk("second", "192.0.2.10:5070", numbers=("+1*",))


async def numbered(*trunks, to="+12025550123"):
    exchange = Exchange(trunks=trunks)
    exchange.answer_with(PAUSE, "answer")
    call = await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to=to))
    await settle()
    return exchange, call


def profiles(exchange):
    """Of each offer, in order: its profile, and whether it has keys."""
    offers = [named["sdp"] for verb, _, named in exchange.sip.done if verb == "invite"]
    return [(sdp.split(b"m=audio ")[1].split()[1].decode(), b"a=crypto" in sdp) for sdp in offers]


async def test_a_phone_that_refuses_an_open_offer_is_asked_once_more_and_with_srtp_alone():
    terms = TermsPolicy(srtp="optional", keys_in_clear=True)
    exchange, call, sessions = await ringing(5070, 5071, terms=terms)
    await refuses(exchange, sessions[0], 488)
    assert profiles(exchange) == [("RTP/AVP", True), ("RTP/AVP", True), ("RTP/SAVP", True)]
    assert call.live and len(exchange.media.open) == 2
    again = [arguments[0] for verb, arguments, _ in exchange.sip.done if verb == "invite"][2]
    await refuses(exchange, again, 488)
    assert len(profiles(exchange)) == 3 and call.live
    await refuses(exchange, sessions[1], 486)
    assert not call.live and call.disconnect_cause == "busy" and not exchange.media.open


@pytest.mark.parametrize("terms", [TermsPolicy(), TermsPolicy(srtp="optional")])
async def test_a_phone_that_refuses_an_offer_without_keys_is_not_asked_again(terms):
    exchange, call, sessions = await ringing(5070, terms=terms)
    await refuses(exchange, sessions[0], 488)
    assert not call.live and profiles(exchange) == [("RTP/AVP", False)]


@pytest.mark.parametrize(
    ("wanted", "all_others", "profile"),
    [
        ("required", "off", ("RTP/SAVP", True)),
        ("optional", "off", ("RTP/AVP", True)),
        ("off", "required", ("RTP/AVP", False)),
        ("", "required", ("RTP/SAVP", True)),
    ],
)
async def test_what_a_user_wants_of_srtp_counts_before_what_holds_for_all(wanted, all_others, profile):
    terms = TermsPolicy(srtp=all_others, keys_in_clear=True)
    exchange, _, _ = await ringing(5070, terms=terms, alice=User(srtp=wanted))
    assert profiles(exchange) == [profile]


@pytest.mark.parametrize(("proved", "port"), [("alice", 6999), (None, 5070)])
async def test_a_user_who_calls_is_known_by_his_digest_or_by_where_he_registered_from(proved, port):
    exchange = Exchange(users={"alice": User(srtp="required"), "bob": ""}, terms=TermsPolicy(srtp="off"))
    registered(exchange, 5070)
    registered(exchange, 5071, user="bob")
    for user, source, refused in [(proved, port, True), ("bob", port, False), (None, 5071, False)]:
        session = exchange.session()
        session.flow = Flow("udp", LOCAL, ("192.0.2.5", source))
        exchange.switchboard.on_sip(sip_events.IncomingCall(session, None, user, OFFER))
        rejected = [arguments for verb, arguments, _ in exchange.sip.done if verb == "reject"]
        assert any(each[:2] == (session, 488) for each in rejected) == refused, (user, source)


def dialled(exchange):
    return [named["to"] for verb, _, named in exchange.sip.done if verb == "invite"]


async def test_the_next_trunk_is_tried_after_a_503_with_its_own_number_and_credentials():
    exchange, call = await numbered(FIRST, SECOND)
    await refuses(exchange, call.session, 503)
    assert dialled(exchange) == ["sip:0012025550123@192.0.2.9", "sip:+12025550123@192.0.2.10:5070"]
    assert call.live and exchange.trunks["first"].calls == 0 and exchange.trunks["second"].calls == 1
    await tell(exchange, sip_events.CallAnswered(call.session, OFFER))
    assert call.state == "answered"
    await tell(exchange, sip_events.CallEnded(call.session, "BYE"))
    assert exchange.trunks["second"].calls == 0 and exchange.media.open == set()


@pytest.mark.parametrize("status", [486, 404, 480, 603])
async def test_what_the_callee_says_is_final_on_every_trunk(status):
    exchange, call = await numbered(FIRST, SECOND)
    await refuses(exchange, call.session, status)
    assert not call.live and len(dialled(exchange)) == 1


async def test_a_trunk_that_fails_after_ringing_is_not_gone_around():
    exchange, call = await numbered(FIRST, SECOND)
    await tell(exchange, sip_events.CallRinging(call.session, 180, None))
    await refuses(exchange, call.session, 503)
    assert not call.live and call.disconnect_cause == "error" and len(dialled(exchange)) == 1


async def test_a_trunk_from_which_nothing_comes_is_given_up_for_the_next(monkeypatch):
    monkeypatch.setattr("calls.dialling._SECONDS_TO_ANYTHING", 0.0)
    exchange, call = await numbered(FIRST, SECOND)
    for _ in range(3):
        await settle()
    assert len(dialled(exchange)) == 2 and len(cancelled(exchange)) == 1 and len(exchange.media.open) == 1
    assert exchange.trunks["first"].calls == 0
    await refuses(exchange, call.session, 503)
    assert call.sip_response_code == 503
    monkeypatch.undo()
    await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="+12025550124"))
    await settle()
    assert dialled(exchange)[2:] == ["sip:+12025550124@192.0.2.10:5070"], "nobody waits there again so soon"


async def test_where_nobody_listens_the_next_trunk_is_tried_at_once():
    exchange, call = await numbered(FIRST, SECOND)
    await tell(exchange, sip_events.CallUnreachable(call.session))
    assert len(dialled(exchange)) == 2 and len(cancelled(exchange)) == 1
    await tell(exchange, sip_events.CallUnreachable(call.session))
    assert call.live, "there is no other way left"
    dialling = exchange.switchboard.outbound.dialling(call)
    dialling._give_up_in(0.0)
    await eventually(lambda: not call.live)
    assert (call.disconnect_cause, call.error_message) == (
        "timeout",
        "No answer: nothing listens at 192.0.2.10:5070",
    )
    await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="+12025550124"))
    await settle()
    assert dialled(exchange)[2:] == ["sip:0012025550124@192.0.2.9"], "to ask again costs nothing"


async def test_a_trunk_that_says_for_how_long_it_cannot_serve_is_left_alone_for_so_long():
    exchange, call = await numbered(FIRST, SECOND)
    began = asyncio.get_running_loop().time()
    await tell(exchange, sip_events.CallFailed(call.session, 503, "Overload", rests=90))
    until = exchange.trunks["first"].rests_until
    assert len(dialled(exchange)) == 2 and began <= until - 90 <= asyncio.get_running_loop().time()


async def test_a_call_that_waits_for_its_turn_on_the_next_trunk_is_not_given_up_meanwhile(monkeypatch):
    monkeypatch.setattr("calls.dialling._SECONDS_TO_ANYTHING", 0.05)
    monkeypatch.setattr("calls.dialling._SECONDS_TO_RINGING", 60.0)
    exchange, call = await numbered(FIRST, replace(SECOND, calls_per_second=4))
    exchange.trunks.take_turn("second", asyncio.get_running_loop().time())
    await refuses(exchange, call.session, 503)
    await eventually(lambda: len(dialled(exchange)) == 2 or not call.live)
    assert call.live and exchange.trunks["second"].calls == 1


async def test_a_connection_that_fails_is_no_answer_of_the_callee():
    exchange, call = await numbered(FIRST)
    await tell(exchange, sip_events.CallFailed(call.session, 503, "Transport failed", ours=True))
    assert call.disconnect_cause == "error"
    assert call.error_message == "192.0.2.9 cannot be reached: no connection"


async def test_what_the_last_trunk_says_of_the_callee_counts_more_than_that_the_first_could_not_serve():
    exchange, call = await numbered(FIRST, SECOND)
    await refuses(exchange, call.session, 503)
    await refuses(exchange, call.session, 404)
    assert (call.disconnect_cause, call.sip_response_code) == ("rejected", 404)


async def test_a_trunk_that_is_down_is_asked_last():
    exchange = Exchange(trunks=[FIRST, SECOND])
    exchange.trunks["first"].failures = 3
    await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="+12025550123"))
    await settle()
    assert dialled(exchange) == ["sip:+12025550123@192.0.2.10:5070"]
    call = exchange.switchboard.live_calls[0]
    await refuses(exchange, call.session, 503)
    assert dialled(exchange)[1:] == ["sip:0012025550123@192.0.2.9"]


async def test_a_full_trunk_is_passed_over_and_when_all_are_full_the_call_is_rejected():
    exchange, first = await numbered(replace(FIRST, max_calls=1), replace(SECOND, max_calls=1))
    for _ in range(2):
        await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="+12025550124"))
        await settle()
    assert dialled(exchange) == ["sip:0012025550123@192.0.2.9", "sip:+12025550124@192.0.2.10:5070"]
    event = exchange.courier.event("disconnect")
    assert event["cause"] == "rejected" and "full" in event["errorMessage"]
    await exchange.switchboard.complete_call(first)
    await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="+12025550125"))
    await settle()
    assert dialled(exchange)[-1] == "sip:0012025550125@192.0.2.9"


async def test_a_trunk_takes_so_many_calls_a_second_then_the_next_and_then_they_wait():
    exchange = Exchange(trunks=[replace(FIRST, calls_per_second=10), replace(SECOND, calls_per_second=20)])
    exchange.answer_with(PAUSE, "answer")
    began = asyncio.get_running_loop().time()
    calls = [
        await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to=f"+1202555012{number}"))
        for number in range(4)
    ]
    await settle()
    assert dialled(exchange) == ["sip:0012025550120@192.0.2.9", "sip:+12025550121@192.0.2.10:5070"]
    assert calls[2].state == "queued"
    await exchange.switchboard.complete_call(calls[3])
    await eventually(lambda: len(dialled(exchange)) == 3)
    assert dialled(exchange)[2] == "sip:+12025550122@192.0.2.10:5070"
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert exchange.trunks["first"].calls == 1 and exchange.trunks["second"].calls == 2


async def test_a_trunks_numbers_are_read_as_it_writes_them():
    exchange = Exchange(trunks=[replace(FIRST, inbound_strip="00", inbound_prefix="+")])
    call = await exchange.dial_in(
        PAUSE, called="sip:0012025550123@127.0.0.1", caller="sip:00442071838750@192.0.2.9", trunk="first"
    )
    assert (call.to, call.from_) == ("+12025550123", "+442071838750")
    diverted = (("Diversion", "<sip:0012025550199@192.0.2.9>;reason=no-answer"),)
    await exchange.dial_in(PAUSE, caller="sip:00442071838750@192.0.2.9", trunk="first", headers=diverted)
    assert exchange.courier.asked[-1][1]["diversion"]["origTo"] == "+12025550199"


async def test_more_calls_than_a_trunk_may_send_in_a_second_are_told_when_to_come_again():
    exchange = Exchange(trunks=[replace(FIRST, inbound_calls_per_second=2)])
    exchange.answer_with(PAUSE)
    sessions = [exchange.session() for _ in range(3)]
    for session in sessions:
        await tell(exchange, sip_events.IncomingCall(session, "first", None, OFFER))
    (_, (refused, status, _, headers), _) = exchange.sip.last("reject")
    assert refused is sessions[2] and (status, headers) == (503, (("Retry-After", "1"),))
    assert exchange.trunks["first"].calls == 2 and len(exchange.media.open) == 2


async def test_a_calling_number_is_written_as_the_trunk_wants_it():
    exchange, _ = await numbered(replace(FIRST, caller_strip="+", caller_prefix="00"))
    assert exchange.sip.last("invite")[2]["from_uri"] == f"sip:00{ORDER.from_[1:]}@127.0.0.1"


async def test_calls_that_come_in_by_a_trunk_count_and_too_many_are_refused():
    exchange = Exchange(trunks=[replace(FIRST, max_calls=1)])
    exchange.answer_with(PAUSE)
    sessions = [exchange.session() for _ in range(2)]
    for session in sessions:
        await tell(exchange, sip_events.IncomingCall(session, "first", None, OFFER))
    (_, (refused, status, _, headers), _) = exchange.sip.last("reject")
    assert refused is sessions[1] and (status, headers) == (503, ())
    await tell(exchange, sip_events.CallEnded(sessions[0], "BYE"))
    assert exchange.trunks["first"].calls == 0


UDP = Flow("udp", LOCAL, ("203.0.113.9", 61000))
TCP = Flow("tcp", LOCAL, ("203.0.113.9", 61000), 7)


@pytest.mark.parametrize(
    ("contact", "flow", "counts"),
    [
        ("sip:a@203.0.113.9:5062", UDP, True),
        ("sip:a@203.0.113.9", UDP, True),
        ("sip:a@192.168.1.7:5060", UDP, False),
        ("sip:a@100.64.3.2:5060", UDP, False),
        ("sip:a@[fd00::7]:5060", UDP, False),
        ("sip:a@8.8.8.8:5060", UDP, True),
        ("sip:a@phone.local", UDP, False),
        ("sip:a@abc.invalid;transport=ws", UDP, False),
        ("sip:a@203.0.113.9:5062;transport=tls", UDP, False),
        ("sip:a@203.0.113.9:5062;transport=tcp", TCP, False),
    ],
)
def test_which_contacts_are_believed(contact, flow, counts):
    assert believed(Uri.parse(contact), flow) is counts


@pytest.mark.parametrize("meanwhile", ["completed", "trunk taken away"])
async def test_a_call_that_ends_while_its_trunk_is_looked_up_holds_no_place_on_it(meanwhile):
    trunk = Trunk(name="carrier", host="sip.carrier.test", max_calls=1)
    exchange = Exchange(trunks=[trunk])
    found = asyncio.Event()

    async def reach(target, transport):
        await found.wait()
        return Flow("udp", LOCAL, ("192.0.2.9", 5060))

    exchange.sip.reach = reach
    call = await exchange.switchboard.create_call(ACCOUNT, replace(ORDER, to="+19195550188"))
    await settle()
    if meanwhile == "completed":
        await exchange.switchboard.complete_call(call)
    else:
        exchange.trunks.adopt([])
    found.set()
    await settle()
    assert not call.live and exchange.sip.verbs() == [] and exchange.switchboard.live_calls == []
    if meanwhile == "completed":
        assert exchange.trunks["carrier"].calls == 0
