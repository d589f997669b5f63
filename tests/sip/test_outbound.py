"""Calls that we make, in bytes and virtual time."""

import pytest

from sip.errors import SipError
from sip.events import CallAnswered, CallEnded, CallFailed, CallRinging, IncomingCall
from sip.flow import Flow
from sip.message import Request, Response, parse
from sip.reason import Reason
from sip.session import Session, State
from tests.support.sip_pair import PHONE, SDP, SERVER, Wire, config, request_text, response_text

FLOW = Flow("udp", SERVER, PHONE)
CHALLENGE = 'WWW-Authenticate: Digest realm="trunk", nonce="{}", qop="auth"{}\r\n'


def call(wire: Wire, **changes: object) -> tuple[Session, Request]:
    """Our INVITE."""
    given: dict[str, object] = {
        "to": "sip:bob@192.0.2.1",
        "from_uri": "sip:room@mixminus.example",
        "sdp": SDP,
    }
    session = wire.endpoint.invite(**{**given, "flow": wire.flow, "now": wire.now, **changes})  # type: ignore[arg-type]
    invite = wire.heard()[-1]
    assert isinstance(invite, Request)
    return session, invite


def answered(wire: Wire, **changes: object) -> tuple[Session, Request]:
    session, invite = call(wire, **changes)
    wire.say(response_text(invite, 200, body=SDP))
    wire.events()
    assert session.state is State.ESTABLISHED
    return session, invite


def methods(messages: list[Request | Response]) -> list[int | str]:
    return [m.method if isinstance(m, Request) else m.status for m in messages]


def assert_empty(wire: Wire) -> None:
    wire.wait(140)
    assert wire.endpoint.size() == dict.fromkeys(wire.endpoint.size(), 0)


def test_an_invite_has_all_it_needs() -> None:
    wire = Wire()
    session, invite = call(wire, display_name='Room "1"', headers=(("X-Account", "9900000"),))
    invite.check()
    assert invite.uri == "sip:bob@192.0.2.1" and str(invite.to) == "<sip:bob@192.0.2.1>"
    assert invite.from_.display_name == 'Room "1"' and invite.from_.tag
    assert str(invite.contact) == "<sip:room@192.0.2.10:5060>"
    assert invite.via.sent_by == SERVER and invite.via.wants_rport
    assert invite.get("Max-Forwards") == "70" and invite.get("X-Account") == "9900000"
    assert "BYE" in (invite.get("Allow") or "") and invite.sdp == SDP
    assert session.direction == "outbound" and session.state is State.EARLY


def test_a_request_uri_over_tcp_is_matched_by_our_contact() -> None:
    wire = Wire(transport="tcp")
    _, invite = call(wire, to="sip:bob@192.0.2.1;transport=tcp")
    assert invite.via.transport == "TCP"
    assert str(invite.contact) == "<sip:room@192.0.2.10:5060;transport=tcp>"


@pytest.mark.parametrize("to", ["bob", "tel:+1555", "sip:", "sip:a b@c"])
def test_a_bad_address_is_an_error_before_anything_is_sent(to: str) -> None:
    wire = Wire()
    with pytest.raises(SipError):
        wire.endpoint.invite(to=to, from_uri="sip:a@b", sdp=SDP, flow=FLOW, now=wire.now)
    assert wire.heard() == [] and wire.endpoint.size()["sessions"] == 0


def test_ringing_and_the_answer_are_told_and_the_ack_is_sent() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 100))
    wire.say(response_text(invite, 180))
    wire.say(response_text(invite, 183, body=SDP))
    (ack,) = wire.say(response_text(invite, 200, body=SDP))
    assert wire.events() == [
        CallRinging(session, 180, None),
        CallRinging(session, 183, SDP),
        CallAnswered(session, SDP),
    ]
    assert isinstance(ack, Request) and ack.method == "ACK"
    assert ack.uri == "sip:bob@192.0.2.1:5060" and ack.to.tag == "far" and ack.cseq.number == 1
    assert ack.via.branch != invite.via.branch
    assert wire.wait(100) == []


def test_a_repeated_200_gets_the_same_ack_and_is_told_once() -> None:
    wire = Wire()
    _, invite = call(wire)
    first = wire.say(response_text(invite, 200, body=SDP))
    wire.wait(0.5)
    assert wire.say(response_text(invite, 200, body=SDP)) == first
    assert wire.told() == ["CallAnswered"]


