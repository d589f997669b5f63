"""A beat does the same in Python for 50 legs as for 200: what grows, grows inside numpy and the kernel."""

import sys
from types import FrameType
from typing import Any

import numpy as np

from media.messages import Seat
from tests.support.virtual_network import VirtualMedia, rtp


class Quiet:
    """A network that hands over and takes away without a loop of its own."""

    batched = True
    system_calls = 0
    overflowed = 0

    def __init__(self, count: int) -> None:
        self._count = count

    def receive(self, inbox: Any) -> None:
        inbox.count = self._count
        inbox.slots[: self._count, 2:4].view(">u2")[:] += 1
        inbox.slots[: self._count, 4:8].view(">u4")[:] += 160
        inbox.arrival[: self._count] += 20_000_000

    def send(self, outbox: Any, order: Any, runs: Any) -> list[int]:
        return []

    def close(self) -> None:
        pass


def media_of(legs: int) -> VirtualMedia:
    """Rooms of four, everybody sends, packets are in place in the inbox."""
    media = VirtualMedia(legs=200, ports=8)
    media.engine._inbox = type(media.engine._inbox)(512)
    for leg in range(1, legs + 1):
        source = ("198.51.100.1", 10_000 + leg)
        media.open(leg, source, port=leg % 8)
        media.commands.append(Seat(leg, leg // 4, False, False, None, []))
        media.say(source, rtp(1, ssrc=leg), port=leg % 8)
    media.beat()
    media.engine._transport = Quiet(legs)
    media.engine._reporting.reports._due[:] = np.iinfo(np.int64).max  # reports come at random
    media.beat(15)
    return media


def counted(media: VirtualMedia) -> tuple[int, int]:
    """(bytecode instructions, calls) of twenty beats, two sweeps among them."""
    instructions = calls = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal instructions
        frame.f_trace_opcodes = True
        instructions += event == "opcode"
        return trace

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    # Python 3.12 tells of instructions only from the second time on that a tracer has asked for them.
    for beats in (1, 20):
        instructions = 0
        sys.settrace(trace)
        try:
            media.beat(beats)
        finally:
            sys.settrace(None)
    assert instructions > 0
    sys.setprofile(profile)
    try:
        media.beat(20)
    finally:
        sys.setprofile(None)
    return instructions, calls


def test_python_does_the_same_for_fifty_legs_as_for_two_hundred() -> None:
    few, many = media_of(50), media_of(200)
    assert counted(few) == counted(many)
    few.close()
    many.close()
