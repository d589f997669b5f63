"""Messages that torture a parser, of the kinds that RFC 4475 and RFC 5118 describe, made anew; each with
what it must come to, over datagrams, over a stream byte by byte, and glued to the next message."""

from dataclasses import dataclass

import pytest

from sip import sdp
from sip.access import Access
from sip.events import IncomingCall
from sip.flow import Flow
from sip.framing import Framer
from sip.message import Response
from sip.registrar import Registrar
from tests.support.effort import calls
from tests.support.sip_pair import SDP, SERVER, Wire, config, request_text

DROPPED = 0
"""No answer at all: a broken response, or a request whose sender cannot be told."""


@dataclass(frozen=True)
class Case:
    """A message and its fate. `section` is where the standard describes its kind."""

    section: str
    name: str
    data: bytes
    status: int
    """The response over UDP."""
    stream: int | None = None
    """The response over a stream, where it differs."""
    closes: bool = False
    """True when the stream cannot be cut behind it."""


def request(method: str = "OPTIONS", body: bytes = b"", **changes: object) -> bytes:
    return request_text(method, body=body, **changes)  # type: ignore[arg-type]


def edited(method: str, old: str, new: str, body: bytes = b"") -> bytes:
    text = request(method, body)
    assert old.encode() in text, old
    return text.replace(old.encode(), new.encode("utf-8", "surrogateescape"), 1)


