"""Sources that were given up lately, so that late packets of an ended call reach no other.

A tombstone remembers a source, the stream that came from it and the leg that had it; that leg alone may have
it back. They lie in a ring, the oldest overwritten first. Keys are `rtp.demux`'s; time is an argument, in
seconds.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from rtp.packet import Headers

TOMBSTONE_SECONDS: Final = 30.0
LATE_BEHIND: Final = 500  # how far behind an ended call's last packet another of its packets may be
LATE_AHEAD: Final = 3000  # how far beyond it: a minute of packets

TOMBSTONE: Final = np.dtype(
    [
        ("key", "<u8"),
        ("until", "<f8"),
        ("ssrc", "<u4"),
        ("owner", "<u4"),
        ("sequence", "<u2"),
        ("stream", "<u2"),
        ("pad", "<u4"),
    ]
)
"""`owner` is the life of the leg that had the source; `stream` is 1 where packets came from it, so that
`ssrc` and `sequence` mean something."""


class Tombstones:
    """A ring of them. `graves` TOMBSTONE[...] may lie in memory that outlives this process."""

    def __init__(self, graves: NDArray[np.void]) -> None:
        self.graves = graves
        self._next = int(np.argmin(graves["until"]))

    @property
    def last_owner(self) -> int:
        """The greatest life that has a tombstone here."""
        return int(self.graves["owner"].max())

    def bury(self, key: int, *, owner: int, ssrc: int, sequence: int, heard: bool, now: float) -> None:
        """Remember a source; `heard`: the stream `ssrc`, up to `sequence`, came from it."""
        until = now + TOMBSTONE_SECONDS
        self.graves[self._next] = (key, until, ssrc, owner, sequence, int(heard), 0)
        self._next = (self._next + 1) % len(self.graves)

    def hold(self, key: int, ssrc: int, owner: int, now: float) -> bool:
        """Whether another leg lately had this source, or on the same local port this SSRC."""
        graves = self.graves[self.graves["until"] > now]
        graves = graves[graves["owner"] != owner]
        same_ssrc = (graves["ssrc"] == ssrc) & (graves["stream"] != 0)
        same_ssrc &= graves["key"] >> np.uint64(48) == key >> 48
        return bool(((graves["key"] == key) | same_ssrc).any())

    def under(self, keys: NDArray[np.uint64], owners: NDArray[np.uint32], now: float) -> NDArray[np.void]:
        """Those with a stream whose source is one of `keys` (sorted, the last beyond all others) by now, and
        another leg's: key i is of the life `owners[i]`."""
        recent = self.graves[(self.graves["until"] > now) & (self.graves["stream"] != 0)]
        place = np.searchsorted(keys, recent["key"])
        ghosts: NDArray[np.void] = recent[(keys[place] == recent["key"]) & (owners[place] != recent["owner"])]
        return ghosts


def is_late(
    ghosts: NDArray[np.void], keys: NDArray[np.uint64], headers: Headers, now: float
) -> NDArray[np.bool_]:
    """Which packets go on with the stream of one of `ghosts`: its source, its SSRC, and a sequence number not
    far from its last one."""
    ahead = headers.sequence[:, None] - ghosts["sequence"] + np.uint16(LATE_BEHIND)
    late: NDArray[np.bool_] = (
        (keys[:, None] == ghosts["key"])
        & (headers.ssrc[:, None] == ghosts["ssrc"])
        & (ahead < LATE_BEHIND + LATE_AHEAD)
        & (ghosts["until"] > now)
    ).any(axis=1)
    return late
