"""Calls that come in, in bytes and virtual time."""

import pytest

from sip.access import networks
from sip.events import CallAcknowledged, CallCancelled, CallEnded, IncomingCall
from sip.flow import Flow
from sip.message import Request, Response
from sip.reason import Reason
from sip.session import Session, State
from tests.support.sip_pair import SDP, SERVER, Wire, config, request_text


def statuses(messages: list[Request | Response]) -> list[int | str]:
    return [m.status if isinstance(m, Response) else m.method for m in messages]


def ring_in(wire: Wire, **changes: object) -> Session:
    """An INVITE has come in."""
    wire.say(request_text("INVITE", **{"body": SDP, **changes}))  # type: ignore[arg-type]
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    return event.session


def answered(wire: Wire, *, cseq: int = 1, **changes: object) -> tuple[Session, str]:
    """A call that is answered and acknowledged; with our To tag."""
    session = ring_in(wire, cseq=cseq, **changes)
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request_text("ACK", branch="z9hG4bKack", cseq=cseq, to_tag=tag))
    wire.events()
    assert session.state is State.ESTABLISHED
    return session, tag


def assert_empty(wire: Wire) -> None:
    """Nothing is kept, once the transactions have lived out their time."""
    wire.wait(70)
    assert wire.endpoint.size() == dict.fromkeys(wire.endpoint.size(), 0)


def test_an_invite_gets_100_at_once_and_is_told_with_its_offer() -> None:
    wire = Wire()
    assert statuses(wire.say(request_text("INVITE", body=SDP))) == [100]
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    assert event.sdp == SDP and event.trunk is None and event.user is None
    session = event.session
    assert session.direction == "inbound" and session.call_id == "call-1"
    assert session.request_uri.user == "room" and session.from_uri.user == "alice"
    assert session.display_name == "Alice" and session.remote_ip == "192.0.2.1"


def test_an_invite_without_offer_is_told_without() -> None:
    wire = Wire()
    wire.say(request_text("INVITE"))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.sdp is None


def test_ring_progress_answer_share_one_tag_and_name_us() -> None:
    wire = Wire()
    session = ring_in(wire, extra="Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n")
    wire.heard()
    wire.endpoint.ring(session, wire.now)
    wire.endpoint.progress(session, SDP, wire.now)
    wire.endpoint.answer(session, SDP, wire.now)
    ringing, progress, ok = wire.heard()
    assert statuses([ringing, progress, ok]) == [180, 183, 200]
    assert len({m.to.tag for m in (ringing, progress, ok)}) == 1 and ok.to.tag
    for message in (ringing, progress, ok):
        assert str(message.contact) == "<sip:room@192.0.2.10:5060>"
        assert message.get_all("Record-Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
    assert progress.sdp == SDP and ok.sdp == SDP and ok.content_type == "application/sdp"
    assert ringing.body == b""


def test_the_advertised_host_stands_in_contact_and_via() -> None:
    wire = Wire(config(advertise="203.0.113.7"))
    session, _ = answered(wire)
    assert session.dialog is not None
    wire.endpoint.hang_up(session, wire.now)
    (bye,) = wire.heard()
    assert bye.via.host == "203.0.113.7"
    ok = next(m for _, m, _ in wire.sent if isinstance(m, Response) and m.status == 200)
    assert str(ok.contact) == "<sip:room@203.0.113.7:5060>"


def test_the_local_host_stands_in_contact_and_via_for_who_is_beside_us() -> None:
    wire = Wire(config(advertise="203.0.113.7", local_networks=networks(["192.0.2.0/24"])))
    session, _ = answered(wire)
    wire.endpoint.hang_up(session, wire.now)
    (bye,) = wire.heard()
    assert bye.via.host == "192.0.2.10"
    ok = next(m for _, m, _ in wire.sent if isinstance(m, Response) and m.status == 200)
    assert str(ok.contact) == "<sip:room@192.0.2.10:5060>"


def test_a_200_is_repeated_from_t1_to_t2_until_the_ack() -> None:
    for transport in ("udp", "tcp"):
        wire = Wire(transport=transport)
        session = ring_in(wire, transport=transport.upper())
        wire.endpoint.answer(session, SDP, wire.now)
        wire.wait(8)
        (last,) = wire.heard()[-1:] or [m for _, m, _ in wire.sent][-1:]
        assert wire.times(lambda m: isinstance(m, Response) and m.status == 200) == [0, 0.5, 1.5, 3.5, 7.5]
        wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=last.to.tag))
        assert wire.wait(40) == []
        assert wire.told() == ["CallAcknowledged"]


