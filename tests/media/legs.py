"""A far end of one leg: a socket that keeps what it gets, and reads telephone events by its own lights."""

import struct

from media.client import Leg, LegMedia, MediaClient
from tests.support.rtp_line import Line, MediaSocket
from tests.support.virtual_network import PCMU


class Far:
    """A UDP peer that sends nothing."""

    def __init__(self) -> None:
        self.socket = MediaSocket()
        self.line = Line(self.socket, sound=None)

    def answered(self, media: MediaClient) -> Leg:
        """A leg that is connected to it, with telephone-event on 101."""
        remote = self.socket.address
        leg = media.open_leg(signalling="127.0.0.1", remote=remote)
        agreed = LegMedia(remote, PCMU, payload_type=0, accepts={0: PCMU}, dtmf=101)
        assert media.connect(leg, agreed)
        return leg

    def pressed(self) -> list[tuple[str, int]]:
        """Each key it was sent so far, and for how many samples as last heard."""
        keys: dict[int, tuple[str, int]] = {}
        for packet in self.line.received:
            if packet.payload_type == 101:
                code, _, duration = struct.unpack("!BBH", packet.payload)
                keys[packet.timestamp] = ("0123456789*#ABCD"[code], duration)
        return list(keys.values())

    def close(self) -> None:
        self.socket.close()
