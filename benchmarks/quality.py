"""What a listener hears of speech that crossed a bad network: PESQ (narrowband) and delay, in virtual time.

    python -m benchmarks.quality [--short] [--seeds N]

G.711 mu-law, packets of 20 ms, from a cold start, no sockets; every recording (`benchmarks.recordings`) with
every seed, which draws losses, delays and the phase of the sender's clock. Beside it the same speech and
silence for the packets that the network lost, none of them late. A score is the mean over recordings and
seeds; the spread is the standard deviation over the seeds. Needs the extra `quality` (PESQ, ITU-T P.862,
whose terms allow evaluation).

"Added": from a packet's arrival to the beat that plays its first sample. "Behind": from when it would have
arrived without jitter. Both in ms, means.
"""

import argparse
import statistics
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.network import Network, silenced, through
from benchmarks.recordings import RATE, Recording, recordings

_LOSSES = (0.01, 0.03, 0.05, 0.10, 0.20)
NETWORKS = {
    "clean": Network(),
    **{f"{loss:.0%} lost": Network(loss=loss) for loss in _LOSSES},
    **{f"{loss:.0%} lost, in bursts": Network(loss=loss, burst=2.5) for loss in _LOSSES},
    "jitter 20 ms": Network(jitter=20),
    "jitter 60 ms": Network(jitter=60),
    "jitter 200 ms": Network(jitter=200),
    "5% lost, jitter 20 ms": Network(loss=0.05, jitter=20),
    "10% lost, jitter 20 ms": Network(loss=0.10, jitter=20),
    "clock +200 ppm": Network(ppm=200),
    "clock -200 ppm": Network(ppm=-200),
}
"""Losses in bursts come two and a half at a time. Jitter is exponential, every packet's its own."""

SHORT = ("clean", "5% lost", "10% lost", "5% lost, jitter 20 ms")

WANTED = {  # PESQ at least, ms added at most
    "clean": (3.9, 30.0),
    "5% lost": (3.0, 30.0),
    "10% lost": (2.5, 30.0),
    "5% lost, jitter 20 ms": (2.85, 110.0),
}
BETTER = 0.5
"""By how much what is heard must be better than silence, where 5 % or 10 % are lost at random."""


def pesq(reference: NDArray[np.int16], heard: NDArray[np.int16]) -> float:
    """MOS-LQO, narrowband (P.862.1)."""
    import pesq as itu  # an extra, for this benchmark alone

    return float(itu.pesq(RATE, reference, heard, "nb"))


def measure(network: Network, spoken: list[Recording], seeds: list[int]) -> dict[str, Any]:
    """One line of the table."""
    scores: list[list[float]] = [[] for _ in seeds]
    silence: list[list[float]] = [[] for _ in seeds]
    added, behind, late = [], [], []
    for number, recording in enumerate(spoken):
        speech = np.repeat(recording.samples[None], len(seeds), axis=0)
        heard = through(network, speech, np.array(seeds) + 1000 * number)
        without = silenced(speech, heard.lost)
        added.append(heard.waited)
        behind.append(heard.delay)
        late.append(heard.late)
        for index in range(len(seeds)):
            scores[index].append(pesq(recording.samples, heard.samples[index]))
            silence[index].append(pesq(recording.samples, without[index]))
    means = [statistics.mean(each) for each in scores]
    return {
        "pesq": round(statistics.mean(means), 3),
        "spread": round(statistics.pstdev(means), 3),
        "silence": round(statistics.mean(statistics.mean(each) for each in silence), 3),
        "added_ms": round(statistics.mean(added), 1),
        "behind_ms": round(statistics.mean(behind), 1),
        "late": round(statistics.mean(late), 4),
    }


def main(argv: list[str] | None = None) -> int:
    """0; 2 where PESQ is not installed."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="the networks with a bar only, two seeds")
    options = parser.parse_args(argv)
    try:
        import pesq as _  # noqa: F401
    except ImportError:
        sys.stdout.write("\nquality: not measured, the extra `quality` (pesq) is not installed\n")
        return 2
    spoken = recordings()
    seeds = list(range(2 if options.short else options.seeds))
    names = SHORT if options.short else tuple(NETWORKS)
    lines = {name: measure(NETWORKS[name], spoken, seeds) for name in names}
    results.save(
        "quality",
        {"speech": [recording.name for recording in spoken], "seeds": len(seeds), "networks": lines},
    )
    results.table(
        f"PESQ of {len(spoken)} recordings, {len(seeds)} seeds: heard (spread), silence; added, behind in ms",
        [
            (
                name,
                f"{line['pesq']:.2f} ({line['spread']:.2f})  {line['silence']:.2f}"
                f"  {line['added_ms']:5.1f}  {line['behind_ms']:5.1f}",
                _wanted(name),
            )
            for name, line in lines.items()
        ],
    )
    return 0


def _wanted(name: str) -> str:
    if name not in WANTED:
        return ""
    score, delay = WANTED[name]
    better = f", silence + {BETTER}" if name in ("5% lost", "10% lost") else ""
    return f">= {score}{better}, <= {delay:.0f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
