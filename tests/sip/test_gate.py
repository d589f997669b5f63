"""Who may ask, and what is refused before anything is done."""

from dataclasses import replace

import pytest

from sip.access import Access, Trunk, networks
from sip.digest import Challenge, respond
from sip.endpoint import EndpointConfig
from sip.events import IncomingCall
from sip.flow import Flow
from sip.limits import LOGGED_PER_SECOND
from sip.message import Response
from sip.notices import AGAIN, MAX_NAME
from sip.registrar import Registrar
from tests.support.sip_pair import SDP, SERVER, Wire, config, request_text

STRANGER = Flow("udp", SERVER, ("203.0.113.9", 5060))
USERS = {"alice": "secret"}
ALLOWED = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, NOTIFY, REFER"


def only(wire: Wire, data: bytes, flow: Flow | None = None) -> Response:
    """The one response to a request."""
    (response,) = wire.say(data, flow)
    assert isinstance(response, Response)
    return response


def closed(**changes: object) -> EndpointConfig:
    access = Access(
        allow=["192.0.2.0/24"],
        trunks=[Trunk("carrier", "198.51.100.1", inbound=networks(["198.51.100.0/24"]))],
        **changes,  # type: ignore[arg-type]
    )
    return config(access=access, registrar=Registrar(changes.get("users", ())))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "method", ["INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "INFO", "BYE", "UPDATE", "BLAH"]
)
def test_a_stranger_gets_403_for_every_method_and_nothing_is_kept(method: str) -> None:
    wire = Wire(closed())
    response = only(wire, request_text(method, body=SDP if method == "INVITE" else b""), STRANGER)
    assert response.status == 403 and response.to.tag
    assert wire.events() == [] and not any(wire.endpoint.size().values())
    again = only(wire, request_text(method), STRANGER)
    assert again.to.tag == response.to.tag, "a retransmission gets the same answer"
    assert wire.say(request_text("ACK", to_tag=response.to.tag), STRANGER) == []


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "MESSAGE", "REGISTER", "BLAH"])
def test_where_there_are_users_a_stranger_is_challenged_for_every_method(method: str) -> None:
    wire = Wire(closed(users=USERS))
    response = only(wire, request_text(method), STRANGER)
    assert response.status == 401 and Challenge.parse(response.get("WWW-Authenticate") or "").realm
    assert not any(wire.endpoint.size().values())


def authorization(response: Response, method: str, *, user: str = "alice", password: str = "secret") -> str:
    challenge = Challenge.parse(response.get("WWW-Authenticate") or "")
    value = respond(challenge, method=method, uri="sip:x", user=user, password=password, cnonce="c")
    return f"Authorization: {value}\r\n"


def test_a_user_may_call_from_anywhere() -> None:
    wire = Wire(closed(users=USERS))
    first = only(wire, request_text("INVITE", body=SDP), STRANGER)
    wire.say(request_text("ACK", to_tag=first.to.tag), STRANGER)
    extra = authorization(first, "INVITE")
    again = only(wire, request_text("INVITE", cseq=2, branch="z9hG4bKtwo", body=SDP, extra=extra), STRANGER)
    assert again.status == 100
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.user == "alice" and event.trunk is None


def test_a_trunk_without_an_address_of_its_own_is_known_by_its_users_digest() -> None:
    office = Trunk("office", "192.0.2.9", inbound_users=("alice",))
    for trunks, name in (([office], "office"), ([replace(office, inbound_users=("bob",))], None)):
        wire = Wire(config(access=Access(trunks=trunks, users=USERS)))
        first = only(wire, request_text("INVITE", body=SDP), STRANGER)
        assert first.status == 401
        extra = authorization(first, "INVITE")
        wire.say(request_text("INVITE", cseq=2, branch="z9hG4bKtwo", body=SDP, extra=extra), STRANGER)
        (event,) = wire.events()
        assert isinstance(event, IncomingCall) and (event.trunk, event.user) == (name, "alice")


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", "secret")])
def test_a_wrong_user_and_a_wrong_password_get_the_same_answer(user: str, password: str) -> None:
    wire = Wire(closed(users=USERS))
    first = only(wire, request_text("INVITE"), STRANGER)
    extra = authorization(first, "INVITE", user=user, password=password)
    again = only(wire, request_text("INVITE", cseq=2, branch="z9hG4bKtwo", extra=extra), STRANGER)
    assert again.status == 401 and "stale" not in (again.get("WWW-Authenticate") or "")
    assert wire.events() == []


