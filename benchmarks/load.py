"""N calls in rooms of K on a SIP conference server: CPU per leg, packets back, set-up time, who hears whom.

    python -m benchmarks.load                                                  # MixMinus, started here
    python -m benchmarks.load --target 'sip:{room}@127.0.0.1:5060' --pid 4711  # another server

A run is void, and says so, when the generator itself sent more than 1 % of its packets over 2 ms late.
"""

import argparse
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import host, results
from benchmarks.generator import FRAME, PCMU, SUITE, Codec, Generator, Leg
from benchmarks.recordings import WIDE, converted, recordings
from benchmarks.rig import Subject, subject
from benchmarks.tick_codecs import payloads
from mixer.formats import number
from tests.support import g711
from tests.support.tones import level

# 50 Hz apart, below G.711's edge: enough for neighbouring rooms to share no tone.
TONES = tuple(range(400, 3150, 50))
VOID = 0.01
CALLS = 200


def _opus(rate: int) -> Codec:
    """By phones that hear and say nothing above half the rate."""
    narrow = f";maxplaybackrate={rate};sprop-maxcapturerate={rate}"
    lines = ("rtpmap:96 opus/48000/2", f"fmtp:96 useinbandfec=1{narrow}")
    return Codec(96, lines, 960)


CODECS = {
    "PCMU": (PCMU, 8000),
    "L16": (Codec(96, ("rtpmap:96 L16/16000",), 320), 16000),
    "G722": (Codec(9, ("rtpmap:9 G722/8000",)), 16000),
    "OPUS": (_opus(48000), 48000),
    "OPUS8": (_opus(8000), 8000),
    "OPUS16": (_opus(16000), 16000),
}
"""What phones offer, and the rate of their sound."""


