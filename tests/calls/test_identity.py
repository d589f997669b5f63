"""Who calls, as the application is told, and as the callee is."""

from dataclasses import replace

import pytest

from calls.identity import callee, caller, introduced
from calls.order import Dial
from sip.access import Trunk
from sip.uri import Uri
from tests.support.exchange import session_from

TRUNK = Trunk("carrier", "192.0.2.9", inbound_strip="00", inbound_prefix="+")
REGISTERED = replace(TRUNK, register=True, username="us")
NUMBER = "sip:+19195550001@192.0.2.9"
ASSERTED = ("P-Asserted-Identity", '"Ann" <sip:+442071838750@carrier.example;user=phone>')
HIDDEN = ("Privacy", "id")


def told(*headers, from_=NUMBER, trunk=TRUNK, display_name=""):
    session = session_from(
        from_, "sip:room@127.0.0.1", identifier=1, headers=headers, display_name=display_name
    )
    return caller(session, trunk)


def test_the_number_that_a_trunk_asserts_is_believed_and_nobody_elses() -> None:
    assert told(ASSERTED) == "+442071838750"
    assert told(ASSERTED, trunk=None) == "+19195550001"
    assert told(ASSERTED, trunk=Trunk("x", "192.0.2.9", trusted=False)) == "+19195550001"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("<tel:+44-20-7183-8750;ext=1>", "+442071838750"),
        ("<sip:00442071838750@carrier.example>", "+442071838750"),
        ("<sip:pbx-7@carrier.example>, <tel:+442071838750>", "+442071838750"),
        ("<sip:+442071838750;npdi@carrier.example>", "+442071838750"),
        ("<sip:pbx-7@carrier.example>", "+19195550001"),
        ("<tel:7042;phone-context=carrier.example>", "7042"),
        ("<sip:carrier.example>", "+19195550001"),
        ("<tel:>", "+19195550001"),
        ("garbage", "+19195550001"),
        ("", "+19195550001"),
    ],
)
def test_of_what_is_asserted_the_first_number_counts(value: str, number: str) -> None:
    assert told(("P-Asserted-Identity", value)) == number


@pytest.mark.parametrize("trunk", [TRUNK, None])
@pytest.mark.parametrize(
    ("shown", "word"),
    [("", "Anonymous"), ("private", "Private"), ("RESTRICTED", "Restricted"), ("Ann", "Anonymous")],
)
def test_whoever_asks_for_privacy_is_named_by_the_contracts_word(trunk, shown: str, word: str) -> None:
    assert told(ASSERTED, HIDDEN, trunk=trunk, display_name=shown) == word
    assert told(("Privacy", "none; header"), trunk=trunk, display_name=shown) == word
    anonymous = "sip:anonymous@anonymous.invalid"
    assert told(ASSERTED, from_=anonymous, trunk=trunk, display_name=shown) == word, "without any Privacy"


@pytest.mark.parametrize(
    ("trunk", "called", "to", "number"),
    [
        (REGISTERED, "sip:us@192.0.2.1:5060", "sip:00442071838750@carrier.example", "+442071838750"),
        (REGISTERED, "sip:us@192.0.2.1:5060", "tel:+44-20-7183-8750", "+442071838750"),
        (REGISTERED, "sip:us@192.0.2.1", "sip:carrier.example", "us"),
        (REGISTERED, "sip:0012025550123@192.0.2.1", "sip:us@carrier.example", "+12025550123"),
        (TRUNK, "sip:us@192.0.2.1", "sip:+442071838750@carrier.example", "us"),
        (None, "sip:us@192.0.2.1", "sip:+442071838750@carrier.example", "us"),
    ],
)
def test_a_trunk_that_calls_our_registration_names_the_number_in_to(trunk, called, to, number) -> None:
    session = session_from(NUMBER, called, identifier=1)
    session.to_uri = Uri.parse(to)
    assert callee(session, trunk).user == number


@pytest.mark.parametrize(
    ("from_", "party"), [("tel:7042", "7042"), ("tel:", "tel:"), ("urn:service:sos", "urn:service:sos")]
)
def test_a_caller_without_a_sip_address_is_named_as_he_names_himself(from_: str, party: str) -> None:
    assert told(from_=from_, trunk=None) == party


def test_privacy_that_hides_no_identity_changes_nothing() -> None:
    assert told(ASSERTED, ("Privacy", "none")) == "+442071838750"
    assert told(("Privacy", "session"), trunk=None) == "+19195550001"


def test_a_withheld_number_is_told_to_a_trusted_trunk_as_it_writes_numbers_and_to_nobody_else() -> None:
    dial = Dial(to="+12025550123", from_="+19195550001", privacy=True)
    trunk = Trunk("t", "h", caller_strip="+", caller_prefix="00")
    said = introduced(dial, "192.0.2.1", trunk=trunk)
    assert said.uri == "sip:anonymous@anonymous.invalid" and said.display_name == "Anonymous"
    assert said.headers == (("Privacy", "id"), ("P-Asserted-Identity", "<sip:0019195550001@192.0.2.1>"))
    for other in (None, Trunk("t", "h", trusted=False)):
        assert introduced(dial, "192.0.2.1", trunk=other).headers == (("Privacy", "id"),)


def test_words_and_addresses_are_not_rewritten() -> None:
    trunk = Trunk("t", "h", caller_prefix="00")
    for from_, uri in [
        ("Restricted", "sip:anonymous@anonymous.invalid"),
        ("sip:alice@example.com", "sip:alice@example.com"),
    ]:
        assert introduced(Dial(to="+12025550123", from_=from_), "192.0.2.1", trunk=trunk).uri == uri
