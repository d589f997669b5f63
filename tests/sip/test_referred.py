"""REFER of the far end: what it may ask for, what it is told, and what crosses it."""

from random import Random

import pytest

from sip.events import ReferRequested
from sip.message import Request, Response
from sip.replaces import Replaces
from sip.session import Session
from tests.sip.test_inbound import answered, assert_empty, ring_in
from tests.support.sip_pair import SDP, Wire, request_text, response_text

CAROL = "<sip:carol@192.0.2.50>"


def refer(tag: str, cseq: int = 5, to: str = CAROL, extra: str = "") -> bytes:
    line = f"Refer-To: {to}\r\n" if to else ""
    branch = f"z9hG4bKr{cseq}"
    return request_text("REFER", cseq=cseq, branch=branch, to_tag=tag, extra=line + extra)


def asked(**changes: object) -> tuple[Wire, Session, str, ReferRequested]:
    """An answered call whose far end has sent a REFER."""
    wire = Wire()
    session, tag = answered(wire)
    assert wire.say(refer(tag, **changes)) == []  # type: ignore[arg-type]
    (event,) = wire.events()
    assert isinstance(event, ReferRequested) and event.session is session
    return wire, session, tag, event


def notifies(messages: list[Request | Response]) -> list[tuple[str, str]]:
    """State and first line of the body of each NOTIFY."""
    found = [m for m in messages if isinstance(m, Request) and m.method == "NOTIFY"]
    return [((m.get("Subscription-State") or "").partition(";")[0], m.body.decode().strip()) for m in found]


def final(messages: list[Request | Response]) -> list[int]:
    return [m.status for m in messages if isinstance(m, Response)]


def test_what_is_asked_is_told_with_who_asks() -> None:
    _, _, _, event = asked(extra="Referred-By: <sip:alice@192.0.2.1>\r\n")
    assert str(event.target) == "sip:carol@192.0.2.50" and event.replaces is None
    assert event.referrer == "<sip:alice@192.0.2.1>"


def test_it_is_accepted_and_told_up_to_its_end() -> None:
    wire, session, _, _ = asked()
    wire.endpoint.accept_refer(session, wire.now)
    accepted, notify = wire.heard()
    assert isinstance(accepted, Response) and accepted.status == 202
    assert isinstance(notify, Request) and notify.content_type == ["message/sipfrag", "version=2.0"][0]
    assert notify.get("Event") == "refer" and notifies([notify]) == [("active", "SIP/2.0 100 Trying")]
    wire.say(response_text(notify, 200))
    wire.endpoint.tell_refer(session, 180, "Ringing", wire.now)
    wire.endpoint.tell_refer(session, 200, "OK", wire.now)
    told = wire.heard()
    assert notifies(told) == [("active", "SIP/2.0 180 Ringing"), ("terminated", "SIP/2.0 200 OK")]
    wire.endpoint.tell_refer(session, 200, "OK", wire.now)
    assert wire.heard() == []


@pytest.mark.parametrize("status", [403, 488, 603])
def test_it_is_refused_and_the_call_goes_on(status: int) -> None:
    wire, session, tag, _ = asked()
    wire.endpoint.refuse_refer(session, status, wire.now)
    assert final(wire.heard()) == [status] and not session.ended
    assert wire.say(refer(tag, 6)) == []
    assert wire.told() == ["ReferRequested"]


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("", 400),
        ("carol", 400),
        ("<sip:>", 400),
        ("<sip:carol@192.0.2.50", 400),
        ("<http://192.0.2.50/>", 416),
        ("<sip:carol@192.0.2.50;method=BYE>", 501),
        ("<sip:carol@192.0.2.50?Replaces=nothing>", 400),
        ("<sip:c@h?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=b%3Bto-tag%3D1%3Bfrom-tag%3D2>", 400),
        (f"{CAROL}\r\nRefer-To: {CAROL}", 400),
    ],
)
def test_garbage_is_refused_and_never_told(to: str, status: int) -> None:
    wire = Wire()
    session, tag = answered(wire)
    assert final(wire.say(refer(tag, to=to))) == [status]
    assert wire.events() == [] and not session.ended


def test_of_the_headers_in_the_address_only_replaces_counts() -> None:
    replaces = "Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2"
    to = f"<sip:carol@192.0.2.50;transport=tcp?Privacy=none&{replaces}&From=eve>"
    _, _, _, event = asked(to=to)
    assert str(event.target) == "sip:carol@192.0.2.50;transport=tcp"
    assert event.replaces == Replaces("a@b", "1", "2")


def test_a_second_one_waits_for_the_end_of_the_first_and_is_told_by_its_number() -> None:
    wire, session, tag, _ = asked()
    wire.endpoint.accept_refer(session, wire.now)
    wire.heard()
    assert final(wire.say(refer(tag, 6))) == [491]
    wire.endpoint.tell_refer(session, 486, "Busy Here", wire.now)
    wire.heard()
    assert wire.say(refer(tag, 7)) == []
    wire.endpoint.accept_refer(session, wire.now)
    notify = wire.heard()[-1]
    assert isinstance(notify, Request) and notify.get("Event") == "refer;id=7"


