"""Addresses as control names them: the families that are carried, and numbers that the other side knows."""

import pytest

from media.addresses import Addresses, AddressNotSupported
from media.messages import Command, Name
from rtp.addresses import FIRST, SIZE


@pytest.mark.parametrize(
    ("bound", "four", "six"),
    [
        ("127.0.0.1", True, False),
        ("0.0.0.0", True, False),
        ("::1", False, True),
        ("2001:db8::1", False, True),
        ("::", True, True),
    ],
)
def test_the_bound_address_says_the_family(bound: str, four: bool, six: bool) -> None:
    addresses = Addresses(bound, lambda command: None)
    assert addresses.carries("192.0.2.1") is addresses.carries("::ffff:192.0.2.1") is four
    assert addresses.carries("2001:db8::7") is six
    assert not addresses.carries("phone.example")


def test_a_family_that_is_not_carried_is_refused_by_name() -> None:
    with pytest.raises(AddressNotSupported, match="IPv4 only, got 2001:db8::1"):
        Addresses("127.0.0.1", lambda command: None).number("2001:db8::1")
    with pytest.raises(AddressNotSupported, match=r"IPv6 only, got 192\.0\.2\.1"):
        Addresses("::1", lambda command: None).number("192.0.2.1")


def test_an_address_is_told_once_and_to_each_process_anew() -> None:
    told: list[Command] = []
    addresses = Addresses("::", told.append)
    assert addresses.number("192.0.2.1") == 0xC000_0201 and told == []
    number = addresses.number("2001:db8::1")
    assert addresses.number("2001:DB8:0::1") == number and len(told) == 1
    assert addresses.text(number) == "2001:db8::1" and addresses.text(0xC000_0201) == "192.0.2.1"
    addresses.forget()
    assert addresses.number("2001:db8::1") == number and told == [told[0]] * 2
    assert told[0] == Name(number, bytes.fromhex("20010db8000000000000000000000001"))


def test_when_all_numbers_are_given_out_the_one_used_longest_ago_goes_on() -> None:
    told: list[Command] = []
    addresses = Addresses("::", told.append)
    for place in range(SIZE):
        addresses.number(f"2001:db8::{place:x}")
    assert addresses.number("2001:db8::0") == FIRST  # used again
    assert addresses.number("2001:db8:1::") == FIRST + 1
    assert addresses.text(FIRST + 1) == "2001:db8:1::" and len(told) == SIZE + 1
    assert addresses.number("2001:db8::1") == FIRST + 2


def test_a_number_that_a_live_leg_has_is_given_to_no_other_address() -> None:
    told: list[Command] = []
    addresses = Addresses("::", told.append, lambda: {"2001:db8::1"})
    number = addresses.number("2001:db8::1")
    for other in range(SIZE + 5):
        assert addresses.number(f"2001:db8:1::{other + 1:x}") != number
    assert addresses.text(number) == "2001:db8::1"
