"""Why a call ended, as data: the Reason headers (RFC 3326) of BYE, CANCEL and final responses."""

import pytest

from sip.events import CallCancelled, CallEnded, CallFailed, IncomingCall
from sip.flow import Flow
from sip.message import Request
from sip.reason import Reason
from tests.support.sip_pair import PHONE, SDP, SERVER, Wire, request_text, response_text

CLEARED = 'Reason: Q.850;cause=16;text="Normal call clearing", SIP;cause=200\r\nReason: X;cause=1\r\n'
READ = (Reason(16, "Normal call clearing", "Q.850"), Reason(200), Reason(1, protocol="X"))


def test_a_bye_tells_its_reasons() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    wire.endpoint.answer(event.session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request_text("ACK", branch="z9hG4bKack", to_tag=tag))
    wire.say(request_text("BYE", branch="z9hG4bKbye", cseq=2, to_tag=tag, extra=CLEARED))
    assert wire.events()[-1] == CallEnded(event.session, "Normal call clearing", READ)


def test_a_cancel_tells_its_reasons() -> None:
    wire = Wire()
    wire.say(request_text("INVITE", body=SDP))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    extra = 'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'
    wire.say(request_text("CANCEL", extra=extra))
    elsewhere = Reason(200, "Call completed elsewhere")
    assert wire.events() == [CallCancelled(event.session, elsewhere.text, (elsewhere,))]


@pytest.mark.parametrize(
    ("extra", "reasons"),
    [
        (CLEARED, READ),
        ("", ()),
        ("Reason: Q.850\r\n", ()),
        ("Reason: Q.850;cause=17, ;;, SIP;cause=x\r\n", (Reason(17, protocol="Q.850"),)),
        ('Reason: Q.850;cause=17;text="open\r\n', ()),
    ],
)
def test_a_refusal_tells_its_reasons_and_broken_ones_are_left_out(
    extra: str, reasons: tuple[Reason, ...]
) -> None:
    wire = Wire()
    flow = Flow("udp", SERVER, PHONE)
    session = wire.endpoint.invite(to="sip:b@h", from_uri="sip:a@b", sdp=SDP, flow=flow, now=wire.now)
    (invite,) = wire.heard()
    assert isinstance(invite, Request)
    wire.say(response_text(invite, 486, extra=extra))
    assert wire.events() == [CallFailed(session, 486, "Whatever", reasons)]