@pytest.mark.parametrize("status", [302, 404, 486, 500, 603])
def test_a_refusal_is_acknowledged_and_told_once(status: int) -> None:
    wire = Wire()
    session, invite = call(wire)
    (ack,) = wire.say(response_text(invite, status, reason="No"))
    assert (
        isinstance(ack, Request) and ack.via == invite.via and ack.to.tag == "far" and ack.uri == invite.uri
    )
    wire.say(response_text(invite, status, reason="No"))
    assert wire.events() == [CallFailed(session, status, "No")]
    assert_empty(wire)


def test_no_response_at_all_is_408_after_32_seconds() -> None:
    wire = Wire()
    session, _ = call(wire)
    wire.wait(31.9)
    assert wire.events() == []
    wire.wait(0.2)
    assert wire.events() == [CallFailed(session, 408, "Request Timeout")]
    assert wire.times(lambda m: isinstance(m, Request)) == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert_empty(wire)


def test_a_lost_flow_is_503() -> None:
    wire = Wire()
    session, _ = call(wire)
    wire.endpoint.flow_lost(wire.flow, wire.now)
    assert wire.events() == [CallFailed(session, 503, "Transport failed")]
    assert_empty(wire)


def test_a_peer_that_has_rung_is_waited_for_without_end() -> None:
    wire = Wire()
    _, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    assert wire.wait(3600) == [] and wire.events() == []


def test_the_peer_hangs_up() -> None:
    wire = Wire()
    session, invite = answered(wire)
    bye = request_text(
        "BYE", branch="z9hG4bKbye", call_id=invite.call_id, from_tag="far", to_tag=invite.from_.tag
    )
    assert methods(wire.say(bye)) == [200]
    assert wire.events() == [CallEnded(session, "BYE")]
    assert_empty(wire)


def test_we_hang_up() -> None:
    wire = Wire()
    session, _ = answered(wire)
    wire.heard()
    wire.endpoint.hang_up(session, wire.now, Reason(16, "done", "Q.850"))
    (bye,) = wire.heard()
    assert isinstance(bye, Request) and bye.method == "BYE" and bye.cseq.number == 2
    assert bye.get("Reason") == 'Q.850;cause=16;text="done"'
    assert wire.say(response_text(bye, 200)) == [] and wire.events() == []
    assert_empty(wire)


def test_routes_are_taken_in_reverse_from_the_answer() -> None:
    wire = Wire()
    _, invite = call(wire)
    routes = "Record-Route: <sip:192.0.2.61;lr>\r\nRecord-Route: <sip:192.0.2.60;lr>\r\n"
    (ack,) = wire.say(response_text(invite, 200, extra=routes, body=SDP))
    assert ack.get_all("Route") == ["<sip:192.0.2.60;lr>", "<sip:192.0.2.61;lr>"]
    assert wire.sent[-1][2].remote == ("192.0.2.60", 5060)


# CANCEL in all races.


def test_a_cancel_waits_for_the_first_provisional_response() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.endpoint.hang_up(session, wire.now, Reason(200, "elsewhere"))
    assert wire.heard() == []
    (cancel,) = wire.say(response_text(invite, 100))
    assert isinstance(cancel, Request) and cancel.method == "CANCEL"
    assert cancel.via == invite.via and cancel.uri == invite.uri
    assert (cancel.from_, cancel.to, cancel.call_id) == (invite.from_, invite.to, invite.call_id)
    assert cancel.cseq.number == invite.cseq.number
    assert cancel.get("Reason") == 'SIP;cause=200;text="elsewhere"'
    wire.say(response_text(cancel, 200))
    assert methods(wire.say(response_text(invite, 487, reason="Request Terminated"))) == ["ACK"]
    assert wire.events() == [CallFailed(session, 487, "Request Terminated")]
    assert_empty(wire)


def test_a_cancel_after_ringing_goes_out_at_once_and_once() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.endpoint.hang_up(session, wire.now)
    wire.endpoint.hang_up(session, wire.now)
    (cancel,) = wire.heard()
    assert methods([cancel]) == ["CANCEL"]
    assert isinstance(cancel, Request)
    wire.say(response_text(cancel, 200))
    assert wire.say(response_text(invite, 180)) == []
    assert wire.told() == ["CallRinging"], "no ringing is told after the hang-up"


