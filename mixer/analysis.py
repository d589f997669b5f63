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
        self._told: NDArray[np.bool_] = rows.column(np.bool_)  # an event says that a key is down

    def hear(self, rows: NDArray[np.intp], speech: NDArray[np.int16]) -> None:
        """The frames (n, samples) of rows of one rate, each row once in a tick; changed in place."""
        energies = self.talk.hear(rows, speech)
        keys = self.inband.hear(rows, speech, self.talk.level[rows], energies)
        if keys:
            self.keys += keys
        if not self._keys_heard:
            self.gate.hushed[rows] = self.inband.sounding[rows] | self._told[rows]
        self.gain.apply(rows, speech)
        self.gate.apply(rows, speech)

    def tell_key(self, row: int, down: bool) -> None:
        """A telephone event says that a key is down, or not any more: its tone may sound beside."""
        self._told[row] = down

    def forget(self, rows: NDArray[np.intp] | int) -> None:
        """What these rows said so far was private: it must not tell in how the next is heard."""
        self.talk.forget(rows)
        self.inband.forget(rows)
        self.gain.forget(rows)
        self.gate.forget(rows)

    def begin(self) -> None:
        """Before a tick: its keys are yet to be found."""
        if self.keys:
            self.keys = []

    def advance(self, ticks: int = 1) -> None:
        """So many ticks are over."""
        self.talk.advance()
        self.inband.advance(ticks)
