"""Telephone events of RFC 4733, in bytes, with what networks do to them."""

import itertools

import numpy as np
import pytest

from rtp.dtmf import EVENT_PACKETS, LOST_END, STRAGGLE, KeyReceiver, KeyReceivers, Press
from rtp.packet import SLOT, parse
from tests.support.virtual_network import rtp


def event(key: int, duration: int, *, end: bool = False) -> bytes:
    return bytes([key, 0x80 | 10 if end else 10]) + duration.to_bytes(2, "big")


def press(key: int = 5) -> list[bytes]:
    """As a phone sends a key of 80 ms: four packets on the way, the end three times."""
    on_the_way = [event(key, duration) for duration in (160, 320, 480, 640)]
    return on_the_way + [event(key, 640, end=True)] * 3


def received(packets: list[tuple[bytes, int, int]]) -> list[tuple[str, int]]:
    receiver = KeyReceiver()
    keys = []
    now = 0.0
    for payload, ssrc, timestamp in packets:
        now += 0.02
        keys += receiver.receive(payload, ssrc, timestamp, now)
    return keys + receiver.expire(now + LOST_END)


def test_one_key_is_one_key_though_its_end_comes_three_times() -> None:
    assert received([(payload, 1, 8000) for payload in press()]) == [("5", 80)]


def test_any_loss_but_of_all_packets_leaves_one_key() -> None:
    packets = press()
    for count in range(1, len(packets) + 1):
        for kept in itertools.combinations(range(len(packets)), count):
            keys = received([(packets[place], 1, 8000) for place in kept])
            assert [key for key, _ in keys] == ["5"], kept


def test_any_order_leaves_one_key() -> None:
    packets = press()[2:6]
    for order in itertools.permutations(packets):
        assert [key for key, _ in received([(payload, 1, 8000) for payload in order])] == ["5"]


def test_the_same_key_twice_is_two_keys() -> None:
    first = [(payload, 1, 8000) for payload in press()]
    second = [(payload, 1, 12000) for payload in press()]
    assert received(first + second) == [("5", 80), ("5", 80)]


def test_a_key_whose_end_was_lost_is_reported_when_the_next_begins() -> None:
    receiver = KeyReceiver()
    assert receiver.receive(event(1, 320), 1, 8000, 0.0) == []
    assert receiver.receive(event(2, 160), 1, 9000, 0.1) == [("1", 40)]
    assert receiver.receive(event(2, 320, end=True), 1, 9000, 0.12) == [("2", 40)]


def test_a_straggler_of_an_earlier_key_is_not_a_third_key() -> None:
    receiver = KeyReceiver()
    receiver.receive(event(1, 320, end=True), 1, 8000, 0.0)
    receiver.receive(event(2, 160), 1, 9000, 0.1)
    assert receiver.receive(event(1, 320, end=True), 1, 8000, 0.11) == []
    assert receiver.receive(event(2, 320, end=True), 1, 9000, 0.12) == [("2", 40)]


def test_a_recorded_key_with_an_earlier_timestamp_is_a_key_once_stragglers_are_out_of_the_question() -> None:
    receiver = KeyReceiver()
    assert receiver.receive(event(2, 320, end=True), 1, 9000, 10.0) == [("2", 40)]
    assert receiver.receive(event(1, 320, end=True), 1, 8000, 10.9) == []
    assert receiver.receive(event(1, 320, end=True), 1, 8000, 11.1) == [("1", 40)]


def test_a_recorded_key_that_is_played_twice_is_two_keys_and_its_repeated_end_is_none() -> None:
    receiver = KeyReceiver()
    end = event(1, 320, end=True)
    assert [receiver.receive(end, 1, 8000, at) for at in (10.0, 10.9, 11.8)] == [[("1", 40)], [], []]
    assert receiver.receive(end, 1, 8000, 13.0) == [("1", 40)]


def test_a_key_that_is_held_while_its_source_changes_is_one_key() -> None:
    packets = [(payload, 1 + (place > 2), 8000) for place, payload in enumerate(press())]
    assert received(packets) == [("5", 80)]
    assert received([*packets[:5], (press()[4], 1, 8000)]) == [("5", 80)]


def test_keys_go_on_when_the_timestamp_wraps() -> None:
    first = [(payload, 1, 0xFFFF_FF00) for payload in press(1)]
    second = [(payload, 1, 0x0000_0F00) for payload in press(2)]
    assert received(first + second) == [("1", 80), ("2", 80)]


def test_a_clock_that_was_set_back_does_not_swallow_keys() -> None:
    first = [(payload, 1, 3_000_000) for payload in press(1)]
    second = [(payload, 1, 8000) for payload in press(2)]
    assert received(first + second) == [("1", 80), ("2", 80)]


def test_a_key_held_for_twenty_seconds_is_one_key() -> None:
    packets = []
    for segment in range(3):
        start = 8000 + segment * 0xFFFF
        packets += [(event(9, duration), 1, start) for duration in (0x1000, 0x8000, 0xFFFF)]
    packets.append((event(9, 8000, end=True), 1, 8000 + 3 * 0xFFFF))
    assert received(packets) == [("9", (3 * 0xFFFF + 8000) // 8)]


@pytest.mark.parametrize("payload", [b"", b"\x05", b"\x05\x0a\x00", event(16, 160), event(255, 160)])
def test_what_is_no_key_is_passed_over(payload: bytes) -> None:
    assert received([(payload, 1, 8000)] * 3) == []


def test_all_sixteen_keys_have_their_names() -> None:
    packets = [(event(key, 400, end=True), 1, 8000 * key + 8000) for key in range(16)]
    assert "".join(key for key, _ in received(packets)) == "0123456789*#ABCD"


def test_no_key_is_shown_by_a_repr() -> None:
    receiver = KeyReceiver()
    receiver.receive(event(7, 160), 1, 8000, 0.0)
    assert "7" not in repr(receiver)


def batch(receivers: KeyReceivers, *packets: tuple[int, bytes], now: float = 0.0) -> list[Press]:
    """Payloads of rows arrive together, all of one event."""
    slots = np.zeros((len(packets), SLOT), np.uint8)
    lengths = np.zeros(len(packets), np.int32)
    for place, (row, payload) in enumerate(packets):
        data = rtp(place, ssrc=row, payload=payload, payload_type=101, timestamp=8000)
        slots[place, : len(data)], lengths[place] = np.frombuffer(data, np.uint8), len(data)
    rows = np.array([row for row, _ in packets])
    return receivers.receive(np.arange(len(packets)), rows, parse(slots, lengths), slots, now)


def test_the_keys_of_rows_are_kept_apart_each_on_its_clock() -> None:
    receivers = KeyReceivers(4)
    receivers.set_clock(2, 48_000)
    ends = [(row, event(row, 4800, end=True)) for row in (1, 2, 1, 2)]
    assert batch(receivers, *ends) == [(1, "1", 600), (2, "2", 100)]
    batch(receivers, (3, event(3, 160)))
    receivers.forget(3)
    assert receivers.expire(LOST_END) == [] and len(receivers) == 2
    assert receivers.expire(STRAGGLE + 1) == [] and len(receivers) == 0


def test_who_floods_has_so_many_events_looked_at_and_shows_nothing_of_them() -> None:
    receivers = KeyReceivers(2)
    flood = [(1, event(5, 160))] * EVENT_PACKETS
    assert batch(receivers, *flood, (1, event(5, 160, end=True))) == []
    assert receivers.expire(LOST_END) == [(1, "5", 20)]
    assert "5" not in repr(receivers)
