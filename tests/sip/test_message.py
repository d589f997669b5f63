import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip import message
from sip.errors import SipError
from sip.message import MAX_HEADERS, MessageError, Request, Response, parse, respond
from tests.support.eventually import PATIENCE
from tests.support.sip_pair import SDP, request_text

FOLDED = (
    b"INVITE sip:room@192.0.2.10 SIP/2.0\r\n"
    b"v: SIP / 2.0\r\n / UDP\r\n  192.0.2.1 ; branch=z9hG4bKf,\r\n SIP/2.0/TCP spool;branch=z9hG4bKg\r\n"
    b'f:"A \\\\\\""   <sip:a@b>\r\n ;\r\n\ttag=98\r\n'
    b"TO : <sip:room@192.0.2.10>\r\n"
    b"i: folded\r\n"
    b"CSEQ: 0009\r\n  INVITE\r\n"
    b"m: <sip:a@b>\r\n"
    b"s:\r\n"
    b'NewFangled:   a;;,b\r\n  :"q;\r\n'
    b"l:\t3\r\n\r\nabc"
)


def test_folded_and_compact_headers_are_understood() -> None:
    message = parse(FOLDED)
    assert isinstance(message, Request)
    message.check()
    assert message.via.branch == "z9hG4bKf"
    assert message.from_.tag == "98" and message.from_.display_name == 'A \\"'
    assert message.cseq.number == 9
    assert message.get("Subject") == ""
    assert message.get("Newfangled") == 'a;;,b :"q;'
    assert message.body == b"abc"
    assert len(message.get_list("Via")) == 2


def test_bare_line_feeds_are_understood() -> None:
    message = parse(FOLDED.replace(b"\r\n", b"\n"))
    message.check()
    assert message.call_id == "folded" and message.body == b"abc"


def test_line_ends_before_a_message_are_skipped() -> None:
    assert parse(b"\r\n\r\n" + FOLDED) == parse(FOLDED)


def test_what_follows_the_body_in_a_datagram_is_ignored() -> None:
    message = parse(FOLDED + b"INVITE sip:x SIP/2.0\r\n\r\n")
    assert message.body == b"abc"


def test_without_content_length_the_body_is_the_rest_of_the_datagram() -> None:
    text = request_text("INVITE", body=SDP).replace(b"Content-Length: %d\r\n" % len(SDP), b"")
    assert parse(text).body == SDP
    with pytest.raises(MessageError, match="Missing Content-Length"):
        parse(text, stream=True)


@pytest.mark.parametrize("length", [b"-1", b"9999", b"1x", b"", b"\xd9\xa1", b"99999999999999999999"])
def test_a_wrong_content_length_is_an_error_with_the_request_to_answer(length: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(request_text("OPTIONS").replace(b"Content-Length: 0", b"Content-Length: " + length))
    assert caught.value.status == 400
    assert caught.value.request is not None and caught.value.request.call_id == "call-1"


def test_two_content_lengths_are_an_error() -> None:
    with pytest.raises(MessageError, match="More than one"):
        parse(request_text("OPTIONS", extra="l: 0\r\n"))


@pytest.mark.parametrize(
    "name",
    ["Call-ID", "i", "CSeq", "From", "f", "To", "Max-Forwards", "Content-Type", "c", "Expires", "FROM "],
)
def test_a_header_that_may_come_once_may_not_come_twice(name: str) -> None:
    text = request_text("INVITE", body=SDP, extra=f"{name}: 1 INVITE\r\n{name}: 1 INVITE\r\n")
    with pytest.raises(SipError, match="More than one"):
        parse(text).check()


@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Contact"])
def test_each_missing_header_is_named(name: bytes) -> None:
    lines = [line for line in request_text("INVITE").split(b"\r\n") if not line.startswith(name + b":")]
    with pytest.raises(SipError, match=f"Missing {name.decode()}"):
        parse(b"\r\n".join(lines)).check()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"INVITE",
        b"INVITE sip:a@b",
        b"INVITE sip:a@b HTTP/1.1",
        b"INV ITE\x00 sip:a@b SIP/2.0",
        b"SIP/2.0 4294967301 Too big",
        b"SIP/2.0 99 Small",
        b"SIP/2.0 700 Big",
        b"SIP/2.0 abc",
        b"SIP/3.0 200 OK",
        b"\xff\xfe",
    ],
)
def test_a_broken_first_line_is_a_typed_error(line: bytes) -> None:
    with pytest.raises(MessageError):
        parse(line + b"\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\r\n")


def test_another_version_is_505() -> None:
    with pytest.raises(MessageError) as caught:
        parse(b"OPTIONS sip:a@b SIP/7.0\r\n\r\n")
    assert caught.value.status == 505


def test_a_response_may_have_any_reason_or_none() -> None:
    for text, reason in ((b"SIP/2.0 200 ", ""), (b"SIP/2.0 200", ""), ("SIP/2.0 200 Всё".encode(), "Всё")):
        message = parse(text + b"\r\n\r\n")
        assert isinstance(message, Response) and (message.status, message.reason) == (200, reason)


