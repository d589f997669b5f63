"""docs/performance.md with the figures that were saved last.

    python -m benchmarks.page

What stands there between `<!-- NAME -->` and `<!-- end -->` is made from benchmarks/results.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import quality, results
from benchmarks.impairment import CODECS, impairment, taken

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"

Figures = dict[str, Any]
Load = Callable[[str], Figures | None]


def machine(load: Load) -> str:
    found = _of(load, "load")
    host, python = found["host"], found["python"].rpartition(".")[0]
    kernel = ".".join(host["kernel"].split(".")[:2])
    return f"{host['cpus']} shared cores ({host['cpu']}), Linux {kernel}, Python {python}."


def load_(load: Load) -> str:
    runs = [found for name in ("load", "load-600") if (found := load(name)) is not None]
    rows: list[tuple[str, Callable[[Figures], str]]] = [
        ("CPU µs per leg and frame, whole server", lambda run: f"{run['cpu_us_per_leg_frame']['all']:.1f}"),
        (
            "of which control and speech",
            lambda run: f"{sum(run['cpu_us_per_leg_frame'][name] for name in ('control', 'speech')):.1f}",
        ),
        (
            "INVITE to 200 at 50 calls a second, median / p99",
            lambda run: f"{run['setup_ms_median']:.1f} / {run['setup_ms_p99']:.1f} ms",
        ),
        (
            "packets back, missing among them",
            lambda run: f"{run['packets_back']:,}, {run['packets_missing_by_sequence']}",
        ),
        (
            "gaps over 60 ms (the longest)",
            lambda run: f"{run['gaps_over_60_ms']} ({run['longest_gap_ms']:.0f} ms)",
        ),
        ("beats skipped", lambda run: f"{run['beats_skipped']}"),
        ("RTP ports in use", lambda run: f"{run['rtp_ports']}"),
        ("system calls a beat", lambda run: f"{run['system_calls_per_beat']:.0f}"),
        (
            "listeners hearing wrongly",
            lambda run: f"{run['listeners_wrong']} of {run['listeners_checked']}",
        ),
    ]
    head = ["", *(f"{run['calls']} calls" for run in runs)]
    return table(head, [[name, *(cell(run) for run in runs)] for name, cell in rows]) + _stamp(*runs)


def calls(load: Load) -> str:
    found = _of(load, "calls")
    memory, flat = found["memory"], found["flatness"]
    shown = [memory[0], *(each for each in memory if each["seconds"] == flat["full_after"]), memory[-1]]
    after = ", ".join(f"{each['seconds']:.0f}" for each in shown)
    sizes = ", ".join(f"{each['megabytes']['control']:.0f}" for each in shown)
    setup = " / ".join(f"{found[f'setup_ms_{name}']:.1f}" for name in ("p50", "p95", "p99", "max"))
    rows = [
        ["calls, of these failed", f"{found['calls']:,}, {sum(found['failures'].values())}"],
        ["INVITE to 200, median / p95 / p99 / worst", f"{setup} ms"],
        [
            "CPU of control per call",
            f"{found['cpu_ms_per_call']['control']:.1f} ms ({found['cpu_share']['control']:.0%} of a core)",
        ],
        ["CPU of media", f"{found['cpu_share']['media']:.0%} of a core"],
        [f"MB of control after {after} s", sizes],
    ]
    if flat["growth"]:
        rows.append(
            [
                f"MB that control grew from {flat['since']:.0f} s on, its history full",
                f"{flat['growth']['control']:.1f}",
            ]
        )
    rows += [
        [
            "listeners hearing wrongly in their last half second",
            f"{found['heard_wrongly']} of {found['talked']:,}",
        ],
        ["beats skipped", f"{found['beats_skipped']} of {found['seconds'] * 50:,.0f}"],
    ]
    return table(["", f"{found['rate']:g} a second, {found['seconds']:.0f} s"], rows) + _stamp(found)


def recovery(load: Load) -> str:
    found = load("recovery")
    if found is None:
        return "Not measured yet."
    rows = [
        [
            "until the next call hears something, median / worst",
            f"{found['seconds_median']} / {found['seconds_worst']} s",
        ],
        ["calls whose end was not told", f"{found['calls_not_told']}"],
    ]
    return table(["", f"{found['times']} times under {found['calls']} calls"], rows) + _stamp(found)


def latency(load: Load) -> str:
    found = _of(load, "latency")
    rows = [
        ["median", f"{found['delay_ms_median']:.1f} ms"],
        ["5 % to 95 %", f"{found['delay_ms_p5']:.0f} to {found['delay_ms_p95']:.0f} ms"],
        ["worst", f"{found['delay_ms_max']:.0f} ms"],
    ]
    return table(["", f"{found['clicks_back']} clicks"], rows) + _stamp(found)


def rest(load: Load) -> str:
    found = _of(load, "rest")
    named = {
        "idle": "nobody calls",
        "talking": f"{found['up']} legs talk",
        "asked": f"and {found['rate']:.0f} requests a second",
    }
    windows = [found["windows"][name] for name in named]
    rows = [
        ["a beat begins late, median, ms", *(f"{each['lateness_ms_p50']:.2f}" for each in windows)],
        ["p99", *(f"{each['lateness_ms_p99']:.2f}" for each in windows)],
        ["worst", *(f"{each['lateness_ms_max']:.1f}" for each in windows)],
        ["beats skipped", *(f"{each['beats_skipped']}" for each in windows)],
    ]
    requests = found["requests"]
    statuses = " or ".join(sorted(requests["statuses"]))
    told = (
        f"\n{requests['requests']:,} requests, all answered with {statuses}: "
        f"{requests['ms_median']} ms to the median answer, {requests['ms_p99']} ms at p99, "
        f"{found['cpu_ms_per_request']} ms of control's CPU each.\n"
    )
    return table(["", *named.values()], rows) + told + _stamp(found)


def tick(load: Load) -> str:
    found = _of(load, "tick")
    head = ["legs", *(f"{size['legs']}" for size in found["sizes"])]
    cells = ["µs of CPU per leg and frame", *(f"{size['us_per_leg_frame']:.1f}" for size in found["sizes"])]
    return table(head, [cells]) + _stamp(found)


def tick_codecs(load: Load) -> str:
    found = _of(load, "tick_codecs")
    servers = {
        ("PCMU", 8000): load("load"),
        ("L16", 16000): load("load-l16"),
        ("G722", 16000): load("load-g722"),
        ("OPUS", 8000): load("load-opus8"),
        ("OPUS", 16000): load("load-opus16"),
        ("OPUS", 48000): load("load-opus"),
    }
    rows = []
    for case in found["cases"]:
        codec, rate, encoded = case["codec"], case["rate"], case["encoded_per_leg_frame"]
        name = f"{codec}, {rate // 1000} kHz" + (" (in the server all talk)" if codec == "PCMU" else "")
        mixer = [f"{case['us_per_leg_frame']:.1f}", f"{encoded:.2f}" if encoded else ""]
        rows.append([name, *mixer, *_server(servers.get((codec, rate)))])
        if codec == "PCMU":
            rows.append([f"{codec} with SRTP (AES-CM, 80 bit)", *mixer, *_server(load("load-pcmu-srtp"))])
    head = ["", "mixer", "encoded per leg", "server", "legs at 70 %"]
    return table(head, rows) + _stamp(found, *(run for run in servers.values() if run is not None))


def analysis(load: Load) -> str:
    found = _of(load, "analysis")
    cost = found["us_per_leg_frame"]
    parts = [cost["talk"], cost["keys"], cost["gate, hearing"] + cost["gate, shutting"], cost["gain"]]
    return (
        table(
            ["", "who talks", "keys as tones", "gate", "gain control"],
            [["µs of CPU per leg and frame", *(f"{part:.2f}" for part in parts)]],
        )
        + "\n"
        + table(
            ["keys", "strings of eight heard as pressed"],
            [[name, f"{share:.1%}"] for name, share in found["strings_heard"].items()],
        )
        + f"\nKeys imagined in {found['speech_hours']:.1f} h of recorded speech: {found['keys_imagined']}.\n"
        + _stamp(found)
    )


def packets(load: Load) -> str:
    found = _of(load, "packets")
    ways = ("kernel", "batched", "plain", "path", "beat")
    rows = [[f"{size['ports']}", *(f"{size[way]:.1f}" for way in ways)] for size in found["sizes"]]
    head = ["ports", "kernel alone", "our sockets", "without batching", "path", "whole beat"]
    return table(head, rows) + _stamp(found)


def srtp(load: Load) -> str:
    found = _of(load, "srtp")
    parts = ("unprotect", "protect", "refuse", "more")
    rows = [[suite, *(f"{cost[part]:.1f}" for part in parts)] for suite, cost in found["suites"].items()]
    told = f"\nA leg and frame without keys, in the same run: {found['plain']:.1f}.\n"
    return table(["suite", "unprotect", "protect", "refused", "more"], rows) + told + _stamp(found)


def codecs(load: Load) -> str:
    found = _of(load, "codecs")
    verbs = ("encode", "decode", "recover", "conceal", "copy")
    rows = []
    for name, cost in found["lines"].items():
        title, _, sound = name.rpartition(", ")
        if sound == "speech":
            rows.append([title, *(f"{cost[verb]:.0f}" if verb in cost else "" for verb in verbs)])
    return table(["", "encode", "decode", "recover by FEC", "conceal", "copy an encoder"], rows) + _stamp(
        found
    )


def heard(load: Load) -> str:
    found = _of(load, "quality")
    return quality.tables(found["networks"]) + _stamp(found)


def impairments(load: Load) -> str:
    networks = _of(load, "quality")["networks"]
    rows = []
    for name, codec in CODECS.items():
        equipment, robustness = impairment(networks, name)
        rows.append([name, f"{equipment:.1f}", f"{robustness:.0f}", taken(codec)])
    return table(["", "Ie measured", "Bpl measured", "taken"], rows)


def peer(load: Load) -> str:
    found = _of(load, "peer")
    rows = [
        [who, *(f"{each[who]:.2f}" for each in found["networks"].values())] for who in ("baresip", "ours")
    ]
    return table(["", *found["networks"]], rows) + _stamp(found)


BLOCKS: dict[str, Callable[[Load], str]] = {
    "machine": machine,
    "load": load_,
    "calls": calls,
    "recovery": recovery,
    "latency": latency,
    "rest": rest,
    "tick": tick,
    "tick_codecs": tick_codecs,
    "analysis": analysis,
    "packets": packets,
    "srtp": srtp,
    "codecs": codecs,
    "quality": heard,
    "impairment": impairments,
    "peer": peer,
}


def filled(page: str, load: Load = results.load) -> str:
    """The page with all of its blocks made anew from what `load` has of each benchmark, None for one that has
    not run. KeyError for a block that nothing makes, AssertionError where figures are missing."""
    return re.sub(
        r"<!-- (\w+) -->\n.*?<!-- end -->",
        lambda block: f"<!-- {block[1]} -->\n\n{BLOCKS[block[1]](load).strip()}\n\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    first, *others = (f"| {' | '.join(cells)} |\n" for cells in [head, *rows])
    return first + "|---" * len(head) + "|\n" + "".join(others)


def _of(load: Load, name: str) -> Figures:
    found = load(name)
    assert found is not None, f"there are no figures yet: python -m benchmarks.{name}"
    return found


def _server(run: Figures | None) -> list[str]:
    """CPU of the whole server per leg and frame, and how many such legs are 70 % of a core."""
    if run is None:
        return ["", ""]
    cost = run["cpu_us_per_leg_frame"]["all"]
    return [f"{cost:.1f}", f"{0.7 * 20_000 / cost:.0f}"]


def _stamp(*runs: Figures) -> str:
    """When this was measured, and what is known of the machine then."""
    days = sorted({datetime.fromisoformat(run["at"]).date().isoformat() for run in runs})
    told = f"\nMeasured {' and '.join(days)}"
    steal = [run["steal"] for run in runs if "steal" in run]
    if steal:
        told += f"; stolen by the host: {max(steal):.1%}"
    if any(run.get("void") for run in runs):
        told += "; the run is void"
    return told + ".\n"


def main() -> int:
    PAGE.write_text(filled(PAGE.read_text()))
    sys.stdout.write(f"{PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