def test_who_wants_no_subscription_is_told_nothing() -> None:
    wire, session, _, _ = asked(extra="Refer-Sub: false\r\n")
    wire.endpoint.accept_refer(session, wire.now)
    (accepted,) = wire.heard()
    assert isinstance(accepted, Response) and accepted.get("Refer-Sub") == "false"
    wire.endpoint.tell_refer(session, 200, "OK", wire.now)
    assert wire.heard() == []


def test_who_refuses_a_notify_gets_no_more() -> None:
    wire, session, _, _ = asked()
    wire.endpoint.accept_refer(session, wire.now)
    notify = wire.heard()[-1]
    assert isinstance(notify, Request)
    wire.say(response_text(notify, 481))
    wire.endpoint.tell_refer(session, 200, "OK", wire.now)
    assert wire.heard() == [] and not session.ended


def test_who_hangs_up_meanwhile_is_told_all_the_same() -> None:
    wire, session, tag, _ = asked()
    wire.endpoint.accept_refer(session, wire.now)
    for message in wire.heard():
        if isinstance(message, Request):
            wire.say(response_text(message, 200))
    wire.say(request_text("BYE", cseq=9, branch="z9hG4bKbye", to_tag=tag))
    assert wire.told() == ["CallEnded"]
    wire.endpoint.tell_refer(session, 200, "OK", wire.now)
    (notify,) = [m for m in wire.heard() if isinstance(m, Request)]
    wire.say(response_text(notify, 481))
    assert_empty(wire)


def test_a_refer_that_crosses_our_bye_is_481() -> None:
    wire = Wire()
    session, tag = answered(wire)
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    assert final(wire.say(refer(tag))) == [481] and wire.events() == []
    wire.endpoint.accept_refer(session, wire.now)
    assert wire.heard() == []


def test_a_refer_that_comes_after_their_bye_is_481() -> None:
    wire = Wire()
    _, tag = answered(wire)
    wire.say(request_text("BYE", cseq=4, branch="z9hG4bKbye", to_tag=tag))
    wire.events()
    assert final(wire.say(refer(tag))) == [481] and wire.events() == []


def test_a_call_that_is_not_answered_cannot_be_sent_on_by_its_caller() -> None:
    wire = Wire()
    session = ring_in(wire)
    assert session.dialog is not None
    wire.heard()
    assert final(wire.say(refer(session.dialog.local.tag))) == [481] and wire.events() == []


def test_outside_of_a_call_nobody_is_called_for_anybody() -> None:
    wire = Wire()
    outside = request_text("REFER", extra=f"Refer-To: {CAROL}\r\n")
    assert final(wire.say(outside)) == [403] and wire.events() == []


def test_a_repeated_refer_is_asked_once() -> None:
    wire, session, tag, _ = asked()
    wire.endpoint.accept_refer(session, wire.now)
    wire.heard()
    assert final(wire.say(refer(tag))) == [202] and wire.events() == []


@pytest.mark.parametrize("value", ["a%0D%0AEvil:%20x", "a%20b", "%00", "a%C3%A9"])
def test_what_would_break_out_of_a_header_is_refused(value: str) -> None:
    wire = Wire()
    session, tag = answered(wire)
    to = f"<sip:carol@192.0.2.50?Replaces={value}%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    assert final(wire.say(refer(tag, to=to))) == [400] and wire.events() == [] and not session.ended


def test_garbage_of_any_kind_breaks_nothing() -> None:
    """Whole messages with bytes changed, cut out and doubled; what is answered is answered with a status."""
    random = Random(3515)
    wire = Wire()
    session, tag = answered(wire)
    line = f"Replaces: call-1;to-tag={tag};from-tag=phone;early-only\r\n"
    notify = "Event: refer;id=1\r\nSubscription-State: active;expires=60\r\n"
    to = "<sip:carol@192.0.2.50;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    for number in range(1500):
        wire.endpoint.refuse_refer(session, 403, wire.now)
        seeds = (
            refer(tag, 10 + number, to, "Refer-Sub: false\r\nReferred-By: <sip:alice@192.0.2.1>\r\n"),
            request_text("NOTIFY", cseq=10 + number, branch=f"z9hG4bKf{number}", to_tag=tag, extra=notify),
            request_text("INVITE", call_id="x", branch=f"z9hG4bKf{number}", body=SDP, extra=line),
        )
        text = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 6)):
            at = random.randrange(200, len(text))
            length = random.randint(0, 4)
            text[at : at + length] = random.choice(
                (b"", b";", b'"', b"<", b"%0d", b"\xff", text[at : at + 9])
            )
        wire.say(bytes(text))
        for event in wire.events():
            assert isinstance(event, ReferRequested) and event.target.scheme in ("sip", "sips", "tel")
    assert not session.ended
