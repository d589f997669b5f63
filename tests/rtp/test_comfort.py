"""Comfort noise as it comes in packets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtp.comfort import FLAT, ORDER, read
from rtp.packet import SLOT


def lying(*payloads: bytes, offset: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    slots = np.full((len(payloads), SLOT), 99, np.uint8)
    for slot, payload in zip(slots, payloads, strict=True):
        slot[offset : offset + len(payload)] = np.frombuffer(payload, np.uint8)
    sizes = np.array([len(payload) for payload in payloads], np.int32)
    return slots, np.full(len(payloads), offset, np.int32), sizes


def test_the_level_is_the_first_byte_and_its_highest_bit_means_nothing() -> None:
    level, spectrum = read(*lying(b"\x32", b"\xb2"))
    assert level.tolist() == [50, 50] and (spectrum == FLAT).all()


def test_coefficients_are_as_many_as_there_are_and_at_most_twelve() -> None:
    _, spectrum = read(*lying(b"\x32\x01\x02", bytes(range(40))))
    assert spectrum[0].tolist() == [1, 2] + [FLAT] * (ORDER - 2)
    assert spectrum[1].tolist() == list(range(1, 1 + ORDER))


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=4), st.integers(12, SLOT - 30))
def test_nothing_is_read_from_behind_a_payload(payloads: list[bytes], offset: int) -> None:
    _, spectrum = read(*lying(*payloads, offset=offset))
    for row, payload in zip(spectrum.tolist(), payloads, strict=True):
        told = list(payload[1 : 1 + ORDER])
        assert row == told + [FLAT] * (ORDER - len(told))


def test_a_header_that_fills_its_slot_is_survived() -> None:
    read(np.zeros((1, SLOT), np.uint8), np.array([SLOT], np.int32), np.array([0], np.int32))
