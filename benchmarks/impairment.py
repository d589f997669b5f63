"""What a codec costs by the E-model: Ie and Bpl (`rtp.quality`), as `benchmarks.quality` has measured it.

    python -m benchmarks.impairment

After the manner of ITU-T P.834, with PESQ narrowband for the ear and G.711, whose figures G.113 has, for the
only reference: a codec takes away as much as that loss of G.711's packets does by which its score would be
the same.
"""

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks import results
from rtp.quality import EQUIPMENT, ROBUSTNESS, ROBUSTNESS_WITH_FEC

REFERENCE = "PCMU/8"
LOSSES = (1, 3, 5, 10, 20)
CODECS = {"L16/16": "L16", "G722/16": "G722", "OPUS/16": "OPUS", "OPUS/48": "OPUS"}


def scores(networks: Mapping[str, Any], codec: str) -> list[float]:
    """PESQ narrowband of a codec without loss and at each of `LOSSES`."""
    names = (f"{codec} clean", *(f"{codec} {loss}% lost" for loss in LOSSES))
    return [float(networks[name]["pesq"]) for name in names]


def impairment(networks: Mapping[str, Any], codec: str) -> tuple[float, float]:
    """(Ie, Bpl) of a codec; Bpl is the median of those that each loss gives."""
    reference, own = scores(networks, REFERENCE), scores(networks, codec)
    cost = np.array([reference[0] - score for score in reference])
    robustness = ROBUSTNESS["PCMU"]

    def alike(taken: float) -> float:
        return float(np.interp(taken, cost, (0, *LOSSES)))

    still = alike(max(0.0, reference[0] - own[0]))
    equipment = 95.0 * still / (still + robustness)
    found = [robustness * loss / alike(own[0] - score) for loss, score in zip(LOSSES, own[1:], strict=True)]
    return equipment, float(np.median(found))


def taken(codec: str) -> str:
    """The Ie and Bpl that `rtp.quality` has for a codec; with FEC where it has that."""
    bears = ROBUSTNESS_WITH_FEC if codec == "OPUS" else ROBUSTNESS[codec]
    return f"{EQUIPMENT[codec]:g}, {bears:g}"


def main() -> int:
    """0; 1 where quality has not been measured."""
    measured = results.load("quality")
    if measured is None:
        sys.stderr.write("there are no figures yet: python -m benchmarks.quality\n")
        return 1
    rows = []
    for name, codec in CODECS.items():
        equipment, robustness = impairment(measured["networks"], name)
        rows.append((f"{name}: Ie, Bpl", f"{equipment:.1f}, {robustness:.0f}", taken(codec)))
    results.table("impairment by the E-model (right: taken for it)", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