def test_an_unknown_scheme_of_authorization_counts_as_none() -> None:
    wire = Wire(closed(users=USERS))
    extra = 'Authorization: NoOneKnowsThisScheme opaque="x"\r\n'
    assert only(wire, request_text("REGISTER", extra=extra), STRANGER).status == 401


def test_a_trunk_is_known_by_its_address() -> None:
    wire = Wire(closed(users=USERS))
    wire.say(request_text("INVITE", body=SDP), Flow("udp", SERVER, ("198.51.100.7", 5060)))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.trunk == "carrier"


def test_a_live_call_is_not_asked_who_it_is() -> None:
    """Its peer has moved to an address that may not call in."""
    wire = Wire(closed())
    wire.say(request_text("INVITE", body=SDP))
    session = wire.events()[0].session
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request_text("ACK", branch="z9hG4bKa", to_tag=tag), STRANGER)
    assert wire.told() == ["CallAcknowledged"]
    assert only(wire, request_text("OPTIONS", branch="z9hG4bKo", cseq=2, to_tag=tag), STRANGER).status == 200
    assert only(wire, request_text("BYE", branch="z9hG4bKb", cseq=3, to_tag=tag), STRANGER).status == 200


# What is refused, and how it is said.


def test_options_says_what_we_can() -> None:
    ok = only(Wire(), request_text("OPTIONS"))
    assert ok.status == 200 and ok.get("Allow") == ALLOWED
    assert ok.get("Accept") == "application/sdp, multipart/mixed" and ok.get("Accept-Encoding") == "identity"
    assert ok.get("Supported") == "timer, 100rel, replaces, norefersub" and ok.get("Server") == "MixMinus"


def test_options_within_a_call_says_the_same() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    session = wire.events()[0].session
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    ok = only(wire, request_text("OPTIONS", branch="z9hG4bKo", cseq=2, to_tag=tag))
    assert ok.status == 200 and ok.get("Allow") == ALLOWED


def test_max_forwards_of_zero_is_nothing_to_an_endpoint() -> None:
    text = request_text("OPTIONS").replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    assert only(Wire(), text).status == 200


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("SUBSCRIBE", 405),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("REGISTER", 405),
        ("invite", 501),
        ("RE%47IST%45R", 501),
        ("!interesting-Method0123456789_*+`.%indeed'~", 501),
        ("BYE", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("NOTIFY", 481),
    ],
)
def test_a_method_that_cannot_be_used_is_named(method: str, status: int) -> None:
    response = only(Wire(), request_text(method))
    assert response.status == status
    assert response.get("Allow") == (ALLOWED if status != 481 else None)


def test_info_within_a_call_is_accepted() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    session = wire.events()[0].session
    wire.endpoint.answer(session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    text = request_text(
        "INFO", branch="z9hG4bKi", cseq=2, to_tag=tag, extra="Content-Type: application/dtmf-relay\r\n"
    )
    assert only(wire, text).status == 200
    assert only(wire, request_text("MESSAGE", branch="z9hG4bKm", cseq=3, to_tag=tag)).status == 405


def test_every_extension_that_is_required_and_unknown_is_listed() -> None:
    extra = "Require: nothingSupportsThis, join\r\nRequire: other\r\nProxy-Require: noProxies\r\n"
    response = only(Wire(), request_text("OPTIONS", extra=extra))
    assert response.status == 420 and response.get("Unsupported") == "nothingSupportsThis, join, other"


def test_an_unknown_body_is_415_with_what_we_accept() -> None:
    text = request_text("INVITE", body=b"x").replace(b"application/sdp", b"application/unknownformat")
    response = only(Wire(), text)
    assert response.status == 415 and response.get("Accept") == "application/sdp, multipart/mixed"


def test_an_encoded_body_is_415_with_the_encoding_we_accept() -> None:
    response = only(Wire(), request_text("INVITE", body=SDP, extra="Content-Encoding: gzip\r\n"))
    assert response.status == 415 and response.get("Accept-Encoding") == "identity"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/nobodyKnowsThis", 406),
        ("application/sdp", 100),
        ("text/plain, application/SDP;level=1", 100),
        ("application/*", 100),
        ("*/*", 100),
    ],
)
def test_a_caller_who_cannot_read_sdp_gets_406(accept: str, status: int) -> None:
    assert only(Wire(), request_text("INVITE", body=SDP, extra=f"Accept: {accept}\r\n")).status == status


@pytest.mark.parametrize(
    "uri", ["nobodyKnowsThisScheme:totallyopaque", "soap.beep://192.0.2.103:3002", "mailto:a@b"]
)
def test_an_address_of_an_unknown_scheme_is_416(uri: str) -> None:
    assert only(Wire(), request_text("OPTIONS", uri=uri)).status == 416


