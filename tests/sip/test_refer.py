"""REFER that we send: what the far end answers, tells and leaves unsaid, in every order."""

import pytest

from sip.events import ReferSettled
from sip.message import Request, Response
from sip.session import Session
from tests.sip.test_inbound import answered
from tests.support.sip_pair import Wire, request_text, response_text

TARGET = "sip:carol@192.0.2.50"


def established() -> tuple[Wire, Session]:
    """A call that came in and was answered; all of that is done with."""
    wire = Wire()
    session, _ = answered(wire)
    wire.events()
    return wire, session


def referred() -> tuple[Wire, Session, Request]:
    """A call that came in and was answered, and the REFER that was sent in it."""
    wire, session = established()
    wire.endpoint.refer(session, TARGET, wire.now)
    (refer,) = wire.heard()
    assert isinstance(refer, Request)
    return wire, session, refer


def notify(
    session: Session,
    cseq: int,
    status: str = "200 OK",
    *,
    state: str = "terminated;reason=noresource",
    event: str = "refer",
) -> bytes:
    assert session.dialog is not None
    body = f"SIP/2.0 {status}\r\n".encode() if status else b""
    return request_text(
        "NOTIFY",
        cseq=cseq,
        branch=f"z9hG4bKn{cseq}",
        to_tag=session.dialog.local.tag,
        extra=f"Event: {event}\r\nSubscription-State: {state}\r\n",
        body=body,
    ).replace(b"application/sdp", b"message/sipfrag;version=2.0")


def bye(session: Session, cseq: int = 9) -> bytes:
    assert session.dialog is not None
    return request_text("BYE", cseq=cseq, branch=f"z9hG4bKb{cseq}", to_tag=session.dialog.local.tag)


def statuses(messages: list[Request | Response]) -> list[int]:
    return [message.status for message in messages if isinstance(message, Response)]


def settled(wire: Wire) -> list[tuple[bool, int | None, int | None]]:
    return [
        (event.succeeded, event.status, event.outcome)
        for event in wire.events()
        if isinstance(event, ReferSettled)
    ]


def test_a_refer_goes_out_in_the_dialog_with_all_it_needs() -> None:
    _, session, refer = referred()
    assert session.dialog is not None
    assert (refer.method, refer.call_id, refer.from_.tag) == ("REFER", "call-1", session.dialog.local.tag)
    assert refer.get("Refer-To") == f"<{TARGET}>" and refer.get("Referred-By") == "<sip:room@192.0.2.10>"
    assert refer.contact is not None and refer.to.tag == "phone"


def test_taken_told_and_answered_is_success() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    assert statuses(wire.say(notify(session, 5, "100 Trying", state="active;expires=60"))) == [200]
    assert settled(wire) == []
    assert statuses(wire.say(notify(session, 6, "200 OK"))) == [200]
    assert settled(wire) == [(True, 202, 200)]


@pytest.mark.parametrize("status", [302, 404, 486, 503, 603])
def test_whom_the_far_end_does_not_reach_is_a_failure_with_both_codes(status: int) -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    wire.say(notify(session, 5, f"{status} Word"))
    assert settled(wire) == [(False, 202, status)]
    wire.say(bye(session))
    assert wire.told() == ["CallEnded"]


@pytest.mark.parametrize("status", [400, 403, 405, 481, 501, 603])
def test_a_refused_refer_is_a_failure_and_the_call_goes_on(status: int) -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, status))
    assert settled(wire) == [(False, status, None)] and not session.ended
    assert statuses(wire.say(notify(session, 5))) == [481]


def test_a_notify_may_overtake_the_202() -> None:
    wire, session, refer = referred()
    assert statuses(wire.say(notify(session, 5))) == [200]
    assert settled(wire) == []
    wire.say(response_text(refer, 202))
    assert settled(wire) == [(True, 202, 200)]


def test_no_answer_at_all_is_a_failure_without_codes() -> None:
    wire, session, _ = referred()
    repeated = [message for message in wire.wait(33.0) if isinstance(message, Request)]
    assert {message.method for message in repeated} == {"REFER"} and len(repeated) == 10
    assert settled(wire) == [(False, None, None)] and not session.ended


def test_a_far_end_that_tells_nothing_is_waited_for_32_seconds() -> None:
    wire, _, refer = referred()
    wire.say(response_text(refer, 202))
    wire.wait(31.9)
    assert settled(wire) == []
    wire.wait(0.2)
    assert settled(wire) == [(False, 202, None)]


@pytest.mark.parametrize(
    ("state", "seconds"), [("active;expires=20", 20), ("active", 180), ("active;expires=3600", 180)]
)
def test_a_far_end_that_tells_no_end_is_waited_for_as_long_as_it_says_and_three_minutes(
    state: str, seconds: float
) -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    wire.wait(10)
    wire.say(notify(session, 5, "180 Ringing", state=state))
    wire.wait(seconds - 0.1)
    assert settled(wire) == []
    wire.wait(0.2)
    assert settled(wire) == [(False, 202, None)]


