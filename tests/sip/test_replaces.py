"""INVITEs that take the place of a call: what they must know, and who comes too late."""

import pytest

from sip.access import Access
from sip.events import CallFailed, IncomingCall
from sip.message import Request, Response
from sip.replaces import Replaces
from sip.session import Session
from tests.sip.test_inbound import answered, assert_empty, ring_in
from tests.sip.test_outbound import call, methods
from tests.support.sip_pair import SDP, Wire, config, request_text, response_text


def dialog(session: Session, flags: str = "") -> str:
    """The Replaces value that names a call which came in."""
    assert session.dialog is not None
    return f"call-1;to-tag={session.dialog.local.tag};from-tag=phone{flags}"


def takes_over(wire: Wire, value: str, *, extra: str = "") -> tuple[int, list[object]]:
    """The final status of an INVITE with that Replaces, 0 for none yet; and the events."""
    invite = request_text(
        "INVITE",
        call_id="call-2",
        from_tag="other",
        branch="z9hG4bKtwo",
        body=SDP,
        extra=f"Replaces: {value}\r\n{extra}",
    )
    final = [m.status for m in wire.say(invite) if isinstance(m, Response) and m.status >= 200]
    return (final or [0])[0], list(wire.events())


@pytest.mark.parametrize("extra", ["", "Require: replaces\r\n"])
def test_one_who_knows_the_dialog_is_told_as_its_successor(extra: str) -> None:
    wire = Wire()
    session, _ = answered(wire)
    status, events = takes_over(wire, dialog(session), extra=extra)
    (event,) = events
    assert status == 0 and isinstance(event, IncomingCall)
    assert event.replaces is session and not session.ended and event.session is not session


def test_a_plain_call_replaces_nobody() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.replaces is None


@pytest.mark.parametrize(
    "change", [("call-1", "call-9"), ("to-tag=", "to-tag=x"), ("from-tag=phone", "from-tag=phones")]
)
def test_one_who_does_not_know_all_three_is_481_and_the_call_goes_on(change: tuple[str, str]) -> None:
    wire = Wire()
    session, _ = answered(wire)
    assert takes_over(wire, dialog(session).replace(*change)) == (481, [])
    assert not session.ended


def test_tags_in_the_wrong_order_name_no_dialog() -> None:
    wire = Wire()
    session, tag = answered(wire)
    assert takes_over(wire, f"call-1;to-tag=phone;from-tag={tag}") == (481, [])
    assert not session.ended


@pytest.mark.parametrize(
    "value",
    [
        "",
        "call-1",
        "call-1;to-tag=a",
        "call-1;from-tag=a",
        "call-1;to-tag=;from-tag=a",
        "call-1;to-tag=a;to-tag=b;from-tag=c",
        ";to-tag=a;from-tag=b",
        'call-1;to-tag="a;from-tag=b',
    ],
)
def test_garbage_is_400(value: str) -> None:
    wire = Wire()
    answered(wire)
    assert takes_over(wire, value) == (400, [])


def test_two_of_them_are_400_and_so_is_one_beside_join() -> None:
    for extra in ("Replaces: {}\r\n", "Join: {}\r\n"):
        wire = Wire()
        session, _ = answered(wire)
        assert takes_over(wire, dialog(session), extra=extra.format(dialog(session))) == (400, [])


def test_a_call_that_has_ended_is_603_and_one_that_ended_long_ago_unknown() -> None:
    wire = Wire()
    session, tag = answered(wire)
    wire.say(request_text("BYE", cseq=2, branch="z9hG4bKbye", to_tag=tag))
    wire.events()
    assert takes_over(wire, dialog(session)) == (603, [])
    wire.wait(70)
    assert takes_over(wire, dialog(session)) == (481, [])
    assert_empty(wire)


def test_a_call_that_we_are_ending_is_603() -> None:
    wire = Wire()
    session, _ = answered(wire)
    wire.endpoint.hang_up(session, wire.now)
    assert takes_over(wire, dialog(session)) == (603, [])


