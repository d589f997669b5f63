"""Who hears what, one claim a test. Everybody says one value, so that a sum names its speakers."""

import numpy as np
import pytest

from mixer import ALAW, ULAW, Mixer, NotSeated, StaleHandle
from mixer.rows import Full
from tests.mixer.stage import DECODED, IN_TIME, Stage

A, B, C, D = 1052, 2236, 4860, 9852  # values that mu-law has exactly; all their sums differ


@pytest.fixture
def stage():
    return Stage()


def test_everybody_hears_all_others_and_not_himself(stage):
    a, b, c = (stage.member() for _ in range(3))
    stage.say({a: A, b: B, c: C}, beats=2)
    assert [stage.hears(x) for x in (a, b, c)] == [B + C, A + C, A + B]


def test_one_speaker_is_copied_unchanged(stage):
    a, b = stage.member(), stage.member()
    random = np.random.default_rng(1)
    for beat in range(50):
        spoken = random.integers(0, 256, 160, dtype=np.uint8)
        spoken[spoken == 0x7F] = 0xFF  # mu-law has two zeros; only one is ever sent
        stage.push([a.packet(spoken.tobytes())])
        stage.mixer.tick()
        if beat:  # the very first frame fades in
            assert stage.payload(b) == spoken.tobytes()


def test_a_lone_member_hears_silence(stage):
    a = stage.member()
    stage.say({a: A}, beats=3)
    assert stage.payload(a) == b"\xff" * 160


def test_rooms_do_not_hear_each_other(stage):
    a, b, c, d = stage.member(1), stage.member(2), stage.member(1), stage.member(2)
    stage.say({a: A, b: B, c: C, d: D}, beats=2)
    assert [stage.hears(x) for x in (a, b, c, d)] == [C, D, A, B]


def test_a_leg_in_no_room_hears_and_is_heard_by_nobody(stage):
    a, b, outside = stage.member(), stage.member(), stage.person()
    stage.say({a: A, b: B, outside: C}, beats=2)
    assert [stage.hears(x) for x in (a, b, outside)] == [B, A, 0]


def test_a_muted_member_hears_and_is_not_heard(stage):
    a, b = stage.member(), stage.member(mute=True)
    stage.say({a: A, b: B}, beats=2)
    assert [stage.hears(a), stage.hears(b)] == [0, A]


def test_a_held_member_neither_hears_nor_is_heard(stage):
    a, b, c = stage.member(), stage.member(), stage.member(hold=True)
    stage.say({a: A, b: B, c: C}, beats=2)
    assert [stage.hears(x) for x in (a, b, c)] == [B, A, 0]


def test_a_coach_is_heard_by_those_he_coaches_alone_and_hears_everybody(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer, coach)] == [B + C, A, A + B]


def test_mute_wins_over_coach(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent, mute=True)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer, coach)] == [B, A, A + B]


def test_hold_wins_over_coach(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent, hold=True)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer, coach)] == [B, A, 0]


def test_a_coached_member_on_hold_does_not_hear_the_coach(stage):
    agent, customer = stage.member(hold=True), stage.member()
    coach = stage.coach(agent)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer, coach)] == [0, 0, B]


def test_a_muted_member_still_hears_his_coach(stage):
    agent, customer = stage.member(mute=True), stage.member()
    coach = stage.coach(agent)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer, coach)] == [B + C, 0, B]


def test_a_coach_whose_list_is_empty_is_heard_by_nobody(stage):
    a, coach = stage.member(), stage.coach()
    stage.say({a: A, coach: C}, beats=2)
    assert [stage.hears(a), stage.hears(coach)] == [0, A]


def test_a_coach_who_names_himself_does_not_hear_himself(stage):
    a, coach = stage.member(), stage.coach()
    stage.mixer.coach(coach.handle, [a.handle, coach.handle])
    stage.say({a: A, coach: C}, beats=3)
    assert [stage.hears(a), stage.hears(coach)] == [C, A]


def test_two_coaches_each_have_a_list_of_their_own(stage):
    a, b = stage.member(), stage.member()
    first, second = stage.coach(a), stage.coach(a, b)
    stage.say({a: A, b: B, first: C, second: D}, beats=2)
    assert [stage.hears(x) for x in (a, b, first, second)] == [B + C + D, A + D, A + B, A + B]


