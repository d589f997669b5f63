"""RTCP and the figures of each leg, on a network in memory, in virtual time."""

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from media.messages import Close, Format, Move, Pinned
from media.shared import COUNTERS
from rtp.reports import BATCH
from rtp.rtcp import Compound, ntp_middle, parse_compound
from tests.support.virtual_network import Address, VirtualMedia, connect, rtp

ALICE, ALICE_RTCP = ("198.51.100.1", 4000), ("198.51.100.1", 4001)
BOB = ("198.51.100.2", 4000)
STRANGER = ("192.0.2.66", 666)
THEIRS = 77


class Media(VirtualMedia):
    """Tells reports from sound in what was sent."""

    def reports(self, seconds: float, to: Address | None = None) -> list[tuple[int, Address, Compound]]:
        """(socket, whither, what) of the compounds that leave in so many seconds."""
        found = []
        for _ in range(round(seconds * 50)):
            for socket, whither, data in self.beat():
                if 200 <= data[1] <= 204 and to in (None, whither):
                    said = parse_compound(data)
                    assert said is not None
                    found.append((socket, whither, said))
        return found

    def talk(self, seconds: float, source: Address = ALICE, *, first: int = 0, keep: int = 1) -> None:
        """The far end speaks; of `keep` packets the first arrives."""
        for number in range(first, first + round(seconds * 50)):
            if number % keep == 0 or keep == 1:
                self.say(source, rtp(number, ssrc=THEIRS))
            self.beat()

    def count(self, name: str) -> int:
        self.engine._publish()
        return int(self.shared.counters[COUNTERS.index(name)])

    def figures(self, leg: int) -> np.void:
        figures: np.void = self.shared.quality[np.flatnonzero(self.shared.legs["leg"] == leg)[0]]
        return figures


@pytest.fixture
def media() -> Iterator[Media]:
    media = Media()
    yield media
    media.close()


def open_leg(media: Media, leg: int = 1, remote: Address = ALICE, **changes: object) -> None:
    beside = {
        "rtcp_address": int.from_bytes(bytes(map(int, remote[0].split("."))), "big"),
        "rtcp_port": remote[1] + 1,
    }
    media.open(leg, remote, **{**beside, **changes})


def block(ssrc: int, last: int, delay: float = 0.0) -> bytes:
    return struct.pack(">IIIIII", ssrc, 26 << 24 | 5, 100, 160, last, int(delay * 65536))


def receiver_report(*blocks: bytes, sender: int = THEIRS) -> bytes:
    return struct.pack(">BBHI", 0x80 | len(blocks), 201, 1 + 6 * len(blocks), sender) + b"".join(blocks)


def goodbye(ssrc: int = THEIRS) -> bytes:
    return receiver_report(sender=ssrc) + struct.pack(">BBHI", 0x81, 203, 1, ssrc)


def ours(media: Media) -> int:
    """The SSRC of what the first leg is sent."""
    return next(int.from_bytes(data[8:12], "big") for _, _, data in media.beat() if data[1] & 0x7F == 0)


# Out


def test_reports_leave_from_the_odd_port_for_the_odd_port(media: Media) -> None:
    open_leg(media, port=2)
    media.beat()
    found = media.reports(16)
    assert len(found) >= 3
    assert {(socket, whither) for socket, whither, _ in found} == {(2 + media.ports, ALICE_RTCP)}
    assert {said.sender for _, _, said in found} == {ours(media)}
    assert media.count("rtcp_sent") == len(found)


def test_a_phone_that_has_not_said_where_gets_reports_beside_its_even_port_even_before_it_says_anything(
    media: Media,
) -> None:
    open_leg(media, rtcp_guessed=True)
    media.beat()
    found = media.reports(8)
    assert {whither for _, whither, _ in found} == {ALICE_RTCP}


def test_beside_an_odd_port_and_where_anothers_sound_is_nothing_is_sent_before_something_came(
    media: Media,
) -> None:
    odd, beside = (ALICE[0], ALICE[1] + 1), (ALICE[0], ALICE[1] + 2)
    open_leg(media, rtcp_guessed=True)
    open_leg(media, leg=2, remote=odd, port=2, rtcp_guessed=True)
    media.beat()
    assert not media.reports(16)
    media.say(odd, rtp(1, ssrc=THEIRS), port=2)
    media.beat()
    media.say(beside, receiver_report(), port=2 + media.ports)
    assert {whither for _, whither, _ in media.reports(8)} == {beside}


