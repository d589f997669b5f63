"""What crosses rates: sums of rooms that have legs of several, and coaches whom legs of another rate hear.

A room's sum is converted once for each other rate, whoever is in it; a coach's share has a converter of its
own. The past that a filter needs is kept by room, or by coach; it ends with the route it belongs to, and
with whatever widens a coach's audience.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.resample import between
from mixer.routing import Block, Crossing, Plan, Whisper

_Key = tuple[str, int, int, int]  # room or coach, its number, and both rates


class Crossings:
    """The converters of all rooms and coaches that cross."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._pasts: list[tuple[list[_Key], NDArray[np.float32]]] = []
        self._cleared: set[int] = set()

    def forget(self, row: int) -> None:
        """What this row said as a coach is over: none of it is heard any more."""
        self._cleared.add(row)
        self._plan = None

    def add(self, plan: Plan, totals: list[NDArray[np.int32]]) -> None:
        """Add to each block's sums, (rooms + 1, frame), what the rooms' legs of other rates say."""
        own = [total.copy() for total in totals]
        for place, crossing in enumerate(plan.crossings):
            said = own[crossing.source][crossing.source_rooms]
            totals[crossing.target][crossing.target_rooms] += self._converted(place, plan, crossing, said)

    def whisper(self, plan: Plan, speech: list[NDArray[np.int16]], bus: list[NDArray[np.int32]]) -> None:
        """Add to what coached legs hear, (n, frame), what their coaches of other rates say."""
        for place, whisper in enumerate(plan.whispers):
            said = speech[whisper.source][whisper.coaches]
            heard = self._converted(len(plan.crossings) + place, plan, whisper, said)
            np.add.at(bus[whisper.target], whisper.listeners, heard[whisper.which])

    def _converted(
        self, place: int, plan: Plan, way: Crossing | Whisper, said: NDArray[np.int16] | NDArray[np.int32]
    ) -> NDArray[np.int32]:
        keys, past = self._pasts[place]
        whole = np.concatenate([past, said.astype(np.float32)], axis=1)
        self._pasts[place] = keys, whole[:, whole.shape[1] - past.shape[1] :]
        source, target = plan.blocks[way.source].rate, plan.blocks[way.target].rate
        return np.rint(between(source, target).convert(whole)).astype(np.int32)

    def follow(self, plan: Plan) -> None:
        """Before each tick: under a new plan those go on that it still has."""
        if plan is self._plan:
            return
        known = {key: past for keys, pasts in self._pasts for key, past in zip(keys, pasts, strict=True)}
        self._pasts = []
        for crossing in plan.crossings:
            self._begin(plan.blocks, crossing, [("room", number) for number in crossing.numbers], known)
        for whisper in plan.whispers:
            self._begin(plan.blocks, whisper, [("coach", row) for row in whisper.rows], known)
        self._plan = plan
        self._cleared.clear()

    def _begin(
        self,
        blocks: tuple[Block, ...],
        way: Crossing | Whisper,
        names: list[tuple[str, int]],
        known: dict[_Key, NDArray[np.float32]],
    ) -> None:
        source, target = blocks[way.source].rate, blocks[way.target].rate
        keys = [(kind, number, source, target) for kind, number in names]
        pasts = np.zeros((len(keys), between(source, target).past), np.float32)
        for place, key in enumerate(keys):
            if key in known and not (key[0] == "coach" and key[1] in self._cleared):
                pasts[place] = known[key]
        self._pasts.append((keys, pasts))
