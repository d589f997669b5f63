"""Offers within a call: re-INVITE both ways, UPDATE, glare."""

import pytest

from sip.events import CallEnded, IncomingCall, MediaAnswered, MediaOffered, MediaRefused
from sip.message import Request, Response
from sip.session import Session
from tests.support.sip_pair import SDP, Pair, Wire, request_text, response_text

NEW = SDP.replace(b"4000", b"5000")


def established(wire: Wire, *, offer: bytes = SDP) -> tuple[Session, str]:
    """An inbound call after its ACK; with our To tag."""
    wire.say(request_text("INVITE", body=offer))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    wire.endpoint.answer(event.session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=tag))
    wire.events()
    return event.session, tag


def reinvite_text(
    tag: str, *, cseq: int = 2, body: bytes = NEW, method: str = "INVITE", extra: str = ""
) -> bytes:
    return request_text(
        method, branch=f"z9hG4bKre{cseq}{method}", cseq=cseq, to_tag=tag, body=body, extra=extra
    )


def ack_text(tag: str, *, cseq: int = 2, body: bytes = b"") -> bytes:
    return request_text("ACK", branch=f"z9hG4bKack{cseq}", cseq=cseq, to_tag=tag, body=body)


def statuses(messages: list[Request | Response]) -> list[int | str]:
    return [m.status if isinstance(m, Response) else m.method for m in messages]


def ours(wire: Wire, session: Session, sdp: bytes = NEW) -> Request:
    """Our re-INVITE."""
    wire.endpoint.reinvite(session, sdp, wire.now)
    (sent,) = wire.heard()
    assert isinstance(sent, Request) and sent.method == "INVITE" and sent.to.tag
    return sent


def test_a_reinvite_is_told_answered_and_acknowledged() -> None:
    wire = Wire()
    session, tag = established(wire)
    assert statuses(wire.say(reinvite_text(tag))) == [100]
    assert wire.events() == [MediaOffered(session, NEW)]
    wire.endpoint.accept_media(session, SDP, wire.now)
    (ok,) = wire.heard()
    assert statuses([ok]) == [200] and ok.sdp == SDP and ok.to.tag == tag and ok.contact
    assert statuses(wire.wait(0.6)) == [200], "repeated until the ACK"
    wire.say(ack_text(tag))
    assert wire.wait(60) == [] and wire.events() == [] and not session.ended


def test_a_reinvite_without_offer_asks_for_ours_and_brings_the_answer_in_its_ack() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag, body=b""))
    assert wire.events() == [MediaOffered(session, None)]
    wire.endpoint.accept_media(session, NEW, wire.now)
    wire.say(ack_text(tag, body=SDP))
    assert wire.events() == [MediaAnswered(session, SDP)]


def test_a_reinvite_may_be_refused_and_the_call_goes_on() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag))
    wire.endpoint.refuse_media(session, 488, wire.now, 'no "codec"')
    (refusal,) = wire.heard()
    assert isinstance(refusal, Response) and (refusal.status, refusal.reason) == (488, 'no "codec"')
    assert refusal.get("Warning") == '399 192.0.2.10:5060 "no \\"codec\\""'
    wire.say(request_text("ACK", branch="z9hG4bKre2INVITE", cseq=2, to_tag=tag))
    wire.events()
    assert wire.wait(60) == [] and wire.events() == [] and not session.ended


def test_a_reinvite_that_is_never_acknowledged_ends_the_call() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag))
    wire.endpoint.accept_media(session, SDP, wire.now)
    wire.events()
    assert statuses(wire.wait(32.1))[-1] == "BYE"
    (event,) = wire.events()
    assert isinstance(event, CallEnded) and session.ended


def test_a_cancelled_reinvite_is_487_and_needs_no_answer() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag))
    cancel = request_text("CANCEL", branch="z9hG4bKre2INVITE", cseq=2, to_tag=tag)
    assert statuses(wire.say(cancel)) == [200, 487]
    wire.endpoint.accept_media(session, SDP, wire.now)
    assert wire.heard() == [] and not session.ended


def test_a_second_reinvite_before_the_answer_is_500_with_a_time_to_wait() -> None:
    wire = Wire()
    _, tag = established(wire)
    wire.say(reinvite_text(tag))
    (refused,) = wire.say(reinvite_text(tag, cseq=3))
    assert statuses([refused]) == [500]
    assert 0 <= int(refused.get("Retry-After") or "x") <= 10


def test_a_reinvite_before_the_call_is_answered_is_500() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    session = wire.events()[0].session
    wire.endpoint.ring(session, wire.now)
    tag = wire.heard()[-1].to.tag
    assert statuses(wire.say(reinvite_text(tag))) == [500]


