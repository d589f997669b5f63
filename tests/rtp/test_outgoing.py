"""What leaves for each leg: headers, frames gathered, time that goes on."""

import itertools

import numpy as np
import pytest

from rtp.outgoing import Outgoing

ROWS = 6

NO_CODED = np.zeros((8, 0), np.uint8), np.zeros(8, np.int32)


def heard(value: int) -> np.ndarray:
    frame = np.zeros((ROWS, 160), np.uint8)
    frame[:, :80], frame[:, 80:] = value, value + 100
    return frame


def opened(row: int = 1, *, port: int = 0, ptime: int = 20, payload_type: int = 0) -> Outgoing:
    outgoing = Outgoing(ROWS)
    outgoing.open(row, port)
    outgoing.send_to(row, 0x7F000001, 4000)
    outgoing.send_as(row, payload_type, ptime, True)
    return outgoing


def sent(outgoing: Outgoing, frame: np.ndarray) -> list[dict[str, object]]:
    slots, _ = outgoing.gather(frame, *NO_CODED)
    packets = []
    for slot in slots:
        data = outgoing.outbox.slots[slot, : int(outgoing.outbox.lengths[slot])].tobytes()
        packets.append(
            {
                "version": data[0],
                "marker": data[1] >= 0x80,
                "type": data[1] & 0x7F,
                "sequence": int.from_bytes(data[2:4], "big"),
                "timestamp": int.from_bytes(data[4:8], "big"),
                "ssrc": int.from_bytes(data[8:12], "big"),
                "payload": data[12:],
            }
        )
    return packets


def test_a_leg_gets_a_packet_a_beat_numbered_and_stamped() -> None:
    outgoing = opened(payload_type=8)
    packets = [sent(outgoing, heard(value))[0] for value in range(4)]
    first = packets[0]
    assert [packet["marker"] for packet in packets] == [True, False, False, False]
    assert {packet["type"] for packet in packets} == {8}
    assert {packet["version"] for packet in packets} == {0x80}
    assert [(packet["sequence"] - first["sequence"]) & 0xFFFF for packet in packets] == [0, 1, 2, 3]
    steps = [(packet["timestamp"] - first["timestamp"]) & 0xFFFF_FFFF for packet in packets]
    assert steps == [0, 160, 320, 480]
    assert packets[3]["payload"] == bytes([3] * 80 + [103] * 80)


def test_sequence_and_timestamp_wrap_silently() -> None:
    outgoing = opened()
    outgoing._sequence[1], outgoing._timestamp[1] = 0xFFF0, 0xFFFF_FF00
    stream = [sent(outgoing, heard(0))[0] for _ in range(40)]
    for before, after in itertools.pairwise(stream):
        assert (after["sequence"] - before["sequence"]) & 0xFFFF == 1
        assert (after["timestamp"] - before["timestamp"]) & 0xFFFF_FFFF == 160


@pytest.mark.parametrize(("ptime", "every"), [(40, 2), (60, 3)])
def test_longer_packets_gather_whole_frames(ptime: int, every: int) -> None:
    outgoing = opened(ptime=ptime)
    beats = [sent(outgoing, heard(value)) for value in range(2 * every)]
    packets = [packet for beat in beats for packet in beat]
    assert [len(beat) for beat in beats] == ([0] * (every - 1) + [1]) * 2
    expected = b"".join(bytes([value] * 80 + [value + 100] * 80) for value in range(every))
    assert packets[0]["payload"] == expected
    assert (packets[1]["timestamp"] - packets[0]["timestamp"]) & 0xFFFF_FFFF == 160 * every
    assert (packets[1]["sequence"] - packets[0]["sequence"]) & 0xFFFF == 1


