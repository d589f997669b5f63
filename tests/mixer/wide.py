"""People on phones of any codec, in front of a mixer, and what each hears as samples of his own rate."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mixer import Handle, Mixer, Tuning, g722, opus
from mixer.formats import FORMATS, number
from tests.mixer.stage import DECODED, IN_TIME, Packet, push


@dataclass(eq=False)
class Phone:
    """A leg, what it sends, and a decoder for what it is sent."""

    mixer: Mixer
    codec: str = "PCMU"
    rate: int = 8000
    tuning: Tuning = field(default_factory=Tuning)
    ssrc: int = 7
    timestamp: int = 4_000_000_000
    sequence: int = 65_500

    def __post_init__(self) -> None:
        self.format = number(self.codec, self.rate)
        self.handle: Handle = self.mixer.open(self.format)
        self.mixer.set_format(self.handle, self.format, self.tuning)
        self.row = self.handle & 0xFFFF
        self.frame = self.rate // 50
        self.spoken = 0
        self.heard: list[NDArray[np.int16]] = []
        self.begin()

    def change(self, codec: str, rate: int) -> None:
        """Another codec both ways, as by a re-INVITE; the tone goes on."""
        self.spoken = self.spoken * rate // self.rate
        self.codec, self.rate, self.frame = codec, rate, rate // 50
        self.format = number(codec, rate)
        self.begin()
        self.mixer.set_format(self.handle, self.format, self.tuning)

    def begin(self) -> None:
        """Coders without a past."""
        self._decoder: opus.Decoder | g722.Decoder | None = None
        self._encoder: opus.Encoder | g722.Encoder | None = None
        if self.codec == "OPUS":
            self._decoder = opus.Decoder(self.rate)
            self._encoder = opus.Encoder(
                self.rate, bitrate=48_000, complexity=5, fec=True, loss=20, dtx=False
            )
        elif self.codec == "G722":
            self._decoder, self._encoder = g722.Decoder(), g722.Encoder()

    def join(self, room: int = 1, **how: object) -> "Phone":
        self.mixer.seat(self.handle, room, **how)  # type: ignore[arg-type]
        return self

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        if isinstance(self._encoder, opus.Encoder):
            out = np.zeros(1280, np.uint8)
            size = self._encoder.encode(samples.ctypes.data, samples.size, out.ctypes.data, out.size)
            return out[:size].tobytes()
        if isinstance(self._encoder, g722.Encoder):
            return self._encoder.encode(samples)
        if self.codec == "L16":
            return samples.astype(">i2").tobytes()
        law = DECODED[self.format].astype(np.int32)
        return (
            np.abs(law[None, :] - samples.astype(np.int32)[:, None]).argmin(axis=1).astype(np.uint8).tobytes()
        )

    def packet(self, samples: NDArray[np.int16], age: int = IN_TIME) -> Packet:
        """The next packet of the stream."""
        made = Packet(
            self.row, self.sequence, self.timestamp, self.ssrc, self.format, age, self.encode(samples)
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        ticks = samples.size * FORMATS[self.format].clock // self.rate
        self.timestamp = (self.timestamp + ticks) & 0xFFFF_FFFF
        return made

    def tone(self, frequency: float, loud: float = 6000.0) -> NDArray[np.int16]:
        """The next frame of a tone."""
        at = np.arange(self.spoken, self.spoken + self.frame) / self.rate
        self.spoken += self.frame
        return np.rint(loud * np.sin(2 * np.pi * frequency * at)).astype(np.int16)

    def zeros(self) -> NDArray[np.int16]:
        return np.zeros(self.frame, np.int16)

    def payload(self) -> bytes:
        """What it was sent in the last tick."""
        if self.codec in ("PCMU", "PCMA"):
            return self.mixer.heard[self.row].tobytes()
        return self.mixer.sent[self.row, : self.mixer.sent_size[self.row]].tobytes()

    def listen(self) -> None:
        """Decode the last tick's payload, and keep it."""
        data = np.frombuffer(self.payload(), np.uint8)
        if isinstance(self._decoder, opus.Decoder):
            frame = np.zeros(self.frame, np.int16)
            self._decoder.decode(data.ctypes.data, data.size, frame.ctypes.data, frame.size)
        elif isinstance(self._decoder, g722.Decoder):
            frame = self._decoder.decode(data.tobytes())
        elif self.codec == "L16":
            frame = data.view(">i2").astype(np.int16)
        else:
            frame = DECODED[self.format][data]
        self.heard.append(frame)

    def level(self, frequency: float, beats: int = 20) -> float:
        """The amplitude of a tone in the last beats heard."""
        samples = np.concatenate(self.heard[-beats:]).astype(np.float64)
        window = np.hanning(samples.size)
        turns = np.exp(-2j * np.pi * frequency * np.arange(samples.size) / self.rate)
        return float(2 * abs(np.sum(samples * window * turns)) / np.sum(window))


def talk(
    mixer: Mixer, tones: dict[Phone, float], *, beats: int = 1, listeners: tuple[Phone, ...] = ()
) -> None:
    """Each says his tone, 0 for zeros, for some beats; all of them, and `listeners`, hear."""
    for _ in range(beats):
        packets = [phone.packet(phone.tone(f) if f else phone.zeros()) for phone, f in tones.items()]
        if packets:
            push(mixer, packets)
        mixer.tick()
        for phone in {*tones, *listeners}:
            phone.listen()
