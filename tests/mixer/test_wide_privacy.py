"""What is said in private reaches nobody else, in no byte, whatever anybody's codec."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from mixer import Mixer, opus
from mixer.encode import WARM
from mixer.formats import FORMATS, number
from tests.mixer.stage import IN_TIME, SLOT, Packet, Person, push
from tests.mixer.test_privacy import Story
from tests.mixer.wide import Phone, talk

MEMBERS = [("OPUS", 48000), ("G722", 16000), ("PCMU", 8000), ("L16", 16000), ("OPUS", 16000)]


@cache
def sayings(rate: int) -> tuple[bytes, ...]:
    """Packets of Opus, all different, with redundancy for the one before."""
    random = np.random.default_rng(rate)
    encoder = opus.Encoder(rate, bitrate=32_000, complexity=0, fec=True, loss=20, dtx=False)
    packets = []
    for _ in range(64):
        frame, out = random.integers(-9000, 9000, rate // 50).astype(np.int16), np.zeros(1280, np.uint8)
        size = encoder.encode(frame.ctypes.data, frame.size, out.ctypes.data, out.size)
        packets.append(out[:size].tobytes())
    return tuple(packets)


@dataclass(eq=False)
class Talker(Person):
    """A person of any codec."""

    def say(self, source: np.random.Generator, silent: bool) -> Packet:
        """The next packet of 20 ms, of noise out of `source`, or of nothing at all."""
        known = FORMATS[self.law]
        if known.codec == "OPUS":
            audio = sayings(known.rate)[int(source.integers(0, 64))]
        else:
            audio = source.integers(0, 256, 2 * known.piece, dtype=np.uint8).tobytes()
            if silent and known.codec == "L16":
                audio = bytes(len(audio))
        made = Packet(self.row, self.sequence, self.timestamp, self.ssrc, self.law, IN_TIME, audio)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + known.clock // 50) & 0xFFFF_FFFF
        return made


class WideStory(Story):
    """The same in all codecs; the observer's is that of the test."""

    def __init__(self, seed: int, secret: int, observer: tuple[str, int]) -> None:
        super().__init__(seed, secret, loss=0.1)
        self.formats = [number(*each) for each in (observer, *MEMBERS[: Story.MEMBERS - 1])]
        for person in self.people:
            self.mixer.close(person.handle)
        self.people = [self.person(member) for member in range(Story.MEMBERS)]
        for member, person in enumerate(self.people):
            self.rooms[member] = 1
            self.mixer.seat(person.handle, 1)

    def person(self, member: int) -> Talker:
        format = self.formats[member]
        return Talker(self.mixer.open(format), format, ssrc=100 * member + int(self.random.integers(90)))

    def speak(self, member: int) -> None:
        person = self.people[member]
        assert isinstance(person, Talker)
        source = self.private if self.secret(member) else self.public
        packets = [person.say(source, silent=self.random.random() < 0.5) for _ in range(self.burst(member))]
        kinds = [self.random.random() for _ in packets]
        if kinds and self.secret(member):  # the last comes at once: what is newest when it comes may be heard
            kinds[-1] = 0.9 if max(kinds) > 0.95 else kinds[-1]
        for packet, kind in zip(packets, kinds, strict=True):
            if kind > 0.95:
                self.due[int(self.random.integers(1, 8))].append(packet)
            elif kind > self.loss:
                self.due[0].append(packet)

    def burst(self, member: int) -> int:
        if self.ahead[member] > 0:
            self.ahead[member] -= 1
            return 0
        count = 1 if self.random.random() < 0.8 else int(self.random.integers(2, 5))
        self.ahead[member] = count - 1
        return count

    def act(self) -> None:
        before = list(self.people)
        super().act()
        for member, person in enumerate(self.people):
            if person is not before[member]:  # closed, and opened by the story in G.711
                self.mixer.close(person.handle)
                self.people[member] = self.person(member)

    def told(self, beats: int) -> tuple[list[bytes], bytes]:
        """Each payload that the observer was sent, and what all others were."""
        observed, rest = [], []
        for _ in range(beats):
            for member in range(Story.MEMBERS):
                self.speak(member)
            batch = self.due.pop(0)
            self.due.append([])
            if batch:
                push(self.mixer, batch)
            while self.random.random() < 0.15:
                self.act()
            self.mixer.tick()
            payloads = [self.payload(person) for person in self.people]
            observed.append(payloads[0])
            rest += payloads[1:]
        return observed, b"".join(rest)

    def payload(self, person: Person) -> bytes:
        if person.law < 2:
            return self.mixer.heard[person.row].tobytes()
        return self.mixer.sent[person.row, : self.mixer.sent_size[person.row]].tobytes()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("observer", [("OPUS", 48000), ("OPUS", 16000), ("G722", 16000), ("PCMU", 8000)])