@pytest.mark.parametrize("ringing", [True, False])
def test_a_call_that_came_in_and_is_not_answered_is_nobody_elses(ringing: bool) -> None:
    wire = Wire()
    session = ring_in(wire)
    if ringing:
        wire.endpoint.ring(session, wire.now)
    wire.heard()
    assert takes_over(wire, dialog(session)) == (481, [])
    assert takes_over(wire, dialog(session, ";early-only")) == (481, [])
    assert not session.ended


@pytest.mark.parametrize(("flags", "status"), [("", 0), (";early-only", 486)])
def test_our_2xx_makes_a_call_one_that_can_be_taken_over_before_its_ack(flags: str, status: int) -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.heard()
    final, events = takes_over(wire, dialog(session, flags))
    assert final == status
    if status:
        assert events == []
        return
    (event,) = events
    assert isinstance(event, IncomingCall) and event.replaces is session
    wire.endpoint.hang_up(session, wire.now)
    assert session.dialog is not None
    ack = request_text("ACK", branch="z9hG4bKack", to_tag=session.dialog.local.tag)
    assert methods(wire.say(ack)) == ["BYE"], "the callee says it after the ACK (RFC 3261 section 15)"


def early(invite: Request, tag: str = "far", flags: str = "") -> str:
    """The Replaces value that names whoever rings under that tag for a call of ours."""
    return f"{invite.call_id};to-tag={invite.from_.tag};from-tag={tag}{flags}"


@pytest.mark.parametrize("flags", ["", ";early-only"])
def test_a_call_of_ours_that_rings_is_told_to_whoever_picks_it_up(flags: str) -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180, tag="one"))
    wire.say(response_text(invite, 180, tag="two"))
    wire.events()
    status, events = takes_over(wire, early(invite, "two", flags))
    (event,) = events
    assert status == 0 and isinstance(event, IncomingCall) and event.replaces is session
    wire.endpoint.answer(event.session, SDP, wire.now)
    wire.endpoint.hang_up(session, wire.now)
    assert methods(wire.heard()) == [200, "CANCEL"]


def test_before_anybody_rings_there_is_nothing_to_pick_up() -> None:
    wire = Wire()
    _, invite = call(wire)
    wire.say(response_text(invite, 100))
    assert takes_over(wire, early(invite)) == (481, [])


def test_a_tag_of_nobody_who_rings_is_481() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 183))
    wire.events()
    assert takes_over(wire, early(invite, "near")) == (481, []) and not session.ended


def test_a_call_of_ours_that_we_have_given_up_cannot_be_picked_up() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    wire.endpoint.hang_up(session, wire.now)
    assert takes_over(wire, early(invite)) == (603, [])


def test_an_answer_that_crosses_the_pick_up_gets_its_ack_and_a_bye() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    _, (event,) = takes_over(wire, early(invite))
    assert isinstance(event, IncomingCall)
    wire.endpoint.answer(event.session, SDP, wire.now)
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    assert methods(wire.say(response_text(invite, 200, body=SDP))) == ["ACK", "BYE"]
    assert [type(event) for event in wire.events()] == [CallFailed] and not event.session.ended


def test_early_only_finds_an_answered_call_busy() -> None:
    wire = Wire()
    session, _ = answered(wire)
    assert takes_over(wire, dialog(session, ";early-only")) == (486, [])


def test_the_tags_do_not_let_a_stranger_in() -> None:
    wire = Wire(config(access=Access(allow=["192.0.2.1/32"])))
    session, _ = answered(wire)
    stranger = Wire(source=("198.51.100.9", 5060)).flow
    line = f"Replaces: {dialog(session)}\r\n"
    invite = request_text("INVITE", call_id="call-2", branch="z9hG4bKtwo", body=SDP, extra=line)
    (refused,) = wire.say(invite, stranger)
    assert isinstance(refused, Response) and refused.status == 403
    assert wire.events() == [] and not session.ended


def test_a_value_in_an_address_is_unescaped() -> None:
    found = Replaces.in_headers("X=1&replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only")
    assert found == Replaces("a@b", "1", "2", early_only=True)
    assert str(found) == "a@b;to-tag=1;from-tag=2;early-only" and Replaces.in_headers("X=1") is None
