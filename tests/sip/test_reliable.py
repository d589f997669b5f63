"""Provisional responses that arrive (RFC 3262), in both roles."""

import pytest

from sip.events import (
    CallAcknowledged,
    CallAnswered,
    CallCancelled,
    CallRinging,
    Event,
    IncomingCall,
    MediaAnswered,
    MediaOffered,
)
from sip.flow import Flow
from sip.message import Request, Response
from sip.session import Session, State
from tests.support.sip_pair import PHONE, SDP, SERVER, Packet, Pair, Wire, request_text, response_text

REQUIRED = "Require: 100rel\r\n"
SUPPORTED = "Supported: 100rel\r\n"
OTHER = SDP.replace(b"4000", b"5000")


def names(messages: list[Request | Response]) -> list[int | str]:
    return [m.method if isinstance(m, Request) else m.status for m in messages]


def rings(wire: Wire, extra: str = REQUIRED, body: bytes = SDP) -> Session:
    wire.say(request_text("INVITE", body=body, extra=extra))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    return event.session


def rseq(message: Request | Response) -> int:
    return int(message.get("RSeq") or 0)


def prack(
    to: Request | Response, *, cseq: int = 2, rack: str | None = None, body: bytes = b"", branch: str = ""
) -> bytes:
    rack = f"{rseq(to)} 1 INVITE" if rack is None else rack
    return request_text(
        "PRACK",
        branch=branch or f"z9hG4bKprack{cseq}",
        cseq=cseq,
        to_tag=to.to.tag,
        extra=f"RAck: {rack}\r\n",
        body=body,
    )


# As the called side.


def test_where_it_is_required_ringing_is_said_until_the_prack() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.ring(session, wire.now)
    (ringing,) = wire.heard()
    assert names([ringing]) == [180] and ringing.get("Require") == "100rel" and 0 < rseq(ringing) < 2**31
    wire.wait(8)
    assert wire.times(lambda m: isinstance(m, Response) and m.status == 180) == [0, 0.5, 1.5, 3.5, 7.5]
    assert names(wire.say(prack(ringing))) == [200]
    assert wire.wait(40) == [] and wire.events() == []


def test_without_a_prack_the_call_is_refused_after_32_seconds() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.ring(session, wire.now)
    wire.wait(31.9)
    assert names(wire.wait(0.2))[0] == 504
    (event,) = wire.events()
    assert event == CallCancelled(session, "no PRACK to our 180")
    wire.wait(140)
    assert not any(wire.endpoint.size().values())


@pytest.mark.parametrize(
    ("extra", "early", "reliably"),
    [
        (REQUIRED, b"", True),
        (REQUIRED, SDP, True),
        (SUPPORTED, SDP, True),
        (SUPPORTED, b"", False),
        ("", SDP, False),
    ],
)
def test_what_goes_reliably(extra: str, early: bytes, reliably: bool) -> None:
    wire = Wire()
    session = rings(wire, extra)
    if early:
        wire.endpoint.progress(session, early, wire.now)
    else:
        wire.endpoint.ring(session, wire.now)
    (said,) = wire.heard()
    assert bool(rseq(said)) is reliably and (said.get("Require") == "100rel") is reliably
    assert bool(wire.wait(1)) is reliably


def test_the_second_waits_for_the_first_and_counts_on() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.ring(session, wire.now)
    wire.endpoint.progress(session, SDP, wire.now)
    (first,) = wire.heard()
    ok, second = wire.say(prack(first))
    assert names([ok, second]) == [200, 183] and rseq(second) == rseq(first) + 1 and second.sdp == SDP
    assert names(wire.say(prack(second, cseq=3))) == [200]


def test_a_2xx_waits_for_the_prack_to_a_description_and_does_not_repeat_it() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.progress(session, SDP, wire.now)
    (early,) = wire.heard()
    wire.endpoint.answer(session, SDP, wire.now)
    wire.endpoint.ring(session, wire.now)
    wire.endpoint.answer(session, SDP, wire.now)
    assert wire.heard() == [] and session.state is State.EARLY
    ok, answer = wire.say(prack(early))
    assert names([ok, answer]) == [200, 200] and answer.cseq.method == "INVITE" and answer.body == b""
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=answer.to.tag))
    assert wire.events() == [CallAcknowledged(session, None)] and wire.wait(40) == []
    assert session.local_sdp == SDP


