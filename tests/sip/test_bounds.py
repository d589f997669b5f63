"""What a peer may cost us within a call that he may make or take."""

import pytest

from sip.events import CallEnded, CallRinging
from sip.incoming import MAX_REQUESTS
from sip.message import Request, Response
from sip.reliable import MAX_PRACKS
from sip.session import State
from sip.uac import MAX_FORKS
from tests.sip.test_inbound import answered
from tests.sip.test_outbound import assert_empty, call, methods
from tests.support.sip_pair import SDP, Wire, request_text, response_text


@pytest.mark.parametrize("method", ["OPTIONS", "INFO", "UPDATE", "MESSAGE", "INVITE"])
def test_one_call_cannot_fill_the_memory_with_requests_and_ends_as_ever(method: str) -> None:
    wire = Wire()
    session, tag = answered(wire)
    finals = []
    for number in range(2, MAX_REQUESTS + 12):
        text = request_text(method, cseq=number, branch=f"z9hG4bK{number}", to_tag=tag)
        finals += [m.status for m in wire.say(text) if isinstance(m, Response) and m.status >= 200]
        wire.events()
    assert wire.endpoint.size()["transactions"] <= MAX_REQUESTS + 2
    assert finals[-10:] == [503] * 10 and 503 not in finals[:-10]
    bye = request_text("BYE", cseq=9_000, branch="z9hG4bKbye", to_tag=tag)
    assert 200 in methods(wire.say(bye))
    assert [type(event) for event in wire.events()] == [CallEnded] and session.ended
    assert_empty(wire)


def test_a_call_that_asks_now_and_then_is_never_refused() -> None:
    wire = Wire()
    _, tag = answered(wire)
    for number in range(2, 3 * MAX_REQUESTS):
        wire.wait(0.2)
        info = request_text("INFO", cseq=number, branch=f"z9hG4bK{number}", to_tag=tag)
        assert methods(wire.say(info)) == [200]


def test_of_a_fork_without_end_so_many_answers_get_an_ack_and_a_bye() -> None:
    wire = Wire()
    session, invite = call(wire)
    sent = []
    for number in range(MAX_FORKS + 100):
        sent += wire.say(response_text(invite, 200, tag=f"branch-{number}", body=SDP))
    assert methods(sent) == ["ACK", *["ACK", "BYE"] * (MAX_FORKS - 1)]
    assert session.state is State.ESTABLISHED
    again = wire.say(response_text(invite, 200, tag="branch-0", body=SDP))
    assert methods(again) == ["ACK"], "the first is known as ever"
    wire.endpoint.hang_up(session, wire.now)
    assert_empty(wire)


def test_responses_that_want_a_prack_get_only_so_many() -> None:
    wire = Wire()
    session, invite = call(wire)
    sent: list[Request | Response] = []
    for number in range(1, MAX_PRACKS + 50):
        extra = f"Require: 100rel\r\nRSeq: {number}\r\n"
        for prack in wire.say(response_text(invite, 180, extra=extra)):
            assert isinstance(prack, Request)
            sent.append(prack)
            wire.say(response_text(prack, 200))
    assert methods(sent) == ["PRACK"] * MAX_PRACKS
    assert len([event for event in wire.events() if isinstance(event, CallRinging)]) == MAX_PRACKS
    wire.say(response_text(invite, 200, body=SDP))
    assert session.state is State.ESTABLISHED
