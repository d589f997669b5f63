"""What a Gather makes of keys and time, and who gets a key: all in virtual time."""

import pytest

from calls.digits import MOST_TYPED_AHEAD, Collector, Keypad, Source

START = 100.0


def pressed(collector: Collector, *presses: tuple[str, float]) -> list[bool]:
    """Press each key at its second since the start; whether it was taken."""
    return [collector.press(key, START + at) for key, at in presses]


def result(collector: Collector) -> tuple[str, str]:
    assert collector.over and collector.deadline is None and not collector.prompting
    return collector.digits, collector.terminator


# The end of a Gather


def test_a_terminating_digit_ends_it_and_is_not_among_the_digits() -> None:
    collector = Collector(terminating="#*", now=START)
    pressed(collector, ("4", 1), ("2", 2), ("#", 3))
    assert result(collector) == ("42", "#")


def test_a_terminating_digit_alone_is_an_empty_answer() -> None:
    collector = Collector(terminating="#*", now=START)
    pressed(collector, ("*", 1))
    assert result(collector) == ("", "*")


def test_without_terminating_digits_hash_and_star_are_digits() -> None:
    collector = Collector(most=3, now=START)
    pressed(collector, ("#", 1), ("*", 2), ("A", 3))
    assert result(collector) == ("#*A", "")


def test_lower_case_letters_terminate_too() -> None:
    collector = Collector(terminating="d", now=START)
    pressed(collector, ("A", 1), ("D", 2))
    assert result(collector) == ("A", "D")


def test_the_last_of_max_digits_ends_it() -> None:
    collector = Collector(most=2, now=START)
    assert pressed(collector, ("1", 1), ("2", 2), ("3", 3)) == [True, True, False]
    assert result(collector) == ("12", "")


def test_the_first_digit_is_waited_for_from_the_end_of_the_prompts() -> None:
    collector = Collector(first=3, hearings=1, now=START)
    assert collector.prompting and collector.deadline is None
    collector.expire(START + 1000)
    assert not collector.over, "a prompt may be as long as it likes"
    collector.prompt_ended(START + 1000)
    assert collector.deadline == START + 1003
    collector.expire(START + 1002.9)
    assert not collector.over
    collector.expire(START + 1003)
    assert result(collector) == ("", "")


def test_without_prompts_the_first_digit_is_waited_for_at_once_and_once() -> None:
    collector = Collector(first=3, now=START)
    assert not collector.prompting and collector.deadline == START + 3
    collector.expire(START + 3)
    assert result(collector) == ("", "")


def test_no_time_for_a_first_digit_ends_it_with_the_prompts() -> None:
    collector = Collector(first=0, hearings=1, now=START)
    collector.prompt_ended(START + 2)
    collector.expire(START + 2)
    assert result(collector) == ("", "")


def test_each_digit_gives_the_next_one_its_time() -> None:
    collector = Collector(between=2, now=START)
    for second in (4.9, 6.8, 8.7):
        collector.expire(START + second)
        pressed(collector, ("7", second))
        assert collector.deadline == pytest.approx(START + second + 2)
    collector.expire(START + 10.6)
    assert not collector.over
    collector.expire(START + 10.7)
    assert result(collector) == ("777", "")


# Prompts


def test_the_first_digit_stops_the_prompts_for_good() -> None:
    collector = Collector(first=3, between=2, hearings=3, now=START)
    pressed(collector, ("1", 0.5))
    assert not collector.prompting and collector.deadline == START + 2.5
    collector.prompt_ended(START + 0.6)
    assert collector.deadline == START + 2.5, "what was stopped has not ended"
    collector.expire(START + 2.5)
    assert result(collector) == ("1", "")


def test_prompts_are_repeated_with_the_first_digits_time_between_them() -> None:
    collector = Collector(first=3, hearings=3, now=START)
    for hearing in range(3):
        assert collector.prompting and not collector.over
        begin = START + 10 * hearing
        collector.prompt_ended(begin)
        assert not collector.prompting
        collector.expire(begin + 3)
    assert result(collector) == ("", "")


