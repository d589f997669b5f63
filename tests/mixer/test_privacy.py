"""What was said to few is never heard by more: who joins them hears only what is received from then on."""

from collections.abc import Callable

import numpy as np
import pytest

from mixer import Mixer
from mixer.conceal import FADE
from mixer.inband import Pressed
from tests.mixer.sounds import key, noise, payloads, samples, syllables
from tests.mixer.stage import IN_TIME, Packet, Person, Stage, push
from tests.support.oracle import Conference

SECRET, OPEN, A, B = 9852, 2236, 1052, 4860
FRAME = 160


@pytest.fixture
def stage():
    return Stage()


def widenings() -> dict[str, Callable[[Stage], tuple[Person, Person, Callable[[], None]]]]:
    """By name: who speaks, who does not hear him yet, and the verb that changes it."""

    def uncoach(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        agent, customer = stage.member(), stage.member()
        coach = stage.coach(agent)
        return coach, customer, lambda: stage.mixer.coach(coach.handle, None)

    def longer_list(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        agent, customer = stage.member(), stage.member()
        coach = stage.coach(agent)
        return coach, customer, lambda: stage.mixer.coach(coach.handle, [agent.handle, customer.handle])

    def other_list(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        agent, customer = stage.member(), stage.member()
        coach = stage.coach(agent)
        return coach, customer, lambda: stage.mixer.coach(coach.handle, [customer.handle])

    def unmute(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        speaker, listener = stage.member(mute=True), stage.member()
        return speaker, listener, lambda: stage.mixer.flags(speaker.handle, mute=False, hold=False)

    def unhold(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        speaker, listener = stage.member(hold=True), stage.member()
        return speaker, listener, lambda: stage.mixer.flags(speaker.handle, mute=False, hold=False)

    def move(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        speaker, listener = stage.member(1), stage.member(2)
        return speaker, listener, lambda: stage.mixer.seat(speaker.handle, 2)

    def join(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        speaker, listener = stage.person(), stage.member()
        return speaker, listener, lambda: stage.mixer.seat(speaker.handle, 1)

    def reseat_without_the_list(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        customer, coach = stage.member(), stage.coach()
        return coach, customer, lambda: stage.mixer.seat(coach.handle, 1)

    def coached_joins(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        coach, agent = stage.coach(), stage.person()
        return coach, agent, lambda: stage.mixer.seat(agent.handle, 1, coached_by=[coach.handle])

    def coached_comes_off_hold(stage: Stage) -> tuple[Person, Person, Callable[[], None]]:
        agent = stage.member(hold=True)
        coach = stage.coach(agent)
        return coach, agent, lambda: stage.mixer.flags(agent.handle, mute=False, hold=False)

    return {name: made for name, made in locals().items() if callable(made)}


@pytest.mark.parametrize("name", widenings())
def test_whatever_widens_an_audience_takes_hold_from_the_newest_sample_received(stage, name):
    speaker, listener, widen = widenings()[name](stage)
    stage.say({speaker: SECRET}, beats=3)
    delayed = stage.frame(speaker, SECRET)
    ahead = [stage.frame(speaker, SECRET) for _ in range(4)]
    stage.push(ahead)  # buffered for beats to come; `delayed` is still under way
    widen()
    stage.mixer.tick()
    assert stage.hears(listener) == 0
    stage.push([delayed, *ahead])  # late, and once more
    stage.mixer.tick()
    assert stage.hears(listener) == 0
    for _ in range(4):
        stage.push([stage.frame(speaker, OPEN)])
        stage.mixer.tick()
        heard = set(stage.mixer.bus(listener.handle).tolist())
        assert max(heard) <= OPEN
    stage.say({speaker: OPEN}, beats=6)
    assert stage.hears(listener) == OPEN


@pytest.mark.parametrize("name", widenings())
def test_the_end_of_what_was_private_does_not_even_fade(stage, name):
    speaker, listener, widen = widenings()[name](stage)
    stage.say({speaker: SECRET}, beats=3)
    widen()
    for _ in range(3):
        stage.mixer.tick()
        assert stage.hears(listener) == 0


@pytest.mark.parametrize("name", widenings())
@pytest.mark.parametrize("missed", [1, 2])
def test_what_conceals_a_gap_in_private_speech_is_not_heard_by_more(stage, name, missed):
    speaker, listener, widen = widenings()[name](stage)
    stage.say({speaker: SECRET}, beats=4)
    for _ in range(missed):
        stage.frame(speaker, SECRET)  # lost
        stage.mixer.tick()
    widen()
    for _ in range(3):
        stage.mixer.tick()
        assert stage.hears(listener) == 0


@pytest.mark.parametrize("name", widenings())
def test_gaps_in_public_speech_are_not_filled_with_what_was_private(stage, name):
    speaker, listener, widen = widenings()[name](stage)
    stage.say({speaker: SECRET}, beats=4)
    widen()
    stage.say({speaker: 0})
    for _ in range(5):
        stage.mixer.tick()
        assert stage.hears(listener) == 0


@pytest.mark.parametrize("name", widenings())
def test_a_play_out_that_falls_back_does_not_come_to_what_was_private(stage, name):
    speaker, listener, widen = widenings()[name](stage)
    stage.say({speaker: SECRET}, beats=10)
    private = [stage.frame(speaker, SECRET) for _ in range(12)]
    newest = stage.frame(speaker, SECRET)
    stage.push([newest])
    widen()
    for packet in private:  # late; the play-out falls back for them
        stage.push([packet])
        stage.mixer.tick()
        assert stage.hears(listener) == 0


def narrowings() -> dict[str, Callable[[Stage, Person, Person, Person], None]]:
    return {
        "mute": lambda stage, speaker, _, __: stage.mixer.flags(speaker.handle, mute=True, hold=False),
        "hold": lambda stage, speaker, _, __: stage.mixer.flags(speaker.handle, mute=False, hold=True),
        "hold_the_listener": lambda stage, _, listener, __: stage.mixer.flags(
            listener.handle, mute=False, hold=True
        ),
        "coach": lambda stage, speaker, _, third: stage.mixer.coach(speaker.handle, [third.handle]),
        "leave": lambda stage, speaker, _, __: stage.mixer.unseat(speaker.handle),
        "close": lambda stage, speaker, _, __: stage.mixer.close(speaker.handle),
        "move_the_listener": lambda stage, _, listener, __: stage.mixer.seat(listener.handle, 2),
    }


@pytest.mark.parametrize("name", narrowings())
def test_whatever_narrows_an_audience_takes_hold_at_once(stage, name):
    speaker, listener, third = stage.member(), stage.member(), stage.member()
    stage.say({speaker: SECRET}, beats=3)
    stage.push([stage.frame(speaker, SECRET)])
    narrowings()[name](stage, speaker, listener, third)
    stage.mixer.tick()
    assert stage.hears(listener) == 0


def test_narrowing_a_list_does_not_interrupt_those_who_stay_on_it(stage):
    agent, other = stage.member(), stage.member()
    coach = stage.coach(agent, other)
    stage.say({coach: SECRET}, beats=3)
    stage.push([stage.frame(coach, SECRET)])
    stage.mixer.coach(coach.handle, [agent.handle])
    stage.mixer.tick()
    assert [stage.hears(agent), stage.hears(other)] == [SECRET, 0]


def test_muting_one_who_is_held_and_the_like_widens_nothing(stage):
    speaker, listener = stage.member(hold=True, mute=True), stage.member()
    stage.say({speaker: SECRET, listener: A}, beats=3)
    stage.mixer.flags(speaker.handle, mute=True, hold=False)
    stage.say({speaker: SECRET, listener: A})
    assert [stage.hears(speaker), stage.hears(listener)] == [A, 0]


class Story:
    """A room with one who is never coached by anyone before he is on a list, and others to whom all happens.

    Everything is drawn from one seed but the secrets: what a member says while the observer does not hear
    him is noise of its own. Packets come in bursts ahead, swapped, doubled, late, lost, and from new sources.
    """

    MEMBERS = 5

    def __init__(self, seed: int, secret: int, loss: float = 0.04) -> None:
        self.loss = loss
        self.random = np.random.default_rng(seed)
        self.public, self.private = np.random.default_rng(seed + 1), np.random.default_rng(secret)
        self.mixer = Mixer(Story.MEMBERS + 3)
        self.rooms: dict[int, int] = {0: 1}
        self.muted: set[int] = set()
        self.held: set[int] = set()
        self.lists: dict[int, set[int]] = {}
        self.people = [Person(self.mixer.open(), ssrc=100 * i) for i in range(Story.MEMBERS)]
        self.mixer.seat(self.people[0].handle, 1)
        self.due: list[list[Packet]] = [[] for _ in range(8)]
        self.ahead = [0] * Story.MEMBERS

    def secret(self, member: int) -> bool:
        return not Conference(self.rooms, self.muted, self.held, self.lists).hears(0, member)

    def speak(self, member: int) -> None:
        """This beat's packets of a member, and some that come later."""
        if self.ahead[member] > 0:
            self.ahead[member] -= 1
            return
        person = self.people[member]
        if self.random.random() < 0.02:
            person.ssrc += 1
            person.timestamp = int(self.random.integers(2**32))
        kind = self.random.random()
        count = 1 if kind < 0.7 else int(self.random.integers(2, 5))
        self.ahead[member] = count - 1
        source = self.private if self.secret(member) else self.public
        size = int(self.random.choice([80, 160, 160, 160, 88]))
        batch = [
            person.packet(source.integers(0, 256, size, dtype=np.uint8).tobytes())
            for _ in range(FRAME * count // size)
        ]
        if kind > 0.9:  # the last comes first, the others when they come
            for packet in batch[:-1]:
                self.due[int(self.random.integers(0, 8))].append(packet)
            batch = batch[-1:]
        if kind > 0.8:
            self.due[1].append(batch[0])
        if kind > self.loss:
            self.due[0].extend(batch)

    def act(self) -> None:
        """One verb on somebody who is not the observer."""
        member = int(self.random.integers(1, Story.MEMBERS))
        handle = self.people[member].handle
        verb = self.random.choice(["seat", "coach", "uncoach", "list", "mute", "hold", "unseat", "close"])
        named = {int(n) for n in self.random.integers(0, Story.MEMBERS, 2)}
        flags = self.random.random(2) < 0.3
        if verb == "close":
            self.mixer.close(handle)
            self.leave(member)
            for names in self.lists.values():
                names.discard(member)
            row = self.people[
                member
            ].row  # to keep a dead leg's packets from the next is for those who demultiplex
            self.due = [[packet for packet in batch if packet.row != row] for batch in self.due]
            self.people[member] = Person(self.mixer.open(), ssrc=self.people[member].ssrc + 1)
        elif verb == "unseat":
            self.mixer.unseat(handle)
            self.leave(member)
        elif verb == "seat" or member not in self.rooms:
            self.leave(member)
            self.rooms[member] = int(self.random.integers(1, 3))
            if verb in ("coach", "list"):
                self.lists[member] = named
            self.flag(member, *flags)
            self.mixer.seat(
                handle,
                self.rooms[member],
                mute=member in self.muted,
                hold=member in self.held,
                coaches=self.handles(self.lists[member]) if member in self.lists else None,
            )
        elif verb in ("mute", "hold"):
            self.flag(member, *flags)
            self.mixer.flags(handle, mute=member in self.muted, hold=member in self.held)
        elif verb == "uncoach":
            self.lists.pop(member, None)
            self.mixer.coach(handle, None)
        else:
            self.lists[member] = named
            self.mixer.coach(handle, self.handles(named))

    def handles(self, members: set[int]) -> list[int]:
        return [self.people[n].handle for n in sorted(members)]

    def flag(self, member: int, mute: bool, hold: bool) -> None:
        (self.muted.add if mute else self.muted.discard)(member)
        (self.held.add if hold else self.held.discard)(member)

    def leave(self, member: int) -> None:
        self.rooms.pop(member, None)
        self.lists.pop(member, None)
        self.flag(member, False, False)

    def heard(self, beats: int) -> tuple[bytes, bytes]:
        """What the observer heard, and what all others heard."""
        observed, rest = [], []
        for _ in range(beats):
            for member in range(Story.MEMBERS):
                self.speak(member)
            push(self.mixer, self.due.pop(0))
            self.due.append([])
            while self.random.random() < 0.3:
                self.act()
            self.mixer.tick()
            observed.append(self.mixer.heard[self.people[0].row].tobytes())
            rest.append(b"".join(self.mixer.heard[p.row].tobytes() for p in self.people[1:]))
        return b"".join(observed), b"".join(rest)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("loss", [0.04, 0.3])
def test_what_is_said_in_private_changes_no_byte_that_others_hear(seed, loss):
    first, others = Story(seed, secret=1, loss=loss).heard(400)
    second, other_others = Story(seed, secret=2, loss=loss).heard(400)
    assert others != other_others  # the secrets were told, and to somebody
    assert len(set(first)) > 50  # and much was said in public
    at = next((i for i in range(len(first)) if first[i] != second[i]), None)
    assert at is None, f"differs in beat {at // FRAME}, sample {at % FRAME}"


def spoil(mixer: Mixer, seed: int) -> None:
    """Garbage into every array that the mixer owns: columns, rings and scratch."""
    random = np.random.default_rng(seed)
    scratch = [value for value in vars(mixer).values() if isinstance(value, np.ndarray)]
    for array in [*mixer._rows.columns(), *scratch]:
        if array is not mixer._rows.open:
            array[...] = (
                random.integers(0, 256, array.nbytes, np.uint8).view(array.dtype).reshape(array.shape)
            )


@pytest.mark.parametrize("seed", range(6))
def test_a_row_that_is_handed_out_remembers_nothing(seed):
    """Poison: with garbage in every column, what is heard is what a new mixer would have given."""
    fresh = Story(seed, secret=1, loss=0.2).heard(200)
    told = Story.__init__

    class Poisoned(Story):
        def __init__(self, seed: int, secret: int, loss: float) -> None:
            told(self, seed, secret, loss)
            for person in self.people:
                self.mixer.close(person.handle)
            spoil(self.mixer, seed)
            self.people = [Person(self.mixer.open(), ssrc=p.ssrc) for p in self.people]
            self.mixer.seat(self.people[0].handle, 1)

    assert Poisoned(seed, secret=1, loss=0.2).heard(200) == fresh


def test_reset_brings_every_column_back(stage):
    mixer, fresh = Mixer(9), Mixer(9)
    spoil(mixer, 1)
    mixer._rows.reset(np.arange(9))
    for spoilt, new in zip(mixer._rows.columns(), fresh._rows.columns(), strict=True):
        assert (spoilt == new).all()


def test_speech_after_the_widening_fades_in_by_itself(stage):
    agent, customer = stage.member(), stage.member()
    coach = stage.coach(agent)
    stage.say({coach: SECRET}, beats=3)
    stage.push([stage.frame(coach, SECRET)])
    stage.mixer.coach(coach.handle, None)
    stage.mixer.tick()
    stage.push([stage.frame(coach, OPEN, IN_TIME)])
    stage.mixer.tick()
    bus = stage.mixer.bus(customer.handle)
    assert bus[:FADE].tolist() == [OPEN * (i + 1) // FADE for i in range(FADE)]
    assert (bus[FADE:] == OPEN).all()


def _after(private: list[bytes], name: str) -> tuple[bytes, list[Pressed]]:
    """What newcomers to an audience are sent while the speaker goes on, gated, levelled and listened to."""
    stage = Stage(Mixer(32, keys_heard=False))
    speaker, listener, widen = widenings()[name](stage)
    stage.mixer.analyse(speaker.handle, gate=True, keys=True)
    stage.mixer.control_gain(speaker.handle, True)
    for payload in private:
        stage.push([speaker.packet(payload)])
        stage.mixer.tick()
    widen()
    heard, keys = [], []
    for payload in payloads(samples(noise(0.2, -62), key("5", 0.06), syllables(0.6, -40), noise(0.5, -62))):
        stage.push([speaker.packet(payload)])
        stage.mixer.tick()
        heard.append(stage.payload(listener))
        keys += stage.mixer.analysis.keys
    return b"".join(heard), keys


@pytest.mark.parametrize("name", widenings())
def test_gate_gain_and_keys_tell_nothing_of_what_was_said_to_fewer(name: str) -> None:
    loud = payloads(samples(syllables(1, -8), key("5", 0.1)))
    quiet = payloads(samples(noise(1.1, -70)))
    assert len(loud) == len(quiet)
    assert _after(loud, name) == _after(quiet, name)
