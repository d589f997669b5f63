import pytest

from sip.errors import SipError
from sip.headers import CSeq, NameAddr, Via, quoted, split


def test_separators_in_quotes_and_brackets_do_not_separate() -> None:
    assert split('"a,b" <sip:a,b@c>;x="1,2", d', ",") == ['"a,b" <sip:a,b@c>;x="1,2"', "d"]
    assert split('"a;\\";b" <sip:a;b@c>;x="1;2"', ";") == ['"a;\\";b" <sip:a;b@c>', 'x="1;2"']


@pytest.mark.parametrize("text", ['"open', '"open\\"', "<sip:a@b", 'a;x="'])
def test_an_open_quote_or_bracket_is_an_error(text: str) -> None:
    with pytest.raises(SipError):
        split(text, ",")


@pytest.mark.parametrize(
    ("text", "transport", "sent_by", "branch"),
    [
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "UDP", ("192.0.2.1", 5060), "z9hG4bK1"),
        ("SIP  / 2.0\t/ TCP   Example.com : 5070 ; branch = x", "TCP", ("example.com", 5070), "x"),
        ("SIP/2.0/SCTP [2001:db8::9:1]:77;ttl=1", "SCTP", ("2001:db8::9:1", 77), ""),
        (
            "SIP/2.0/UNKNOWN t1.example.org;received=[2001:db8::9:255]",
            "UNKNOWN",
            ("t1.example.org", 5060),
            "",
        ),
    ],
)
def test_via_is_read(text: str, transport: str, sent_by: tuple[str, int], branch: str) -> None:
    via = Via.parse(text)
    assert (via.transport, via.sent_by, via.branch) == (transport, sent_by, branch)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SIP/2.0/UDP",
        "SIP/1.0/UDP host",
        "SIP/2.0 host",
        "SIP/2.0/UDP host;;branch=x",
        "SIP/2.0/UDP host:70000",
        "SIP/2.0/UDP ho st",
        "SIP/2.0/UDP host;b ranch=x",
    ],
)
def test_a_broken_via_is_a_typed_error(text: str) -> None:
    with pytest.raises(SipError):
        Via.parse(text)


def test_the_source_is_noted_where_it_differs() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1")
    assert str(via.seen_from("192.0.2.1", 999)) == "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"
    assert str(via.seen_from("192.0.2.9", 999)).endswith(";received=192.0.2.9")


def test_a_sender_who_asks_for_rport_gets_port_and_address() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK1")
    assert str(via.seen_from("192.0.2.1", 999)).endswith(";rport=999;received=192.0.2.1")


def test_what_a_sender_claims_of_his_source_is_replaced() -> None:
    via = Via.parse("SIP/2.0/UDP h;rport=1;received=203.0.113.9").seen_from("192.0.2.1", 5062)
    assert str(via) == "SIP/2.0/UDP h;rport=5062;received=192.0.2.1"


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ('"A \\"B\\" <C>" <sip:a@b;x=1>;tag=7', 'A "B" <C>', "sip:a@b;x=1", "7"),
        ("caller<sip:a@b>;tag=7", "caller", "sip:a@b", "7"),
        ("T. desk  <sip:a@b> ; tag = 7", "T. desk", "sip:a@b", "7"),
        ("sip:a@b;tag=7", "", "sip:a@b", "7"),
        ("<sip:a@b?x=1>", "", "sip:a@b?x=1", ""),
        ("<tel:+1555>;tag=x", "", "tel:+1555", "x"),
    ],
)
def test_name_and_address_are_read(text: str, name: str, uri: str, tag: str) -> None:
    address = NameAddr.parse(text)
    assert (address.display_name, str(address.uri), address.tag) == (name, uri, tag)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"open <sip:a@b>',
        "<sip:a@b",
        "<sip:a@b> x",
        "sip:a@b?Route=x",
        "<sip:a b@c>",
        '"a" b" <sip:a@b>',
        "<>",
        "<sip:a@b>;;x",
    ],
)
def test_a_broken_address_is_a_typed_error(text: str) -> None:
    with pytest.raises(SipError):
        NameAddr.parse(text)


def test_without_brackets_parameters_belong_to_the_header() -> None:
    plain, bracketed = NameAddr.parse("sip:a@b;unknown"), NameAddr.parse("<sip:a@b;unknown>")
    assert (plain.uri.parameters, plain.parameters) == ((), (("unknown", None),))
    assert (bracketed.uri.parameters, bracketed.parameters) == ((("unknown", None),), ())


def test_a_display_name_cannot_break_out_of_its_quotes() -> None:
    name = 'x" <sip:evil@x>\r\nVia: y\\'
    printed = quoted(name)
    assert "\r" not in printed and "\n" not in printed
    assert NameAddr.parse(f"{printed} <sip:a@b>").display_name == 'x" <sip:evil@x>  Via: y\\'


@pytest.mark.parametrize(
    "text",
    ["", "1", "x INVITE", "-1 INVITE", "2147483648 INVITE", "1 IN VITE", "١ INVITE", "9" * 5000 + " X"],
)
def test_a_broken_cseq_is_a_typed_error(text: str) -> None:
    with pytest.raises(SipError):
        CSeq.parse(text)
