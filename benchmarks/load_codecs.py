"""The whole server in every codec, one run of `benchmarks.load` after another: CPU time per leg and frame.

    python -m benchmarks.load_codecs [--seconds 30] [--short]

In G.711 all talk, in all other codecs one leg in ten, so that gates shut; they have learnt their noise before
anything is measured. Beside it, how many legs of the codec fill 70 % of a core.
"""

import argparse
import sys

from benchmarks import load, results
from benchmarks.tick_codecs import BEAT, FULL, TALKERS

_TALKERS = ("--talkers", f"{TALKERS}", "--settle", "8")
CASES = {
    "PCMU": ("--codec", "PCMU"),
    "PCMU with SRTP": ("--codec", "PCMU", "--srtp"),
    "L16 at 16 kHz": ("--codec", "L16", *_TALKERS),
    "G.722": ("--codec", "G722", *_TALKERS),
    "Opus at 8 kHz": ("--codec", "OPUS8", *_TALKERS),
    "Opus at 16 kHz": ("--codec", "OPUS16", *_TALKERS),
    "Opus at 48 kHz": ("--codec", "OPUS", *_TALKERS),
}


def main(argv: list[str] | None = None) -> int:
    """0; 3 when a run was void."""
    parser = argparse.ArgumentParser(prog="benchmarks.load_codecs", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring, each codec")
    parser.add_argument("--short", action="store_true", help="some four minutes")
    options = parser.parse_args(argv)
    seconds = min(options.seconds, 10.0) if options.short else options.seconds
    rows, late = [], []
    for name, case in CASES.items():
        figures = load.run([*case, "--seconds", f"{seconds}"])
        load.show(figures)
        cost = figures["cpu_us_per_leg_frame"]["all"]
        skipped = f", {figures['beats_skipped']} beats skipped" * (figures["beats_skipped"] > 0)
        rows.append((name + skipped, f"{cost:.1f}", f"{int(FULL * BEAT / cost)} legs at 70 %"))
        if figures["void"]:
            late.append(name)
    results.table("the whole server, rooms of 4: us of CPU per leg and frame", rows)
    return results.verdict(bool(late), f"the generator was late itself in {', '.join(late)}")


if __name__ == "__main__":
    sys.exit(main())
