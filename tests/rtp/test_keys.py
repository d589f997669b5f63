"""Keys that are sent: their packets beat by beat, what is between them, and what stops them. RFC 4733."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from rtp.keys import plan
from rtp.outgoing import Outgoing

ROWS = 5
FIRST = 0xFFFF_FF00  # timestamp of the first sample

NO_CODED = np.zeros((8, 0), np.uint8), np.zeros(8, np.int32)


@dataclass(frozen=True)
class Packet:
    beat: int
    row: int
    kind: int
    marker: bool
    sequence: int
    timestamp: int
    payload: bytes

    @property
    def event(self) -> tuple[str, bool, int]:
        """Key, whether it has ended, duration in samples."""
        assert len(self.payload) == 4 and self.payload[1] & 0x7F == 10
        key = "0123456789*#ABCD"[self.payload[0]]
        return key, bool(self.payload[1] & 0x80), int.from_bytes(self.payload[2:], "big")


class Leg:
    """An outgoing stream whose audio counts beats: a frame of beat n is n all over."""

    def __init__(self, *, ptime: int = 20, events: int = 101) -> None:
        self.outgoing = Outgoing(ROWS)
        self.beat = 0
        self.open(1, ptime=ptime, events=events)

    def open(self, row: int, *, ptime: int = 20, events: int = 101, port: int = 0) -> None:
        self.outgoing.open(row, port)
        self.outgoing.send_as(row, 0, ptime, True, events)
        self.outgoing._sequence[row], self.outgoing._timestamp[row] = 0xFFFA, FIRST

    def press(
        self, keys: str, *, row: int = 1, id: int = 7, tone: float = 200, interval: float = 400
    ) -> None:
        self.outgoing.press(row, id, keys, tone=tone, interval=interval)

    def beats(self, count: int) -> Iterator[Packet]:
        for _ in range(count):
            frame = np.full((ROWS, 160), self.beat % 256, np.uint8)
            slots, runs = self.outgoing.gather(frame, *NO_CODED)
            assert [slot for _, start, stop in runs for slot in slots[start:stop]] == slots.tolist()
            for slot in slots.tolist():
                data = self.outgoing.outbox.slots[slot, : int(self.outgoing.outbox.lengths[slot])].tobytes()
                sequence, timestamp = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:8], "big")
                yield Packet(
                    self.beat, slot % ROWS, data[1] & 0x7F, data[1] > 0x7F, sequence, timestamp, data[12:]
                )
            self.beat += 1

    def run(self, count: int) -> tuple[list[Packet], list[Packet]]:
        """Audio and events of so many beats; numbers without a gap are seen to."""
        packets = list(self.beats(count))
        for row in {packet.row for packet in packets}:
            numbers = [packet.sequence for packet in packets if packet.row == row]
            assert numbers == [(numbers[0] + n) & 0xFFFF for n in range(len(numbers))]
        return [p for p in packets if p.kind == 0], [p for p in packets if p.kind == 101]


def place(packet: Packet) -> int:
    """The sample of the stream that its timestamp names."""
    return (packet.timestamp - FIRST) & 0xFFFF_FFFF


def test_a_key_is_a_packet_a_beat_with_one_timestamp_and_its_end_said_three_times() -> None:
    leg = Leg()
    leg.run(2)
    leg.press("#", tone=80)
    audio, events = leg.run(8)
    assert [packet.event for packet in events] == [
        *(("#", False, 160), ("#", False, 320), ("#", False, 480)),
        *[("#", True, 640)] * 3,
    ]
    assert [packet.marker for packet in events] == [True] + [False] * 5
    assert {place(packet) for packet in events} == {2 * 160}
    assert [packet.beat for packet in events] == [2, 3, 4, 5, 6, 7], "one a beat"
    assert [packet.beat for packet in audio] == [8, 9], "and no audio meanwhile"


@pytest.mark.parametrize("ptime", [10, 20, 40, 60])
def test_no_sample_of_audio_before_or_after_a_key_is_lost_or_moved(ptime: int) -> None:
    leg = Leg(ptime=ptime)
    audio, _ = leg.run(1)
    leg.press("1", tone=100)
    more, events = leg.run(41)
    began = place(events[0])
    heard = {place(packet) + n: sample for packet in audio + more for n, sample in enumerate(packet.payload)}
    assert all(sample == at // 160 for at, sample in heard.items()), "each with the timestamp of its beat"
    assert set(range(began)) <= set(heard), "to the last sample before the key"
    after = began + 7 * 160  # five beats of tone, and its end twice more
    assert min(at for at in heard if at >= began) == after
    assert set(range(after, max(heard))) <= set(heard)
    assert next(packet for packet in more if place(packet) == after).marker


def test_a_tone_that_is_no_whole_number_of_beats_has_its_true_duration() -> None:
    leg = Leg()
    leg.press("5", tone=50.5)
    _, events = leg.run(8)
    assert [packet.event[2] for packet in events] == [160, 320, 404, 404, 404]
    assert [packet.event[1] for packet in events] == [False, False, True, True, True]


def test_keys_keep_their_interval_over_a_long_row() -> None:
    leg = Leg()
    leg.press("0123456789*#ABCDabcd", tone=55, interval=75)
    _, events = leg.run(200)
    starts = [packet for packet in events if packet.marker]
    assert "".join(packet.event[0] for packet in starts) == "0123456789*#ABCDABCD"
    for number, packet in enumerate(starts):
        wanted = number * (55 + 75) * 8
        assert 0 <= place(packet) - wanted < 160 * (number + 1)
    assert leg.outgoing.take_pressed() == [7]


def test_the_shortest_interval_leaves_room_for_all_ends() -> None:
    leg = Leg()
    leg.press("12", tone=50, interval=50)
    _, events = leg.run(14)
    assert [packet.event[0] for packet in events] == ["1"] * 5 + ["2"] * 5
    assert [packet.beat for packet in events] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("keys", "planned"),
    [
        ("1", [("1", 400)]),
        ("12", [("1", 400), ("2", 400)]),
        ("1,2", [("1", 500), ("2", 400)]),
        ("1w2W3", [("1", 500), ("2", 1000), ("3", 400)]),
        ("1,wW2", [("1", 2000), ("2", 400)]),
        ("W1", [("", 1000), ("1", 400)]),
        ("1W", [("1", 1000)]),
        (",W", [("", 1500)]),
        ("aD", [("A", 400), ("D", 400)]),
        ("", []),
    ],
)
def test_a_pause_takes_the_place_of_the_interval(keys: str, planned: list[tuple[str, float]]) -> None:
    assert plan(keys, 400) == planned


def test_pauses_are_heard_as_time() -> None:
    leg = Leg()
    leg.press("W1w2", tone=100, interval=100)
    _, events = leg.run(100)
    assert [packet.beat for packet in events if packet.marker] == [50, 50 + 5 + 25]
    assert [packet.event[0] for packet in events if packet.marker] == ["1", "2"]
    assert leg.outgoing.take_pressed() == [7]


def test_it_is_over_after_the_last_interval_and_only_once() -> None:
    leg = Leg()
    leg.press("1", tone=100, interval=200)
    over = []
    for beat in range(30):
        leg.run(1)
        over += [beat] * len(leg.outgoing.take_pressed())
    assert over == [(100 + 200) // 20]


def test_silence_alone_is_sent_to_its_end_too() -> None:
    leg = Leg()
    leg.press(",")
    assert leg.run(25)[1] == [] and leg.outgoing.take_pressed() == []
    leg.run(1)
    assert leg.outgoing.take_pressed() == [7]


def test_stopping_ends_the_tone_that_is_on_and_reports_nothing() -> None:
    leg = Leg()
    leg.press("123")
    leg.run(3)
    leg.outgoing.release(7)
    audio, events = leg.run(100)
    assert [packet.event for packet in events] == [("1", True, 480)] * 3
    assert len(audio) == 97 and leg.outgoing.take_pressed() == []


def test_what_follows_a_stop_waits_for_the_end_of_the_tone() -> None:
    leg = Leg()
    leg.press("1")
    leg.run(3)
    leg.outgoing.release(7)
    leg.press("2", id=8, tone=60)
    _, events = leg.run(40)
    assert [packet.event[0] for packet in events] == ["1"] * 3 + ["2"] * 5
    assert leg.outgoing.take_pressed() == [8]


def test_stopping_in_a_pause_sends_nothing_more() -> None:
    leg = Leg()
    leg.press("W1")
    leg.run(10)
    leg.outgoing.release(7)
    leg.outgoing.release(99)
    assert leg.run(100)[1] == []


def test_a_closed_leg_leaves_nothing_to_the_next_one_in_its_row() -> None:
    leg = Leg()
    leg.press("12")
    leg.run(3)
    leg.outgoing.close(1)
    leg.open(1)
    audio, events = leg.run(60)
    assert events == [] and len(audio) == 60 and leg.outgoing.take_pressed() == []


def test_skipped_beats_are_part_of_a_tone_and_of_a_pause() -> None:
    leg = Leg()
    leg.press("12", tone=200, interval=400)
    leg.run(2)
    leg.outgoing.skip(5)
    _, events = leg.run(9)
    assert [packet.event[2] for packet in events] == [8 * 160, 9 * 160, 1600, 1600, 1600]
    leg.outgoing.skip(10)
    _, events = leg.run(10)
    assert events[0].event == ("2", False, 160) and events[0].beat == 2 + 9 + 4, (
        "30 beats after the first one"
    )


def test_time_goes_on_while_nothing_is_sent() -> None:
    leg = Leg(ptime=60)
    leg.run(1)  # a packet is half gathered
    leg.outgoing.send_as(1, 0, 60, False, 101)
    leg.press("1", tone=100, interval=100)
    assert leg.run(11) == ([], [])
    assert leg.outgoing.take_pressed() == [7]


def test_many_legs_press_at_once_each_in_its_own_stream_and_port() -> None:
    leg = Leg()
    for row in (2, 3, 4):
        leg.open(row, port=row % 2, ptime=10 if row == 3 else 20)
    for row, keys in ((1, "1"), (2, "2"), (3, "3")):
        leg.press(keys, row=row, id=row, tone=100, interval=100)
    audio, events = leg.run(11)
    for row in (1, 2, 3):
        mine = [packet for packet in events if packet.row == row]
        assert {packet.event[0] for packet in mine} == {str(row)} and len(mine) == 7
    assert len([packet for packet in audio if packet.row == 4]) == 11, "who presses nothing is not disturbed"
    assert sorted(leg.outgoing.take_pressed()) == [1, 2, 3]


@pytest.mark.parametrize("keys", ["x", "1 2", "١", "1\n", "E"])
def test_what_is_no_key_is_refused_and_not_repeated(keys: str) -> None:
    leg = Leg()
    with pytest.raises(ValueError, match=r"expected keys") as refusal:
        leg.press(keys)
    assert keys not in str(refusal.value).replace("expected", "")
    assert leg.run(5)[1] == []


@pytest.mark.parametrize("tone", [0, -1, 8192])
def test_a_tone_that_no_event_can_tell_is_refused(tone: float) -> None:
    with pytest.raises(ValueError, match="tone"):
        Leg().press("1", tone=tone)


def test_two_at_a_time_are_refused_and_so_is_a_leg_without_events() -> None:
    leg = Leg()
    leg.press("1")
    with pytest.raises(ValueError, match="already"):
        leg.press("2", id=8)
    with pytest.raises(ValueError, match="takes no telephone events"):
        Leg(events=-1).press("1")


def test_no_key_is_in_a_repr() -> None:
    leg = Leg()
    leg.press("42")
    leg.run(1)
    keys = leg.outgoing._keys
    assert not set("42") & set(repr(keys))
    for sending in keys._sendings.values():
        assert "steps" not in repr(sending)
