"""Whose packet is it? Every claim here is one of `rtp.demux`'s rules, or an attack on them."""

from ipaddress import IPv4Address

import numpy as np
import pytest

from rtp.demux import COMFORT, EVENT, LEARN_SECONDS, RTCP, STRANGERS, UNDER_WAY, Demux
from rtp.packet import SLOT, parse
from rtp.tombstones import TOMBSTONE, TOMBSTONE_SECONDS, Tombstones
from tests.support.virtual_network import Address, rtp

A, B, C = 1, 2, 3  # rows
PHONE = ("198.51.100.1", 4000)
OTHER = ("198.51.100.2", 4000)
NAT = "203.0.113.7"
STRANGER = ("192.0.2.66", 666)
ULAW, ALAW = 0, 1
KINDS = {0: ULAW, 8: ALAW, 13: COMFORT, 101: EVENT}


class Port:
    """A Demux of ten rows, spoken to in addresses and packets, at the time the test has set."""

    def __init__(self) -> None:
        self.demux = Demux(10)
        self.now = 100.0
        self.numbers: dict[int, int] = {}

    def leg(
        self,
        row: int,
        sdp: Address | None,
        *,
        signalling: str | None = None,
        port: int = 0,
        learn: bool = True,
    ) -> None:
        self.demux.open(row, port)
        if sdp is not None:
            self.agree(row, sdp, signalling=signalling, learn=learn)

    def agree(
        self,
        row: int,
        sdp: Address | None,
        *,
        signalling: str | None = None,
        learn: bool = True,
        renew: bool = False,
        kinds: dict[int, int] = KINDS,
    ) -> bool:
        address, source = (int(IPv4Address(sdp[0])), sdp[1]) if sdp else (0, 0)
        known = int(IPv4Address(signalling)) if signalling else address
        return self.demux.connect(
            row,
            address=address,
            port=source,
            signalling=known,
            kinds=kinds,
            learn=learn,
            renew=renew,
            now=self.now,
        )

    def hear(self, *packets: tuple[Address, bytes], port: int = 0) -> list[int]:
        """The rows of one batch, in which every packet came to the same local port."""
        slots = np.zeros((len(packets), SLOT), np.uint8)
        for slot, (_, data) in zip(slots, packets, strict=True):
            slot[: len(data)] = np.frombuffer(data, np.uint8)
        lengths = np.array([len(data) for _, data in packets], np.int32)
        rows, _ = self.demux.match(
            np.full(len(packets), port, np.int32),
            np.array([int(IPv4Address(source[0])) for source, _ in packets], np.uint32),
            np.array([source[1] for source, _ in packets], np.uint16),
            parse(slots, lengths),
            self.now,
        )
        return [int(row) for row in rows]

    def from_(self, source: Address, *, ssrc: int = 1, port: int = 0, sequence: int | None = None) -> int:
        """The row of one packet, whose sequence goes on from the last one of its SSRC."""
        number = self.numbers.get(ssrc, 1000) + 1 if sequence is None else sequence
        self.numbers[ssrc] = number
        return self.hear((source, rtp(number, ssrc=ssrc)), port=port)[0]

    def pinned(self) -> list[tuple[int, Address]]:
        told = [(row, (str(IPv4Address(address)), source)) for row, address, source in self.demux.pinned]
        self.demux.pinned.clear()
        return told


@pytest.fixture
def port() -> Port:
    return Port()


def test_the_source_that_the_sdp_names_is_the_leg_and_is_pinned(port: Port) -> None:
    port.leg(A, PHONE)
    assert port.from_(PHONE) == A
    assert port.pinned() == [(A, PHONE)]
    assert port.from_(PHONE) == A
    assert port.pinned() == []


def test_nothing_is_learnt_before_an_sdp_is_known(port: Port) -> None:
    port.leg(A, None)
    assert port.from_(PHONE) == 0
    port.agree(A, PHONE)
    assert port.from_(PHONE) == A


def test_a_source_is_known_on_its_own_local_port_only(port: Port) -> None:
    port.leg(A, PHONE, port=0)
    assert port.from_(PHONE) == A
    assert port.from_(PHONE, port=1) == 0


