"""What crosses on the wire: CANCEL against every other message, and forks that answer more than once."""

from itertools import permutations

import pytest

from sip.events import CallAnswered, CallFailed, IncomingCall
from sip.message import Request, Response
from sip.session import Session, State
from tests.sip import test_inbound, test_outbound
from tests.sip.test_outbound import assert_empty, call, methods
from tests.support.sip_pair import SDP, Wire, request_text, response_text


def ringing(wire: Wire) -> tuple[Session, Request]:
    """A call of ours that rings."""
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    return session, invite


def cancelled(wire: Wire) -> tuple[Session, Request, Request]:
    """A call of ours that rang and that we have given up; its INVITE and CANCEL."""
    session, invite = ringing(wire)
    wire.endpoint.hang_up(session, wire.now)
    (cancel,) = wire.heard()
    assert isinstance(cancel, Request) and cancel.method == "CANCEL"
    return session, invite, cancel


def requests(messages: list[Request | Response], method: str) -> list[Request]:
    return [m for m in messages if isinstance(m, Request) and m.method == method]


def settle(wire: Wire, messages: list[Request | Response]) -> None:
    """Answers whatever we have asked."""
    for message in messages:
        if isinstance(message, Request) and message.method != "ACK":
            wire.say(response_text(message, 200))


# Our CANCEL


ANSWERS = {
    "200 to the CANCEL": lambda invite, cancel: response_text(cancel, 200),
    "487": lambda invite, cancel: response_text(invite, 487),
    "ringing of another branch": lambda invite, cancel: response_text(invite, 180, tag="other"),
}


@pytest.mark.parametrize("order", list(permutations(ANSWERS)), ids=", ".join)
def test_what_answers_our_cancel_may_come_in_any_order(order: tuple[str, ...]) -> None:
    wire = Wire()
    session, invite, cancel = cancelled(wire)
    sent = [message for name in order for message in wire.say(ANSWERS[name](invite, cancel))]
    assert methods(sent) == ["ACK"]
    assert wire.events() == [CallFailed(session, 487, "Whatever")]
    assert_empty(wire)


def test_a_lost_cancel_is_said_again() -> None:
    wire = Wire()
    _, invite, cancel = cancelled(wire)
    again = requests(wire.wait(4.0), "CANCEL")
    assert len(again) == 3 and {message.via.branch for message in again} == {cancel.via.branch}
    assert cancel.via.branch == invite.via.branch


@pytest.mark.parametrize("status", [481, 500, 405])
def test_a_cancel_that_is_refused_leaves_the_invite_to_end_by_itself(status: int) -> None:
    wire = Wire()
    session, invite, cancel = cancelled(wire)
    wire.say(response_text(cancel, status))
    assert wire.events() == []
    sent = wire.say(response_text(invite, 200, body=SDP))
    assert methods(sent) == ["ACK", "BYE"]
    assert wire.told() == ["CallFailed"] and session.ended
    settle(wire, sent)
    assert_empty(wire)


@pytest.mark.parametrize("answers", [1, 2, 3])
def test_all_branches_that_answer_across_our_cancel_are_acknowledged_and_ended(answers: int) -> None:
    wire = Wire()
    _, invite, cancel = cancelled(wire)
    wire.say(response_text(cancel, 200))
    for number in range(answers):
        sent = wire.say(response_text(invite, 200, tag=f"branch-{number}", body=SDP))
        assert methods(sent) == ["ACK", "BYE"] and sent[1].to.tag == f"branch-{number}"
        settle(wire, sent)
    assert wire.told() == ["CallFailed"]
    assert_empty(wire)


# Forked 2xx


def test_the_branch_that_answers_first_has_the_call_and_its_early_sisters_are_forgotten() -> None:
    wire = Wire()
    session, invite = call(wire)
    for tag in ("one", "two"):
        wire.say(response_text(invite, 180, tag=tag))
    wire.events()
    (ack,) = wire.say(response_text(invite, 200, tag="two", body=SDP))
    assert methods([ack]) == ["ACK"] and wire.events() == [CallAnswered(session, SDP)]
    bye = request_text(
        "BYE",
        call_id=session.call_id,
        branch="z9hG4bKlate",
        from_tag="one",
        to_tag=invite.from_.tag,
    )
    assert methods(wire.say(bye)) == [481] and session.state is State.ESTABLISHED


def test_each_repetition_of_each_branchs_answer_gets_its_own_ack_again() -> None:
    wire = Wire()
    session, invite = call(wire)
    (first,) = wire.say(response_text(invite, 200, tag="one", body=SDP))
    ack, bye = wire.say(response_text(invite, 200, tag="two", body=SDP))
    assert (ack.to.tag, bye.to.tag) == ("two", "two")
    assert wire.say(response_text(invite, 200, tag="two", body=SDP)) == [ack]
    assert wire.say(response_text(invite, 200, tag="one", body=SDP)) == [first]
    assert wire.told() == ["CallAnswered"] and not session.ended


