"""What a test phone makes of the packets it got."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.support import g711
from tests.support.rtp_line import Line, MediaSocket, Packet
from tests.support.sounds import noise


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    media = MediaSocket()
    line = Line(media, sound=None)
    line.laws = {0: "PCMU"}
    yield line
    media.close()


def hear(line: Line, sound: np.ndarray, *, ssrc: int, timestamp: int, without: tuple[int, ...] = ()) -> None:
    """In frames of 20 ms, the sequence going on over those that the server skipped."""
    for number, frame in enumerate(sound.reshape(-1, 160)):
        if number not in without:
            stamp = (timestamp + number * 160) % 2**32
            payload = g711.encode("PCMU", frame)
            sequence = (65530 + len(line.received)) % 65536
            line.received.append(Packet(0.0, sequence, stamp, 0, False, ssrc, payload, ("", 0)))


async def test_a_sound_is_found_whole_without_the_beats_that_were_skipped(line: Line) -> None:
    sound = noise(1, 0.6, 8000)
    hear(line, np.pad(sound, (1600, 1600)), ssrc=1, timestamp=2**32 - 4000, without=(15, 16, 30))
    assert line.skips(0.0) == 2 and np.sum(~line.there()) == 3 * 160
    score, lag = line.find(sound)
    assert score > 0.99 and lag == 1600


async def test_a_frame_that_is_missing_for_another_reason_is_missed(line: Line) -> None:
    sound = noise(2, 0.6, 8000)
    hear(line, sound, ssrc=1, timestamp=0)
    del line.received[5:11]
    assert line.skips(0.0) == 0 and line.there().all()
    assert line.find(sound)[0] < 0.95


async def test_a_stream_of_another_ssrc_follows_the_one_before_whatever_its_timestamps(line: Line) -> None:
    sound = noise(3, 0.4, 8000)
    hear(line, sound[:1600], ssrc=1, timestamp=1000)
    hear(line, sound[1600:], ssrc=2, timestamp=9_000_000)
    assert len(line.pcm()) == len(sound) and line.there().all()
    assert line.find(sound)[0] > 0.99
