"""The queue in virtual time: who leaves it and when. Source: contract, rules of REST."""

import random

import pytest

from calls.queue import CallQueue, QueueFull


def drained(queue, *, since, step=0.001, until=1e9):
    """What leaves when somebody looks every `step` seconds: pairs of time and item."""
    left, now = [], since
    while len(queue) and now < until:
        while (item := queue.take(now)) is not None:
            left.append((now, item))
        now = max(now + step, queue.next_turn() or 0)
    return left


@pytest.mark.parametrize(
    ("rate", "capacity"), [(5, 1500), (1, 300), (0.5, 150), (2.5, 750), (0.001, 1), (30, 9000)]
)
def test_it_holds_three_hundred_seconds_of_calls(rate, capacity):
    queue = CallQueue(rate)
    assert queue.capacity == capacity
    for number in range(capacity):
        queue.put(number, 5, now=0.0)
    with pytest.raises(QueueFull):
        queue.put("one more", 1, now=0.0)
    assert len(queue) == capacity


def test_the_first_goes_at_once():
    queue = CallQueue(0.1)
    queue.put("a", 5, now=1000.0)
    assert queue.take(1000.0) == "a" and queue.take(1e6) is None and queue.next_turn() is None


@pytest.mark.parametrize("rate", [0.5, 1, 5, 30])
def test_no_second_sees_more_than_the_rate_wherever_it_begins(rate):
    queue, chance, now, times = CallQueue(rate), random.Random(7), 0.0, []
    for number in range(200):
        queue.put(number, 5, now)
        now += chance.expovariate(rate * 1.5)
        while queue.take(now) is not None:
            times.append(now)
    times += [moment for moment, _ in drained(queue, since=now)]
    assert len(times) == 200
    window = max(1.0, 1 / rate)
    for moment in times:
        assert sum(moment <= other < moment + window - 1e-9 for other in times) <= rate * window


def test_a_burst_leaves_at_the_rate():
    queue = CallQueue(5)
    for number in range(51):
        queue.put(number, 5, now=100.0)
    times = [moment for moment, _ in drained(queue, since=100.0)]
    assert times[0] == 100.0 and times[-1] == pytest.approx(110.0, abs=0.06)


def test_order_is_that_of_arrival_within_a_priority_and_lower_numbers_go_first():
    queue = CallQueue(10)
    for priority, name in [(5, "e1"), (3, "c1"), (5, "e2"), (1, "a1"), (3, "c2"), (1, "a2"), (4, "d1")]:
        queue.put(name, priority, now=0.0)
    assert [item for _, item in drained(queue, since=0.0)] == ["a1", "a2", "c1", "c2", "d1", "e1", "e2"]


def test_a_removed_item_leaves_its_place_to_the_next():
    queue = CallQueue(1)
    for name in "abc":
        queue.put(name, 5, now=0.0)
    assert queue.take(0.0) == "a"
    assert queue.remove("b") and not queue.remove("b") and not queue.remove("a")
    assert len(queue) == 1 and queue.take(0.999) is None and queue.take(1.0) == "c"


def test_a_full_queue_says_when_a_place_may_be_free():
    queue = CallQueue(0.01)
    queue.put("a", 5, now=0.0)
    assert queue.take(0.0) == "a"
    for name in "bcd":
        queue.put(name, 5, now=10.0)
    with pytest.raises(QueueFull) as full:
        queue.put("e", 5, now=10.0)
    assert full.value.wait == pytest.approx(90.0)


def test_what_did_not_wait_delays_what_does():
    queue = CallQueue(2)
    queue.skip(0.0)
    queue.skip(0.0)
    queue.put("a", 5, now=0.0)
    assert queue.take(0.9) is None and queue.take(1.0) == "a"
