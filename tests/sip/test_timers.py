from sip.timers import TimerQueue, TimerValues


def test_timers_fire_in_the_order_of_their_times() -> None:
    queue, fired = TimerQueue(), list[str]()
    for name, when in (("late", 3.0), ("early", 1.0), ("middle", 2.0)):
        queue.set("owner", name, when, lambda now, name=name: fired.append(name))
    assert queue.next() == 1.0
    queue.fire(2.0)
    assert fired == ["early", "middle"]
    queue.fire(3.0)
    assert fired[-1] == "late" and queue.next() is None and len(queue) == 0


def test_setting_a_timer_again_moves_it() -> None:
    queue, fired = TimerQueue(), list[float]()
    queue.set("owner", "A", 1.0, fired.append)
    queue.set("owner", "A", 2.0, fired.append)
    queue.fire(1.5)
    assert fired == [] and queue.next() == 2.0
    queue.fire(2.0)
    assert fired == [2.0]


def test_a_cancelled_timer_never_fires() -> None:
    queue, fired = TimerQueue(), list[float]()
    queue.set("owner", "A", 1.0, fired.append)
    queue.cancel("owner", "A")
    queue.cancel("owner", "A")
    queue.fire(9.0)
    assert fired == [] and queue.next() is None


def test_an_action_may_set_a_timer_that_is_due_at_once() -> None:
    queue, fired = TimerQueue(), list[str]()
    queue.set("o", "A", 1.0, lambda now: queue.set("o", "B", now, lambda _: fired.append("B")))
    queue.fire(1.0)
    assert fired == ["B"]


def test_cancelled_timers_do_not_pile_up() -> None:
    queue = TimerQueue()
    for number in range(10_000):
        queue.set(number, "A", 32.0, lambda now: None)
        queue.cancel(number, "A")
    assert len(queue) == 0 and len(queue._heap) < 100


def test_the_values_are_those_of_the_rfc() -> None:
    values = TimerValues()
    assert (values.t1, values.t2, values.t4, values.give_up) == (0.5, 4.0, 5.0, 32.0)
