"""How late the beats of the media process begin while 200 legs talk and REST has 300 requests a second.

Three windows of one run: nobody calls; the legs talk; the legs talk and `benchmarks.requests` asks. The
server has one CPU, generator and requests the other. A run is void when the host stole time, when others
worked on the machine, or when the generator was late itself.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks import host, results
from benchmarks.generator import Generator
from benchmarks.load import VOID, amplitude, tone_frames, tone_of
from benchmarks.rig import Subject, subject
from tests.support.server import ACCOUNT, Server

STEAL = 0.02
IDLE = 0.5  # of the machine, while nobody calls: with less, others work on it
ALLOWED_MS = 1.0
BUCKET = 'mixminus_media_lateness_seconds_bucket{le="'


def lateness(server: Server) -> dict[float, float]:
    """Beats below each bound, in seconds."""
    return {
        float(name.removeprefix(BUCKET).removesuffix('"}')): count
        for name, count in server.metrics().items()
        if name.startswith(BUCKET)
    }


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Milliseconds, between the bounds of its bucket by how many of its beats lie below."""
    bounds = sorted(after)
    counts = [after[bound] - before[bound] for bound in bounds]
    wanted = share * counts[-1]
    place = next(i for i, count in enumerate(counts) if count >= wanted)
    low, base = (bounds[place - 1], counts[place - 1]) if place else (0.0, 0.0)
    high = min(bounds[place], 1.0)
    return (low + (high - low) * (wanted - base) / max(1.0, counts[place] - base)) * 1000


def window(server: Server, run: Callable[[], None]) -> dict[str, Any]:
    """The beats' lateness while `run` runs."""
    before, skipped = lateness(server), server.metrics()["mixminus_media_skipped_beats_total"]
    machine = host.CpuShare()
    run()
    share, after = machine.since(), lateness(server)
    return {
        "beats": round(after[float("inf")] - before[float("inf")]),
        "beats_skipped": round(server.metrics()["mixminus_media_skipped_beats_total"] - skipped),
        "lateness_ms_p50": round(quantile(before, after, 0.5), 3),
        "lateness_ms_p99": round(quantile(before, after, 0.99), 3),
        "lateness_ms_max": round(quantile(before, after, 1.0), 3),
        "steal": round(share.steal, 4),
        "idle": round(share.idle, 4),
    }


def measure(found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    server = found.server
    assert server is not None
    generator = Generator(found.target)
    try:
        for number in range(options.calls):
            leg = generator.add(*divmod(number, options.rooms_of), [])
            leg.frames = tone_frames(tone_of(leg, options.rooms_of), amplitude(options.rooms_of))
        wait = partial(generator.run, lambda: False, seconds=options.seconds)
        generator.run(lambda: False, seconds=2)
        idle = window(server, wait)
        generator.dial(generator.legs, rate=50)
        up = [leg for leg in generator.legs if leg.state == "up"]
        generator.run(lambda: False, seconds=options.settle)
        sent, late = generator.sent, generator.late
        talking = window(server, wait)
        asking = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.requests", f"{server.http}/api/v2/accounts/{ACCOUNT}"),
                f"--password={(server.data / 'password').read_text().strip()}",
                *("--rate", str(options.rate), "--seconds", str(options.seconds + 4)),
            ],
            stdout=subprocess.PIPE,
        )
        generator.run(lambda: False, seconds=3)  # it has started and looked around
        cpu = found.cpu_seconds()["control"]
        asked = window(server, wait)
        cpu = found.cpu_seconds()["control"] - cpu
        generator.run(lambda: asking.poll() is not None, seconds=20)
        assert asking.stdout is not None
        requests = json.loads(asking.stdout.read())
        sent, late = generator.sent - sent, generator.late - late
        alive = sum(1 for leg in up if leg.state == "up")
        generator.hang_up(generator.legs)
    finally:
        generator.close()
    more = asked["lateness_ms_p99"] - idle["lateness_ms_p99"]
    windows = {"idle": idle, "talking": talking, "asked": asked}
    return {
        "calls": options.calls,
        "up": len(up),
        "died": len(up) - alive,
        "rate": options.rate,
        "seconds": options.seconds,
        "windows": windows,
        "requests": requests,
        "cpu_ms_per_request": round(cpu / (options.rate * options.seconds) * 1000, 2),
        "p99_above_idle_ms": round(more, 3),
        "generator_late_share": round(late / max(1, sent), 5),
        "void": late / max(1, sent) > VOID
        or any(each["steal"] > STEAL for each in windows.values())
        or idle["idle"] < IDLE,
    }


def show(figures: dict[str, Any]) -> None:
    names = {"idle": "nobody calls", "talking": f"{figures['up']} legs talk", "asked": "and REST is asked"}
    rows = []
    for name, label in names.items():
        found = figures["windows"][name]
        rows.append(
            (
                f"a beat is late, p50, p99: {label}",
                f"{found['lateness_ms_p50']}, {found['lateness_ms_p99']} ms",
                "",
            )
        )
    requests, asked = figures["requests"], figures["windows"]["asked"]
    results.table(
        f"rest: {requests['per_second']} requests a second, {figures['seconds']:g} s",
        [
            *rows,
            ("p99 above that of nobody", f"{figures['p99_above_idle_ms']} ms", f"<= {ALLOWED_MS} ms"),
            ("beats skipped meanwhile", f"{asked['beats_skipped']}", "0"),
            ("answers by status", f"{requests['statuses']}", "200 and 204"),
            ("CPU of control for a request", f"{figures['cpu_ms_per_request']} ms", ""),
            ("answer, median", f"{requests['ms_median']} ms", ""),
            ("answer, p99", f"{requests['ms_p99']} ms", ""),
            ("legs that died", f"{figures['died']}", "0"),
            ("sent over 2 ms late", f"{figures['generator_late_share']:.2%}", "<= 1 %"),
            ("steal, idle of the host", f"{asked['steal']:.1%}, {asked['idle']:.1%}", "steal <= 2 %"),
            ("idle while nobody calls", f"{figures['windows']['idle']['idle']:.1%}", ">= 50 %"),
        ],
    )


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.rest", description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rooms-of", type=int, default=4, metavar="K")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the three windows")
    parser.add_argument(
        "--settle", type=float, default=5.0, help="seconds between the last 200 and measuring"
    )
    parser.add_argument("--no-pin", action="store_true", help="leave the CPUs to the kernel")
    parser.add_argument("--short", action="store_true", help="under a minute")
    options = parser.parse_args(argv)
    if options.short:
        options.seconds = min(options.seconds, 10.0)
    return options


def run(argv: list[str] | None = None) -> dict[str, Any]:
    options = arguments(argv)
    with subject(None, None, pinned=not options.no_pin) as found:
        figures = measure(found, options)
    results.save("rest", figures)
    return figures


def main(argv: list[str] | None = None) -> int:
    """0; 3 when the run is void."""
    figures = run(argv)
    show(figures)
    return results.verdict(figures["void"], "the generator was late, or others had the CPU")


if __name__ == "__main__":
    sys.exit(main())
