import pytest

from sip.errors import SipError
from sip.uri import Uri, host_port, parse_host_port, sip_uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.com",
        "sip:alice:pw@example.com:5070;transport=tcp;lr?subject=x",
        "sips:example.com",
        "sip:[2001:db8::1]:5070",
        "sip:[2001:db8::10:5070]",
        "sip:+1-555@192.0.2.1;user=phone",
        "tel:+15551234567;ext=3",
        "soap.beep://192.0.2.103:3002",
    ],
)
def test_a_uri_prints_as_it_was_read(text: str) -> None:
    assert str(Uri.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        "alice@example.com",
        "sip:",
        "sip:@example.com",
        "sip:a@b@c",
        "sip:alice@exam ple.com",
        "sip:alice@example.com:99999",
        "sip:alice@example.com:0",
        "sip:alice@example.com:5x",
        "sip:2001:db8::1",
        "sip:[2001:db8::1",
        "sip:[2001:db8::1]x",
        "<sip:alice@example.com>",
        "sip:alice@example.com\r\nVia: x",
        "1sip:alice@example.com",
    ],
)
def test_a_broken_uri_is_a_typed_error(text: str) -> None:
    with pytest.raises(SipError):
        Uri.parse(text)


def test_what_stands_before_the_at_sign_is_the_user() -> None:
    uri = Uri.parse("sip:user;par=u%40example.net@example.com")
    assert uri.user == "user;par=u@example.net"
    assert uri.host == "example.com"
    assert uri.parameters == ()


def test_an_escaped_uri_in_the_user_part_is_only_a_user() -> None:
    assert Uri.parse("sip:sips%3Auser%40example.com@example.net").user == "sips:user@example.com"


def test_a_null_in_the_user_part_does_not_cut_it() -> None:
    assert Uri.parse("sip:null-%00-null@example.com").user == "null-\0-null"


def test_the_port_of_an_ipv6_address_stands_behind_its_bracket() -> None:
    assert Uri.parse("sip:[2001:db8::10:5070]").address == ("2001:db8::10:5070", 5060)
    assert Uri.parse("sip:[2001:db8::10]:5070").address == ("2001:db8::10", 5070)


@pytest.mark.parametrize(
    ("named", "transport", "port"),
    [
        ("", "tls", 5061),
        (";transport=tcp", "tls", 5061),
        (";transport=UDP", "tls", 5061),
        (";transport=tls", "tls", 5061),
        (";transport=ws", "wss", 443),
        (";transport=WSS", "wss", 443),
    ],
)
def test_a_sips_uri_asks_for_tls_whatever_it_is_to_run_over(named: str, transport: str, port: int) -> None:
    uri = Uri.parse(f"sips:proxy.example{named};lr")
    assert (uri.transport, uri.address) == (transport, ("proxy.example", port))


def test_the_number_of_a_tel_uri_is_its_user() -> None:
    assert Uri.parse("tel:+15551234567;ext=3").user == "+15551234567"


def test_a_user_is_escaped_when_a_uri_is_made() -> None:
    made = sip_uri("a b@c", "Example.COM", 5070)
    assert str(made) == "sip:a%20b%40c@example.com:5070"
    assert Uri.parse(str(made)).user == "a b@c"


def test_a_request_uri_loses_headers_and_method() -> None:
    assert str(Uri.parse("sip:a@b;method=REGISTER;lr?Route=x").bare()) == "sip:a@b;lr"


def test_bytes_that_are_no_text_are_marked_in_the_user() -> None:
    assert Uri.parse("sip:al\udcefce@b").user == "al\ufffdce"


def test_hosts_and_ports_are_read_and_written_alike() -> None:
    for text in ("example.com", "example.com:5070", "[::1]", "[::1]:5070"):
        assert host_port(*parse_host_port(text)) == text
