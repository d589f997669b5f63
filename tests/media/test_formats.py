"""Legs of every codec in the engine, beat by beat: payload types, clocks, packet times, keys, and changes."""

from collections.abc import Iterator

import numpy as np
import pytest

from media.messages import Digit, Format, Seat, SendDigits
from mixer import g722, opus
from tests.support.virtual_network import Address, VirtualMedia, connect, rtp

ALICE = ("198.51.100.1", 4000)
BOB = ("198.51.100.2", 4000)
OPUS = Format("OPUS", 48000, 48000, fec=True)
G722 = Format("G722", 16000, 8000)
L16 = Format("L16", 16000, 16000)
PCMU = Format("PCMU", 8000, 8000)


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


def opened(media: VirtualMedia, leg: int, remote: Address, format: Format, **changes: object) -> None:
    fields: dict[str, object] = {"format": format, "payload_type": 96, "accepts": {96: format}, **changes}
    media.open(leg, remote, **fields)
    media.commands.append(Seat(leg, 7, False, False, None, []))


def stamps(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(data[4:8], "big") for data in packets]


def tone(rate: int, frames: int) -> np.ndarray:
    at = np.arange(frames * rate // 50) / rate
    return np.rint(6000 * np.sin(2 * np.pi * 700 * at)).astype(np.int16).reshape(frames, -1)


def loud(samples: np.ndarray, rate: int) -> float:
    window = np.hanning(samples.size)
    turns = np.exp(-2j * np.pi * 700 * np.arange(samples.size) / rate)
    return float(2 * abs(np.sum(samples * window * turns)) / np.sum(window))


@pytest.mark.parametrize(
    ("format", "ticks"), [(OPUS, 960), (Format("OPUS", 16000, 48000), 960), (G722, 160), (L16, 320)]
)
def test_timestamps_go_by_the_clock_of_the_codec(media, format, ticks):
    opened(media, 1, ALICE, format)
    packets = [media.beat()[0][2] for _ in range(5)]
    assert {(b - a) & 0xFFFFFFFF for a, b in zip(stamps(packets), stamps(packets)[1:], strict=False)} == {
        ticks
    }
    assert {data[1] & 0x7F for data in packets} == {96}


@pytest.mark.parametrize(("ptime", "every", "size"), [(20, 1, 160), (40, 2, 320), (60, 3, 480), (10, 1, 80)])
def test_g722_is_sent_in_packets_of_the_time_that_is_asked_for(media, ptime, every, size):
    opened(media, 1, ALICE, G722, ptime=ptime)
    sent = [media.beat() for _ in range(12)]
    assert {len(data) - 12 for packets in sent for _, _, data in packets} == {size}
    assert sum(len(packets) for packets in sent) == 12 // every * (2 if ptime == 10 else 1)


def test_opus_and_l16_keep_to_what_can_be_sent(media):
    opened(media, 1, ALICE, OPUS, ptime=60)
    opened(media, 2, BOB, L16, ptime=60)
    sent = [len([1 for _, to, _ in media.beat() if to == ALICE]) for _ in range(6)]
    assert sent == [1] * 6
    assert {len(data) for _ in range(6) for _, to, data in media.beat() if to == BOB} == {12 + 1280}


@pytest.mark.parametrize("codec", ["OPUS", "G722"])
def test_a_phone_of_another_codec_is_heard(media, codec):
    format = OPUS if codec == "OPUS" else G722
    opened(media, 1, ALICE, format)
    opened(media, 2, BOB, L16)
    encoder = (
        opus.Encoder(48000, bitrate=40_000, complexity=0, fec=True, loss=10, dtx=False)
        if codec == "OPUS"
        else g722.Encoder()
    )
    out, heard = np.zeros(1500, np.uint8), []
    for number, frame in enumerate(tone(format.rate, 60)):
        if isinstance(encoder, opus.Encoder):
            size = encoder.encode(frame.ctypes.data, frame.size, out.ctypes.data, out.size)
            payload = out[:size].tobytes()
        else:
            payload = encoder.encode(frame)
        stamp = number * 20 * format.clock // 1000
        media.say(ALICE, rtp(number, payload=payload, payload_type=96, timestamp=stamp))
        heard += [np.frombuffer(data[12:], ">i2") for _, to, data in media.beat() if to == BOB]
    assert loud(np.concatenate(heard[-20:]).astype(float), 16000) == pytest.approx(6000, rel=0.1)


def test_a_leg_whose_clock_changes_goes_on_as_another_stream(media):
    opened(media, 1, ALICE, PCMU, payload_type=0)
    ((_, _, before),) = media.beat()
    media.commands.append(
        connect(1, ALICE, renew=True, format=OPUS, payload_type=96, accepts={96: OPUS, 0: PCMU})
    )
    ((_, _, after),) = media.beat() or media.beat()
    assert after[8:12] != before[8:12]  # the SSRC
    assert after[1] == 0x80 | 96


def test_keys_are_told_on_the_clock_of_their_payload_type_both_ways(media):
    opened(media, 1, ALICE, OPUS, dtmf=101, dtmf_clock=48000)
    media.beat()
    media.commands.append(SendDigits(5, 1, "7", 100.0, 50.0))
    events = [data for _ in range(12) for _, _, data in media.beat() if data[1] & 0x7F == 101]
    durations = [int.from_bytes(data[14:16], "big") for data in events]
    assert durations[0] == 960
    assert max(durations) == 4800
    for number, (end, duration) in enumerate([(0, 960), (0, 1920), (0x80, 4800)]):
        payload = bytes([5, end | 10]) + duration.to_bytes(2, "big")
        media.say(ALICE, rtp(number, payload=payload, payload_type=101, timestamp=96_000))
        media.beat()
    assert [(told.digit, told.duration) for told in media.told(Digit)] == [("5", 100)]


def test_an_encoder_that_has_nothing_to_say_leaves_packets_out(media):
    opened(media, 1, ALICE, Format("OPUS", 16000, 48000, dtx=True))
    sent = [media.beat() for _ in range(150)]
    counts = [len(packets) for packets in sent]
    assert sum(counts[100:]) < 10
    packets = [data for packets in sent[100:] for _, _, data in packets]
    assert packets  # a sign of life now and then
    assert all(data[1] & 0x80 for data in packets)  # marked: it begins anew


@pytest.mark.parametrize("broken", [bytes([0x09]) + bytes(11), bytes([0x0B, 0x41, 0xFF, 0xFF]), b"\x0a\xff"])
def test_a_broken_opus_packet_behind_a_lost_one_is_no_more_than_a_gap(media, broken):
    opened(media, 1, ALICE, OPUS)
    for number in range(4):
        packet = rtp(number, payload=bytes([0x08]) + bytes(40), payload_type=96, timestamp=number * 960)
        media.say(ALICE, packet)
        if number < 3:
            media.beat()
    media.say(ALICE, rtp(5, payload=broken, payload_type=96, timestamp=5 * 960))
    assert media.beat(8)


def test_an_event_whose_header_fills_the_whole_slot_is_passed_over(media):
    media.open(1, ALICE)
    media.say(ALICE, rtp(0))
    media.beat()
    packet = bytearray(rtp(1, payload_type=101, payload=b""))
    packet[0] |= 0x10
    packet += b"\xbe\xde" + (508).to_bytes(2, "big") + bytes(508 * 4)
    media.say(ALICE, bytes(packet))
    assert media.beat()


def test_a_bitrate_that_no_speech_fits_into_is_no_silence(media):
    opened(media, 1, ALICE, Format("OPUS", 48000, 48000, bitrate=500))
    assert len([data for _ in range(20) for _, _, data in media.beat()]) == 20


def test_a_packet_holds_frames_of_one_codec_alone(media):
    opened(media, 1, ALICE, PCMU, payload_type=0, ptime=40)
    media.beat(3)
    pcma = Format("PCMA", 8000, 8000)
    media.commands.append(connect(1, ALICE, renew=True, format=pcma, payload_type=8, ptime=40))
    packets = [data for _ in range(4) for _, _, data in media.beat()]
    assert packets and all(data[12:] == b"\xd5" * 320 for data in packets)