def test_nothing_is_sent_beside_a_port_of_a_nat_before_something_came_from_there(media: Media) -> None:
    nat = ("203.0.113.9", 61000)
    open_leg(media, rtcp_guessed=True, signalling=int.from_bytes(bytes((203, 0, 113, 9)), "big"))
    media.beat()
    media.say(nat, rtp(1, ssrc=THEIRS))
    media.beat()
    assert not media.reports(16)
    media.say((nat[0], 62000), receiver_report(), port=media.ports)
    assert {whither for _, whither, _ in media.reports(8)} == {(nat[0], 62000)}


def test_reports_of_a_leg_that_another_phone_has_taken_over_go_to_nobody_before_it(media: Media) -> None:
    open_leg(media)
    media.say(ALICE, rtp(1, ssrc=THEIRS))
    media.beat()
    media.say((ALICE[0], 62000), receiver_report(), port=media.ports)
    assert {whither for _, whither, _ in media.reports(8)} == {(ALICE[0], 62000)}
    address = int.from_bytes(bytes(map(int, ALICE[0].split("."))), "big")
    beside = {"rtcp_address": address, "rtcp_port": ALICE_RTCP[1]}
    media.commands.append(connect(1, ALICE, signalling=7, **beside))
    media.beat()
    assert {whither for _, whither, _ in media.reports(8)} == {ALICE_RTCP}


def test_reports_of_a_leg_that_multiplexes_go_where_its_sound_goes(media: Media) -> None:
    open_leg(media, port=2, rtcp_mux=True, rtcp_port=ALICE[1])
    media.beat()
    assert {(socket, whither) for socket, whither, _ in media.reports(4)} == {(2, ALICE)}
    media.say(("198.51.100.1", 9000), rtp(1), port=2)
    media.beat()
    assert {(socket, whither) for socket, whither, _ in media.reports(7)} == {(2, ("198.51.100.1", 9000))}


def test_what_came_is_in_the_reports(media: Media) -> None:
    open_leg(media)
    media.talk(0.9, keep=2)
    ((_, _, said),) = media.reports(2.4)
    assert [each.ssrc for each in said.blocks] == [THEIRS]
    assert 115 <= said.blocks[0].fraction <= 128 and 20 <= said.blocks[0].lost <= 23


def test_a_leg_on_hold_goes_on_reporting_and_one_without_an_address_does_not(media: Media) -> None:
    open_leg(media, sends=False, receives=False)
    media.beat()
    assert media.reports(7)
    media.commands.append(connect(1, None, renew=True))
    assert not media.reports(7)


def test_a_leg_that_moves_reports_from_its_new_port(media: Media) -> None:
    open_leg(media)
    media.beat()
    media.commands.append(Move(1, 3))
    media.beat()
    assert {socket for socket, _, _ in media.reports(7)} == {3 + media.ports}


def test_reports_follow_a_phone_behind_a_nat(media: Media) -> None:
    nat = int.from_bytes(bytes([203, 0, 113, 7]), "big")
    open_leg(media, remote=("192.168.1.5", 5004), signalling=nat)
    media.say(("203.0.113.7", 40_001), rtp(1, ssrc=THEIRS))
    media.beat()
    assert {whither for _, whither, _ in media.reports(7)} == {("203.0.113.7", 40_002)}
    media.say(("203.0.113.7", 51_000), receiver_report(), port=media.ports)
    media.beat()
    assert {whither for _, whither, _ in media.reports(7)} == {("203.0.113.7", 51_000)}
    media.commands.append(
        connect(1, ("192.168.1.5", 5004), signalling=nat, rtcp_address=0xC0A80105, rtcp_port=5005, renew=True)
    )
    media.beat()
    assert {whither for _, whither, _ in media.reports(7)} == {("203.0.113.7", 51_000)}


def test_a_call_that_ends_says_goodbye_with_its_last_report_and_nothing_after_it(media: Media) -> None:
    open_leg(media)
    media.talk(1)
    source = ours(media)
    media.commands.append(Close(1))
    ((_, whither, said),) = media.reports(16)
    assert whither == ALICE_RTCP and said.leaving == (source,)
    assert [each.ssrc for each in said.blocks] == [THEIRS]


def test_the_row_of_an_ended_call_may_be_taken_in_the_same_beat_and_the_goodbye_is_still_the_old_ones(
    media: Media,
) -> None:
    open_leg(media)
    source = ours(media)
    media.commands.append(Close(1))
    open_leg(media, 2, BOB)
    ((_, whither, said),) = media.reports(0.5)
    assert (whither, said.leaving) == (ALICE_RTCP, (source,))


def test_three_hundred_calls_that_end_at_once_say_goodbye_over_some_beats() -> None:
    media = Media(legs=300)
    for leg in range(1, 301):
        open_leg(media, leg, ("198.51.100.1", 10_000 + 2 * leg))
    media.beat()
    media.commands += [Close(leg) for leg in range(1, 301)]
    per_beat = [len(media.reports(0.02)) for _ in range(10)]
    assert sum(per_beat) == 300 and max(per_beat) == BATCH
    media.close()


