"""All benchmarks one after the other: a table of each, JSON in benchmarks/results, one picture.

python -m benchmarks [--short]
"""

import argparse
import importlib
import sys

from benchmarks import chart, results

ALL = ("tick", "analysis", "packets", "load", "calls", "latency", "rest", "recovery")


def main(argv: list[str] | None = None) -> int:
    """0; 3 when a run was void."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="some four minutes in all")
    options = parser.parse_args(argv)
    worst = 0
    for name in ALL:
        module = importlib.import_module(f"benchmarks.{name}")
        worst = max(worst, module.main(["--short"] if options.short else []))
    picture = chart.draw({name: found for name in ALL if (found := results.load(name)) is not None})
    sys.stdout.write(f"\nresults in {results.DIRECTORY}")
    sys.stdout.write(f", drawn in {picture.name}\n" if picture else "\n")
    return worst


if __name__ == "__main__":
    sys.exit(main())
