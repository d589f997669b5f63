"""Columns that the media process writes and control reads when it likes.

The memory belongs to control and outlives a media process: a new one finds there which sources its
predecessor had pinned, and keeps strangers' late packets out (see `rtp.demux`). A reader may see one
column newer than another; each single figure is whole.
"""

import mmap
import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from media import memory
from rtp.demux import ROW
from rtp.tombstones import TOMBSTONE

COUNTERS: Final = (
    "beats",
    "skipped_beats",
    "packets_received",
    "packets_sent",
    "rtcp_received",
    "rtcp_sent",
    "rtcp_malformed",
    "rtcp_unknown",
    "rtcp_byes",
    "srtp_rejected",
    "srtp_replayed",
    "rtcp_in_clear",
    "srtp_unsent",
    "srtp_legs",
    "keep_alives",
    "dropped_malformed",
    "dropped_truncated",
    "dropped_unknown_source",
    "dropped_ambiguous",
    "dropped_late",
    "dropped_payload_type",
    "dropped_kernel",
    "send_errors",
    "rebindings",
    "digits",
    "digits_inband",
    "commands",
    "refused_commands",
    "system_calls",
    "legs",
    "sent_to",
    "plays",
    "packets_lost",
    "packets_late",
    "packets_doubled",
    "talking",
)
"""Names of the counters, in the order of their column."""

LEVELS: Final = frozenset({"legs", "srtp_legs", "sent_to", "plays", "talking"})
"""Those of them that go down again: live legs, those with keys, those that are sent packets, what plays, and
legs whose speaker talks."""

BINS: Final = 64
"""Bins of the two histograms: bin i counts values from 2^(i/4) up to 2^((i+1)/4) microseconds."""

TOMBSTONES: Final = 8192

PEAK_DECAY: Final = 0.75
"""What is left of a leg's `peak` at the next copy, a fifth of a second later, if nothing louder comes."""

_LEG = np.dtype(
    [
        ("leg", "<i8"),
        ("received", "<i8"),
        ("sent", "<i8"),
        ("lost", "<i8"),
        ("late", "<i8"),
        ("duplicate", "<i8"),
        ("delay", "<i4"),
        ("peak", "<i4"),
        ("level", "<f4"),
        ("noise", "<f4"),
        ("gain", "<f4"),
        ("talking", "<i4"),
    ]
)
"""A leg's figures: packets, as `mixer.Mixer` counts them; `delay` in samples; `peak`: the greatest sample
spoken lately, as looked at five times a second; `level`: the loudest frame since then, and `noise`, what
speech is told from, mean squares; `gain`: the factor of gain control; `talking`: 1 or 0, anew each beat.
`leg` is 0 where the row is free."""

QUALITY: Final = np.dtype(
    [
        ("mos", "<f4"),
        ("loss", "<f4"),
        ("jitter", "<f4"),
        ("round_trip", "<f4"),
        ("far_loss", "<f4"),
        ("far_jitter", "<f4"),
        ("far_lost", "<i8"),
        ("drift", "<f4"),
        ("mos_mean", "<f4"),
        ("rejected", "<i8"),
        ("far_mos", "<f4"),
        ("pad", "<f4"),
    ]
)
"""A leg's quality: `mos` 1 to 4.5, and its mean since the leg was opened; `loss`, `far_loss` shares;
`jitter`, `round_trip`, `far_jitter` in seconds; `drift` in millionths. Floats are NaN while nothing is known.
`rejected`: packets that did not pass its keys. What is `far` is what the far end reports."""


class Shared:
    """The mapped columns. `rows` is the mixer's capacity, so that row i of each is the mixer's row i."""

    def __init__(self, descriptor: int, rows: int, *, create: bool = False) -> None:
        parts = [
            (np.dtype("<i8"), len(COUNTERS)),
            (np.dtype("<i8"), BINS),
            (np.dtype("<i8"), BINS),
            (_LEG, rows),
            (QUALITY, rows),
            (ROW, rows),
            (TOMBSTONE, TOMBSTONES),
        ]
        size = sum(_padded(kind.itemsize * count) for kind, count in parts)
        if create:
            os.ftruncate(descriptor, size)
        self._mapping: mmap.mmap = memory.shared(descriptor, size)
        views = []
        offset = 0
        for kind, count in parts:
            views.append(np.frombuffer(self._mapping, kind, count, offset))
            offset += _padded(kind.itemsize * count)
        self.counters, self.lateness, self.duration, self.legs, self.quality = views[:5]
        self.sources, self.tombstones = views[5:]

    def count(self, name: str) -> int:
        return int(self.counters[COUNTERS.index(name)])


def rows_for(legs: int) -> int:
    """Rows of the mixer: one a leg, and row 0, which is silence."""
    return 1 + legs


def histogram_bin(microseconds: float) -> int:
    """The bin a value falls into; below one microsecond is bin 0."""
    if microseconds <= 1.0:
        return 0
    return min(BINS - 1, int(4.0 * float(np.log2(microseconds))))


def quantile(bins: NDArray[np.int64], share: float) -> float:
    """The value, in milliseconds, that `share` of what the bins counted does not exceed; 0 if empty."""
    total = int(bins.sum())
    if total == 0:
        return 0.0
    place = int(np.searchsorted(np.cumsum(bins), share * total))
    return float(2.0 ** ((min(place, BINS - 1) + 1) / 4.0)) / 1000.0


def cumulative(bins: NDArray[np.int64]) -> list[tuple[float, int]]:
    """Each bin's end in seconds, and how many values were below it."""
    counts = np.cumsum(bins)
    return [(2.0 ** ((place + 1) / 4.0) / 1e6, int(count)) for place, count in enumerate(counts)]


def spread(legs: NDArray[np.void]) -> dict[str, float]:
    """What is typical and what is worst among legs (QUALITY): the median, the 99th percentile and the
    greatest of `loss` and `far_loss` (shares), `jitter` and `round_trip` (ms); of `mos` the median and the
    least. A figure that no leg has is left out."""
    figures = {}
    for name, scale in (("loss", 1.0), ("far_loss", 1.0), ("jitter", 1000.0), ("round_trip", 1000.0)):
        known = legs[name][~np.isnan(legs[name])]
        if known.size:
            for label, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
                figures[f"{name}_{label}"] = round(scale * float(np.quantile(known, share)), 4)
    for name in ("mos", "far_mos"):
        scores = legs[name][~np.isnan(legs[name])]
        if scores.size:
            figures[f"{name}_min"] = round(float(scores.min()), 3)
            figures[f"{name}_p50"] = round(float(np.median(scores)), 3)
    return figures


def _padded(size: int) -> int:
    return -(-size // 64) * 64