@pytest.mark.parametrize(
    ("method", "status"), [("BYE", 200), ("INVITE", 481), ("UPDATE", 481), ("INFO", 481), ("REFER", 481)]
)
def test_a_branch_that_we_end_has_no_say_in_the_call(method: str, status: int) -> None:
    """Its BYE may cross ours; whatever else it says, it is not who answered the call."""
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 200, tag="first", body=SDP))
    assert methods(wire.say(response_text(invite, 200, tag="second", body=SDP))) == ["ACK", "BYE"]
    wire.events()
    flow, dialog = session.flow, session.dialog
    elsewhere = Wire(source=("198.51.100.9", 5062)).flow
    body = SDP if method in ("INVITE", "UPDATE") else b""
    text = request_text(
        method,
        call_id=invite.call_id,
        from_tag="second",
        to_tag=invite.from_.tag,
        body=body,
        extra="Refer-To: <sip:carol@192.0.2.50>\r\n" if method == "REFER" else "",
    )
    assert [m.status for m in wire.say(text, elsewhere) if isinstance(m, Response)] == [status]
    assert wire.events() == [] and session.state is State.ESTABLISHED
    assert session.flow == flow and session.dialog is dialog
    wire.endpoint.hang_up(session, wire.now)
    assert_empty(wire)


def test_a_branch_that_answers_after_the_call_is_over_is_ended_too() -> None:
    wire = Wire()
    session, invite = test_outbound.answered(wire)
    wire.endpoint.hang_up(session, wire.now)
    settle(wire, wire.heard())
    sent = wire.say(response_text(invite, 200, tag="late", body=SDP))
    assert methods(sent) == ["ACK", "BYE"] and wire.events() == []
    settle(wire, sent)
    assert_empty(wire)


# Their CANCEL


def their_cancel(*, cseq: int = 1, branch: str = "z9hG4bKone") -> bytes:
    return request_text("CANCEL", cseq=cseq, branch=branch)


@pytest.mark.parametrize("before", ["nothing", "ring", "progress"])
def test_a_cancel_ends_a_call_at_any_time_before_its_answer_and_once(before: str) -> None:
    wire = Wire()
    session = test_inbound.ring_in(wire)
    if before == "ring":
        wire.endpoint.ring(session, wire.now)
    elif before == "progress":
        wire.endpoint.progress(session, SDP, wire.now)
    wire.heard()
    assert methods(wire.say(their_cancel())) == [200, 487]
    assert methods(wire.say(their_cancel())) == [200], "said again: it is the same transaction"
    assert wire.told() == ["CallCancelled"]
    wire.endpoint.answer(session, SDP, wire.now)
    assert wire.heard() == [], "our answer crosses it"
    wire.say(request_text("ACK", branch="z9hG4bKone", to_tag="x"))
    test_inbound.assert_empty(wire)


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_cancel_that_crosses_our_answer_changes_nothing(acknowledged: bool) -> None:
    wire = Wire()
    session = test_inbound.ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    ack = request_text("ACK", branch="z9hG4bKack", to_tag=tag)
    if acknowledged:
        wire.say(ack)
    assert methods(wire.say(their_cancel())) == [200]
    wire.say(ack)
    assert wire.told() == ["CallAcknowledged"] and session.state is State.ESTABLISHED


def test_a_cancel_that_overtakes_its_invite_is_for_nothing_yet() -> None:
    wire = Wire()
    assert methods(wire.say(their_cancel())) == [481]
    session = test_inbound.ring_in(wire)
    assert methods(wire.say(their_cancel())) == [200, 487] and session.ended


@pytest.mark.parametrize("change", [{"branch": "z9hG4bKother"}])
def test_a_cancel_of_another_transaction_is_for_nothing(change: dict[str, str]) -> None:
    wire = Wire()
    session = test_inbound.ring_in(wire)
    wire.heard()
    assert methods(wire.say(their_cancel(**change))) == [481]  # type: ignore[arg-type]
    assert wire.events() == [] and not session.ended


# Merged requests


def test_a_request_that_came_by_two_ways_is_482_until_the_first_is_forgotten() -> None:
    wire = Wire()
    session, tag = test_inbound.answered(wire)
    other_way = request_text("INVITE", branch="z9hG4bKtwo", body=SDP)
    assert methods(wire.say(other_way)) == [482]
    wire.say(request_text("BYE", cseq=2, branch="z9hG4bKbye", to_tag=tag))
    assert session.ended and methods(wire.say(request_text("INVITE", branch="z9hG4bKthree", body=SDP))) == [
        482
    ]
    wire.wait(33)
    wire.events()
    wire.say(request_text("INVITE", branch="z9hG4bKfour", body=SDP))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.session is not session


def test_the_same_call_id_with_another_tag_or_number_is_another_request() -> None:
    wire = Wire()
    test_inbound.ring_in(wire)
    for number, change in enumerate(({"from_tag": "other"}, {"cseq": 2})):
        text = request_text("INVITE", branch=f"z9hG4bKm{number}", body=SDP, **change)  # type: ignore[arg-type]
        wire.say(text)
        assert wire.told() == ["IncomingCall"]