def test_bytes_that_are_no_text_survive() -> None:
    text = request_text("OPTIONS", extra="").replace(b"Alice", b'"Al\xefce \xc3\x84 \\\x00"')
    message = parse(text)
    message.check()
    assert b'"Al\xefce \xc3\x84 \\\x00"' in bytes(message)


def test_too_many_headers_are_an_error() -> None:
    with pytest.raises(MessageError, match="Too many headers"):
        parse(request_text("OPTIONS", extra="X: y\r\n" * MAX_HEADERS))


def test_a_message_of_more_than_a_datagram_is_an_error() -> None:
    with pytest.raises(MessageError) as caught:
        parse(request_text("OPTIONS", extra=f"X: {'y' * 70_000}\r\n"))
    assert caught.value.status == 513


def test_line_breaks_are_never_written() -> None:
    for broken in ("a\r\nb", "a\nb", "a\rb"):
        with pytest.raises(ValueError, match="line break"):
            bytes(Request("OPTIONS", "sip:a@b", (("Subject", broken),)))


def test_a_response_copies_what_it_must() -> None:
    request = parse(FOLDED)
    assert isinstance(request, Request)
    response = respond(request, 180, tag="ours")
    assert response.reason == "Ringing"
    assert response.get_list("Via") == request.get_list("Via")
    assert response.to.tag == "ours"
    assert (response.call_id, response.cseq) == (request.call_id, request.cseq)


LONG = 10
"""Times as long as a message may be: to read it in quadratic time takes minutes, in linear time nothing."""

HOSTILE = [
    b";" * 60_000,
    b"," * 60_000,
    b'"' * 60_000,
    b'\\"' * 30_000,
    b'"\\' * 30_000,
    b"<" * 60_000,
    b" " * 60_000,
    b"\r\n " * 20_000,
    b"<>" * 30_000,
    b'";' * 30_000,
    b"a=b;" * 15_000,
    b":" * 60_000,
    b"@" * 60_000,
    b"%" * 60_000,
    b"[" * 60_000,
    b"SIP/2.0/UDP a," * 4_000,
    b"\t \r\n" * 15_000,
]


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("header", [b"Via", b"To", b"Contact", b"CSeq", b"Subject", b"Content-Length"])
@pytest.mark.parametrize("filling", HOSTILE, ids=range(len(HOSTILE)))
def test_reading_takes_linear_time(monkeypatch: pytest.MonkeyPatch, header: bytes, filling: bytes) -> None:
    text = b"INVITE sip:a@b SIP/2.0\r\n" + header + b": " + filling * LONG + b"\r\n\r\n"
    monkeypatch.setattr(message, "MAX_MESSAGE", len(text))
    try:
        request = parse(text)
        for name in ("Contact", "Via"):
            try:
                request.get_list(name)
            except SipError:
                pass
        request.check()
    except SipError:
        pass


name = st.sampled_from(
    [
        "Via",
        "v",
        "From",
        "f",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "m",
        "Content-Length",
        "l",
        "X-Odd",
        "Route",
        "\x00",
    ]
)
value = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["SIP/2.0/UDP h;branch=z9hG4bK1", "<sip:a@b>;tag=1", "1 INVITE", '"a', "sip:a@b", "70", "0"]
    ),
)
first = st.one_of(st.just("INVITE sip:a@b SIP/2.0"), st.just("SIP/2.0 200 OK"), st.text(max_size=30))
ends = st.sampled_from(["\r\n", "\n", "\r\n ", "\r"])


@st.composite
def nearly_messages(draw: st.DrawFn) -> bytes:
    text = draw(first) + "\r\n"
    for _ in range(draw(st.integers(0, 8))):
        text += f"{draw(name)}: {draw(value)}{draw(ends)}"
    return text.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"\r\n", b"", b"\r\n\r\nbody"]))


def touch_everything(data: bytes) -> None:
    try:
        message = parse(data)
        again = parse(bytes(message))
        assert again == message
        message.check()
        assert message.contact is None or str(message.contact)
        for header in ("Record-Route", "Via", "Contact", "Require"):
            message.get_list(header)
        if isinstance(message, Request):
            seen = message.seen_from("192.0.2.1", 5060)
            assert parse(bytes(respond(seen, 200, tag="x"))).cseq == message.cseq
    except SipError:
        pass


@settings(max_examples=400, deadline=None)
@given(nearly_messages())
def test_nearly_messages_give_a_message_or_the_typed_error(data: bytes) -> None:
    touch_everything(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_garbage_gives_a_message_or_the_typed_error(data: bytes) -> None:
    touch_everything(data)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 6))
def test_a_message_broken_at_any_place_gives_a_message_or_the_typed_error(
    at: int, new: bytes, cut: int
) -> None:
    text = request_text("INVITE", body=SDP, extra="Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n")
    touch_everything(text[:at] + new + text[at + cut :])


header_value = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30).map(
    lambda text: text.strip(" \t")
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["Subject", "X-Odd", "Contact", "Via"]), header_value)),
    st.binary(max_size=50),
)
def test_what_is_written_reads_the_same(headers: list[tuple[str, str]], body: bytes) -> None:
    message = Request("INVITE", "sip:a@b", tuple(headers), body)
    assert parse(bytes(message)) == message
    assert parse(bytes(message), stream=True) == message
