"""Whose packet is it? A port carries many legs, and a packet finds its leg by source.

In this order, for the whole batch at once:

a. the leg pinned to this source (address and port) on this local port;
b. else the leg whose SDP names exactly this source, which is thereby pinned;
c. else, if its address is the SDP's or the signalling's of exactly one leg of this local port that still
   seeks its far end, and neither source nor SSRC belongs or lately belonged to another leg there, that leg
   learns it;
d. else it is nobody's: counted and dropped.

Of a leg with keys (`secure`) only what passes them counts, and that is asked before anything is pinned,
learnt or heard of it.

Nothing is learnt before an SDP of the peer is known, nor later than `LEARN_SECONDS` after it. A pinned
source that has gone silent while its address goes on with the same SSRC and sequence from another port is
a NAT that has rebound: pinned anew. A source that was given up leaves a tombstone, so that late packets of
an ended call reach no other. RFC 7362 tells what becomes of those who latch without such rules.

Rules a and b are column arithmetic over sorted keys; strangers that might concern a leg are looked at one
by one, at most `STRANGERS` a batch. Rows are the mixer's; row 0 is nobody. Time is an argument, in seconds.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from rtp.packet import Headers
from rtp.rtcp import is_rtcp
from rtp.tombstones import TOMBSTONE, Tombstones, is_late

LEARN_SECONDS: Final = 10.0
UNDER_WAY: Final = 1.0
"""Seconds after a new SDP in which packets from where the one before was may still come."""
REBIND_SILENCE: Final = 0.1  # five packets: reordering does not last that long
REBIND_SEQUENCE: Final = 3000  # a minute of packets that went to the old binding and were lost
STRANGERS: Final = 64
MAX_PORTS: Final = 1 << 15  # the port index has 16 bits of the key; the highest keys stay free

EVENT: Final = 64  # telephone-event, RFC 4733
COMFORT: Final = 65  # comfort noise, RFC 3389: a sign of life
RTCP: Final = 66
UNWANTED: Final = 255
"""Kinds of payload; those below are audio, and mean what `connect` was told."""

ROW: Final = np.dtype(
    [
        ("pinned", "<u8"),
        ("named", "<u8"),
        ("heard", "<f8"),
        ("ssrc", "<u4"),
        ("sequence", "<u2"),
        ("pad", "<u2"),
    ]
)
"""What is known of a leg's far end. `pinned` and `named` (by SDP) are keys, 0 for none; `heard` is the time
of the last packet; `ssrc` and `sequence` are that packet's."""

_Keys = NDArray[np.uint64]
_Rows = NDArray[np.intp]
_Mask = NDArray[np.bool_]
_LAST_KEY: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def key_of(port: int, address: int, source: int) -> int:
    """The exact 64-bit key of a source: local port index, IPv4 address, UDP port."""
    return port << 48 | address << 16 | source


class Gate(Protocol):
    """Asks whether packets pass the keys of a leg (`rtp.srtp.Admission`)."""

    rows: NDArray[np.intp]

    def admits(self, row: int, packet: int) -> bool: ...


def _keys(port: NDArray[np.int32], address: NDArray[np.uint32], source: NDArray[np.uint16]) -> _Keys:
    keys = port.astype(np.uint64) << np.uint64(48)
    keys |= address.astype(np.uint64) << np.uint64(16)
    keys |= source
    return keys


@dataclass(slots=True)
class Drops:
    """Packets that reached no leg, by reason, since the start."""

    unknown: int = 0
    ambiguous: int = 0
    late: int = 0
    payload_type: int = 0