def test_a_digit_in_the_pause_ends_the_repetitions() -> None:
    collector = Collector(first=3, between=2.5, hearings=3, now=START)
    collector.prompt_ended(START)
    pressed(collector, ("5", 1))
    collector.expire(START + 3)
    assert not collector.over and not collector.prompting
    collector.expire(START + 3.5)
    assert result(collector) == ("5", "")


# Who gets a key


class Phone:
    """Presses keys on a keypad; `reported` is what StartGather's URL was told."""

    def __init__(self) -> None:
        self.keypad = Keypad()
        self.reported = ""

    def start_gather(self) -> None:
        self.keypad.report = self._report

    def _report(self, key: str) -> None:
        self.reported += key

    def press(self, keys: str, at: float = 0.0, source: Source = "rtp", held: float = 0.1) -> None:
        """At `at` seconds since the start, and each further key half a second later."""
        for number, key in enumerate(keys):
            self.keypad.press(key, source, START + at + number / 2, held)


def test_keys_typed_ahead_are_the_gathers_first() -> None:
    phone = Phone()
    phone.press("12")
    collector = Collector(hearings=1, between=2, now=START + 30)
    with phone.keypad.gathering(collector, lambda: None, START + 30):
        assert not collector.prompting, "no prompt for one who has answered it already"
        assert collector.deadline == START + 32
        phone.press("3", 31)
    assert collector.digits == "123"


def test_typed_ahead_far_enough_a_gather_is_over_at_once() -> None:
    phone = Phone()
    phone.press("12#34")
    first, second = Collector(terminating="#", now=START), Collector(most=2, now=START)
    with phone.keypad.gathering(first, lambda: None, START + 5):
        assert result(first) == ("12", "#")
    with phone.keypad.gathering(second, lambda: None, START + 5):
        assert result(second) == ("34", ""), "what is left over is for the next one"


def test_each_key_wakes_whoever_gathers() -> None:
    phone, wakes = Phone(), []
    collector = Collector(now=START)
    with phone.keypad.gathering(collector, lambda: wakes.append(collector.digits), START):
        phone.press("12")
    phone.press("3", 2)
    assert wakes == ["1", "12"]


def test_keys_between_gathers_are_typed_ahead() -> None:
    phone = Phone()
    first, second = Collector(most=1, now=START), Collector(most=2, now=START)
    with phone.keypad.gathering(first, lambda: None, START):
        phone.press("1")
        phone.press("2", 1)  # the end of the first one is still on its way
    phone.press("3", 2)
    with phone.keypad.gathering(second, lambda: None, START + 3):
        assert result(second) == ("23", "")


def test_the_hash_pressed_out_of_habit_after_the_last_digit_does_not_end_the_next_gather() -> None:
    phone = Phone()
    first, second = (Collector(terminating="#", most=4, between=5, now=START) for _ in range(2))
    with phone.keypad.gathering(first, lambda: None, START):
        phone.press("1234", 1)
    phone.press("#", 4)
    with phone.keypad.gathering(second, lambda: None, START + 5):
        assert not second.over and second.digits == ""
        phone.press("56#", 6)
    assert (result(first), result(second)) == (("1234", ""), ("56", "#"))


@pytest.mark.parametrize("typed", ["1234#", "1234#5"])
def test_so_does_the_one_that_was_typed_ahead(typed: str) -> None:
    phone = Phone()
    phone.press(typed)
    first, second = (Collector(terminating="#", most=4, now=START) for _ in range(2))
    with phone.keypad.gathering(first, lambda: None, START + 3):
        assert result(first) == ("1234", "")
    with phone.keypad.gathering(second, lambda: None, START + 3):
        assert not second.over and second.digits == typed[5:]


