"""Opus repeats in each packet the one before: a leg that loses packets is played late enough to hear it."""

from dataclasses import replace

import numpy as np
import pytest

from mixer import Mixer, Tuning
from mixer.redundancy import Redundancy
from mixer.rows import FRAME, Rows
from tests.mixer.stage import push
from tests.mixer.wide import Phone
from tests.support.tones import level

SECOND = 50


class Line:
    """A talker whose packets may get lost, and a listener who gets all of his."""

    def __init__(self, codec: str = "OPUS", *, fec: bool = True) -> None:
        self.mixer = Mixer(8)
        self.talker = Phone(self.mixer, codec, 16000, Tuning(fec=fec)).join()
        self.listener = Phone(self.mixer, "L16", 16000).join()
        self.said = 0

    def drone(self) -> None:
        """The same packet over and over from now on, where it does not matter what is said."""
        packet = self.talker.encode(self.talker.tone(440.0))
        self.talker.encode = lambda samples: packet  # type: ignore[method-assign]
        self.listener.listen = lambda: None  # type: ignore[method-assign]

    def talk(self, beats: int, *, losing: int = 0, frequency: float = 440.0) -> None:
        """Each `losing`th packet is lost."""
        for _ in range(beats):
            packet = self.talker.packet(self.talker.tone(frequency))
            self.said += 1
            if not (losing and self.said % losing == 0):
                push(self.mixer, [packet])
            self.mixer.tick()
            self.listener.listen()

    @property
    def delay(self) -> int:
        return int(self.mixer.delay[self.talker.row])


def test_who_loses_packets_waits_for_the_next_one_and_no_longer_than_he_loses_any():
    line = Line()
    line.drone()
    line.talk(2 * SECOND)
    before = line.delay
    line.talk(5 * SECOND, losing=20)
    assert line.delay == before + FRAME
    line.talk(25 * SECOND)
    assert line.delay == before


@pytest.mark.parametrize("codec", ["OPUS", "G722"])
def test_who_repeats_nothing_is_not_waited_for(codec):
    line = Line(codec, fec=False)
    line.drone()
    line.talk(2 * SECOND)
    before = line.delay
    line.talk(5 * SECOND, losing=20)
    assert line.delay == before


def test_one_lost_packet_moves_nobody():
    line = Line()
    line.drone()
    line.talk(2 * SECOND)
    before = line.delay
    line.said = 999
    line.talk(5 * SECOND, losing=1000)
    assert line.delay == before


def test_what_was_lost_is_heard():
    """The tone changes in the lost packet alone: no concealment could know it."""
    line = Line()
    line.talk(2 * SECOND)
    line.talk(5 * SECOND, losing=20)
    line.said = 999
    line.talk(1, losing=1000, frequency=1370.0)
    heard = len(line.listener.heard)
    line.talk(4)
    told = np.concatenate(line.listener.heard[heard - 1 : heard + 3])
    assert level(told, 1370, rate=16000) > 700


def test_what_was_heard_by_repetition_is_not_heard_again_when_it_comes_late():
    """The fourth packet that is late moves the play-out. Whatever is in it makes no difference."""
    heard = []
    for other in (False, True):
        line = Line()
        line.talk(2 * SECOND)
        line.talk(3 * SECOND, losing=20)
        before, late = line.delay, []
        for beat in range(14):
            packet = line.talker.packet(line.talker.tone(440.0))
            held = beat in (0, 2, 4, 6)
            late += [packet] if held else []
            if beat == 6 and other:
                late[-1] = replace(packet, audio=late[0].audio)
            push(line.mixer, [*([late.pop(0)] if beat in (2, 4, 6, 8) else []), *([] if held else [packet])])
            line.mixer.tick()
            line.listener.listen()
        assert line.delay > before
        heard.append(np.concatenate(line.listener.heard))
    assert (heard[0] == heard[1]).all()


def test_however_many_were_lost_it_is_over_eighteen_seconds_after_the_last():
    redundancy, lost = Redundancy(Rows(2)), np.array([0, 100])
    redundancy.offered[:] = True
    seconds = 0
    assert redundancy.worth(lost).tolist() == [False, True]
    while redundancy.worth(lost)[1]:
        seconds += 1
    assert seconds == 18
