"""SRTP in place, against pylibsrtp's own sessions as the far end."""

import secrets

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtp.datagrams import Inbox, Outbox
from rtp.srtp import MAX_SOURCES, SUITES, Srtp
from tests.support.virtual_network import rtp

CM80 = "AES_CM_128_HMAC_SHA1_80"
ROWS = 4


def key_for(suite: str) -> bytes:
    return secrets.token_bytes(SUITES[suite][1])


class Far:
    """A far end of row 1, with keys of its own each way."""

    def __init__(self, srtp: Srtp, suite: str = CM80, *, row: int = 1) -> None:
        self.suite = suite
        self.ours, self.theirs = key_for(suite), key_for(suite)
        profile = SUITES[suite][0]
        self.outbound = Session(
            Policy(key=self.theirs, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        )
        self.inbound = Session(Policy(key=self.ours, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        srtp.set_keys(row, suite, self.ours, self.theirs)

    def renew(self, srtp: Srtp) -> None:
        """Other keys, of which it begins to make use."""
        fresh = Far(srtp, self.suite)
        self.ours, self.theirs = fresh.ours, fresh.theirs
        self.inbound, self.outbound = fresh.inbound, fresh.outbound

    @staticmethod
    def report(ssrc: int) -> bytes:
        return bytes([0x80, 201, 0, 1]) + ssrc.to_bytes(4, "big")

    def packet(self, number: int, **changes: int) -> bytes:
        return self.outbound.protect(rtp(number, **changes))  # type: ignore[arg-type]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox(8)


@pytest.fixture
def srtp(inbox: Inbox) -> Srtp:
    return Srtp(np.zeros(ROWS, bool), inbox)


def arrive(srtp: Srtp, *packets: bytes, row: int = 1) -> list[bool]:
    """Put packets into the inbox and unprotect them for a row."""
    for place, packet in enumerate(packets):
        srtp.inbox.slots[place, : len(packet)] = np.frombuffer(packet, np.uint8)
        srtp.inbox.length[place] = len(packet)
    places = np.arange(len(packets))
    return srtp.unprotect(np.full(len(packets), row), places).tolist()


def lying(srtp: Srtp, place: int = 0) -> bytes:
    """What lies in a place of the inbox."""
    return srtp.inbox.slots[place, : int(srtp.inbox.length[place])].tobytes()


@pytest.mark.parametrize("suite", SUITES)
def test_what_a_far_end_protects_is_laid_open_in_place(srtp: Srtp, suite: str) -> None:
    far = Far(srtp, suite)
    assert arrive(srtp, far.packet(1), far.packet(2, payload_type=8)) == [True, True]
    assert (lying(srtp, 0), lying(srtp, 1)) == (rtp(1), rtp(2, payload_type=8))


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_protected_here_a_far_end_lays_open(srtp: Srtp, suite: str) -> None:
    far, outbox = Far(srtp, suite), Outbox(3 * ROWS)
    for slot, number in ((1, 7), (2, 1), (ROWS + 1, 8)):
        outbox.slots[slot, :172] = np.frombuffer(rtp(number), np.uint8)
        outbox.lengths[slot] = 172
    slots, plain = srtp.protect(outbox, np.array([1, 2, ROWS + 1]))
    assert slots.tolist() == [1, ROWS + 1] and plain.tolist() == [172, 172]
    for slot, number in ((1, 7), (ROWS + 1, 8)):
        sent = outbox.slots[slot, : int(outbox.lengths[slot])].tobytes()
        assert len(sent) > 172 and far.inbound.unprotect(sent) == rtp(number)
    assert outbox.slots[2, : int(outbox.lengths[2])].tobytes() == rtp(1)  # a leg without keys


@pytest.mark.parametrize("suite", SUITES)
def test_reports_are_protected_both_ways(srtp: Srtp, suite: str) -> None:
    report = b"\x80\xc9\x00\x01\x00\x00\x00\x07"
    far, outbox = Far(srtp, suite), Outbox(8)
    assert arrive(srtp, far.outbound.protect_rtcp(report)) == [True] and lying(srtp) == report
    arrive(srtp)
    srtp.inbox.slots[0, : len(report)] = np.frombuffer(report, np.uint8)
    outbox.slots[:2, : len(report)] = srtp.inbox.slots[0, : len(report)]
    outbox.lengths[:2] = len(report)
    srtp.protect_rtcp(outbox, np.array([2, 1]))
    assert outbox.lengths[0] == len(report)
    assert far.inbound.unprotect_rtcp(outbox.slots[1, : int(outbox.lengths[1])].tobytes()) == report


@pytest.mark.parametrize("suite", SUITES)
def test_what_is_altered_plain_or_anothers_is_rejected_and_what_comes_twice_replayed(
    srtp: Srtp, suite: str
) -> None:
    far, other = Far(srtp, suite), Far(srtp, suite, row=2)
    good = far.packet(1)
    altered = bytearray(good)
    altered[20] ^= 1
    assert arrive(srtp, bytes(altered), rtp(1), other.packet(1), b"", good[:5], good[:-1]) == [False] * 6
    assert srtp.counts == {"srtp_rejected": 6, "srtp_replayed": 0, "rtcp_in_clear": 0, "srtp_unsent": 0}
    assert arrive(srtp, good) == [True]
    assert arrive(srtp, good) == [False]
    assert srtp.counts["srtp_replayed"] == 1


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("last", [b"PONG", b"\xff\xff\xff\xff"])
def test_reports_in_the_clear_are_no_attack_and_tell_nothing(srtp: Srtp, suite: str, last: bytes) -> None:
    """baresip opens its way with such a packet, before it protects anything."""
    far = Far(srtp, suite)
    ping = b"\x80\xcc\x00\x03\x00\x00\x00\x01PING" + last
    assert arrive(srtp, ping, ping[:-1]) == [False] * 2
    assert srtp.counts == {"srtp_rejected": 1, "srtp_replayed": 0, "rtcp_in_clear": 1, "srtp_unsent": 0}
    assert srtp.rejected[1] == 1
    sealed = far.outbound.protect_rtcp(ping)
    assert arrive(srtp, sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed) == [False, True]
    assert srtp.counts["rtcp_in_clear"] == 1 and srtp.counts["srtp_rejected"] == 2


def test_the_rollover_is_followed_across_losses(srtp: Srtp) -> None:
    far = Far(srtp)
    for number in range(65_000, 65_536 * 3, 9_000):
        packet = far.packet(number)
        assert arrive(srtp, packet) == [True]
        assert lying(srtp) == rtp(number)


def test_our_own_rollover_is_one_that_a_far_end_follows(srtp: Srtp) -> None:
    far, outbox = Far(srtp), Outbox(ROWS)
    for number in range(65_000, 65_536 * 2 + 9_000, 9_000):
        outbox.slots[1, :172] = np.frombuffer(rtp(number), np.uint8)
        outbox.lengths[1] = 172
        srtp.protect(outbox, np.array([1]))
        sent = outbox.slots[1, : int(outbox.lengths[1])].tobytes()
        assert far.inbound.unprotect(sent) == rtp(number)


def test_another_source_under_the_same_key_is_taken_and_so_many_of_them(srtp: Srtp) -> None:
    far = Far(srtp)
    for ssrc in range(MAX_SOURCES):
        assert arrive(srtp, far.packet(1, ssrc=ssrc)) == [True]
    assert arrive(srtp, far.packet(1, ssrc=MAX_SOURCES)) == [False]
    assert arrive(srtp, far.packet(2, ssrc=0)) == [True]


@pytest.mark.parametrize("suite", [CM80, "AEAD_AES_128_GCM"])
def test_old_keys_are_good_until_the_first_packet_under_the_new(srtp: Srtp, suite: str) -> None:
    old = Far(srtp, suite)
    assert arrive(srtp, old.packet(1)) == [True]
    new = Far(srtp, suite)
    assert arrive(srtp, old.packet(2)) == [True]
    assert lying(srtp) == rtp(2)
    assert arrive(srtp, new.packet(3)) == [True]
    assert lying(srtp) == rtp(3)
    assert arrive(srtp, old.packet(4)) == [False]


@pytest.mark.parametrize("suite", [CM80, "AEAD_AES_256_GCM"])
@pytest.mark.parametrize("wraps_between", [False, True])
def test_a_source_that_goes_on_counting_its_rollovers_under_a_new_key_is_heard(
    srtp: Srtp, suite: str, wraps_between: bool
) -> None:
    """As RFC 3711 section 3.3.1 has it; what begins at zero is heard too."""
    far = Far(srtp, suite)
    last = 65_535 if wraps_between else 65_600
    for number in range(65_400, last + 1, 10):
        assert arrive(srtp, far.packet(number)) == [True]
    held, report = far.packet(last + 1), Far.report(1)
    far.renew(srtp)
    for number in range(last + 1):
        far.packet(number)  # the same source has counted so far
    assert arrive(srtp, held, secrets.token_bytes(182)) == [True, False]
    assert arrive(srtp, far.outbound.protect_rtcp(report)) == [True]
    fresh = [far.packet(number) for number in range(last + 2, last + 6)]
    assert arrive(srtp, *fresh, fresh[0]) == [True] * 4 + [False]
    assert arrive(srtp, *(far.packet(number) for number in range(last + 6, 140_000, 20_000))) == [True] * 4
    assert srtp.counts["srtp_rejected"] == 1 and srtp.counts["srtp_replayed"] == 1


def test_keys_that_change_twice_before_a_packet_leave_the_one_in_use_good(srtp: Srtp) -> None:
    old = Far(srtp)
    assert arrive(srtp, old.packet(1)) == [True]
    Far(srtp)
    new = Far(srtp)
    assert arrive(srtp, old.packet(2), new.packet(3), old.packet(4)) == [True, True, False]


def test_a_key_that_is_taken_back_remembers_what_came_under_it(srtp: Srtp) -> None:
    """Or a packet that was heard long ago could be played again, and the rollover begin anew."""
    old = Far(srtp)
    packets = [old.packet(number) for number in (60_000, 70_000)]
    assert arrive(srtp, *packets) == [True] * 2
    between = Far(srtp)
    srtp.set_keys(1, old.suite, old.ours, old.theirs)
    assert arrive(srtp, packets[0], packets[1], old.packet(80_000)) == [False, False, True]
    assert arrive(srtp, between.packet(1), old.packet(80_001)) == [False, True]


def test_another_far_end_leaves_the_key_of_the_one_before_good_for_nothing(srtp: Srtp) -> None:
    old, suite = Far(srtp), CM80
    assert arrive(srtp, old.packet(1)) == [True]
    srtp.set_keys(1, suite, key_for(suite), key_for(suite), renew=False)
    assert arrive(srtp, old.packet(2)) == [False]


def test_what_we_send_is_under_the_new_key_at_once(srtp: Srtp) -> None:
    old, outbox = Far(srtp), Outbox(ROWS)
    new = Far(srtp)
    outbox.slots[1, :172] = np.frombuffer(rtp(1), np.uint8)
    outbox.lengths[1] = 172
    srtp.protect(outbox, np.array([1]))
    sent = outbox.slots[1, : int(outbox.lengths[1])].tobytes()
    assert new.inbound.unprotect(sent) == rtp(1) and old.ours != new.ours


def test_it_is_told_when_what_we_send_is_under_another_key(srtp: Srtp) -> None:
    """Keys after none, too: they may be those of before, under which every number was used already."""
    keys = CM80, key_for(CM80), key_for(CM80)
    assert srtp.set_keys(1, *keys)
    assert not srtp.set_keys(1, *keys)
    assert not srtp.set_keys(1, keys[0], keys[1], key_for(CM80))
    assert srtp.set_keys(1, keys[0], key_for(CM80), keys[2])
    srtp.drop_keys(1)
    assert srtp.set_keys(1, *keys)


def test_the_same_keys_again_forget_neither_replays_nor_rollover(srtp: Srtp) -> None:
    far = Far(srtp)
    packets = [far.packet(number) for number in (60_000, 70_000, 80_000)]
    assert arrive(srtp, *packets) == [True] * 3
    srtp.set_keys(1, far.suite, far.ours, far.theirs)
    assert arrive(srtp, packets[-1], far.packet(80_001)) == [False, True]


def test_a_leg_that_loses_its_keys_is_a_plain_one(srtp: Srtp) -> None:
    Far(srtp)
    assert len(srtp) == 1 and srtp.secure[1]
    srtp.drop_keys(1)
    srtp.drop_keys(1)
    assert len(srtp) == 0 and not srtp.secure.any()
    assert srtp.unprotect_rtcp(1, 0)


def test_keys_of_the_wrong_size_and_unknown_suites_are_refused_and_never_shown(srtp: Srtp) -> None:
    with pytest.raises(ValueError, match="takes 30 bytes of key and salt, got 16") as caught:
        srtp.set_keys(1, CM80, b"0123456789abcdef", bytes(30))
    assert "0123" not in str(caught.value)
    with pytest.raises(ValueError, match=r"expected a suite out of AES_CM_128_HMAC_SHA1_80, .*, got F8"):
        srtp.set_keys(1, "F8", bytes(30), bytes(30))
    assert not srtp.secure.any() and len(srtp) == 0
    far = Far(srtp)
    for thing in (srtp, srtp._legs[1], srtp._legs[1].inbound):
        assert repr(far.theirs)[2:-1] not in repr(thing)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.binary(max_size=300), st.sampled_from(sorted(SUITES)), st.booleans())
def test_any_bytes_are_rejected_and_break_nothing(srtp: Srtp, data: bytes, suite: str, former: bool) -> None:
    srtp.drop_keys(1)
    far = Far(srtp, suite)
    if former:
        far = Far(srtp, suite)
    assert arrive(srtp, data, b"\x80\x00" + data, b"\x80\xc8" + data) == [False] * 3
    assert arrive(srtp, far.packet(9)) == [True]
