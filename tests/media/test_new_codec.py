"""A re-INVITE agrees on another codec, and the far end, which learns of it later, takes its time: what it
still says in the old one is heard, and nothing is lost, late or taken for jitter where it changes."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from media.messages import Format, Open, Seat
from mixer import g722, opus
from tests.support import g711
from tests.support.virtual_network import PCMA, PCMU, VirtualMedia, connect, rtp

ALICE, BOB = ("198.51.100.1", 4000), ("198.51.100.2", 4000)
HERTZ, LOUD = 330.0, 6000.0
BOBS = Format("L16", 16000, 16000)
CODECS = {  # by payload type
    0: PCMU,
    8: PCMA,
    9: Format("G722", 16000, 8000),
    97: Format("L16", 8000, 8000),
    98: Format("L16", 16000, 16000),
    111: Format("OPUS", 48000, 48000, fec=True),
}


class Alice:
    """She says a tone, in one codec after the other and in one stream; Bob hears it in L16."""

    def __init__(self, media: VirtualMedia, number: int, *, timestamp: int = 0) -> None:
        self.media, self.number, self.timestamp = media, number, timestamp
        self.spoken = 0
        self.heard: list[NDArray[np.int16]] = []
        self.g722 = g722.Encoder()
        self.opus = opus.Encoder(48000, bitrate=40_000, complexity=5, fec=True, loss=10, dtx=False)
        for leg, remote, codec in ((1, ALICE, number), (2, BOB, 98)):
            media.commands += [Open(leg, 0), connect(leg, remote, **agreed(codec))]
        media.commands += [Seat(leg, 7, False, False, None, []) for leg in (1, 2)]

    def payload(self) -> bytes:
        codec = CODECS[self.number]
        at = (self.spoken + np.arange(codec.rate // 50) / (codec.rate // 50)) / 50
        sound = np.rint(LOUD * np.sin(2 * np.pi * HERTZ * at)).astype(np.int16)
        if codec.codec == "OPUS":
            out = np.zeros(1500, np.uint8)
            return out[: self.opus.encode(sound.ctypes.data, sound.size, out.ctypes.data, 1500)].tobytes()
        if codec.codec == "G722":
            return self.g722.encode(sound)
        if codec.codec == "L16":
            return sound.astype(">i2").tobytes()
        return g711.encode(codec.codec, sound)

    def talk(self, frames: int) -> None:
        for _ in range(frames):
            packet = rtp(
                self.spoken, payload=self.payload(), payload_type=self.number, timestamp=self.timestamp
            )
            self.media.say(ALICE, packet)
            self.spoken += 1
            self.timestamp += CODECS[self.number].clock // 50
            self.heard += [
                np.frombuffer(data[12:], ">i2").astype(np.int16)
                for _, to, data in self.media.beat()
                if to == BOB
            ]

    def agree(self, number: int) -> None:
        self.media.commands.append(connect(1, ALICE, renew=True, **agreed(number)))

    def silent_frames(self, last: int) -> int:
        """Of the last that Bob heard."""
        return int(sum(np.abs(frame).max() < LOUD / 2 for frame in self.heard[-last:]))

    def figure(self, name: str) -> int:
        (row,) = np.flatnonzero(self.media.engine._leg == 1)
        return int(getattr(self.media.engine._mixer, name)[row])


def agreed(number: int) -> dict[str, object]:
    return {"format": CODECS[number], "payload_type": number, "accepts": {number: CODECS[number]}}


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


PAIRS = [(0, 8), (0, 9), (0, 111), (9, 98), (97, 98), (98, 111), (111, 98), (111, 8)]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_what_still_comes_in_the_old_codec_is_heard_and_the_new_one_within_two_frames(
    media: VirtualMedia, old: int, new: int
) -> None:
    alice = Alice(media, old, timestamp=3_000_000_000)
    alice.talk(30)
    alice.agree(new)
    alice.talk(12)
    assert alice.silent_frames(10) <= 1  # what was said so far lay in another store
    alice.number = new
    alice.talk(30)
    assert alice.silent_frames(30) <= 2
    assert (alice.figure("lost"), alice.figure("late")) == (0, 0)


@pytest.mark.parametrize(("old", "new"), [(98, 111), (111, 98), (111, 0), (0, 111)])
def test_a_new_codec_after_a_pause_is_heard_at_once(media: VirtualMedia, old: int, new: int) -> None:
    alice = Alice(media, old, timestamp=3_000_000_000)
    alice.talk(30)
    alice.agree(new)
    media.beat(9)
    alice.spoken += 9
    alice.timestamp += 9 * CODECS[old].clock // 50
    alice.number = new
    alice.talk(30)
    assert alice.silent_frames(28) == 0
    assert alice.figure("late") == 0


@pytest.mark.parametrize(("old", "new"), [(0, 111), (111, 0), (98, 111)])
def test_a_stream_that_changes_its_clock_jitters_no_more_and_loses_nothing(
    media: VirtualMedia, old: int, new: int
) -> None:
    alice = Alice(media, old)
    alice.talk(30)
    alice.agree(new)
    alice.talk(10)
    alice.number = new
    alice.talk(20)
    (row,) = np.flatnonzero(media.engine._leg == 1)
    reception = media.engine._reporting.reception
    assert reception.jitter[row] < 0.001
    assert reception.expected[row] == reception.received[row] == 60
