"""Who hears what, in plain int arithmetic: the mixer is right when it says the same."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


def sample(code: int, *, alaw: bool) -> int:
    """G.711: a payload byte's linear sample, at 16 bits."""
    code ^= 0x55 if alaw else 0xFF
    segment, step = code >> 4 & 7, 2 * (code & 15)
    if not alaw:
        size = (step + 33 << segment + 2) - 132
        return -size if code & 0x80 else size
    size = step + 1 << 3 if segment == 0 else step + 33 << segment + 2
    return size if code & 0x80 else -size


@dataclass(frozen=True)
class Conference:
    """A moment: each member's room, who is muted, who is on hold, each coach's list."""

    rooms: Mapping[int, int]
    muted: Collection[int]
    held: Collection[int]
    lists: Mapping[int, Collection[int]]

    def hears(self, a: int, b: int) -> bool:
        """Conference guide, 5.2; a coach hears everybody."""
        together = a != b and a in self.rooms and b in self.rooms and self.rooms[a] == self.rooms[b]
        audible = b not in self.muted and not {a, b} & set(self.held)
        return together and audible and (b not in self.lists or a in self.lists[b])

    def heard(self, a: int, said: Mapping[int, Sequence[int]], size: int) -> list[int]:
        """The sum of all that `a` hears of what each member said, clipped once."""
        frames = [frame for b, frame in said.items() if self.hears(a, b)]
        return [max(-32768, min(32767, sum(frame[i] for frame in frames))) for i in range(size)]