def test_without_an_ack_the_call_ends_with_a_bye_after_32_seconds() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.wait(31.9)
    assert wire.times(lambda m: isinstance(m, Response) and m.status == 200) == [
        0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5,
    ]  # fmt: skip
    (bye,) = wire.wait(0.2)
    assert isinstance(bye, Request) and bye.method == "BYE" and bye.from_.tag and bye.to.tag == "phone"
    (event,) = wire.events()
    assert isinstance(event, CallEnded) and "ACK" in event.cause
    assert_empty(wire)


def test_an_ack_is_known_by_call_id_cseq_and_from_tag() -> None:
    """As pyVoIP sends it: a To tag of its own, and the branch of the INVITE."""
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.say(
        request_text("ACK", uri="sip:room@192.0.2.10", branch="z9hG4bKone", to_tag="made-up", contact="")
    )
    assert wire.told() == ["CallAcknowledged"]
    assert session.state is State.ESTABLISHED
    assert wire.wait(40)[1:] == []


@pytest.mark.parametrize("change", [{"call_id": "other"}, {"cseq": 2}, {"from_tag": "other"}])
def test_an_ack_that_is_for_something_else_is_nothing(change: dict[str, object]) -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.heard()
    assert wire.say(request_text("ACK", branch="z9hG4bKack", **change)) == []  # type: ignore[arg-type]
    assert session.state is State.ANSWERED


def test_the_ack_brings_the_answer_to_our_offer() -> None:
    wire = Wire()
    session = ring_in(wire, body=b"")
    wire.endpoint.answer(session, b"our offer", wire.now)
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag="x", body=SDP))
    (event,) = wire.events()
    assert isinstance(event, CallAcknowledged) and event.sdp == SDP


def test_the_peer_hangs_up() -> None:
    wire = Wire()
    session, tag = answered(wire)
    bye = request_text(
        "BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag, extra='Reason: Q.850;cause=16;text="bye"\r\n'
    )
    assert statuses(wire.say(bye)) == [200]
    (event,) = wire.events()
    assert isinstance(event, CallEnded) and event.cause == "bye" and event.session is session
    assert statuses(wire.say(bye)) == [200], "the BYE repeated gets its answer again"
    assert wire.events() == []
    assert statuses(wire.say(request_text("BYE", branch="z9hG4bKb2", cseq=3, to_tag=tag))) == [481]
    assert_empty(wire)


