"""Prompts: rows that speak from an array."""

import numpy as np
import pytest

from mixer import Room
from tests.mixer.stage import Stage

A, B = 1052, 2236
FRAME = 160


@pytest.fixture
def stage():
    return Stage()


def prompt(frames: float, value: int = 500) -> np.ndarray:
    return np.full(int(frames * FRAME), value, np.int16)


def test_a_prompt_to_a_leg_in_no_room_is_heard_by_it_alone_and_in_full(stage):
    a, b = stage.person(), stage.person()
    samples = np.random.default_rng(1).integers(-30000, 30000, 10 * FRAME + 57).astype(np.int16)
    play = stage.mixer.play(a.handle, samples)
    heard = []
    for beat in range(11):
        stage.mixer.tick()
        heard.append(stage.mixer.bus(a.handle))
        assert stage.hears(b) == 0
        assert stage.mixer.finished == ([play] if beat == 10 else [])
    assert (np.concatenate(heard)[: samples.size] == samples).all()
    assert not np.concatenate(heard)[samples.size :].any()
    stage.mixer.tick()
    assert stage.mixer.finished == []
    assert stage.hears(a) == 0


def test_a_prompt_to_a_leg_in_a_room_is_heard_by_it_alone(stage):
    a, b = stage.member(), stage.member()
    stage.mixer.play(a.handle, prompt(9))
    stage.say({a: A, b: B}, beats=2)
    assert [stage.hears(a), stage.hears(b)] == [B + 500, A]


def test_a_prompt_to_a_room_is_heard_by_all_who_are_not_held(stage):
    a, muted, held = stage.member(), stage.member(mute=True), stage.member(hold=True)
    coach = stage.coach(a)
    other, outside = stage.member(2), stage.person()
    stage.mixer.play(Room(1), prompt(9))
    stage.say({}, beats=2)
    everybody = (a, muted, held, coach, other, outside)
    assert [stage.hears(x) for x in everybody] == [500, 500, 0, 500, 0, 0]


def test_a_held_leg_does_not_hear_its_own_prompt(stage):
    a = stage.member(hold=True)
    play = stage.mixer.play(a.handle, prompt(2))
    stage.say({}, beats=2)
    assert stage.hears(a) == 0
    assert stage.mixer.finished == [play]


def test_several_prompts_are_heard_together(stage):
    a, b = stage.member(), stage.member()
    for target, value in ((a.handle, 1), (a.handle, 20), (Room(1), 300), (Room(1), 4000), (b.handle, 20000)):
        stage.mixer.play(target, prompt(9, value))
    stage.say({})
    assert [stage.hears(a), stage.hears(b)] == [4321, 24300]


def test_one_array_may_play_to_many_at_different_places(stage):
    people = [stage.person() for _ in range(5)]
    samples = np.repeat(np.arange(1, 9, dtype=np.int16), FRAME)
    for person in people:
        stage.mixer.play(person.handle, samples)
        stage.mixer.tick()
    assert [stage.hears(x) for x in people] == [5, 4, 3, 2, 1]


def test_the_array_is_not_copied(stage):
    a = stage.person()
    samples = prompt(5)
    stage.mixer.play(a.handle, samples)
    stage.mixer.tick()
    samples[:] = 77
    stage.mixer.tick()
    assert stage.hears(a) == 77


def test_a_stopped_prompt_fades_and_is_not_reported(stage):
    a = stage.person()
    play = stage.mixer.play(a.handle, prompt(5))
    stage.mixer.tick()
    stage.mixer.stop(play)
    stage.mixer.tick()
    bus = stage.mixer.bus(a.handle)
    assert (np.diff(bus[:32]) < 0).all()
    assert not bus[32:].any()
    for _ in range(5):
        stage.mixer.tick()
        assert stage.hears(a) == 0
        assert stage.mixer.finished == []
    stage.mixer.stop(play)  # long over


def test_a_prompt_stopped_before_it_began_is_never_heard(stage):
    a = stage.person()
    stage.mixer.stop(stage.mixer.play(a.handle, prompt(5)))
    stage.mixer.tick()
    assert stage.hears(a) == 0


def test_stopping_one_leaves_the_others_where_they_are(stage):
    a = stage.person()
    ramp = np.repeat(np.arange(1, 9, dtype=np.int16), FRAME)
    other = stage.mixer.play(a.handle, prompt(5))
    stage.mixer.play(a.handle, ramp)
    stage.say({}, beats=2)
    stage.mixer.stop(other)
    stage.say({}, beats=2)
    assert stage.hears(a) == 4


def test_a_room_prompt_goes_on_while_members_come_and_go(stage):
    play = stage.mixer.play(Room(1), np.repeat(np.arange(1, 9, dtype=np.int16), FRAME))
    stage.say({}, beats=2)
    a = stage.member()
    stage.say({})
    assert stage.hears(a) == 3
    stage.mixer.unseat(a.handle)
    stage.say({})
    assert stage.hears(a) == 0
    b = stage.member()
    stage.say({}, beats=4)
    assert stage.hears(b) == 8
    assert stage.mixer.finished == [play]


def test_the_end_of_a_room_ends_its_prompts_and_no_other(stage):
    a = stage.member()
    stage.mixer.play(Room(1), prompt(9))
    stage.mixer.play(a.handle, prompt(9, 7))
    stage.mixer.end_room(1)
    b = stage.member()
    stage.say({})
    assert [stage.hears(a), stage.hears(b)] == [7, 0]


def test_the_next_leg_in_a_row_does_not_hear_the_last_ones_prompt(stage):
    a = stage.person()
    stage.mixer.play(a.handle, prompt(9))
    stage.mixer.tick()
    stage.mixer.close(a.handle)
    b = stage.person()
    assert b.row == a.row
    stage.mixer.tick()
    assert stage.hears(b) == 0


def test_an_empty_prompt_is_finished_at_once(stage):
    a = stage.person()
    play = stage.mixer.play(a.handle, prompt(0))
    stage.mixer.tick()
    assert stage.mixer.finished == [play]
    assert stage.hears(a) == 0


def test_prompts_go_on_through_missed_beats(stage):
    a = stage.person()
    play = stage.mixer.play(a.handle, np.repeat(np.arange(1, 9, dtype=np.int16), FRAME))
    stage.mixer.skip(2)
    stage.mixer.tick()
    assert stage.hears(a) == 3
    stage.mixer.tick(skipped=9)
    assert stage.hears(a) == 0
    assert stage.mixer.finished == [play]


@pytest.mark.parametrize("samples", [np.zeros(5), np.zeros((2, 5), np.int16), np.zeros(10, np.int16)[::2]])
def test_a_prompt_is_one_run_of_int16(stage, samples):
    with pytest.raises(ValueError, match="int16"):
        stage.mixer.play(stage.person().handle, samples)
