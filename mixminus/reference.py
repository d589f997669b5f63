"""All configuration keys as a page: `python -m mixminus.reference > docs/configuration.md`."""

import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping

from mixminus.config import ARRAYS, TABLES
from mixminus.kinds import Kind

_HEAD = """# Configuration

One TOML file, given by `--config FILE`; whatever is absent has the default shown here, so no file at all is
a working configuration for one machine. Each key is also an environment variable that wins over the file,
its value written as in TOML: `MIXMINUS_SIP__LISTEN='["udp:0.0.0.0:5060"]'`. Relative paths start at the
folder of the file, and `~` is a home. `mixminus check --config FILE` says what is wrong, by line and key;
unknown keys are errors.

This page is made from the settings themselves: `python -m mixminus.reference > docs/configuration.md`.
"""


def page() -> str:
    """The page as Markdown."""
    return "\n".join([_HEAD, *_sections(TABLES, "[{}]"), *_sections(ARRAYS, "[[{}]]")])


def _sections(sections: Mapping[str, type], heading: str) -> Iterator[str]:
    for name, section in sections.items():
        yield f"## `{heading.format(name)}`\n"
        yield f"{(section.__doc__ or '').strip()}\n"
        yield "| key | default | takes | meaning |\n|---|---|---|---|"
        for field in dataclasses.fields(section):
            written = field.metadata["written"]
            default = "required" if written is dataclasses.MISSING else f"`{json.dumps(written)}`"
            takes = _takes(field.metadata["kind"])
            yield f"| `{field.name}` | {default} | {takes} | {field.metadata['doc']} |"
        yield ""


def _takes(kind: Kind) -> str:
    """What a setting takes: the bounds and words of what is said to somebody who gave it something else."""
    said = _expected(kind, None)
    return f"{said}, each {_expected(kind, [None])}" if said == "a list" else said


def _expected(kind: Kind, value: object) -> str:
    try:
        kind(value)
    except ValueError as error:
        return re.split(",? such as | in quotes", str(error).removeprefix("expected "))[0]
    raise AssertionError(f"a kind that takes {value}")


if __name__ == "__main__":
    sys.stdout.write(page())