def test_a_phone_behind_a_nat_is_learnt_by_its_signalling_address(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    assert port.from_((NAT, 40001)) == A
    assert port.pinned() == [(A, (NAT, 40001))]


def test_another_port_of_the_sdps_address_is_learnt(port: Port) -> None:
    port.leg(A, PHONE)
    assert port.from_((PHONE[0], 40001)) == A


def test_a_whole_batch_of_first_packets_finds_its_legs_at_once(port: Port) -> None:
    port.leg(A, PHONE)
    port.leg(B, OTHER)
    batch = [
        (PHONE, rtp(1, ssrc=1)),
        (STRANGER, rtp(1)),
        (OTHER, rtp(1, ssrc=2)),
        (PHONE, rtp(2, ssrc=1)),
    ]
    assert port.hear(*batch) == [A, 0, B, A]
    assert port.demux.drops.unknown == 1


def test_a_stranger_who_sprays_the_port_reaches_nobody(port: Port) -> None:
    port.leg(A, PHONE)
    port.leg(B, ("192.168.1.5", 5004), signalling=NAT)
    for burst in range(20):
        spray = [((f"192.0.2.{n}", 1024 + n), rtp(n, ssrc=n)) for n in range(1, 250)]
        port.now += 0.02
        assert set(port.hear(*spray)) == {0}, burst
    assert port.demux.drops.unknown == 20 * 249
    assert port.from_(PHONE) == A
    assert port.from_((NAT, 40001), ssrc=2) == B


def test_a_stranger_cannot_take_a_leg_that_is_pinned(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=7)
    port.now += 5.0
    assert port.from_(STRANGER, ssrc=7) == 0
    assert port.from_((PHONE[0], 4002), ssrc=8) == 0
    assert port.pinned() == [(A, PHONE)]


def test_where_two_legs_wait_for_one_address_a_port_of_it_is_nobodys(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.leg(B, ("192.168.1.6", 5004), signalling=NAT)
    assert port.from_((NAT, 40001)) == 0
    assert port.demux.drops.ambiguous == 1


def test_two_legs_whose_sdp_names_one_source_get_none_of_its_packets(port: Port) -> None:
    port.leg(A, PHONE)
    port.leg(B, PHONE)
    assert port.hear(*[(PHONE, rtp(n)) for n in range(5)]) == [0] * 5
    assert port.demux.drops.ambiguous == 5
    assert port.pinned() == []


def test_a_newcomer_who_names_a_pinned_source_neither_gets_nor_stops_its_stream(port: Port) -> None:
    port.leg(A, PHONE)
    assert port.from_(PHONE, ssrc=7) == A
    port.leg(B, PHONE)
    assert port.from_(PHONE, ssrc=7) == A
    assert port.from_(PHONE, ssrc=8) == 0  # of the second call, or not: nobody guesses
    assert port.demux.drops.ambiguous == 1
    port.demux.close(B, port.now)
    assert port.from_(PHONE, ssrc=8) == A


def test_a_new_ssrc_from_the_pinned_source_is_the_same_leg(port: Port) -> None:
    port.leg(A, PHONE)
    assert [port.from_(PHONE, ssrc=ssrc) for ssrc in (1, 2, 3)] == [A, A, A]


def test_a_payload_type_that_was_not_agreed_is_dropped_and_pins_nothing(port: Port) -> None:
    port.leg(A, PHONE)
    assert port.hear((PHONE, rtp(1, payload_type=96))) == [0]
    assert port.hear(((PHONE[0], 9), rtp(1, payload_type=96))) == [0]
    assert port.pinned() == []
    assert port.hear((PHONE, rtp(1, payload_type=8)), (PHONE, rtp(2, payload_type=96))) == [A, 0]
    assert port.demux.drops.payload_type == 2


def test_rtcp_among_rtp_is_a_sign_of_life_and_pins_nothing(port: Port) -> None:
    port.leg(A, PHONE)
    report = b"\x80\xc9\x00\x01" + bytes(8)
    rows, kinds = port.demux.match(
        np.zeros(1, np.int32),
        np.array([int(IPv4Address(PHONE[0]))], np.uint32),
        np.array([PHONE[1]], np.uint16),
        parse(np.frombuffer(report.ljust(SLOT, b"\0"), np.uint8).reshape(1, SLOT), np.array([12], np.int32)),
        port.now,
    )
    assert (rows.tolist(), kinds.tolist()) == ([A], [RTCP])
    assert port.demux.heard[A] == port.now
    assert port.pinned() == []


def test_comfort_noise_is_a_sign_of_life(port: Port) -> None:
    port.leg(A, PHONE)
    assert port.hear((PHONE, rtp(1, payload_type=13, payload=b"\x40"))) == [A]
    assert port.demux.heard[A] == port.now


# Learning comes to an end


def test_learning_ends_ten_seconds_after_the_answer_and_the_named_source_still_counts(port: Port) -> None:
    port.leg(A, PHONE, signalling=NAT)
    port.now += LEARN_SECONDS
    assert port.from_((NAT, 40001), ssrc=5) == 0
    assert port.from_(PHONE, ssrc=6) == A


def test_a_leg_that_may_not_learn_knows_the_named_source_alone(port: Port) -> None:
    port.leg(A, PHONE, signalling=NAT, learn=False)
    assert port.from_((NAT, 40001), ssrc=5) == 0
    assert port.from_((PHONE[0], 4002), ssrc=6) == 0
    assert port.from_(PHONE, ssrc=7) == A


def test_the_named_source_wins_over_one_that_was_faster(port: Port) -> None:
    port.leg(A, PHONE, signalling=NAT)
    assert port.from_((NAT, 40001), ssrc=5) == A
    assert port.from_(PHONE, ssrc=6) == A
    assert port.from_((NAT, 40001), ssrc=5) == 0
    assert port.pinned() == [(A, (NAT, 40001)), (A, PHONE)]


# Rebinding


def test_a_peer_rebound_by_its_nat_is_pinned_anew(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.now += 15.0
    assert port.from_((NAT, 40099), ssrc=5) == A
    assert port.pinned()[-1] == (A, (NAT, 40099))
    assert port.demux.rebindings == 1
    port.now += 15.0
    assert port.from_((NAT, 40001), ssrc=5) == A  # and back


def test_it_is_no_rebinding_while_the_old_source_is_heard(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    port.now += 0.04
    assert port.from_((PHONE[0], 4002), ssrc=5) == 0


def test_it_is_no_rebinding_with_another_ssrc_sequence_or_address(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5, sequence=1000)
    port.now += 1.0
    assert port.from_((PHONE[0], 4002), ssrc=6, sequence=1001) == 0
    assert port.from_((PHONE[0], 4002), ssrc=5, sequence=900) == 0
    assert port.from_((PHONE[0], 4002), ssrc=5, sequence=20_000) == 0
    assert port.from_(("198.51.100.77", 4000), ssrc=5, sequence=1001) == 0
    assert port.from_((PHONE[0], 4002), ssrc=5, sequence=1010) == A


def test_a_rebound_neighbour_is_not_learnt_by_a_leg_that_waits(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.leg(B, ("192.168.1.6", 5004), signalling=NAT)
    port.now += 0.02
    assert port.from_((NAT, 40099), ssrc=5) == 0  # the neighbour's stream, too early to be a rebinding
    port.now += 0.1
    assert port.from_((NAT, 40099), ssrc=5) == A
    assert port.from_((NAT, 40100), ssrc=6) == B


# Ended calls


def test_late_packets_of_an_ended_call_do_not_reach_the_next_one(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.demux.close(A, port.now)
    port.leg(A, ("192.168.1.6", 5004), signalling=NAT)
    port.now += 0.5
    assert port.from_((NAT, 40001), ssrc=5) == 0
    assert port.from_((NAT, 40001), ssrc=9) == 0  # the source is enough
    assert port.from_((NAT, 40002), ssrc=5) == 0  # and so is the SSRC
    assert port.demux.drops.late == 3
    assert port.from_((NAT, 40003), ssrc=10) == A


def test_a_source_that_was_named_but_never_heard_is_remembered_too(port: Port) -> None:
    port.leg(A, (NAT, 40001))
    port.demux.close(A, port.now)
    port.leg(A, ("192.168.1.6", 5004), signalling=NAT)
    assert port.from_((NAT, 40001), ssrc=5) == 0
    assert port.from_((NAT, 40003), ssrc=6) == A


def test_tombstones_crumble_after_thirty_seconds(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.demux.close(A, port.now)
    port.now += TOMBSTONE_SECONDS
    port.leg(A, ("192.168.1.6", 5004), signalling=NAT)
    assert port.from_((NAT, 40001), ssrc=5) == A


def test_a_redial_from_the_same_source_hears_the_new_stream_and_not_the_old_ones_rest(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5, sequence=1000)
    port.demux.close(A, port.now)
    port.leg(B, PHONE)
    assert port.from_(PHONE, ssrc=5, sequence=1001) == 0
    assert port.hear((PHONE, rtp(1002, ssrc=5)), (PHONE, rtp(7, ssrc=6))) == [0, B]
    assert port.hear((PHONE, rtp(1003, ssrc=5)), (PHONE, rtp(8, ssrc=6))) == [0, B]


def test_the_leg_that_had_a_learnt_source_may_have_it_back_and_another_may_not(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.agree(A, ("192.168.1.5", 5006), signalling=NAT)  # a new answer: what was learnt is given up
    port.now += UNDER_WAY + 0.1
    assert port.from_((NAT, 40001), ssrc=5) == A
    port.demux.close(A, port.now)
    port.leg(A, ("192.168.1.5", 5006), signalling=NAT)
    assert port.from_((NAT, 40001), ssrc=5) == 0  # the same row, but another leg


def test_a_new_process_inherits_who_was_pinned() -> None:
    before = Port()
    before.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    before.from_((NAT, 40001), ssrc=5)
    before.leg(B, (NAT, 40002))
    after = Port()
    after.demux = Demux(10, before.demux.state, before.demux._tombstones.graves)
    after.demux.inherit(after.now)
    after.leg(A, ("192.168.1.6", 5004), signalling=NAT)
    assert after.from_((NAT, 40001), ssrc=5) == 0
    assert after.from_((NAT, 40009), ssrc=5) == 0
    assert after.from_((NAT, 40002), ssrc=6) == 0
    assert after.from_((NAT, 40003), ssrc=7) == A


def test_a_new_process_overwrites_the_oldest_tombstones_first() -> None:
    graves = np.zeros(4, TOMBSTONE)
    before = Tombstones(graves)
    for key in (1, 2, 3):
        before.bury(key, owner=key, ssrc=0, sequence=0, heard=False, now=100.0)
    after = Tombstones(graves)
    after.bury(4, owner=4, ssrc=0, sequence=0, heard=False, now=101.0)
    assert [after.hold(key, 0, 9, 102.0) for key in (1, 2, 3, 4)] == [True] * 4


# re-INVITE


def test_after_a_reinvite_both_sources_count_until_the_new_one_is_heard(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    assert port.agree(A, OTHER, renew=True) is True
    assert port.from_(PHONE, ssrc=5) == A
    assert port.from_(OTHER, ssrc=6) == A
    assert port.from_(PHONE, ssrc=5) == 0
    assert port.pinned()[-1] == (A, OTHER)


def test_what_was_under_way_when_the_first_new_sdp_came_is_not_where_the_far_end_is(port: Port) -> None:
    port.leg(A, PHONE)
    here = (PHONE[0], 5004)
    assert port.agree(A, here, renew=True) is True
    assert port.from_(PHONE, ssrc=5) == 0 and port.pinned() == []
    assert port.from_(here, ssrc=5) == A and port.pinned() == [(A, here)]


def test_who_goes_on_from_where_he_was_though_his_new_sdp_says_otherwise_is_learnt(port: Port) -> None:
    port.leg(A, PHONE)
    port.agree(A, (PHONE[0], 5004), renew=True)
    port.now += UNDER_WAY + 0.1
    assert port.from_(PHONE, ssrc=5) == A and port.pinned() == [(A, PHONE)]


def test_a_reinvite_and_back_again_is_heard_though_the_source_was_given_up(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    port.agree(A, OTHER, renew=True)
    port.from_(OTHER, ssrc=6)
    port.now += 3.0
    port.agree(A, PHONE, renew=True)
    assert port.from_(PHONE, ssrc=5) == A


def test_an_answer_that_replaces_another_ends_its_source_at_once(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    port.agree(A, OTHER)
    assert port.from_(PHONE, ssrc=5) == 0
    assert port.from_(OTHER, ssrc=6) == A


def test_the_phone_that_another_one_has_replaced_is_not_learnt_behind_their_nat_again(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.agree(A, ("192.168.1.6", 5004), signalling=NAT)
    port.pinned()
    for _ in range(3):
        assert port.from_((NAT, 40001), ssrc=5) == 0 and port.pinned() == []
        port.now += UNDER_WAY
    assert port.from_((NAT, 40002), ssrc=6) == A and port.pinned() == [(A, (NAT, 40002))]


def test_the_phone_that_one_of_the_same_private_address_has_replaced_is_given_up(port: Port) -> None:
    private, elsewhere = ("192.168.1.5", 5004), "203.0.113.9"
    port.leg(A, private, signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.pinned()
    assert port.agree(A, private, signalling=elsewhere) is True
    assert port.from_((NAT, 40001), ssrc=5) == 0 and port.pinned() == []
    assert port.from_((elsewhere, 40001), ssrc=6) == A and port.pinned() == [(A, (elsewhere, 40001))]


def test_the_same_sdp_again_keeps_what_was_learnt(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    assert port.agree(A, None, renew=True) is False  # on hold
    assert port.agree(A, ("192.168.1.5", 5004), signalling=NAT, renew=True) is False
    assert port.from_((NAT, 40001), ssrc=5) == A
    assert len(port.pinned()) == 1


def test_a_new_sdp_that_is_never_heard_gives_way_to_the_source_that_is(port: Port) -> None:
    port.leg(A, ("192.168.1.5", 5004), signalling=NAT)
    port.from_((NAT, 40001), ssrc=5)
    port.agree(A, ("192.168.1.5", 5008), signalling=NAT, renew=True)
    port.pinned()
    port.now += LEARN_SECONDS
    assert port.from_((NAT, 40001), ssrc=5) == A
    port.demux.expire(port.now)
    assert port.pinned() == [(A, (NAT, 40001))]


def test_a_new_sdp_whose_place_only_reports_is_sent_to_for_ever(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    port.agree(A, OTHER, renew=True)
    port.pinned()
    port.now += LEARN_SECONDS
    port.demux.heard[A] = port.now  # as by a report
    port.demux.expire(port.now)
    assert port.pinned() == []


def test_a_leg_that_moved_is_heard_at_both_ports_until_it_is_heard_at_the_new_one(port: Port) -> None:
    port.leg(A, PHONE, port=0)
    port.from_(PHONE, ssrc=5)
    port.demux.move(A, 3)
    port.agree(A, PHONE, renew=True)
    assert port.from_(PHONE, ssrc=5, port=0) == A
    assert port.from_(PHONE, ssrc=5, port=3) == A
    assert port.from_(PHONE, ssrc=5, port=0) == 0


# Floods


def test_a_crowd_at_a_waiting_legs_address_does_not_keep_the_named_source_out(port: Port) -> None:
    port.leg(A, PHONE)
    port.leg(B, (PHONE[0], 4002), learn=False)
    crowd = [((PHONE[0], 10_000 + n), rtp(1, ssrc=100 + n)) for n in range(500)]
    rows = port.hear(*crowd, (PHONE, rtp(1, ssrc=1)))
    assert rows[-1] == A
    assert set(rows[:-1]) == {0}


def test_garbage_changes_nothing(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    random = np.random.default_rng(7)
    for _ in range(50):
        port.hear(
            *((PHONE, random.bytes(int(random.integers(0, 200)))) for _ in range(20)),
            *((STRANGER, random.bytes(40)) for _ in range(20)),
        )
    assert port.from_(PHONE, ssrc=5) == A
    assert port.pinned() == [(A, PHONE)]


def test_rtcp_beside_finds_its_stream_by_ssrc_and_address(port: Port) -> None:
    port.leg(A, PHONE)
    port.from_(PHONE, ssrc=5)
    addresses = np.array([int(IPv4Address(ip)) for ip in (PHONE[0], OTHER[0], PHONE[0])], np.uint32)
    rows = port.demux.by_ssrc(np.zeros(3, np.int32), addresses, np.array([5, 5, 6], np.uint32))
    assert rows.tolist() == [A, 0, 0]


def test_after_a_new_offer_the_codecs_of_the_old_one_count_too_under_numbers_that_mean_nothing_else_now(
    port: Port,
) -> None:
    port.leg(A, PHONE)
    port.agree(A, PHONE, renew=True, kinds={8: ULAW})
    said = [(PHONE, rtp(number, payload_type=kind)) for number, kind in enumerate((0, 8, 101, 13))]
    assert port.hear(*said) == [A, A, 0, 0]
    assert port.demux._kinds[A, [0, 8]].tolist() == [ULAW, ULAW]
    port.agree(A, PHONE, kinds={8: ALAW})
    assert port.hear(*said) == [0, A, 0, 0]


def test_of_a_crowd_so_many_are_looked_at_in_a_batch(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []
    owner = Demux._owner

    def watched(demux: Demux, key: int, ssrc: int, sequence: int, now: float) -> int:
        looked.append(ssrc)
        return owner(demux, key, ssrc, sequence, now)

    monkeypatch.setattr(Demux, "_owner", watched)
    port.leg(A, PHONE)
    crowd = [((PHONE[0], 10_000 + n), rtp(1, ssrc=100 + n, payload_type=99)) for n in range(500)]
    assert not any(port.hear(*crowd, *crowd))
    assert len(looked) == len(set(looked)) == STRANGERS
