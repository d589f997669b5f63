"""A leg's figures as control reads them out of the shared columns."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from media.shared import Shared
from rtp.ports import Remote

SILENCE: Final = -96.0  # dBov: the step of 16 bits


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """A leg's figures, at most a fifth of a second old.

    `source`: the address and port its packets are taken from, None while no packet has shown it;
    `silent_for`: seconds since the last packet, None if there was none; `received`, `sent`, `lost`, `late`,
    `duplicate`: packets; `delay_ms`: from a packet's arrival to the beat that plays it; `level_db`: how loud
    it spoke lately (the greatest sample, relative to full scale), None for nothing at all; `talking`: whether
    somebody speaks there; `loudness`, `noise`: of the loudest frame of late, and of what speech is told from,
    dBov; `gain_db`: what gain control adds.

    `mos`: the E-model's opinion of what we hear of it, 1 to 4.4 (`rtp.quality`), and `mos_mean` its mean
    since the leg was opened; `loss`: the share of packets lost or late in the last seconds; `jitter_ms`: RFC
    3550's; `drift_ppm`: how much faster than ours its clock runs, in millionths. `round_trip_ms`, and what
    the far end reports of the packets sent to it: `far_loss` (share, between its last two reports),
    `far_lost` (packets in all), `far_jitter_ms`, and the score of that, `far_mos`. None while unknown.
    `rejected`: packets that did not pass its keys (SRTP).
    """

    source: Remote | None
    silent_for: float | None
    received: int
    sent: int
    lost: int
    late: int
    duplicate: int
    delay_ms: float
    level_db: float | None
    talking: bool = False
    loudness: float = SILENCE
    noise: float = SILENCE
    gain_db: float = 0.0
    mos: float | None = None
    mos_mean: float | None = None
    loss: float = 0.0
    jitter_ms: float = 0.0
    drift_ppm: float | None = None
    round_trip_ms: float | None = None
    far_loss: float | None = None
    far_lost: int | None = None
    far_jitter_ms: float | None = None
    far_mos: float | None = None
    rejected: int = 0


class Voice(NamedTuple):
    """What is heard of a leg at this moment: whether somebody talks, and how loud, in dBov."""

    talking: bool
    loudness: float


def leg_figures(shared: Shared, leg: int, text: Callable[[int], str]) -> LegStatistics | None:
    """Those of one leg; None where it has no row yet. `text` spells the number of an address."""
    rows = np.flatnonzero(shared.legs["leg"] == leg)
    if not len(rows):
        return None
    figures, far = shared.legs[rows[0]], shared.sources[rows[0]]
    quality = shared.quality[rows[0]]
    reported = not math.isnan(quality["far_loss"])
    pinned, heard, peak = int(far["pinned"]), float(far["heard"]), int(figures["peak"])
    return LegStatistics(
        source=(text(pinned >> 16 & 0xFFFF_FFFF), pinned & 0xFFFF) if pinned else None,
        silent_for=max(time.monotonic() - heard, 0.0) if heard else None,
        received=int(figures["received"]),
        sent=int(figures["sent"]),
        lost=int(figures["lost"]),
        late=int(figures["late"]),
        duplicate=int(figures["duplicate"]),
        delay_ms=int(figures["delay"]) / 8.0,
        level_db=round(20.0 * math.log10(peak / 32768.0), 1) if peak else None,
        talking=bool(figures["talking"]),
        loudness=_dbov(float(figures["level"])),
        noise=_dbov(float(figures["noise"])),
        gain_db=round(20.0 * math.log10(max(float(figures["gain"]), 1e-3)), 1),
        mos=_known(quality["mos"], 2),
        mos_mean=_known(quality["mos_mean"], 2),
        loss=round(float(quality["loss"]), 4),
        jitter_ms=round(1000.0 * float(quality["jitter"]), 2),
        drift_ppm=_known(quality["drift"], 1),
        round_trip_ms=_known(1000.0 * quality["round_trip"], 1),
        far_loss=_known(quality["far_loss"], 4),
        far_lost=int(quality["far_lost"]) if reported else None,
        far_jitter_ms=_known(1000.0 * quality["far_jitter"], 2),
        far_mos=_known(quality["far_mos"], 2),
        rejected=int(quality["rejected"]),
    )


def leg_voices(shared: Shared, legs: Sequence[int]) -> dict[int, Voice]:
    """What is heard of these legs, by id."""
    rows = np.flatnonzero(np.isin(shared.legs["leg"], legs))
    ids, talking, level = (shared.legs[name][rows].tolist() for name in ("leg", "talking", "level"))
    return {
        leg: Voice(bool(talks), _dbov(loud)) for leg, talks, loud in zip(ids, talking, level, strict=True)
    }


def _known(figure: float, digits: int) -> float | None:
    """The figure, rounded; None for NaN."""
    return None if math.isnan(figure) else round(float(figure), digits)


def _dbov(square: float) -> float:
    """Of a mean square, `SILENCE` at least."""
    return max(round(10.0 * math.log10(max(square, 1e-9) / 32768.0**2), 1), SILENCE)
