"""Frames and descriptors over a socket pair, in whatever pieces the kernel takes them."""

import os
import socket
from collections.abc import Iterator

import pytest

from media import memory
from media.channel import Broken, Channel

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    one, other = socket.socketpair()
    pair = Channel(one), Channel(other)
    yield pair
    for channel in pair:
        channel.close()


def everything(ends: Ends) -> list[bytes]:
    """Send until all is out, reading at the other end meanwhile."""
    one, other = ends
    frames = []
    while not one.flush():
        frames += other.pull()
    return frames + other.pull()


def test_frames_come_whole_and_in_order(ends: Ends) -> None:
    sent = [b"", b"a", b"bc" * 1000, bytes(300_000), b"last"]
    for frame in sent:
        ends[0].push(frame)
    assert everything(ends) == sent


def test_what_the_other_end_does_not_read_waits_and_nothing_is_lost(ends: Ends) -> None:
    sent = [bytes([number]) * 5000 for number in range(200)]
    for frame in sent:
        ends[0].push(frame)
    assert ends[0].flush() is False
    assert ends[0].queued > 0
    assert everything(ends) == sent
    assert ends[0].queued == 0


def test_descriptors_come_with_their_frames_in_order(ends: Ends) -> None:
    for text in (b"one", b"two", b"three"):
        descriptor = memory.sealed(text)
        ends[0].push(text, [descriptor])
        os.close(descriptor)
    assert everything(ends) == [b"one", b"two", b"three"]
    received = [os.pread(descriptor, 10, 0) for descriptor in ends[1].descriptors]
    assert received == [b"one", b"two", b"three"]


def test_the_other_ends_end_is_noticed_after_its_last_frame(ends: Ends) -> None:
    ends[0].push(b"bye")
    ends[0].flush()
    ends[0].close()
    assert ends[1].pull() == [b"bye"]
    assert ends[1].closed
    ends[1].push(b"to nobody")
    assert ends[1].flush()


def test_writing_to_an_end_that_is_gone_closes_the_channel(ends: Ends) -> None:
    ends[1].close()
    ends[0].push(b"to nobody")
    assert ends[0].flush()
    assert ends[0].closed


def test_what_is_no_frame_breaks_the_channel(ends: Ends) -> None:
    ends[0].socket.sendall(b"\xff\xff\xff\xff")
    with pytest.raises(Broken, match="4294967295"):
        ends[1].pull()
