"""Senders and plain listeners of every codec, for listening tests: sound to packets of 20 ms, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixer import g711, g722, opus
from mixer.formats import ALAW, ULAW, number

Sound = NDArray[np.int16]


@dataclass(frozen=True)
class Codec:
    """What a peer speaks and hears; see `mixer.formats`."""

    name: str
    rate: int

    @property
    def format(self) -> int:
        return number(self.name, self.rate)

    @property
    def frame(self) -> int:
        """Samples of 20 ms."""
        return self.rate // 50

    def __str__(self) -> str:
        return f"{self.name}/{self.rate // 1000}"

    def packets(self, sound: Sound) -> list[bytes]:
        """All whole frames of a sound at the codec's rate; Opus as a server of ours encodes it."""
        frames = np.ascontiguousarray(sound[: sound.size // self.frame * self.frame].reshape(-1, self.frame))
        match self.name:
            case "PCMU" | "PCMA":
                return [frame.tobytes() for frame in coded(frames, self.format)]
            case "L16":
                return [frame.astype(">i2").tobytes() for frame in frames]
            case "G722":
                g722_encoder = g722.Encoder()
                return [g722_encoder.encode(frame) for frame in frames]
        encoder = opus.Encoder(
            self.rate,
            bitrate=opus.BITRATE[self.rate],
            complexity=opus.COMPLEXITY,
            fec=True,
            loss=opus.EXPECTED_LOSS,
            dtx=False,
        )
        return [_encoded(encoder, frame) for frame in frames]

    def heard(self, packets: Sequence[bytes], lost: NDArray[np.bool_]) -> Sound:
        """By a decoder that is given no lost packet, and puts silence in the place of each."""
        sound = np.zeros((len(packets), self.frame), np.int16)
        g722_decoder, opus_decoder = g722.Decoder(), opus.Decoder(self.rate)
        for number_, packet in enumerate(packets):
            if lost[number_]:
                continue
            match self.name:
                case "PCMU" | "PCMA":
                    sound[number_] = decoded(np.frombuffer(packet, np.uint8), self.format)
                case "L16":
                    sound[number_] = np.frombuffer(packet, ">i2")
                case "G722":
                    sound[number_] = g722_decoder.decode(packet)
                case _:
                    _decode(opus_decoder, packet, sound[number_])
        return sound.reshape(-1)

    def concealed(self, packets: Sequence[bytes], lost: NDArray[np.bool_]) -> Sound | None:
        """By libopus alone, which always has the next packet in time for its FEC; None for other codecs."""
        if self.name != "OPUS":
            return None
        sound = np.zeros((len(packets), self.frame), np.int16)
        decoder = opus.Decoder(self.rate)
        for number_, packet in enumerate(packets):
            out = sound[number_]
            if not lost[number_]:
                _decode(decoder, packet, out)
            elif number_ + 1 < len(packets) and not lost[number_ + 1]:
                after = np.frombuffer(packets[number_ + 1], np.uint8)
                decoder.recover(after.ctypes.data, after.size, out.ctypes.data, out.size)
            else:
                decoder.conceal(out.ctypes.data, out.size)
        return sound.reshape(-1)


def coded(samples: Sound, law: int = ULAW) -> NDArray[np.uint8]:
    """Samples of any shape as G.711."""
    wide = samples.astype(np.int32).reshape(1, -1)
    out = np.empty(wide.shape, np.uint8)
    g711.encode(wide, g711.encode_base(np.array([law], np.uint8)), out)
    return out.reshape(samples.shape)


def decoded(payload: NDArray[np.uint8], law: int = ULAW) -> Sound:
    """G.711 of any shape as samples."""
    assert law in (ULAW, ALAW)
    out = np.empty(payload.shape, np.int16)
    g711.decode(payload.astype(np.uint16) | (law << 8 | g711.VALID), out)
    return out


def _encoded(encoder: opus.Encoder, frame: Sound) -> bytes:
    out = np.empty(opus.LARGEST, np.uint8)
    return out[: encoder.encode(frame.ctypes.data, frame.size, out.ctypes.data, out.size)].tobytes()


def _decode(decoder: opus.Decoder, packet: bytes, out: Sound) -> None:
    held = np.frombuffer(packet, np.uint8)
    decoder.decode(held.ctypes.data, held.size, out.ctypes.data, out.size)