# In


def test_a_round_trip_and_what_the_far_end_reports_are_told(media: Media) -> None:
    open_leg(media)
    media.talk(0.5)
    source = ours(media)
    media.reports(3.5)
    sent = int(media.engine._reporting.reports._times[1].max())
    assert sent
    media.say(ALICE_RTCP, receiver_report(block(source, sent)), port=media.ports)
    media.beat(12)
    figures = media.figures(1)
    assert 0 <= figures["round_trip"] < 3.5
    assert figures["far_loss"] == pytest.approx(26 / 256) and figures["far_lost"] == 5
    assert figures["far_jitter"] == pytest.approx(0.02)
    assert media.count("rtcp_malformed") == media.count("rtcp_unknown") == 0


def test_reports_that_come_among_rtp_count_as_well(media: Media) -> None:
    open_leg(media, rtcp_mux=True)
    media.talk(0.1)
    media.say(ALICE, receiver_report(block(ours(media), 0)))
    media.say(ALICE, receiver_report())  # eight bytes, shorter than any RTP
    media.beat(12)
    assert media.figures(1)["far_lost"] == 5
    assert media.count("rtcp_received") == 2 and media.count("dropped_malformed") == 0
    media.beat(50)
    assert 2.5 < media.figures(1)["far_mos"] < 3.5  # a tenth is lost


def test_reports_of_a_phone_that_sends_no_sound_are_known_by_their_source(media: Media) -> None:
    open_leg(media)
    source = ours(media)
    media.say(ALICE_RTCP, receiver_report(block(source, 0)), port=media.ports)
    media.beat(12)
    assert media.figures(1)["far_lost"] == 5
    assert media.told(Pinned) == []


def test_reports_of_strangers_concern_nobody(media: Media) -> None:
    open_leg(media)
    media.talk(0.5)
    source = ours(media)
    heard = media.demux.heard[1]
    for data in (receiver_report(block(source, 0)), goodbye(), b"\x80\xc8", bytes(100)):
        for port in (0, media.ports, media.ports + 1):
            media.say(STRANGER, data, port=port)
    media.beat(12)
    assert np.isnan(media.figures(1)["far_loss"]) and media.demux.heard[1] == heard
    assert {whither for _, whither, _ in media.reports(7)} == {ALICE_RTCP}
    assert media.count("rtcp_unknown") == 4


def test_rtcp_never_pins_a_leg(media: Media) -> None:
    open_leg(media, rtcp_mux=True)
    media.say(ALICE, receiver_report())
    media.say(ALICE_RTCP, receiver_report(), port=media.ports)
    media.beat()
    assert media.told(Pinned) == [] and not media.demux.state["pinned"].any()


def test_a_goodbye_ends_no_call_and_moves_nothing(media: Media) -> None:
    open_leg(media)
    media.talk(0.5)
    for data in (goodbye(), goodbye(5)):
        media.say(ALICE_RTCP, data, port=media.ports)
        media.say(ALICE, data)
    media.talk(0.5, first=25)
    assert {whither for _, whither, _ in media.beat()} >= {ALICE}
    assert media.count("rtcp_byes") == 4 and media.count("legs") == 1
    assert media.told(Pinned) == [Pinned(1, 0xC6336401, 4000)]


def test_garbage_at_the_ports_of_reports_is_counted_and_a_beat_reads_so_much_of_it(media: Media) -> None:
    open_leg(media)
    media.talk(0.5)
    random = np.random.default_rng(1)
    good = receiver_report(block(ours(media), 0)) + goodbye()
    for _ in range(50):
        for _ in range(4):
            data = bytearray(good)
            data[int(random.integers(8, len(data)))] = int(random.integers(0, 256))
            del data[int(random.integers(8, len(data))) :]
            media.say(ALICE_RTCP, bytes(data), port=media.ports)
        media.say(ALICE_RTCP, random.bytes(40), port=media.ports)
        media.say(ALICE, b"\x81\xc9" + random.bytes(int(random.integers(0, 60))))
        media.beat()
    assert media.count("rtcp_malformed") > 100 and media.count("legs") == 1
    before = media.count("rtcp_unknown")
    for _ in range(100):
        media.say(ALICE_RTCP, good, port=media.ports)
    media.beat()
    assert media.count("rtcp_unknown") == before + 36


# Figures


