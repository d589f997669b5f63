"""What changes on the way or within a call, in virtual time: a burst, packets before the answer, other packet
times, pauses of an encoder. Speech is there again within two frames, and nothing clicks."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from media.messages import Digit, Format, Open, Seat
from mixer import opus
from tests.support import g711
from tests.support.virtual_network import PCMA, PCMU, VirtualMedia, connect, rtp

ALICE, BOB = ("198.51.100.1", 4000), ("198.51.100.2", 4000)
OPUS = Format("OPUS", 16000, 48000, fec=True)
L16 = Format("L16", 16000, 16000)
ACCEPTS = {0: PCMU, 8: PCMA, 111: OPUS}
HERTZ, LOUD = 330.0, 6000.0
STEEPEST = LOUD * 2 * np.pi * HERTZ / 16000
"""Between two samples of the tone at 16 kHz."""


class Line:
    """Alice, of whom no SDP is known yet, says a tone in mu-law or Opus; Bob hears L16 at 16 kHz."""

    def __init__(self, media: VirtualMedia, *, opus: bool = False, dtx: bool = False) -> None:
        self.media, self.opus = media, opus
        self.spoken = self.sequence = self.timestamp = 0
        self.encoder = _encoder(dtx)
        self.due = 0
        self.heard: list[NDArray[np.int16]] = []
        media.open(2, BOB, format=L16, payload_type=96, accepts={96: L16})
        media.commands += [Open(1, 0), Seat(2, 7, False, False, None, [])]

    def answer(self) -> "Line":
        self.media.commands += [connect(1, ALICE, accepts=ACCEPTS), Seat(1, 7, False, False, None, [])]
        return self

    def packet(self, milliseconds: int = 20, loud: float = LOUD) -> bytes:
        """The next one."""
        rate = 16000 if self.opus else 8000
        turns = 2 * np.pi * HERTZ * (self.spoken / 1000 + np.arange(milliseconds * rate // 1000) / rate)
        sound = np.rint(loud * np.sin(turns)).astype(np.int16)
        if self.opus:
            out = np.zeros(1500, np.uint8)
            size = self.encoder.encode(sound.ctypes.data, sound.size, out.ctypes.data, out.size)
            payload, kind = out[:size].tobytes(), 111
        else:
            payload, kind = g711.encode("PCMU", sound), 0
        made = rtp(self.sequence, payload=payload, payload_type=kind, timestamp=self.timestamp)
        self.spoken += milliseconds
        self.sequence += 1
        self.timestamp += milliseconds * (48 if self.opus else 8)
        return made

    def beat(self, *packets: bytes) -> None:
        for packet in packets:
            self.media.say(ALICE, packet)
        sent = [data[12:] for _, to, data in self.media.beat() if to == BOB]
        self.heard += [np.frombuffer(data, ">i2").astype(np.int16) for data in sent]

    def talk(self, milliseconds: int, packet: int = 20) -> None:
        """So long, in packets of so many ms, each sent when its last sample was said."""
        for _ in range(milliseconds // 20):
            self.due += 20
            packets = []
            while self.due >= packet:
                packets.append(self.packet(packet))
                self.due -= packet
            self.beat(*packets)

    def last(self, beats: int) -> NDArray[np.float64]:
        return np.concatenate(self.heard[-beats:]).astype(float)

    def clicks(self, beats: int) -> bool:
        """Whether a step is twice as steep as any of the tone's own."""
        return bool(np.abs(np.diff(self.last(beats))).max() > 2 * STEEPEST)

    def speaks(self, beats: int = 1) -> bool:
        """Whether the tone is as loud as it was said, in each of the last beats."""
        peaks = np.abs(self.last(beats)).reshape(beats, -1).max(axis=1)
        return bool((np.abs(peaks / LOUD - 1) < 0.15).all())

    def figure(self, name: str) -> int:
        (row,) = np.flatnonzero(self.media.engine._leg == 1)
        return int(getattr(self.media.engine._mixer, name)[row])


def _encoder(dtx: bool) -> opus.Encoder:
    return opus.Encoder(16000, bitrate=32_000, complexity=5, fec=True, loss=10, dtx=dtx)


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


@pytest.mark.parametrize("opus", [False, True])
def test_two_hundred_milliseconds_that_come_at_once_become_no_delay_and_no_click(
    media: VirtualMedia, opus: bool
) -> None:
    line = Line(media, opus=opus).answer()
    line.talk(1000)
    before = line.figure("delay")
    held = [line.packet() for _ in range(10)]
    for _ in range(10):
        line.beat()
    line.beat(*held, line.packet())
    line.talk(20)
    assert np.abs(line.last(1)).max() > LOUD / 2
    line.talk(1000)
    assert line.speaks(40) and not line.clicks(70)
    assert line.figure("lost") == 0 and line.figure("late") <= 10
    line.talk(10_000)
    assert line.figure("delay") <= before + 160


@pytest.mark.parametrize("opus", [False, True])
def test_who_spoke_before_the_answer_is_heard_within_two_frames_of_it(
    media: VirtualMedia, opus: bool
) -> None:
    line = Line(media, opus=opus)
    line.talk(400)
    assert not line.last(20).any() and line.figure("received") == 0
    line.answer()
    line.talk(40)
    assert np.abs(line.last(1)).max() > LOUD / 4  # a decoder of Opus begins softly
    line.talk(400)
    assert line.speaks(20) and not line.clicks(24)
    assert (line.figure("lost"), line.figure("late"), line.figure("gaps")) == (0, 0, 0)


def test_packets_of_other_lengths_within_a_call_are_heard_without_a_click(media: VirtualMedia) -> None:
    line = Line(media).answer()
    line.talk(600)
    for packet in (10, 30, 60, 20, 40, 20):
        line.talk(600, packet)
        assert not line.clicks(30), packet
        assert line.speaks(20), packet
    # Only the first packets that are longer than those before come later than they were waited for.
    assert line.figure("lost") == 0 and line.figure("late") <= 4


def test_an_encoder_that_pauses_in_silence_is_no_loss_and_its_next_word_is_whole(media: VirtualMedia) -> None:
    """Opus with DTX: packets of a byte or two need not be sent, and then have no number."""
    line = Line(media, opus=True, dtx=True).answer()
    for _ in range(3):
        line.talk(1000)
        left_out = 0
        for _ in range(100):
            packet = line.packet(loud=0.0)
            if len(packet) <= 12 + 2:
                left_out += 1
                line.sequence -= 1
                line.beat()
            else:
                line.beat(packet)
        assert left_out > 50 and np.abs(line.last(60)).max() < 50
        line.talk(40)
        assert np.abs(line.last(1)).max() > LOUD / 3
    assert (line.figure("lost"), line.figure("late"), line.figure("gaps")) == (0, 0, 0)


def test_a_key_pressed_right_after_the_answer_is_told_though_nobody_has_asked_yet(
    media: VirtualMedia,
) -> None:
    media.commands += [Open(1, 0), connect(1, ALICE)]
    for number, (end, duration) in enumerate([(0, 160), (0, 320), (0x80, 800), (0x80, 800)]):
        payload = bytes([5, end | 10]) + duration.to_bytes(2, "big")
        media.say(ALICE, rtp(number, payload=payload, payload_type=101, timestamp=160))
        media.beat()
    assert media.told(Digit) == [Digit(1, "5", 100)]