def test_a_2xx_does_not_wait_for_the_prack_to_mere_ringing() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.ring(session, wire.now)
    (ringing,) = wire.heard()
    wire.endpoint.answer(session, SDP, wire.now)
    (answer,) = wire.heard()
    assert names([answer]) == [200] and answer.sdp == SDP
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=answer.to.tag))
    assert wire.wait(40) == [], "neither is said again"
    assert names(wire.say(prack(ringing))) == [200], "and a late PRACK is welcome"


def test_hanging_up_while_the_answer_waits_refuses_the_call() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.progress(session, SDP, wire.now)
    (early,) = wire.heard()
    wire.endpoint.answer(session, SDP, wire.now)
    wire.endpoint.hang_up(session, wire.now)
    assert names(wire.heard()) == [480]
    assert names(wire.say(prack(early))) == [481]


@pytest.mark.parametrize(
    ("rack", "status"),
    [
        ("{} 2 INVITE", 481),
        ("{} 1 UPDATE", 481),
        ("1{} 1 INVITE", 400),
        ("0 1 INVITE", 481),
        ("", 400),
        ("x", 400),
        ("{} 1", 400),
        ("-1 1 INVITE", 400),
        ("{} 99999999999 INVITE", 400),
    ],
)
def test_a_prack_for_something_else_is_refused_and_the_response_goes_on(rack: str, status: int) -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.ring(session, wire.now)
    (ringing,) = wire.heard()
    assert names(wire.say(prack(ringing, rack=rack.format(f"{rseq(ringing):010}")))) == [status]
    assert names(wire.wait(0.5)) == [180]
    assert names(wire.say(prack(ringing, cseq=3))) == [200]
    assert names(wire.say(prack(ringing, cseq=4))) == [481], "only once"


def test_a_late_offer_goes_with_the_first_reliable_response_and_its_answer_with_the_prack() -> None:
    wire = Wire()
    session = rings(wire, body=b"")
    wire.endpoint.ring(session, wire.now)
    assert wire.heard() == [], "it would have to make the offer"
    wire.endpoint.progress(session, SDP, wire.now)
    (early,) = wire.heard()
    assert early.sdp == SDP
    assert names(wire.say(prack(early, body=OTHER))) == [200]
    assert wire.events() == [MediaAnswered(session, OTHER)]
    wire.endpoint.answer(session, SDP, wire.now)
    (answer,) = wire.heard()
    assert answer.body == b""


def test_an_offer_in_a_prack_is_answered_in_its_200() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.progress(session, SDP, wire.now)
    (early,) = wire.heard()
    assert wire.say(prack(early, body=OTHER)) == []
    assert wire.events() == [MediaOffered(session, OTHER)]
    wire.endpoint.accept_media(session, SDP, wire.now)
    (ok,) = wire.heard()
    assert names([ok]) == [200] and ok.cseq.method == "PRACK" and ok.sdp == SDP


def test_after_the_prack_to_our_answer_an_update_may_offer_before_the_call_is_answered() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.progress(session, SDP, wire.now)
    (early,) = wire.heard()
    update = {"cseq": 2, "to_tag": early.to.tag, "body": OTHER}
    (refused,) = wire.say(request_text("UPDATE", branch="z9hG4bKu1", **update))  # type: ignore[arg-type]
    assert names([refused]) == [500]
    wire.say(prack(early, cseq=3))
    wire.say(request_text("UPDATE", branch="z9hG4bKu2", **{**update, "cseq": 4}))  # type: ignore[arg-type]
    assert wire.events() == [MediaOffered(session, OTHER)]
    wire.endpoint.accept_media(session, SDP, wire.now)
    assert names(wire.heard()) == [200]


