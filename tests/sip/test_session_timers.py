"""Session timers in both roles (RFC 4028): what is asked, granted and refused, who refreshes, and when a call
that nobody refreshes is over."""

import pytest

from sip.events import CallAnswered, CallEnded, CallFailed, IncomingCall, MediaAnswered
from sip.flow import Flow
from sip.message import Message, Request, Response
from sip.session import Session
from sip.session_timer import Interval, TimerPolicy
from tests.support.sip_pair import PHONE, SDP, SERVER, Pair, Wire, config, request_text, response_text

TIMER = "Supported: timer\r\n"
ALLOW = "Allow: INVITE, ACK, BYE, UPDATE\r\n"


def expires(message: Message) -> str | None:
    return message.get("Session-Expires")


def sent(messages: list[Request | Response]) -> list[int | str]:
    return [m.method if isinstance(m, Request) else m.status for m in messages]


def called(wire: Wire, extra: str) -> tuple[Session, Response, str]:
    """A call in with these headers, answered and acknowledged: session, our 200, our tag."""
    wire.say(request_text("INVITE", body=SDP, extra=extra))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    wire.endpoint.answer(event.session, SDP, wire.now)
    (ok,) = wire.heard()
    assert isinstance(ok, Response)
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=ok.to.tag))
    wire.events()
    return event.session, ok, ok.to.tag


def calling(wire: Wire, extra: str) -> tuple[Session, Request]:
    """Our call, answered with these headers."""
    session = wire.endpoint.invite(
        to="sip:bob@192.0.2.1",
        from_uri="sip:room@h",
        sdp=SDP,
        flow=Flow("udp", SERVER, PHONE),
        now=wire.now,
    )
    (invite,) = wire.heard()
    assert isinstance(invite, Request)
    wire.say(response_text(invite, 200, body=SDP, extra=extra))
    wire.events()
    return session, invite


# As the called side: table 2 of section 9.


@pytest.mark.parametrize(
    ("asks", "granted", "required"),
    [
        (TIMER + "Session-Expires: 1800\r\n", "1800;refresher=uac", "timer"),
        (TIMER + "Session-Expires: 1800;refresher=uac\r\n", "1800;refresher=uac", "timer"),
        (TIMER + "Session-Expires: 1800;refresher=uas\r\n", "1800;refresher=uas", None),
        ("Require: timer\r\nx: 90 ; Refresher=UAS;other=1\r\n", "90;refresher=uas", None),
        ("Session-Expires: 1800\r\n", "1800;refresher=uas", None),
        (TIMER, None, None),
        ("", None, None),
        ("Session-Expires: 30\r\n", None, None),
        (TIMER + "Session-Expires: 4294967295\r\n", "4294967295;refresher=uac", "timer"),
    ],
)
def test_a_caller_is_granted_what_he_asks(asks: str, granted: str | None, required: str | None) -> None:
    _, ok, _ = called(Wire(), asks)
    assert expires(ok) == granted and ok.get("Require") == required
    assert ok.get("Supported") == "timer, 100rel, replaces, norefersub"


@pytest.mark.parametrize("asks", ["89", "0", "89;refresher=uac"])
def test_too_short_an_interval_is_422_with_the_least_that_will_do(asks: str) -> None:
    wire = Wire()
    (answer,) = wire.say(request_text("INVITE", body=SDP, extra=f"{TIMER}Session-Expires: {asks}\r\n"))
    assert isinstance(answer, Response) and answer.status == 422 and answer.get("Min-SE") == "90"
    assert wire.events() == []


def test_the_least_interval_is_a_setting() -> None:
    wire = Wire(config(session_timers=TimerPolicy(minimum=600)))
    (answer,) = wire.say(request_text("INVITE", body=SDP, extra=f"{TIMER}Session-Expires: 599\r\n"))
    assert isinstance(answer, Response) and answer.status == 422 and answer.get("Min-SE") == "600"


@pytest.mark.parametrize(
    "asks", ["-1", "", "soon", "99999999999", "1800;refresher=both", "1800;=", "1800;;x"]
)
def test_a_broken_session_expires_is_400(asks: str) -> None:
    wire = Wire()
    (answer,) = wire.say(request_text("INVITE", body=SDP, extra=f"{TIMER}Session-Expires: {asks}\r\n"))
    assert isinstance(answer, Response) and answer.status == 400 and wire.events() == []


