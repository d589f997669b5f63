"""G.711 payload of all rows, by the time at which it is due.

    plane:    slot                slot+1              slot+2            ...
    row r    |aaaaaaaa aaaaaaaa| |bbbbbbbb ........| |........ ........|
              ^ ahead = 0                   ^ ahead = 240

The ring is `SLOTS` planes of (capacity, FRAME) words. All rows are read at the same plane, so a tick's frames
are one contiguous block. A leg whose play-out moves is moved in the ring, which is rare; reading, which is
not, stays plain.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.batch import Batch
from mixer.formats import PIECE
from mixer.g711 import VALID
from mixer.mix import spread
from mixer.rows import FRAME, Rows

SLOTS = 32
SPAN = SLOTS * FRAME
"""Units a ring holds, 640 ms."""

_WORDS = np.dtype((np.void, 2 * PIECE))
_BYTES = np.dtype((np.void, PIECE))
_FRAME_WORDS = np.dtype((np.void, 2 * FRAME))


class Ring:
    """The planes, and the slot of the one that this tick reads."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._capacity = rows.capacity
        self._slot = 0
        self._ring = np.zeros((SLOTS, rows.capacity, FRAME), np.uint16)
        rows.adopt(self._ring.transpose(1, 0, 2))
        self._flat = self._ring.reshape(-1)
        self._pieces = self._flat.view(_WORDS)
        self._planes = self._ring.view(_FRAME_WORDS)[:, :, 0]

    def lay(
        self,
        packets: Batch,
        ahead: NDArray[np.int32],
        allowed: NDArray[np.int32],
        payload: NDArray[np.uint8],
    ) -> None:
        """Put audio where it is due: `ahead` units behind what is read next; left out is what lies before the
        first `-allowed` units of a packet, and what no longer fits."""
        tag = (packets.format.astype(np.uint16) << 8 | VALID)[:, None]
        even = (ahead % PIECE | packets.length % PIECE) == 0
        if not even.all():
            odd = ~even
            self._lay_samples(packets.only(odd), ahead[odd], allowed[odd], tag[odd], payload)
            packets, ahead, allowed, tag = packets.only(even), ahead[even], allowed[even], tag[even]
        owner, shift = spread(packets.length // PIECE)
        shift *= PIECE
        at = ahead[owner] + shift
        kept = (allowed[owner] + shift >= 0) & (at < SPAN)
        if not kept.all():
            owner, shift, at = owner[kept], shift[kept], at[kept]
        piece = at // PIECE + 2 * self._slot
        slot = (piece >> 1) % SLOTS
        runs = np.ndarray((max(payload.size - PIECE + 1, 0),), _BYTES, payload, strides=(1,))
        audio = runs[packets.start[owner] + shift].view(np.uint8).reshape(-1, PIECE)
        words = np.bitwise_or(audio, tag[owner])
        place = (slot * self._capacity + packets.row[owner]) * 2 + (piece & 1)
        self._pieces[place] = words.view(_WORDS)[:, 0]

    def _lay_samples(
        self,
        packets: Batch,
        ahead: NDArray[np.int32],
        allowed: NDArray[np.int32],
        tag: NDArray[np.uint16],
        payload: NDArray[np.uint8],
    ) -> None:
        """As `lay`, for packets off the 10 ms grid: a sample at a time, some 40 times the work."""
        owner, shift = spread(packets.length)
        at = ahead[owner] + shift
        kept = (allowed[owner] + shift >= 0) & (at < SPAN)
        owner, shift, at = owner[kept], shift[kept], at[kept]
        slot = (at // FRAME + self._slot) % SLOTS
        place = (slot * self._capacity + packets.row[owner]) * FRAME + at % FRAME
        self._flat[place] = payload.reshape(-1)[packets.start[owner] + shift] | tag[owner, 0]

    def read(self, order: NDArray[np.intp], out: NDArray[np.uint16]) -> None:
        """This tick's frames of these rows, as words, shape (n, FRAME)."""
        out.view(_FRAME_WORDS)[:, 0] = self._planes[self._slot][order]

    def front(self, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
        """The same, (m, FRAME), of a few."""
        front: NDArray[np.uint16] = self._ring[self._slot, rows]
        return front

    def coming(self, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
        """The two frames after this tick's, of these rows, as words, shape (m, 2 * FRAME)."""
        planes = (self._slot + np.array([[1], [2]])) % SLOTS
        words: NDArray[np.uint16] = self._ring[planes, rows].transpose(1, 0, 2).reshape(-1, 2 * FRAME)
        return words

    def replace(self, rows: NDArray[np.intp], words: NDArray[np.uint16]) -> None:
        """This tick's frames of these rows anew."""
        self._ring[self._slot, rows] = words

    def shift(self, rows: NDArray[np.intp], frames: int) -> None:
        """Play rows `frames` earlier (a part is dropped) or, if negative, later (a gap is put in)."""
        planes = ((self._slot + np.arange(SLOTS)) % SLOTS)[:, None]
        old = self._ring[planes, rows]
        new = np.zeros_like(old)
        if 0 < frames < SLOTS:
            new[:-frames] = old[frames:]
        elif -SLOTS < frames < 0:
            new[-frames:] = old[:frames]
        self._ring[planes, rows] = new

    def wipe(self, rows: NDArray[np.intp] | int) -> None:
        """Nothing is due of these rows."""
        self._ring[:, rows] = 0

    def advance(self, beats: int) -> None:
        """These beats are over: what was to be read in them is wiped, so that it never comes twice."""
        for slot in range(min(beats, SLOTS)):
            self._ring[(self._slot + slot) % SLOTS, : self._rows.used] = 0
        self._slot = (self._slot + beats) % SLOTS
