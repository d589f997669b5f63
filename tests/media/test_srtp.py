"""Calls with keys, on a network in memory: who passes is heard, and who does not moves nothing."""

import secrets
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from pylibsrtp import Error, Policy, Session

from media.messages import Close, Pinned, Refused, Seat, SendDigits, Srtp
from media.shared import COUNTERS
from rtp.rtcp import parse_compound
from rtp.srtp import SUITES
from tests.support.virtual_network import Address, VirtualMedia, connect, rtp

ALICE, ALICE_RTCP = ("198.51.100.1", 4000), ("198.51.100.1", 4001)
BOB = ("198.51.100.2", 4000)
NAT, ELSEWHERE = ("203.0.113.7", 40_001), ("203.0.113.7", 50_001)
HOST = int.from_bytes(bytes([203, 0, 113, 7]), "big")
CM80 = "AES_CM_128_HMAC_SHA1_80"
SPEECH = b"\x20" * 160


class Phone:
    """A far end with keys: protects what it says and lays open what it is sent."""

    def __init__(self, address: Address, *, ssrc: int = 1, suite: str = CM80) -> None:
        self.address, self.ssrc, self.suite = address, ssrc, suite
        self.number = 0
        self.rekey()

    def rekey(self) -> Srtp:
        profile, size = SUITES[self.suite]
        ours, theirs = secrets.token_bytes(size), secrets.token_bytes(size)
        self.outbound = Session(Policy(theirs, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self.inbound = Session(Policy(ours, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self.keys = Srtp(self.suite, ours, theirs)
        return self.keys

    def packet(self, payload: bytes = SPEECH, **changes: int) -> bytes:
        self.number += 1
        return self.outbound.protect(rtp(self.number, **{"ssrc": self.ssrc, **changes}, payload=payload))

    def hears(self, sent: list[tuple[int, Address, bytes]]) -> list[bytes]:
        """The payloads it is sent. Raises pylibsrtp.Error where one is not under its keys."""
        return [
            self.inbound.unprotect(data)[12:]
            for _, to, data in sent
            if to == self.address and not data[1] >= 200
        ]


class Media(VirtualMedia):
    def dial(self, leg: int, phone: Phone, *, room: int = 7, **changes: object) -> None:
        self.open(leg, phone.address, srtp=phone.keys, **changes)
        self.commands.append(Seat(leg, room, False, False, None, []))

    def count(self, name: str) -> int:
        self.engine._publish()
        return int(self.shared.counters[COUNTERS.index(name)])


@pytest.fixture
def media() -> Iterator[Media]:
    media = Media()
    yield media
    media.close()


@pytest.fixture
def alice() -> Phone:
    return Phone(ALICE)


@pytest.fixture
def bob() -> Phone:
    return Phone(BOB, ssrc=2)


def talk(media: Media, *phones: Phone, beats: int = 10) -> list[tuple[int, Address, bytes]]:
    for _ in range(beats):
        for phone in phones:
            media.say(phone.address, phone.packet())
        sent = media.beat()
    return sent


@pytest.mark.parametrize("suite", SUITES)
def test_phones_with_keys_hear_each_other_and_a_phone_without(media: Media, suite: str) -> None:
    alice, bob = Phone(ALICE, suite=suite), Phone(BOB, ssrc=2, suite=suite)
    plain = ("198.51.100.3", 4000)
    media.dial(1, alice)
    media.dial(2, bob)
    media.open(3, plain)
    media.commands.append(Seat(3, 8, False, False, None, []))
    for number in range(20):
        media.say(plain, rtp(number, ssrc=3))
        media.say(ALICE, alice.packet())
        sent = media.beat()
        heard = bob.hears(sent)
    assert heard == [SPEECH] and alice.hears(sent) == [b"\xff" * 160]
    assert [data[12:] for _, to, data in sent if to == plain] == [b"\xff" * 160]
    assert media.count("srtp_legs") == 2 and media.count("srtp_rejected") == 0


def test_a_hundred_thousand_bad_packets_end_no_call_move_nothing_and_are_counted(
    media: Media, alice: Phone, bob: Phone
) -> None:
    media.dial(1, alice)
    media.dial(2, bob)
    talk(media, alice)
    pinned = media.demux.state.copy()
    random = np.random.default_rng(1)
    noise = [random.bytes(160) for _ in range(64)]
    replayed = alice.packet()
    media.say(ALICE, replayed)
    media.beat()
    count = 0
    while count < 100_000:
        for kind in range(240):
            number, ssrc = count % 65_536, (1, 666)[count % 2]
            media.say(
                (ALICE, ("198.51.100.1", 4002), ALICE_RTCP)[kind % 3],
                (rtp(number, ssrc=ssrc), replayed, rtp(number, ssrc=ssrc, payload=noise[kind % 64]))[
                    kind % 3
                ],
            )
            count += 1
        media.say(ALICE, alice.packet())
        sent = media.beat()
        assert bob.hears(sent) == [SPEECH]
    assert media.told(Pinned) == [Pinned(1, 0xC6336401, 4000)]
    assert media.demux.state["pinned"].tolist() == pinned["pinned"].tolist()
    assert media.demux.state["ssrc"][1] == 1 and media.count("rebindings") == 0
    assert media.count("srtp_rejected") + media.count("dropped_unknown_source") >= 100_000
    assert media.count("srtp_rejected") >= 33_000 and media.count("legs") == 2


def test_what_does_not_pass_is_no_sign_of_life(media: Media, alice: Phone) -> None:
    media.dial(1, alice)
    talk(media, alice)
    heard = media.demux.heard[1]
    for number in range(50):
        media.say(ALICE, rtp(alice.number + 1 + number))
        media.say(ALICE, b"\x80\xc9\x00\x01\x00\x00\x00\x01")
        media.say(ALICE_RTCP, b"\x80\xc9\x00\x01\x00\x00\x00\x01", port=media.ports)
        media.beat()
    assert media.demux.heard[1] == heard
    assert media.count("srtp_rejected") == 50 and media.count("rtcp_in_clear") == 100


def test_stun_from_where_a_leg_with_keys_is_heard_is_no_attack(media: Media, alice: Phone) -> None:
    media.dial(1, alice)
    media.say(alice.address, alice.packet())
    media.say(alice.address, b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
    media.beat()
    assert media.count("keep_alives") == 1
    assert media.count("srtp_rejected") == media.count("dropped_malformed") == 0


def test_plain_sound_for_a_leg_with_keys_is_heard_by_nobody(media: Media, alice: Phone, bob: Phone) -> None:
    media.dial(1, alice)
    media.dial(2, bob)
    for number in range(20):
        media.say(ALICE, rtp(number, payload=SPEECH))
        assert bob.hears(media.beat()) == [b"\xff" * 160]
    assert media.told(Pinned) == [] and media.count("srtp_rejected") == 20


def test_who_is_first_but_does_not_pass_is_not_learnt(media: Media, alice: Phone) -> None:
    media.open(1, ("192.168.1.5", 5004), signalling=HOST, srtp=alice.keys)
    thief = Phone(ELSEWHERE)
    for number in range(5):
        media.say(ELSEWHERE, rtp(number))
        media.say(ELSEWHERE, thief.packet())
        assert {to for _, to, _ in media.beat()} == {("192.168.1.5", 5004)}
    assert media.told(Pinned) == []
    media.say(ELSEWHERE, thief.packet(ssrc=alice.ssrc))
    media.say(NAT, alice.packet())
    assert {to for _, to, _ in media.beat()} == {NAT}
    assert media.told(Pinned) == [Pinned(1, HOST, 40_001)]
    assert media.count("srtp_rejected") == 11


def test_all_packets_of_the_batch_that_pins_are_asked_for_their_keys(media: Media, alice: Phone) -> None:
    media.open(1, ("192.168.1.5", 5004), signalling=HOST, srtp=alice.keys)
    media.say(NAT, alice.packet())
    media.say(NAT, rtp(2))
    media.say(NAT, alice.packet())
    media.beat(10)
    assert media.count("srtp_rejected") == 1
    assert media.shared.legs["received"].max() == 2


def test_a_nat_that_rebinds_is_followed_and_one_who_copies_its_stream_is_not(
    media: Media, alice: Phone
) -> None:
    media.open(1, ("192.168.1.5", 5004), signalling=HOST, srtp=alice.keys)
    for _ in range(10):
        media.say(NAT, alice.packet())
        media.beat()
    media.beat(10)
    for number in range(5):
        media.say(ELSEWHERE, rtp(alice.number + 1 + number, ssrc=alice.ssrc))
    assert {to for _, to, _ in media.beat()} == {NAT}
    assert media.count("rebindings") == 0
    media.say(ELSEWHERE, alice.packet())
    assert {to for _, to, _ in media.beat()} == {ELSEWHERE}
    assert media.count("rebindings") == 1


def test_another_ssrc_under_the_same_key_is_followed(media: Media, alice: Phone, bob: Phone) -> None:
    media.dial(1, alice)
    media.dial(2, bob)
    for turn in range(30):
        alice.ssrc = 99 if turn >= 10 else 1
        media.say(ALICE, alice.packet())
        heard = bob.hears(media.beat())
    assert heard == [SPEECH] and media.demux.state["ssrc"][1] == 99
    assert media.count("srtp_rejected") == 0


def test_new_keys_by_a_reinvite_take_over_without_a_gap(media: Media, alice: Phone, bob: Phone) -> None:
    media.dial(1, alice)
    media.dial(2, bob)
    for _ in range(10):
        media.say(ALICE, alice.packet())
        bob.hears(media.beat())
    old = alice.outbound
    media.commands.append(connect(1, ALICE, renew=True, srtp=alice.rekey()))
    new, alice.outbound = alice.outbound, old
    for turn in range(20):
        if turn == 10:
            alice.outbound = new
        media.say(ALICE, alice.packet())
        sent = media.beat()
        assert bob.hears(sent) == [SPEECH]
        assert len(alice.hears(sent)) == 1  # under the new key from the first
    alice.outbound = old
    media.say(ALICE, alice.packet())
    media.beat()
    assert media.count("srtp_rejected") == 1


def test_a_new_key_of_ours_is_another_source_whose_rollover_counter_is_zero_by_any_reading(
    media: Media, alice: Phone
) -> None:
    """After a wrap of our numbers one far end keeps the counter of a source, another begins anew."""
    media.dial(1, alice)
    media.beat()
    media.engine._outgoing._sequence[1] = 65_530
    before = [data for _ in range(10) for _, to, data in media.beat() if to == ALICE]
    media.commands.append(connect(1, ALICE, renew=True, srtp=alice.rekey()))
    after = [data for _ in range(10) for _, to, data in media.beat() if to == ALICE]
    sources = [{data[8:12] for data in packets} for packets in (before, after)]
    assert len(sources[0]) == len(sources[1]) == 1 and sources[0] != sources[1]
    first = int.from_bytes(after[0][2:4], "big")
    assert first < 1 << 15  # RFC 3711 section 3.3.1: or a loss would hide a wrap
    times = [int.from_bytes(data[4:8], "big") for data in (before[-1], after[0])]
    assert (times[1] - times[0]) % (1 << 32) == 160
    assert all(len(alice.inbound.unprotect(data)) == 172 for data in after)


def test_the_same_keys_again_change_nothing(media: Media, alice: Phone) -> None:
    media.dial(1, alice)
    ours = talk(media, alice, beats=1)
    alice.hears(ours)
    media.commands.append(connect(1, ALICE, renew=True, srtp=alice.keys))
    packet = alice.packet()
    media.say(ALICE, packet)
    sent = media.beat()
    assert alice.hears(sent) and sent[0][2][8:12] == ours[0][2][8:12]
    media.say(ALICE, packet)
    assert alice.hears(media.beat())
    assert media.count("srtp_replayed") == 1


def test_keys_that_cannot_be_used_connect_nothing_and_stand_in_no_report(media: Media) -> None:
    media.open(1, ALICE, srtp=Srtp(CM80, b"too short a secret", bytes(30)))
    assert media.beat(3) == []
    (refused,) = media.told(Refused)
    assert refused.command == "Connect" and "takes 30 bytes" in refused.reason
    assert "secret" not in repr(refused)


@pytest.mark.parametrize("ptime", [10, 20, 40, 60])
def test_packets_of_any_time_leave_protected_and_so_do_keys(media: Media, alice: Phone, ptime: int) -> None:
    media.dial(1, alice, ptime=ptime)
    sound = []
    for beat in range(60):
        if beat == 10:
            media.commands.append(SendDigits(1, 1, "5", 100, 100))
        for _, to, data in media.beat():
            if to == ALICE:
                sound.append(alice.inbound.unprotect(data))
    events = [data for data in sound if data[1] & 0x7F == 101]
    assert len(events) >= 5 and all(len(data) == 16 and data[12] == 5 for data in events)
    assert {len(data) for data in sound if data[1] & 0x7F == 0} == {12 + 8 * ptime}


def test_reports_go_protected_both_ways_and_so_does_the_goodbye(media: Media, alice: Phone) -> None:
    beside = {"rtcp_address": 0xC6336401, "rtcp_port": 4001}
    media.dial(1, alice, **beside)
    talk(media, alice)
    ours = int(media.engine._outgoing.sending(np.array([1])).ssrc[0])
    block = struct.pack(">IIIIII", ours, 26 << 24 | 5, 100, 160, 0, 0)
    report = struct.pack(">BBHI", 0x81, 201, 7, alice.ssrc) + block
    media.say(ALICE_RTCP, report, port=media.ports)
    media.beat(10)
    assert np.isnan(media.shared.quality["far_loss"][1]) and media.count("rtcp_in_clear") == 1
    media.say(ALICE_RTCP, alice.outbound.protect_rtcp(report), port=media.ports)
    media.beat(10)
    assert media.shared.quality["far_lost"][1] == 5
    said = []
    for beat in range(200):
        if beat == 190:
            media.commands.append(Close(1))
        for _, to, data in media.beat():
            if to == ALICE_RTCP:
                with pytest.raises(Error):
                    Phone(ALICE).inbound.unprotect_rtcp(data)
                said.append(parse_compound(alice.inbound.unprotect_rtcp(data)))
    assert len(said) >= 2 and None not in said
    assert said[-1] is not None and said[-1].leaving == (ours,)


def test_multiplexed_reports_are_laid_open_as_well(media: Media, alice: Phone) -> None:
    media.dial(1, alice, rtcp_mux=True, rtcp_address=0xC6336401, rtcp_port=4000)
    talk(media, alice)
    ours = int(media.engine._outgoing.sending(np.array([1])).ssrc[0])
    block = struct.pack(">IIIIII", ours, 26 << 24 | 5, 100, 160, 0, 0)
    report = struct.pack(">BBHI", 0x81, 201, 7, alice.ssrc) + block
    media.say(ALICE, report)
    media.say(ALICE, alice.outbound.protect_rtcp(report))
    media.beat(10)
    assert media.shared.quality["far_lost"][1] == 5 and media.count("rtcp_in_clear") == 1


def test_nothing_is_left_of_a_leg_with_keys(media: Media, alice: Phone) -> None:
    for _ in range(20):
        media.dial(1, alice)
        media.beat()
        media.commands.append(Close(1))
        media.beat()
    assert len(media.engine._srtp) == 0 and not media.demux.secure.any()
    media.open(1, ALICE)
    media.say(ALICE, rtp(1))
    media.beat(10)
    assert media.told(Pinned) and media.count("srtp_legs") == 0