def test_a_subscription_that_ends_without_a_final_status_is_a_failure() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    wire.say(notify(session, 5, "100 Trying", state="terminated;reason=timeout"))
    assert settled(wire) == [(False, 202, None)]


def test_a_far_end_that_hangs_up_once_it_has_taken_the_refer_has_gone_there() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    assert statuses(wire.say(bye(session))) == [200]
    first, second = wire.events()
    assert isinstance(first, ReferSettled) and (first.succeeded, first.status, first.outcome) == (
        True,
        202,
        None,
    )
    assert type(second).__name__ == "CallEnded"
    assert statuses(wire.say(notify(session, 10, "180 Ringing", state="active"))) == [200]
    assert statuses(wire.say(notify(session, 11))) == [200]
    assert statuses(wire.say(notify(session, 12))) == [481]
    assert wire.events() == []


@pytest.mark.parametrize(("told", "outcome"), [("100 Trying", None), ("200 OK", 200)])
def test_who_has_told_anything_has_taken_the_refer_though_its_202_was_lost(
    told: str, outcome: int | None
) -> None:
    wire, session, _ = referred()
    wire.say(notify(session, 5, told, state="active"))
    wire.say(bye(session))
    assert settled(wire) == [(True, None, outcome)]


def test_who_was_refused_elsewhere_and_hangs_up_before_his_202_has_not_gone_there() -> None:
    wire, session, _ = referred()
    wire.say(notify(session, 5, "486 Busy Here"))
    wire.say(bye(session))
    assert wire.told() == ["CallEnded"]


def test_a_far_end_that_has_hung_up_and_tells_no_end_is_forgotten() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    wire.say(bye(session))
    wire.wait(33)
    assert statuses(wire.say(notify(session, 10))) == [481]
    wire.wait(33)
    assert not any(wire.endpoint.size().values())


def test_a_refer_and_a_bye_that_cross_are_no_success() -> None:
    wire, session, refer = referred()
    wire.say(bye(session))
    assert wire.told() == ["CallEnded"]
    wire.say(response_text(refer, 481))
    assert wire.told() == []
    assert statuses(wire.say(notify(session, 10))) == [481]
    wire.wait(65)
    assert not any(wire.endpoint.size().values())


def test_when_we_hang_up_meanwhile_nothing_more_is_told() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    wire.endpoint.hang_up(session, wire.now)
    (sent,) = wire.heard()
    assert statuses(wire.say(notify(session, 5))) == [200]
    assert isinstance(sent, Request)
    wire.say(response_text(sent, 200))
    wire.wait(65)
    assert wire.told() == [] and not any(wire.endpoint.size().values())


def test_a_far_end_without_subscriptions_has_said_all_with_its_2xx() -> None:
    wire, _, refer = referred()
    wire.say(response_text(refer, 202, extra="Refer-Sub: false\r\n"))
    assert settled(wire) == [(True, 202, None)]


def test_a_notify_that_is_about_something_else_is_refused() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    (answer,) = wire.say(notify(session, 5, event="message-summary"))
    assert isinstance(answer, Response)
    assert (answer.status, answer.get("Allow-Events")) == (489, "refer")
    assert statuses(wire.say(notify(session, 6, event=f"refer;id={refer.cseq.number + 1}"))) == [481]
    assert statuses(wire.say(notify(session, 7, state="active;expires=soon"))) == [400]
    without = notify(session, 8).replace(b"Subscription-State", b"X-State")
    assert statuses(wire.say(without)) == [400]
    assert settled(wire) == []
    assert statuses(wire.say(notify(session, 9, event=f"refer;id={refer.cseq.number}"))) == [200]
    assert settled(wire) == [(True, 202, 200)]


def test_a_notify_without_a_status_tells_only_that_the_far_end_is_busy_with_it() -> None:
    wire, session, refer = referred()
    wire.say(response_text(refer, 202))
    for cseq, text in ((5, "2000 Odd"), (6, "")):
        assert statuses(wire.say(notify(session, cseq, text, state="active"))) == [200]
    assert settled(wire) == []


def test_a_notify_outside_of_a_refer_or_a_call_is_refused() -> None:
    wire, session = established()
    assert statuses(wire.say(notify(session, 5))) == [481]
    assert statuses(wire.say(request_text("NOTIFY", call_id="none", branch="z9hG4bKx"))) == [481]


def test_a_second_refer_takes_the_place_of_the_first() -> None:
    wire, session, first = referred()
    wire.endpoint.refer(session, "sip:dave@192.0.2.51", wire.now)
    (second,) = wire.heard()
    assert isinstance(second, Request)
    wire.say(response_text(first, 202))
    wire.say(response_text(second, 603))
    assert settled(wire) == [(False, 603, None)]