def test_no_cancel_is_sent_when_the_answer_comes_first() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.endpoint.hang_up(session, wire.now)
    assert methods(wire.say(response_text(invite, 200, body=SDP))) == ["ACK", "BYE"]
    assert wire.events() == [CallFailed(session, 487, "Request Terminated")]


def test_a_200_that_crosses_our_cancel_is_acknowledged_and_ended() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    wire.endpoint.hang_up(session, wire.now, Reason(487, "gone"))
    wire.heard()
    ack, bye = wire.say(response_text(invite, 200, body=SDP))
    assert methods([ack, bye]) == ["ACK", "BYE"] and bye.to.tag == "far"
    assert bye.get("Reason") == 'SIP;cause=487;text="gone"'
    assert wire.say(response_text(invite, 200, body=SDP)) == [ack]
    assert wire.events() == [CallFailed(session, 487, "Request Terminated")]
    assert isinstance(bye, Request)
    wire.say(response_text(bye, 200))
    assert_empty(wire)


def test_a_refusal_that_crosses_our_cancel_is_the_end() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    wire.endpoint.hang_up(session, wire.now)
    wire.say(response_text(invite, 486, reason="Busy"))
    assert wire.events() == [CallFailed(session, 486, "Busy")]
    assert_empty(wire)


def test_a_cancel_that_is_ignored_ends_the_call_after_32_seconds() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    wire.endpoint.hang_up(session, wire.now)
    wire.wait(31.9)
    assert wire.events() == []
    wire.wait(0.2)
    assert wire.events() == [CallFailed(session, 487, "Request Terminated")]
    wire.heard()
    assert methods(wire.say(response_text(invite, 200, body=SDP))) == ["ACK", "BYE"], (
        "late, and still ended properly"
    )
    assert wire.events() == []
    assert_empty(wire)


def test_hanging_up_on_silence_is_the_time_out() -> None:
    wire = Wire()
    session, _ = call(wire)
    wire.endpoint.hang_up(session, wire.now)
    wire.wait(33)
    assert wire.events() == [CallFailed(session, 408, "Request Timeout")]
    assert_empty(wire)


def test_a_late_200_after_our_time_out_is_acknowledged_and_ended() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.wait(33)
    assert wire.events() == [CallFailed(session, 408, "Request Timeout")]
    wire.heard()
    ack, bye = wire.say(response_text(invite, 200, body=SDP))
    assert methods([ack, bye]) == ["ACK", "BYE"]
    assert wire.say(response_text(invite, 200, body=SDP)) == [ack]
    assert wire.events() == []
    assert_empty(wire)
    wire.heard()
    assert wire.say(response_text(invite, 200, body=SDP)) == [], "after another 32 s nobody knows it"


def test_the_second_answer_of_a_fork_is_acknowledged_and_ended() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180, tag="one"))
    wire.say(response_text(invite, 180, tag="two"))
    assert methods(wire.say(response_text(invite, 200, tag="two", body=SDP))) == ["ACK"]
    ack, bye = wire.say(response_text(invite, 200, tag="one", body=SDP))
    assert methods([ack, bye]) == ["ACK", "BYE"] and bye.to.tag == "one"
    assert wire.say(response_text(invite, 200, tag="one", body=SDP)) == [ack]
    assert wire.told() == ["CallRinging", "CallRinging", "CallAnswered"]
    assert session.state is State.ESTABLISHED
    wire.endpoint.hang_up(session, wire.now)
    assert wire.heard()[-1].to.tag == "two"


def test_an_answer_after_the_call_is_over_is_acknowledged_and_ended() -> None:
    wire = Wire()
    session, invite = answered(wire)
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    assert methods(wire.say(response_text(invite, 200, tag="fork", body=SDP))) == ["ACK", "BYE"]
    assert wire.events() == []


# Challenges.


def test_a_challenge_is_answered_with_the_credentials() -> None:
    wire = Wire()
    session, invite = call(wire, credentials=("user", "secret"))
    ack, again = wire.say(response_text(invite, 401, extra=CHALLENGE.format("n1", "")))
    assert methods([ack, again]) == ["ACK", "INVITE"]
    assert again.cseq.number == 2 and again.call_id == invite.call_id and again.from_ == invite.from_
    assert again.via.branch != invite.via.branch and not again.to.tag
    given = again.get("Authorization") or ""
    assert 'username="user"' in given and 'nonce="n1"' in given and 'uri="sip:bob@192.0.2.1"' in given
    assert "secret" not in repr(session)
    assert isinstance(again, Request)
    (ack,) = wire.say(response_text(again, 200, body=SDP))
    assert ack.get("Authorization") == given and ack.cseq.number == 2
    assert wire.told() == ["CallAnswered"]


