"""What is played: prompts, and the plays under way, each of which is told when its last packet is played out.

A play has control's number; the mixer and the sender of keys have numbers of their own for it. Beats are
counted by whoever has them.
"""

import os

import numpy as np
from numpy.typing import NDArray

from media import memory
from mixer import Handle, Mixer, Room
from rtp.outgoing import Outgoing


class Plays:
    """The prompts of a media process, by number, and what is played of them to rows and rooms."""

    def __init__(self, mixer: Mixer, outgoing: Outgoing) -> None:
        self._mixer = mixer
        self._outgoing = outgoing
        self._prompts: dict[int, NDArray[np.int16]] = {}
        self._playing: dict[int, tuple[int, int | Room]] = {}  # the mixer's number -> ours, and row or room
        self._ending: list[
            tuple[int, int]
        ] = []  # (beat, play) of those whose last packet is to be played out

    def __len__(self) -> int:
        """How many are under way, or about to be told."""
        return len(self._playing) + len(self._ending)

    def load(self, prompt: int, descriptor: int, size: int) -> None:
        """Take a prompt of `size` bytes out of a sealed file, which is closed. Raises ValueError and OSError
        where it is not as long."""
        try:
            self._prompts[prompt] = memory.samples(descriptor, size)
        finally:
            os.close(descriptor)

    def unload(self, prompt: int) -> None:
        """Nobody will ask for it any more; what plays of it goes on."""
        self._prompts.pop(prompt, None)

    def start(self, play: int, prompt: int, target: Handle | Room, beat: int) -> None:
        """Play a prompt to a leg or a room from this beat on. Raises LookupError."""
        samples = self._prompts[prompt]
        if len(samples):
            place = target if isinstance(target, Room) else target & 0xFFFF
            self._playing[self._mixer.play(target, samples)] = (play, place)
        else:
            self._ending.append((beat, play))

    def stop(self, play: int) -> None:
        """End it, whether of sound or of keys; it is not told as played."""
        self._outgoing.release(play)
        for number, (ours, _) in list(self._playing.items()):
            if ours == play:
                self._mixer.stop(number)
                del self._playing[number]
        self._ending = [(last, ours) for last, ours in self._ending if ours != play]

    def drop(self, place: int | Room) -> None:
        """The row's leg or the room is gone, and with it what was played there."""
        for number in [number for number, (_, where) in self._playing.items() if where == place]:
            del self._playing[number]

    def played(self, beat: int) -> list[int]:
        """The plays that are over with this beat, after its packets were gathered: of keys those whose last
        silence is over, of prompts those whose last packet has been played out."""
        over = self._outgoing.take_pressed()
        for number in self._mixer.finished:
            play, place = self._playing.pop(number, (0, 0))
            if play:
                outgoing = self._outgoing
                wait = outgoing.longest_wait() if isinstance(place, Room) else outgoing.wait(place)
                self._ending.append((beat + wait, play))
        if self._ending:
            over += [play for last, play in self._ending if last <= beat]
            self._ending = [(last, play) for last, play in self._ending if last > beat]
        return over