def test_a_reinvite_while_ours_is_under_way_is_491() -> None:
    wire = Wire()
    session, tag = established(wire)
    reinvite = ours(wire, session)
    assert statuses(wire.say(reinvite_text(tag))) == [491]
    assert statuses(wire.say(response_text(reinvite, 200, body=SDP))) == ["ACK"]
    assert wire.events() == [MediaAnswered(session, SDP)]


def test_a_reinvite_while_our_offer_waits_for_its_ack_is_491() -> None:
    wire = Wire()
    wire.say(request_text("INVITE"))
    session = wire.events()[0].session
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    assert statuses(wire.say(reinvite_text(tag))) == [491]


def test_an_update_is_answered_without_retransmission() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag, method="UPDATE"))
    assert wire.events() == [MediaOffered(session, NEW)]
    wire.endpoint.accept_media(session, SDP, wire.now)
    (ok,) = wire.heard()
    assert statuses([ok]) == [200] and ok.sdp == SDP and ok.contact
    assert wire.wait(60) == [] and not session.ended


def test_an_update_without_offer_is_answered_at_once() -> None:
    wire = Wire()
    _, tag = established(wire)
    assert statuses(wire.say(reinvite_text(tag, method="UPDATE", body=b""))) == [200]
    assert wire.events() == []


def test_an_update_that_overlaps_is_refused() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag))
    assert statuses(wire.say(reinvite_text(tag, method="UPDATE", cseq=3))) == [500]
    wire.endpoint.refuse_media(session, 488, wire.now)
    wire.heard()
    ours(wire, session)
    assert statuses(wire.say(reinvite_text(tag, method="UPDATE", cseq=4))) == [491]


@pytest.mark.parametrize("extra", ["Require: join\r\n"])
def test_a_reinvite_that_requires_too_much_is_420(extra: str) -> None:
    wire = Wire()
    session, tag = established(wire)
    (refused,) = wire.say(reinvite_text(tag, extra=extra))
    assert statuses([refused]) == [420] and refused.get("Unsupported") == "join"
    assert wire.events() == [] and not session.ended


def test_our_reinvite_carries_the_offer_in_the_dialog() -> None:
    wire = Wire()
    session, tag = established(wire)
    reinvite = ours(wire, session)
    assert reinvite.sdp == NEW and reinvite.from_.tag == tag and reinvite.to.tag == "phone"
    assert reinvite.contact is not None and reinvite.cseq.number == 1
    (ack,) = wire.say(response_text(reinvite, 200, body=SDP))
    assert ack.cseq.number == 1 and ack.cseq.method == "ACK"
    assert wire.say(response_text(reinvite, 200, body=SDP)) == [ack]
    assert wire.events() == [MediaAnswered(session, SDP)]


def test_our_reinvite_may_be_refused_and_the_call_goes_on() -> None:
    wire = Wire()
    session, _ = established(wire)
    reinvite = ours(wire, session)
    assert statuses(wire.say(response_text(reinvite, 488))) == ["ACK"]
    assert wire.events() == [MediaRefused(session, 488)] and not session.ended
    ours(wire, session)


@pytest.mark.parametrize("status", [481, 408])
def test_a_peer_that_does_not_know_the_call_ends_it(status: int) -> None:
    wire = Wire()
    session, _ = established(wire)
    reinvite = ours(wire, session)
    assert statuses(wire.say(response_text(reinvite, status))) == ["ACK", "BYE"]
    (event,) = wire.events()
    assert isinstance(event, CallEnded) and session.ended


def test_a_reinvite_without_any_response_ends_the_call() -> None:
    wire = Wire()
    session, _ = established(wire)
    ours(wire, session)
    assert statuses(wire.wait(32.1))[-1] == "BYE"
    assert wire.told() == ["CallEnded"]


def test_a_reinvite_that_is_only_trying_blocks_nobody_for_ever() -> None:
    wire = Wire()
    session, tag = established(wire)
    reinvite = ours(wire, session)
    wire.say(response_text(reinvite, 100))
    wire.wait(32.1)
    assert wire.events() == [MediaRefused(session, 408)] and not session.ended
    assert statuses(wire.say(reinvite_text(tag))) == [100]


def test_a_reinvite_on_a_dead_flow_ends_the_call() -> None:
    wire = Wire()
    session, _ = established(wire)
    ours(wire, session)
    wire.endpoint.flow_lost(wire.sent[-1][2], wire.now)
    assert wire.told() == ["CallEnded"]