def test_a_cancel_ends_the_waiting() -> None:
    wire = Wire()
    session = rings(wire)
    wire.endpoint.progress(session, SDP, wire.now)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.heard()
    assert names(wire.say(request_text("CANCEL"))) == [200, 487]
    assert wire.events() == [CallCancelled(session, "CANCEL")]
    wire.wait(140)
    assert not any(wire.endpoint.size().values())


# As the calling side.


def calls(wire: Wire) -> tuple[Session, Request]:
    session = wire.endpoint.invite(
        to="sip:bob@192.0.2.1",
        from_uri="sip:room@h",
        sdp=SDP,
        flow=Flow("udp", SERVER, PHONE),
        credentials=("a", "b"),
        now=wire.now,
    )
    (invite,) = wire.heard()
    assert isinstance(invite, Request) and "100rel" in invite.get_list("Supported")
    return session, invite


def reliably(number: int | str) -> str:
    return f"{REQUIRED}RSeq: {number}\r\n"


def test_a_reliable_response_gets_its_prack_within_the_early_dialog() -> None:
    wire = Wire()
    session, invite = calls(wire)
    (sent,) = wire.say(response_text(invite, 180, extra=reliably(7)))
    assert isinstance(sent, Request) and sent.method == "PRACK" and sent.get("RAck") == "7 1 INVITE"
    assert sent.to.tag == "far" and sent.cseq.number == 2 and sent.uri == "sip:bob@192.0.2.1:5060"
    wire.say(response_text(sent, 200))
    assert wire.events() == [CallRinging(session, 180, None)] and wire.wait(60) == []


def test_repetitions_and_gaps_are_ignored_and_the_prack_repeats_itself() -> None:
    wire = Wire()
    session, invite = calls(wire)
    ringing = response_text(invite, 180, extra=reliably(7))
    (first,) = wire.say(ringing)
    assert wire.say(ringing) == []
    assert wire.say(response_text(invite, 183, extra=reliably(9))) == []
    assert wire.wait(0.5) == [first], "by its own timer"
    wire.say(response_text(first, 200))  # type: ignore[arg-type]
    (second,) = wire.say(response_text(invite, 183, extra=reliably(8), body=SDP))
    assert second.get("RAck") == "8 1 INVITE" and second.cseq.number == 3
    assert wire.events() == [CallRinging(session, 180, None), CallRinging(session, 183, SDP)]


def test_the_description_of_a_reliable_response_counts_when_the_2xx_has_none() -> None:
    wire = Wire()
    session, invite = calls(wire)
    wire.say(response_text(invite, 183, extra=reliably(1), body=SDP))
    (ack,) = wire.say(response_text(invite, 200))
    assert names([ack]) == ["ACK"] and wire.events()[-1] == CallAnswered(session, SDP)
    wire.endpoint.hang_up(session, wire.now)
    (bye,) = wire.heard()
    assert bye.cseq.number == 3, "behind the PRACK"


def test_each_branch_of_a_fork_counts_for_itself() -> None:
    wire = Wire()
    _, invite = calls(wire)
    for tag, number in (("one", 7), ("two", 4000), ("one", 8), ("two", 4001)):
        (sent,) = wire.say(response_text(invite, 180, tag=tag, extra=reliably(number)))
        assert sent.to.tag == tag and sent.get("RAck") == f"{number} 1 INVITE"


def update(session: Session, *, body: bytes = b"", cseq: int = 1) -> bytes:
    """UPDATE of the called side in its early dialog."""
    (dialog,) = session.early
    text = request_text(
        "UPDATE",
        cseq=cseq,
        branch=f"z9hG4bKu{cseq}",
        call_id=session.call_id,
        from_tag=dialog.remote.tag,
        to_tag=dialog.local.tag,
        body=body,
    )
    return text


def test_the_called_side_may_offer_anew_before_it_answers_once_it_has_described_itself() -> None:
    wire = Wire()
    session, invite = calls(wire)
    wire.say(response_text(invite, 183, extra=reliably(1), body=SDP))
    wire.events()
    assert wire.say(update(session, body=SDP)) == []
    assert wire.events() == [MediaOffered(session, SDP)]
    wire.endpoint.accept_media(session, SDP, wire.now)
    (ok,) = wire.heard()
    assert isinstance(ok, Response) and (ok.status, ok.body) == (200, SDP) and ok.contact is not None
    wire.say(response_text(invite, 200))
    assert wire.events() == [CallAnswered(session, SDP)]


