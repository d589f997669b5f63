"""What a listener hears of speech that crossed a bad network: PESQ and delay, in virtual time.

    python -m benchmarks.quality [--short] [--seeds N] [--jobs N]
    python -m benchmarks.quality --heard --codecs G722/16 [--networks "5% lost"]   # only these lines anew
    python -m benchmarks.quality --ceiling 400 --networks "jitter 200 ms"   # with another `delay_ceiling`

Every codec, packets of 20 ms, from a cold start, no sockets. A seed draws losses, delays and the phase of the
sender's clock; each line is a mean of ten. G.711 mu-law: every recording at 8 kHz (`benchmarks.recordings`).
The other codecs: three recordings, of 8 kHz where that is their rate, else of 16. Opus is sent with in-band
FEC, as a server of ours encodes it.

Beside what is heard: silence for the packets that the network lost (`silence`), and for Opus libopus alone,
with FEC and its own concealment (`libopus`); in both none is late. A score is a mean over recordings and
seeds; the spread is the standard deviation over the seeds. Narrowband is P.862.1; wideband, for the codecs
that have it, P.862.2 at 16 kHz. Needs the extra `quality` (PESQ, ITU-T P.862, whose terms allow evaluation).

"Added": from a packet's arrival to the beat that plays its first sample. "Behind": from when it would have
arrived without jitter. Both in ms, means.
"""

import argparse
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.coders import Codec
from benchmarks.network import Heard, Network, through
from benchmarks.recordings import NARROW, WIDE, Recording, converted, recordings
from mixer.jitter import CEILING

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

MEASURED = Codec("PCMU", NARROW)
"""The codec of the bars."""

OTHERS = (
    Codec("PCMA", NARROW),
    Codec("L16", WIDE),
    Codec("G722", WIDE),
    Codec("OPUS", NARROW),
    Codec("OPUS", WIDE),
    Codec("OPUS", 48_000),
)

SHORT = ("clean", "5% lost", "10% lost", "5% lost, jitter 20 ms")

WANTED = {  # PESQ at least, ms added at most
    "clean": (3.9, 30.0),
    "5% lost": (3.0, 30.0),
    "10% lost": (2.5, 30.0),
    "5% lost, jitter 20 ms": (2.85, 110.0),
}
BETTER = 0.5
"""By how much what is heard must be better than silence, where 5 % or 10 % are lost at random."""

_KEY = """\
In a cell: what is heard, mean and spread (standard deviation) of ten seeds; where packets are lost silence
instead; for Opus libopus alone, with FEC and its own concealment, every packet that is not lost in time.
PCMU: nine recordings, the others three. At 1 % and more lost Opus legs wait for one packet more. The delays
are those of the codecs in their order.
"""

_SOME = 3  # recordings for the other codecs


def pesq(reference: NDArray[np.int16], heard: NDArray[np.int16], rate: int) -> float:
    """MOS-LQO, narrowband at 8 kHz (P.862.1), wideband at 16 (P.862.2)."""
    import pesq as itu  # an extra, for this benchmark alone

    return float(itu.pesq(rate, reference, heard, "wb" if rate == WIDE else "nb"))


class Scores:
    """Of one kind of listening: (seed, recording) by band."""

    def __init__(self) -> None:
        self._of: dict[int, dict[int, list[float]]] = {NARROW: {}, WIDE: {}}

    def add(self, seed: int, recording: Recording, heard: NDArray[np.int16], codec: Codec) -> None:
        """Compare what was heard, at the codec's rate, with what was said."""
        at = WIDE if codec.rate > NARROW else NARROW
        for rate in {NARROW, at}:
            said = converted(recording.samples, at, rate)
            score = pesq(said, converted(heard, codec.rate, rate), rate)
            self._of[rate].setdefault(seed, []).append(score)

    def mean(self, rate: int) -> float | None:
        """None where there is none."""
        means = self._means(rate)
        return round(statistics.mean(means), 3) if means else None

    def spread(self, rate: int) -> float | None:
        """The standard deviation over the seeds."""
        means = self._means(rate)
        return round(statistics.pstdev(means), 3) if means else None

    def _means(self, rate: int) -> list[float]:
        return [statistics.mean(each) for each in self._of[rate].values()]


