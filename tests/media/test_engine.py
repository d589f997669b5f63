"""The engine on a network in memory, beat by beat, in virtual time."""

import os
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from media import memory
from media.messages import (
    Close,
    Coach,
    Digit,
    EndRoom,
    Flags,
    Forget,
    Heard,
    Load,
    Move,
    Open,
    Pinned,
    Played,
    PlayToLeg,
    PlayToRoom,
    Refused,
    Seat,
    Silent,
    StopPlay,
    Unplayed,
    Unseat,
)
from media.shared import COUNTERS
from tests.support.virtual_network import PCMA, Address, VirtualMedia, connect, rtp

ALICE = ("198.51.100.1", 4000)
BOB = ("198.51.100.2", 4000)
CAROL = ("198.51.100.3", 4000)
NAT = ("203.0.113.7", 40001)
SILENCE = b"\xff" * 160


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


def payloads(sent: list[tuple[int, Address, bytes]], to: Address) -> list[bytes]:
    return [data[12:] for _, address, data in sent if address == to]


def seated(media: VirtualMedia, room: int, *legs: int) -> None:
    media.commands += [Seat(leg, room, False, False, None, []) for leg in legs]


def load(media: VirtualMedia, prompt: int, samples: np.ndarray) -> None:
    """Give the engine a prompt, at a beat of its own."""
    descriptor = memory.sealed(samples.astype("<i2").tobytes())
    media.commands.append(Load(prompt, 2 * len(samples)))
    media.engine._descriptors.append(descriptor)


def counted(media: VirtualMedia, name: str) -> int:
    media.engine._publish()
    return int(media.shared.counters[COUNTERS.index(name)])


# Packets out


def test_a_leg_gets_silence_every_beat_from_connect_to_close_without_having_sent(media: VirtualMedia) -> None:
    media.open(1, ALICE, port=2)
    for _ in range(50):
        ((port, to, data),) = media.beat()
        assert (port, to, data[12:]) == (2, ALICE, SILENCE)
    media.commands.append(Close(1))
    assert media.beat() == []


def test_a_leg_is_sent_nothing_before_its_sdp_is_known(media: VirtualMedia) -> None:
    media.commands.append(Open(1, 0))
    assert media.beat(5) == []


def test_a_leg_that_only_listens_to_us_not_is_sent_nothing(media: VirtualMedia) -> None:
    media.open(1, ALICE, sends=False)
    assert media.beat(5) == []


def test_a_leg_that_was_learnt_elsewhere_is_sent_to_there(media: VirtualMedia) -> None:
    media.open(1, ("192.168.1.5", 5004), signalling=int.from_bytes(bytes([203, 0, 113, 7]), "big"))
    assert media.beat()[0][1] == ("192.168.1.5", 5004)
    media.say(NAT, rtp(1))
    assert media.beat()[0][1] == NAT
    assert media.told(Pinned) == [Pinned(1, int.from_bytes(bytes([203, 0, 113, 7]), "big"), 40001)]


def test_a_leg_on_hold_by_an_empty_address_comes_back_to_the_source_that_was_learnt(
    media: VirtualMedia,
) -> None:
    nat = int.from_bytes(bytes([203, 0, 113, 7]), "big")
    media.open(1, ("192.168.1.5", 5004), signalling=nat)
    media.say(NAT, rtp(1))
    media.beat(2)
    media.commands.append(connect(1, None, renew=True))
    assert media.beat(3) == []
    media.commands.append(connect(1, ("192.168.1.5", 5004), signalling=nat, renew=True))
    assert media.beat()[0][1] == NAT


def test_a_leg_that_moves_sends_from_its_new_port(media: VirtualMedia) -> None:
    media.open(1, ALICE, port=0)
    media.beat()
    media.commands += [Move(1, 3), connect(1, ALICE, renew=True)]
    assert media.beat()[0][0] == 3
    media.say(ALICE, rtp(1), port=3)
    media.beat()
    assert media.told(Pinned)


def test_a_leg_hears_in_its_own_law_and_payload_type(media: VirtualMedia) -> None:
    media.open(1, ALICE, format=PCMA, payload_type=8)
    ((_, _, data),) = media.beat()
    assert data[1] & 0x7F == 8
    assert data[12:] == b"\xd5" * 160


# Who hears whom