def test_a_bye_may_overtake_the_ack() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    assert statuses(wire.say(request_text("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag))) == [200]
    assert wire.told() == ["CallEnded"]
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=tag))
    assert wire.wait(40) == [] and wire.events() == []


def test_a_bye_before_the_answer_ends_the_call() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.ring(session, wire.now)
    tag = wire.heard()[-1].to.tag
    assert statuses(wire.say(request_text("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag))) == [200, 487]
    assert wire.told() == ["CallCancelled"]


def test_we_hang_up_with_a_reason() -> None:
    wire = Wire()
    session, _ = answered(wire)
    wire.endpoint.hang_up(session, wire.now, Reason(503, "media process lost"))
    (bye,) = wire.heard()
    assert isinstance(bye, Request)
    assert bye.get("Reason") == 'SIP;cause=503;text="media process lost"'
    assert bye.uri == "sip:alice@192.0.2.1" and bye.cseq.number == 1
    assert session.ended and wire.events() == []
    wire.endpoint.hang_up(session, wire.now)
    assert wire.heard() == []


def test_our_bye_is_repeated_and_given_up() -> None:
    wire = Wire()
    session, _ = answered(wire)
    start = wire.now
    wire.endpoint.hang_up(session, wire.now)
    wire.wait(70)
    byes = wire.times(lambda m: isinstance(m, Request) and m.method == "BYE")
    assert [at - (start - 1000) for at in byes] == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert wire.events() == []
    assert_empty(wire)


def test_byes_that_cross_are_both_answered() -> None:
    wire = Wire()
    session, tag = answered(wire)
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    assert statuses(wire.say(request_text("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag))) == [200]
    assert wire.events() == []


def test_hanging_up_before_the_ack_waits_for_it() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.endpoint.hang_up(session, wire.now, Reason(200))
    assert wire.heard() == []
    heard = wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=tag))
    assert statuses(heard) == ["BYE"] and heard[0].get("Reason") == "SIP;cause=200"
    assert wire.events() == []


def test_hanging_up_before_an_ack_that_never_comes_ends_in_a_bye() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.endpoint.hang_up(session, wire.now)
    assert statuses(wire.wait(32.1))[-1] == "BYE"
    assert wire.events() == []
    assert_empty(wire)


@pytest.mark.parametrize(
    ("cause", "status"),
    [(None, 480), (Reason(503, "x"), 503), (Reason(16, "x", "Q.850"), 480), (Reason(200), 480)],
)
def test_hanging_up_an_unanswered_call_refuses_it(cause: Reason | None, status: int) -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.heard()
    wire.endpoint.hang_up(session, wire.now, cause)
    (refused,) = wire.heard()
    assert statuses([refused]) == [status]
    assert refused.get("Reason") == (str(cause) if cause else None)
    assert wire.events() == []


def test_a_rejected_call_waits_for_its_ack_and_is_gone() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.heard()
    wire.endpoint.reject(session, 404, "No such room", wire.now, headers=(("Retry-After", "5"),))
    (refused,) = wire.heard()
    assert isinstance(refused, Response) and (refused.status, refused.reason) == (404, "No such room")
    assert refused.to.tag and refused.get("Retry-After") == "5"
    assert statuses(wire.wait(0.6)) == [404]
    wire.say(request_text("ACK", to_tag=refused.to.tag))
    assert wire.wait(40) == [] and wire.events() == []
    assert_empty(wire)


def test_verbs_on_an_ended_call_do_nothing() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.say(request_text("CANCEL"))
    wire.events()
    wire.heard()
    wire.endpoint.ring(session, wire.now)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.endpoint.reject(session, 486, "", wire.now)
    wire.endpoint.hang_up(session, wire.now)
    wire.endpoint.reinvite(session, SDP, wire.now)
    wire.endpoint.accept_media(session, SDP, wire.now)
    wire.endpoint.refuse_media(session, 488, wire.now)
    assert wire.heard() == [] and wire.events() == []


def test_a_verb_that_makes_no_sense_is_a_loud_error() -> None:
    wire = Wire()
    session, _ = answered(wire)
    with pytest.raises(ValueError, match="answered"):
        wire.endpoint.answer(session, SDP, wire.now)
    with pytest.raises(ValueError, match="300 to 699"):
        wire.endpoint.reject(session, 200, "", wire.now)


# CANCEL in all races.


def test_a_cancel_before_the_answer_ends_the_call_with_487() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.ring(session, wire.now)
    tag = wire.heard()[-1].to.tag
    heard = wire.say(request_text("CANCEL", extra='Reason: SIP;cause=200;text="elsewhere"\r\n'))
    assert statuses(heard) == [200, 487]
    assert heard[0].cseq.method == "CANCEL" and heard[1].cseq.method == "INVITE"
    assert heard[0].to.tag == heard[1].to.tag == tag
    (event,) = wire.events()
    assert isinstance(event, CallCancelled) and event.cause == "elsewhere"
    wire.say(request_text("ACK", to_tag=tag))
    assert wire.wait(40) == []
    assert_empty(wire)


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.answer(session, SDP, wire.now)
    wire.heard()
    assert statuses(wire.say(request_text("CANCEL"))) == [200]
    assert wire.events() == [] and session.state is State.ANSWERED


def test_a_cancel_after_a_refusal_changes_nothing() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.reject(session, 486, "", wire.now)
    wire.heard()
    assert statuses(wire.say(request_text("CANCEL"))) == [200]
    assert wire.events() == []


def test_a_cancel_for_nothing_is_481() -> None:
    wire = Wire()
    assert statuses(wire.say(request_text("CANCEL"))) == [481]
    ring_in(wire)
    wire.heard()
    assert statuses(wire.say(request_text("CANCEL", branch="z9hG4bKother"))) == [481]


def test_an_invite_that_expires_is_487() -> None:
    wire = Wire()
    ring_in(wire, extra="Expires: 20\r\n")
    wire.heard()
    assert statuses(wire.wait(20)) == [487]
    assert wire.told() == ["CallCancelled"]


def test_an_answered_invite_does_not_expire() -> None:
    wire = Wire()
    session = ring_in(wire, extra="Expires: 20\r\n")
    wire.endpoint.answer(session, SDP, wire.now)
    wire.say(request_text("ACK", branch="z9hG4bKa"))
    wire.wait(100)
    assert wire.told() == ["CallAcknowledged"]


# Repetitions, merges, order.


def test_a_repeated_invite_is_one_call() -> None:
    wire = Wire()
    ring_in(wire)
    wire.heard()
    assert statuses(wire.say(request_text("INVITE", body=SDP))) == [100]
    assert wire.events() == []


def test_an_invite_that_comes_by_two_ways_is_482_the_second_time() -> None:
    wire = Wire()
    ring_in(wire)
    wire.heard()
    assert statuses(wire.say(request_text("INVITE", branch="z9hG4bKtwo", body=SDP))) == [482]
    assert wire.events() == []


def test_a_lower_cseq_in_a_dialog_is_500() -> None:
    wire = Wire()
    _, tag = answered(wire, cseq=5)
    (refused,) = wire.say(request_text("INFO", branch="z9hG4bKi", cseq=4, to_tag=tag))
    assert isinstance(refused, Response) and refused.status == 500 and "order" in refused.reason
    assert statuses(wire.say(request_text("INFO", branch="z9hG4bKj", cseq=9, to_tag=tag))) == [200]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "OPTIONS", "UPDATE", "NOTIFY"])
def test_a_request_in_an_unknown_dialog_is_481(method: str) -> None:
    wire = Wire()
    answered(wire)
    heard = wire.say(request_text(method, branch="z9hG4bKx", cseq=7, to_tag="unknown"))
    assert statuses(heard) == [481]
    assert wire.events() == []


def test_an_ack_for_an_unknown_dialog_is_not_answered() -> None:
    wire = Wire()
    assert wire.say(request_text("ACK", to_tag="unknown")) == []


def test_a_provisional_response_is_said_again_each_minute() -> None:
    wire = Wire()
    session = ring_in(wire)
    wire.endpoint.ring(session, wire.now)
    wire.heard()
    assert statuses(wire.wait(180)) == [180, 180, 180]
    wire.endpoint.answer(session, SDP, wire.now)
    wire.say(request_text("ACK", branch="z9hG4bKa"))
    wire.heard()
    assert wire.wait(180) == []


# Stopping, limits.


def test_a_stopping_server_sends_new_calls_away_and_keeps_the_live_ones() -> None:
    wire = Wire()
    _, tag = answered(wire)
    wire.endpoint.stop_accepting()
    (refused,) = wire.say(request_text("INVITE", call_id="new", branch="z9hG4bKnew", body=SDP))
    assert isinstance(refused, Response) and refused.status == 503 and refused.get("Retry-After")
    assert statuses(wire.say(request_text("OPTIONS", call_id="o", branch="z9hG4bKo"))) == [200]
    assert statuses(wire.say(request_text("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag))) == [200]


def test_one_call_too_many_is_503() -> None:
    wire = Wire(config(max_sessions=1))
    ring_in(wire)
    wire.heard()
    assert statuses(wire.say(request_text("INVITE", call_id="b", branch="z9hG4bKb", body=SDP))) == [503]


def test_a_full_table_of_transactions_refuses_without_growing() -> None:
    wire = Wire(config(max_transactions=1))
    wire.say(request_text("OPTIONS"))
    before = wire.endpoint.size()["transactions"]
    for number in range(10):
        text = request_text("OPTIONS", call_id=f"c{number}", branch=f"z9hG4bK{number}")
        assert statuses(wire.say(text)) == [503]
    assert wire.endpoint.size()["transactions"] == before == 1


# Where responses and requests go.


def last_flow(wire: Wire) -> Flow:
    wire.heard()
    return wire.sent[-1][2]


def test_a_response_goes_to_the_port_that_the_via_names() -> None:
    wire = Wire(source=("192.0.2.1", 33333))
    wire.say(request_text("OPTIONS", rport=False))
    assert last_flow(wire).remote == ("192.0.2.1", 5060)


def test_a_response_goes_to_the_source_port_when_rport_asks_for_it() -> None:
    wire = Wire(source=("192.0.2.1", 33333))
    (ok,) = wire.say(request_text("OPTIONS", rport=True))
    assert last_flow(wire).remote == ("192.0.2.1", 33333)
    assert ";rport=33333;received=192.0.2.1" in str(ok.via)


@pytest.mark.parametrize("host", ["proxy.example.com", "8.8.8.8"])
def test_a_response_goes_to_the_source_address_whatever_the_via_says(host: str) -> None:
    wire = Wire(source=("203.0.113.5", 33333))
    wire.say(request_text("OPTIONS", rport=False).replace(b"192.0.2.1:5060", host.encode() + b":5080"))
    assert last_flow(wire).remote == ("203.0.113.5", 5080)


def test_a_response_goes_through_the_nat_that_a_phone_which_asks_for_nothing_sits_behind() -> None:
    wire = Wire(source=("203.0.113.5", 33333))
    wire.say(request_text("OPTIONS", rport=False).replace(b"192.0.2.1:5060", b"192.168.1.7:5060"))
    assert last_flow(wire).remote == ("203.0.113.5", 33333)


def test_a_via_that_cannot_be_read_goes_back_as_it_came_to_where_it_came_from() -> None:
    wire = Wire(source=("192.0.2.1", 33333))
    (answer,) = wire.say(request_text("OPTIONS", rport=False).replace(b";branch=z9hG4bKone", b";;,;,,"))
    assert isinstance(answer, Response) and answer.status == 400
    assert answer.get("Via") == "SIP/2.0/UDP 192.0.2.1:5060;;,;,,"
    assert last_flow(wire).remote == ("192.0.2.1", 33333)


def test_a_request_said_again_by_another_way_is_answered_by_that_one() -> None:
    wire = Wire()
    (ok,) = wire.say(request_text("OPTIONS"))
    stream = Flow("tcp", SERVER, ("192.0.2.1", 44444), 3)
    wire.endpoint.receive(request_text("OPTIONS"), stream, wire.now)
    ((data, flow),) = [(out.data, out.flow) for out in wire.endpoint.take_outgoing()]
    assert flow == stream and data == bytes(ok)


def test_a_peer_whose_branches_are_always_the_same_gets_an_answer_to_each_request() -> None:
    wire = Wire()
    for call_id, cseq in (("one", 1), ("two", 1), ("two", 2)):
        (answer,) = wire.say(request_text("OPTIONS", call_id=call_id, cseq=cseq))
        assert (answer.get("Call-ID"), answer.get("CSeq")) == (call_id, f"{cseq} OPTIONS")


def test_a_response_goes_back_over_its_connection() -> None:
    wire = Wire(transport="tcp", source=("192.0.2.1", 33333))
    wire.say(request_text("OPTIONS", transport="TCP"))
    assert last_flow(wire) == wire.flow


def test_a_response_whose_connection_is_gone_goes_to_a_new_one() -> None:
    wire = Wire(transport="tcp", source=("192.0.2.1", 33333))
    session = ring_in(wire, transport="TCP")
    wire.endpoint.flow_lost(wire.flow, wire.now)
    wire.endpoint.answer(session, SDP, wire.now)
    assert last_flow(wire) == Flow("tcp", SERVER, ("192.0.2.1", 5060), 0)


def bye_flow(wire: Wire, **changes: object) -> tuple[Request, Flow]:
    session, _ = answered(wire, **changes)
    wire.endpoint.hang_up(session, wire.now)
    flow = last_flow(wire)
    bye = wire.sent[-1][1]
    assert isinstance(bye, Request)
    return bye, flow


def test_our_requests_go_to_the_contact() -> None:
    bye, flow = bye_flow(Wire(source=("192.0.2.1", 33333)), contact="<sip:alice@192.0.2.1:5099>")
    assert bye.uri == "sip:alice@192.0.2.1:5099" and flow.remote == ("192.0.2.1", 5099)


def test_our_requests_go_back_to_a_phone_behind_a_nat() -> None:
    for contact in ("<sip:alice@10.0.0.7:5060>", "<sip:alice@alices-laptop.local>"):
        bye, flow = bye_flow(Wire(source=("192.0.2.1", 33333)), contact=contact)
        assert bye.uri == contact[1:-1] and flow.remote == ("192.0.2.1", 33333)


def test_our_requests_follow_a_public_contact_elsewhere() -> None:
    _, flow = bye_flow(Wire(), contact="<sip:alice@8.8.8.8:5062>")
    assert flow.remote == ("8.8.8.8", 5062)


def test_our_requests_go_back_over_the_connection() -> None:
    wire = Wire(transport="tcp", source=("192.0.2.1", 33333))
    _, flow = bye_flow(wire, transport="TCP")
    assert flow == wire.flow


def test_our_requests_open_a_connection_when_theirs_is_gone() -> None:
    wire = Wire(transport="tcp", source=("192.0.2.1", 33333))
    session, _ = answered(wire, transport="TCP", contact="<sip:alice@192.0.2.1:5077;transport=tcp>")
    wire.endpoint.flow_lost(wire.flow, wire.now)
    assert wire.events() == [], "a call outlives its connection"
    wire.endpoint.hang_up(session, wire.now)
    assert last_flow(wire) == Flow("tcp", SERVER, ("192.0.2.1", 5077), 0)


def test_our_requests_follow_the_recorded_route() -> None:
    routes = "Record-Route: <sip:192.0.2.50:5080;lr>, <sip:192.0.2.51;lr>\r\n"
    bye, flow = bye_flow(Wire(), extra=routes)
    assert flow.remote == ("192.0.2.50", 5080)
    assert bye.get_all("Route") == ["<sip:192.0.2.50:5080;lr>", "<sip:192.0.2.51;lr>"]
    assert bye.uri == "sip:alice@192.0.2.1"


def test_a_strict_router_gets_itself_in_the_request_uri() -> None:
    routes = "Record-Route: <sip:192.0.2.50:5080>, <sip:192.0.2.51;lr>\r\n"
    bye, flow = bye_flow(Wire(), extra=routes)
    assert flow.remote == ("192.0.2.50", 5080)
    assert bye.uri == "sip:192.0.2.50:5080"
    assert bye.get_all("Route") == ["<sip:192.0.2.51;lr>", "<sip:alice@192.0.2.1>"]


def test_a_moved_peer_is_followed() -> None:
    wire = Wire()
    session, tag = answered(wire)
    moved = Flow("udp", SERVER, ("192.0.2.77", 5099))
    update = request_text(
        "UPDATE", branch="z9hG4bKu", cseq=2, to_tag=tag, contact="<sip:alice@192.0.2.77:5099>"
    )
    wire.say(update, moved)
    wire.endpoint.hang_up(session, wire.now)
    assert last_flow(wire).remote == ("192.0.2.77", 5099)
    assert session.remote_ip == "192.0.2.77"


def test_calls_leave_nothing_behind() -> None:
    wire = Wire()
    for number in range(20):
        call = {"call_id": f"c{number}", "from_tag": f"t{number}"}
        session = ring_in(wire, branch=f"z9hG4bKi{number}", **call)
        wire.endpoint.answer(session, SDP, wire.now)
        tag = wire.heard()[-1].to.tag
        wire.say(request_text("ACK", branch=f"z9hG4bKa{number}", to_tag=tag, **call))  # type: ignore[arg-type]
        if number % 2:
            wire.say(request_text("BYE", branch=f"z9hG4bKb{number}", cseq=2, to_tag=tag, **call))  # type: ignore[arg-type]
        else:
            wire.endpoint.hang_up(session, wire.now)
        wire.events()
    assert wire.endpoint.size()["sessions"] == 0
    assert_empty(wire)