def test_a_clean_leg_scores_well_and_a_lossy_one_worse(media: Media) -> None:
    open_leg(media)
    media.talk(4)
    clean = float(media.figures(1)["mos"])
    assert 4.3 < clean < 4.42 and media.figures(1)["loss"] == 0
    media.talk(8, first=200, keep=2)
    lossy = media.figures(1).copy()
    assert lossy["loss"] == pytest.approx(0.5, abs=0.1) and lossy["mos"] < 2.5
    media.talk(14, first=600)
    recovered = media.figures(1)
    assert recovered["mos"] > clean - 0.5
    assert lossy["mos"] < recovered["mos_mean"] < recovered["mos"]


def test_a_leg_with_in_band_fec_scores_better_for_the_same_loss(media: Media) -> None:
    carol = ("198.51.100.3", 4000)
    for leg, remote, fec in ((1, ALICE, False), (2, BOB, False), (3, carol, True)):
        opus = Format("OPUS", 48000, 48000, fec=fec)
        format = {} if leg == 1 else {"format": opus, "payload_type": 111, "accepts": {111: opus}}
        open_leg(media, leg, remote, **format)
    for number in range(500):
        for leg, remote in enumerate((ALICE, BOB, carol), 1):
            sound = {} if leg == 1 else {"payload_type": 111, "timestamp": 960 * number, "payload": b"\x08"}
            if number % 10:
                media.say(remote, rtp(number, ssrc=leg, **sound))  # type: ignore[arg-type]
        media.beat()
    plain, opus, sturdy = (float(media.figures(leg)["mos"]) for leg in (1, 2, 3))
    assert plain - 0.2 < opus < plain and sturdy > plain + 0.2


def test_a_long_way_costs_a_good_score(media: Media) -> None:
    open_leg(media)
    media.talk(3)
    near = float(media.figures(1)["mos"])
    media.engine._reporting.reports.round_trip[1] = 0.6
    media.talk(3, first=150)
    assert media.figures(1)["mos"] < near - 0.3


def test_nothing_is_known_of_a_leg_that_said_nothing_and_nothing_is_left_to_its_successor(
    media: Media,
) -> None:
    open_leg(media)
    media.talk(3, keep=3)
    media.say(ALICE_RTCP, receiver_report(block(ours(media), 0)), port=media.ports)
    media.beat(12)
    assert media.figures(1)["loss"] > 0
    media.commands.append(Close(1))
    open_leg(media, 2, BOB)
    media.beat(60)
    figures = media.figures(2)
    for name in ("mos", "mos_mean", "far_mos", "round_trip", "far_loss", "far_jitter", "drift"):
        assert np.isnan(figures[name])
    assert figures["loss"] == figures["jitter"] == figures["far_lost"] == 0


def test_the_drift_of_a_leg_is_told_after_half_a_minute(media: Media) -> None:
    open_leg(media)
    fast = 1 + 150e-6
    sent = 0
    for _ in range(37 * 50):
        if media.now - 1000.0 > sent * 0.02 / fast:
            media.say(ALICE, rtp(sent, ssrc=THEIRS))
            late = media.now + 0.02 - (1000.0 + sent * 0.02 / fast)
            sent += 1
            media.network.waited = late
        media.beat()
    assert media.figures(1)["drift"] == pytest.approx(150, abs=15)


def test_the_time_in_a_report_is_the_beats(media: Media) -> None:
    open_leg(media)
    media.beat()
    while not (found := media.reports(0.02)):
        pass
    assert found[0][2].ntp == ntp_middle(int(media.now * 1e9))


def test_a_report_names_the_time_of_the_packet_that_leaves_with_it(media: Media) -> None:
    open_leg(media)
    stamps = set()
    for _ in range(500):
        sent = media.beat()
        timestamps = {
            data[1] >= 200: int.from_bytes(data[16:20] if data[1] >= 200 else data[4:8], "big")
            for _, _, data in sent
        }
        if len(timestamps) == 2:
            stamps.add(timestamps[True] - timestamps[False])
    assert stamps == {0}


def test_a_stream_that_begins_anew_begins_its_counts_anew(media: Media) -> None:
    open_leg(media)
    media.beat(100)
    rows = np.array([1])
    before = media.engine._outgoing.sending(rows)
    assert before.packets[0] == 100 and before.octets[0] == 16_000
    wide = Format("L16", 16000, 16000)
    media.commands.append(
        connect(
            1,
            ALICE,
            renew=True,
            format=wide,
            payload_type=96,
            accepts={96: wide},
            rtcp_address=1,
            rtcp_port=2,
        )
    )
    media.beat(10)
    after = media.engine._outgoing.sending(rows)
    assert after.ssrc[0] != before.ssrc[0] and 0 < after.packets[0] <= 10
    assert after.octets[0] == 640 * after.packets[0]
    assert media.engine._outgoing.sent[1] == 100 + after.packets[0]
