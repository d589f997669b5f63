"""Digits on their way out, from a command of control to packets on the wire."""

import asyncio
from collections.abc import Iterator

import pytest

from media.client import MediaClient, MediaConfig, Playback, PlaybackLost
from media.messages import Close, Played, SendDigits, StopPlay, Unplayed
from tests.media.legs import Far
from tests.support.eventually import PATIENCE, eventually
from tests.support.free_ports import free_range
from tests.support.virtual_network import VirtualMedia, connect

ALICE, BOB = ("198.51.100.1", 4000), ("198.51.100.2", 4000)


@pytest.fixture
def media() -> Iterator[VirtualMedia]:
    media = VirtualMedia()
    yield media
    media.close()


def kinds(media: VirtualMedia, beats: int, to: tuple[str, int] = ALICE) -> str:
    """What one leg gets: a letter for each packet, audio or event."""
    letters = {0: "a", 101: "e"}
    return "".join(
        letters[data[1] & 0x7F] for _ in range(beats) for _, address, data in media.beat() if address == to
    )


def test_a_command_becomes_events_and_is_reported_as_played(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.open(2, BOB, port=1)
    assert kinds(media, 3) == "aaa"
    media.commands.append(SendDigits(9, 1, "5w5", 100, 400))
    assert kinds(media, 7) == "eeeeeee"
    assert kinds(media, 23) == "a" * 23
    assert kinds(media, 8) == "eeeeeeea"
    assert media.told(Played) == []
    kinds(media, 17)
    assert media.told(Played) == []
    kinds(media, 1)
    assert media.told(Played) == [Played(9)]
    assert kinds(media, 5, BOB) == "aaaaa"


def test_another_payload_type_in_a_new_offer_is_that_of_the_next_event(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.beat()
    media.commands.append(SendDigits(9, 1, "1", 100, 400))
    media.beat()
    media.commands.append(connect(1, ALICE, dtmf=96, renew=True))
    ((_, _, data),) = media.beat()
    assert data[1] & 0x7F == 96 and data[12] == 1


def test_a_leg_that_takes_no_events_and_one_that_sends_already_refuse(media: VirtualMedia) -> None:
    media.open(1, ALICE, dtmf=-1)
    media.open(2, BOB, port=1)
    media.beat()
    media.commands += [SendDigits(1, 1, "1234", 100, 100), SendDigits(2, 2, "5", 100, 100)]
    media.commands += [SendDigits(3, 2, "6789", 100, 100)]
    media.beat()
    refused = media.told(Unplayed)
    assert [event.play for event in refused] == [1, 3]  # type: ignore[union-attr]
    assert not any(key in str(refused) for key in ("1234", "6789"))


def test_stopping_and_closing_end_what_is_sent(media: VirtualMedia) -> None:
    media.open(1, ALICE)
    media.open(2, BOB, port=1)
    media.beat()
    media.commands += [SendDigits(1, 1, "11", 400, 100), SendDigits(2, 2, "22", 400, 100)]
    media.beat(2)
    media.commands += [StopPlay(1), Close(2)]
    assert kinds(media, 50) == "eee" + "a" * 47
    assert media.told(Played) == []


def test_no_digit_is_in_the_repr_of_a_command() -> None:
    assert "42" not in repr(SendDigits(1, 3, "42", 100, 100))


async def test_control_sends_digits_over_real_sockets() -> None:
    far = Far()
    media = MediaClient(MediaConfig(ports=free_range(8)), lambda _: None)
    await media.start()
    try:
        leg = far.answered(media)
        sending = media.send_digits(leg, "0,#", tone=60, interval=100)
        assert isinstance(sending, Playback)
        assert await asyncio.wait_for(sending.done, PATIENCE) is True
        assert far.pressed() == [("0", 480), ("#", 480)]

        stopped = media.send_digits(leg, "123", tone=400, interval=100)
        await eventually(lambda: len(far.pressed()) == 3)
        stopped.stop()
        assert await stopped.done is False
        lost = media.send_digits(leg, "WWWW1", tone=60, interval=100)
        media.close_leg(leg)
        with pytest.raises(PlaybackLost):
            await lost.done
        with pytest.raises(PlaybackLost):
            await media.send_digits(leg, "1", tone=60, interval=100).done
        assert [key for key, _ in far.pressed()] == ["0", "#", "1"]
    finally:
        await media.close()
        far.close()
