"""Prompts: rows that speak from an array.

Several prompts to one target are heard together; whoever wants them one after another plays the next when the
last is finished. The arrays, at 8 kHz, are kept by reference and not copied; prompts that play the same array
are read in one go. A leg of another rate hears them converted, frame by frame, out of the array itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixer.conceal import FADE
from mixer.resample import between
from mixer.routing import Block, Plan
from mixer.rows import FRAME

_RATE = 8000  # of the arrays


@dataclass(frozen=True)
class Room:
    """A conference as the target of a prompt; `seat` takes the bare number."""

    number: int


@dataclass(frozen=True)
class Voices:
    """What prompts say in one tick to the legs of one block."""

    legs: NDArray[np.intp]  # positions in the block's order, each once
    to_legs: NDArray[np.int32]  # (legs, frame)
    rooms: NDArray[np.intp]  # rooms of the block, each once
    to_rooms: NDArray[np.int32]  # (rooms, frame)


class _Recording:
    """An array cut into frames; the last may be short, and is the only one that is copied."""

    def __init__(self, samples: NDArray[np.int16]) -> None:
        whole = samples.size // FRAME
        self.key = (samples.ctypes.data, samples.size)
        self.frames = -(-samples.size // FRAME)
        self._samples = samples
        self._whole = samples[: whole * FRAME].reshape(whole, FRAME)
        self._rest = np.zeros(FRAME, np.int16)
        self._rest[: samples.size - whole * FRAME] = samples[whole * FRAME :]

    def read(self, at: NDArray[np.intp], rate: int) -> NDArray[np.int32] | NDArray[np.int16]:
        """The frames with these numbers, shape (n, rate / 50); silence past the end."""
        if rate != _RATE:
            return self._converted(at, rate)
        whole = len(self._whole)
        inside = at < whole
        if inside.all():
            return self._whole[at]
        frames = np.zeros((at.size, FRAME), np.int16)
        frames[inside] = self._whole[at[inside]]
        frames[at == whole] = self._rest
        return frames

    def _converted(self, at: NDArray[np.intp], rate: int) -> NDArray[np.int32]:
        resampler = between(_RATE, rate)
        place = at[:, None] * FRAME + np.arange(-resampler.past, FRAME)
        inside = (place >= 0) & (place < self._samples.size)
        said = np.zeros(place.shape, np.float32)
        said[inside] = self._samples[place[inside]]
        return np.rint(resampler.convert(said)).astype(np.int32)


@dataclass
class _Prompt:
    id: int
    target: int | Room  # a row, or a room
    recording: _Recording
    at: int = 0  # the next frame
    stopping: bool = False


class _Stage:
    """The prompts that the legs of one block hear: those to legs, by position, then those to rooms."""

    def __init__(self, prompts: list[_Prompt], block: Block) -> None:
        self._rate = block.rate
        heard: list[tuple[bool, int, int]] = []  # to a room, where, which prompt
        for which, prompt in enumerate(prompts):
            if isinstance(prompt.target, Room):
                room = block.rooms.get(prompt.target.number)
                if room is not None:
                    heard.append((True, room, which))
            elif block.position[prompt.target] >= 0:
                heard.append((False, int(block.position[prompt.target]), which))
        heard.sort()
        self._to_legs = sum(not to_room for to_room, _, _ in heard)
        place = np.array([where for _, where, _ in heard], np.intp)
        self._legs, self._leg_starts = np.unique(place[: self._to_legs], return_index=True)
        self._rooms, self._room_starts = np.unique(place[self._to_legs :], return_index=True)
        self._which = np.array([which for _, _, which in heard], np.intp)
        groups: dict[tuple[int, int], list[int]] = {}
        for voice, (_, _, which) in enumerate(heard):
            groups.setdefault(prompts[which].recording.key, []).append(voice)
        self._groups = [
            (prompts[heard[group[0]][2]].recording, np.array(group, np.intp)) for group in groups.values()
        ]

    def speak(self, at: NDArray[np.intp], stopping: NDArray[np.bool_]) -> Voices | None:
        """Read the frames at which the prompts are; None where nobody of the block hears any."""
        if not self._which.size:
            return None
        at, stopping = at[self._which], stopping[self._which]
        voices = np.empty((at.size, self._rate // 50), np.int32)
        for recording, group in self._groups:
            voices[group] = recording.read(at[group], self._rate)
        if stopping.any():
            fade = FADE * self._rate // _RATE
            down = np.zeros(voices.shape[1], np.int32)
            down[:fade] = np.arange(fade - 1, -1, -1)
            voices[stopping] = voices[stopping] * down // fade
        return Voices(
            self._legs,
            _sums(voices[: self._to_legs], self._leg_starts),
            self._rooms,
            _sums(voices[self._to_legs :], self._room_starts),
        )


class _Layout:
    """The prompts as columns under one plan."""

    def __init__(self, prompts: list[_Prompt], plan: Plan) -> None:
        self.plan = plan
        self.prompts = prompts
        self.at = np.array([p.at for p in prompts], np.intp)
        self.frames = np.array([p.recording.frames for p in prompts], np.intp)
        self.stopping = np.array([p.stopping for p in prompts], np.bool_)
        self._stages = [_Stage(prompts, block) for block in plan.blocks]

    def speak(self) -> list[Voices | None]:
        """Read every prompt's next frame, for each block, and go on by one."""
        voices = [stage.speak(self.at, self.stopping) for stage in self._stages]
        self.at += 1
        return voices


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

    def speak(self, plan: Plan) -> list[Voices | None]:
        """What they say in this tick to each block; `finished` become those whose last sample this was."""
        if self.finished:
            self.finished = []
        if not self._prompts:
            return [None] * len(plan.blocks)
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
