"""How long a leg waits for its packets: as long as they need, no longer than allowed, and never for ever."""

from fractions import Fraction

import numpy as np
import pytest

from mixer import FRAME, Mixer
from mixer.jitter import CEILING, HIGHEST
from mixer.rows import Rows
from mixer.target import BLOCK, Target
from tests.mixer.stage import IN_TIME, Packet, Person, Stage, push
from tests.mixer.test_conceal import LOUD, linear, tone

SECOND = 50
CALM = 48 + FRAME
"""What 20 ms streams wait at most on a clean network, samples."""


class Sender:
    """A leg that says a tone without end, over a network that delays each packet for itself."""

    def __init__(self, mixer: Mixer, *, period: float = 53.3, seed: int = 1, phase: int = 60) -> None:
        self.mixer = mixer
        self.person, self.listener = Person(mixer.open()), Person(mixer.open())
        for person in (self.person, self.listener):
            mixer.seat(person.handle, self.person.row)
        self.random = np.random.default_rng(seed)
        self.phase = phase
        self.said = tone(period, Fraction(period).limit_denominator(10).numerator)  # so it goes round
        self.sent = 0
        self.under_way: list[tuple[float, Packet]] = []
        self.now = 0

    def beats(self, count: int, jitter: float = 0, fixed: int = 0, loss: float = 0) -> np.ndarray:
        """So many beats; `jitter` (mean) and `fixed` delay in ms. What the listener heard, as samples."""
        heard = []
        for _ in range(count):
            at = self.sent * FRAME % len(self.said)
            packet = self.person.packet(self.said[at : at + FRAME])
            self.sent += 1
            delay = 8 * fixed + (self.random.exponential(8 * jitter) if jitter else 0)
            if self.random.random() >= loss:
                self.under_way.append((self.now - self.phase + delay, packet))
            here = sorted((a for a in self.under_way if a[0] <= self.now), key=lambda a: a[0])
            self.under_way = [a for a in self.under_way if a[0] > self.now]
            push(
                self.mixer,
                [
                    Packet(p.row, p.sequence, p.timestamp, p.ssrc, p.law, int(self.now - a), p.audio)
                    for a, p in here
                ],
            )
            self.mixer.tick()
            heard.append(self.mixer.bus(self.listener.handle))
            self.now += FRAME
        return np.concatenate(heard)

    @property
    def delay(self) -> int:
        return int(self.mixer.delay[self.person.row])