def test_a_proxy_and_then_the_callee_may_ask() -> None:
    wire = Wire()
    _, invite = call(wire, credentials=("user", "secret"))
    proxy = CHALLENGE.format("p1", "").replace("WWW-Authenticate", "Proxy-Authenticate")
    second = wire.say(response_text(invite, 407, extra=proxy))[-1]
    assert isinstance(second, Request) and second.get("Proxy-Authorization")
    third = wire.say(response_text(second, 401, extra=CHALLENGE.format("n1", "")))[-1]
    assert third.get("Proxy-Authorization") and third.get("Authorization")


def test_the_same_nonce_again_means_a_wrong_password() -> None:
    wire = Wire()
    session, invite = call(wire, credentials=("user", "wrong"))
    again = wire.say(response_text(invite, 401, extra=CHALLENGE.format("n1", "")))[-1]
    assert isinstance(again, Request)
    assert methods(
        wire.say(response_text(again, 401, extra=CHALLENGE.format("n1", ",stale=true"), reason="No"))
    ) == ["ACK"]
    assert wire.events() == [CallFailed(session, 401, "No")]


def test_a_new_nonce_is_answered_only_when_the_old_one_is_stale() -> None:
    for stale, expected in ((",stale=true", ["ACK", "INVITE"]), ("", ["ACK"])):
        wire = Wire()
        _, invite = call(wire, credentials=("user", "secret"))
        again = wire.say(response_text(invite, 401, extra=CHALLENGE.format("n1", "")))[-1]
        assert isinstance(again, Request)
        assert methods(wire.say(response_text(again, 401, extra=CHALLENGE.format("n2", stale)))) == expected


def test_a_peer_that_calls_every_nonce_stale_is_given_up() -> None:
    wire = Wire()
    _, invite = call(wire, credentials=("user", "secret"))
    count = 0
    while True:
        heard = wire.say(response_text(invite, 401, extra=CHALLENGE.format(f"n{count}", ",stale=true")))
        if methods(heard) == ["ACK"]:
            break
        count += 1
        assert count < 20 and isinstance(heard[-1], Request)
        invite = heard[-1]
    assert wire.told() == ["CallFailed"]


def test_a_challenge_without_credentials_is_the_end() -> None:
    wire = Wire()
    _, invite = call(wire)
    assert methods(wire.say(response_text(invite, 401, extra=CHALLENGE.format("n1", "")))) == ["ACK"]
    assert wire.told() == ["CallFailed"]


@pytest.mark.parametrize(
    "extra", ["", "WWW-Authenticate: Basic realm=x\r\n", 'WWW-Authenticate: Digest "\r\n']
)
def test_a_challenge_that_makes_no_sense_is_the_end(extra: str) -> None:
    wire = Wire()
    _, invite = call(wire, credentials=("user", "secret"))
    assert methods(wire.say(response_text(invite, 401, extra=extra))) == ["ACK"]
    assert wire.told() == ["CallFailed"]


def test_no_challenge_is_answered_after_the_hang_up() -> None:
    wire = Wire()
    session, invite = call(wire, credentials=("user", "secret"))
    wire.endpoint.hang_up(session, wire.now)
    assert methods(wire.say(response_text(invite, 401, extra=CHALLENGE.format("n1", "")))) == ["ACK"]
    assert wire.told() == ["CallFailed"]


def test_a_challenged_bye_is_said_again_with_credentials() -> None:
    wire = Wire()
    session, _ = answered(wire, credentials=("user", "secret"))
    wire.heard()
    wire.endpoint.hang_up(session, wire.now)
    (bye,) = wire.heard()
    assert isinstance(bye, Request)
    (again,) = wire.say(response_text(bye, 401, extra=CHALLENGE.format("b1", "")))
    assert isinstance(again, Request) and again.method == "BYE" and again.cseq.number == 3
    assert again.get("Authorization")
    wire.say(response_text(again, 200))
    assert_empty(wire)


