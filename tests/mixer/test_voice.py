"""A row's decoder behind a gap: told what it missed, by repetition where there is one."""

import numpy as np
import pytest

from mixer import opus
from mixer.formats import number
from mixer.voice import Voice

RATE, FRAME = 16000, 320
LOST = 15


def sent(frames: int = 1, *, fec: bool = True) -> list[np.ndarray]:
    """Packets of a tone that changes in the one that will be lost."""
    encoder = opus.Encoder(RATE, bitrate=32000, complexity=5, fec=fec, loss=20, dtx=False)
    size = frames * FRAME
    hertz = np.repeat([300.0] * LOST + [900.0] + [500.0] * 4, size)
    said = np.rint(6000 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE)).astype(np.int16)
    packets = []
    for begin in range(0, said.size, size):
        room = np.zeros(opus.LARGEST, np.uint8)
        part = said[begin : begin + size]
        packets.append(room[: encoder.encode(part.ctypes.data, size, room.ctypes.data, room.size)])
    return packets


def before_the_loss(packets: list[np.ndarray]) -> Voice:
    voice = Voice(number("OPUS", RATE), RATE)
    for packet in packets[:LOST]:
        voice.decode(packet)
        voice.ready = 0
    voice.missing = 0
    return voice


def reference(packets: list[np.ndarray], size: int) -> opus.Decoder:
    decoder = opus.Decoder(RATE)
    for packet in packets[:LOST]:
        decode(decoder, packet, size)
    return decoder


def decode(decoder: opus.Decoder, packet: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros(size, np.int16)
    decoder.decode(packet.ctypes.data, packet.size, out.ctypes.data, size)
    return out


def recover(decoder: opus.Decoder, packet: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros(size, np.int16)
    decoder.recover(packet.ctypes.data, packet.size, out.ctypes.data, size)
    return out


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_lost_packet_is_said_by_the_next_however_long_it_was(frames):
    packets, size = sent(frames), frames * FRAME
    voice, expected = before_the_loss(packets), reference(packets, size)
    assert voice.recover(packets[LOST + 1], size)
    assert (voice.take(size) == recover(expected, packets[LOST + 1], size)).all()
    voice.decode(packets[LOST + 1])
    assert (voice.take(size) == decode(expected, packets[LOST + 1], size)).all()


def test_of_a_packet_that_is_lacking_in_part_already_the_rest_is_said():
    packets, size = sent(3), 3 * FRAME
    voice, expected = before_the_loss(packets), reference(packets, size)
    assert not voice.lack(FRAME)
    voice.drop(FRAME)
    assert voice.recover(packets[LOST + 1], 2 * FRAME)
    assert (voice.take(2 * FRAME) == recover(expected, packets[LOST + 1], size)[FRAME:]).all()


def test_a_decoder_is_told_by_the_next_packet_what_is_over():
    packets = sent()
    voice, expected = before_the_loss(packets), reference(packets, FRAME)
    assert not voice.lack(FRAME)
    assert not voice.take(FRAME).any()
    voice.decode(packets[LOST + 1])
    recover(expected, packets[LOST + 1], FRAME)
    assert (voice.take(FRAME) == decode(expected, packets[LOST + 1], FRAME)).all()


def test_a_decoder_missed_nothing_of_what_comes_late_and_is_waited_for():
    packets = sent()
    voice, expected = before_the_loss(packets), reference(packets, FRAME)
    voice.lack(FRAME)
    voice.drop(FRAME)
    voice.wait(1)
    voice.decode(packets[LOST])
    assert (voice.take(FRAME) == decode(expected, packets[LOST], FRAME)).all()


def test_what_was_said_by_repetition_is_not_said_again_where_the_play_out_moves_back_to_it():
    packets = sent()
    voice, expected = before_the_loss(packets), reference(packets, FRAME)
    voice.recover(packets[LOST + 1], FRAME)
    voice.drop(FRAME)
    recover(expected, packets[LOST + 1], FRAME)
    voice.wait(1)
    assert not voice.recover(packets[LOST + 1], FRAME)  # as long as it has not come
    voice.decode(packets[LOST])
    assert voice.ready == 0
    voice.lack(FRAME)
    voice.drop(FRAME)
    voice.decode(packets[LOST + 1])
    assert (voice.take(FRAME) == decode(expected, packets[LOST + 1], FRAME)).all()


def test_of_what_was_said_nothing_is_missed_where_the_play_out_moves_back_to_it():
    packets = sent(fec=False)
    voice, expected = before_the_loss(packets), reference(packets, FRAME)
    voice.wait(2)
    for _ in range(2):
        voice.lack(FRAME)
        voice.drop(FRAME)
    voice.decode(packets[LOST])
    assert (voice.take(FRAME) == decode(expected, packets[LOST], FRAME)).all()


@pytest.mark.parametrize("missed", [3, 10, 40])
def test_what_was_missed_is_said_when_it_is_waited_for_however_long_it_was(missed):
    packets = sent()
    voice = before_the_loss(packets)
    for _ in range(missed):
        voice.missing += 1
        voice.lack(FRAME)
        voice.drop(FRAME)
    voice.wait(missed)
    voice.decode(packets[LOST])
    assert voice.ready == FRAME


def test_what_came_during_a_stall_is_said_when_it_is_waited_for():
    packets = sent()
    voice = before_the_loss(packets)
    voice.skip(3)
    voice.wait(8)
    voice.decode(packets[LOST])
    assert voice.ready == FRAME


def test_another_timeline_is_heard_from_its_first_packet_on():
    packets = sent()
    voice = before_the_loss(packets)
    voice.wait(3)
    voice.wipe()
    voice.decode(packets[LOST])
    assert voice.ready == FRAME


def test_no_decoder_is_told_anything_in_the_beat_behind_a_stall():
    packets = sent()
    voice, expected = before_the_loss(packets), reference(packets, FRAME)
    voice.lack(FRAME)
    voice.skip(3)
    voice.decode(packets[LOST + 1])
    assert (voice.take(FRAME) == decode(expected, packets[LOST + 1], FRAME)).all()


def test_nothing_is_said_by_a_packet_that_repeats_nothing():
    packets = sent(fec=False)
    voice = before_the_loss(packets)
    assert not voice.recover(packets[LOST + 1], FRAME)
    assert voice.ready == 0


@pytest.mark.parametrize("frames", [2, 4, 40])
def test_a_decoder_is_told_of_a_few_frames_at_most(frames):
    packets = sent()
    voice, expected = before_the_loss(packets), reference(packets, FRAME)
    for _ in range(frames):
        voice.lack(FRAME)
        voice.drop(FRAME)
    voice.decode(packets[LOST + 1])
    recover(expected, packets[LOST + 1], min(frames, 3) * FRAME)
    assert (voice.take(FRAME) == decode(expected, packets[LOST + 1], FRAME)).all()


def test_broken_packets_repeat_nothing():
    decoder = opus.Decoder(RATE)
    random = np.random.default_rng(5)
    for size in (1, 2, 3, 7, 200, 1275):
        for _ in range(200):
            packet = random.integers(0, 256, size, dtype=np.uint8)
            repeated = decoder.repeated(packet.ctypes.data, size)
            assert repeated in (0, 160, 320, 640, 960)
            assert packet[0] < 0x80 or not repeated