def test_a_peer_that_refreshes_keeps_the_call_and_one_that_stops_loses_it() -> None:
    wire = Wire()
    session, _, tag = called(wire, TIMER + "Session-Expires: 90\r\n")
    for number in range(2, 12):
        assert wire.wait(45) == []
        extra = TIMER + "Session-Expires: 90;refresher=uac\r\n"
        (ok,) = wire.say(
            request_text("UPDATE", branch=f"z9hG4bK{number}", cseq=number, to_tag=tag, extra=extra)
        )
        assert isinstance(ok, Response) and ok.status == 200 and expires(ok) == "90;refresher=uac"
    assert wire.wait(59.9) == [], "90 s less a third"
    (bye,) = wire.wait(0.2)
    assert isinstance(bye, Request) and bye.method == "BYE"
    assert bye.get("Reason") == 'SIP;cause=408;text="session expired"'
    assert wire.events() == [CallEnded(session, "session expired", lost=True)]


def test_a_reinvite_refreshes_even_without_the_header() -> None:
    """Phones that hold a call forget it there; the timer that was agreed goes on."""
    wire = Wire()
    session, _, tag = called(wire, TIMER + "Session-Expires: 1800\r\n")
    wire.wait(1700)
    wire.say(request_text("INVITE", branch="z9hG4bKre", cseq=2, to_tag=tag, body=SDP, extra=TIMER))
    wire.endpoint.accept_media(session, SDP, wire.now)
    ok = wire.heard()[-1]
    assert expires(ok) == "1800;refresher=uac"
    wire.say(request_text("ACK", branch="z9hG4bKack2", cseq=2, to_tag=tag))
    assert wire.wait(1767) == [] and not session.ended
    assert sent(wire.wait(2))[0] == "BYE"


def test_who_is_named_refreshes_at_half_time_by_update_where_the_peer_has_it() -> None:
    wire = Wire()
    session, _, _ = called(wire, TIMER + ALLOW + "Session-Expires: 1800;refresher=uas\r\n")
    for _ in range(3):
        assert wire.wait(899.9) == []
        (update,) = wire.wait(0.2)
        assert isinstance(update, Request) and update.method == "UPDATE" and update.body == b""
        assert expires(update) == "1800;refresher=uac", "the roles are named anew in each request"
        assert "timer" in update.get_list("Supported") and update.contact is not None
        wire.say(response_text(update, 200, extra="Session-Expires: 1800;refresher=uac\r\n" + ALLOW))
    assert wire.events() == [] and not session.ended


def test_a_peer_without_update_gets_our_last_description_again() -> None:
    wire = Wire()
    session, _, _ = called(wire, TIMER + "Session-Expires: 1800;refresher=uas\r\n")
    wire.wait(899)
    (again,) = wire.wait(1.1)
    assert isinstance(again, Request) and again.method == "INVITE" and again.sdp == SDP
    (ack,) = wire.say(response_text(again, 200, body=SDP, extra="Session-Expires: 1800;refresher=uac\r\n"))
    assert isinstance(ack, Request) and ack.method == "ACK"
    assert wire.events() == [MediaAnswered(session, SDP)]
    assert wire.wait(899) == []
    assert sent(wire.wait(1.1)) == ["INVITE"]


@pytest.mark.parametrize("status", [405, 501])
def test_an_update_that_is_not_understood_is_followed_by_a_reinvite(status: int) -> None:
    wire = Wire()
    called(wire, TIMER + ALLOW + "Session-Expires: 1800;refresher=uas\r\n")
    (update,) = wire.wait(900)
    assert isinstance(update, Request)
    wire.say(response_text(update, status))
    assert sent(wire.wait(225)) == ["INVITE"]


def test_a_refresh_that_is_refused_tells_nobody_and_is_tried_again_until_the_end() -> None:
    wire = Wire()
    session, _, _ = called(wire, TIMER + "Session-Expires: 800;refresher=uas\r\n")
    for seconds in (400, 100, 100, 100):
        (again,) = wire.wait(seconds)
        assert isinstance(again, Request) and again.method == "INVITE"
        wire.say(response_text(again, 500))
        assert wire.events() == []
    assert sent(wire.wait(68))[0] == "BYE"
    assert wire.told() == ["CallEnded"] and session.ended