def response(line: str, extra: str = "", cseq: str = "1 OPTIONS") -> bytes:
    return (
        f"SIP/2.0 {line}\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKours\r\n{extra}"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: r\r\nCSeq: {cseq}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


TWISTED = (
    b"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
    b"TO :\r\n sip:room@192.0.2.10 ;   x = y\r\n"
    b'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n'
    b"MaX-fOrWaRdS: 0068\r\n"
    b"Call-ID: twisted.ndaksdj@192.0.2.1\r\n"
    b"cseq: 0009\r\n  INVITE\r\n"
    b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2 ;rport; branch=390skdjuw\r\n"
    b"s :\r\n"
    b"NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n"
    b"UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n"
    b"v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
    b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
    b'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n'
    b"  secondparam ; q = 0.33\r\n"
    b"l: %d\r\n\r\n%b" % (len(SDP), SDP)
)

OLD = (
    b"INVITE sip:room@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP old.example.com\r\n"
    b"From: <sip:a@old.example.com>\r\n"
    b"To: sip:room@192.0.2.10\r\nCall-ID: old@old\r\nCSeq: 1 INVITE\r\n%bContent-Length: 0\r\n\r\n"
)

LONG = request(
    "INVITE",
    SDP,
    uri=f"sip:room@192.0.2.10;{'unknownparam=' + 'v' * 200};x",
    extra=f"Unknown-{'Long' * 40}: {'unknown-' * 60}\r\nTimestamp: {'0' * 200}1\r\n"
    + "".join(f"Via: SIP/2.0/TCP host{n}.{'example.' * 20}com;branch=z9hG4bK{n}\r\n" for n in range(34)),
)

MULTIPART = edited(
    "MESSAGE",
    "Content-Length: 0",
    "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\r\nContent-Length: 21",
).replace(b"\r\n\r\n", b"\r\n\r\n--7a9\x00\xff\r\n\r\n--7a9c--\r\n", 1)

SDP_OF_IPV6 = SDP.replace(b"IP4 192.0.2.1", b"IP6 2001:db8::1")
SDP_OF_MAPPED = SDP.replace(b"IP4 192.0.2.1", b"IP6 ::ffff:192.0.2.1")
SDP_OF_BOTH = (
    SDP.replace(b"c=IN IP4 192.0.2.1\r\n", b"")
    + b"c=IN IP6 2001:db8::1\r\nm=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"
)

CASES = [
    Case("4475 3.1.1.1", "folds, compact forms, blanks everywhere", TWISTED, 100),
    Case("4475 3.1.1.2", "odd method", request("!interesting-Method0123456789_*+`.%indeed'~"), 501),
    Case(
        "4475 3.1.1.2",
        "odd display name",
        edited("OPTIONS", "Alice", '"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"'),
        200,
    ),
    Case(
        "4475 3.1.1.3",
        "escapes in the user part",
        request("INVITE", SDP, uri="sip:sips%3Auser%40example.com@h"),
        100,
    ),
    Case(
        "4475 3.1.1.3",
        "escapes in contact",
        request("INVITE", SDP, contact="<sip:c@b;%6C%72;n%61me=v%61lue%25%34%31>"),
        100,
    ),
    Case("4475 3.1.1.4", "escaped null", request("REGISTER", contact="<sip:%00@h>, <sip:%00%00@h>"), 200),
    Case(
        "4475 3.1.1.5",
        "an escaped method is another method",
        request("RE%47IST%45R", extra="C%6Fntact: <sip:x@y>\r\n"),
        501,
    ),
    Case("4475 3.1.1.6", "no blank before <", edited("OPTIONS", "Alice <", "caller<"), 200),
    Case("4475 3.1.1.7", "long values", LONG, 100),
    Case(
        "4475 3.1.1.8", "a second message in the datagram", request("REGISTER") + request("INVITE", SDP), 200
    ),
    Case(
        "4475 3.1.1.9",
        "semicolons in the user part",
        request(uri="sip:user;par=u%40example.net@192.0.2.10"),
        200,
    ),
    Case(
        "4475 3.1.1.10",
        "transports of all kinds",
        request(
            extra="Via: SIP/2.0/SCTP t5.example.com;branch=z9hG4bK1\r\nVia: SIP/2.0/TLS t4.example.com\r\n"
            "Via: SIP/2.0/UNKNOWN t3.example.com\r\n"
        ),
        200,
    ),
    Case("4475 3.1.1.11", "several parts with binary bytes", MULTIPART, 405),
    Case(
        "4475 3.1.1.12",
        "a reason in another alphabet",
        response("200 = 2**3 * 5**2 но сто девяносто девять"),
        DROPPED,
    ),
    Case("4475 3.1.1.13", "no reason", response("100 "), DROPPED),
    Case(
        "4475 3.1.2.1",
        "separators with nothing between",
        edited("INVITE", "branch=z9hG4bKone;rport", "branch=z9hG4bKone;;,;,,"),
        400,
    ),
    Case("4475 3.1.2.1", "separators in contact", request("INVITE", SDP, contact='"" <> ;,'), 400),
    Case(
        "4475 3.1.2.2",
        "length beyond the message",
        edited("INVITE", "Content-Length: 0", "Content-Length: 9999"),
        400,
        DROPPED,
    ),
    Case(
        "4475 3.1.2.3",
        "negative length",
        edited("INVITE", "Content-Length: 0", "Content-Length: -999"),
        400,
        closes=True,
    ),
    Case(
        "4475 3.1.2.4", "too large a CSeq", edited("REGISTER", "CSeq: 1", "CSeq: 36893488147419103232"), 400
    ),
    Case(
        "4475 3.1.2.4", "too many forwards", edited("REGISTER", "Max-Forwards: 70", "Max-Forwards: 300"), 400
    ),
    Case(
        "4475 3.1.2.4",
        "too long a time",
        request("REGISTER", extra="Expires: 10000000000000000000000\r\n"),
        200,
    ),
    Case("4475 3.1.2.4", "too large a port", request("REGISTER", contact="<sip:user@h:65537>"), 400),
    Case(
        "4475 3.1.2.5",
        "too large numbers in a response",
        response("503 X", "Retry-After: 9949209234\r\n", "9292394834772304023312 OPTIONS"),
        DROPPED,
    ),
    Case(
        "4475 3.1.2.6",
        "an open quote",
        edited("INVITE", "To: <sip:room@192.0.2.10>", 'To: "Mr. J. User <sip:j@x>'),
        400,
    ),
    Case(
        "4475 3.1.2.7",
        "brackets around the address",
        request("INVITE", SDP, uri="<sip:user@example.com>"),
        400,
    ),
    Case(
        "4475 3.1.2.8", "blanks in the address", request("INVITE", SDP, uri="sip:user@example.com; lr"), 400
    ),
    Case(
        "4475 3.1.2.9",
        "many blanks in the first line",
        edited("OPTIONS", "OPTIONS sip:room@192.0.2.10 SIP", "OPTIONS  sip:room@192.0.2.10  SIP"),
        200,
    ),
    Case(
        "4475 3.1.2.10",
        "blanks behind the first line",
        edited("OPTIONS", "SIP/2.0\r\n", "SIP/2.0  \r\n"),
        200,
    ),
    Case(
        "4475 3.1.2.11",
        "headers in the address",
        request("INVITE", SDP, uri="sip:user@example.com?Route=%3Csip:example.com%3E"),
        400,
    ),
    Case(
        "4475 3.1.2.12",
        "a date of another zone",
        request(extra="Date: Fri, 01 Jan 2010 16:00:00 EST\r\n"),
        200,
    ),
    Case(
        "4475 3.1.2.13",
        "contact with ? and no brackets",
        request("REGISTER", contact="sip:user@example.com?Route=%3Csip:x%3E"),
        400,
    ),
    Case(
        "4475 3.1.2.14",
        "blanks within an address",
        edited("OPTIONS", "To: <sip:room@192.0.2.10>", 'To: "W" < sip:w @ example.org >'),
        400,
    ),
    Case(
        "4475 3.1.2.15",
        "an unquoted name that is no token",
        edited("OPTIONS", "Alice <", "Bell, Alexander <"),
        200,
    ),
    Case("4475 3.1.2.16", "another version", edited("OPTIONS", "SIP/2.0\r\n", "SIP/7.0\r\n"), 505),
    Case(
        "4475 3.1.2.16",
        "another version, in Via too",
        edited("OPTIONS", "SIP/2.0\r\n", "SIP/7.0\r\n").replace(b"SIP/2.0/UDP", b"SIP/7.0/UDP"),
        505,
    ),
    Case("4475 3.1.2.17", "two methods", edited("OPTIONS", "CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), 400),
    Case(
        "4475 3.1.2.18",
        "an unknown and a known method",
        edited("NEWMETHOD", "CSeq: 1 NEWMETHOD", "CSeq: 1 INVITE"),
        400,
    ),
    Case(
        "4475 3.1.2.19", "too large a status", response("4294967301 better not break the receiver"), DROPPED
    ),
    Case("4475 3.2.1", "a branch that names nothing", edited("OPTIONS", "z9hG4bKone", "z9hG4bK"), 200),
    Case(
        "4475 3.3.1",
        "hardly any headers",
        b"INVITE sip:user@example.com SIP/2.0\r\nCSeq: 193942 INVITE\r\n"
        b"Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\r\nContent-Length: 0\r\n\r\n",
        400,
    ),
    Case("4475 3.3.2", "an unknown scheme", request(uri="nobodyKnowsThisScheme:totallyopaquecontent"), 416),
    Case("4475 3.3.3", "a known scheme that is not ours", request(uri="soap.beep://192.0.2.103:3002"), 416),
    Case(
        "4475 3.3.4",
        "unknown schemes in headers",
        edited("REGISTER", "To: <sip:room@192.0.2.10>", "To: isbn:2983792873"),
        400,
    ),
    Case(
        "4475 3.3.5",
        "unknown extensions",
        request(extra="Require: nothingSupportsThis, nothingSupportsThisEither\r\n"),
        420,
    ),
    Case(
        "4475 3.3.6",
        "an unknown body",
        edited("INVITE", "application/sdp", "application/unknownformat", SDP),
        415,
    ),
    Case(
        "4475 3.3.7",
        "an unknown scheme of authorization",
        request("REGISTER", extra="Authorization: NoOneKnows x=y\r\n"),
        200,
    ),
    Case(
        "4475 3.3.8",
        "single headers twice",
        request("INVITE", SDP, extra="CSeq: 5 INVITE\r\nCall-ID: other\r\nMax-Forwards: 5\r\n"),
        400,
    ),
    Case("4475 3.3.9", "two lengths", request(extra="Content-Length: 7\r\n"), 400, closes=True),
    Case(
        "4475 3.3.10",
        "a response for a broadcast address",
        response("200 OK", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\n"),
        DROPPED,
    ),
    Case("4475 3.3.11", "no forwards left", edited("OPTIONS", "Max-Forwards: 70", "Max-Forwards: 0"), 200),
    Case(
        "4475 3.3.12",
        "an unknown parameter of contact",
        request("REGISTER", contact="sip:+19725552222@gw1.example.net;unknownparam"),
        200,
    ),
    Case(
        "4475 3.3.13",
        "an unknown parameter of its address",
        request("REGISTER", contact="<sip:+19725552222@gw1.example.net;unknownparam>"),
        200,
    ),
    Case(
        "4475 3.3.14",
        "an escaped header in contact",
        request("REGISTER", contact="<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"),
        200,
    ),
    Case(
        "4475 3.3.15",
        "a caller who wants no SDP",
        request("INVITE", SDP, extra="Accept: text/nobodyKnowsThis\r\n"),
        406,
    ),
    Case("4475 3.4.1", "the old standard", OLD % b"Contact: <sip:a@old.example.com>\r\n", 100),
    Case("4475 3.4.1", "the old standard without contact", OLD % b"", 400),
    Case(
        "5118 4.1",
        "IPv6 everywhere",
        edited("OPTIONS", "SIP/2.0/UDP 192.0.2.1:5060", "SIP/2.0/UDP [2001:db8::9:1]"),
        200,
    ),
    Case("5118 4.1", "IPv6 in the address", request(uri="sip:[2001:db8::10]"), 200),
    Case("5118 4.2", "IPv6 without brackets", request(uri="sip:2001:db8::10"), 400),
    Case("5118 4.3", "a port that is a part of the address", request(uri="sip:[2001:db8::10:5070]"), 200),
    Case("5118 4.4", "a port behind the brackets", request(uri="sip:[2001:db8::10]:5070"), 200),
    Case(
        "5118 4.5",
        "received with brackets",
        request(extra="Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255]\r\n"),
        200,
    ),
    Case(
        "5118 4.5",
        "received without brackets",
        edited("OPTIONS", ";rport", ";rport;received=2001:db8::9:255"),
        200,
    ),
    Case("5118 4.6", "IPv6 in the description", request("INVITE", SDP_OF_IPV6), 100),
    Case(
        "5118 4.7",
        "both families",
        request(extra="Via: SIP/2.0/UDP [2001:db8::9:1]\r\nVia: SIP/2.0/UDP 192.0.2.7\r\n"),
        200,
    ),
    Case("5118 4.8", "lines of both families in the description", request("INVITE", SDP_OF_BOTH), 100),
    Case("5118 4.9", "a mapped address in the description", request("INVITE", SDP_OF_MAPPED), 100),
    Case(
        "5118 4.9",
        "mapped addresses",
        request(contact="<sip:u@[::ffff:192.0.2.2]>", uri="sip:[::ffff:192.0.2.2]"),
        200,
    ),
    Case("5118 4.10", "an extra colon", edited("OPTIONS", "192.0.2.1:5060", "[2001:db8:::192.0.2.1]"), 200),
    Case("5118 4.10", "the right form", edited("OPTIONS", "192.0.2.1:5060", "[2001:db8::192.0.2.1]"), 200),
]
ids = [f"{case.section} {case.name}" for case in CASES]


def fate(wire: Wire, data: bytes) -> int:
    """The status of the one response, or DROPPED."""
    answers = wire.say(data)
    assert len(answers) <= 1
    if not answers:
        return DROPPED
    assert isinstance(answers[0], Response)
    return answers[0].status


def assert_alive(wire: Wire) -> None:
    wire.heard()
    assert fate(wire, request(call_id="alive", branch="z9hG4bKalive")) == 200


def lets_all_in() -> Wire:
    return Wire(config(registrar=Registrar()))


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_each_message_gets_its_answer_and_the_next_one_too(case: Case) -> None:
    wire = lets_all_in()
    assert fate(wire, case.data) == case.status
    assert_alive(wire)
    for session in wire.endpoint.sessions:
        wire.endpoint.hang_up(session, wire.now)
    wire.wait(140)
    assert not any(wire.endpoint.size().values())


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_over_a_stream_byte_by_byte_and_glued_together(case: Case) -> None:
    status = case.status if case.stream is None else case.stream
    if case.data.count(b"Content-Length") + case.data.count(b"\r\nl:") < 1:
        pytest.skip("no length, no stream")
    after = request(call_id="after", branch="z9hG4bKafter")
    for pieces in ([bytes([b]) for b in case.data + after], [case.data + after]):
        wire, framer, answers = lets_all_in(), Framer(), list[int]()
        wire.flow = Flow("tcp", SERVER, ("192.0.2.1", 40000), 1)
        for piece in pieces:
            for message in framer.feed(piece):
                answers.append(fate(wire, message))
        if framer.error is not None and framer.error.head:
            answers.append(fate(wire, framer.error.head))
        assert (framer.error is not None) is case.closes
        answers = [a for a in answers if a != DROPPED]
        if case.closes:
            assert answers == [400]
        elif case.stream == DROPPED:
            assert answers == [] and framer.partial, "it waits for the rest, and its time runs out"
        elif case.section == "4475 3.1.1.8":
            assert answers == [200, 100, 200], "in a stream the second message counts"
        else:
            assert answers == ([status, 200] if status else [200])


@pytest.mark.parametrize(
    ("description", "family", "remote"),
    [
        (SDP_OF_IPV6, "2001:db8::10", ("2001:db8::1", 4000)),
        (SDP_OF_BOTH, "192.0.2.10", ("192.0.2.1", 4002)),
        (SDP_OF_BOTH, "2001:db8::10", ("2001:db8::1", 4000)),
        (SDP_OF_MAPPED, "192.0.2.10", ("192.0.2.1", 4000)),
    ],
)
def test_each_line_of_a_description_has_a_family_of_its_own(
    description: bytes, family: str, remote: tuple[str, int]
) -> None:
    """RFC 5118 sections 4.6, 4.8 and 4.9."""
    _, agreed = sdp.answer(description, sdp.Local(family, 4000, 1, 1))
    assert agreed.remote == remote


def in_dialog() -> tuple[Wire, str]:
    """A call that stands, and our tag."""
    wire = lets_all_in()
    wire.say(request("INVITE", SDP))
    (event,) = wire.events()
    assert isinstance(event, IncomingCall)
    wire.endpoint.answer(event.session, SDP, wire.now)
    tag = wire.heard()[-1].to.tag
    wire.say(request("ACK", branch="z9hG4bKack", to_tag=tag))
    wire.events()
    return wire, tag


@pytest.mark.parametrize("method", ["INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "PRACK", "INFO", "REGISTER"])
@pytest.mark.parametrize("header", ["Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact"])
def test_a_header_that_is_missing_harms_nobody_in_a_call_or_out_of_it(method: str, header: str) -> None:
    for dialog in (True, False):
        wire, tag = in_dialog() if dialog else (lets_all_in(), "")
        text = request(method, SDP, cseq=2, branch="z9hG4bKtwo", to_tag=tag)
        lines = text.split(b"\r\n")
        wire.say(b"\r\n".join(line for line in lines if not line.startswith(f"{header}:".encode())))
        assert_alive(wire)
        for session in wire.endpoint.sessions:
            wire.endpoint.hang_up(session, wire.now)
        wire.wait(140)
        assert not any(wire.endpoint.size().values())


@pytest.mark.parametrize(
    "header", ["Accept", "Require", "Supported", "Record-Route", "Route", "Contact", "Reason", "Allow"]
)
def test_a_thousand_values_in_a_header_cost_no_more_than_twice_five_hundred(header: str) -> None:
    def ask(number: int) -> None:
        wire = lets_all_in()
        values = ", ".join(["<sip:a@h;lr>"] * number)
        contact = "" if header == "Contact" else "<sip:alice@192.0.2.1>"
        wire.say(request("INVITE", SDP, contact=contact, extra=f"{header}: {values}\r\n"))
        assert_alive(wire)

    ask(1)  # what is made once is made
    assert calls(lambda: ask(1_000)) <= 2 * calls(lambda: ask(500))


@pytest.mark.parametrize("name", ["CSEQ", "CSeq ", "cseq\t", "Cseq  "])
def test_a_header_written_otherwise_is_the_same_header(name: str) -> None:
    wire = lets_all_in()
    assert fate(wire, request(extra=f"{name}: 2 OPTIONS\r\n")) == 400, "two of them"


ANOMALIES = [
    b"", b"\x00", b"\xff\xfe", b"%s%n%x", b"%00", b"A" * 128, b"A" * 1024, b"A" * 40_000, b"-1", b"0",
    b"2147483648",
    b"4294967296", b"18446744073709551616", b"1.5", b"999.999.999.999", b"256.256.256.256", b"[::", b"]",
    b'"', b"\\",
    b"<", b">", b"<>", b"<<sip:a@b>>", b";", b";;;;", b",", b",,,,", b":", b"@", b"?", b"=", b"'", b"`",
    b"\t", b" ",
    b"\r\n ", b"\x0b", b"\x7f", b"../../etc/passwd", b"${x}", b"sip:", b"sip:@", b"sip:a@", b"sip:a:b:c@d:e",
    b"sip:a@[", b"tel:", b"*", b"SIP/2.0", b"SIP/2.0/UDP", b"INVITE", b"\xc3\xa4", b"\xd9\xa1", b"a=b=c",
    b";tag=",
    b'"\\"', b"<sip:a@b;>", b"<sip:a@b>;", b"<sip:a@b>;=x", b"(comment", b"z9hG4bK",
]  # fmt: skip
ELEMENTS = [
    b"INVITE sip", b"sip:room@192.0.2.10 SIP", b"room@", b"SIP/2.0\r\nVia", b"SIP/2.0/UDP",
    b"192.0.2.1:5060", b"5060",
    b"z9hG4bKone", b"rport", b"70", b"Alice", b"<sip:alice@192.0.2.1>;tag", b";tag=phone", b"phone",
    b"<sip:room@192.0.2.10>\r\nCall",
    b"call-1", b"1 INVITE", b"INVITE\r\nContact", b"<sip:alice@192.0.2.1>\r\nContent", b"application/sdp",
    b"%d\r\n\r\n" % len(SDP),
]  # fmt: skip


@pytest.mark.parametrize("element", ELEMENTS, ids=[e.decode().split("\r")[0] for e in ELEMENTS])
def test_every_anomaly_in_every_element_of_an_invite_is_survived(element: bytes) -> None:
    """In the manner of the PROTOS suite: one anomaly at a time, then a request that must be answered."""
    wire = lets_all_in()
    number = 0
    for anomaly in ANOMALIES:
        for piece in (anomaly, element + anomaly, anomaly + element):
            number += 1
            good = request_text("INVITE", branch=f"z9hG4bKone{number}", call_id=f"call-1{number}", body=SDP)
            assert element in good
            wire.say(good.replace(element, piece, 1))
            assert_alive(wire)
            for event in wire.events():
                if isinstance(event, IncomingCall):
                    wire.endpoint.answer(event.session, SDP, wire.now)
                    wire.endpoint.hang_up(event.session, wire.now)
    wire.wait(140)
    assert not any(wire.endpoint.size().values())


def test_ten_thousand_vias_are_refused_or_answered_in_bounds() -> None:
    wire = Wire()
    fate(wire, request(extra="Via: SIP/2.0/UDP h\r\n" * 10_000))
    fate(
        wire, request(call_id="c", branch="z9hG4bKc", extra=f"Via: {', '.join(['SIP/2.0/UDP h'] * 3000)}\r\n")
    )
    assert_alive(wire)


def test_a_flood_from_a_stranger_keeps_nothing() -> None:
    wire = Wire(config(access=Access(allow=["192.0.2.0/30"], users={"a": "b"})))
    stranger = Flow("udp", SERVER, ("203.0.113.9", 5060))
    for number in range(2_000):
        wire.say(request_text("INVITE", call_id=f"c{number}", branch=f"z9hG4bK{number}"), stranger)
    assert not any(wire.endpoint.size().values())