@pytest.mark.parametrize("extra", ["", reliably(1)])
def test_an_update_that_offers_while_our_offer_has_no_answer_is_491(extra: str) -> None:
    wire = Wire()
    session, invite = calls(wire)
    wire.say(response_text(invite, 180, extra=extra))
    wire.events()
    assert names(wire.say(update(session, body=SDP))) == [491] and wire.events() == []


def test_an_update_without_an_offer_is_answered_in_an_early_dialog_too() -> None:
    wire = Wire()
    session, invite = calls(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    (ok,) = wire.say(update(session))
    assert isinstance(ok, Response) and ok.status == 200 and wire.events() == []


def test_the_description_of_a_plain_provisional_response_counts_when_the_2xx_has_none() -> None:
    wire = Wire()
    session, invite = calls(wire)
    wire.say(response_text(invite, 183, body=SDP))
    wire.say(response_text(invite, 200))
    assert wire.events()[-1] == CallAnswered(session, SDP)


@pytest.mark.parametrize("number", ["", "x", "-1", "4294967296"])
def test_a_reliable_response_with_a_broken_number_is_ignored(number: str) -> None:
    wire = Wire()
    _, invite = calls(wire)
    assert wire.say(response_text(invite, 180, extra=reliably(number))) == []
    assert wire.events() == []


def test_a_response_that_only_says_it_is_reliable_is_a_plain_one() -> None:
    wire = Wire()
    session, invite = calls(wire)
    assert wire.say(response_text(invite, 180, extra=REQUIRED)) == []
    assert wire.events() == [CallRinging(session, 180, None)]


def test_a_challenge_to_the_prack_is_answered() -> None:
    wire = Wire()
    _, invite = calls(wire)
    (sent,) = wire.say(response_text(invite, 180, extra=reliably(7)))
    assert isinstance(sent, Request)
    challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n"\r\n'
    (again,) = wire.say(response_text(sent, 407, extra=challenge))
    assert isinstance(again, Request) and again.method == "PRACK" and again.cseq.number == 3
    assert again.get("Proxy-Authorization")


def test_after_our_cancel_nothing_is_acknowledged_any_more() -> None:
    wire = Wire()
    session, invite = calls(wire)
    wire.say(response_text(invite, 180))
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    assert wire.say(response_text(invite, 183, extra=reliably(1))) == []


# Both ends ours.


@pytest.mark.parametrize("lost", ["180 INVITE", "183 INVITE", "PRACK", "200 PRACK", "200 INVITE", "ACK"])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_call_with_early_sound_survives_loss(lost: str, times: int) -> None:
    left = [times]

    def lose(packet: Packet) -> bool:
        if packet.name != lost or not left[0]:
            return False
        left[0] -= 1
        return True

    pair = Pair(lose=lose)

    def owner(event: Event) -> None:
        if isinstance(event, IncomingCall):
            pair.b.endpoint.ring(event.session, pair.now)
            pair.b.endpoint.progress(event.session, SDP, pair.now)
            pair.b.endpoint.answer(event.session, SDP, pair.now)

    pair.b.on_event = owner
    session = pair.a.endpoint.invite(
        to="sip:b@192.0.2.10",
        from_uri="sip:a@b",
        sdp=SDP,
        flow=pair.a.flow,
        headers=(("Require", "100rel"),),
        now=pair.now,
    )
    pair.run(30)
    assert session.state is State.ESTABLISHED
    assert "CallAcknowledged" in pair.b.told() and "CallAnswered" in pair.a.told()
    answered = next(e for e in pair.a.events if isinstance(e, CallAnswered))
    assert answered.sdp == SDP
    pair.a.endpoint.hang_up(session, pair.now)
    pair.run(100)
    for side in (pair.a, pair.b):
        assert not any(side.endpoint.size().values())
