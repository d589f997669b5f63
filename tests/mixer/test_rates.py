"""Concealment and joining do at every rate what they do at 8 kHz."""

import itertools

import numpy as np
import pytest

from mixer import join
from mixer.conceal import BUDGET, FADE, LONGEST, Ahead, Concealment
from mixer.g711 import VALID
from mixer.rows import Rows

LOUD = 8000
RATES = (8000, 16000, 48000)


def tone(hertz: float, rate: int, frames: int) -> np.ndarray:
    samples = LOUD * np.sin(2 * np.pi * hertz * np.arange(frames * rate // 50) / rate)
    return np.rint(samples).astype(np.int16)


class NothingAhead:
    """What follows is never here yet."""

    def coming(self, rate: int, rows: np.ndarray) -> Ahead:
        return Ahead(np.zeros((rows.size, rate // 25), np.int16), *np.zeros((2, rows.size), np.bool_))

    def amend(self, rows: np.ndarray, sound: np.ndarray) -> None:
        raise AssertionError("nothing is here that could begin otherwise")


def heard_without(rate: int, said: np.ndarray, lost: set[int], pieces: int = 1, rows: int = 1) -> np.ndarray:
    """What is heard, (rows, n), of legs that all say the same and lack the same pieces of frames."""
    concealment = Concealment(Rows(rows + 1), np.zeros(rows + 1, np.bool_), rate)
    order = np.arange(1, rows + 1)
    frame = rate // 50
    heard = []
    for beat, words in enumerate(said.reshape(-1, frame)):
        came = np.array([piece + beat * pieces not in lost for piece in range(pieces)])
        came = np.repeat(came, frame // pieces)
        speech = np.repeat((words * came)[None], rows, axis=0).astype(np.int16)
        tags = np.repeat((came * VALID).astype(np.uint16)[None], rows, axis=0)
        concealment.smooth(order, tags, speech, NothingAhead())
        heard.append(speech)
    return np.concatenate(heard, axis=1)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hertz", [53, 73, 100, 150, 200, 364])
def test_a_tone_goes_on_through_a_lost_packet(hertz, rate):
    frame, fade = rate // 50, FADE * rate // 8000
    said = tone(hertz, rate, 12)
    heard = heard_without(rate, said, {8})[0]
    gap = slice(8 * frame, 9 * frame)
    assert np.corrcoef(heard[gap], said[gap])[0, 1] > 0.97
    whole = np.r_[fade : 8 * frame, 9 * frame + fade : 12 * frame]
    assert (heard[whole] == said[whole]).all()


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("lost", [{8}, {7, 8}, {5, 6, 7, 8}, {6, 8}])
def test_neither_the_begin_nor_the_end_of_a_gap_clicks(lost, rate):
    heard = heard_without(rate, tone(200, rate, 14), lost)[0].astype(int)
    steepest = 2 * np.pi * 200 / rate * LOUD
    assert np.abs(np.diff(heard)).max() < steepest * 1.5 + LOUD / (FADE * rate / 8000) * 2


@pytest.mark.parametrize("rate", RATES)
def test_concealment_fades_within_100_ms(rate):
    frame, longest, step = rate // 50, LONGEST * rate // 8000, rate // 100
    heard = heard_without(rate, tone(200, rate, 30), set(range(10, 20)))[0]
    power = [np.abs(heard[10 * frame + at : 10 * frame + at + step]).max() for at in range(0, longest, step)]
    assert power[0] > LOUD * 0.8
    assert all(later < earlier for earlier, later in itertools.pairwise(power))
    assert not heard[10 * frame + longest : 20 * frame].any()


@pytest.mark.parametrize("rate", RATES)
def test_a_gap_within_a_frame_is_filled_too(rate):
    half, fade = rate // 100, FADE * rate // 8000
    said = tone(200, rate, 12)
    heard = heard_without(rate, said, {16}, pieces=2)[0]
    gap = slice(16 * half, 17 * half)
    assert np.corrcoef(heard[gap], said[gap])[0, 1] > 0.97
    assert (heard[17 * half + fade :] == said[17 * half + fade :]).all()


@pytest.mark.parametrize("rate", RATES)
def test_of_more_rows_than_are_concealed_at_once_the_others_fade(rate):
    budget = BUDGET * 8000 // rate
    heard = heard_without(rate, tone(200, rate, 12), {8}, rows=budget + 3)
    assert np.abs(np.diff(heard.astype(int), axis=1)).max() < LOUD / 4
    gap = slice(8 * rate // 50, 9 * rate // 50)
    assert (heard[:budget, gap] == heard[0, gap]).all()
    assert not heard[budget:, gap][:, FADE * rate // 8000 :].any()


@pytest.mark.parametrize("rate", RATES)
def test_two_frames_are_joined_where_they_are_alike(rate):
    """The second is the first, 5 ms later: a whole period apart they are the same."""
    frame = rate // 50
    said = tone(200, rate, 3)
    place, unlike = join.likest(said[None, :frame], said[None, frame : 2 * frame])
    assert unlike[0] < 0.001
    other = tone(310, rate, 1)
    assert join.likest(said[None, :frame], other[None])[1][0] > 0.05
    crossed = join.cross(said[None, :frame], said[None, frame : 2 * frame], place)[0]
    assert np.abs(crossed - said[frame : 2 * frame]).max() <= 2
