"""The decoder of one row, and what it has said ahead of time; see `mixer.packets`.

A frame of Opus that is lost is heard as `mixer.conceal` has it, unless the packet behind it is here and
repeats it (in-band FEC, RFC 6716 section 2.1.7). What the decoder remembers is mended either way: before the
next packet it is told of all that it missed, by that packet's repetition if it has one, else by libopus' own
concealment, which is not heard: recorded speech scores better with ours. It never goes back: where the
play-out moves to before the place up to which it has decoded, what lies there is not said again.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixer import g711, g722, opus, resample
from mixer.formats import ALAW, FORMATS, ULAW
from mixer.g711 import VALID

PATIENCE: Final = 5
"""Frames without a packet after which there is nothing to be expected of a row."""

_LONGEST = 8  # frames that may wait: the longest packet and one more
_PAUSE = 60  # frames that a decoder goes on behind a packet of a sender that has stopped while silent (DTX)
_DTX = 2  # bytes of such a packet at most
_TOLD = 3  # frames that a decoder is told to have missed at most: the longest that a packet repeats


class Voice:
    """`pcm` int16: what is said ahead, `ready` samples of it. `missing`: frames in a row without a packet;
    `pauses`: the sender has stopped on purpose."""

    def __init__(self, kind: int, rate: int) -> None:
        self._frame = frame = rate // 50
        self.kind = kind
        self.format = format = FORMATS[kind]
        self.pcm = np.zeros(_LONGEST * frame, np.int16)
        self.ready = 0
        self.missing = PATIENCE
        self.pauses = False
        self.opus = opus.Decoder(rate) if format.codec == "OPUS" else None
        self._g722 = g722.Decoder() if format.codec == "G722" else None
        self._edge = None if self.opus or format.rate == rate else resample.Stream(format.rate, rate)
        # Samples that were missed and of which the decoder does not know, up to `_uncounted`: that many or
        # more; negative: it is so far ahead of what is heard next.
        self._untold = 0
        self._uncounted = PATIENCE * frame
        self._tells = True  # it is told of them

    @property
    def attentive(self) -> bool:
        """Whether a frame without a packet is of interest: it may be said again, or a pause."""
        return self.opus is not None and self.missing < (_PAUSE if self.pauses else PATIENCE)

    @property
    def goes_on(self) -> bool:
        """Whether the next packet is only to be decoded, if it is of one frame."""
        return self.ready == 0 and self.missing == 0 and self._untold == 0

    def decode(self, data: NDArray[np.uint8]) -> None:
        """Say one packet, or piece, behind what is ready. One that is broken says nothing, nor does one that
        was said before."""
        if self._untold < 0:
            return
        if self.opus is not None:
            self._tell(data)
            room = self.pcm[self.ready :]
            try:
                self.ready += self.opus.decode(data.ctypes.data, data.size, room.ctypes.data, room.size)
            except opus.BadPacket:
                return
            self._untold, self._tells = 0, True
            self.pauses = data.size <= _DTX
            return
        if self._g722 is not None:
            said = self._g722.decode(data.tobytes())
        elif self.format.codec == "L16":
            said = data.view(">i2").astype(np.int16)
        else:
            law = ALAW if self.format.codec == "PCMA" else ULAW
            said = np.empty(data.size, np.int16)
            g711.decode(data | np.uint16(law << 8 | VALID), said)
        if self._edge is not None:
            said = self._edge.convert(said)
        said = said[: self.pcm.size - self.ready]
        self.pcm[self.ready : self.ready + said.size] = said
        self.ready += said.size

    def decode_frame(self, packet: int, size: int, out: int, samples: int) -> bool:
        """Decode Opus, a packet of just one frame, to an address; false where it is none."""
        assert self.opus is not None
        try:
            whole = self.opus.decode(packet, size, out, samples) == samples
        except opus.BadPacket:
            return False
        self.pauses = size <= _DTX
        self.missing = 0
        return whole

    def decode_bytes(self, data: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Decode G.722 of the rate of the row."""
        assert self._g722 is not None
        return self._g722.decode(data.tobytes())

    def recover(self, following: NDArray[np.uint8], distance: int) -> bool:
        """Say again what is missing up to a packet that begins `distance` samples on; false where it does not
        repeat that."""
        assert self.opus is not None
        missed = self._unknown + distance
        if not distance <= self.opus.repeated(following.ctypes.data, following.size) <= missed:
            return False
        again = self._missed(following, missed)
        if again is None:
            return False
        self.pcm[self.ready : self.ready + distance] = again[-distance:]
        self.ready += distance
        return True

    def lack(self, samples: int) -> bool:
        """Nothing came: zeros, or what a decoder says of a pause; whether it said something."""
        room = self.pcm[self.ready : self.ready + samples]
        room[:] = 0
        self.ready += samples
        if self.opus is None:
            return False
        if self.pauses and self.attentive:
            self.opus.conceal(room.ctypes.data, samples)
            if self._untold < 0:
                self._untold = min(self._untold + samples, 0)
            return True
        self._pass(samples if self.attentive else self._uncounted)
        return False

    def skip(self, frames: int) -> None:
        """So many frames are over, and what was to be heard in them. The decoder is told of nothing: all of
        them would be in the one beat behind a stall."""
        self.missing += frames
        self.ready = 0
        self._untold, self._tells = self._uncounted, False

    def wait(self, frames: int) -> None:
        """What follows is heard so many frames later: what was missed may come yet."""
        if self._untold < self._uncounted:
            self._pass(-frames * self._frame)
        else:
            self._tells = False

    def wipe(self) -> None:
        """What follows is of another time, and nothing is ready."""
        self.ready = 0
        self._untold = max(self._untold, 0)

    def take(self, frame: int) -> NDArray[np.int16]:
        """The next frame; the rest moves up."""
        said = self.pcm[:frame].copy()
        self.drop(frame)
        return said

    def drop(self, frame: int) -> None:
        """The next frame is not heard."""
        self.ready -= frame
        self.pcm[: self.ready] = self.pcm[frame : frame + self.ready].copy()

    def hold(self, said: NDArray[np.int16]) -> None:
        """This frame is next, before what is ready."""
        ready = min(self.ready, self.pcm.size - said.size)
        self.pcm[said.size : said.size + ready] = self.pcm[:ready].copy()
        self.pcm[: said.size] = said
        self.ready = ready + said.size
        self._pass(said.size)

    @property
    def _unknown(self) -> int:
        """Samples that the decoder is to be told of; negative as `_untold`."""
        return min(self._untold, _TOLD * self._frame if self._tells else 0)

    def _pass(self, samples: int) -> None:
        """What is heard next has moved so far away from where the decoder is."""
        if self.opus is not None:
            self._untold = min(self._untold + samples, self._uncounted)

    def _tell(self, packet: NDArray[np.uint8]) -> None:
        """Bring the decoder to where a packet begins."""
        if self._unknown:
            self._missed(packet, self._unknown)

    def _missed(self, packet: NDArray[np.uint8], samples: int) -> NDArray[np.int16] | None:
        """What the decoder makes of that many samples before a packet; None for one that is broken."""
        assert self.opus is not None
        again = np.empty(samples, np.int16)
        try:
            self.opus.recover(packet.ctypes.data, packet.size, again.ctypes.data, samples)
        except opus.BadPacket:
            return None
        self._untold, self._tells = 0, True
        return again
