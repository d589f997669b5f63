"""Prompts: rows that speak from an array.

Several prompts to one target are heard together; whoever wants them one after another plays the next when the
last is finished. The arrays are kept by reference and not copied; prompts that play the same array are read
in one go.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixer.conceal import FADE
from mixer.routing import Plan
from mixer.rows import FRAME

_FADE_OUT = np.zeros(FRAME, np.int32)
_FADE_OUT[:FADE] = np.arange(FADE - 1, -1, -1)


@dataclass(frozen=True)
class Room:
    """A conference as the target of a prompt; `seat` takes the bare number."""

    number: int


@dataclass(frozen=True)
class Voices:
    """What prompts say in one tick."""

    legs: NDArray[np.intp]  # positions in the plan's order, each once
    to_legs: NDArray[np.int32]  # (legs, FRAME)
    rooms: NDArray[np.intp]  # rooms of the plan, each once
    to_rooms: NDArray[np.int32]  # (rooms, FRAME)


class _Recording:
    """An array cut into frames; the last may be short, and is the only one that is copied."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        whole = samples.size // FRAME
        self.key = (samples.ctypes.data, samples.size)
        self.frames = -(-samples.size // FRAME)
        self._whole = samples[: whole * FRAME].reshape(whole, FRAME)
        self._rest = np.zeros(FRAME, np.int16)
        self._rest[: samples.size - whole * FRAME] = samples[whole * FRAME :]

    def read(self, at: NDArray[np.intp]) -> NDArray[np.int16]:
        """The frames with these numbers, shape (n, FRAME); silence past the end."""
        whole = len(self._whole)
        inside = at < whole
        if inside.all():
            return self._whole[at]
        frames = np.zeros((at.size, FRAME), np.int16)
        frames[inside] = self._whole[at[inside]]
        frames[at == whole] = self._rest
        return frames


@dataclass
class _Prompt:
    id: int
    target: int | Room  # a row, or a room
    recording: _Recording
    at: int = 0  # the next frame
    stopping: bool = False


class _Layout:
    """The prompts as columns under one plan: those to legs, by position, those to rooms, then the rest."""

    def __init__(self, prompts: list[_Prompt], plan: Plan) -> None:
        self.plan = plan
        none = plan.position.size  # for a target that is not there: after all others
        places = [
            (1, plan.rooms.get(p.target.number, none))
            if isinstance(p.target, Room)
            else (0, int(plan.position[p.target]))
            for p in prompts
        ]
        sequence = sorted(range(len(prompts)), key=lambda i: (places[i][1] == none, *places[i]))
        self.prompts = [prompts[i] for i in sequence]
        placed = [places[i] for i in sequence if places[i][1] != none]
        self.to_legs = sum(kind == 0 for kind, _ in placed)
        self.to_rooms = len(placed) - self.to_legs
        place = np.array([where for _, where in placed], np.intp)
        self.legs, self.leg_starts = np.unique(place[: self.to_legs], return_index=True)
        self.rooms, self.room_starts = np.unique(place[self.to_legs :], return_index=True)

        self.at = np.array([p.at for p in self.prompts], np.intp)
        self.frames = np.array([p.recording.frames for p in self.prompts], np.intp)
        self.stopping = np.array([p.stopping for p in self.prompts], np.bool_)
        groups: dict[tuple[int, int], list[int]] = {}
        for index, prompt in enumerate(self.prompts):
            groups.setdefault(prompt.recording.key, []).append(index)
        self.groups = [(self.prompts[g[0]].recording, np.array(g, np.intp)) for g in groups.values()]

    def speak(self) -> Voices:
        """Read every prompt's next frame and go on by one."""
        voices = np.empty((len(self.prompts), FRAME), np.int32)
        for recording, which in self.groups:
            voices[which] = recording.read(self.at[which])
        if self.stopping.any():
            voices[self.stopping] = voices[self.stopping] * _FADE_OUT // FADE
        self.at += 1
        return Voices(
            self.legs,
            _sums(voices[: self.to_legs], self.leg_starts),
            self.rooms,
            _sums(voices[self.to_legs : self.to_legs + self.to_rooms], self.room_starts),
        )


class Prompts:
    """The prompts that play."""

    def __init__(self) -> None:
        self.finished: list[int] = []
        self._prompts: list[_Prompt] = []
        self._layout: _Layout | None = None
        self._last_id = 0

    def play(self, target: int | Room, samples: NDArray[np.int16]) -> int:
        """Speak `samples`, int16 and contiguous, to a row or a room from the next tick on."""
        if samples.dtype != np.int16 or samples.ndim != 1 or not samples.flags.c_contiguous:
            raise ValueError("samples: expected a contiguous one-dimensional array of int16")
        self._last_id += 1
        self._change([*self._prompts, _Prompt(self._last_id, target, _Recording(samples))])
        return self._last_id

    def stop(self, play: int) -> None:
        """End a prompt with a fade in the next tick; it will not be reported. It may have ended already."""
        self._note_places()
        for prompt in self._prompts:
            prompt.stopping |= prompt.id == play
        self._change([p for p in self._prompts if not p.stopping or p.at])

    def forget(self, target: int | Room) -> None:
        """Drop what is played to a row or a room that is no more."""
        self._change([p for p in self._prompts if p.target != target])

    def skip(self, beats: int) -> None:
        """Go on without being heard."""
        self._change(self._prompts)
        for prompt in self._prompts:
            prompt.at += beats

    def speak(self, plan: Plan) -> Voices | None:
        """What they say in this tick, if any plays; `finished` become those whose last sample this was."""
        if self.finished:
            self.finished = []
        if not self._prompts:
            return None
        if self._layout is None or self._layout.plan is not plan:
            self._change(self._prompts)
            self._layout = _Layout(self._prompts, plan)
        layout = self._layout
        voices = layout.speak()
        over = layout.stopping | (layout.at >= layout.frames)
        if over.any():
            ended = [prompt for prompt, done in zip(layout.prompts, over, strict=True) if done]
            self.finished = [prompt.id for prompt in ended if not prompt.stopping]
            self._change([prompt for prompt in self._prompts if prompt not in ended])
        return voices

    def _change(self, prompts: list[_Prompt]) -> None:
        """Another set of prompts, or another plan: the columns are to be made anew."""
        self._note_places()
        self._layout = None
        self._prompts = prompts

    def _note_places(self) -> None:
        """Bring home from the columns how far each prompt has come."""
        if self._layout is not None:
            for prompt, at in zip(self._layout.prompts, self._layout.at, strict=True):
                prompt.at = int(at)


def _sums(voices: NDArray[np.int32], starts: NDArray[np.intp]) -> NDArray[np.int32]:
    """The sums of runs of rows; none of no rows."""
    return np.add.reduceat(voices, starts, axis=0) if starts.size else voices