def steepest(samples: np.ndarray) -> int:
    return int(np.abs(np.diff(samples)).max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("storm", [1, 5, 30])
def test_ten_seconds_after_a_storm_of_200_ms_the_delay_is_what_it_was(seed, storm):
    sender = Sender(Mixer(4), seed=seed)
    sender.beats(3 * SECOND)
    before = sender.delay
    sender.beats(storm * SECOND, jitter=200)
    sender.beats(10 * SECOND)
    assert sender.delay == before <= CALM


@pytest.mark.parametrize("storm", [1, 30])
def test_after_a_storm_the_highest_ceiling_is_left_as_soon(storm):
    sender = Sender(Mixer(4, ceiling=HIGHEST))
    sender.beats(3 * SECOND)
    before = sender.delay
    sender.beats(storm * SECOND, jitter=200)
    assert sender.delay > CEILING or storm == 1
    sender.beats(10 * SECOND)
    assert sender.delay == before <= CALM


def test_a_leg_with_the_highest_ceiling_hears_most_of_200_ms_of_jitter():
    sender = Sender(mixer := Mixer(4, ceiling=HIGHEST))
    sender.beats(5 * SECOND, jitter=200)
    late = int(mixer.late[sender.person.row])
    sender.beats(40 * SECOND, jitter=200)
    assert mixer.late[sender.person.row] - late <= 40 * SECOND * 0.12  # with the usual one 37 %


def test_the_way_back_from_a_storm_does_not_click():
    sender = Sender(Mixer(4))
    sender.beats(10 * SECOND, jitter=60)
    high = sender.delay
    sender.beats(SECOND)
    heard = sender.beats(12 * SECOND)
    assert sender.delay <= CALM < high
    smooth = steepest(linear(sender.said))
    assert steepest(heard) <= smooth + 2 * LOUD // 64


@pytest.mark.parametrize("jitter", [5, 20, 60, 200])
@pytest.mark.parametrize("ceiling", [800, CEILING, HIGHEST])
def test_delay_stays_under_the_ceiling(jitter, ceiling):
    mixer = Mixer(4, ceiling=ceiling)
    sender = Sender(mixer)
    greatest = 0
    for _ in range(40 * SECOND):
        sender.beats(1, jitter=jitter)
        greatest = max(greatest, sender.delay)
    assert greatest <= ceiling + FRAME


def test_with_20_ms_of_jitter_one_packet_in_fifty_is_late_at_110_ms():
    sender = Sender(Mixer(4))
    sender.beats(5 * SECOND, jitter=20)
    late = int(sender.mixer.late[sender.person.row])
    sender.beats(60 * SECOND, jitter=20)
    assert sender.mixer.late[sender.person.row] - late <= 60 * SECOND / 50
    delays = []
    for _ in range(10 * SECOND):
        sender.beats(1, jitter=20)
        delays.append(sender.delay)
    assert np.mean(delays) <= 110 * 8


@pytest.mark.parametrize("jitter", [20, 60])
def test_a_leg_that_begins_knows_by_a_dozen_packets_how_long_to_wait(jitter):
    senders = [Sender(Mixer(4), seed=seed) for seed in range(12)]
    for sender in senders:
        sender.beats(SECOND // 2, jitter=jitter)
    before = [int(sender.mixer.late[sender.person.row]) for sender in senders]
    for sender in senders:
        sender.beats(2 * SECOND, jitter=jitter)
    late = sum(int(sender.mixer.late[sender.person.row]) for sender in senders) - sum(before)
    assert late <= 12 * 2 * SECOND * (0.03 if jitter == 20 else 0.07)  # of 60 ms the ceiling lets 4 % be late


@pytest.mark.parametrize("later", [1, 16, 30])
def test_packets_a_little_later_than_the_first_one_make_nobody_wait_longer(later):
    """The first comes as late as a leg is placed with, those behind it up to 4 ms later: all are in time."""
    mixer = Mixer(4)
    sender = Sender(mixer, phase=50)
    sender.beats(1)
    before = sender.delay
    sender.phase = 50 - later
    heard = sender.beats(BLOCK // 2)
    assert sender.delay == before - later
    said = linear(np.tile(sender.said, 10))[FRAME : FRAME + heard.size]
    assert np.array_equal(heard, said)


@pytest.mark.parametrize("at", [0, 5, 20])
def test_a_burst_at_the_begin_adds_no_delay(at):
    """Ten packets that were held up come at once."""
    stage = Stage()
    speaker, _ = stage.member(), stage.member()
    stage.say({speaker: 4860}, beats=at)
    held_up = [stage.frame(speaker, 4860) for _ in range(10)]
    for _ in range(10 if at else 0):
        stage.mixer.tick()
    stage.push([*held_up, stage.frame(speaker, 4860)])
    stage.mixer.tick()
    stage.say({speaker: 4860}, beats=2 * BLOCK)
    assert stage.mixer.delay[speaker.row] == IN_TIME


def test_a_way_that_becomes_slower_makes_nobody_wait_less():
    """Packets of 40 ms, of which few come in the seconds in which a leg is judged by their mean."""
    target = Target(rows := Rows(4), 48, CEILING)
    row = np.array([rows.hand_out() & 0xFFFF])
    target.begin(row)
    placed = np.ones(4, np.bool_)
    for block in range(4):
        for packet in range(BLOCK // 2):
            margin = np.array([200 if block < 2 else -70 if packet == 9 else 100], np.int32)
            target.note(row, margin, margin)
            target.begun(row, np.array([0]), margin, np.array([True]))
        _, frames = target.settle(block, placed)
        assert not frames.size or frames.max() <= 0


def test_a_packet_older_than_all_that_is_looked_at_adds_no_delay():
    """Of a leg that begins the packets before and behind a pause come at once."""
    stage = Stage()
    speaker, _ = stage.member(), stage.member()
    before = stage.frame(speaker, 4860)
    speaker.timestamp += 20 * FRAME
    stage.push([before, stage.frame(speaker, 4860)])
    stage.mixer.tick()
    stage.say({speaker: 4860}, beats=5)
    for _ in range(BLOCK):
        stage.mixer.tick()
    speaker.timestamp += BLOCK * FRAME
    stage.say({speaker: 4860})
    assert stage.mixer.delay[speaker.row] == IN_TIME


def test_more_delay_is_met_at_once():
    sender = Sender(Mixer(4))
    sender.beats(5 * SECOND)
    late = int(sender.mixer.late[sender.person.row])
    sender.beats(SECOND, fixed=60)
    assert sender.mixer.late[sender.person.row] - late <= 3


def test_lost_packets_add_no_delay():
    sender = Sender(Mixer(4))
    sender.beats(3 * SECOND)
    before = sender.delay
    sender.beats(30 * SECOND, loss=0.2)
    assert sender.delay == before


def test_silence_is_used_first():
    """A frame that is owed while somebody speaks is paid in the first pause."""
    stage = Stage()
    speaker, listener = stage.member(), stage.member()
    random = np.random.default_rng(1)

    def noise() -> bytes:
        return bytes(
            random.integers(0, 0x30, FRAME, dtype=np.uint8) | random.integers(0, 2, FRAME, np.uint8) << 7
        )

    for beat in range(20):
        stage.push([speaker.packet(noise()) for _ in range(3 if beat == 10 else 1)])  # two frames too early
        stage.mixer.tick()
    stage.mixer._jitter._owe(np.array([speaker.row]), np.array([1], np.int32))
    delay = int(stage.mixer.delay[speaker.row])
    for _ in range(5):
        stage.push([speaker.packet(noise())])
        stage.mixer.tick()
    assert stage.mixer.delay[speaker.row] == delay
    stage.say({speaker: 0}, beats=6)
    assert stage.mixer.delay[speaker.row] == delay - FRAME
    assert stage.hears(listener) == 0


def test_a_drifting_clock_does_not_click():
    """At ten times the rate, so that four minutes are as good as forty."""
    mixer = Mixer(14)
    clocks = [(ppm, Sender(mixer, period=period)) for ppm in (-200, 200) for period in (22, 53.3, 110)]
    arrival, last, worst = [0.0] * len(clocks), [0] * len(clocks), [0] * len(clocks)
    for beat in range(4 * 60 * SECOND):
        now, packets = beat * FRAME, []
        for place, (ppm, sender) in enumerate(clocks):
            while arrival[place] <= now:
                at = sender.sent * FRAME % len(sender.said)
                said = sender.said[at : at + FRAME]
                packets.append(sender.person.packet(said, int(now - arrival[place])))
                sender.sent += 1
                arrival[place] += FRAME / (1 + ppm * 1e-5)
        push(mixer, packets)
        mixer.tick()
        for place, (_, sender) in enumerate(clocks):
            heard = mixer.bus(sender.listener.handle)
            if beat > 5:
                worst[place] = max(worst[place], steepest(np.r_[last[place], heard]))
            last[place] = int(heard[-1])
            assert sender.delay <= CALM + FRAME
    assert not mixer.lost.any()
    for (_, sender), step in zip(clocks, worst, strict=True):
        assert step <= steepest(linear(sender.said)[: 200 * FRAME]) + 2 * LOUD // 32


def test_what_was_said_in_private_does_not_show_in_when_later_words_are_heard():
    """Play-out moves where speech allows it; of private speech nothing may be told by that."""

    def heard(secret: bytes) -> bytes:
        stage = Stage()
        agent, customer = stage.member(), stage.member()
        coach = stage.coach(agent)
        for beat in range(3 * BLOCK + 4):  # two frames more than are needed from the tenth on
            at = beat % SECOND * FRAME
            frames = [secret[at : at + FRAME]] * (3 if beat == 10 else 1)
            stage.push([coach.packet(frame) for frame in frames])
            stage.mixer.tick()
        owed.append(int(stage.mixer._jitter._owed[coach.row]))
        stage.mixer.coach(coach.handle, None)
        payloads = []
        public = tone(40, 3 * SECOND)
        for at in range(0, len(public), FRAME):
            stage.push([coach.packet(public[at : at + FRAME])])
            stage.mixer.tick()
            payloads.append(stage.payload(customer))
        return b"".join(payloads)

    owed: list[int] = []
    random = np.random.default_rng(3)
    rough = bytes(random.integers(0, 256, FRAME * SECOND, dtype=np.uint8))
    assert heard(b"\xff" * FRAME * SECOND) == heard(rough)
    assert owed[0] == 0 < owed[1]  # it did tell before


def test_a_leg_that_is_placed_begins_low():
    stage = Stage()
    speaker = stage.member()
    stage.say({speaker: 4860}, beats=2 * BLOCK)
    assert stage.mixer.delay[speaker.row] == IN_TIME