def measure(
    network: Network,
    codec: Codec,
    spoken: list[Recording],
    seeds: list[int],
    *,
    others: bool = True,
    ceiling: int = CEILING,
) -> dict[str, Any]:
    """One line of the table; without `others` only what is heard, and not silence and libopus beside it."""
    heard, silence, libopus = Scores(), Scores(), Scores()
    streams: list[Heard] = []
    for number, recording in enumerate(spoken):
        said = recording.samples
        at = WIDE if codec.rate > NARROW else NARROW
        packets = codec.packets(converted(said, at, codec.rate))
        stream = through(network, codec, packets, np.array(seeds) + 1000 * number, ceiling=ceiling)
        streams.append(stream)
        for index, seed in enumerate(seeds):
            lost = stream.lost[index]
            heard.add(seed, recording, stream.samples[index], codec)
            if not others or (index and not network.loss):
                continue  # where nothing is lost these hear the same of every seed
            silence.add(seed, recording, codec.heard(packets, lost), codec)
            alone = codec.concealed(packets, lost)
            if alone is not None:
                libopus.add(seed, recording, alone, codec)
    line = {
        "silence": silence.mean(NARROW),
        "silence_wide": silence.mean(WIDE),
        "libopus": libopus.mean(NARROW),
        "libopus_wide": libopus.mean(WIDE),
    }
    return (line if others else {}) | {
        "pesq": heard.mean(NARROW),
        "spread": heard.spread(NARROW),
        "wide": heard.mean(WIDE),
        "wide_spread": heard.spread(WIDE),
        "added_ms": round(statistics.mean(stream.waited for stream in streams), 1),
        "behind_ms": round(statistics.mean(stream.delay for stream in streams), 1),
        "late": round(statistics.mean(stream.late for stream in streams), 4),
    }


