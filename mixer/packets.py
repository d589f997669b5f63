"""Packets that must be decoded one after another, by the time at which each is due, and their decoders.

A cell holds what begins in one half of one frame: a 10 ms piece of a payload that can be cut, a whole
packet of one that cannot (Opus). A row is decoded when its frame is due, as concealment and Opus' own
redundancy need the packets then. What was decoded too far, because a packet is longer than a frame or because
a frame was looked at ahead, waits in the row's `mixer.voice.Voice`.

One library call per packet; all else is done for all rows at once, or for the few that need it.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mixer import g711
from mixer.batch import Batch
from mixer.formats import FORMATS, PIECE, is_g722, is_linear, is_opus, is_plain
from mixer.g711 import VALID
from mixer.mix import spread
from mixer.ring import SLOTS
from mixer.rows import Rows
from mixer.voice import Voice

CELLS: Final = 1280
"""Bytes of a row's frame: the longest Opus packet (RFC 6716 section 3.2.1), or 20 ms of L16 at 16 kHz."""

_HALF_CELLS = CELLS // 2
_FURTHEST = 3  # frames behind a lost one, of the packet that may repeat it: an Opus frame has at most three

_UNUSUAL = 255


class Packets:
    """The cells of all rows, SLOTS frames of two, and the voices of those that are packed.

    `packed` bool (capacity,): which rows are; `broken`: rows whose decoders filled the begin of a gap in the
    last `read`; `turned`: those whose sender went on in another format.
    """

    def __init__(self, rows: Rows) -> None:
        self._capacity = rows.capacity
        self._slot = 0
        self._store = np.zeros((SLOTS, rows.capacity, CELLS), np.uint8)  # means nothing without a size
        self._size = np.zeros((SLOTS, rows.capacity, 2), np.int16)
        self._format = np.zeros((SLOTS, rows.capacity, 2), np.uint8)
        self._pieces = np.zeros((SLOTS, rows.capacity, 2), np.uint8)  # of 10 ms, of what begins there
        rows.adopt(self._size.transpose(1, 0, 2))
        rows.adopt(self._format.transpose(1, 0, 2))
        rows.adopt(self._pieces.transpose(1, 0, 2))
        self.packed: NDArray[np.bool_] = rows.column(np.bool_)
        self.broken: list[int] = []
        self.turned: list[int] = []
        self._awake: NDArray[np.bool_] = rows.column(np.bool_)  # has something to say without a packet
        # The format of rows that go on as they did.
        self._usual: NDArray[np.uint8] = rows.column(np.uint8, _UNUSUAL)
        self._voices: dict[int, Voice] = {}

    # --- packets in

    def lay(
        self,
        packets: Batch,
        ahead: NDArray[np.int32],
        allowed: NDArray[np.int32],
        payload: NDArray[np.uint8],
    ) -> None:
        """As `Ring.lay`; packets off the 10 ms grid are laid at the last place on it, and those that cannot
        be cut are taken whole or not at all."""
        whole = is_opus(packets.format)
        owner, piece = spread(np.where(whole, 1, packets.length // PIECE))
        size = packets.size // np.where(whole, 1, np.maximum(packets.length // PIECE, 1))
        place = ahead[owner] // PIECE + piece
        kept = (allowed[owner] + piece * PIECE >= 0) & (place >= 0) & (place < 2 * SLOTS)
        alone = whole[owner] & (place % 2 == 0) & (packets.length[owner] > PIECE)
        kept &= size[owner] <= np.where(alone, CELLS, _HALF_CELLS)
        owner, piece, place = owner[kept], piece[kept], place[kept]
        if not owner.size:
            return
        slot, half = (place // 2 + self._slot) % SLOTS, place % 2
        row, size = packets.row[owner], size[owner]
        first = np.where(whole[owner], half * _HALF_CELLS, half * size)
        start = packets.start[owner] + piece * size
        target = (slot * self._capacity + row) * CELLS + first
        for some in _by_width(size, whole[owner]):
            _copy(payload, start[some], self._store, target[some], int(size[some].max()))
        self._size[slot, row, half] = size
        long = size > _HALF_CELLS
        self._size[slot[long], row[long], 1] = 0  # it lies where that was
        self._format[slot, row, half] = packets.format[owner]
        self._pieces[slot, row, half] = np.where(whole, packets.length // PIECE, 1)[owner]

    # --- frames out

    def read(
        self, rate: int, rows: NDArray[np.intp], speech: NDArray[np.int16], words: NDArray[np.uint16]
    ) -> None:
        """This tick's frames of packed rows that are heard at `rate`: int16 (m, rate / 50) into `speech`, and
        into `words` VALID where something was said."""
        self.broken.clear()
        self.turned.clear()
        sizes, kinds = self._size[self._slot, rows], self._format[self._slot, rows]
        busy = self._awake[rows] | sizes.any(axis=1)
        quick = self._read_quick(rate, rows, sizes, kinds, speech)
        speech[~busy] = 0
        words[:] = np.where(quick, np.uint16(VALID), np.uint16(0))[:, None]
        for place in np.flatnonzero(busy & ~quick).tolist():
            row = int(rows[place])
            came = self._say(row, rate)
            voice = self._voices[row]
            speech[place] = voice.take(rate // 50)
            words[place].reshape(2, -1)[:] = np.array(came, np.uint16)[:, None] * VALID
            self._awake[row] = voice.ready > 0 or voice.attentive
            self._usual[row] = voice.kind if voice.goes_on else _UNUSUAL

    def _read_quick(
        self,
        rate: int,
        rows: NDArray[np.intp],
        sizes: NDArray[np.int16],
        kinds: NDArray[np.uint8],
        speech: NDArray[np.int16],
    ) -> NDArray[np.bool_]:
        """The rows, of those that go on as they did, whose cells hold just this frame; their frames."""
        kind = kinds[:, 0]
        opus_too = is_opus(kind)
        usual = (self._usual[rows] == kind) & (sizes[:, 0] > 0)
        frame = (sizes[:, 1] == 0) & (self._pieces[self._slot, rows, 0] == 2)
        usual &= np.where(opus_too, frame, (sizes[:, 1] == sizes[:, 0]) & (kinds[:, 1] == kind))
        linear = usual & is_linear(kind, rate)
        if linear.any():
            audio = self._store[self._slot, rows[linear], : 4 * rate // 100]
            speech[linear] = audio.view(">i2")
        plain = usual & is_plain(kind, rate)
        if plain.any():
            words = self._store[self._slot, rows[plain], : rate // 50].astype(np.uint16)
            words |= kind[plain, None].astype(np.uint16) << np.uint16(8) | np.uint16(VALID)
            said = np.empty(words.shape, np.int16)
            g711.decode(words, said)
            speech[plain] = said
        at = self._store.ctypes.data + self._slot * self._capacity * CELLS
        out, step = speech.ctypes.data, speech.strides[0]
        for place, row, size in self._each(usual & opus_too, rows, sizes):
            voice = self._voices[row]
            usual[place] = voice.decode_frame(at + row * CELLS, size, out + place * step, rate // 50)
        wide = usual & is_g722(kind, rate)
        for place, row, size in self._each(wide, rows, sizes):
            speech[place] = self._voices[row].decode_bytes(self._store[self._slot, row, : 2 * size])
        quick: NDArray[np.bool_] = usual & opus_too | plain | linear | wide
        self._size[self._slot, rows[quick]] = 0
        return quick

    @staticmethod
    def _each(
        which: NDArray[np.bool_], rows: NDArray[np.intp], sizes: NDArray[np.int16]
    ) -> Iterable[tuple[int, int, int]]:
        """Of some of the rows their place, their number and the size of their first cell."""
        places = np.flatnonzero(which)
        return zip(places.tolist(), rows[places].tolist(), sizes[places, 0].tolist(), strict=True)

    def follow(self, rate: int, rows: NDArray[np.intp]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """The frames after this tick's, as `read` was called for it, (m, rate / 50), and which are there:
        none where the sender goes on in another format, as `read` has to see that."""
        frame = rate // 50
        following = np.zeros((rows.size, frame), np.int16)
        there = np.zeros(rows.size, np.bool_)
        after = (self._slot + 1) % SLOTS
        for place, row in enumerate(rows.tolist()):
            voice = self._voices.get(row)
            if voice is None:
                continue
            same = (self._size[after, row] == 0) | (self._format[after, row] == voice.kind)
            if voice.ready < frame and self._size[after, row, 0] and same.all():
                self._decode(row, after, rate)
                self._awake[row], self._usual[row] = True, _UNUSUAL
            there[place] = voice.ready >= frame
            if there[place]:
                following[place] = voice.pcm[:frame]
        return following, there

    def coming(
        self, rate: int, rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.int16], NDArray[np.bool_], NDArray[np.bool_]]:
        """The two frames after this tick's, (m, rate / 25), as far as they are here; of which rows the first
        is, and is sound as it was said from its begin on. L16 at the row's rate is looked at where it lies;
        of others one is decoded, as by `follow`: their decoders remember what was before the gap.
        """
        slots = (self._slot + np.array([[1], [2]])) % SLOTS
        kinds, sizes = self._format[slots, rows], self._size[slots, rows]
        whole = (is_linear(kinds, rate) & (sizes == 2 * rate // 100)).all(axis=2)
        exact = whole[0]
        coming = np.zeros((rows.size, rate // 25), np.int16)
        here = exact.copy()
        if exact.any():
            sound = self._store[slots, rows, : 4 * rate // 100].view(">i2")
            coming[:] = np.where(whole[:, :, None], sound, 0).transpose(1, 0, 2).reshape(coming.shape)
        others = np.flatnonzero(~here)
        if others.size:
            frames, there = self.follow(rate, rows[others])
            coming[others, : rate // 50] = frames
            here[others] = there
        return coming, here, exact

    def amend(self, rows: NDArray[np.intp], sound: NDArray[np.int16]) -> None:
        """What `coming` has decoded begins otherwise: (m, samples)."""
        for place, row in enumerate(rows.tolist()):
            self._voices[row].pcm[: sound.shape[1]] = sound[place]

    def drop(self, rows: NDArray[np.intp], frame: int) -> None:
        """What `follow` gave is not to be said again."""
        for row in rows.tolist():
            self._voices[row].drop(frame)

    def hold(self, rows: NDArray[np.intp], said: NDArray[np.int16]) -> None:
        """These frames, (m, samples), are to be said once more."""
        for place, row in enumerate(rows.tolist()):
            self._voices[row].hold(said[place])
            self._awake[row], self._usual[row] = True, _UNUSUAL

    def idle(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which of these rows say nothing in this tick."""
        idle: NDArray[np.bool_] = ~(self._awake[rows] | self._size[self._slot, rows].any(axis=1))
        return idle

    # --- what moves and ends

    def shift(self, rows: NDArray[np.intp], frames: int) -> None:
        """Play rows `frames` earlier (a part is dropped) or, if negative, later."""
        slots = ((self._slot + np.arange(SLOTS)) % SLOTS)[:, None]
        origin = np.clip(np.arange(SLOTS) + frames, 0, SLOTS - 1)
        lost = (np.arange(SLOTS) + frames != origin)[:, None, None]
        for cells in (self._store, self._format, self._pieces, self._size):
            moved = cells[slots, rows][origin]
            cells[slots, rows] = np.where(lost, 0, moved) if cells is self._size else moved
        for row in rows.tolist() if frames < 0 else ():
            if row in self._voices:
                self._voices[row].wait(-frames)
                self._usual[row] = _UNUSUAL

    def wipe(self, rows: NDArray[np.intp] | int) -> None:
        """Nothing is due of these rows, and nothing was said ahead."""
        self._size[:, rows] = 0
        for row in np.atleast_1d(rows).tolist():
            if row in self._voices:
                self._voices[row].wipe()

    def silence(self, row: int) -> None:
        """Nothing of what came so far is heard, in no form: not by the decoder's memory either."""
        self._size[:, row] = 0
        self._voices.pop(row, None)
        self._awake[row], self._usual[row] = False, _UNUSUAL

    def skip(self, beats: int) -> None:
        """As `advance`, of beats in which nothing was read: what was said ahead is over, too."""
        for voice in self._voices.values():
            voice.skip(beats)
        self.advance(beats)

    def advance(self, beats: int) -> None:
        """These beats are over, and what was to be read in them."""
        for slot in range(min(beats, SLOTS)):
            self._size[(self._slot + slot) % SLOTS] = 0
        self._slot = (self._slot + beats) % SLOTS

    # --- one row

    def _say(self, row: int, rate: int) -> tuple[bool, bool]:
        """Bring a row's voice to a whole frame, and say which halves of it came."""
        frame = rate // 50
        came = self._decode(row, self._slot, rate)
        voice = self._voices[row]
        if voice.ready < frame and self._recover(row, voice, frame):
            if voice.missing == 0 and not any(came):
                self.broken.append(row)
            came = True, True
        voice.missing = 0 if any(came) else voice.missing + 1
        if voice.ready < frame and voice.lack(frame - voice.ready):
            return True, True
        return came

    def _decode(self, row: int, slot: int, rate: int) -> tuple[bool, bool]:
        """Decode what lies in the cells of one frame, where it belongs in it; which halves are there then."""
        half = rate // 100
        sizes, kinds = self._size[slot, row].tolist(), self._format[slot, row].tolist()
        voice = self._voices.get(row)
        came = [voice is not None and voice.ready > half * part for part in (0, 1)]
        if not any(sizes):
            return came[0], came[1]
        bytes_of = self._store[slot, row]
        packed_whole = FORMATS[kinds[0]].piece == 0
        parts: list[tuple[int, int, int]] = [  # which half, first byte, size
            (part, part * (_HALF_CELLS if FORMATS[kinds[part]].piece == 0 else sizes[part]), sizes[part])
            for part in (0, 1)
            if sizes[part]
        ]
        if len(parts) == 2 and not packed_whole and kinds[0] == kinds[1] and not came[0]:
            parts = [(0, 0, sizes[0] + sizes[1])]
            came[1] = True
        for part, first, size in parts:
            if voice is not None and voice.ready >= half * (part + int(self._pieces[slot, row, part])):
                continue  # said ahead: what comes late, or again, does not take its place
            at = part * half
            if voice is None or voice.kind != kinds[part]:
                if voice is not None:
                    self.turned.append(row)
                voice = self._voices[row] = Voice(kinds[part], rate)
                voice.ready = at  # zeros: it has missed nothing that it may say again
                came[0] = False
            if voice.ready > at:
                voice.ready = at  # a part of it was said ahead
            data = bytes_of[first : first + size]
            if voice.ready < at:
                lacks = at - voice.ready
                came[0] = (voice.opus is not None and voice.recover(data, lacks)) or voice.lack(lacks)
            before = voice.ready
            voice.decode(data)
            came[part] = voice.ready > before
            if voice.ready >= 2 * half:
                came[1] = True
        self._size[slot, row] = 0
        return came[0], came[1]

    def _recover(self, row: int, voice: Voice, frame: int) -> bool:
        """Say what is missing by the next packet, if it is here and repeats that."""
        if voice.opus is None:
            return False
        for ahead in range(1, _FURTHEST + 1):
            slot = (self._slot + ahead) % SLOTS
            size = int(self._size[slot, row, 0])
            if size and self._format[slot, row, 0] == voice.kind:
                return voice.recover(self._store[slot, row, :size], ahead * frame - voice.ready)
            if self._size[slot, row, 1]:
                return False
        return False


def _by_width(size: NDArray[np.int32], whole: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The parts of a batch that may be copied in one width: a piece must not reach into the next one, which
    may lie there already, and a long packet not into other cells."""
    long = size > _HALF_CELLS
    parts = [whole & ~long, whole & long, *(~whole & (size == each) for each in np.unique(size[~whole]))]
    return [some for some in map(np.flatnonzero, parts) if some.size]


def _copy(
    source: NDArray[np.uint8],
    start: NDArray[np.intp],
    target: NDArray[np.uint8],
    place: NDArray[np.intp],
    width: int,
) -> None:
    """Copy `width` bytes each, whatever lies behind what is meant."""
    if int(start.max()) + width > source.size:
        source = np.append(source, np.zeros(width, np.uint8))
    kind = np.dtype((np.void, width))
    said = np.ndarray((source.size - width + 1,), kind, source, strides=(1,))
    cells = np.ndarray((target.size - width + 1,), kind, target, strides=(1,))
    cells[place] = said[start]
