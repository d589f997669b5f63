"""What crosses to the media process, in bytes."""

import msgspec

from media.messages import AnyCommand, Connect, Format, Srtp
from tests.support.virtual_network import connect

OPUS = Format("OPUS", 48000, 48000, fec=True, bitrate=24000)
SRTP = Srtp("AES_CM_128_HMAC_SHA1_80", bytes(range(30)), b"their key and salt".ljust(30))


def test_what_was_agreed_crosses_whole() -> None:
    command = connect(
        1, ("198.51.100.1", 4000), format=OPUS, accepts={111: OPUS}, payload_type=111, srtp=SRTP
    )
    data = msgspec.msgpack.encode([command])
    (arrived,) = msgspec.msgpack.decode(data, type=list[AnyCommand])
    assert arrived == command
    assert isinstance(arrived, Connect) and arrived.srtp == SRTP


def test_no_repr_shows_a_key() -> None:
    text = repr(connect(1, ("198.51.100.1", 4000), srtp=SRTP))
    assert "AES_CM_128_HMAC_SHA1_80" in text
    assert "their key" not in text and "x01" not in text