def main(argv: list[str] | None = None) -> int:
    """0; 2 where PESQ is not installed."""
    parser = argparse.ArgumentParser(prog="benchmarks.quality", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--short", action="store_true", help="the networks with a bar only, two seeds")
    parser.add_argument("--jobs", type=int, default=1, help="lines that are measured at a time")
    only = "only these, put into what was saved last"
    parser.add_argument("--codecs", nargs="+", choices=[str(each) for each in (MEASURED, *OTHERS)], help=only)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), metavar="NETWORK", help=only)
    parser.add_argument(
        "--heard", action="store_true", help="for silence and libopus take what was saved last"
    )
    ceiling = "ms of delay at most (`delay_ceiling`); only told, and not saved"
    parser.add_argument("--ceiling", type=int, choices=range(20, 501), metavar="MS", help=ceiling)
    options = parser.parse_args(argv)
    try:
        import pesq as _  # noqa: F401
    except ImportError:
        sys.stdout.write("\nquality: not measured, the extra `quality` (pesq) is not installed\n")
        return 2
    names = options.networks or (SHORT if options.short else tuple(NETWORKS))
    codecs = [each for each in (MEASURED, *OTHERS) if not options.codecs or str(each) in options.codecs]
    seeds = list(range(2 if options.short else options.seeds))
    part = bool(options.networks or options.codecs or options.heard)
    saved = results.load("quality") if part else None
    if part and not options.ceiling and (saved is None or saved["seeds"] != len(seeds)):
        parser.error(f"nothing was saved yet of {len(seeds)} seeds")
    lines: dict[str, dict[str, Any]] = {} if saved is None else saved["networks"]
    with ProcessPoolExecutor(options.jobs) as pool:
        waiting = {
            (codec, name): pool.submit(
                _line, codec, name, seeds, not options.heard, 8 * (options.ceiling or CEILING // 8)
            )
            for codec in codecs
            for name in names
        }
        for codec in codecs:
            for name in names:
                line = f"{codec} {name}"
                lines[line] = lines.get(line, {}) | waiting[codec, name].result()
                if part and not options.ceiling:
                    _save(lines, seeds)
            _tell(codec, {name: lines[f"{codec} {name}"] for name in names})
    if not options.ceiling:
        _save(lines, seeds)
    return 0


def _save(lines: dict[str, dict[str, Any]], seeds: list[int]) -> None:
    speech = {str(rate): [each.name for each in recordings(rate)] for rate in (NARROW, WIDE)}
    results.save("quality", {"speech": speech, "seeds": len(seeds), "networks": lines})


def _line(codec: Codec, name: str, seeds: list[int], others: bool, ceiling: int) -> dict[str, Any]:
    spoken = recordings(WIDE if codec.rate > NARROW else NARROW)
    some = spoken if codec == MEASURED else spoken[:_SOME]
    return measure(NETWORKS[name], codec, some, seeds, others=others, ceiling=ceiling)


_NARROWBAND = (MEASURED, OTHERS[0], Codec("OPUS", NARROW))
_WIDEBAND = tuple(codec for codec in OTHERS if codec.rate > NARROW)


def tables(lines: dict[str, dict[str, Any]]) -> str:
    """Three tables in Markdown: codecs of 8 kHz, the others by wideband PESQ, those by narrowband PESQ."""
    narrow, wide = (
        ("pesq", "spread", "silence", "libopus"),
        ("wide", "wide_spread", "silence_wide", "libopus_wide"),
    )
    return "\n".join(
        [
            _KEY,
            "Codecs of 8 kHz, PESQ narrowband:\n\n" + _table(lines, _NARROWBAND, narrow),
            "Codecs of 16 and 48 kHz, PESQ wideband:\n\n" + _table(lines, _WIDEBAND, wide),
            "The same, PESQ narrowband:\n\n" + _table(lines, _WIDEBAND, narrow),
        ]
    )


def _table(
    lines: dict[str, dict[str, Any]], codecs: tuple[Codec, ...], keys: tuple[str, str, str, str]
) -> str:
    """A cell: heard ± spread, silence, libopus; behind the codecs what each adds, ms."""
    score, spread, silence, libopus = keys
    head = "| network | " + " | ".join(f"{codec}" for codec in codecs) + " | added, ms |\n"
    table = head + "|---" * (len(codecs) + 2) + "|\n"
    for name, network in NETWORKS.items():
        cells, added = [], []
        for codec in codecs:
            line = lines[f"{codec} {name}"]
            cell = f"**{line[score]:.2f}** ±{line[spread]:.2f}"
            if network.loss:
                cell += f", {line[silence]:.2f}"
            if network.loss and line[libopus] is not None:
                cell += f", {line[libopus]:.2f}"
            cells.append(cell)
            added.append(f"{line['added_ms']:.0f}")
        table += f"| {name} | " + " | ".join([*cells, ", ".join(added)]) + " |\n"
    return table


def _tell(codec: Codec, lines: dict[str, dict[str, Any]]) -> None:
    results.table(
        f"{codec}, PESQ narrow / wide: heard (spread), silence, libopus; added, behind in ms",
        [
            (
                name,
                f"{_both(line, 'pesq', 'wide')} ({line['spread']:.2f})"
                f"  {_both(line, 'silence', 'silence_wide')}  {_both(line, 'libopus', 'libopus_wide')}"
                f"  {line['added_ms']:5.1f}  {line['behind_ms']:5.1f}",
                _wanted(name) if codec == MEASURED else "",
            )
            for name, line in lines.items()
        ],
    )


def _both(line: dict[str, Any], narrow: str, wide: str) -> str:
    return " / ".join("   -" if line[key] is None else f"{line[key]:.2f}" for key in (narrow, wide))


def _wanted(name: str) -> str:
    if name not in WANTED:
        return ""
    score, delay = WANTED[name]
    better = f", silence + {BETTER}" if name in ("5% lost", "10% lost") else ""
    return f">= {score}{better}, <= {delay:.0f} ms"


if __name__ == "__main__":
    raise SystemExit(main())
