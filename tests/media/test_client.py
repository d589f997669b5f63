"""The media process on real sockets, commanded as control does it, and what is heard of it."""

import asyncio
import gc
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from media.client import (
    AddressNotSupported,
    DigitReceived,
    Full,
    LegHeard,
    LegMedia,
    LegSilent,
    MediaClient,
    MediaConfig,
    NoPort,
    PlaybackLost,
)
from tests.support.eventually import PATIENCE, eventually
from tests.support.free_ports import free_range
from tests.support.media_house import ALL, LAWS, House, hears_exactly
from tests.support.rtp_line import Line
from tests.support.sounds import Tone, noise
from tests.support.tones import is_silent, tones
from tests.support.virtual_network import PCMU


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House() as house:
        yield house


# Conversation


async def test_what_is_committed_holds_though_control_is_held_up(house: House) -> None:
    silent = house.phone()
    silent.dial()  # of the same address, and has sent nothing: whose is a packet that nobody names?
    speaker = house.phone(410)
    leg = speaker.dial()
    house.media.commit()
    header = bytes([0x80, 0, 0, 1]) + bytes(8)
    deadline = time.monotonic() + PATIENCE
    figures = None
    while figures is None or not figures.received:  # in one pass of the loop, in which nothing else happens
        assert time.monotonic() < deadline
        speaker.socket.sock.sendto(header + bytes(160), (leg.address, leg.port))
        time.sleep(0.02)  # noqa: ASYNC251
        figures = house.media.leg_statistics(leg)
    assert figures.source == speaker.socket.address


async def test_three_phones_of_both_laws_and_three_ptimes_hear_the_others_and_not_themselves(
    house: House,
) -> None:
    phones = [
        house.phone(410),
        house.phone(670, law="PCMA", ptime=40),
        house.phone(970, ptime=10),
        house.phone(1370, ptime=60),
    ]
    for phone in phones:
        house.media.seat(phone.dial(), 1)
    everybody = {410, 670, 970, 1370}
    for phone, own in zip(phones, (410, 670, 970, 1370), strict=True):
        await hears_exactly(phone, everybody - {own})
        assert phone.line.lost() == 0
        steps = {len(packet.payload) for packet in phone.line.audio}
        assert steps == {8 * phone.line.ptime}


async def test_a_phone_that_sends_nothing_gets_silence_every_twenty_milliseconds(house: House) -> None:
    phone = house.phone()
    phone.dial()
    await eventually(lambda: len(phone.line.received) >= 50)
    assert is_silent(phone.line.pcm())
    assert phone.line.lost() == 0


async def test_each_leg_tells_how_it_fares(house: House) -> None:
    speaker, mute = house.phone(410), house.phone()
    leg = speaker.dial()
    quiet = mute.dial()
    mute.line.sending = False
    assert house.media.leg_statistics(leg) is None, "nothing is known before the first copy"

    def spoken() -> bool:
        """In little delay, too: a machine that held the phone up makes it longer for some ten seconds."""
        figures = house.media.leg_statistics(leg)
        if figures is None or figures.received <= 20 or figures.level_db is None:
            return False
        return 0.0 < figures.delay_ms <= 60.0

    await eventually(spoken)
    figures, nothing = house.media.leg_statistics(leg), house.media.leg_statistics(quiet)
    assert figures is not None and nothing is not None
    assert figures.source == speaker.socket.address
    assert figures.silent_for is not None and figures.silent_for < PATIENCE
    assert figures.level_db is not None and -30.0 < figures.level_db < 0.0
    assert (nothing.source, nothing.silent_for, nothing.received) == (None, None, 0)
    assert nothing.sent > 0 and nothing.level_db is None
    house.media.close_leg(leg)
    assert house.media.leg_statistics(leg) is None


async def test_two_phones_on_one_socket_hear_their_own_rooms(house: House) -> None:
    shared = house.phone(410)
    first = shared.dial()
    twin = house.phone(670)
    twin.socket.close()
    twin.socket = shared.socket
    twin.line = Line(shared.socket, sound=Tone(670))
    twin.line.laws = LAWS
    second = twin.dial()
    assert first.port != second.port
    others = house.phone(970), house.phone(1370)
    for room, (leg, other) in enumerate([(first, others[0]), (second, others[1])]):
        house.media.seat(leg, room)
        house.media.seat(other.dial(), room)
    await hears_exactly(others[0], {410})
    await hears_exactly(others[1], {670})
    await hears_exactly(shared, {970})
    await hears_exactly(twin, {1370})


