"""Reception as RFC 3550 counts it, in columns, beside the RFC's own recursion packet by packet."""

import numpy as np
import pytest

from rtp.reception import Reception

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


class OneByOne:
    """A.1, A.3 and A.8 as the RFC writes them, for one stream that is in order of numbering."""

    def __init__(self, clock: int) -> None:
        self.clock = clock
        self.transit: float | None = None
        self.jitter = 0.0

    def receive(self, timestamp: int, arrival: int) -> None:
        transit = (arrival - START) / SECOND * self.clock - timestamp
        if self.transit is not None:
            self.jitter += (abs(transit - self.transit) - self.jitter) / 16.0
        self.transit = transit


class Stream:
    """A far end: its packets, with a number and time of its own."""

    def __init__(self, row: int, clock: int = 8000, *, ssrc: int = 7, sequence: int = 65_500) -> None:
        self.row, self.clock, self.ssrc, self.sequence = row, clock, ssrc, sequence
        self.timestamp = 0xFFFF_F000

    def packet(self, number: int, arrival: int) -> tuple[int, int, int, int, int]:
        timestamp = self.timestamp + number * self.clock // 50
        return (self.row, self.ssrc, (self.sequence + number) % 65536, timestamp % 2**32, arrival)


def take(
    reception: Reception, packets: list[tuple[int, int, int, int, int]], audio: list[bool] | None = None
) -> None:
    rows, ssrc, sequence, timestamp, arrival = (list(column) for column in zip(*packets, strict=True))
    reception.take(
        np.array(rows, np.intp),
        np.array(ssrc, np.uint32),
        np.array(sequence, np.uint16),
        np.array(timestamp, np.uint32),
        np.array(arrival, np.int64),
        np.array([True] * len(rows) if audio is None else audio),
    )


def report(reception: Reception, row: int = 1) -> tuple[int, int, int, bool]:
    told = reception.report(np.array([row]))
    return int(told.fraction[0]), int(told.lost[0]), int(told.highest[0]), bool(told.heard[0])


def test_jitter_in_columns_is_the_recursion_of_the_rfc_at_each_clock_in_bursts_and_across_wraps() -> None:
    reception = Reception(5)
    random = np.random.default_rng(1)
    streams = [Stream(1), Stream(2, 16000, ssrc=8), Stream(3, 48000, ssrc=9), Stream(4, ssrc=10)]
    peers = [OneByOne(stream.clock) for stream in streams]
    for stream in streams:
        reception.set_clock(stream.row, stream.clock)
    waiting: list[tuple[int, int, tuple[int, int, int, int, int]]] = []
    for number in range(400):
        for index, stream in enumerate(streams):
            late = int(random.exponential(0.015) * SECOND)
            arrival = START + number * SECOND // 50 + late
            waiting.append((arrival, index, stream.packet(number, arrival)))
    waiting.sort()
    for beat in range(0, 430):
        now = START + beat * 5 * SECOND // 50 // 5
        due = [entry for entry in waiting if entry[0] <= now]
        waiting = waiting[len(due) :]
        if due:
            take(reception, [packet for _, _, packet in due])
        for arrival, index, packet in due:
            unwrapped = (packet[3] - streams[index].timestamp) % 2**32
            peers[index].receive(unwrapped, arrival)
    told = [peer.jitter / peer.clock for peer in peers]
    assert reception.jitter[1:] == pytest.approx(told, rel=1e-6)
    assert 0.008 < reception.jitter[1] < 0.025


def test_loss_is_told_since_the_last_report_and_since_the_beginning() -> None:
    reception, stream = Reception(2), Stream(1)
    take(reception, [stream.packet(number, START) for number in range(100) if number % 4 != 1])
    assert report(reception) == (64, 25, 65_500 + 99, True)
    take(reception, [stream.packet(number, START) for number in range(100, 150)])
    assert report(reception) == (0, 25, 65_500 + 149, True)
    assert report(reception) == (0, 25, 65_500 + 149, False)


def test_what_comes_out_of_order_is_not_lost_and_what_comes_twice_may_make_it_negative() -> None:
    reception, stream = Reception(2), Stream(1)
    take(reception, [stream.packet(number, START) for number in (0, 2, 1, 3, 3, 4)])
    assert report(reception)[:2] == (0, -1)


def test_lost_fits_its_twenty_four_bits() -> None:
    reception, stream = Reception(2), Stream(1)
    take(reception, [stream.packet(0, START)])
    reception._base[1] -= 1 << 30
    assert report(reception)[1] == (1 << 23) - 1