def test_another_version_is_505() -> None:
    assert only(Wire(), request_text("OPTIONS").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia")).status == 505


def test_a_refusal_never_repeats_what_was_received() -> None:
    text = request_text("OPTIONS").replace(b"CSeq: 1", b"CSeq: <script>").replace(b"call-1", b"call-1\x1b[2J")
    response = only(Wire(), text)
    assert (response.status, response.reason) == (400, "Bad CSeq header")


# REGISTER.


def test_without_users_any_name_may_register() -> None:
    wire = Wire(closed())
    ok = only(wire, request_text("REGISTER", extra="Expires: 600\r\n"))
    assert ok.status == 200 and ok.get_all("Contact") == ["<sip:alice@192.0.2.1>;expires=600"]
    (kept,) = wire.endpoint._core.config.registrar.contacts("room", wire.now)  # type: ignore[union-attr]
    assert kept.source == wire.flow


def test_with_users_a_registration_needs_the_password_even_from_an_allowed_source() -> None:
    wire = Wire(closed(users=USERS))
    text = request_text("REGISTER").replace(b"To: <sip:room@", b"To: <sip:alice@")
    first = only(wire, text)
    assert first.status == 401
    signed = request_text("REGISTER", cseq=2, branch="z9hG4bK2", extra=authorization(first, "REGISTER"))
    assert only(wire, signed.replace(b"To: <sip:room@", b"To: <sip:alice@")).status == 200


def test_a_user_cannot_register_another() -> None:
    wire = Wire(closed(users={**USERS, "room": "other"}))
    first = only(wire, request_text("REGISTER"))
    signed = request_text("REGISTER", cseq=2, branch="z9hG4bK2", extra=authorization(first, "REGISTER"))
    assert only(wire, signed).status == 403


def test_a_registration_goes_with_its_connection() -> None:
    registrar = Registrar()
    wire = Wire(config(registrar=registrar), transport="tcp")
    only(wire, request_text("REGISTER", transport="TCP"))
    assert len(registrar.contacts("room", wire.now)) == 1
    wire.endpoint.flow_lost(wire.flow, wire.now)
    assert registrar.contacts("room", wire.now) == ()


@pytest.mark.parametrize(
    ("contact", "printed"),
    [
        ("sip:+19725552222@gw1.example.net;unknownparam", "<sip:+19725552222@gw1.example.net>;unknownparam"),
        (
            "<sip:+19725552222@gw1.example.net;unknownparam>",
            "<sip:+19725552222@gw1.example.net;unknownparam>",
        ),
        (
            "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
            "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>",
        ),
        ("<sip:null-%00@example.com>;q=0.5;expires=99999999999999", "<sip:null-%00@example.com>;q=0.5"),
        ("<sip:a@b;n%61me=v%61lue%25%34%31>", "<sip:a@b;n%61me=v%61lue%25%34%31>"),
        (
            'sip:a@b;expires=600;+sip.instance="<urn:uuid:0>";reg-id=1',
            '<sip:a@b>;+sip.instance="<urn:uuid:0>";reg-id=1',
        ),
        (f"<sip:a@b>;x={'y' * 600}", "<sip:a@b>"),
    ],
)
def test_a_contact_is_given_back_as_it_came(contact: str, printed: str) -> None:
    ok = only(Wire(closed()), request_text("REGISTER", contact=contact))
    assert ok.status == 200
    (value,) = ok.get_all("Contact")
    assert value.startswith(f"{printed};expires=")


def test_two_users_that_differ_behind_a_null_are_two() -> None:
    wire = Wire(closed())
    only(wire, request_text("REGISTER", contact="<sip:%00a@192.0.2.1>, <sip:%00b@192.0.2.1>"))
    ok = only(wire, request_text("REGISTER", cseq=2, branch="z9hG4bKq", contact=""))
    assert len(ok.get_all("Contact")) == 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"To: <sip:room@192.0.2.10>", b"To: isbn:2983792873"), 400),
        ((b"To: <sip:room@192.0.2.10>", b"To: <sip:192.0.2.10>"), 400),
        ((b"<sip:alice@192.0.2.1>\r\nContent", b"<http://www.example.com>\r\nContent"), 400),
        ((b"<sip:alice@192.0.2.1>\r\nContent", b"sip:alice@192.0.2.1?Route=x\r\nContent"), 400),
        ((b"<sip:alice@192.0.2.1>\r\nContent", b"*\r\nContent"), 400),
        ((b"Contact", b"Expires: 1\r\nContact"), 423),
        ((b"Contact", b"Expires: 99999999999999999999\r\nContact"), 200),
    ],
)
def test_a_registration_that_makes_no_sense_is_refused(change: tuple[bytes, bytes], status: int) -> None:
    response = only(Wire(closed()), request_text("REGISTER").replace(*change))
    assert response.status == status
    assert response.get("Min-Expires") == ("60" if status == 423 else None)