def test_a_coach_hears_another_coach_who_names_him(stage):
    first = stage.coach()
    second = stage.coach(first)
    stage.say({first: C, second: D}, beats=2)
    assert [stage.hears(first), stage.hears(second)] == [D, 0]


def test_a_list_has_no_effect_in_another_room(stage):
    a, b = stage.member(1), stage.member(2)
    coach = stage.coach(a, b, room=2)
    stage.say({a: A, b: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (a, b, coach)] == [0, C, B]


def test_a_joiner_brings_word_of_who_coaches_him(stage):
    customer, coach = stage.member(), stage.coach()
    agent = stage.person()
    stage.mixer.seat(agent.handle, 1, coached_by=[coach.handle])
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer, coach)] == [B + C, A, A + B]


def test_who_is_named_as_a_coach_and_is_none_stays_public(stage):
    a, b = stage.member(), stage.person()
    stage.mixer.seat(b.handle, 1, coached_by=[a.handle])
    stage.say({a: A, b: B}, beats=2)
    assert [stage.hears(a), stage.hears(b)] == [B, A]


def test_who_comes_back_is_coached_again(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent)
    stage.mixer.unseat(agent.handle)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer)] == [0, 0]
    stage.mixer.seat(agent.handle, 1)
    stage.say({agent: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer)] == [B + C, A]


def test_the_next_leg_in_a_freed_row_is_not_coached(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent)
    stage.mixer.close(agent.handle)
    newcomer = stage.member()
    assert newcomer.row == agent.row
    stage.say({newcomer: A, customer: B, coach: C}, beats=2)
    assert [stage.hears(x) for x in (newcomer, customer)] == [B, A]


def test_the_next_leg_in_a_coachs_row_is_public(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent)
    stage.mixer.close(coach.handle)
    newcomer = stage.member()
    assert newcomer.row == coach.row
    stage.say({agent: A, customer: B, newcomer: C}, beats=2)
    assert [stage.hears(x) for x in (agent, customer)] == [B + C, A + C]


def test_leaving_forgets_flags_and_list(stage):
    a, b = stage.member(), stage.coach(mute=True)
    stage.mixer.unseat(b.handle)
    stage.mixer.seat(b.handle, 1)
    stage.say({a: A, b: B}, beats=2)
    assert stage.hears(a) == B


def test_ending_a_room_unseats_all_and_nobody_else(stage):
    a, b, c, d = stage.member(1), stage.member(1), stage.member(2), stage.member(2)
    stage.mixer.end_room(1)
    stage.say({a: A, b: B, c: C, d: D}, beats=2)
    assert [stage.hears(x) for x in (a, b, c, d)] == [0, 0, D, C]


def test_a_loud_room_is_summed_exactly_and_clipped_once(stage):
    loud = int(DECODED[ULAW].max())
    people = [stage.member() for _ in range(5)]
    stage.say(dict.fromkeys(people, loud), beats=2)
    assert stage.hears(people[0]) == 4 * loud
    assert set(stage.samples(people[0]).tolist()) == {loud}


def test_each_hears_in_his_own_law(stage):
    a, b, c = stage.member(law=ULAW), stage.member(law=ALAW), stage.member(law=ALAW)
    stage.say({a: A, b: 1184, c: 0 + 8}, beats=2)
    assert [stage.hears(x) for x in (a, b, c)] == [1184 + 8, A + 8, A + 1184]
    stage.mixer.set_format(a.handle, ALAW)
    stage.say({a: A, b: 1184, c: 8}, beats=1)
    assert set(DECODED[ALAW][stage.mixer.heard[a.row]].tolist()) == {1184}


def test_a_packet_says_by_itself_which_law_it_is_in(stage):
    a, b = stage.member(), stage.member()
    stage.say({a: A}, beats=2)
    a.law = ALAW
    stage.say({a: 1184})
    assert stage.hears(b) == 1184


def test_the_level_is_the_peak_of_the_last_frame(stage):
    a, b = stage.member(), stage.member()
    stage.say({a: A}, beats=2)
    assert [int(stage.mixer.level[x.row]) for x in (a, b)] == [A, 0]


