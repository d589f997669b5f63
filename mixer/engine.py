"""The mixer that the media process drives. (Signatures first; bodies follow.)"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixer.g711 import ULAW
from mixer.rows import FRAME, Handle


class StaleHandle(LookupError):
    """The handle names no open leg: it was closed, or never given out."""


@dataclass(frozen=True)
class Room:
    """A conference as the target of a prompt; `seat` takes the bare number."""

    number: int


class Mixer:
    """All legs at 8 kHz, 160 samples a tick. Row 0 is silence and belongs to nobody."""

    def __init__(self, capacity: int, *, slack: int = 48) -> None:
        """Make room for `capacity` rows (row 0 included); `slack` in samples is each leg's least lead."""
        self.heard: NDArray[np.uint8] = np.full((capacity, FRAME), 0xFF, np.uint8)  # each row's frame, encoded
        self.finished: list[int] = []  # ids of prompts whose last sample went out in the last tick
        # activity, all (capacity,), read only:
        self.quiet: NDArray[np.int32]  # ticks since the last packet (since `open`, if there was none)
        self.level: NDArray[np.int16]  # greatest sample of the frame spoken in the last tick (0 = silence)
        self.received: NDArray[np.int64]  # packets taken
        self.lost: NDArray[np.int64]  # sequence numbers that never came
        self.late: NDArray[np.int64]  # packets that came after (part of) their frame had gone out
        self.duplicate: NDArray[np.int64]
        self.reset_count: NDArray[np.int64]  # new SSRC, timestamp jump: the playout was placed anew
        raise NotImplementedError

    def open(self, law: int = ULAW) -> Handle: ...  # type: ignore[empty-body]  # raises Full
    def close(self, handle: Handle) -> None: ...
    def set_law(self, handle: Handle, law: int) -> None: ...
    def push(
        self,
        rows: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        ssrc: NDArray[np.uint32],
        law: NDArray[np.uint8],
        age: NDArray[np.int32],
        payload: NDArray[np.uint8],
        offset: NDArray[np.int32],
        length: NDArray[np.int32],
    ) -> None:
        """Take n packets in order of arrival; best called once per tick with all of them.

        `rows` = handle & 0xFFFF; `age` >= 0: samples (1/8000 s) between arrival and this tick's beat;
        `payload` C-contiguous (n, slot); the packet's audio is payload[i, offset[i] : offset[i] + length[i]].
        """

    def seat(
        self,
        handle: Handle,
        room: int,
        *,
        mute: bool = False,
        hold: bool = False,
        coaches: Iterable[Handle] | None = None,
        coached_by: Iterable[Handle] = (),
    ) -> None:
        """Put a leg into a room (>= 0). coaches=None: no coach; a list (even empty): heard by those alone."""

    def unseat(self, handle: Handle) -> None: ...
    def end_room(self, room: int) -> None: ...  # unseat all, stop its prompts
    def flags(self, handle: Handle, *, mute: bool, hold: bool) -> None: ...
    def coach(self, handle: Handle, coaches: Iterable[Handle] | None) -> None: ...
    def play(self, target: Handle | Room, samples: NDArray[np.int16]) -> int: ...  # type: ignore[empty-body]
    def stop(self, play: int) -> None: ...  # short fade in the next tick; not reported in `finished`
    def skip(self, beats: int) -> None: ...  # before this beat's push
    def tick(self, skipped: int = 0) -> None: ...  # skipped: as skip() first
    def __getattr__(self, name: str) -> Any: ...
