"""Reports that leave: when, to whom, and what they say; and what is made of those that come."""

import struct

import numpy as np
import pytest

from rtp.reception import Reception, ReceptionReport
from rtp.reports import BATCH, Reports, Sending
from rtp.rtcp import Block, Compound, ntp_middle, parse_compound

WALL = 1_700_000_000_250_000_000
SECOND = 1_000_000_000
OURS, THEIRS = 0x0A0B0C0D, 0x01020304


def sending(packets: int, rows: int = 1) -> Sending:
    column = np.ones(rows, np.int64)
    return Sending(
        (OURS * column).astype(np.uint32),
        (123_456 * column).astype(np.uint32),
        packets * column,
        160 * packets * column,
    )


def received(*, heard: bool = True, rows: int = 1) -> ReceptionReport:
    column = np.ones(rows, np.int64)
    return ReceptionReport(
        ssrc=(THEIRS * column).astype(np.uint32),
        fraction=(64 * column).astype(np.uint8),
        lost=-3 * column,
        highest=(70_000 * column).astype(np.uint32),
        jitter=(88 * column).astype(np.uint32),
        heard=heard & (column == 1),
    )


@pytest.fixture
def reports() -> Reports:
    reports = Reports(4, seed=1)
    reports.open(1)
    reports.connect(1, 0xC0000201, 4001, 0, 8000, 0)
    return reports


def written(
    reports: Reports, packets: int = 50, *, wall: int = WALL, heard: bool = True, bye: bool = False
) -> bytes:
    data, length = reports.write(np.array([1]), wall, sending(packets), received(heard=heard), bye=bye)
    return data[0, : int(length[0])].tobytes()


def items(data: bytes) -> list[tuple[int, bytes]]:
    """(packet type, packet) of a compound."""
    found = []
    while data:
        size = 4 + 4 * int.from_bytes(data[2:4], "big")
        found.append((data[1], data[:size]))
        data = data[size:]
    return found


def test_who_sends_writes_a_sender_report_with_both_clocks_and_its_counts(reports: Reports) -> None:
    (kind, report), (named, name) = items(written(reports))
    assert (kind, named) == (200, 202)
    ssrc, seconds, fraction, timestamp, packets, octets = struct.unpack_from(">6I", report, 4)
    assert (ssrc, timestamp, packets, octets) == (OURS, 123_456, 50, 8000)
    assert seconds == 1_700_000_000 + 2_208_988_800 and fraction == 1 << 30
    assert name[:10] == struct.pack(">BBHIBB", 0x81, 202, 6, OURS, 1, 16)


def test_its_block_says_what_was_received(reports: Reports) -> None:
    said = parse_compound(written(reports))
    assert said is not None and said.sender == OURS
    assert said.blocks == (Block(THEIRS, 64, -3, 70_000, 88, 0, 0),)


def test_who_heard_nothing_since_says_nothing_of_it(reports: Reports) -> None:
    said = parse_compound(written(reports, heard=False))
    assert said is not None and said.blocks == ()


def test_who_has_sent_nothing_for_two_reports_writes_receiver_reports(reports: Reports) -> None:
    kinds = [items(written(reports, packets))[0][0] for packets in (0, 5, 5, 5, 9)]
    assert kinds == [201, 200, 200, 201, 200]
    for heard in (True, False):
        said = parse_compound(written(reports, 9, heard=heard))
        assert said is not None and len(said.blocks) == heard


def test_a_goodbye_ends_a_compound(reports: Reports) -> None:
    for packets in (0, 50):
        said = parse_compound(written(reports, packets, bye=True))
        assert said is not None and said.leaving == (OURS,)


def test_names_are_each_calls_own_and_tell_nothing(reports: Reports) -> None:
    names = set()
    for _ in range(20):
        reports.open(1)
        names.add(written(reports)[-20:-2])
    assert len(names) == 20 and all(name[:2] == b"\x01\x10" for name in names)


def test_a_column_of_reports_is_each_ones_own(reports: Reports) -> None:
    """Sender and receiver reports, with a block and without, written at once as alone."""
    both = Sending(
        np.array([1, 2, 3], np.uint32),
        np.array([10, 20, 30], np.uint32),
        np.array([0, 7, 9]),
        np.array([0, 70, 90]),
    )
    heard = received(rows=3)
    heard.heard[:] = [True, True, False]
    reports.open(2)
    reports.open(3)
    data, length = reports.write(np.array([1, 2, 3]), WALL, both, heard)
    said = [parse_compound(data[i, : int(length[i])].tobytes()) for i in range(3)]
    assert [each and (each.sender, each.ntp is not None, len(each.blocks)) for each in said] == [
        (1, False, 1),
        (2, True, 1),
        (3, True, 0),
    ]


def test_a_sender_report_heard_is_acknowledged_with_its_delay(reports: Reports) -> None:
    reports.hear(1, Compound(THEIRS, 0xABCD1234, (), ()), OURS, WALL - 2 * SECOND)
    said = parse_compound(written(reports))
    assert said is not None and (said.blocks[0].last, said.blocks[0].delay) == (0xABCD1234, 2 * 65536)
    reports.hear(1, Compound(THEIRS + 1, 0x99999999, (), ()), OURS, WALL)  # of another stream
    said = parse_compound(written(reports))
    assert said is not None and (said.blocks[0].last, said.blocks[0].delay) == (0, 0)