def amplitude(room_size: int) -> int:
    return min(4000, 30_000 // room_size)


def tone_frames(frequency: int, loudness: int) -> list[bytes]:
    """One second of a tone in 50 frames."""
    wave = np.rint(loudness * np.sin(2 * np.pi * frequency * np.arange(8000) / 8000)).astype(np.int16)
    encoded = g711.encode("PCMU", wave)
    return [encoded[start : start + 160] for start in range(0, 8000, 160)]


def tone_of(leg: Leg, room_size: int) -> int:
    return TONES[(leg.room * room_size + leg.seat) % len(TONES)]


def heard_tones(leg: Leg, loudness: int) -> set[int]:
    samples = g711.decode("PCMU", b"".join(leg.heard))
    return {tone for tone in TONES if level(samples, tone) > loudness / 2}


def wrong_listeners(legs: list[Leg], room_size: int, sample: int) -> int:
    """How many of the first `sample` legs hear anything but the others of their room, all of them."""
    loudness = amplitude(room_size)
    rooms: dict[int, list[Leg]] = {}
    for leg in legs:
        rooms.setdefault(leg.room, []).append(leg)
    wrong = 0
    for leg in legs[:: max(1, len(legs) // sample)]:
        others = {tone_of(other, room_size) for other in rooms[leg.room] if other is not leg}
        wrong += heard_tones(leg, loudness) != others
    return wrong


def sounds(options: argparse.Namespace) -> tuple[list[bytes], list[bytes]]:
    """The packets of one who talks and of one who does not, in the codec asked for."""
    rate = CODECS[options.codec][1]
    codec = "OPUS" if options.codec.startswith("OPUS") else options.codec
    format = number(codec, rate)
    said = np.concatenate([each.samples for each in recordings(WIDE, recorded=False)])
    noise = np.random.default_rng(1).normal(0, 32768 * 10 ** (-65 / 20), 5 * rate)
    return payloads(format, converted(said, WIDE, rate)), payloads(format, np.rint(noise).astype(np.int16))


def measure(found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    codec = replace(CODECS[options.codec][0], secure=options.srtp)
    generator = Generator(found.target, codec=codec)
    try:
        return _measure(generator, found, options)
    finally:
        generator.close()


def _measure(generator: Generator, found: Subject, options: argparse.Namespace) -> dict[str, Any]:
    size = options.rooms_of
    audible = options.codec == "PCMU" and not options.srtp and not options.talkers
    talk, room_noise = ([], []) if audible else sounds(options)
    for call in range(options.calls):
        room, seat = divmod(call, size)
        leg = generator.add(room, seat, [])
        if audible:
            leg.frames = tone_frames(tone_of(leg, size), amplitude(size))
        else:
            leg.frames = room_noise if options.talkers and call % options.talkers else talk
            leg.sent = leg.number * 7  # no two say the same at a time
    generator.dial(generator.legs, rate=options.rate)
    up = [leg for leg in generator.legs if leg.state == "up"]
    generator.run(lambda: False, seconds=options.settle)

    for leg in up:
        leg.forget()
    sent, late = generator.sent, generator.late
    generator.worst_lateness = 0.0
    counted = found.counters()
    cpu, share, began = found.cpu_seconds(), host.CpuShare(), time.monotonic()
    generator.run(lambda: False, seconds=options.seconds)
    lasted = time.monotonic() - began
    used = {name: value - cpu[name] for name, value in found.cpu_seconds().items()}
    machine = share.since()
    sent, late = generator.sent - sent, generator.late - late
    worst = generator.worst_lateness
    counted = {name: value - counted.get(name, 0.0) for name, value in found.counters().items()}

    # All of the window is read before the sound is judged, which takes long enough to be late itself.
    alive = [leg for leg in up if leg.state == "up"]
    frames = max(1, len(up)) * lasted / FRAME
    late_share = late / max(1, sent)
    setups = sorted((leg.answered_at - leg.invited_at) * 1000 for leg in up)
    figures: dict[str, Any] = {
        "codec": options.codec,
        "srtp": options.srtp,
        "calls": options.calls,
        "rooms_of": size,
        "rate": options.rate,
        "seconds": round(lasted, 2),
        "up": len(up),
        "died": len(up) - len(alive),
        "failures": sorted({leg.failure for leg in generator.legs if leg.failure}),
        "cpu_us_per_leg_frame": {name: round(value / frames * 1e6, 2) for name, value in used.items()},
        "packets_sent": sent,
        "packets_back": sum(leg.received for leg in up),
        "packets_expected": round(lasted / FRAME) * len(up),
        "packets_missing_by_sequence": sum(leg.lost for leg in up),
        "gaps_over_60_ms": sum(leg.gaps for leg in up),
        "longest_gap_ms": round(max((leg.longest_gap for leg in up), default=0.0) * 1000, 1),
        "setup_ms_median": round(statistics.median(setups), 2) if setups else None,
        "setup_ms_p99": round(setups[int(len(setups) * 0.99)], 2) if setups else None,
        "rtp_ports": len({leg.remote for leg in up}),
        "steal": round(machine.steal, 4),
        "idle": round(machine.idle, 4),
        "generator_late_share": round(late_share, 5),
        "generator_worst_late_ms": round(worst * 1000, 1),
        "void": late_share > VOID,
    }
    if beats := counted.get("mixminus_media_beats_total"):
        skipped = counted["mixminus_media_skipped_beats_total"]
        figures["system_calls_per_beat"] = round(counted["mixminus_media_system_calls_total"] / beats, 1)
        figures["packets_per_beat"] = round(
            counted["mixminus_media_packets_sent_total"] / (beats - skipped), 1
        )
        figures["beats_skipped"] = round(skipped)
    checked = alive if audible else []
    figures["listeners_checked"] = len(checked[:: max(1, len(checked) // options.sample)])
    figures["listeners_wrong"] = wrong_listeners(checked, size, options.sample)
    generator.hang_up(generator.legs)
    return figures


def show(figures: dict[str, Any]) -> None:
    cpu = figures["cpu_us_per_leg_frame"]
    parts = ", ".join(f"{name} {value}" for name, value in cpu.items() if name != "all")
    back = figures["packets_back"] / max(1, figures["packets_expected"])
    results.table(
        f"load: {figures['calls']} calls of {figures['codec']}{', SRTP' * figures['srtp']}, "
        f"rooms of {figures['rooms_of']}, {figures['seconds']} s",
        [
            ("calls up", f"{figures['up']}", f"{figures['calls']}"),
            ("CPU us per leg and frame", f"{cpu['all']} ({parts})" if parts else "no pid", "<= 20"),
            ("packets back", f"{figures['packets_back']} ({back:.2%})", f"{figures['packets_expected']}"),
            ("missing by sequence", f"{figures['packets_missing_by_sequence']}", "0"),
            (
                "gaps over 60 ms",
                f"{figures['gaps_over_60_ms']} (longest {figures['longest_gap_ms']} ms)",
                "0",
            ),
            ("INVITE to 200, median", f"{figures['setup_ms_median']} ms", "<= 20 ms"),
            ("INVITE to 200, p99", f"{figures['setup_ms_p99']} ms", ""),
            (
                "listeners hearing wrongly",
                f"{figures['listeners_wrong']} of {figures['listeners_checked']}",
                "0",
            ),
            ("RTP ports of the server", f"{figures['rtp_ports']}", "<= 16"),
            ("system calls a beat", f"{figures.get('system_calls_per_beat', 'not known')}", "<= 60"),
            ("beats skipped", f"{figures.get('beats_skipped', 'not known')}", "0"),
            (
                "sent over 2 ms late",
                f"{figures['generator_late_share']:.2%} (worst {figures['generator_worst_late_ms']} ms)",
                "<= 1 %",
            ),
            ("steal, idle of the host", f"{figures['steal']:.1%}, {figures['idle']:.1%}", ""),
        ],
    )
    for failure in figures["failures"]:
        sys.stdout.write(f"  failed: {failure}\n")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--rooms-of", type=int, default=4, metavar="K")
    parser.add_argument("--rate", type=float, default=50.0, help="INVITEs a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring, after all have settled")
    parser.add_argument(
        "--settle", type=float, default=5.0, help="seconds between the last 200 and measuring"
    )
    parser.add_argument("--sample", type=int, default=50, help="listeners whose sound is checked")
    parser.add_argument("--codec", choices=CODECS, default="PCMU")
    parser.add_argument("--srtp", action="store_true", help=f"offer {SUITE}")
    parser.add_argument(
        "--talkers", type=int, default=0, metavar="N", help="one in N talks, the others send room noise"
    )
    parser.add_argument("--target", help="URI template of another server, {room} in it")
    parser.add_argument("--pid", type=int, help="root process of that server")
    parser.add_argument("--no-pin", action="store_true", help="leave the CPUs to the kernel")
    parser.add_argument("--short", action="store_true", help="under 40 s")
    options = parser.parse_args(argv)
    if options.short:
        options.seconds = min(options.seconds, 10.0)
    return options


def run(argv: list[str] | None = None) -> dict[str, Any]:
    options = arguments(argv)
    with subject(options.target, options.pid, pinned=not options.no_pin) as found:
        figures = measure(found, options)
    results.save(_name(options), figures)
    return figures


def _name(options: argparse.Namespace) -> str:
    """Of the file: each codec, SRTP and size has one of its own."""
    parts = ["load"]
    if options.codec != "PCMU" or options.srtp:
        parts.append(options.codec.lower())
    if options.srtp:
        parts.append("srtp")
    if options.calls != CALLS:
        parts.append(f"{options.calls}")
    return "-".join(parts)


def main(argv: list[str] | None = None) -> int:
    """0; 3 when the run is void."""
    figures = run(argv)
    show(figures)
    return results.verdict(figures["void"], "the generator was late itself")


if __name__ == "__main__":
    sys.exit(main())
