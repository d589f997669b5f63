"""All configuration keys as a page: `python -m mixminus.reference > docs/configuration.md`."""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping

from mixminus.config import ARRAYS, TABLES

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
        yield "| key | default | meaning |\n|---|---|---|"
        for field in dataclasses.fields(section):
            written = field.metadata["written"]
            default = "required" if written is dataclasses.MISSING else f"`{json.dumps(written)}`"
            yield f"| `{field.name}` | {default} | {field.metadata['doc']} |"
        yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
