"""What the log shows of SIP, and what it never does."""

import logging

import pytest

from sip.flow import Flow
from sip.trace import CALLS, PER_SECOND, REMOVED, Trace, readable
from tests.support.sip_pair import request_text

FLOW = Flow("udp", ("192.0.2.10", 5060), ("192.0.2.1", 5060))
SDP = (
    b"v=0\r\nc=IN IP4 192.0.2.1\r\nk=clear:the-key\r\nm=audio 4000 RTP/SAVP 0\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:the-key\r\na=ice-pwd:the-key\r\nA=CRYPTO:2 the-key\r\n"
    b"a=key-mgmt:mikey the-key\r\na=sendrecv\r\n"
)


@pytest.mark.parametrize(
    "header",
    [
        'Authorization: Digest username="alice", response="the-key"',
        'authorization : Digest response="the-key"',
        'PROXY-AUTHORIZATION:Digest username="alice",\r\n response="the-key",\r\n\tnonce="the-key"',
        'Authorization: Digest a="b"\r\nAuthorization: Digest response="the-key"',
        "Cookie: session=the-key",
        "X-Api-Key: the-key\r\nx-caller-pin:the-key\r\nX-AuthToken: Bearer\r\n the-key",
    ],
)
def test_credentials_are_removed_whole(header: str) -> None:
    text = readable(request_text("REGISTER", extra=f"{header}\r\nExpires: 60\r\n"))
    assert "the-key" not in text and REMOVED in text and "Expires: 60" in text
    assert 'alice"' not in text


def test_other_headers_of_an_application_are_shown() -> None:
    assert "X-Shopping: basket" in readable(request_text("INVITE", extra="X-Shopping: basket\r\n"))


def test_a_password_in_a_uri_is_removed() -> None:
    text = readable(request_text("INVITE", contact="<sip:alice:the-key@192.0.2.1:5070>"))
    assert "the-key" not in text and f"<sip:alice:{REMOVED}@192.0.2.1:5070>" in text
    assert "sip:room@192.0.2.10" in text


def test_of_sdp_the_keys_are_removed_and_the_rest_is_shown() -> None:
    text = readable(request_text("INVITE", body=SDP))
    assert "the-key" not in text and text.count(REMOVED) == 5
    assert "m=audio 4000 RTP/SAVP 0" in text and "a=sendrecv" in text


@pytest.mark.parametrize("kind", ["application/dtmf-relay", "application/dtmf", "multipart/mixed;boundary=x"])
def test_digits_and_whatever_else_is_no_sdp_are_not_shown(kind: str) -> None:
    extra = f"Content-Type: {kind}\r\n"
    text = readable(request_text("INFO", extra=extra) + b"Signal=7\r\nDuration=160\r\n")
    assert "Signal" not in text and text.endswith(REMOVED)


def test_what_is_no_sip_is_shown_as_far_as_it_can_be_read() -> None:
    assert readable(b"\xff\xfe nonsense") == "\ufffd\ufffd nonsense"
    assert len(readable(b"x" * 70_000)) == 8192


@pytest.mark.timeout(20)  # it takes some hundredths of a second, and what goes by the square of it minutes
def test_a_message_made_to_be_slow_is_not() -> None:
    readable(b"INVITE sip:x SIP/2.0\r\nContact: " + b"sip:x:" * 10_000)
    readable(b"Authorization: \r\n" + b" \r\n" * 20_000)


def ladder(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.ladder for record in caplog.records if record.name == "sip.trace"]  # type: ignore[attr-defined]


def test_the_records_of_a_call_are_its_ladder_with_the_time_since_its_first(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    trace = Trace()
    response = b"SIP/2.0 180 Ringing\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\n\r\n"
    trace.received(request_text("INVITE"), FLOW, 100.0)
    trace.received(b"\r\n\r\n", FLOW, 100.1)
    trace.sent(response, FLOW, 100.25)
    trace.received(request_text("OPTIONS", call_id="other"), FLOW, 101.0)
    assert ladder(caplog) == [
        "   0.000 <-- udp:192.0.2.1:5060 INVITE sip:room@192.0.2.10",
        "   0.250 --> udp:192.0.2.1:5060 180 Ringing (INVITE)",
        "   0.000 <-- udp:192.0.2.1:5060 OPTIONS sip:room@192.0.2.10",
    ]
    assert [r.sip_call_id for r in caplog.records] == ["call-1", "call-1", "other"]  # type: ignore[attr-defined]


def test_a_flood_is_counted_and_not_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    trace = Trace()
    for number in range(PER_SECOND + 50):
        trace.received(request_text("OPTIONS", call_id=f"c{number}"), FLOW, 100.5)
    assert len(ladder(caplog)) == PER_SECOND
    trace.received(request_text("OPTIONS"), FLOW, 101.0)
    assert caplog.records[-1].left_out == 50  # type: ignore[attr-defined]


def test_no_more_calls_than_so_many_are_remembered() -> None:
    trace = Trace()
    for number in range(CALLS + 100):
        trace.received(request_text("OPTIONS", call_id=f"c{number}"), FLOW, float(number))
    assert len(trace._begun) == CALLS
