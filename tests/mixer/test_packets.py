"""Packets that are decoded one by one: lost, late, doubled, of odd lengths, and play-outs that move."""

from dataclasses import replace

import numpy as np
import pytest

from mixer import Mixer, formats, g722, opus
from mixer.voice import Voice
from tests.mixer.stage import DECODED, IN_TIME, Packet, push
from tests.mixer.wide import Phone

PACKED = [("OPUS", 48000), ("OPUS", 16000), ("G722", 16000), ("L16", 16000), ("L16", 8000)]


class Line:
    """Somebody who says a tone, somebody who hears it as linear samples, and the network between them."""

    def __init__(self, codec: str, rate: int) -> None:
        self.mixer = Mixer(8)
        self.speaker = Phone(self.mixer, codec, rate).join()
        self.listener = Phone(self.mixer, "L16", 16000).join()
        self.hertz = 200.0
        self.waiting: dict[int, list[Packet]] = {}
        self.beats = 0

    def beat(self, *, late: int = 0, lost: bool = False, packets: int = 1, samples: int = 0) -> None:
        """The packets of one beat come, `late` beats too late if at all."""
        for _ in range(packets):
            tone = self.speaker.tone(self.hertz)
            for part in np.split(tone, self.speaker.frame // (samples or self.speaker.frame)):
                packet = self.speaker.packet(np.ascontiguousarray(part))
                if not lost:
                    self.waiting.setdefault(self.beats + late, []).append(packet)
        arrived = self.waiting.pop(self.beats, [])
        if arrived:
            push(self.mixer, arrived)
        self.mixer.tick()
        self.listener.listen()
        self.beats += 1

    def run(self, beats: int, **how: int) -> None:
        for _ in range(beats):
            self.beat(**how)  # type: ignore[arg-type]

    def heard(self, beats: int) -> np.ndarray:
        return np.concatenate(self.listener.heard[-beats:]).astype(np.float64)

    def steepest(self, beats: int) -> float:
        """The greatest step between two samples, in those that the tone itself makes."""
        own = 6000 * 2 * np.pi * self.hertz / 16000
        return float(np.abs(np.diff(self.heard(beats))).max() / own)

    @property
    def count(self) -> dict[str, int]:
        row = self.speaker.row
        names = ("lost", "late", "gaps", "reset_count")
        return {name: int(getattr(self.mixer, name)[row]) for name in names}


@pytest.mark.parametrize(("codec", "rate"), PACKED)
def test_a_lost_packet_is_concealed_without_a_click(codec, rate):
    line = Line(codec, rate)
    line.run(20)
    line.beat(lost=True)
    line.run(5)
    assert line.steepest(8) < 1.6
    assert np.abs(line.heard(8)).reshape(-1, 160).max(axis=1).min() > 3000
    assert line.count["lost"] == 1
    assert line.count["gaps"] == 1


@pytest.mark.parametrize(("codec", "rate"), [("G722", 16000), ("L16", 16000), ("L16", 8000)])
def test_where_the_next_packet_is_here_already_the_gap_leads_into_it(codec, rate):
    """Another phase behind the gap: its first sample is already the next packet's own, or where a decoder has
    to find back first, that of 2.5 ms."""
    speaker = Phone(mixer := Mixer(8), codec, rate).join()
    listener = Phone(mixer, "L16", rate).join()
    packets = [speaker.packet(speaker.tone(200, loud=3000 if beat < 8 else -3000)) for beat in range(12)]
    for beat in range(10):  # 7 is lost, and what is behind it comes a beat before it is due
        ahead = {6: [6, 8], 7: [9]}.get(beat, [beat if beat < 6 else beat + 2])
        push(mixer, [packets[number] for number in ahead])
        mixer.tick()
        listener.listen()
    decoder = g722.Decoder()
    own = [
        decoder.decode(packet.audio) if codec == "G722" else np.frombuffer(packet.audio, ">i2")
        for number, packet in enumerate(packets)
        if number != 7
    ]
    unsure = rate // 400 if codec == "G722" else 0
    assert (listener.heard[8][unsure:] == own[7][unsure:]).all()
    assert (listener.heard[9] == own[8]).all()
    steps = np.abs(np.diff(np.concatenate(listener.heard[5:9]).astype(int)))
    assert steps.max() < 2 * 3000 * 2 * np.pi * 200 / rate
    assert [int(count[speaker.row]) for count in (mixer.gaps, mixer.late)] == [1, 0]


@pytest.mark.parametrize(("codec", "rate"), [("PCMU", 8000), ("L16", 8000), ("L16", 16000)])
def test_a_packet_that_comes_after_its_gap_was_bridged_does_not_click(codec, rate):
    """The play-out moves for it: it is heard behind what had led past it."""
    speaker = Phone(mixer := Mixer(8), codec, rate).join()
    listener = Phone(mixer, "L16", rate).join()
    packets = [speaker.packet(speaker.tone(212.5, loud=3000)) for _ in range(40)]
    for beat in range(30):
        ahead = {20: [20, 22], 21: [23], 22: [24]}.get(beat, [beat if beat < 20 else beat + 2])
        push(mixer, [packets[number] for number in ahead])
        if beat == 22:
            mixer._jitter._owe(np.array([speaker.row]), np.array([-1], np.int32))
            mixer._jitter._pay_at_once(np.array([speaker.row]))
            push(mixer, [packets[21]])
        mixer.tick()
        listener.listen()
    steps = np.abs(np.diff(np.concatenate(listener.heard[18:26]).astype(int)))
    assert steps.max() < 3 * 3000 * 2 * np.pi * 212.5 / rate


@pytest.mark.parametrize(("codec", "rate"), [("G722", 16000), ("L16", 8000), ("L16", 16000)])
@pytest.mark.parametrize("doubled", [False, True])
def test_what_led_out_of_a_gap_is_heard_whatever_comes_late(codec, rate, doubled):
    """The next packet was decoded for the gap before it; then the missing one comes and the play-out moves,
    or the next one comes once more."""
    speaker = Phone(mixer := Mixer(8), codec, rate).join()
    listener = Phone(mixer, "L16", rate).join()
    packets = [speaker.packet(speaker.tone(200, loud=3000)) for _ in range(18)]
    for beat in range(16):
        ahead = {6: [6, 8], 7: [9], 8: [8, 10] if doubled else [7, 10]}
        push(mixer, [packets[number] for number in ahead.get(beat, [beat if beat < 6 else beat + 2])])
        if beat == 8 and not doubled:
            mixer._jitter._owe(np.array([speaker.row]), np.array([-1], np.int32))
            mixer._jitter._pay_at_once(np.array([speaker.row]))
            push(mixer, [packets[7]])
        mixer.tick()
        listener.listen()
    decoder = g722.Decoder()
    own = [
        decoder.decode(packet.audio) if codec == "G722" else np.frombuffer(packet.audio, ">i2")
        for number, packet in enumerate(packets)
        if number != 7
    ]
    crossed = rate // 250
    heard = [frame[crossed:].tobytes() for frame in listener.heard[8:]]
    for number in (8, 9, 10):
        frame = own[number - 1].astype(np.int16)
        assert frame[crossed:].tobytes() in heard, f"packet {number} is not heard"


def test_another_codec_in_the_frame_of_a_move_does_not_click():
    """The play-out is to move by a frame, and looks at the next one: it is of another format and phase."""
    line = Line("G722", 16000)
    speaker, line.hertz = line.speaker, 212.5  # ends a frame where it is steep, the next where it is high
    line.run(20)
    push(line.mixer, [speaker.packet(speaker.tone(line.hertz)) for _ in range(2)])
    for beat in range(8):
        if beat == 1:
            speaker.format, speaker.codec, speaker.rate, speaker.frame = 2, "L16", 8000, 160
            speaker.spoken //= 2
            speaker.begin()
        push(line.mixer, [speaker.packet(speaker.tone(line.hertz, loud=6000 if beat < 1 else -6000))])
        if beat == 2:
            line.mixer._jitter._owe(np.array([speaker.row]), np.array([1], np.int32))
        line.mixer.tick()
        line.listener.listen()
    assert line.steepest(8) < 3


@pytest.mark.parametrize("codec", ["PCMU", "L16"])
def test_a_play_out_that_moves_right_behind_a_gap_does_not_click(codec):
    """The frame behind the gap cannot be put off for what stood in before it: they do not belong together."""
    line = Line(codec, 8000)
    line.hertz = 212.5  # the frame behind the gap begins where it is highest
    line.run(20)
    line.beat(lost=True)
    line.mixer._jitter._owe(np.array([line.speaker.row]), np.array([-1], np.int32))
    line.mixer._jitter._owing[line.speaker.row] = -1000
    for _ in range(4):
        push(line.mixer, [line.speaker.packet(line.speaker.tone(line.hertz, loud=-6000))])
        line.mixer.tick()
        line.listener.listen()
    assert line.mixer._jitter._owed[line.speaker.row] == 0
    assert line.steepest(6) < 3


@pytest.mark.parametrize(("codec", "rate"), PACKED)
def test_what_comes_too_late_is_counted_and_not_heard(codec, rate):
    line = Line(codec, rate)
    line.run(20)
    line.beat(late=3)
    line.run(10)
    assert line.count == {"lost": 0, "late": 1, "gaps": 1, "reset_count": 0}
    assert line.steepest(12) < 1.6


@pytest.mark.parametrize(("codec", "rate"), [("OPUS", 16000), ("G722", 16000), ("L16", 8000)])
def test_a_sender_who_is_always_later_moves_the_play_out_and_comes_back(codec, rate):
    line = Line(codec, rate)
    line.run(30)
    for _ in range(40):
        line.beat(late=3)
    line.run(60)
    gaps = line.count["gaps"]
    assert line.listener.level(200, 20) == pytest.approx(6000, rel=0.15)
    line.run(500)  # what comes in time again is played at once again, without a gap and without a click
    assert line.count["gaps"] == gaps
    assert int(line.mixer.delay[line.speaker.row]) < 200
    assert line.steepest(480) < 1.8


@pytest.mark.parametrize(("codec", "rate"), PACKED)
def test_packets_of_ten_milliseconds_are_taken(codec, rate):
    line = Line(codec, rate)
    line.run(40, samples=rate // 100)
    assert line.listener.level(200, 20) == pytest.approx(6000, rel=0.15)
    assert line.count == {"lost": 0, "late": 0, "gaps": 0, "reset_count": 0}


def test_opus_packets_of_sixty_milliseconds_are_taken():
    line = Line("OPUS", 48000)
    for beat in range(60):
        if beat % 3 == 0:
            said = np.concatenate([line.speaker.tone(200) for _ in range(3)])
            push(line.mixer, [line.speaker.packet(said)])
        line.mixer.tick()
        line.listener.listen()
    assert line.listener.level(200, 30) == pytest.approx(6000, rel=0.15)
    assert line.count["gaps"] == 0
    assert line.steepest(30) < 1.2


@pytest.mark.parametrize(("codec", "rate"), PACKED)
def test_another_source_and_another_timeline_are_heard_within_two_frames(codec, rate):
    line = Line(codec, rate)
    line.run(20)
    line.speaker.ssrc, line.speaker.timestamp = 99, 12345
    line.run(3)
    assert np.abs(line.heard(1)).max() > 3000
    line.speaker.timestamp = (line.speaker.timestamp + 2**31 + 77 * 960) & 0xFFFFFFFF
    line.run(3)
    assert np.abs(line.heard(1)).max() > 3000
    assert line.count["reset_count"] == 2


def said_by(decoder: g722.Decoder | opus.Decoder, packets: list[bytes]) -> np.ndarray:
    if isinstance(decoder, g722.Decoder):
        return np.concatenate([decoder.decode(packet) for packet in packets])
    said = np.zeros((len(packets), 320), np.int16)
    for packet, out in zip(packets, said, strict=True):
        held = np.frombuffer(packet, np.uint8)
        decoder.decode(held.ctypes.data, held.size, out.ctypes.data, out.size)
    return said.reshape(-1)


@pytest.mark.parametrize("codec", ["G722", "OPUS"])
def test_another_source_is_decoded_by_a_decoder_of_its_own(codec):
    line = Line(codec, 16000)
    line.run(20)
    line.speaker.begin()
    line.speaker.ssrc, line.hertz = 99, 700.0
    packets = []
    for _ in range(3):
        packets.append(line.speaker.packet(line.speaker.tone(line.hertz)))
        push(line.mixer, packets[-1:])
        line.mixer.tick()
        line.listener.listen()
    own = said_by(
        g722.Decoder() if codec == "G722" else opus.Decoder(16000), [each.audio for each in packets]
    )
    assert (line.heard(3)[64:] == own[64:]).all()


@pytest.mark.parametrize("pace", [0.9996, 1.0004])
def test_a_clock_that_drifts_is_followed_without_a_gap(pace):
    """A minute of 400 ppm: a packet more or less than there are beats."""
    line = Line("L16", 8000)
    speaker, arrival = line.speaker, 100.0
    for beat in range(1, 3_200):
        packets = []
        while arrival <= beat * 160:
            packets.append(speaker.packet(speaker.tone(200), age=int(beat * 160 - arrival)))
            arrival += 160 * pace
        if packets:
            push(line.mixer, packets)
        line.mixer.tick()
        line.listener.listen()
    assert line.count == {"lost": 0, "late": 0, "gaps": 0, "reset_count": 0}
    assert line.steepest(3_150) < 1.6


@pytest.mark.parametrize(("codec", "rate"), PACKED)
def test_a_sender_that_stops_while_silent_breaks_nothing_off_and_is_heard_at_once_again(codec, rate):
    line = Line(codec, rate)
    line.run(40)
    for _ in range(10):
        push(line.mixer, [line.speaker.packet(line.speaker.zeros())])
        line.mixer.tick()
    line.run(150, lost=True)
    line.speaker.sequence -= 150  # they were not lost: none was sent
    line.run(3)
    assert np.abs(line.heard(1)).max() > 3000
    assert line.count == {"lost": 0, "late": 0, "gaps": 0, "reset_count": 0}


def test_a_redundant_copy_says_what_was_lost():
    """With in-band FEC the frame that is missing sounds like what was said, not like what went before."""

    line = Line("OPUS", 16000)
    line.run(30)
    line.hertz = 900.0
    line.beat(lost=True)
    line.listener.heard = []
    push(line.mixer, [line.speaker.packet(line.speaker.tone(900.0))])
    line.run(2)
    assert line.listener.level(900.0, 1) > 1000


@pytest.mark.parametrize("size", [1, 2, 79, 641, 1275])
@pytest.mark.parametrize(("codec", "rate"), PACKED)
def test_garbage_is_no_more_than_noise(codec, rate, size):
    line = Line(codec, rate)
    random = np.random.default_rng(size)
    for beat in range(60):
        audio = random.integers(0, 256, size, dtype=np.uint8).tobytes()
        phone = line.speaker
        packet = Packet(phone.row, beat, beat * 160 % 2**32, 5, phone.format, IN_TIME, audio)
        push(line.mixer, [packet])
        line.mixer.tick()
    line.listener.heard = []
    phone.ssrc, phone.sequence, phone.timestamp = 6, 0, 0
    phone.begin()
    line.run(60)
    assert line.listener.level(200, 20) == pytest.approx(6000, rel=0.2)


def test_one_packet_of_another_codec_makes_no_leg_of_g711_dearer_for_good(monkeypatch):
    mixer = Mixer(4)
    talker, listener = Phone(mixer, "PCMU", 8000).join(), Phone(mixer, "PCMU", 8000).join()
    push(mixer, [replace(talker.packet(talker.zeros()), law=formats.number("L16", 8000), audio=bytes(320))])
    mixer.tick()
    for _ in range(5):
        push(mixer, [talker.packet(talker.tone(440.0))])
        mixer.tick()
    monkeypatch.delattr(Voice, "decode")
    for _ in range(5):
        packet = talker.packet(talker.tone(440.0))
        push(mixer, [packet])
        mixer.tick()
        assert (
            DECODED[0][mixer.heard[listener.row]] == DECODED[0][np.frombuffer(packet.audio, np.uint8)]
        ).all()


def test_gaps_of_several_legs_at_once_are_counted_for_each():
    lines = [Phone(mixer := Mixer(8), "OPUS", 16000).join()]
    lines += [Phone(mixer, "OPUS", 16000).join() for _ in range(3)]
    for beat in range(40):
        packets = [phone.packet(phone.tone(200)) for phone in lines]
        if beat != 30:
            push(mixer, packets)
        mixer.tick()
    assert [int(mixer.gaps[phone.row]) for phone in lines] == [1, 1, 1, 1]


def test_a_stall_of_the_host_ends_what_was_said_ahead():
    line = Line("OPUS", 48000)
    line.run(20)
    said = np.concatenate([line.speaker.tone(200) for _ in range(3)])
    push(line.mixer, [line.speaker.packet(said)])
    line.mixer.tick()
    line.mixer.skip(100)
    for _ in range(7):  # it dies away
        line.mixer.tick()
        line.listener.listen()
    assert not line.heard(1).any()


@pytest.mark.parametrize("late", ["with others", "alone"])
@pytest.mark.parametrize("jump", [200_000, -200_000, -3_000, 3_000])
@pytest.mark.parametrize(("codec", "rate"), [("PCMU", 8000), ("OPUS", 16000)])
def test_a_private_packet_that_comes_again_after_a_jump_of_time_is_not_heard(codec, rate, jump, late):
    mixer = Mixer(8)
    agent, customer = Phone(mixer, "L16", 16000).join(), Phone(mixer, "L16", 16000).join()
    coach = Phone(mixer, codec, rate).join(coaches=[agent.handle])
    for _ in range(20):
        last = coach.packet(coach.tone(700))
        push(mixer, [last])
        mixer.tick()
    mixer.coach(coach.handle, None)
    coach.timestamp = (coach.timestamp + jump) & 0xFFFFFFFF
    coach.begin()
    for beat in range(8):
        packets = [coach.packet(coach.zeros())]
        if beat == 3:
            packets = [*packets, last] if late == "with others" else [last]
        push(mixer, packets)
        mixer.tick()
        assert np.abs(mixer.bus(customer.handle)).max() < 40