async def test_thirty_phones_behind_one_address_each_reach_their_own_room(house: House) -> None:
    frequencies = (410, 670, 970)
    phones = [house.phone(frequencies[number % 3]) for number in range(30)]
    legs = [
        phone.dial(sdp=(f"192.168.1.{number + 1}", 5004), signalling="127.0.0.1")
        for number, phone in enumerate(phones)
    ]
    assert len({leg.port for leg in legs}) == 30
    for number, leg in enumerate(legs):
        house.media.seat(leg, number // 3)
    for number, phone in enumerate(phones):
        await hears_exactly(phone, set(frequencies) - {frequencies[number % 3]})
    assert house.media.statistics()["dropped_ambiguous"] == 0


async def test_a_peer_rebound_by_its_nat_goes_on_talking_and_hearing(house: House) -> None:
    phone, other = house.phone(410), house.phone(970)
    for each in (phone, other):
        house.media.seat(each.dial(), 1)
    await hears_exactly(other, {410})
    phone.line.sending = False
    await asyncio.sleep(0.2)
    phone.socket.rebind()
    phone.line.sending = True
    await hears_exactly(other, {410})
    await eventually(lambda: tones(phone.line.pcm(since=len(phone.line.audio) - 20)) == {970})
    await eventually(lambda: house.media.statistics()["rebindings"] == 1)


async def test_a_stranger_who_sprays_every_port_is_not_heard_and_gets_nothing_back(house: House) -> None:
    phone, other = house.phone(410), house.phone(970)
    for each in (phone, other):
        house.media.seat(each.dial(), 1)
    await hears_exactly(other, {410})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.setblocking(False)
        intruder = Line(phone.socket, sound=Tone(2530))
        for _ in range(30):
            payload = intruder.sound.payload("PCMU", 0, 160)
            for port in range(phone.leg.port & ~63, (phone.leg.port & ~63) + 128):  # type: ignore[union-attr]
                stranger.sendto(
                    bytes.fromhex("80000001000000a0") + os.urandom(4) + payload, ("127.0.0.1", port)
                )
            await asyncio.sleep(0.02)
        intruder.close()
        await hears_exactly(other, {410})
        await hears_exactly(phone, {970})
        with pytest.raises(BlockingIOError):
            stranger.recv(2048)
    assert house.media.statistics()["dropped_unknown_source"] > 0


async def test_an_impossible_address_costs_nobody_else_a_packet(house: House) -> None:
    impossible = house.phone()
    impossible.dial(sdp=("255.255.255.255", 9))
    phones = [house.phone(410), house.phone(970)]
    for phone in phones:
        house.media.seat(phone.dial(), 1)
    await hears_exactly(phones[0], {970})
    await hears_exactly(phones[1], {410})
    assert [phone.line.lost() for phone in phones] == [0, 0]
    await eventually(lambda: house.media.statistics()["send_errors"] > 10)


async def test_a_closed_legs_late_packets_are_not_heard_by_who_comes_next(house: House) -> None:
    gone, stays = house.phone(410), house.phone(970)
    for each in (gone, stays):
        house.media.seat(each.dial(), 1)
    await hears_exactly(stays, {410})
    house.media.close_leg(gone.leg)  # type: ignore[arg-type]
    house.media.close_leg(gone.leg)  # type: ignore[arg-type]
    next_one = house.phone(1370)
    house.media.seat(next_one.dial(), 1)
    await hears_exactly(stays, {1370})
    assert gone.line.sending
    assert house.media.statistics()["dropped_unknown_source"] > 0


# Prompts


async def test_a_prompt_is_heard_in_full_and_done_after_its_last_packet(house: House) -> None:
    phone = house.phone()
    leg = phone.dial()
    prompt = noise(1, 1.0)
    await eventually(lambda: phone.line.received)
    playback = house.media.play(leg, prompt.astype("<i2").tobytes())
    assert await playback.done is True
    heard = phone.line.pcm()
    await asyncio.sleep(0.2)
    score, lag = phone.line.find(prompt)
    assert score > 0.95
    assert len(heard) >= lag + len(prompt)
    playback.stop()


async def test_a_prompt_to_a_room_is_heard_by_its_members_and_the_same_again(house: House) -> None:
    phones = [house.phone() for _ in range(3)]
    for room, phone in zip((1, 1, 2), phones, strict=True):
        house.media.seat(phone.dial(), room)
    prompt = noise(2, 0.5)
    for _ in range(2):
        starts = [len(phone.line.audio) for phone in phones]
        await house.media.play(1, prompt.astype("<i2").tobytes()).done
        scores = [
            phone.line.find(prompt, since=start)[0] for phone, start in zip(phones, starts, strict=True)
        ]
        assert scores[0] > 0.95 and scores[1] > 0.95
        assert is_silent(phones[2].line.pcm(since=starts[2]))


async def test_a_prompt_that_is_stopped_is_done_and_was_not_played(house: House) -> None:
    phone = house.phone()
    playback = house.media.play(phone.dial(), noise(3, 10.0).tobytes())
    await eventually(lambda: not is_silent(phone.line.pcm(last=0.1)))
    playback.stop()
    assert await playback.done is False
    await eventually(lambda: is_silent(phone.line.pcm(last=0.1)))


async def test_a_prompt_is_lost_with_its_leg_its_room_or_the_client(house: House) -> None:
    media = house.media
    leg, other = house.phone().dial(), house.phone().dial()
    sound = noise(4, 10.0).tobytes()
    of_leg, of_room, of_other = media.play(leg, sound), media.play(7, sound), media.play(other, sound)
    media.close_leg(leg)
    with pytest.raises(PlaybackLost, match="leg was closed"):
        await of_leg.done
    media.end_room(7)
    with pytest.raises(PlaybackLost, match="room has ended"):
        await of_room.done
    with pytest.raises(PlaybackLost, match="closed"):
        await media.play(leg, sound).done
    await media.close()
    with pytest.raises(PlaybackLost, match="is closed"):
        await of_other.done


# What is told


async def test_digits_are_told_in_order_and_the_others_do_not_hear_them(house: House) -> None:
    phone, other = house.phone(410), house.phone(970)
    for each in (phone, other):
        house.media.seat(each.dial(), 1)
    await hears_exactly(other, {410})
    phone.line.press("159#")
    await eventually(lambda: len(house.told(DigitReceived)) == 4)
    assert [event.digit for event in house.told(DigitReceived)] == list("159#")  # type: ignore[union-attr]
    assert {event.leg_id for event in house.told(DigitReceived)} == {phone.leg.id}  # type: ignore[union-attr]
    assert "159" not in repr(house.told(DigitReceived))


async def test_a_leg_that_falls_silent_is_told_and_told_again_when_it_is_heard() -> None:
    async with House(silence=0.6) as house:
        phone = house.phone(410)
        leg = phone.dial()
        await asyncio.sleep(0.8)
        if phone.line.unevenness(0.0) < 0.3:
            assert house.told(LegSilent) == []
        house.events.clear()
        phone.line.sending = False
        await eventually(lambda: house.told(LegSilent))
        assert house.told(LegSilent)[0].leg_id == leg.id  # type: ignore[union-attr]
        house.events.clear()
        phone.line.sending = True
        await eventually(lambda: LegHeard(leg.id) in house.told(LegHeard))


# Refusals


async def test_a_process_that_ends_as_it_starts_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "__init__.py").touch()
    (tmp_path / "media" / "process.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr("media.supervisor._SOURCES", str(tmp_path))
    with pytest.raises(ChildProcessError, match=r"did not start \(exit status 3\)"):
        await House(ports=free_range(2)).__aenter__()


async def test_a_port_in_use_names_the_key_and_the_port() -> None:
    ports = free_range(8)
    taken = int(ports.split("-")[0]) + 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", taken))
        with pytest.raises(OSError, match=rf"rtp\.ports.*127\.0\.0\.1:{taken}/udp"):
            await MediaClient(MediaConfig(ports=ports), lambda event: None).start()


async def test_an_address_of_another_machine_names_its_key() -> None:
    for address in ("192.0.2.1", "2001:db8::7"):
        with pytest.raises(OSError, match=r"rtp\.address"):
            await MediaClient(MediaConfig(address=address, ports=free_range(2)), lambda event: None).start()


@pytest.mark.parametrize("ports", ["", "20001", "20001-20001", "30000-20000", "a-b", "65534-65536"])
def test_a_range_without_a_pair_of_ports_is_refused(ports: str) -> None:
    with pytest.raises(NoPort, match=r"rtp\.ports"):
        MediaClient(MediaConfig(ports=ports), lambda event: None)


async def test_phones_of_both_families_hear_each_other() -> None:
    """The signalling of each names its host; the second IPv6 phone sends from a port that its SDP does not
    name, as behind a NAT."""
    async with House(address="::") as house:
        phones = [house.phone(410), house.phone(670, host="::1"), house.phone(970, host="::1")]
        four, six, behind = phones
        room = 1
        for phone, sdp in ((four, None), (six, None), (behind, ("2001:db8::7", 4000))):
            host = phone.socket.address[0]
            house.media.seat(phone.dial(sdp=sdp, signalling=host), room)
            assert phone.leg is not None
            phone.line.remote = (host, phone.leg.port)
        await hears_exactly(four, {670, 970})
        await hears_exactly(six, {410, 970})
        await hears_exactly(behind, {410, 670})
        assert six.leg is not None
        leg = six.leg
        figures = await eventually(lambda: house.media.leg_statistics(leg))
        assert figures.source == six.socket.address


async def test_a_far_end_on_the_last_port_has_none_beside_for_its_reports(house: House) -> None:
    leg = house.media.open_leg(signalling="127.0.0.1", remote=("127.0.0.1", 65535))
    assert house.media.connect(leg, LegMedia(("127.0.0.1", 65535), PCMU, 0, ALL))
    await eventually(lambda: house.media.leg_statistics(leg))
    assert house.media.statistics()["refused_commands"] == 0 and house.media.ready


async def test_ipv6_media_is_refused_by_name(house: House) -> None:
    with pytest.raises(AddressNotSupported, match="IPv4 only, got 2001:db8::1"):
        house.media.open_leg(signalling="2001:db8::1", remote=("2001:db8::1", 4000))
    leg = house.media.open_leg(signalling="2001:db8::1", remote=None)
    with pytest.raises(AddressNotSupported, match="IPv4 only, got 2001:db8::1"):
        house.media.connect(leg, LegMedia(("2001:db8::1", 4000), PCMU, 0, ALL))


async def test_one_leg_too_many_is_refused_until_another_is_closed() -> None:
    async with House(legs=2) as house:
        legs = [house.phone().dial() for _ in range(2)]
        with pytest.raises(Full, match="2 legs"):
            house.media.open_leg(signalling=None, remote=None)
        house.media.close_leg(legs[0])
        phone = house.phone()
        phone.dial()
        await eventually(lambda: phone.line.received)


# Shape


async def test_nothing_is_left_of_five_hundred_calls_in_either_process(house: House) -> None:
    (pid,) = house.media.pids

    def open_files() -> tuple[int, int]:
        return len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir("/proc/self/fd"))

    await eventually(lambda: house.media.statistics()["beats"] > 10)
    gc.collect()  # what earlier tests left
    before = open_files()
    for number in range(500):
        phone_address = ("127.0.0.1", 20_000 + number)
        leg = house.media.open_leg(signalling="127.0.0.1", remote=phone_address)
        house.media.connect(leg, LegMedia(phone_address, PCMU, 0, ALL))
        house.media.seat(leg, number % 5)
        house.media.play(leg, np.full(160, number, "<i2").tobytes())
        if number % 10 == 9:
            await asyncio.sleep(0.02)
        house.media.close_leg(leg)
    await eventually(lambda: house.media.statistics()["legs"] == 0 and not house.media.statistics()["plays"])
    await eventually(lambda: house.media.statistics()["commands"] >= 2000)
    assert open_files() == before
    assert house.media.statistics()["refused_commands"] == 0
    assert not house.media._legs and not house.media._playbacks and len(house.media._placing) == 0