def test_each_hears_the_other_and_not_himself(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.open(2, BOB)
    seated(media, 7, 1, 2)
    for number in range(20):
        media.say(ALICE, rtp(number, ssrc=1, payload=b"\x20" * 160))
        media.say(BOB, rtp(number, ssrc=2, payload=b"\x30" * 160))
        sent = media.beat()
    assert payloads(sent, ALICE) == [b"\x30" * 160]
    assert payloads(sent, BOB) == [b"\x20" * 160]


def test_two_calls_whose_peers_share_one_address_and_port_on_two_ports_stay_apart(
    media: VirtualMedia,
) -> None:
    for leg, port in ((1, 0), (2, 1)):
        media.open(leg, ALICE, port=port)
        media.open(leg + 2, BOB if leg == 1 else CAROL, port=port)
        seated(media, leg, leg, leg + 2)
    for number in range(20):
        media.say(ALICE, rtp(number, ssrc=1, payload=b"\x20" * 160), port=0)
        media.say(ALICE, rtp(number, ssrc=2, payload=b"\x30" * 160), port=1)
        sent = media.beat()
    assert payloads(sent, BOB) == [b"\x20" * 160]
    assert payloads(sent, CAROL) == [b"\x30" * 160]


def test_a_stranger_who_sprays_every_port_is_heard_nowhere_and_sent_nothing(media: VirtualMedia) -> None:
    media.open(1, ALICE, port=0)
    media.open(2, BOB, port=1)
    seated(media, 7, 1, 2)
    for number in range(20):
        for port in range(8):
            media.say(("192.0.2.66", 666), rtp(number, ssrc=1, payload=b"\x20" * 160), port=port)
        sent = media.beat()
        assert {to for _, to, _ in sent} == {ALICE, BOB}
        assert {data[12:] for _, _, data in sent} == {SILENCE}
    assert counted(media, "dropped_unknown_source") == 20 * 4  # the others came to RTCP ports


def test_late_packets_of_an_ended_call_reach_no_other_though_its_row_and_port_do(
    media: VirtualMedia,
) -> None:
    media.open(1, ALICE)
    media.open(2, BOB)
    seated(media, 7, 1, 2)
    for number in range(5):
        media.say(ALICE, rtp(number, ssrc=1, payload=b"\x20" * 160))
        media.beat()
    media.commands.append(Close(1))
    media.open(3, (ALICE[0], 9000))
    seated(media, 7, 3)
    media.say(ALICE, rtp(5, ssrc=1, payload=b"\x20" * 160))
    media.beat()
    for number in range(6, 40):
        media.say(ALICE, rtp(number, ssrc=1, payload=b"\x20" * 160))
        sent = media.beat()
        assert payloads(sent, BOB) == [SILENCE]
    assert counted(media, "dropped_late") > 0


def test_a_packet_in_the_beat_of_its_legs_connect_is_not_lost(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.say(ALICE, rtp(1))
    media.beat()
    assert media.told(Pinned)


def test_audio_of_a_leg_that_agreed_to_send_none_is_not_heard(media: VirtualMedia) -> None:
    media.open(1, ALICE, receives=False)
    media.open(2, BOB)
    seated(media, 7, 1, 2)
    for number in range(10):
        media.say(ALICE, rtp(number, payload=b"\x20" * 160))
        assert payloads(media.beat(), BOB) == [SILENCE]


def test_seats_flags_and_coaches_reach_the_mixer(media: VirtualMedia) -> None:
    for leg, who in ((1, ALICE), (2, BOB), (3, CAROL)):
        media.open(leg, who)
    media.commands += [
        Seat(1, 7, False, False, None, []),
        Seat(2, 7, False, False, None, []),
        Seat(3, 7, False, False, [1], []),
    ]

    def heard_of_carol(count: int) -> tuple[bool, bool]:
        for _ in range(count):
            number = heard_of_carol.number = getattr(heard_of_carol, "number", 0) + 1  # type: ignore[attr-defined]
            media.say(CAROL, rtp(number, ssrc=3, payload=b"\x20" * 160))
            sent = media.beat()
        return payloads(sent, ALICE) != [SILENCE], payloads(sent, BOB) != [SILENCE]

    assert heard_of_carol(10) == (True, False)
    media.commands.append(Coach(3, None))
    assert heard_of_carol(10) == (True, True)
    media.commands.append(Flags(3, True, False))
    assert heard_of_carol(3) == (False, False)
    media.commands.append(Flags(3, False, False))
    media.commands.append(Unseat(1))
    assert heard_of_carol(10) == (False, True)
    media.commands.append(EndRoom(7))
    assert heard_of_carol(3) == (False, False)


# Prompts


def test_a_prompt_is_played_in_full_and_done_when_its_last_packet_has_been_played_out(
    media: VirtualMedia,
) -> None:
    media.open(1, ALICE)
    load(media, 1, np.full(400, 8000))
    media.commands.append(PlayToLeg(5, 1, 1))
    sound = [payloads(media.beat(), ALICE)[0] for _ in range(3)]
    assert media.told(Played) == []
    assert [frame.count(b"\xff") for frame in sound] == [0, 0, 80]
    media.beat()
    assert media.told(Played) == [Played(5)]


def test_a_leg_of_sixty_milliseconds_has_its_last_packet_before_the_prompt_is_done(
    media: VirtualMedia,
) -> None:
    media.open(1, ALICE, ptime=60)
    load(media, 1, np.full(160, 8000))
    media.commands.append(PlayToLeg(5, 1, 1))
    beats = 0
    while not media.told(Played):
        media.beat()
        beats += 1
        if beats == 3:
            assert len(payloads(media.network.sent, ALICE)) == 1
    assert beats == 6


def test_a_prompt_to_a_room_is_heard_by_all_in_it(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.open(2, BOB, ptime=40)
    media.open(3, CAROL)
    seated(media, 7, 1, 2)
    load(media, 1, np.full(320, 8000))
    media.commands.append(PlayToRoom(5, 1, 7))
    sent = media.beat() + media.beat()
    assert SILENCE not in payloads(sent, ALICE)
    assert len(payloads(sent, BOB)) == 1
    assert payloads(sent, CAROL) == [SILENCE, SILENCE]
    assert media.told(Played) == []
    media.beat(4)
    assert media.told(Played) == [Played(5)]


def test_a_stopped_prompt_falls_silent_and_is_not_told_as_played(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    load(media, 1, np.full(8000, 8000))
    media.commands.append(PlayToLeg(5, 1, 1))
    media.beat(3)
    media.commands.append(StopPlay(5))
    media.beat(3)
    assert payloads(media.beat(), ALICE) == [SILENCE]
    media.beat(100)
    assert media.told(Played) == []


def test_a_prompt_that_is_stopped_while_its_last_packet_is_filled_is_not_told_as_played(
    media: VirtualMedia,
) -> None:
    media.open(1, ALICE, ptime=60)
    load(media, 1, np.full(160, 8000))
    media.commands.append(PlayToLeg(5, 1, 1))
    media.beat(2)
    media.commands.append(StopPlay(5))
    media.beat(10)
    assert media.told(Played) == [] and not len(media.engine._plays)


def test_an_empty_prompt_is_done_at_once(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    load(media, 1, np.zeros(0))
    media.commands.append(PlayToLeg(5, 1, 1))
    media.beat()
    assert media.told(Played) == [Played(5)]


def test_a_prompt_may_be_forgotten_while_it_plays(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    load(media, 1, np.full(800, 8000))
    media.commands += [PlayToLeg(5, 1, 1), Forget(1)]
    media.beat(2)
    assert payloads(media.beat(), ALICE) != [SILENCE]
    media.commands.append(PlayToLeg(6, 1, 1))
    media.beat(5)
    assert [event.play for event in media.told(Unplayed)] == [6]
    assert media.told(Played) == [Played(5)]


def test_a_prompt_whose_memory_is_short_is_refused_and_its_descriptor_closed(media: VirtualMedia) -> None:
    descriptor = memory.sealed(bytes(10))
    media.commands.append(Load(1, 1000))
    media.now += 0.02
    media.engine.beat(
        media.now, int(media.now * 1e9), commands=media.commands, descriptors=deque([descriptor])
    )
    assert [type(event) for event in media.engine.events] == [Refused]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


# Digits


def key(event: int, *, end: bool = False, duration: int = 800) -> bytes:
    return bytes([event, 0x80 if end else 0]) + duration.to_bytes(2, "big")


def test_a_key_is_told_once_and_never_heard_by_the_others(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.open(2, BOB)
    seated(media, 7, 1, 2)
    for number, end in enumerate([False, False, False, True, True, True]):
        packet = rtp(number, payload_type=101, payload=key(5, end=end), timestamp=1000)
        media.say(ALICE, packet)
        assert payloads(media.beat(), BOB) == [SILENCE]
    assert media.told(Digit) == [Digit(1, "5", 100)]


def test_a_key_whose_end_is_lost_is_told_all_the_same(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.say(ALICE, rtp(1, payload_type=101, payload=key(3, duration=160), timestamp=1000))
    media.beat(50)
    assert media.told(Digit) == [Digit(1, "3", 20)]


def test_digits_are_not_in_the_repr_of_what_is_told() -> None:
    assert "9" not in repr(Digit(1, "9", 20))


# Silence of a leg


def test_a_leg_that_falls_silent_is_told_once_and_again_when_it_is_back() -> None:
    media = VirtualMedia(silence=2.0)
    media.open(1, ALICE)
    media.say(ALICE, rtp(1))
    media.beat(90)
    assert media.told(Silent) == []
    media.beat(400)
    (silent,) = media.told(Silent)
    assert (silent.leg, silent.seconds) == (1, pytest.approx(2.0, abs=0.25))
    assert media.told(Heard) == []
    media.say(ALICE, rtp(500))
    media.beat(11)
    assert media.told(Heard) == [Heard(1)]
    media.beat(200)
    assert len(media.told(Silent)) == 2
    media.close()


def test_a_leg_that_need_not_send_is_never_silent() -> None:
    media = VirtualMedia(silence=2.0)
    media.open(1, ALICE, receives=False)
    media.beat(500)
    media.commands.append(connect(1, ALICE, renew=True, receives=True))
    media.beat(95)
    assert media.told(Silent) == []
    media.beat(50)
    assert len(media.told(Silent)) == 1
    media.close()


def test_rtcp_and_comfort_noise_are_signs_of_life() -> None:
    media = VirtualMedia(silence=2.0)
    media.open(1, ALICE, port=1)
    media.say(ALICE, rtp(1, ssrc=77), port=1)
    for beat in range(600):
        if beat % 50 == 0 and beat < 300:
            report = b"\x80\xc9\x00\x01" + (77).to_bytes(4, "big")
            media.say((ALICE[0], ALICE[1] + 1), report, port=media.ports + 1)
        if beat % 50 == 0 and beat >= 300:
            media.say(ALICE, rtp(beat, ssrc=77, payload_type=13, payload=b"\x40"), port=1)
        media.beat()
    assert media.told(Silent) == []
    assert counted(media, "rtcp_received") == 6
    media.close()


# Hostile input


def test_each_kind_of_bad_packet_has_its_counter(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.say(ALICE, rtp(1))
    media.say(ALICE, b"not RTP")
    media.say(ALICE, b"\x00\x01\x00\x00\x21\x12\xa4\x43" + bytes(12))  # a cookie that is none
    media.say(ALICE, rtp(2, payload=bytes(3000)))
    media.say(ALICE, rtp(3, payload_type=96))
    media.say(("192.0.2.66", 666), rtp(4))
    media.say(ALICE, b"\x80\xc8\x00\x06\x00", port=media.ports)
    media.say(ALICE, b"\x80\xc8\x00\x06" + bytes(24))
    media.beat()
    counts = {
        name: counted(media, name) for name in COUNTERS if name.startswith("dropped") and counted(media, name)
    }
    assert counts == {
        "dropped_malformed": 2,
        "dropped_truncated": 1,
        "dropped_payload_type": 1,
        "dropped_unknown_source": 1,
    }
    assert counted(media, "packets_received") == 8 and counted(media, "keep_alives") == 0


def test_an_rtp_packet_without_payload_is_no_loss(media: VirtualMedia) -> None:
    """Another way to keep a NAT's mapping (RFC 6263 section 4.2)."""
    media.open(1, ALICE)
    for number in range(20):
        packet = rtp(number, timestamp=160 * (number - number // 5))
        media.say(ALICE, packet[:12] if number % 5 == 4 else packet)
        media.beat()
    (row,) = np.flatnonzero(media.engine._leg == 1)
    assert (media.engine._mixer.received[row], media.engine._mixer.lost[row]) == (16, 0)


def test_what_keeps_a_nats_mapping_is_counted_apart_and_means_nothing(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.say(ALICE, rtp(1))
    binding, indication = b"\x00\x01", b"\x00\x11"
    for keep_alive in (binding, indication):
        media.say(ALICE, keep_alive + b"\x00\x00\x21\x12\xa4\x42" + bytes(12))
    media.say(ALICE, b"")
    media.say(ALICE, b"\r\n\r\n")
    media.say(("192.0.2.66", 666), binding + b"\x00\x08\x21\x12\xa4\x42" + bytes(20))
    media.beat()
    media.say(ALICE, binding + b"\x00\x00\x21\x12\xa4\x42" + bytes(12), port=media.ports)
    media.beat()
    assert counted(media, "keep_alives") == 6 and counted(media, "rtcp_malformed") == 0
    assert not any(counted(media, name) for name in COUNTERS if name.startswith("dropped"))


def test_a_leg_has_figures_of_its_own_and_leaves_none_to_its_successor(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    for number in (1, 2, 4, 4, 5):
        media.say(ALICE, rtp(number, payload=b"\x00" * 160))
        media.beat()
    media.beat(15)
    row = int(np.flatnonzero(media.shared.legs["leg"] == 1)[0])
    figures = media.shared.legs[row]
    assert (figures["received"], figures["lost"], figures["duplicate"]) == (5, 1, 1)
    assert figures["sent"] == 20
    assert 0 < figures["delay"] <= 480
    media.commands.append(Close(1))
    media.open(2, BOB)
    media.beat(20)
    figures = media.shared.legs[row]
    assert figures["leg"] == 2 and figures["sent"] == 20
    for name in ("received", "lost", "late", "duplicate", "delay", "peak", "level", "talking"):
        assert figures[name] == 0, name
    assert counted(media, "packets_lost") == counted(media, "packets_doubled") == 1


def test_the_peak_of_a_leg_outlasts_a_pause_between_words_and_then_fades(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    for number in range(20):
        media.say(ALICE, rtp(number, payload=b"\x80" * 160))
        media.beat()
    loud = int(media.shared.legs["peak"].max())
    assert loud > 30_000
    for number in range(20, 40):
        media.say(ALICE, rtp(number))
        media.beat()
    assert loud / 2 < media.shared.legs["peak"].max() < loud
    for number in range(40, 400):
        media.say(ALICE, rtp(number, payload=SILENCE))
        media.beat()
    assert media.shared.legs["peak"].max() == 0


def test_any_bytes_from_the_right_source_leave_the_beat_running(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.open(2, BOB)
    seated(media, 7, 1, 2)
    random = np.random.default_rng(3)
    for _ in range(200):
        for _ in range(10):
            data = bytearray(random.bytes(int(random.integers(0, 400))))
            if data:
                data[0] = 0x80 | data[0] & 0x3F
            media.say(ALICE, bytes(data))
        assert len(media.beat()) == 2


# Commands


def test_a_command_for_a_leg_that_is_not_there_is_refused_and_the_rest_is_done(media: VirtualMedia) -> None:
    media.commands += [Unseat(99), Close(98), connect(97, ALICE)]
    media.open(1, ALICE)
    assert len(media.beat()) == 1
    assert [event.command for event in media.told(Refused)] == ["Close", "Connect", "Unseat"]


def test_what_is_asked_for_a_leg_that_the_same_message_closes_is_moot(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.beat()
    media.commands += [Seat(1, 7, False, False, None, []), Flags(1, True, False), Close(1)]
    media.beat()
    assert media.told(Refused) == []


def test_a_leg_beyond_the_rows_is_refused() -> None:
    media = VirtualMedia(legs=2)
    for leg in (1, 2, 3):
        media.open(leg, (ALICE[0], 4000 + leg))
    assert len(media.beat()) == 2
    assert [event.command for event in media.told(Refused)] == ["Open", "Connect"]
    media.commands.append(Close(1))
    media.open(4, (ALICE[0], 5000))
    assert len(media.beat()) == 2
    media.close()


def test_nothing_is_left_of_five_hundred_legs(media: VirtualMedia) -> None:
    for leg in range(1, 501):
        media.open(leg, (ALICE[0], 1000 + leg), port=leg % 4)
        seated(media, leg % 3, leg)
        media.say((ALICE[0], 1000 + leg), rtp(1, ssrc=leg), port=leg % 4)
        media.say((ALICE[0], 1000 + leg), rtp(2, ssrc=leg, payload_type=101, payload=key(1)), port=leg % 4)
        media.beat(2)
        media.commands.append(Close(leg))
    media.beat(20)
    engine = media.engine
    assert not engine._handles and not len(engine._plays) and not engine._keys
    assert not engine._leg.any() and not engine._receives.any() and not engine._silent.any()
    assert not media.demux.state[1:]["pinned"].any() and not media.demux.state[1:]["named"].any()
    assert media.beat() == []
    assert counted(media, "legs") == counted(media, "sent_to") == 0


def test_skipped_beats_are_counted_and_time_goes_on(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    ((_, _, before),) = media.beat()
    ((_, _, after),) = media.beat(skipped=3)
    assert (int.from_bytes(after[4:8], "big") - int.from_bytes(before[4:8], "big")) & 0xFFFF_FFFF == 640
    assert (int.from_bytes(after[2:4], "big") - int.from_bytes(before[2:4], "big")) & 0xFFFF == 1
    assert after[1] & 0x80
    assert counted(media, "skipped_beats") == 3
