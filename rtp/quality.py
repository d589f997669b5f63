"""How good a leg sounds, by the E-model: R = 93.2 - Id - Ie,eff, and the mean opinion score that it stands
for.

Source: ITU-T G.107 with its default values; Ie and Bpl of G.711 from G.113 Appendix I. The scale is the
narrowband one of G.107, up to 4.4, for wideband codecs too: it tells what a call loses on its way, and not
that it was wider. (On the scale of G.107.1, up to R = 129, G.722 has 116 and G.711 93.2: here both have 93.2,
where this scale ends.) G.113 has no figures on this scale for the others, nor for this concealment; theirs
are measured beside G.711's: `python -m benchmarks.impairment`. All arguments and results are columns.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

BEST: Final = 93.2
EQUIPMENT: Final = {"PCMU": 0.0, "PCMA": 0.0, "L16": 0.0, "G722": 0.0, "OPUS": 3.0}
"""Ie: what a codec takes away without any loss."""

ROBUSTNESS: Final = {"PCMU": 25.1, "PCMA": 25.1, "L16": 25.1, "G722": 21.0, "OPUS": 25.1}
ROBUSTNESS_WITH_FEC: Final = 43.0
"""Bpl: how well it bears loss; 25.1 is G.711's with concealment (4.3 without). Opus with in-band FEC bears
most."""

LOOKAHEAD: Final = {"PCMU": 0.0, "PCMA": 0.0, "L16": 0.0, "G722": 0.0015, "OPUS": 0.0065}
"""Seconds of algorithmic delay beside the packet's own: the filters of G.722, the lookahead of RFC 6716."""

_TELR: Final = 65.0
_NO: Final = -61.18  # dBm0p: the noise that the default values come to
_RLR: Final = 2.0

_Column = NDArray[np.float64]


def delay_impairment(seconds: _Column) -> _Column:
    """Id of a one-way delay: talker echo (Idte, G.107 7.4.1; TELR 65 dB) and the delay itself (Idd,
    7.4.3)."""
    ms = np.maximum(seconds, 0.0) * 1000.0
    heard = _TELR - 40.0 * np.log10((1.0 + ms / 10.0) / (1.0 + ms / 150.0)) + 6.0 * np.exp(-0.3 * ms * ms)
    unlike = -1.5 * (_NO - _RLR) - (80.0 + 2.5 * (heard - 14.0))  # Roe - Re
    echo = (unlike / 2.0 + np.sqrt(unlike * unlike / 4.0 + 100.0) - 1.0) * (1.0 - np.exp(-ms))
    over = np.log2(np.maximum(ms, 100.0) / 100.0)
    late = 25.0 * ((1.0 + over**6) ** (1 / 6) - 3.0 * (1.0 + (over / 3.0) ** 6) ** (1 / 6) + 2.0)
    return np.maximum(echo, 0.0) + late


def loss_impairment(loss: _Column, burst: _Column, equipment: _Column, robustness: _Column) -> _Column:
    """Ie,eff (G.107 7.5): `loss` a share of the packets; `burst` how much longer losses last than at random,
    1 for those at random."""
    percent = 100.0 * loss
    return equipment + (95.0 - equipment) * percent / (percent / burst + robustness)


def opinion(rating: _Column) -> _Column:
    """The mean opinion score of a rating R (G.107 Annex B), 1 to 4.5."""
    within = np.clip(rating, 0.0, 100.0)
    score = 1.0 + 0.035 * within + within * (within - 60.0) * (100.0 - within) * 7e-6
    return np.maximum(score, 1.0)


def burst_ratio(lost: _Column, breaks: _Column, loss: _Column) -> _Column:
    """How long losses last beside what they would at random, at least 1: `lost` packets in so many
    `breaks`."""
    return np.maximum(lost / np.maximum(breaks, 1.0) * (1.0 - loss), 1.0)
