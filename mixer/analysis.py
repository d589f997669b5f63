"""What is heard in the sound of all legs at once, between decoding and mixing, and what is done to it.

    speech ─► Talk ─► InBand ─► Gain ─► Gate ─► contributions

`Talk` measures, `InBand` finds keys; both look at what the leg said, as it said it. `Gain` and `Gate` change
what others hear of it, of those rows alone that have them.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.gain import Gain
from mixer.gate import Gate
from mixer.inband import InBand, Pressed
from mixer.rows import Rows
from mixer.talk import Talk

_EVENT_TICKS = 4  # from one telephone event to the next there are 60 ms at most


class Analysis:
    """The parts by name. `keys`: the keys whose tones have ended in this tick. `keys_heard`: whether others
    hear the tones of keys."""

    def __init__(self, rows: Rows, *, keys_heard: bool = True) -> None:
        self.talk = Talk(rows)
        self.inband = InBand(rows)
        self.gain = Gain(rows, self.talk)
        self.gate = Gate(rows, self.talk)
        self.keys: list[Pressed] = []
        self._keys_heard = keys_heard
        self._ticks = 0
        self._told: NDArray[np.int64] = rows.column(np.int64)  # the tick until which a key is down

    def hear(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> None:
        """The frames (n, samples) of rows of one rate, each row once in a tick; changed in place."""
        energies = self.talk.hear(rows, speech)
        keys = self.inband.hear(rows, speech, self.talk.level[rows], energies)
        if keys:
            self.keys += keys
        if not self._keys_heard:
            self.gate.hushed[rows] = self.inband.sounding[rows] | (self._told[rows] > self._ticks)
        self.gate.hear(rows, speech)
        self.gain.apply(rows, speech)
        self.gate.apply(rows, speech)

    def tell_keys(self, rows: NDArray[np.intp], delay: NDArray[np.int32]) -> None:
        """A telephone event of these rows has come, and their sound is played so many ticks later than it
        comes: should a key's tone sound beside, it is over when no event has come for a while."""
        self._told[rows] = self._ticks + delay + _EVENT_TICKS

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """What these rows said so far was private: it must not tell in how the next is heard."""
        self.talk.forget(rows)
        self.inband.forget(rows)
        self.gain.forget(rows)
        self.gate.forget(rows)
        self._told[rows] = 0

    def begin(self) -> None:
        """Before a tick: its keys are yet to be found."""
        if self.keys:
            self.keys = []

    def advance(self, ticks: int = 1) -> None:
        """So many ticks are over."""
        self._ticks += ticks
        self.talk.advance()
        self.gate.advance()
        self.inband.advance(ticks)