def test_a_query_lists_and_a_zero_removes() -> None:
    wire = Wire(closed())
    only(wire, request_text("REGISTER"))
    assert (
        len(only(wire, request_text("REGISTER", cseq=2, branch="z9hG4bK2", contact="")).get_all("Contact"))
        == 1
    )
    gone = only(
        wire, request_text("REGISTER", cseq=3, branch="z9hG4bK3", contact="*", extra="Expires: 0\r\n")
    )
    assert gone.status == 200 and gone.get_all("Contact") == []


def test_what_was_wrong_is_logged_with_its_source(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()
    with caplog.at_level("INFO", "sip.notices"):
        wire.say(b"garbage\r\n\r\n", STRANGER)
    (record,) = caplog.records
    assert record.message == "sip_malformed" and record.source == "udp:203.0.113.9:5060"  # type: ignore[attr-defined]
    assert record.fault == "Bad request line"  # type: ignore[attr-defined]
    assert wire.endpoint.statistics["malformed"] == 1


def test_a_flood_of_garbage_is_counted_and_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    wire = Wire()
    with caplog.at_level("INFO", "sip.notices"):
        for _ in range(1_000):
            wire.say(b"garbage\r\n\r\n", STRANGER)
        wire.wait(1)
        wire.say(b"garbage\r\n\r\n", STRANGER)
    assert len(caplog.records) == LOGGED_PER_SECOND + 1
    assert wire.endpoint.statistics["malformed"] == 1_001


def test_who_is_refused_is_logged_once_a_minute_and_a_first_challenge_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wire = Wire(closed(users=USERS))

    def registers(number: int, password: str) -> int:
        """A whole registration of alice's; the status of its second half."""
        call = f"register-{number}"
        asked = only(wire, request_text("REGISTER", uri="sip:x", call_id=call), STRANGER)
        credentials = authorization(asked, "REGISTER", password=password)
        text = request_text(
            "REGISTER", uri="sip:x", call_id=call, cseq=2, branch="z9hG4bK2", extra=credentials
        )
        text = text.replace(b"To: <sip:room@", b"To: <sip:alice@")
        return only(wire, text, STRANGER).status

    with caplog.at_level("INFO", "sip.notices"):
        assert registers(0, "secret") == 200 and caplog.records == []
        for number in range(1, 4):
            assert registers(number, "wrong-canary") == 401
        wire.wait(AGAIN + 1)
        assert registers(4, "wrong-canary") == 401
        only(wire, request_text("INVITE", call_id="bad", branch="z9hG4bKbad", extra="Require: x\r\n"))
    told = [(r.method, r.user, r.status, r.reason, r.times) for r in caplog.records]  # type: ignore[attr-defined]
    assert told == [
        ("REGISTER", "alice", 401, "Unauthorized", 1),
        ("REGISTER", "alice", 401, "Unauthorized", 3),
        ("INVITE", "alice", 420, "Bad Extension", 1),
    ]
    assert {r.message for r in caplog.records} == {"sip_refused"}
    assert caplog.records[0].source == "udp:203.0.113.9:5060"  # type: ignore[attr-defined]
    assert "canary" not in "".join(str(vars(record)) for record in caplog.records)


def test_what_is_remembered_of_refusals_is_short() -> None:
    wire = Wire(closed())
    for number in range(3):
        wire.say(request_text("X" * 20_000, call_id=f"c{number}", branch=f"z9hG4bK{number}"), STRANGER)
    notices = wire.endpoint._incoming._notices
    assert len(notices._refused) == 1 and len(repr(notices._refused)) < 2 * MAX_NAME


def test_a_number_by_itself_is_called_and_asked_for_nothing() -> None:
    wire = Wire(closed())
    wire.say(request_text("INVITE", uri="tel:+1-919-555-1234;phone-context=x", body=SDP))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.session.request_uri.user == "+19195551234"
    wire.endpoint.answer(event.session, SDP, wire.now)
    ok = wire.heard()[-1]
    assert isinstance(ok, Response) and ok.get("Contact") == "<sip:192.0.2.10:5060>"
    assert only(wire, request_text("OPTIONS", uri="tel:+1", call_id="o", branch="z9hG4bKo")).status == 416
