"""What becomes of packets: any length, loss, disorder, doubles, wraps, new sources, new timelines, bursts."""

import numpy as np
import pytest

from mixer import Mixer
from mixer.conceal import FADE, LONGEST
from tests.mixer.stage import IN_TIME, Packet, Person, Stage, push

LOUD = 4860
FRAME = 160


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def pair(stage):
    return stage.member(), stage.member()


def noise(size: int, seed: int = 1) -> bytes:
    codes = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    codes[codes == 0x7F] = 0xFF  # mu-law has two zeros; only one is ever sent
    return codes.tobytes()


def streamed(
    size: int, *, phase: int, sequence: int = 5, timestamp: int = 0, beats: int = 60
) -> tuple[bytes, bytes]:
    """A stream of packets of `size` samples, the first `phase` before a beat: what was said, and heard."""
    stage = Stage()
    speaker, listener = stage.member(), stage.member()
    speaker.sequence, speaker.timestamp = sequence, timestamp
    said = noise(beats * FRAME // size * size)
    heard = b""
    sent = 0
    for beat in range(beats + 4):
        batch = []
        while sent < len(said) and sent - phase <= beat * FRAME:  # arrives when its last sample is due
            batch.append(speaker.packet(said[sent : sent + size], beat * FRAME + phase - sent))
            sent += size
        stage.push(batch)
        stage.mixer.tick()
        heard += stage.payload(listener)
    assert not stage.mixer.late[speaker.row]
    assert not stage.mixer.lost[speaker.row]
    assert stage.mixer.gaps[speaker.row] == 1  # the end
    return said, heard


def delay_of(said: bytes, heard: bytes) -> int:
    """Samples by which `heard` lags, if all of it but the fade at the start is there bit for bit."""
    return heard.index(said[FADE:]) - FADE


@pytest.mark.parametrize("size", [80, 160, 240, 320, 400, 480, 960, 88, 200, 333, 7])
@pytest.mark.parametrize("phase", [0, 30, 79, 80, 130, 159])
def test_a_clean_stream_of_any_packet_length_comes_out_bit_for_bit(size, phase):
    said, heard = streamed(size, phase=phase)
    added = delay_of(said, heard) + phase
    assert 48 <= added < 48 + 2 * FRAME


def test_the_delay_of_clean_20_ms_streams_is_what_one_beat_costs():
    delays = [delay_of(*streamed(160, phase=phase, beats=10)) + phase for phase in range(160)]
    assert min(delays) >= 48
    assert max(delays) < 48 + FRAME
    assert np.median(delays) <= 16.0 * 8


def test_the_delay_column_says_what_is_heard(stage, pair):
    speaker, _ = pair
    for phase in (10, 100):
        fresh = Stage()
        speaker = fresh.member()
        fresh.say({speaker: LOUD})
        for _ in range(3):
            fresh.push([fresh.frame(speaker, LOUD, phase)])
            fresh.mixer.tick()
        said, heard = streamed(160, phase=phase)
        started = Stage()
        person = started.member()
        started.push([person.packet(noise(160), phase)])
        assert started.mixer.delay[person.row] == delay_of(said, heard) + phase


@pytest.mark.parametrize("size", [160, 80, 240, 88])
def test_sequence_and_timestamp_wrap_unheard(size):
    said, heard = streamed(size, phase=90, sequence=65530, timestamp=2**32 - 12 * size)
    delay_of(said, heard)


def test_packets_that_change_places_in_time_come_out_in_order(stage, pair):
    speaker, listener = pair
    said = noise(FRAME * 20)
    packets = [speaker.packet(said[i * FRAME : (i + 1) * FRAME]) for i in range(20)]
    heard = b""
    for i in range(0, 20, 2):
        stage.push([packets[i + 1], packets[i]] if i else packets[:1])
        stage.mixer.tick()
        heard += stage.payload(listener)
        stage.push([] if i else packets[1:2])
        stage.mixer.tick()
        heard += stage.payload(listener)
    delay_of(said, heard)
    assert not stage.mixer.lost[speaker.row]
    assert not stage.mixer.late[speaker.row]
    assert not stage.mixer.duplicate[speaker.row]


def test_a_doubled_packet_is_heard_once_and_counted(stage, pair):
    speaker, listener = pair
    said = noise(FRAME * 10)
    heard, before = b"", []
    for i in range(10):
        packet = speaker.packet(said[i * FRAME : (i + 1) * FRAME])
        stage.push([packet, packet, *before])  # at once, and again when it is long played
        before = [packet]
        stage.mixer.tick()
        heard += stage.payload(listener)
    delay_of(said, heard)
    assert stage.mixer.duplicate[speaker.row] == 10 + 9
    assert not stage.mixer.late[speaker.row]
    assert not stage.mixer.lost[speaker.row]


def test_doubles_that_come_late_do_not_add_delay(stage, pair):
    speaker, _ = pair
    packets = [stage.frame(speaker, LOUD) for _ in range(200)]
    for i in range(200):
        stage.push([packets[i], *packets[max(i - 5, 0) : i]])
        stage.mixer.tick()
    assert stage.mixer.delay[speaker.row] == IN_TIME


def test_old_audio_never_comes_twice(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=20)
    for _ in range(LONGEST // FRAME):
        stage.mixer.tick()
    for _ in range(100):
        stage.mixer.tick()
        assert stage.hears(listener) == 0


def test_a_new_source_is_heard_within_two_frames_and_the_old_ones_late_packets_are_not(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=10)
    old = Person(speaker.handle, sequence=speaker.sequence, timestamp=speaker.timestamp, ssrc=speaker.ssrc)
    speaker.ssrc, speaker.sequence, speaker.timestamp = 99, 40000, 3_000_000_000
    stage.say({speaker: 1052}, beats=2)
    assert stage.hears(listener) == 1052
    for _ in range(5):
        stage.push([stage.frame(speaker, 1052), stage.frame(old, LOUD)])
        stage.mixer.tick()
        assert stage.hears(listener) == 1052
    assert stage.mixer.reset_count[speaker.row] == 1
    assert stage.mixer.late[speaker.row] == 5


def test_a_source_that_returns_after_a_while_is_heard_again(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=10)
    speaker.ssrc = 99
    stage.say({speaker: 1052}, beats=60)
    speaker.ssrc = 7
    stage.say({speaker: LOUD}, beats=2)
    assert stage.hears(listener) == LOUD


@pytest.mark.parametrize("jump", [100_000, 5000, -5000, -100_000, 2**31 - 1000, -(2**31) + 1000])
@pytest.mark.parametrize("sequence", [0, 20_000])
def test_a_jump_of_the_timestamp_is_heard_within_two_frames(stage, pair, jump, sequence):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=10)
    speaker.timestamp = (speaker.timestamp + jump) % 2**32
    speaker.sequence += sequence
    stage.say({speaker: 1052}, beats=2)
    assert stage.hears(listener) == 1052
    assert stage.mixer.reset_count[speaker.row] == 1
    stage.say({speaker: LOUD}, beats=10)
    assert stage.hears(listener) == LOUD
    assert stage.mixer.delay[speaker.row] == IN_TIME
    assert not stage.mixer.lost[speaker.row]


def test_a_timeline_that_starts_anew_with_older_numbers_is_not_lost_for_ever(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=1000)
    speaker.timestamp -= 10_000
    speaker.sequence -= 900
    stage.say({speaker: 1052}, beats=30)
    assert stage.hears(listener) == 1052


def test_a_jump_of_the_sequence_alone_is_not_heard(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=10)
    for jump in (30_000, -500, 4000):
        speaker.sequence = (speaker.sequence + jump) & 0xFFFF
        stage.say({speaker: LOUD})
        assert stage.hears(listener) == LOUD
    assert not stage.mixer.lost[speaker.row]


def test_what_a_stall_held_up_does_not_become_delay(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=10)
    held_up = [stage.frame(speaker, 1052) for _ in range(12)]
    for _ in range(12):
        stage.mixer.tick()
    stage.push([*held_up, stage.frame(speaker, LOUD)])
    stage.mixer.tick()
    assert stage.mixer.bus(listener.handle)[-1] == LOUD
    assert stage.mixer.delay[speaker.row] == IN_TIME
    assert stage.mixer.late[speaker.row] == 12
    assert stage.mixer.lost[speaker.row] == 0


@pytest.mark.parametrize("stall", [30, 100])
def test_a_stall_longer_than_the_ring_does_not_become_delay_for_long(stage, pair, stall):
    speaker, _ = pair
    stage.say({speaker: LOUD}, beats=10)
    held_up = [stage.frame(speaker, 1052) for _ in range(stall)]
    for _ in range(stall):
        stage.mixer.tick()
    half = stall // 2
    stage.push(held_up[:half])
    stage.mixer.tick()
    stage.push([*held_up[half:], stage.frame(speaker, LOUD), stage.frame(speaker, LOUD)])
    stage.mixer.tick()
    stage.say({speaker: LOUD}, beats=210)
    assert stage.mixer.delay[speaker.row] <= IN_TIME + FRAME


def test_who_is_late_again_and_again_is_waited_for_and_not_longer_than_needed(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=150)
    queue = [stage.frame(speaker, LOUD) for _ in range(3)]  # the way became three frames longer
    for _ in range(3):
        stage.mixer.tick()

    def beats(count: int) -> None:
        for _ in range(count):
            queue.append(stage.frame(speaker, LOUD))
            stage.push([queue.pop(0)])
            stage.mixer.tick()

    beats(5)
    assert stage.hears(listener) == LOUD
    assert stage.mixer.delay[speaker.row] == IN_TIME
    late = int(stage.mixer.late[speaker.row])
    assert late == 2  # for the third it waited already
    beats(200)
    assert stage.mixer.late[speaker.row] == late
    stage.push(queue)  # and short again: three frames come at once
    queue.clear()
    stage.mixer.tick()
    stage.say({speaker: LOUD}, beats=500)
    assert stage.mixer.delay[speaker.row] == IN_TIME
    assert stage.hears(listener) == LOUD


def test_one_late_packet_adds_no_delay(stage, pair):
    speaker, _ = pair
    for _ in range(8):
        stage.say({speaker: LOUD}, beats=200)
        packet = stage.frame(speaker, LOUD)
        stage.mixer.tick()
        stage.push([packet, stage.frame(speaker, LOUD)])
        stage.mixer.tick()
    assert stage.mixer.delay[speaker.row] == IN_TIME
    assert stage.mixer.late[speaker.row] == 8


def test_a_spurt_after_silence_is_placed_afresh(stage, pair):
    speaker, listener = pair
    stage.push([stage.frame(speaker, LOUD, 10)])
    stage.mixer.tick()
    stage.push([stage.frame(speaker, LOUD, 10)])
    stage.mixer.tick()
    assert stage.mixer.delay[speaker.row] == 10 + FRAME
    for _ in range(10):
        stage.mixer.tick()
    speaker.timestamp += 10 * FRAME
    stage.push([stage.frame(speaker, LOUD, 60)])  # now it would wait 220
    stage.mixer.tick()
    assert stage.mixer.delay[speaker.row] == 60
    assert stage.mixer.bus(listener.handle)[-1] == LOUD


def test_empty_and_endless_packets_are_dropped(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=2)
    for size in (0, 961):
        person = Person(speaker.handle, sequence=speaker.sequence, timestamp=speaker.timestamp)
        stage.push([person.packet(b"\x00" * size)])
        stage.say({speaker: LOUD})
        assert stage.hears(listener) == LOUD


def test_missed_beats_are_skipped_and_their_edges_faded(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=3)
    for skipped in (1, 3, 20):
        stage.mixer.skip(skipped)
        for lost in range(skipped):
            stage.push([stage.frame(speaker, 9852, IN_TIME + (skipped - lost) * FRAME)])
        stage.push([stage.frame(speaker, 1052)])
        stage.mixer.tick()
        bus = stage.mixer.bus(listener.handle)
        assert (bus[FADE:] == 1052).all()
        assert np.abs(np.diff(bus)).max() < LOUD / 8
        assert stage.mixer.delay[speaker.row] == IN_TIME
        stage.say({speaker: LOUD}, beats=3)
        assert stage.hears(listener) == LOUD


def test_tick_skips_first_when_told(stage, pair):
    speaker, listener = pair
    stage.say({speaker: LOUD}, beats=3)
    stage.push([stage.frame(speaker, 9852, IN_TIME + FRAME), stage.frame(speaker, 1052)])
    stage.mixer.tick(skipped=1)
    assert stage.mixer.bus(listener.handle)[-1] == 1052


def test_garbage_disturbs_nobody_else(stage, pair):
    speaker, listener = pair
    wild = stage.member(2)
    random = np.random.default_rng(11)
    said = noise(FRAME * 300)
    heard = b""
    spans = (2**32, 5000, 200)
    for beat in range(300):
        garbage = [
            Packet(
                int(random.choice([wild.row, 0, 20])),
                int(random.integers(2**16)),
                int(random.integers(spans[beat % 3])),
                int(random.integers(3)),
                int(random.integers(2)),
                int(random.integers(-50, 500)),
                noise(int(random.integers(0, 1000))),
            )
            for _ in range(int(random.integers(0, 12)))
        ]
        own = speaker.packet(said[beat * FRAME : (beat + 1) * FRAME])
        garbage.insert(int(random.integers(0, len(garbage) + 1)), own)
        stage.push(garbage)
        stage.mixer.tick(skipped=0)
        heard += stage.payload(listener)
    delay_of(said, heard)
    wild.ssrc = 55
    stage.say({wild: LOUD}, beats=60)
    assert stage.mixer.level[wild.row] == LOUD


def drifting(ppm: np.ndarray, phase: np.ndarray, ticks: int) -> tuple[Mixer, np.ndarray, np.ndarray]:
    """Legs whose clocks run so many millionths faster than the beat, from ten seconds before both wraps on.

    The mixer afterwards, the legs' rows, and the delay of each in each tick after the first minute.
    """
    legs = ppm.size
    mixer = Mixer(legs + 1)
    rows = np.array([mixer.open() & 0xFFFF for _ in range(legs)], np.intp)
    step = FRAME / (1 + ppm * 1e-6)
    arrival = phase.copy()
    sent = np.zeros(legs, np.int64)
    payload = np.zeros((legs, 160), np.uint8)
    delays = []
    for tick in range(ticks):
        beat = tick * FRAME
        while (due := np.flatnonzero(arrival <= beat)).size:
            count = due.size
            mixer.push(
                rows[due],
                (65536 - 500 + sent[due]).astype(np.uint16),
                (2**32 - 80_000 + sent[due] * FRAME).astype(np.uint32),
                np.full(count, 3, np.uint32),
                np.zeros(count, np.uint8),
                (beat - arrival[due]).astype(np.int32),
                payload[:count],
                np.zeros(count, np.int32),
                np.full(count, FRAME, np.int32),
            )
            sent[due] += 1
            arrival[due] += step[due]
        mixer.tick()
        if tick > 3000:
            delays.append(mixer.delay[rows].copy())
    return mixer, rows, np.array(delays)


def test_an_hours_drift_changes_no_delay():
    """Clocks off by 200 ppm for an hour drift by 36 frames: here by 2000 ppm in six minutes, 18,000 ticks."""
    ppm = np.linspace(-2000, 2000, 8)
    mixer, rows, delays = drifting(ppm, np.linspace(0, 159, 8), 18_000)
    assert delays.min() >= 0
    assert delays.max() < 48 + 2 * FRAME
    assert np.abs(delays[-1] - delays[0]).max() <= FRAME
    assert mixer.lost[rows].sum() == mixer.reset_count[rows].sum() == 0
    assert (mixer.gaps[rows] <= 37).all()
    assert (mixer.late[rows] <= 3 * 36).all()  # so fast a drift is seen only when it is late


def test_a_drift_of_200_ppm_costs_no_packet():
    ppm = np.repeat([-200.0, 200.0], 8)
    mixer, rows, delays = drifting(ppm, np.tile(np.linspace(0, 159, 8), 2), 6_000)
    assert delays.min() >= 0
    assert delays.max() < 48 + 2 * FRAME
    assert mixer.late[rows].sum() == mixer.lost[rows].sum() == 0
    assert not mixer.gaps[rows].any()


def test_a_sender_that_saves_up_packets_is_not_cut_in_half(stage, pair):
    speaker, listener = pair
    for _ in range(20):
        stage.mixer.tick()
        stage.push([stage.frame(speaker, LOUD), stage.frame(speaker, LOUD)])
        stage.mixer.tick()
    late = int(stage.mixer.late[speaker.row])
    for _ in range(200):
        stage.mixer.tick()
        assert stage.hears(listener) == LOUD
        stage.push([stage.frame(speaker, LOUD), stage.frame(speaker, LOUD)])
        stage.mixer.tick()
        assert stage.hears(listener) == LOUD
    assert stage.mixer.late[speaker.row] == late


def test_packets_without_an_order_are_taken_in_one_batch(stage, pair):
    """A batch may mix legs in any order; each leg's packets count in theirs."""
    first, second = pair
    random = np.random.default_rng(2)
    for _ in range(20):
        batch = [stage.frame(first, LOUD), stage.frame(second, 1052)]
        random.shuffle(batch)
        push(stage.mixer, batch)
        stage.mixer.tick()
    assert [stage.hears(first), stage.hears(second)] == [1052, LOUD]