def test_quiet_counts_ticks_since_the_last_packet(stage):
    a, b = stage.member(), stage.member()
    stage.say({a: A}, beats=4)
    assert [int(stage.mixer.quiet[x.row]) for x in (a, b)] == [1, 4]


def test_a_closed_handle_is_refused_by_every_verb(stage):
    a = stage.member()
    stage.mixer.close(a.handle)
    verbs = [
        lambda h: stage.mixer.close(h),
        lambda h: stage.mixer.seat(h, 1),
        lambda h: stage.mixer.unseat(h),
        lambda h: stage.mixer.flags(h, mute=True, hold=False),
        lambda h: stage.mixer.coach(h, None),
        lambda h: stage.mixer.set_format(h, ALAW),
        lambda h: stage.mixer.play(h, np.zeros(1, np.int16)),
        lambda h: stage.mixer.bus(h),
    ]
    for verb in verbs:
        for handle in (a.handle, 0, 31, a.handle + (1 << 16), 500):
            with pytest.raises(StaleHandle):
                verb(handle)


def test_flags_and_lists_belong_to_a_seat(stage):
    outside = stage.person()
    with pytest.raises(NotSeated):
        stage.mixer.flags(outside.handle, mute=True, hold=False)
    with pytest.raises(NotSeated):
        stage.mixer.coach(outside.handle, [])


def test_a_full_mixer_says_so_and_takes_the_next_when_one_has_left():
    mixer = Mixer(3)
    first, _ = mixer.open(), mixer.open()
    with pytest.raises(Full):
        mixer.open()
    mixer.close(first)
    assert mixer.open() != first


def test_an_empty_mixer_ticks():
    mixer = Mixer(3)
    mixer.tick()
    assert (mixer.heard == 0xFF).all()


def test_the_bus_names_who_is_in_it():
    """Bit weights: each says more than all before him together, so a sum tells its speakers one by one."""
    weights = [8, 16, 32, 64, 132, 260, 524, 1052, 2108, 4348, 8828, 17788]
    assert all(weight in DECODED[ULAW] for weight in weights)
    assert all(weight > sum(weights[:i]) for i, weight in enumerate(weights))
    random = np.random.default_rng(3)
    for _ in range(40):
        stage = Stage()
        people = [stage.person() for _ in weights]
        rooms, muted, held = (random.integers(0, n, len(people)) for n in (3, 4, 5))
        lists: dict[int, list[int]] = {}
        for i, person in enumerate(people):
            if random.random() < 0.3:
                lists[i] = [int(j) for j in random.choice(len(people), random.integers(0, 5), replace=False)]
            stage.mixer.seat(
                person.handle,
                int(rooms[i]),
                mute=bool(muted[i] == 0),
                hold=bool(held[i] == 0),
                coaches=[people[j].handle for j in lists[i]] if i in lists else None,
            )
        stage.say(dict(zip(people, weights, strict=True)), beats=2)
        for a, listener in enumerate(people):
            named, rest = set(), stage.hears(listener)
            for b in reversed(range(len(weights))):
                if rest >= weights[b]:
                    rest -= weights[b]
                    named.add(b)
            assert rest == 0
            assert named == {
                b
                for b in range(len(people))
                if a != b
                and rooms[a] == rooms[b]
                and held[a] and held[b] and muted[b]
                and (b not in lists or a in lists[b])
            }  # fmt: skip


def test_verbs_may_come_in_any_number_between_two_ticks(stage):
    people = [stage.member(room) for room in (1, 2, 3)]
    a, b, c = people
    for _ in range(20):
        stage.mixer.unseat(a.handle)
        stage.mixer.seat(a.handle, 2)
        stage.mixer.flags(b.handle, mute=True, hold=True)
        stage.mixer.flags(b.handle, mute=False, hold=False)
        stage.mixer.seat(c.handle, 2, coaches=[a.handle])
    stage.say({a: A, b: B, c: C}, beats=2)
    assert [stage.hears(x) for x in people] == [B + C, A, A + B]


def test_a_packet_of_a_closed_leg_is_dropped(stage):
    a, b = stage.member(), stage.member()
    stage.say({a: A}, beats=2)
    stage.mixer.close(a.handle)
    stage.push([stage.frame(a, A, IN_TIME)])
    newcomer = stage.member()
    stage.mixer.tick()
    assert newcomer.row == a.row
    assert stage.hears(b) == 0
