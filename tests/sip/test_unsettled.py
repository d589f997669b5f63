"""Calls that are never acknowledged: each source may have so many of them, and live calls do not notice."""

import itertools

import pytest

from sip.access import Access, Trunk, networks
from sip.events import CallEnded, CallFailed, IncomingCall
from sip.flow import Flow
from sip.message import Response
from sip.session import Session
from tests.support.sip_pair import SDP, SERVER, Wire, config, request_text

FLOODER, NEIGHBOUR, CARRIER = "192.0.2.1", "192.0.2.2", "198.51.100.1"
NAMES = itertools.count(1)


def guarded(**changes: int) -> Wire:
    access = Access(
        allow=["192.0.2.0/24"],
        trunks=[Trunk("carrier", "h", inbound=networks(["198.51.100.0/24"]))],
    )
    bounds = {"max_unsettled_of_source": 4, "max_unsettled_of_trunk": 8, "max_unsettled": 10, **changes}
    return Wire(config(access=access, **bounds))


class Caller:
    """Calls from one address; what it has been told of each, by status."""

    def __init__(self, wire: Wire, ip: str) -> None:
        self.wire, self.flow = wire, Flow("udp", SERVER, (ip, 5060))

    def invite(self) -> tuple[str, Response]:
        """A new call, and the first response to it."""
        name = f"u{next(NAMES)}"
        heard = self.wire.say(
            request_text("INVITE", call_id=name, branch=f"z9hG4bK{name}", body=SDP), self.flow
        )
        return name, next(m for m in heard if isinstance(m, Response) and m.call_id == name)

    def call(self, *, answer: bool = True) -> Session | None:
        """The session of a call that was let in, None for one that got 503."""
        _, response = self.invite()
        if response.status == 503:
            return None
        session = next(e for e in self.wire.events() if isinstance(e, IncomingCall)).session
        if answer:
            self.wire.endpoint.answer(session, SDP, self.wire.now)
        return session

    def calls(self, times: int, *, answer: bool = True) -> list[Session]:
        made = [self.call(answer=answer) for _ in range(times)]
        return [session for session in made if session is not None]

    def acknowledge(self, session: Session) -> None:
        assert session.dialog is not None
        ack = request_text(
            "ACK", call_id=session.call_id, branch="z9hG4bKack", to_tag=session.dialog.local.tag
        )
        self.wire.say(ack, self.flow)


@pytest.mark.parametrize("answer", [True, False], ids=["answered", "not answered yet"])
def test_a_source_has_so_many_calls_without_ack_and_no_more(answer: bool) -> None:
    wire = guarded()
    assert len(Caller(wire, FLOODER).calls(100, answer=answer)) == 4
    assert len(Caller(wire, NEIGHBOUR).calls(100, answer=answer)) == 4, "another one has his own"
    assert wire.endpoint.statistics["refused_unsettled"] == 192


def test_a_call_that_was_refused_is_refused_again_when_it_is_repeated_though_there_is_room_by_then() -> None:
    wire = guarded()
    caller = Caller(wire, FLOODER)
    let_in = caller.calls(4)
    refused = request_text("INVITE", call_id="once", branch="z9hG4bKonce", body=SDP)
    wire.say(refused, caller.flow)
    for session in let_in:
        caller.acknowledge(session)
    wire.events()
    heard = wire.say(refused, caller.flow)
    assert [message.status for message in heard if isinstance(message, Response)] == [503]
    assert not wire.events(), "nobody would acknowledge it"
    assert caller.call() is not None, "a new call is taken"
    wire.wait(33)
    wire.events()
    wire.say(refused, caller.flow)
    assert any(isinstance(event, IncomingCall) for event in wire.events())


def test_the_refusal_says_when_to_come_again_and_leaves_nothing_behind() -> None:
    wire = guarded()
    flooder = Caller(wire, FLOODER)
    flooder.calls(4)
    before = wire.endpoint.size()
    for _ in range(50):
        _, response = flooder.invite()
        assert (response.status, response.get("Retry-After")) == (503, "5")
    assert wire.endpoint.size() == before
    assert not wire.events()


def test_a_trunk_has_more_and_all_together_have_a_bound() -> None:
    wire = guarded()
    assert len(Caller(wire, CARRIER).calls(100)) == 8
    assert len(Caller(wire, FLOODER).calls(100)) == 2
    assert not Caller(wire, NEIGHBOUR).calls(1)


def test_acknowledged_calls_do_not_count() -> None:
    wire = guarded()
    caller = Caller(wire, FLOODER)
    for _ in range(50):
        session = caller.call()
        assert session is not None
        caller.acknowledge(session)
    assert len(wire.endpoint.sessions) == 50
    assert wire.endpoint.size()["unsettled"] == 0


def test_calls_that_ring_do_not_count_until_they_are_answered() -> None:
    wire = guarded()
    caller = Caller(wire, FLOODER)
    ringing = []
    for _ in range(20):
        (session,) = caller.calls(1, answer=False)
        wire.endpoint.ring(session, wire.now)
        ringing.append(session)
    for session in ringing:
        wire.endpoint.answer(session, SDP, wire.now)
    assert caller.call() is None
    for session in ringing:
        caller.acknowledge(session)
    assert caller.call() is not None


def test_the_live_call_of_the_flooder_goes_on_and_ends_as_ever() -> None:
    wire = guarded()
    caller = Caller(wire, FLOODER)
    (live,) = caller.calls(1)
    caller.acknowledge(live)
    wire.events()
    caller.calls(100)
    tag = live.dialog.local.tag if live.dialog else ""
    for method, cseq in (("UPDATE", 2), ("BYE", 3)):
        text = request_text(method, call_id=live.call_id, branch=f"z9hG4bK{method}", cseq=cseq, to_tag=tag)
        (response,) = wire.say(text, caller.flow)
        assert isinstance(response, Response) and response.status == 200
    assert [e for e in wire.events() if isinstance(e, CallEnded) and e.session is live]


def test_when_the_flood_has_timed_out_the_source_may_call_again() -> None:
    wire = guarded()
    caller = Caller(wire, FLOODER)
    flood = caller.calls(100)
    wire.wait(31)
    assert caller.call() is None
    wire.wait(2)
    ended = [event.session for event in wire.events() if isinstance(event, CallEnded)]
    assert ended == flood
    assert caller.call() is not None


@pytest.mark.parametrize("way", ["rejected", "cancelled", "hung up"])
def test_a_call_that_comes_to_nothing_gives_its_place_back(way: str) -> None:
    wire = guarded()
    caller = Caller(wire, FLOODER)
    for _ in range(20):
        name, _ = caller.invite()
        session = next(e for e in wire.events() if isinstance(e, IncomingCall)).session
        if way == "rejected":
            wire.endpoint.reject(session, 486, "", wire.now)
        elif way == "hung up":
            wire.endpoint.hang_up(session, wire.now)
        else:
            wire.say(request_text("CANCEL", call_id=name, branch=f"z9hG4bK{name}"), caller.flow)
        assert session.ended
        assert not [e for e in wire.events() if isinstance(e, CallFailed)]
    wire.wait(70)
    assert wire.endpoint.size() == dict.fromkeys(wire.endpoint.size(), 0)