def test_nobody_but_the_one_asked_learns_a_digest() -> None:
    """The peer moves the call to another host, which then asks for credentials."""
    wire = Wire()
    session, invite = call(wire, credentials=("user", "secret"))
    moved = response_text(invite, 200, body=SDP).replace(b"<sip:bob@192.0.2.1:5060>", b"<sip:bob@8.8.4.4>")
    wire.say(moved)
    wire.endpoint.reinvite(session, SDP, wire.now)
    reinvite = wire.heard()[-1]
    assert isinstance(reinvite, Request) and wire.sent[-1][2].remote == ("8.8.4.4", 5060)
    heard = wire.say(response_text(reinvite, 401, extra=CHALLENGE.format("n1", "")))
    assert methods(heard) == ["ACK"]


def test_a_caller_never_answers_a_challenge_to_a_call_that_came_in() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    session = wire.events()[0].session
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request_text("ACK", branch="z9hG4bKa", to_tag=tag))
    wire.endpoint.reinvite(session, SDP, wire.now)
    reinvite = wire.heard()[-1]
    assert isinstance(reinvite, Request)
    assert methods(wire.say(response_text(reinvite, 401, extra=CHALLENGE.format("n1", "")))) == ["ACK"]
    assert wire.told()[-1] == "MediaRefused"


# Responses that are none of ours.


@pytest.mark.parametrize("status", [100, 180, 200, 486])
def test_a_stray_response_is_counted_and_dropped(status: int) -> None:
    wire = Wire()
    other = parse(request_text("INVITE", branch="z9hG4bKnobody"))
    assert isinstance(other, Request)
    assert wire.say(response_text(other, status)) == [] and wire.events() == []
    assert wire.endpoint.statistics["stray_responses"] == 1


def test_a_broken_response_is_dropped_before_it_moves_anything() -> None:
    wire = Wire()
    session, invite = call(wire)
    good = response_text(invite, 200, body=SDP)
    for bad in (
        good.replace(b"<sip:bob@192.0.2.1:5060>", b'"'),
        good.replace(b"CSeq: 1", b"CSeq: x"),
        good.replace(b"Content-Length: ", b"Content-Length: 9"),
        good.replace(b"SIP/2.0 200 ", b"SIP/2.0 2000 "),
        good.replace(b"Content-Type", b"Record-Route: <\r\nContent-Type"),
    ):
        assert wire.say(bad) == [] and wire.events() == []
    assert wire.endpoint.statistics["malformed"] == 5
    wire.say(good)
    assert wire.events() == [CallAnswered(session, SDP)]


def test_a_response_for_another_address_of_ours_is_not_forwarded() -> None:
    wire = Wire()
    other = parse(request_text("OPTIONS", branch="z9hG4bKx", extra="Via: SIP/2.0/UDP 255.255.255.255\r\n"))
    assert isinstance(other, Request)
    assert wire.say(response_text(other, 200)) == []


def test_a_stolen_early_dialog_is_no_way_in() -> None:
    wire = Wire(config())
    _, invite = call(wire)
    wire.say(response_text(invite, 180))
    wire.events()
    for method in ("INVITE", "UPDATE"):
        text = request_text(
            method,
            branch=f"z9hG4bK{method}",
            call_id=invite.call_id,
            from_tag="far",
            to_tag=invite.from_.tag,
            body=SDP,
        )
        assert methods(wire.say(text)) == [491]
    assert wire.events() == []


def test_a_called_peer_cannot_hang_up_before_he_has_answered() -> None:
    wire = Wire()
    session, invite = call(wire)
    wire.say(response_text(invite, 180))
    bye = request_text(
        "BYE", branch="z9hG4bKb", call_id=invite.call_id, from_tag="far", to_tag=invite.from_.tag
    )
    assert methods(wire.say(bye)) == [481]
    wire.say(response_text(invite, 200, body=SDP))
    assert wire.told() == ["CallRinging", "CallAnswered"] and session.state is State.ESTABLISHED


def test_an_invite_of_ours_that_comes_back_is_told_as_such_as_long_as_its_call_lives() -> None:
    wire = Wire()
    session, invite = call(wire)
    assert wire.endpoint.size()["called"] == 1
    for back in (session, None):
        (event,) = (wire.say(bytes(invite)), wire.events())[1]
        assert isinstance(event, IncomingCall) and event.ours is back and event.session is not session
        wire.endpoint.reject(event.session, 482, "Loop Detected", wire.now)
        wire.say(response_text(invite, 482))
        wire.events()
        wire.wait(70)
    assert_empty(wire)
