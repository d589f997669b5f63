"""IPv6 addresses by number: exact, for those that were entered, and nobody's number for all others."""

from ipaddress import IPv4Address, IPv6Address

import numpy as np
import pytest

from rtp.addresses import FIRST, SIZE, Book


def halves(*addresses: str) -> tuple[np.ndarray, np.ndarray]:
    whole = [int(IPv6Address(address)) for address in addresses]
    low = [value & 0xFFFF_FFFF_FFFF_FFFF for value in whole]
    return np.array([value >> 64 for value in whole], np.uint64), np.array(low, np.uint64)


def numbers(book: Book, *addresses: str) -> list[int]:
    return [int(number) for number in book.numbers(*halves(*addresses))]


def entered(*addresses: str) -> Book:
    book = Book()
    for place, address in enumerate(addresses):
        book.enter(FIRST + place, IPv6Address(address).packed)
    return book


def test_an_ipv4_address_is_its_own_number() -> None:
    assert numbers(Book(), "::ffff:192.0.2.1") == [int(IPv4Address("192.0.2.1"))]
    assert numbers(entered("2001:db8::1"), "2001:db8::1", "::ffff:192.0.2.1") == [
        FIRST,
        int(IPv4Address("192.0.2.1")),
    ]


def test_only_an_address_that_was_entered_has_a_number() -> None:
    book = entered("2001:db8::1", "2001:db8::2", "::1")
    assert numbers(book, "2001:db8::2", "2001:db8::3", "::1", "::", "2001:db9::1") == [
        FIRST + 1,
        0,
        FIRST + 2,
        0,
        0,
    ]
    assert numbers(Book(), "2001:db8::1") == [0]


def test_no_ipv4_address_passes_for_one_of_ipv6() -> None:
    assert numbers(entered("2001:db8::1"), "::ffff:240.0.0.0") == [0]


def test_a_number_given_anew_means_the_new_address_alone() -> None:
    book = entered("2001:db8::1")
    assert numbers(book, "2001:db8::1") == [FIRST]
    book.enter(FIRST, IPv6Address("2001:db8::2").packed)
    assert numbers(book, "2001:db8::1", "2001:db8::2") == [0, FIRST]


def test_a_number_and_its_address_go_both_ways() -> None:
    addresses = [f"2001:db8:{place:x}::{place * 7919 & 0xFFFF:x}" for place in range(300)]
    book = entered(*addresses)
    found = book.numbers(*halves(*addresses))
    assert found.tolist() == [FIRST + place for place in range(300)]
    high, low = book.halves(found)
    assert (high == halves(*addresses)[0]).all() and (low == halves(*addresses)[1]).all()
    (high,), (low,) = book.halves(np.array([int(IPv4Address("192.0.2.1"))], np.uint32))
    assert IPv6Address(int(high) << 64 | int(low)) == IPv6Address("::ffff:192.0.2.1")


@pytest.mark.parametrize(
    ("number", "address"), [(FIRST - 1, bytes(16)), (FIRST + SIZE, bytes(16)), (FIRST, bytes(4))]
)
def test_what_is_no_number_or_no_address_is_refused(number: int, address: bytes) -> None:
    with pytest.raises(ValueError, match="expected 16 bytes and a number"):
        Book().enter(number, address)
