"""Keys told by INFO, in the forms that phones use."""

import pytest

from sip.events import CallAcknowledged, DigitReceived, IncomingCall
from sip.info import pressed
from sip.message import Request, Response
from tests.sip.test_inbound import answered
from tests.support.sip_pair import SDP, Wire, request_text, response_text

RELAY, PLAIN = "application/dtmf-relay", "application/dtmf"


class InCall:
    """An answered call on a wire, in which the phone sends INFO."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.wire.say(request_text("INVITE", body=SDP))
        (event,) = self.wire.events()
        assert isinstance(event, IncomingCall)
        self.session = event.session
        self.wire.endpoint.answer(event.session, SDP, self.wire.now)
        self.tag = self.wire.heard()[-1].to.tag
        self.wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=self.tag))
        (acknowledged,) = self.wire.events()
        assert isinstance(acknowledged, CallAcknowledged)
        self.cseq = 1

    def text(self, kind: str, body: bytes) -> bytes:
        """An INFO with a CSeq and a branch of its own."""
        self.cseq += 1
        length = f"Content-Length: {len(body)}"
        text = request_text("INFO", branch=f"z9hG4bKinfo{self.cseq}", cseq=self.cseq, to_tag=self.tag)
        header = f"Content-Type: {kind}\r\n{length}" if kind else length
        return text.replace(b"Content-Length: 0", header.encode()) + body

    def info(self, kind: str, body: bytes) -> int:
        """The status that answers it."""
        (response,) = self.wire.say(self.text(kind, body))
        assert isinstance(response, Response)
        return response.status

    def keys(self) -> list[tuple[str, int]]:
        events = self.wire.events()
        assert all(isinstance(e, DigitReceived) and e.session is self.session for e in events)
        return [(e.digit, e.duration_ms) for e in events if isinstance(e, DigitReceived)]


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        (RELAY, b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
        (RELAY, b"Signal= *\r\nDuration= 250\r\n", ("*", 250)),
        (RELAY, b"Signal=#\nDuration=100", ("#", 100)),
        (RELAY, b"signal = a", ("A", 0)),
        (RELAY, b"Duration=90\r\nSignal=0\r\n", ("0", 90)),
        (RELAY, b"Signal=10\r\nDuration=160", ("*", 160)),
        (RELAY, b"Signal=11", ("#", 0)),
        (RELAY, b"Signal=15", ("D", 0)),
        (RELAY, b"Signal=7\r\nDuration=999999", ("7", 60_000)),
        (RELAY, b"Signal=7\r\nDuration=long", ("7", 0)),
        (f"{RELAY}; charset=utf-8", b"Signal=1", ("1", 0)),
        ("Application/DTMF-Relay", b"Signal=1", ("1", 0)),
        (PLAIN, b"9", ("9", 0)),
        (PLAIN, b" 11\r\n", ("#", 0)),
        (PLAIN, b"Signal=3\r\nDuration=80", ("3", 80)),
    ],
)
def test_each_form_is_one_key(kind: str, body: bytes, told: tuple[str, int]) -> None:
    call = InCall()
    assert call.info(kind, body) == 200
    assert call.keys() == [told]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("", b""),
        (RELAY, b""),
        (RELAY, b"Signal=16\r\nDuration=160"),  # a hook flash
        (PLAIN, b"hf"),
        ("application/media_control+xml", b"<media_control/>"),
        ("text/plain", b"Signal=5"),
    ],
)
def test_what_is_no_key_is_answered_and_told_to_nobody(kind: str, body: bytes) -> None:
    call = InCall()
    assert call.info(kind, body) == 200
    assert call.keys() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RELAY, b"5"),
        (RELAY, b"Signal=\r\nDuration=160"),
        (RELAY, b"Signal=55\r\n"),
        (RELAY, b"Signal=E"),
        (RELAY, "Signal=٣".encode()),
        (RELAY, b"Signal=\xff\xff"),
        (PLAIN, b" "),
        (PLAIN, b"12 34"),
        (PLAIN, b"x" * 5000),
    ],
)
def test_a_body_that_breaks_its_type_is_a_400_that_does_not_repeat_it(kind: str, body: bytes) -> None:
    call = InCall()
    (response,) = call.wire.say(call.text(kind, body))
    assert isinstance(response, Response)
    assert response.status == 400 and response.reason.startswith("Expected")
    assert call.keys() == []


def test_an_info_said_again_is_one_key() -> None:
    call = InCall()
    text = call.text(RELAY, b"Signal=5\r\nDuration=160\r\n")
    for _ in range(3):
        (response,) = call.wire.say(text)
        assert isinstance(response, Response) and response.status == 200
    assert call.keys() == [("5", 160)]


def test_a_key_is_in_no_repr() -> None:
    call = InCall()
    call.info(RELAY, b"Signal=#\r\nDuration=160")
    (event,) = call.wire.events()
    assert "#" not in repr(event).replace(repr(call.session), "")


def test_a_key_is_told_in_the_dialog_and_a_refusal_changes_nothing() -> None:
    wire = Wire()
    session, _ = answered(wire, extra="Allow: INVITE, INFO\r\n")
    assert session.takes_info
    wire.endpoint.press(session, "#", 160, wire.now)
    (told,) = wire.heard()
    assert isinstance(told, Request)
    assert (told.method, told.content_type) == ("INFO", "application/dtmf-relay")
    assert pressed(told) == ("#", 160)
    wire.say(response_text(told, 415))
    assert wire.told() == [] and not session.ended


def test_a_key_for_a_call_that_is_over_is_told_to_nobody() -> None:
    wire = Wire()
    session, _ = answered(wire)
    assert not session.takes_info
    wire.endpoint.hang_up(session, wire.now)
    wire.heard()
    wire.endpoint.press(session, "1", 160, wire.now)
    assert wire.heard() == []