def test_our_offer_waits_for_the_ack_and_for_the_peers_offer() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    session = wire.events()[0].session
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.endpoint.reinvite(session, b"first", wire.now)
    wire.endpoint.reinvite(session, NEW, wire.now)
    assert wire.heard() == []
    (reinvite,) = wire.say(ack_text(tag, cseq=1))
    assert reinvite.body == NEW, "the newest offer counts"
    assert isinstance(reinvite, Request)
    wire.say(response_text(reinvite, 200, body=SDP))
    wire.say(reinvite_text(tag))
    wire.endpoint.reinvite(session, NEW, wire.now)
    assert wire.heard() == []
    wire.endpoint.accept_media(session, SDP, wire.now)
    assert statuses(wire.heard()) == [200]
    assert statuses(wire.say(ack_text(tag))) == ["INVITE"]


def test_our_second_offer_waits_for_the_first() -> None:
    wire = Wire()
    session, _ = established(wire)
    first = ours(wire, session)
    wire.endpoint.reinvite(session, b"v=0\r\n", wire.now)
    assert wire.heard() == []
    ack, second = wire.say(response_text(first, 200, body=SDP))
    assert statuses([ack, second]) == ["ACK", "INVITE"] and second.body == b"v=0\r\n"


def test_after_a_glare_the_called_side_waits_up_to_two_seconds() -> None:
    for _ in range(5):
        wire = Wire()
        session, _ = established(wire)
        reinvite = ours(wire, session)
        wire.say(response_text(reinvite, 491))
        assert wire.events() == []
        started = wire.now
        (again,) = [m for m in wire.wait(2.05) if isinstance(m, Request) and m.method == "INVITE"][:1]
        at = next(t for t, m, _ in wire.sent if m is again) + 1000 - started
        assert 0 <= at <= 2.0 and round(at * 100) == pytest.approx(at * 100, abs=1e-6)
        assert again.body == NEW and again.cseq.number == 2


def test_after_a_glare_the_calling_side_waits_two_to_four_seconds() -> None:
    wire = Wire()
    session = wire.endpoint.invite(
        to="sip:bob@192.0.2.1", from_uri="sip:room@a", sdp=SDP, flow=wire.flow, now=wire.now
    )
    invite = wire.heard()[-1]
    assert isinstance(invite, Request)
    wire.say(response_text(invite, 200, body=SDP))
    reinvite = ours(wire, session)
    wire.say(response_text(reinvite, 491))
    assert wire.wait(2.09) == []
    assert statuses(wire.wait(1.95))[:1] == ["INVITE"]


def test_a_bye_ends_all_that_is_open() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag))
    wire.events()
    assert statuses(wire.say(request_text("BYE", branch="z9hG4bKbye", cseq=3, to_tag=tag))) == [200, 487]
    wire.endpoint.accept_media(session, SDP, wire.now)
    assert wire.told() == ["CallEnded"]


def test_hanging_up_answers_the_open_offer() -> None:
    wire = Wire()
    session, tag = established(wire)
    wire.say(reinvite_text(tag))
    wire.heard()
    wire.endpoint.hang_up(session, wire.now)
    assert statuses(wire.heard()) == [487, "BYE"]


def test_a_200_to_our_reinvite_after_the_end_is_still_acknowledged() -> None:
    wire = Wire()
    session, _ = established(wire)
    reinvite = ours(wire, session)
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    assert statuses(wire.say(response_text(reinvite, 200, body=SDP))) == ["ACK"]
    assert wire.events() == []


def test_when_both_sides_offer_at_once_both_get_their_turn() -> None:
    pair = Pair()
    calls: list[Session] = []

    def on_b(event: object) -> None:
        if isinstance(event, IncomingCall):
            calls.append(event.session)
            pair.b.endpoint.answer(event.session, SDP, pair.now)
        elif isinstance(event, MediaOffered):
            pair.b.endpoint.accept_media(event.session, SDP, pair.now)

    def on_a(event: object) -> None:
        if isinstance(event, MediaOffered):
            pair.a.endpoint.accept_media(event.session, SDP, pair.now)

    pair.a.on_event, pair.b.on_event = on_a, on_b
    session = pair.a.endpoint.invite(
        to="sip:b@192.0.2.10", from_uri="sip:a@192.0.2.1", sdp=SDP, flow=pair.a.flow, now=pair.now
    )
    pair.run(1)
    pair.a.endpoint.reinvite(session, b"from a", pair.now)
    pair.b.endpoint.reinvite(calls[0], b"from b", pair.now)
    pair.run(10)
    assert pair.names().count("491 INVITE") >= 2
    assert "MediaAnswered" in pair.a.told() and "MediaAnswered" in pair.b.told()
    assert not session.ended and not calls[0].ended
    bodies = [p.message.body for p in pair.log if p.name == "INVITE"]
    assert bodies[-2:].count(b"from a") + bodies[-2:].count(b"from b") == 2