@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_of_a_call_that_the_peer_does_not_know_ends_it(status: int) -> None:
    wire = Wire()
    session, _, _ = called(wire, TIMER + ALLOW + "Session-Expires: 800;refresher=uas\r\n")
    (update,) = wire.wait(400)
    assert isinstance(update, Request)
    wire.say(response_text(update, status, extra="Reason: Q.850;cause=31\r\n"))
    (event,) = wire.events()
    assert isinstance(event, CallEnded) and event.cause == f"{status} to our UPDATE"
    assert [reason.cause for reason in event.reasons] == [31] and session.ended


def test_a_peer_that_is_gone_is_noticed_by_our_refresh() -> None:
    wire = Wire()
    session, _, _ = called(wire, TIMER + ALLOW + "Session-Expires: 800;refresher=uas\r\n")
    wire.wait(400 + 33)
    (event,) = wire.events()
    assert isinstance(event, CallEnded) and session.ended


def test_after_a_glare_of_a_refresh_the_peers_offer_counts() -> None:
    wire = Wire()
    session, _, tag = called(wire, TIMER + "Session-Expires: 800;refresher=uas\r\n")
    (again,) = wire.wait(400)
    assert isinstance(again, Request)
    wire.say(response_text(again, 491))
    wire.say(
        request_text(
            "INVITE",
            branch="z9hG4bKre",
            cseq=2,
            to_tag=tag,
            body=SDP,
            extra="Session-Expires: 800\r\n" + TIMER,
        )
    )
    wire.endpoint.accept_media(session, SDP, wire.now)
    wire.heard()
    wire.say(request_text("ACK", branch="z9hG4bKack2", cseq=2, to_tag=tag))
    assert wire.wait(300) == [] and not session.ended, "who asked last refreshes"


# As the calling side.


def test_we_ask_for_half_an_hour_and_leave_the_refresher_open() -> None:
    _, invite = calling(Wire(), "")
    assert expires(invite) == "1800" and "timer" in invite.get_list("Supported")


def test_we_ask_for_nothing_when_told_so() -> None:
    _, invite = calling(Wire(config(session_timers=TimerPolicy(expires=0))), "")
    assert expires(invite) is None and "timer" in invite.get_list("Supported")


@pytest.mark.parametrize("extra", ["", "Session-Expires: x\r\n", "Session-Expires: 0;refresher=uac\r\n"])
def test_a_peer_without_timers_gets_none(extra: str) -> None:
    wire = Wire()
    session, _ = calling(wire, extra)
    assert wire.wait(86_400) == [] and not session.ended and session.interval is None


@pytest.mark.parametrize("answer", ["1200;refresher=uac", "1200"])
def test_we_refresh_when_the_answer_says_so_or_leaves_it_open(answer: str) -> None:
    wire = Wire()
    calling(wire, f"Session-Expires: {answer}\r\nRequire: timer\r\n{ALLOW}")
    wire.wait(599)
    (update,) = wire.wait(1.1)
    assert sent([update]) == ["UPDATE"] and expires(update) == "1200;refresher=uac"


def test_a_called_side_that_wants_to_refresh_and_does_not_loses_the_call() -> None:
    wire = Wire()
    session, _ = calling(wire, "Session-Expires: 1800;refresher=uas\r\n")
    assert wire.wait(1767) == []
    assert sent(wire.wait(1.1)) == ["BYE"]
    assert wire.events() == [CallEnded(session, "session expired", lost=True)]


def test_an_offer_of_ours_names_the_roles_and_refreshes() -> None:
    wire = Wire()
    session, _ = calling(wire, "Session-Expires: 1800;refresher=uas\r\n")
    wire.wait(1700)
    wire.endpoint.reinvite(session, SDP, wire.now)
    (again,) = wire.heard()
    assert isinstance(again, Request) and expires(again) == "1800;refresher=uas"
    wire.say(response_text(again, 200, body=SDP, extra="Session-Expires: 1800;refresher=uas\r\n"))
    assert wire.wait(1767) == [] and not session.ended