class Demux:
    """The far ends of up to `rows` legs. `state` ROW[rows] and `tombstones` TOMBSTONE[...] may lie in memory
    that outlives this process; what an earlier one had pinned there becomes tombstones by `inherit`."""

    def __init__(
        self,
        rows: int,
        state: NDArray[np.void] | None = None,
        tombstones: NDArray[np.void] | None = None,
    ) -> None:
        self.state = np.zeros(rows, ROW) if state is None else state
        self.heard: NDArray[np.float64] = self.state["heard"]
        self.secure = np.zeros(rows, bool)
        self.drops = Drops()
        self.rebindings = 0
        self.pinned: list[tuple[int, int, int]] = []  # (row, address, port) since somebody emptied it
        self._tombstones = Tombstones(np.zeros(1024, TOMBSTONE) if tombstones is None else tombstones)
        self._port = np.zeros(rows, np.uint64)
        self._kinds = np.full((rows, 128), UNWANTED, np.uint8)
        self._addresses = np.zeros((rows, 2), np.uint64)  # of the SDP and of the signalling
        self._learns = np.zeros(rows, bool)
        self._lapses = np.zeros(rows)  # until when, if at all
        self._spoke = np.zeros(rows)  # when its last packet came that was no RTCP
        self._former = np.zeros(rows, np.uint64)  # where it was before its SDP, if that counts no more
        self._left = np.zeros(rows)  # until when what comes from there is not it
        self._seeks = np.zeros(rows, bool)  # still waits for the first packet of what its SDP names
        self._life = np.zeros(rows, np.uint32)  # told apart from earlier legs of the row
        self._lives = self._tombstones.last_owner
        self._dirty = True
        self._rebuild(0.0)

    # What control says

    def inherit(self, now: float) -> None:
        """Bury whatever the memory says was pinned by the process before."""
        for row in np.flatnonzero((self.state["pinned"] != 0) | (self.state["named"] != 0)):
            self._begin_life(int(row))
            self._bury_row(int(row), now)
        self.state[:] = np.zeros((), ROW)
        self._dirty = True

    def open(self, row: int, port: int) -> None:
        """A leg takes a row; until `connect` no packet is its own."""
        self.state[row] = np.zeros((), ROW)
        self._begin_life(row)
        self._port[row] = port
        self._kinds[row] = UNWANTED
        self._addresses[row] = 0
        self._lapses[row] = self._spoke[row] = 0.0
        self._former[row] = 0
        self._seeks[row] = False

    def connect(
        self,
        row: int,
        *,
        address: int,
        port: int,
        signalling: int,
        kinds: dict[int, int],
        learn: bool,
        renew: bool,
        now: float,
    ) -> bool:
        """An SDP of the far end names (address, port), or nothing (port 0). `kinds`: payload type -> kind.
        Returns whether the leg is to be sent to what was named.

        The same address and port again changes nothing of what is pinned, unless without `renew` the
        signalling is another's: private addresses are alike in many places. Others do: with `renew` the
        pinned source counts until the first packet from the new one, without it no longer. With `renew` audio
        under the numbers of earlier SDPs also counts, since the far end goes on with it until it has read our
        answer, and a number keeps its meaning within a call (RFC 3264 section 8.3.2).
        """
        of_kinds = self._kinds[row]
        of_kinds[(of_kinds >= EVENT) | (not renew)] = UNWANTED
        for payload_type, kind in kinds.items():
            self._kinds[row, payload_type] = kind
        if port == 0:
            return False
        state = self.state[row]
        named = key_of(int(self._port[row]), address, port)
        known = int(state["named"]) == named and (renew or int(self._addresses[row, 1]) == signalling)
        former = int(state["pinned"]) or int(state["named"])
        if not known and not renew and state["pinned"]:
            self._bury(former, row, now)
            state["pinned"] = 0
        if not known:
            self._former[row] = 0 if state["pinned"] else former
            same = renew or (address, signalling) == tuple(self._addresses[row].tolist())
            self._left[row] = now + (UNDER_WAY if same else LEARN_SECONDS)
        state["named"] = named
        self._addresses[row] = (address, signalling)
        anew = not known or not state["pinned"]
        if anew:
            self._seeks[row] = int(state["pinned"]) != named
            self._lapses[row] = now + LEARN_SECONDS
            self._learns[row] = learn
        self._dirty = True
        return anew

    def move(self, row: int, port: int) -> None:
        """The leg goes on at another local port. What was pinned at the old one counts until the far end
        is heard at the new one, once `connect` has named it."""
        self._port[row] = port
        self.state[row]["named"] = 0
        self._seeks[row] = False
        self._dirty = True

    def close(self, row: int, now: float) -> None:
        """The leg has ended; nobody else gets its packets."""
        self._bury_row(row, now)
        self.open(row, 0)
        self._dirty = True

    def expire(self, now: float) -> None:
        """End the learning of legs whose time is over. One whose old source still speaks is sent to there
        again: its new SDP did not mean it. Reports do not count: they may come from the new place."""
        over = np.flatnonzero((self._lapses > 0.0) & (now >= self._lapses))
        self._lapses[over] = 0.0
        for row in over[self._seeks[over] & (self.state["pinned"][over] != 0)]:
            if now - self._spoke[row] < 1.0:
                self._tell(int(row))
        self._dirty |= bool(len(over))

    # What packets say

    def match(
        self,
        port: NDArray[np.int32],
        address: NDArray[np.uint32],
        source: NDArray[np.uint16],
        headers: Headers,
        now: float,
        gate: Gate | None = None,
    ) -> tuple[_Rows, NDArray[np.uint8]]:
        """(row, kind) of each packet of a batch; row 0 where it is nobody's or unwanted. `gate`: needed where
        legs have keys.

        `port` is the index of the local port; packets whose header is not valid are passed over. What is
        counted as heard is what was wanted, comfort noise and RTCP included.
        """
        if self._dirty:
            self._rebuild(now)
        keys = _keys(port, address, source)
        place, found = self._find(keys, headers)
        late = found & is_late(self._ghosts, keys, headers, now) if len(self._ghosts) else None
        unsettled = headers.valid & ~found
        if self._any_open:
            unsettled |= found & self._open[place]
            if late is not None:
                unsettled &= ~late
        if unsettled.any() and self._settle(keys, headers, found, np.flatnonzero(unsettled), now, gate):
            self._rebuild(now)
            place, found = self._find(keys, headers)
        if gate is not None:
            self._shut(gate, place, found)
        return self._verdict(keys, headers, place, found, late, now)

    def secured(
        self, port: NDArray[np.int32], address: NDArray[np.uint32], source: NDArray[np.uint16], now: float
    ) -> _Rows:
        """The leg with keys that each packet's source belongs to by rules a and b; 0 for none. Changes
        nothing."""
        if self._dirty:
            self._rebuild(now)
        keys = _keys(port, address, source)
        place = np.searchsorted(self._keys, keys)
        rows = np.where(self._keys[place] == keys, self._rows[place], 0)
        return np.where(self.secure[rows], rows, 0)

    def by_ssrc(
        self, port: NDArray[np.int32], address: NDArray[np.uint32], ssrc: NDArray[np.uint32]
    ) -> _Rows:
        """The row whose pinned stream is `ssrc`, from `address`, on the port; 0 for none. For RTCP, which
        comes from another source port; it never pins."""
        rows = np.zeros(len(port), np.intp)
        pinned = self.state[self._pinned_rows]
        which = np.flatnonzero(np.isin(ssrc, pinned["ssrc"]))[: 4 * STRANGERS]
        if len(which):
            places = port[which].astype(np.uint64) << np.uint64(32) | address[which]
            same = pinned["ssrc"] == ssrc[which][:, None]
            same &= pinned["pinned"] >> np.uint64(16) == places[:, None]
            rows[which] = np.where(same.sum(axis=1) == 1, self._pinned_rows[same.argmax(axis=1)], 0)
        return rows

    # Rules a and b

    def _rebuild(self, now: float) -> None:
        """Sort the keys that rules a and b know."""
        state = self.state
        self._pinned_rows = np.flatnonzero(state["pinned"])
        early = now < self._lapses
        # A leg that has learnt a source prefers the one its SDP names, if that is heard early enough.
        opens = (state["named"] != 0) & (state["named"] != state["pinned"]) & (self._seeks | early)
        open_rows = np.flatnonzero(opens)
        self._claims = np.flatnonzero(self._seeks & self._learns & early)
        keys = np.concatenate([state["pinned"][self._pinned_rows], state["named"][open_rows], [_LAST_KEY]])
        rows = np.concatenate([self._pinned_rows, open_rows, [0]])
        is_open = np.zeros(len(keys), bool)
        is_open[len(self._pinned_rows) : -1] = True
        order = np.lexsort((is_open, keys))  # the pinned one before those that only name the key
        keys, rows, is_open = keys[order], rows[order], is_open[order]
        first = np.ones(len(keys), bool)
        first[1:] = keys[1:] != keys[:-1]
        shared = np.diff(np.append(np.flatnonzero(first), len(keys))) > 1
        self._keys: _Keys = keys[first]
        self._open: _Mask = is_open[first]
        self._ambiguous: _Mask = shared & self._open
        self._contested: _Mask = shared & ~self._open
        self._rows: _Rows = np.where(self._ambiguous, 0, rows[first])
        self._any_open = bool(self._open.any())
        self._any_shared = bool(shared.any())
        self._ghosts = self._tombstones.under(self._keys, self._life[self._rows], now)
        self._dirty = False

    def _find(self, keys: _Keys, headers: Headers) -> tuple[_Rows, _Mask]:
        place = np.searchsorted(self._keys, keys)
        return place, (self._keys[place] == keys) & headers.valid

    def _verdict(
        self,
        keys: _Keys,
        headers: Headers,
        place: _Rows,
        found: _Mask,
        late: _Mask | None,
        now: float,
    ) -> tuple[_Rows, NDArray[np.uint8]]:
        rows = np.where(found, self._rows[place], 0)
        drops = self.drops
        drops.unknown += int(headers.valid.sum()) - int(found.sum())
        if late is not None and late.any():
            rows[late] = 0
            drops.late += int(late.sum())
            found &= ~late
        if self._any_shared:
            foreign = found & self._contested[place] & (headers.ssrc != self.state["ssrc"][rows])
            foreign |= found & self._ambiguous[place]
            rows[foreign] = 0
            drops.ambiguous += int(foreign.sum())
            found &= ~foreign
        kinds = self._kinds[rows, headers.payload_type]
        kinds[is_rtcp(headers.payload_type)] = RTCP
        unwanted = found & (kinds == UNWANTED)
        if self._any_open:
            unwanted |= found & self._open[place] & (kinds != RTCP)  # what could have pinned it has done so
        if unwanted.any():
            rows[unwanted] = 0
            drops.payload_type += int(unwanted.sum())
        self.heard[rows] = now
        media = (rows != 0) & (kinds != RTCP)
        stream = rows[media]
        self._spoke[stream] = now
        self.state["ssrc"][stream] = headers.ssrc[media]
        self.state["sequence"][stream] = headers.sequence[media]
        return rows, kinds

    def _shut(self, gate: Gate, place: _Rows, found: _Mask) -> None:
        """Let nobody in whose keys are another leg's: what a leg that has just been pinned got in the same
        batch is asked for them now."""
        rows = self._rows[place]
        theirs = np.where(self.secure[rows], rows, 0)
        for packet in np.flatnonzero(found & (theirs != 0) & (gate.rows != theirs)):
            gate.admits(int(rows[packet]), int(packet))
        found &= gate.rows == theirs

    # Rule c, and the first packet of rule b

    def _settle(
        self, keys: _Keys, headers: Headers, found: _Mask, packets: _Rows, now: float, gate: Gate | None
    ) -> bool:
        """Pin what these packets may pin; true if anything was."""
        packets = packets[self._concerns(keys[packets], headers.ssrc[packets])]
        packets = packets[np.argsort(~found[packets], kind="stable")]  # no crowd of strangers before rule b
        seen: set[tuple[int, int, int]] = set()
        changed, failed = False, 0
        for packet in packets:
            key, ssrc, kind = int(keys[packet]), int(headers.ssrc[packet]), int(headers.payload_type[packet])
            if (key, ssrc, kind) in seen:
                continue
            if len(seen) + failed >= STRANGERS:
                break
            seen.add((key, ssrc, kind))
            sequence = int(headers.sequence[packet])
            row = self._owner(key, ssrc, sequence, now)
            if not row or self._kinds[row, kind] > COMFORT:
                continue
            if self.secure[row] and (gate is None or not gate.admits(row, int(packet))):
                failed += 1
                seen.discard((key, ssrc, kind))  # the next one that looks the same may be genuine
            else:
                self._note_rebinding(row, key)
                self._pin(row, key, ssrc, sequence, now)
                changed = True
        return changed

    def _concerns(self, keys: _Keys, ssrc: NDArray[np.uint32]) -> _Mask:
        """Which packets may pin: those of a key that an SDP names, of an address that a seeking leg waits
        for, of an SSRC that a pinned leg of that port has."""
        mask = np.isin(keys, self._keys)
        if len(self._claims):
            claims = self._addresses[self._claims] | (self._port[self._claims] << np.uint64(32))[:, None]
            mask |= np.isin(keys >> np.uint64(16), claims)
        pinned = self.state[self._pinned_rows]
        streams = pinned["pinned"] >> np.uint64(48) << np.uint64(32) | pinned["ssrc"]
        mask |= np.isin(keys >> np.uint64(48) << np.uint64(32) | ssrc, streams)
        return mask

    def _owner(self, key: int, ssrc: int, sequence: int, now: float) -> int:
        """The row that a packet from a source that is nobody's yet belongs to, 0 for none."""
        if (self.state["pinned"][self._pinned_rows] == key).any():
            return 0  # another packet of this batch has pinned it
        place = int(np.searchsorted(self._keys, np.uint64(key)))
        if int(self._keys[place]) == key and self._open[place]:
            return int(self._rows[place])  # rule b; 0 where the SDPs of two legs name it
        same_stream = self._same_stream(key >> 48, ssrc)
        if len(same_stream):
            return self._rebound(same_stream, key, sequence, now)
        row = self._learner(key, now)
        if row and self._tombstones.hold(key, ssrc, int(self._life[row]), now):
            self.drops.late += 1
            self.drops.unknown -= 1
            return 0
        return row

    def _same_stream(self, port: int, ssrc: int) -> _Rows:
        rows = self._pinned_rows
        state = self.state[rows]
        same: _Rows = rows[(state["ssrc"] == ssrc) & (state["pinned"] >> np.uint64(48) == port)]
        return same

    def _rebound(self, rows: _Rows, key: int, sequence: int, now: float) -> int:
        """The pinned leg whose far end now sends from another port of its address, 0 for none."""
        if len(rows) != 1:
            return 0
        state = self.state[rows[0]]
        ahead = (sequence - int(state["sequence"])) & 0xFFFF
        if (
            int(state["pinned"]) >> 16 != key >> 16
            or now - float(state["heard"]) < REBIND_SILENCE
            or not 0 < ahead < REBIND_SEQUENCE
        ):
            return 0
        return int(rows[0])

    def _note_rebinding(self, row: int, key: int) -> None:
        """Count it if this leg is pinned, seeks nobody, and yet comes from elsewhere."""
        state = self.state[row]
        self.rebindings += bool(state["pinned"]) and not self._seeks[row] and int(state["named"]) != key

    def _learner(self, key: int, now: float) -> int:
        """The one leg that may learn this source, 0 for none or several."""
        rows = self._claims[self._seeks[self._claims]]  # one that was pinned a packet ago seeks no more
        here = (self._port[rows] == key >> 48) & (now < self._lapses[rows])
        # What was under way when the SDP came says nothing of where the far end is now, nor does a phone that
        # another one has replaced, and that may go on for a while.
        here &= (self._former[rows] != key) | (now > self._left[rows])
        waits = (self._addresses[rows] == (key >> 16 & 0xFFFF_FFFF)).any(axis=1)
        rows = rows[here & waits]
        if len(rows) > 1:
            self.drops.ambiguous += 1
            self.drops.unknown -= 1
        return int(rows[0]) if len(rows) == 1 else 0

    def _pin(self, row: int, key: int, ssrc: int, sequence: int, now: float) -> None:
        state = self.state[row]
        if state["pinned"]:
            self._bury(int(state["pinned"]), row, now)
        else:
            self._pinned_rows = np.append(self._pinned_rows, row)
        state["pinned"], state["ssrc"], state["sequence"], state["heard"] = key, ssrc, sequence, now
        self._seeks[row] = False
        self._tell(row)

    def _tell(self, row: int) -> None:
        key = int(self.state[row]["pinned"])
        self.pinned.append((row, key >> 16 & 0xFFFF_FFFF, key & 0xFFFF))

    # Tombstones

    def _begin_life(self, row: int) -> None:
        self._lives = (self._lives + 1) & 0xFFFF_FFFF
        self._life[row] = self._lives

    def _bury_row(self, row: int, now: float) -> None:
        state = self.state[row]
        for key in {int(state["pinned"]), int(state["named"])} - {0}:
            self._bury(key, row, now)

    def _bury(self, key: int, row: int, now: float) -> None:
        state = self.state[row]
        self._tombstones.bury(
            key,
            owner=int(self._life[row]),
            ssrc=int(state["ssrc"]),
            sequence=int(state["sequence"]),
            heard=int(state["pinned"]) == key,
            now=now,
        )
