"""`python -m tests.conformance`: what is wrong with the tables; with `--write`: their page first."""

import sys

from tests.conformance import page, subject


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--write"]):
        sys.stderr.write("usage: python -m tests.conformance [--write]\n")
        return 2
    if arguments:
        (subject.ROOT / page.PAGE).write_text(page.page())
    faults = page.faults()
    sys.stderr.write("".join(f"conformance: {fault}\n" for fault in faults))
    return 1 if faults else 0


sys.exit(main(sys.argv[1:]))