def test_what_is_said_in_private_changes_no_byte_that_others_are_sent(seed, observer):
    first, others = WideStory(seed, 1, observer).told(140)
    second, other_others = WideStory(seed, 2, observer).told(140)
    assert others != other_others  # the secrets were told, and to somebody
    assert len(set(first)) > 20  # and much was said in public
    assert [beat for beat in range(140) if first[beat] != second[beat]] == []


@pytest.mark.parametrize("codec", [("OPUS", 48000), ("G722", 16000)])
def test_listeners_share_an_encoder_and_whoever_is_coached_leaves_it_at_once(codec):
    def story(secret: float) -> tuple[list[bytes], list[bytes]]:
        mixer = Mixer(16)
        talker, coach = Phone(mixer, "L16", 16000).join(), Phone(mixer, "L16", 16000).join(coaches=[])
        coached, other, third = (Phone(mixer, *codec).join() for _ in range(3))
        quiet = {phone: 0.0 for phone in (talker, coach)}
        talk(mixer, quiet, beats=2 * WARM + 10)
        made = mixer.encoded
        talk(mixer, {talker: 700.0, coach: 0.0})
        assert mixer.encoded == made + 1  # once for the three
        mixer.coach(coach.handle, [coached.handle])
        for _ in range(10):
            talk(mixer, {talker: 700.0, coach: secret}, listeners=(coached, other, third))
        assert coached.payload() != other.payload() == third.payload()
        mixer.coach(coach.handle, [])
        heard, told = [], []
        for _ in range(2 * WARM):
            talk(mixer, {talker: 700.0, coach: secret})
            heard.append(coached.payload())
            told.append(other.payload() + third.payload())
        return heard, told

    one, two = story(1300.0), story(1900.0)
    assert one[1] == two[1]
    assert one[0] != two[0]


@pytest.mark.parametrize("change", ["list", "handover"])
def test_not_even_a_filter_remembers_what_a_coach_said_to_others(change):
    mixer = Mixer(8)
    agent, customer = (Phone(mixer, "L16", 16000).join() for _ in range(2))
    coach = Phone(mixer).join(coaches=[agent.handle])
    talk(mixer, {coach: 700.0}, beats=20, listeners=(agent,))
    assert agent.level(700) > 3000
    both = [agent.handle, customer.handle]
    mixer.coach(coach.handle, both if change == "list" else [customer.handle])
    mixer.tick()
    assert not mixer.bus(customer.handle).any()


def test_no_packet_repeats_to_more_what_the_one_before_it_said_to_fewer():
    """Packets of 10 ms: the one that all may hear begins within a frame."""
    mixer = Mixer(4)
    coach, other = Phone(mixer, "OPUS", 16000), Phone(mixer, "L16", 16000).join()
    coach.join(coaches=[])
    coach.frame //= 2
    packets = [coach.packet(coach.tone(700.0)) for _ in range(30)]
    audio = [np.frombuffer(packet.audio, np.uint8) for packet in packets]
    repeats = [opus.Decoder(16000).repeated(each.ctypes.data, each.size) > 0 for each in audio]
    first = next(place for place in range(11, 30, 2) if repeats[place])
    for place in range(0, first - 1, 2):
        push(mixer, packets[place : place + 2])
        mixer.tick()
        other.listen()
    push(mixer, [packets[first - 1]])
    mixer.coach(coach.handle, None)
    push(mixer, [packets[first]])
    mixer.tick()
    other.listen()
    alone = np.zeros(coach.frame, np.int16)
    opus.Decoder(16000).decode(audio[first].ctypes.data, audio[first].size, alone.ctypes.data, alone.size)
    assert not other.heard[-1][: coach.frame].any()
    assert np.abs(other.heard[-1][coach.frame + 80 :].astype(int) - alone[80:]).max() <= 1


def test_what_lies_behind_a_packet_in_its_slot_is_nobodys_speech():
    """Halves of a frame that come the wrong way round, in slots in which a coach's packets lay before."""

    def heard(secret: int) -> list[bytes]:
        mixer = Mixer(8)
        public, private = np.random.default_rng(1), np.random.default_rng(secret)
        talker, observer = Phone(mixer, "G722", 16000).join(), Phone(mixer).join()
        sent = []
        for beat in range(30):
            halves = [(2 * beat + half, public.integers(0, 256, 80, dtype=np.uint8)) for half in (1, 0)]
            payload = np.zeros((2, SLOT), np.uint8)
            payload[:] = private.integers(0, 256, payload.shape, dtype=np.uint8)
            for line, (_, audio) in zip(payload, halves, strict=True):
                line[12:92] = audio
            numbers = np.array([number for number, _ in halves])
            mixer.push(
                np.full(2, talker.row, np.intp),
                numbers.astype(np.uint16),
                (80 * numbers).astype(np.uint32),
                np.full(2, 7, np.uint32),
                np.full(2, talker.format, np.uint8),
                np.full(2, IN_TIME, np.int32),
                payload,
                np.full(2, 12, np.int32),
                np.full(2, 80, np.int32),
            )
            mixer.tick()
            sent.append(observer.payload())
        return sent

    assert heard(1) == heard(2)
    assert len(set(heard(1))) > 20