async def test_two_hundred_legs_few_of_them_new_at_a_time_end_on_few_ports_and_few_calls() -> None:
    async with House(ports=free_range(128)) as house:
        with ExitStack() as stack:
            peers: list[tuple[socket.socket, tuple[str, int]]] = []
            payload = bytes(160)
            number = 0

            def unheard() -> int:
                return sum(each.pinned is None for each in house.media._placing._legs.values())

            def send_all() -> None:
                for place, (peer, remote) in enumerate(peers):
                    header = bytes([0x80, 0]) + (number & 0xFFFF).to_bytes(2, "big")
                    header += (number * 160).to_bytes(4, "big") + place.to_bytes(4, "big")
                    peer.sendto(header + payload, remote)

            while len(peers) < 200:
                send_all()  # a phone speaks when it has been answered, and not before
                await eventually(lambda: unheard() <= 8)
                peer = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                peer.bind(("127.0.0.1", 0))
                peer.setblocking(False)
                leg = house.media.open_leg(signalling="127.0.0.1", remote=peer.getsockname())
                assert house.media.connect(leg, LegMedia(peer.getsockname(), PCMU, 0, ALL))
                house.media.seat(leg, len(peers) // 4)
                peers.append((peer, ("127.0.0.1", leg.port)))
                number += 1
                await asyncio.sleep(0.02)
            before, began = house.media.statistics(), time.monotonic() - number * 0.02
            for _ in range(75):
                number += 1
                send_all()
                await asyncio.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
            after = house.media.statistics()
        ports = {remote[1] for _, remote in peers}
        beats = after["beats"] - before["beats"]
        assert len(ports) <= 16
        assert (after["system_calls"] - before["system_calls"]) / beats <= 60
        assert after["sent_to"] == 200
        assert after["dropped_ambiguous"] == after["dropped_unknown_source"] == 0
