"""What is heard where packets are missing: it goes on, fades, and gives way without a click."""

import itertools

import numpy as np
import pytest

from mixer import FRAME, Mixer
from mixer.conceal import BUDGET, FADE, LONGEST
from tests.mixer.itu import reference_ulaw
from tests.mixer.stage import DECODED, Person, Stage, push
from tests.mixer.test_shape import House, calls_in

LOUD = 8000


@pytest.fixture
def stage():
    return Stage()


def tone(period: float, frames: int, loudness: int = LOUD) -> bytes:
    """A sine in mu-law, a whole number of samples long."""
    samples = loudness * np.sin(2 * np.pi * np.arange(frames * FRAME) / period)
    return bytes(reference_ulaw(int(sample)) for sample in samples)


def heard_without(stage: Stage, said: bytes, lost: set[int], size: int = FRAME) -> np.ndarray:
    """What a listener hears of `said`, in packets of `size`, less those lost; from the first packet on."""
    speaker, listener = stage.member(), stage.member()
    packets = [speaker.packet(said[at : at + size]) for at in range(0, len(said), size)]
    heard = []
    for beat in range(len(said) // FRAME):
        due = range(beat * FRAME // size, (beat + 1) * FRAME // size)
        stage.push([packets[number] for number in due if number not in lost])
        stage.mixer.tick()
        heard.append(stage.mixer.bus(listener.handle))
    return np.concatenate(heard)


def linear(said: bytes) -> np.ndarray:
    return DECODED[0][np.frombuffer(said, np.uint8)].astype(np.int32)


@pytest.mark.parametrize("period", [22, 40, 53.3, 80, 110, 150])
def test_a_tone_goes_on_through_a_lost_packet(stage, period):
    said = tone(period, 12)
    heard, spoken = heard_without(stage, said, {8}), linear(said)
    gap = slice(8 * FRAME, 9 * FRAME)
    assert np.corrcoef(heard[gap], spoken[gap])[0, 1] > 0.97
    whole = np.r_[FADE : 8 * FRAME, 9 * FRAME + FADE : 12 * FRAME]
    assert (heard[whole] == spoken[whole]).all()


@pytest.mark.parametrize("period", [22, 40, 53.3, 80, 110, 150])
@pytest.mark.parametrize("lost", [{8}, {7, 8}, {5, 6, 7, 8}, {6, 8}])
def test_neither_the_begin_nor_the_end_of_a_gap_clicks(stage, period, lost):
    heard = heard_without(stage, tone(period, 14), lost)
    steepest = 2 * np.pi / period * LOUD + LOUD / 16  # the codec's own steps
    assert np.abs(np.diff(heard)).max() < steepest * 1.5 + LOUD / FADE * 2


def test_where_the_next_packet_is_here_already_the_gap_leads_into_it(stage):
    """Another tone behind the gap: its first sample is already the next packet's own."""
    speaker, listener = stage.member(), stage.member()
    before, behind = tone(40, 8), tone(64, 8, loudness=3000)
    said = before + behind
    packets = [speaker.packet(said[at : at + FRAME]) for at in range(0, len(said), FRAME)]
    heard = []
    for beat in range(11):
        ahead = {6: [6, 8], 7: []}.get(beat, [beat if beat < 6 else beat + 1])  # 7 is lost
        stage.push([packets[number] for number in ahead])
        stage.mixer.tick()
        heard.append(stage.mixer.bus(listener.handle))
    bridge = heard[7]
    assert (np.concatenate(heard[8:]) == linear(behind)[: 3 * FRAME]).all()
    assert abs(int(bridge[-1]) - int(heard[8][0])) < 3000 / 4
    assert np.abs(bridge[-64:]).max() < 4500 < np.abs(bridge[:64]).max()


def test_concealment_fades_and_ends(stage):
    heard = heard_without(stage, tone(40, 30), set(range(10, 20)))
    power = [np.abs(heard[at : at + 80]).max() for at in range(10 * FRAME, 10 * FRAME + LONGEST, 80)]
    assert power[0] > LOUD * 0.8
    assert all(later < earlier for earlier, later in itertools.pairwise(power))
    assert not heard[10 * FRAME + LONGEST : 20 * FRAME].any()


def test_a_gap_within_a_frame_is_filled_too(stage):
    said = tone(40, 12)
    heard, spoken = heard_without(stage, said, {16}, size=80), linear(said)
    gap = slice(16 * 80, 17 * 80)
    assert np.corrcoef(heard[gap], spoken[gap])[0, 1] > 0.97
    assert (heard[17 * 80 + FADE :] == spoken[17 * 80 + FADE :]).all()


@pytest.mark.parametrize("size", [8, 16, 32])
def test_many_gaps_in_one_frame_do_no_harm(stage, size):
    said = tone(40, 30)
    lost = {number for number in range(10 * FRAME // size, 11 * FRAME // size) if number % 2}
    heard, spoken = heard_without(stage, said, lost, size), linear(said)
    assert np.abs(heard).max() <= np.abs(spoken).max() * 1.1
    end = heard[-10 * FRAME :]
    assert any((end == spoken[at : at + end.size]).all() for at in range(spoken.size - end.size + 1))


def test_a_lost_packet_is_one_gap(stage):
    heard_without(stage, tone(40, 12), {4, 8})
    assert (stage.mixer.gaps.sum(), stage.mixer.lost.sum()) == (2, 2)


def test_a_new_source_goes_on_with_nothing_of_the_old_one(stage):
    speaker, listener = stage.member(), stage.member()
    said = tone(40, 6)[:-1] + b"\xff"  # its last sample is zero
    for at in range(0, len(said), FRAME):
        stage.push([speaker.packet(said[at : at + FRAME])])
        stage.mixer.tick()
    speaker.ssrc += 1
    stage.say({speaker: 0})
    for _ in range(5):
        assert stage.hears(listener) == 0
        stage.mixer.tick()
    for _ in range(5):
        stage.mixer.tick()
        assert stage.hears(listener) == 0


def test_the_old_source_dies_away_at_once_where_the_new_one_is_not_there_yet(stage):
    speaker, listener = stage.member(), stage.member()
    said = tone(40, 6)
    for at in range(0, len(said), FRAME):
        stage.push([speaker.packet(said[at : at + FRAME])])
        stage.mixer.tick()
    last = int(stage.mixer.bus(listener.handle)[-1])
    speaker.ssrc += 1
    stage.push([stage.frame(speaker, 4860, age=5)])  # to be played in the next beat but one
    stage.mixer.tick()
    heard = stage.mixer.bus(listener.handle)
    assert abs(heard[0] - last) <= abs(last) / FADE + 1
    assert not heard[FADE:].any()


def test_the_same_is_heard_in_whatever_company_packets_are_lost():
    """Rows are concealed together; what each hears is what it would hear alone."""
    random = np.random.default_rng(5)
    said = [bytes(random.integers(0, 256, FRAME * 40, dtype=np.uint8)) for _ in range(8)]
    lost = [set(random.choice(40, 8, replace=False).tolist()) for _ in range(8)]
    alone = [heard_without(Stage(), words, gaps) for words, gaps in zip(said, lost, strict=True)]
    stage = Stage()
    pairs = [(stage.member(room), stage.member(room)) for room in range(8)]
    together: list[list[np.ndarray]] = [[] for _ in pairs]
    for beat in range(40):
        frames = [p.packet(w[beat * FRAME :][:FRAME]) for (p, _), w in zip(pairs, said, strict=True)]
        stage.push([frame for frame, gaps in zip(frames, lost, strict=True) if beat not in gaps])
        stage.mixer.tick()
        for heard, (_, listener) in zip(together, pairs, strict=True):
            heard.append(stage.mixer.bus(listener.handle))
    for one, many in zip(alone, together, strict=True):
        assert (one == np.concatenate(many)).all()


def test_of_more_rows_than_are_concealed_at_once_the_others_fade():
    legs = BUDGET + 40
    mixer = Mixer(legs + 1)
    people = [Person(mixer.open()) for _ in range(legs)]
    said = tone(40, 12)
    frames = [said[at : at + FRAME] for at in range(0, len(said), FRAME)]
    last = np.zeros(legs + 1, np.int64)
    for beat, frame in enumerate(frames):
        packets = [person.packet(frame) for person in people]
        if beat != 8:
            push(mixer, packets)
        mixer.tick()
        speech = mixer._desks[8000].speech
        order = mixer._plan.blocks[0].order
        if beat > 1:
            steps = np.diff(np.column_stack([last[order], speech]).astype(np.int64), axis=1)
            assert np.abs(steps).max() < LOUD / 4
        last[order] = speech[:, -1]
    assert (speech == linear(frames[-1])).all()


def test_a_beat_in_which_all_packets_are_lost_makes_the_same_calls_for_200_legs_as_for_50():
    def calls(legs: int) -> tuple[int, int]:
        house = House(legs)
        for _ in range(30):
            house.beat(house.packets())
        return calls_in(house.mixer.tick)

    assert calls(200) == calls(52)
