"""Random conferences against the oracle, sample for sample and byte for byte."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mixer import ULAW, Mixer
from mixer.conceal import FADE
from tests.mixer.itu import reference_alaw, reference_ulaw
from tests.mixer.stage import Person, push
from tests.support.oracle import Conference, sample

MEMBERS = range(6)
FRAME = 160

member = st.sampled_from(MEMBERS)
lists = st.one_of(st.none(), st.frozensets(member, max_size=4))
some = st.frozensets(member, max_size=2)
flag = st.booleans()
verbs = st.one_of(
    st.tuples(st.just("open"), member, st.integers(0, 1)),
    st.tuples(st.just("close"), member),
    st.tuples(st.just("seat"), member, st.integers(0, 2), flag, flag, lists, some),
    st.tuples(st.just("unseat"), member),
    st.tuples(st.just("flags"), member, flag, flag),
    st.tuples(st.just("coach"), member, lists),
    st.tuples(st.just("law"), member, st.integers(0, 1)),
)
beats = st.lists(st.lists(verbs, max_size=4), min_size=3, max_size=10)


class Model:
    """The same verbs on plain sets: what they silence is told here, who hears whom by the oracle."""

    def __init__(self) -> None:
        self.mixer = Mixer(len(MEMBERS) + 2)
        self.people: dict[int, Person] = {}
        self.rooms: dict[int, int] = {}
        self.muted: set[int] = set()
        self.held: set[int] = set()
        self.lists: dict[int, frozenset[int]] = {}
        self.silenced: set[int] = set()
        self.whole: set[int] = set()  # whose last frame was heard to its end

    def conference(self) -> Conference:
        return Conference(self.rooms, self.muted, self.held, self.lists)

    def do(self, verb: str, who: int, *values: object) -> None:
        """Perform a verb, or nothing where it makes no sense."""
        possible = verb in ("close", "seat", "law") or who in self.rooms
        if (verb == "open") == (who not in self.people) and (verb == "open" or possible):
            getattr(self, verb)(who, *values)

    def open(self, who: int, law: int) -> None:
        self.people[who] = Person(self.mixer.open(law), law, sequence=who, timestamp=who * 12345)

    def close(self, who: int) -> None:
        self.unseat(who)
        self.mixer.close(self.people.pop(who).handle)
        self.whole.discard(who)
        self.lists = {coach: named - {who} for coach, named in self.lists.items()}

    def unseat(self, who: int) -> None:
        self.mixer.unseat(self.people[who].handle)
        self.rooms.pop(who, None)
        self.lists.pop(who, None)
        self.muted.discard(who)
        self.held.discard(who)

    def seat(
        self,
        who: int,
        room: int,
        mute: bool,
        hold: bool,
        named: frozenset[int] | None,
        coached_by: frozenset[int],
    ) -> None:
        coaches, by = self.known(named), self.known(coached_by)
        self.mixer.seat(
            self.people[who].handle,
            room,
            mute=mute,
            hold=hold,
            coaches=None if coaches is None else [self.people[n].handle for n in coaches],
            coached_by=[self.people[n].handle for n in by or ()],
        )
        self.rooms[who] = room
        self.set_flags(who, mute, hold)
        self.set_list(who, coaches)
        for coach in by or ():
            if coach in self.lists:
                self.lists[coach] |= {who}
        self.silenced |= {who} | self.coaches_of(who)

    def flags(self, who: int, mute: bool, hold: bool) -> None:
        was_silent, was_deaf = who in self.muted | self.held, who in self.held
        self.mixer.flags(self.people[who].handle, mute=mute, hold=hold)
        self.set_flags(who, mute, hold)
        if was_silent and not (mute or hold):
            self.silenced.add(who)
        if was_deaf and not hold:
            self.silenced |= self.coaches_of(who)

    def coach(self, who: int, named: frozenset[int] | None) -> None:
        after, before = self.known(named), self.lists.get(who)
        handles = None if after is None else [self.people[n].handle for n in after]
        self.mixer.coach(self.people[who].handle, handles)
        self.set_list(who, after)
        if before is not None and (after is None or after - before):
            self.silenced.add(who)

    def law(self, who: int, law: int) -> None:
        self.mixer.set_format(self.people[who].handle, law)
        self.people[who].law = law

    def known(self, named: frozenset[int] | None) -> frozenset[int] | None:
        return None if named is None else frozenset(n for n in named if n in self.people)

    def set_flags(self, who: int, mute: bool, hold: bool) -> None:
        (self.muted.add if mute else self.muted.discard)(who)
        (self.held.add if hold else self.held.discard)(who)

    def set_list(self, who: int, named: frozenset[int] | None) -> None:
        if named is None:
            self.lists.pop(who, None)
        else:
            self.lists[who] = named

    def coaches_of(self, who: int) -> set[int]:
        return {
            coach
            for coach, named in self.lists.items()
            if who in named and coach != who and self.rooms[coach] == self.rooms[who]
        }

    def beat(self, todo: list[tuple[object, ...]], random: np.random.Generator) -> None:
        """Everybody speaks, the verbs come, the tick passes; then each is asked what he heard."""
        packets, said = [], {}
        for who, person in self.people.items():
            audio = random.integers(0, 256, FRAME, dtype=np.uint8).tobytes()
            said[who] = [sample(code, alaw=person.law != ULAW) for code in audio]
            packets.append(person.packet(audio))
        push(self.mixer, packets)
        self.silenced.clear()
        for verb, who, *values in todo:
            if verb == "close":
                said.pop(who, None)
            self.do(str(verb), int(str(who)), *values)
        self.mixer.tick()
        spoken = {who: self.played(who, frame) for who, frame in said.items() if who in self.people}
        for who, person in self.people.items():
            self.compare(who, person, spoken)
        self.whole = set(spoken) - self.silenced

    def played(self, who: int, frame: list[int]) -> list[int]:
        """A silenced frame is nothing at all, and the first after silence rises."""
        if who in self.silenced:
            return [0] * FRAME
        if who in self.whole:
            return frame
        return [value * min(i + 1, FADE) // FADE for i, value in enumerate(frame)]

    def compare(self, who: int, person: Person, spoken: Mapping[int, list[int]]) -> None:
        expected = self.conference().heard(who, spoken, FRAME)
        assert np.clip(self.mixer.bus(person.handle), -32768, 32767).tolist() == expected
        encode = reference_ulaw if person.law == ULAW else reference_alaw
        assert self.mixer.heard[person.row].tolist() == [encode(value) for value in expected]


@settings(max_examples=150, deadline=None)
@given(beats, st.integers(0, 2**32 - 1))
def test_everybody_hears_what_the_oracle_says(story, seed):
    model = Model()
    for who in MEMBERS[:4]:
        model.do("open", who, who % 2)
        model.do("seat", who, 1, False, False, None, frozenset())
    random = np.random.default_rng(seed)
    for todo in story:
        model.beat(todo, random)


def test_a_long_story_with_all_verbs_agrees_with_the_oracle():
    random = np.random.default_rng(8)
    model = Model()
    some = lambda: frozenset(int(n) for n in random.integers(0, 6, 3))  # noqa: E731
    for _ in range(400):
        todo = []
        for _ in range(int(random.integers(0, 3))):
            who = int(random.integers(0, 6))
            mute, hold = (bool(value) for value in random.random(2) < 0.2)
            named = None if random.random() < 0.6 else some()
            todo.append(
                [
                    ("open", who, int(random.integers(0, 2))),
                    ("seat", who, int(random.integers(0, 2)), mute, hold, named, some()),
                    ("open", who, 0),
                    ("seat", who, 0, mute, hold, named, some()),
                    ("flags", who, mute, hold),
                    ("coach", who, named),
                    ("unseat", who),
                    ("close", who),
                ][int(random.integers(0, 8))]
            )
        model.beat(todo, random)