@pytest.mark.parametrize(("keys", "at"), [("5#", 3.0), ("#", 9.0)], ids=["not the next key", "too late"])
def test_a_hash_that_does_not_follow_the_last_digit_is_a_key_of_its_own(keys: str, at: float) -> None:
    phone = Phone()
    first, second = (Collector(terminating="#", most=4, between=5, now=START) for _ in range(2))
    with phone.keypad.gathering(first, lambda: None, START):
        phone.press("1234", 1)
    phone.press(keys, at)
    with phone.keypad.gathering(second, lambda: None, START + 10):
        assert result(second) == (keys[:-1], "#")


def test_a_running_start_gather_is_told_each_key_but_those_of_a_gather() -> None:
    phone = Phone()
    phone.start_gather()
    phone.press("1")
    collector = Collector(most=2, now=START)
    with phone.keypad.gathering(collector, lambda: None, START + 1):
        phone.press("234", 1)
    phone.press("5", 4)
    assert (phone.reported, collector.digits) == ("145", "23")


def test_what_start_gather_was_told_is_not_typed_ahead() -> None:
    phone = Phone()
    phone.start_gather()
    phone.press("12")
    phone.keypad.report = None
    phone.press("3", 2)
    collector = Collector(now=START)
    with phone.keypad.gathering(collector, lambda: None, START + 3):
        assert collector.digits == "3"


def test_what_was_typed_ahead_can_be_forgotten() -> None:
    phone = Phone()
    phone.press("12")
    phone.keypad.forget()
    collector = Collector(now=START)
    with phone.keypad.gathering(collector, lambda: None, START + 3):
        assert collector.digits == ""


def test_a_gather_that_was_broken_off_takes_no_more_keys() -> None:
    phone = Phone()
    broken, following = Collector(now=START), Collector(now=START)
    with pytest.raises(ZeroDivisionError), phone.keypad.gathering(broken, lambda: None, START):
        phone.press("1")
        raise ZeroDivisionError
    phone.press("2", 1)
    with phone.keypad.gathering(following, lambda: None, START + 2):
        assert (broken.digits, following.digits) == ("1", "2")


def test_only_so_many_keys_are_kept() -> None:
    phone = Phone()
    phone.press("1" * 200 + "2" * MOST_TYPED_AHEAD)
    collector = Collector(now=START)
    with phone.keypad.gathering(collector, lambda: None, START + 200):
        assert collector.digits == "2" * MOST_TYPED_AHEAD


# One press, told twice


@pytest.mark.parametrize("first, second", [("rtp", "info"), ("info", "rtp")])
def test_a_press_told_both_ways_counts_once(first: Source, second: Source) -> None:
    phone = Phone()
    phone.start_gather()
    for number, key in enumerate("11231"):
        phone.press(key, number * 0.3, first)
        phone.press(key, number * 0.3 + 0.2, second)
    assert phone.reported == "11231"


def test_both_ways_may_be_a_whole_number_apart() -> None:
    phone = Phone()
    phone.start_gather()
    phone.press("4711", 0, "rtp")
    phone.press("4711", 1.5, "info")
    assert phone.reported == "4711"


def test_a_key_that_is_held_is_told_by_info_at_its_beginning() -> None:
    phone = Phone()
    phone.start_gather()
    phone.press("5", 0, "info")
    phone.press("5", 6.1, "rtp", held=6.0)
    assert phone.reported == "5"


def test_one_way_alone_is_never_taken_for_an_echo() -> None:
    for source in ("rtp", "info"):
        phone = Phone()
        phone.start_gather()
        for number in range(100):
            phone.press("1", number * 0.05, source)  # type: ignore[arg-type]
        assert phone.reported == "1" * 100


def test_the_same_key_told_the_other_way_much_later_is_another_press() -> None:
    phone = Phone()
    phone.start_gather()
    phone.press("5", 0, "rtp")
    phone.press("5", 2.5, "info")
    assert phone.reported == "55"


def test_no_key_is_in_a_repr() -> None:
    phone = Phone()
    phone.press("42")
    collector = Collector(terminating="#", now=START)
    with phone.keypad.gathering(collector, lambda: None, START):
        phone.press("7", 1)
        for thing in (phone.keypad, collector, *phone.keypad._told_once):
            assert not set("427") & set(repr(thing).partition("at=")[0])