def answered(reports: Reports, *, last: int, delay: float, arrival: int, ssrc: int = OURS) -> None:
    block = Block(ssrc, 32, 12, 0, 160, last, round(delay * 65536))
    reports.hear(1, Compound(THEIRS, None, (block,), ()), OURS, arrival)


def test_the_round_trip_is_what_is_left_of_the_time_since_our_report(reports: Reports) -> None:
    written(reports)
    answered(reports, last=ntp_middle(WALL), delay=1.5, arrival=WALL + 1_580_000_000)
    assert reports.round_trip[1] == pytest.approx(0.08, abs=1e-4)
    assert (reports.far_loss[1], reports.far_lost[1], reports.far_jitter[1]) == (0.125, 12, 0.02)


def test_the_round_trip_is_found_across_the_wrap_of_its_clock(reports: Reports) -> None:
    wall = (65_536 * 26_000 - 2_208_988_800 % 65_536) * SECOND - SECOND // 2
    written(reports, wall=wall)
    assert ntp_middle(wall) > 0xFFFF0000
    answered(reports, last=ntp_middle(wall), delay=0.9, arrival=wall + SECOND)
    assert reports.round_trip[1] == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize(
    ("last", "delay", "waited"),
    [
        (0, 0.0, 1.0),  # has heard no report of ours
        (12345, 0.0, 1.0),  # a report that we never sent
        (ntp_middle(WALL), 5.0, 1.0),  # held it for longer than there was time
        (ntp_middle(WALL), 0.0, 100.0),
    ],
)
def test_a_round_trip_that_cannot_be_is_not_believed(
    reports: Reports, last: int, delay: float, waited: float
) -> None:
    written(reports)
    answered(reports, last=last, delay=delay, arrival=WALL + int(waited * SECOND))
    assert np.isnan(reports.round_trip[1]) and reports.far_loss[1] == 0.125


def test_what_a_far_end_says_of_other_streams_is_not_about_us(reports: Reports) -> None:
    written(reports)
    answered(reports, last=ntp_middle(WALL), delay=0.0, arrival=WALL + SECOND, ssrc=OURS + 1)
    assert np.isnan(reports.round_trip[1]) and np.isnan(reports.far_loss[1])


def test_reports_are_five_seconds_apart_in_the_mean_and_never_in_step() -> None:
    reports = Reports(201, seed=3)
    for row in range(1, 201):
        reports.open(row)
        reports.connect(row, 1, 5001, 0, 8000, 0)
    times: dict[int, list[int]] = {row: [] for row in range(1, 201)}
    per_beat = []
    for beat in range(60 * 50):
        rows = reports.due(beat)
        per_beat.append(len(rows))
        for row in rows.tolist():
            times[row].append(beat)
    first = [beats[0] / 50 for beats in times.values()]
    assert min(first) >= 1.0 and max(first) <= 3.2  # RFC 3550 6.3.1: half of 5 s, by 0.5 to 1.5, by 1.21828
    gaps = np.concatenate([np.diff(beats) for beats in times.values()]) / 50
    assert gaps.min() >= 2.0 and gaps.max() <= 6.2 and gaps.mean() == pytest.approx(5 / 1.21828, abs=0.1)
    assert max(per_beat[200:]) < 10


def test_a_beat_has_so_many_reports_at_most_and_none_is_forgotten() -> None:
    reports = Reports(1001, seed=3)
    for row in range(1, 1001):
        reports.open(row)
        reports.connect(row, 1, 5001, 0, 8000, 0)
    seen: set[int] = set()
    for _ in range(1 + 1000 // BATCH):
        rows = reports.due(200)  # all of them are due by then
        assert len(rows) <= BATCH
        seen |= set(rows.tolist())
    assert len(seen) == 1000


def test_a_leg_without_an_address_reports_nothing_and_begins_when_it_has_one() -> None:
    reports = Reports(2, seed=3)
    reports.open(1)
    reports.connect(1, 0, 0, 0, 8000, 0)
    assert not len(reports.due(10_000))
    reports.connect(1, 1, 5001, 0, 8000, 10_000)
    assert not len(reports.due(10_001)) and len(reports.due(10_200))
    reports.close(1)
    assert not len(reports.due(20_000))


def test_what_is_received_in_columns_is_reported_in_words() -> None:
    """Reception and reports together: the figures of A.3 arrive in the bytes."""
    reports, reception = Reports(2, seed=3), Reception(2)
    reports.open(1)
    sequence = np.array([0, 1, 3, 4], np.uint16)
    reception.take(
        np.ones(4, np.intp),
        np.full(4, THEIRS, np.uint32),
        sequence,
        sequence.astype(np.uint32) * 160,
        np.full(4, WALL),
        np.ones(4, bool),
    )
    data, length = reports.write(np.array([1]), WALL, sending(0), reception.report(np.array([1])))
    said = parse_compound(data[0, : int(length[0])].tobytes())
    assert said is not None and (said.blocks[0].fraction, said.blocks[0].lost, said.blocks[0].highest) == (
        51,
        1,
        4,
    )