def test_keys_and_comfort_noise_are_counted_and_tell_no_time() -> None:
    reception, stream = Reception(2), Stream(1)
    for number in range(0, 100, 2):
        at = START + number * SECOND // 50
        key = list(stream.packet(number + 1, at + SECOND // 50))
        key[3] = (key[3] - 700) % 2**32  # when the key was pressed
        take(reception, [stream.packet(number, at), tuple(key)], [True, False])  # type: ignore[list-item]
    assert report(reception)[:2] == (0, 0)
    assert reception.jitter[1] == pytest.approx(0, abs=1e-9)
    take(reception, [stream.packet(100, START + 2 * SECOND)], [False])


def test_a_new_source_counts_from_its_first_packet() -> None:
    reception, old, new = Reception(2), Stream(1), Stream(1, ssrc=99, sequence=5)
    take(reception, [old.packet(0, START), old.packet(9, START)])
    take(reception, [old.packet(10, START), new.packet(0, START), new.packet(1, START)])
    told = reception.report(np.array([1]))
    assert (int(told.ssrc[0]), int(told.lost[0]), int(told.highest[0])) == (99, 0, 6)


def test_another_numbering_is_no_loss() -> None:
    reception, stream = Reception(2), Stream(1, sequence=100)
    take(reception, [stream.packet(0, START)])
    take(reception, [stream.packet(20_000, START + 400 * SECOND)])
    assert report(reception)[:2] == (0, 0)


def test_a_leap_of_the_timeline_is_no_jitter() -> None:
    reception, stream = Reception(2), Stream(1)
    for number in range(10):
        take(reception, [stream.packet(number, START + number * SECOND // 50)])
    stream.timestamp += 1_000_000
    take(reception, [stream.packet(10, START + 10 * SECOND // 50)])
    assert reception.jitter[1] == pytest.approx(0.0, abs=1e-9)


def test_thirty_days_of_stream_leave_jitter_as_it_was() -> None:
    reception, stream = Reception(2), Stream(1, 48000)
    reception.set_clock(1, 48000)
    step = 30_000  # packets between two that are looked at: 10 minutes
    for number in range(0, 30 * 24 * 180_000, step * 20):
        for part in range(3):
            take(reception, [stream.packet(number + part, START + (number + part) * SECOND // 50)])
    assert reception.jitter[1] < 1e-6


def test_a_row_that_is_handed_out_again_knows_nothing() -> None:
    reception, stream = Reception(2), Stream(1)
    take(reception, [stream.packet(number, START + number) for number in (0, 3)])
    reception.open(1)
    assert reception.expected[1] == reception.received[1] == reception.breaks[1] == 0
    assert reception.jitter[1] == 0 and not report(reception)[3]


def test_breaks_count_the_gaps_and_not_what_they_swallowed() -> None:
    reception, stream = Reception(2), Stream(1)
    take(reception, [stream.packet(number, START) for number in (0, 1, 5, 6, 8)])
    take(reception, [stream.packet(number, START) for number in (12, 13)])
    assert reception.breaks[1] == 3


@pytest.mark.parametrize("ppm", [-200, -30, 0, 200])
@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_drift_is_found_to_a_few_millionths_under_jitter(ppm: int, jitter: float) -> None:
    reception, stream = Reception(2), Stream(1)
    random = np.random.default_rng(2)
    period = 0.02 / (1 + ppm * 1e-6)
    seconds = 150
    for beat in range(0, seconds * 50, 10):
        at = (np.arange(beat, beat + 10) * period + random.exponential(jitter, 10)) * SECOND
        take(reception, [stream.packet(beat + i, START + int(at[i])) for i in range(10)])
        reception.drift.advance(beat * 0.02)
        if beat == 28 * 50:
            assert np.isnan(reception.drift.ppm[1])
    assert reception.drift.ppm[1] == pytest.approx(ppm, abs=1 if jitter == 0 else 12)


def test_one_change_of_route_does_not_pass_for_drift() -> None:
    reception, stream = Reception(2), Stream(1)
    for beat in range(0, 200 * 50, 10):
        way = 0.04 if beat > 130 * 50 else 0.01
        take(reception, [stream.packet(beat, START + int((beat * 0.02 + way) * SECOND))])
        reception.drift.advance(beat * 0.02)
        if beat > 120 * 50:
            assert reception.drift.ppm[1] == pytest.approx(0, abs=1)
