"""The shape of a tick: as many Python calls, and as many steps between them, for 200 legs as for 50."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from mixer import Mixer

FRAME = 160
SIZES = (FRAME, 80, 240, 320)  # packets of 20, 10, 30 and 40 ms


class House:
    """Rooms of four with a coach in each, all sending."""

    def __init__(self, legs: int) -> None:
        self.mixer = Mixer(legs + 1)
        handles = [self.mixer.open(i % 2) for i in range(legs)]
        for i, handle in enumerate(handles):
            self.mixer.seat(handle, i // 4, coaches=[handles[i - 1]] if i % 4 == 3 else None, mute=i % 8 == 0)
        self.rows = np.array(handles, np.intp) & 0xFFFF
        random = np.random.default_rng(1)
        self.length = np.array([SIZES[i % 4] for i in range(legs)], np.int32)
        self.phase = random.integers(0, FRAME, legs).astype(np.int32)
        self.sent = np.zeros(legs, np.int64)
        self.payload = random.integers(0, 256, (legs, 512), np.uint8)
        self.now = 0

    def packets(self) -> tuple[np.ndarray, ...]:
        """Those due at the next beat."""
        batches = []
        while (due := np.flatnonzero(self.sent * self.length - self.phase <= self.now)).size:
            waited = self.now + self.phase[due] - self.sent[due] * self.length[due]
            batches.append((due, self.sent[due].copy(), waited))
            self.sent[due] += 1
        index, count, waited = (np.concatenate(column) for column in zip(*batches, strict=True))
        length = self.length[index]
        self.now += FRAME
        return (
            self.rows[index],
            count.astype(np.uint16),
            (count * length).astype(np.uint32),
            index.astype(np.uint32),
            (index % 2).astype(np.uint8),
            waited.astype(np.int32),
            self.payload[index],
            np.full(index.size, 12, np.int32),
            length,
        )

    def beat(self, packets: tuple[np.ndarray, ...]) -> None:
        self.mixer.push(*packets)
        self.mixer.tick()


def calls_in(beat: Callable[[], None]) -> tuple[int, int]:
    """Calls of Python functions, and of C functions."""
    counted = {"call": 0, "c_call": 0}

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event in counted:
            counted[event] += 1

    gc.disable()  # its callbacks would be counted
    sys.setprofile(profile)
    try:
        beat()
    finally:
        sys.setprofile(None)
        gc.enable()
    return counted["call"], counted["c_call"]


def bytecodes_in(beat: Callable[[], None]) -> int:
    """Bytecodes executed: to the profiler operators and ufuncs are no calls, but each is some of these."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    previous = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        beat()
    finally:
        sys.settrace(previous)
        gc.enable()
    return count


def steps_of(legs: int) -> tuple[tuple[int, int], int]:
    """One beat of a running house."""
    house = House(legs)
    for _ in range(30):
        house.beat(house.packets())
    first, second = house.packets(), house.packets()
    return calls_in(lambda: house.beat(first)), bytecodes_in(lambda: house.beat(second))


def test_a_tick_makes_the_same_calls_for_200_legs_as_for_50():
    (calls, c_calls), bytecodes = steps_of(52)
    assert steps_of(200) == ((calls, c_calls), bytecodes)
    assert calls + c_calls < 280  # numpy's own wrappers among them
    assert bytecodes > 1000  # all of it was seen


def test_prompts_from_one_array_make_the_same_calls_for_200_legs_as_for_50():
    def calls(legs: int) -> tuple[int, int]:
        mixer = Mixer(legs + 1)
        samples = np.ones(FRAME * 20, np.int16)
        for _ in range(legs):
            mixer.play(mixer.open(), samples)
        for _ in range(3):
            mixer.tick()
        return calls_in(mixer.tick)

    assert calls(200) == calls(50)