def test_other_packet_times_within_a_stream_keep_its_time_and_give_up_what_was_half_gathered() -> None:
    outgoing = opened(ptime=60)
    packets = []
    changes = {5: 20, 8: 40, 12: 10, 14: 60, 18: 20}
    for value in range(22):
        if value in changes:
            outgoing.send_as(1, 0, changes[value], True)
        packets += sent(outgoing, heard(value))
    base = packets[0]["timestamp"]
    given = bytearray(22 * 160)
    leaps = []
    for before, after in itertools.pairwise([None, *packets]):
        assert after is not None
        start = (after["timestamp"] - base) & 0xFFFF_FFFF
        assert not any(given[start : start + len(after["payload"])])
        given[start : start + len(after["payload"])] = after["payload"]
        if before is not None:
            assert (after["sequence"] - before["sequence"]) & 0xFFFF == 1
            leap = (after["timestamp"] - before["timestamp"]) & 0xFFFF_FFFF != len(before["payload"])
            assert after["marker"] == leap
            leaps += [start // 160] * leap
    said = b"".join(bytes([value] * 80 + [value + 100] * 80) for value in range(22))
    missing = {place // 160 for place in range(len(said)) if given[place] != said[place]}
    assert missing == {3, 4, 17} and leaps == [5, 18]


def test_ten_milliseconds_are_two_packets_a_beat() -> None:
    outgoing = opened(ptime=10)
    first, second = sent(outgoing, heard(7))
    third, _ = sent(outgoing, heard(8))
    assert (first["payload"], second["payload"]) == (bytes([7] * 80), bytes([107] * 80))
    assert (first["marker"], second["marker"]) == (True, False)
    assert (second["sequence"] - first["sequence"]) & 0xFFFF == 1
    assert (second["timestamp"] - first["timestamp"]) & 0xFFFF_FFFF == 80
    assert (third["timestamp"] - first["timestamp"]) & 0xFFFF_FFFF == 160
    assert first["ssrc"] == second["ssrc"]


def test_the_first_sample_of_a_packet_gives_its_timestamp_whatever_its_length() -> None:
    outgoing = Outgoing(ROWS)
    for row, ptime in ((1, 10), (2, 20), (3, 40), (4, 60)):
        outgoing.open(row, 0)
        outgoing.send_as(row, 0, ptime, True)
    outgoing._timestamp[:] = 0  # all clocks begin alike
    stamps: dict[object, list[object]] = {}
    for value in range(6):
        for packet in sent(outgoing, heard(value)):
            stamps.setdefault(packet["ssrc"], []).append(packet["timestamp"])
    by_length = sorted(stamps.values(), key=len)
    assert by_length == [[0, 480], [0, 320, 640], [160 * n for n in range(6)], [80 * n for n in range(12)]]


def test_skipped_beats_move_the_clock_and_not_the_count() -> None:
    outgoing = opened()
    before = sent(outgoing, heard(0))[0]
    outgoing.skip(5)
    after = sent(outgoing, heard(1))[0]
    assert after["marker"]
    assert (after["sequence"] - before["sequence"]) & 0xFFFF == 1
    assert (after["timestamp"] - before["timestamp"]) & 0xFFFF_FFFF == 6 * 160


def test_a_half_gathered_packet_is_given_up_at_a_skip() -> None:
    outgoing = opened(ptime=40)
    sent(outgoing, heard(1))
    outgoing.skip(2)
    assert sent(outgoing, heard(2)) == []
    packet = sent(outgoing, heard(3))[0]
    assert packet["payload"] == bytes([2] * 80 + [102] * 80 + [3] * 80 + [103] * 80)
    assert packet["marker"]


def test_a_leg_that_is_not_sent_to_costs_nothing_and_its_clock_goes_on() -> None:
    outgoing = opened()
    before = sent(outgoing, heard(0))[0]
    outgoing.send_as(1, 0, 20, False)
    assert [sent(outgoing, heard(0)) for _ in range(9)] == [[]] * 9
    outgoing.send_as(1, 0, 20, True)
    after = sent(outgoing, heard(0))[0]
    assert after["marker"]
    assert (after["timestamp"] - before["timestamp"]) & 0xFFFF_FFFF == 10 * 160
    assert (after["sequence"] - before["sequence"]) & 0xFFFF == 1


def test_agreeing_the_same_again_marks_nothing() -> None:
    outgoing = opened()
    sent(outgoing, heard(0))
    outgoing.send_as(1, 0, 20, True)
    assert not sent(outgoing, heard(0))[0]["marker"]


def test_packets_are_ordered_by_local_port() -> None:
    outgoing = Outgoing(ROWS)
    for row, port in ((1, 2), (2, 0), (3, 2), (4, 0)):
        outgoing.open(row, port)
        outgoing.send_as(row, 0, 10 if row == 3 else 20, True)
    slots, runs = outgoing.gather(heard(0), *NO_CODED)
    rows = (slots % ROWS).tolist()
    assert runs == [(0, 0, 2), (2, 2, 5)]
    assert rows[:2] == [2, 4] and sorted(rows[2:]) == [1, 3, 3]


def test_two_legs_begin_at_different_places() -> None:
    one, other = sent(opened(), heard(0))[0], sent(opened(), heard(0))[0]
    assert one["ssrc"] != other["ssrc"]
    assert (one["sequence"], one["timestamp"]) != (other["sequence"], other["timestamp"])


@pytest.mark.parametrize(("ptime", "waits"), [(10, [1, 1]), (20, [1, 1]), (40, [3, 2]), (60, [5, 4, 3])])
def test_a_frame_has_been_played_out_when_its_packet_has(ptime: int, waits: list[int]) -> None:
    outgoing = opened(ptime=ptime)
    told = []
    for value in range(len(waits)):
        outgoing.gather(heard(value), *NO_CODED)
        told.append(outgoing.wait(1))
    assert told == waits
    assert outgoing.longest_wait() == max(waits)


def test_nobody_to_send_to_is_no_packet() -> None:
    outgoing = Outgoing(ROWS)
    slots, runs = outgoing.gather(heard(0), *NO_CODED)
    assert (len(slots), runs) == (0, [])
