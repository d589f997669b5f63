"""A mixer with people in front of it: they say frames as packets, and are asked what they heard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mixer import ULAW, Handle, Mixer
from tests.support.oracle import sample

SLOT = 2048
IN_TIME = 100
"""Samples before the beat: a packet that comes then is played at this beat."""

DECODED = np.array([[sample(code, alaw=alaw) for code in range(256)] for alaw in (False, True)], np.int16)
"""By law and code; the oracle's, not the mixer's."""


def code_of(value: int, law: int = ULAW) -> int:
    """The code of a value that the law has exactly."""
    (codes,) = np.nonzero(DECODED[law] == value)
    assert codes.size, f"{value} is no value of this law"
    return int(codes[-1])


@dataclass(frozen=True)
class Packet:
    row: int
    sequence: int
    timestamp: int
    ssrc: int
    law: int
    age: int
    audio: bytes


@dataclass(eq=False)
class Person:
    """A leg and the stream it sends."""

    handle: Handle
    law: int = ULAW
    sequence: int = 1
    timestamp: int = 0
    ssrc: int = 7

    @property
    def row(self) -> int:
        return self.handle & 0xFFFF

    def packet(self, audio: bytes, age: int = IN_TIME) -> Packet:
        """The next packet of the stream."""
        made = Packet(self.row, self.sequence, self.timestamp, self.ssrc, self.law, age, audio)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + len(audio)) & 0xFFFFFFFF
        return made


@dataclass
class Stage:
    mixer: Mixer = field(default_factory=lambda: Mixer(32))

    def person(self, law: int = ULAW, **stream: int) -> Person:
        return Person(self.mixer.open(law), law, **stream)

    def member(self, room: int = 1, *, mute: bool = False, hold: bool = False, law: int = ULAW) -> Person:
        person = self.person(law)
        self.mixer.seat(person.handle, room, mute=mute, hold=hold)
        return person

    def coach(self, *coached: Person, room: int = 1, mute: bool = False, hold: bool = False) -> Person:
        person = self.person()
        self.mixer.seat(person.handle, room, mute=mute, hold=hold, coaches=[c.handle for c in coached])
        return person

    def push(self, packets: Sequence[Packet]) -> None:
        push(self.mixer, packets)

    def say(self, frames: dict[Person, int], *, beats: int = 1) -> None:
        """Each says one value, for some beats; the last beat is what `hears` is asked about."""
        for _ in range(beats):
            self.push([self.frame(person, value) for person, value in frames.items()])
            self.mixer.tick()

    def frame(self, person: Person, value: int, age: int = IN_TIME) -> Packet:
        return person.packet(bytes([code_of(value, person.law)]) * 160, age)

    def hears(self, person: Person) -> int:
        """The one value that fills what he was given in the last tick, before it was encoded."""
        (value,) = set(self.mixer.bus(person.handle).tolist())
        return int(value)

    def payload(self, person: Person) -> bytes:
        """What he was given in the last tick, as sent."""
        return self.mixer.heard[person.row].tobytes()

    def samples(self, person: Person) -> NDArray[np.int16]:
        """The same, decoded."""
        return DECODED[person.law][self.mixer.heard[person.row]]


def push(mixer: Mixer, packets: Iterable[Packet]) -> None:
    """Packets in order of arrival, as the columns that the mixer takes."""
    batch = list(packets)
    payload = np.zeros((len(batch), SLOT), np.uint8)
    for line, packet in zip(payload, batch, strict=True):
        line[12 : 12 + len(packet.audio)] = np.frombuffer(packet.audio, np.uint8)
    mixer.push(
        np.array([p.row for p in batch], np.intp),
        np.array([p.sequence for p in batch], np.uint16),
        np.array([p.timestamp for p in batch], np.uint32),
        np.array([p.ssrc for p in batch], np.uint32),
        np.array([p.law for p in batch], np.uint8),
        np.array([p.age for p in batch], np.int32),
        payload,
        np.full(len(batch), 12, np.int32),
        np.array([len(p.audio) for p in batch], np.int32),
    )
