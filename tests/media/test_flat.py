"""Legs, rooms and prompts that come and go leave nothing behind in the media process."""

import gc
import os
import secrets
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from media import memory
from media.messages import (
    Close,
    Forget,
    Format,
    Load,
    PlayToLeg,
    PlayToRoom,
    Seat,
    SendDigits,
    Srtp,
    StopPlay,
)
from rtp.srtp import SUITES
from tests.support.virtual_network import PCMU, VirtualMedia, rtp

SUITE = "AES_CM_128_HMAC_SHA1_80"
FORMATS = (PCMU, Format("OPUS", 48000, 48000, fec=True), Format("G722", 16000, 8000), PCMU)
CALLS = 40
MOST_BYTES = 1000
"""Of a call that is over: what still plays, and tables that grow by steps, come to less than half of it."""


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


def generation(media: VirtualMedia, number: int) -> None:
    """Four calls of three codecs, one with keys, in a room of their own: they talk, hear two prompts, are
    sent keys, and go, in the middle of it."""
    legs = [4 * number + seat for seat in range(1, 5)]
    here = [(f"198.51.100.{seat}", 4000 + number) for seat in range(1, 5)]
    for seat, (leg, format) in enumerate(zip(legs, FORMATS, strict=True)):
        size = SUITES[SUITE][1]
        keys = Srtp(SUITE, secrets.token_bytes(size), secrets.token_bytes(size)) if seat == 3 else None
        fields = {"format": format, "payload_type": 96 * (seat in (1, 2)), "srtp": keys}
        fields["accepts"] = {fields["payload_type"]: format}
        media.open(leg, here[seat], port=seat, **fields)
        media.commands.append(Seat(leg, number, False, False, None, []))
    samples = np.full(16_000, 1000, "<i2").tobytes()
    media.engine._descriptors.append(memory.sealed(samples))
    media.commands += [
        Load(number, len(samples)),
        PlayToLeg(3 * number, number, legs[0]),
        PlayToRoom(3 * number + 1, number, number),
        SendDigits(3 * number + 2, legs[0], "12", 100.0, 50.0),
        Forget(number),
    ]
    for packet in range(6):
        for seat in range(4):
            kind = 96 * (seat in (1, 2))
            media.say(here[seat], rtp(packet, ssrc=legs[seat], payload_type=kind), port=seat)
        media.beat()
    media.commands += [StopPlay(3 * number + 1), *(Close(leg) for leg in legs)]
    media.beat()
    media.events.clear()


def test_a_call_that_is_over_leaves_nothing(media: VirtualMedia) -> None:
    tracemalloc.start()
    try:
        for number in range(1, 9):  # what is made once is made: tables, converters, shared encoders
            generation(media, number)
        gc.collect()
        before, files = tracemalloc.get_traced_memory()[0], len(os.listdir("/proc/self/fd"))
        for number in range(9, 9 + CALLS // 4):
            generation(media, number)
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept / CALLS < MOST_BYTES
    assert len(os.listdir("/proc/self/fd")) == files