def test_a_2xx_without_the_header_turns_the_timer_off() -> None:
    wire = Wire()
    session, _ = calling(wire, f"Session-Expires: 1800;refresher=uac\r\n{ALLOW}")
    (update,) = wire.wait(900)
    assert isinstance(update, Request)
    wire.say(response_text(update, 200))
    assert wire.wait(86_400) == [] and not session.ended


def test_after_422_the_call_is_made_with_what_it_asks_and_keeps_it() -> None:
    wire = Wire()
    session = wire.endpoint.invite(
        to="sip:bob@192.0.2.1", from_uri="sip:a@b", sdp=SDP, flow=Flow("udp", SERVER, PHONE), now=wire.now
    )
    (first,) = wire.heard()
    assert isinstance(first, Request)
    ack, second = wire.say(response_text(first, 422, extra="Min-SE: 3600\r\n"))
    assert isinstance(second, Request) and second.method == "INVITE" and sent([ack]) == ["ACK"]
    assert expires(second) == "3600" and second.get("Min-SE") == "3600"
    assert second.call_id == first.call_id and second.from_ == first.from_ and second.cseq.number == 2
    assert second.via.branch != first.via.branch and second.sdp == SDP
    wire.say(response_text(second, 200, body=SDP, extra=f"Session-Expires: 3600;refresher=uac\r\n{ALLOW}"))
    assert wire.events() == [CallAnswered(session, SDP)]
    (update,) = wire.wait(1800)
    assert expires(update) == "3600;refresher=uac" and update.get("Min-SE") == "3600"


@pytest.mark.parametrize("minimum", ["", "1800", "90", "x", "86401", "4294967296"])
def test_a_422_that_leads_nowhere_fails_the_call(minimum: str) -> None:
    wire = Wire()
    session = wire.endpoint.invite(
        to="sip:bob@192.0.2.1", from_uri="sip:a@b", sdp=SDP, flow=Flow("udp", SERVER, PHONE), now=wire.now
    )
    (invite,) = wire.heard()
    assert isinstance(invite, Request)
    extra = f"Min-SE: {minimum}\r\n" if minimum else ""
    assert sent(wire.say(response_text(invite, 422, extra=extra))) == ["ACK"]
    assert wire.events() == [CallFailed(session, 422, "Whatever")]


def test_a_422_to_a_refresh_is_answered_with_the_longer_interval() -> None:
    wire = Wire()
    session, _ = calling(wire, f"Session-Expires: 120;refresher=uac\r\n{ALLOW}")
    (update,) = wire.wait(60)
    assert isinstance(update, Request)
    (again,) = wire.say(response_text(update, 422, extra="Min-SE: 600\r\n"))
    assert isinstance(again, Request) and again.method == "UPDATE"
    assert expires(again) == "600;refresher=uac" and again.cseq.number == update.cseq.number + 1
    wire.say(response_text(again, 200, extra=f"Session-Expires: 600;refresher=uac\r\n{ALLOW}"))
    assert session.interval == Interval(600, "uac")


# Both ends ours.


@pytest.mark.parametrize("asked", [90, 1800])
def test_a_call_of_a_day_lives_by_its_refreshes_and_leaves_nothing(asked: int) -> None:
    pair = Pair()

    def answer(event: object) -> None:
        if isinstance(event, IncomingCall):
            pair.b.endpoint.answer(event.session, SDP, pair.now)

    pair.b.on_event = answer
    core = pair.a.endpoint._core
    core.config = config(random=core.config.random, session_timers=TimerPolicy(expires=asked))
    session = pair.a.endpoint.invite(
        to="sip:b@192.0.2.10", from_uri="sip:a@b", sdp=SDP, flow=pair.a.flow, now=pair.now
    )
    pair.run(86_400)
    assert not session.ended
    refreshes = pair.names().count("UPDATE")
    assert refreshes == pytest.approx(86_400 / (asked / 2), abs=2)
    pair.lose = lambda packet: True
    pair.run(asked + 33)
    assert pair.a.told()[-1] == "CallEnded" and pair.b.told()[-1] == "CallEnded"
    pair.run(100)
    for side in (pair.a, pair.b):
        assert not any(side.endpoint.size().values())
