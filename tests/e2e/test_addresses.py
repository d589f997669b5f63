"""Whose packet is it: NAT, shared addresses, re-INVITEs that move the media. Nobody hears the wrong room."""

import pytest

from tests.support.ears import all_hear_the_others, hears, keep_hearing, voices
from tests.support.eventually import eventually
from tests.support.house import House
from tests.support.studio import Studio

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_calls_of_one_socket_are_told_apart(house: House, studio: Studio) -> None:
    rooms = [house.room(), house.room()]
    media = studio.socket()
    shared = []
    for number, room in enumerate(rooms):
        phone = await studio.phone("twin", house.server.sip, sound=voices()[number])
        shared.append(await phone.dial(house.uri(room), socket=media))
    others = []
    for number, room in enumerate(rooms):
        phone = await studio.phone("other", house.server.sip, sound=voices()[number + 4])
        others.append(await phone.dial(house.uri(room)))
    assert shared[0].server_media != shared[1].server_media
    for call, other in zip(shared, others, strict=True):
        await all_hear_the_others([call, other])


async def test_a_phone_whose_sdp_names_a_private_address_is_heard_and_hears(
    house: House, studio: Studio
) -> None:
    """Behind a NAT: the SDP says 192.168.1.7, the packets come from where the signalling comes from."""
    room = house.room()
    hidden = await studio.phone("hidden", house.server.sip, sound=voices()[0])
    plain = await studio.phone("plain", house.server.sip, sound=voices()[3])
    calls = [
        await hidden.dial(house.uri(room), sdp_address=("192.168.1.7", 4000)),
        await plain.dial(house.uri(room)),
    ]
    await all_hear_the_others(calls)


async def test_a_phone_rebound_by_its_nat_is_heard_on(house: House, studio: Studio) -> None:
    room = house.room()
    alice = await studio.phone("alice", house.server.sip, sound=voices()[0])
    bob = await studio.phone("bob", house.server.sip, sound=voices()[3])
    calls = [await alice.dial(house.uri(room)), await bob.dial(house.uri(room))]
    await all_hear_the_others(calls)
    calls[0].socket.rebind()
    start = len(calls[0].line.received)
    await eventually(lambda: len(calls[0].line.received) > start + 10, what="no packet at the new port")
    await all_hear_the_others(calls)


async def test_thirty_phones_behind_one_address_hear_their_own_rooms(house: House, studio: Studio) -> None:
    """All name an SDP address that is not theirs, so each must be learnt from its packets."""
    rooms = [house.room() for _ in range(10)]
    calls = []
    for number in range(30):
        phone = await studio.phone(
            f"nat-{number}", house.server.sip, sound=voices()[number % 3 + 3 * (number // 3 % 4)]
        )
        calls.append(
            await phone.dial(house.uri(rooms[number // 3]), sdp_address=("192.168.1.7", 4000 + 2 * number))
        )
    for first in range(0, 30, 3):
        await all_hear_the_others(calls[first : first + 3])


async def test_media_moves_with_a_re_invite(house: House, studio: Studio) -> None:
    room = house.room()
    alice = await studio.phone("alice", house.server.sip, sound=voices()[0])
    bob = await studio.phone("bob", house.server.sip, sound=voices()[3])
    calls = [await alice.dial(house.uri(room)), await bob.dial(house.uri(room))]
    await all_hear_the_others(calls)
    assert (await calls[0].move_media()).status == 200
    await all_hear_the_others(calls)
    await keep_hearing(calls[1], [calls[0]])


async def test_late_packets_of_an_ended_call_reach_nobody(house: House, studio: Studio) -> None:
    """The old phone goes on sending from its source while new calls take its port at the server."""
    room = house.room()
    old = await studio.phone("old", house.server.sip, sound=voices()[0])
    call = await old.dial(house.uri(room))
    await eventually(lambda: len(call.line.received) > 5)
    remote, sound = call.server_media, call.line.sound
    await call.bye()
    fresh = []
    for number in range(3):
        phone = await studio.phone("fresh", house.server.sip, sound=voices()[3 + number])
        fresh.append(await phone.dial(house.uri(house.room()), sdp_address=("192.168.1.7", 5000 + number)))
    call.line.remote, call.line.sending = remote, True
    call.line.say(sound)
    studio.clock.add(call.line)
    sent = len(call.line.sent)
    for other in fresh:
        await keep_hearing(other, [], seconds=0.5)
    assert len(call.line.sent) > sent + 20


async def test_a_new_ssrc_and_a_jump_of_sequence_are_followed(house: House, studio: Studio) -> None:
    room = house.room()
    alice = await studio.phone("alice", house.server.sip, sound=voices()[0])
    bob = await studio.phone("bob", house.server.sip, sound=voices()[3])
    calls = [await alice.dial(house.uri(room)), await bob.dial(house.uri(room))]
    await all_hear_the_others(calls)
    calls[0].line.ssrc ^= 0x5A5A5A5A
    await all_hear_the_others(calls)
    calls[0].line.sequence = (calls[0].line.sequence + 30_000) & 0xFFFF
    await hears(calls[1], [calls[0]])
    calls[0].line.timestamp = (calls[0].line.timestamp + 1_000_000) & 0xFFFFFFFF
    await keep_hearing(calls[0], [calls[1]])
    await all_hear_the_others(calls)
