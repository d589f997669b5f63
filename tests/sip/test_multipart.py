"""A session description among other parts: what gateways send with ISUP, location or a picture."""

from collections.abc import Callable

import pytest

from sip.events import IncomingCall
from sip.message import Response
from sip.multipart import MAX_PARTS, find_part
from tests.support.effort import calls
from tests.support.sip_pair import SDP, Wire, request_text

MIXED = 'multipart/mixed;boundary="unique boundary"'
SDP_PART = b"Content-Type: application/sdp\r\n\r\n" + SDP
ISUP = (
    b"Content-Type: application/isup;version=itu-t92+\r\n"
    b"Content-Disposition: signal;handling=optional\r\n\r\n\x01\x00--\xff\r\n--uniq"
)


def joined(*parts: bytes, boundary: bytes = b"unique boundary") -> bytes:
    return (
        b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    )


def invite(content_type: str, body: bytes) -> bytes:
    text = request_text("INVITE", body=body)
    return text.replace(b"Content-Type: application/sdp", f"Content-Type: {content_type}".encode(), 1)


@pytest.mark.parametrize(
    "body",
    [
        joined(SDP_PART),
        joined(ISUP, SDP_PART),
        joined(SDP_PART, ISUP),
        b"preamble\r\n" + joined(ISUP, SDP_PART) + b"epilogue",
        joined(SDP_PART).replace(b"Content-Type: a", b"cOnTeNt-TyPe :\r\n\tA", 1),
        joined(SDP_PART).replace(b"boundary\r\n", b"boundary \t\r\n"),
        joined(SDP_PART).removesuffix(b"\r\n"),
        joined(b"\r\ntext", SDP_PART),
        joined(b"Content-Transfer-Encoding: binary\r\n" + SDP_PART),
        joined(b"Content-Type: multipart/alternative;boundary=in\r\n\r\n" + joined(SDP_PART, boundary=b"in")),
    ],
)
def test_the_description_is_found_among_the_parts(body: bytes) -> None:
    wire = Wire()
    wire.say(invite(MIXED, body))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall) and event.sdp == SDP


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MIXED, joined(ISUP)),
        (MIXED, joined()),
        (MIXED, b"--unique boundary"),
        (MIXED, b"--unique boundary\r\n"),
        (MIXED, b"--unique boundary--" + joined(SDP_PART)),
        (MIXED, b"x"),
        (MIXED, joined(b"Content-Transfer-Encoding: base64\r\n" + SDP_PART)),
        (MIXED, joined(SDP_PART, boundary=b"another")),
        ("multipart/mixed", joined(SDP_PART)),
        ("multipart/mixed;boundary=", joined(SDP_PART, boundary=b"")),
        ('multipart/mixed;boundary="open', joined(SDP_PART)),
        (f"multipart/mixed;boundary={'b' * 71}", joined(SDP_PART, boundary=b"b" * 71)),
        ("multipart/signed;boundary=b", joined(SDP_PART, boundary=b"b")),
    ],
)
def test_parts_without_a_description_are_415_with_what_we_accept(content_type: str, body: bytes) -> None:
    wire = Wire()
    (answer,) = wire.say(invite(content_type, body))
    assert isinstance(answer, Response) and answer.status == 415
    assert answer.get("Accept") == "application/sdp, multipart/mixed"
    assert wire.events() == []


def deep(parts: int) -> bytes:
    body = SDP_PART
    for _ in range(parts):
        body = joined(b"Content-Type: multipart/mixed;boundary=b\r\n\r\n" + body, boundary=b"b")
    return body


def wide(parts: int) -> bytes:
    return joined(*[ISUP] * parts, SDP_PART, boundary=b"b")


@pytest.mark.parametrize("shape", [deep, wide, lambda n: b"\r\n--b" * n, lambda n: b"--b\r\n" * n])
def test_a_thousand_parts_cost_no_more_than_as_many_as_are_looked_at(shape: Callable[[int], bytes]) -> None:
    def look(body: bytes) -> None:
        assert find_part(body, "multipart/mixed;boundary=b", "application/sdp") is None

    most, thousand = shape(MAX_PARTS + 1), shape(1_000)
    assert calls(lambda: look(thousand)) == calls(lambda: look(most))


def test_as_many_parts_as_are_looked_at_are_found() -> None:
    enough = joined(*[ISUP] * (MAX_PARTS - 1), SDP_PART, boundary=b"b")
    assert find_part(enough, "multipart/mixed;boundary=b", "application/sdp") == SDP
