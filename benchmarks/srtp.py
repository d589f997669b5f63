"""What SRTP costs: a packet alone, and a leg and frame of the engine with keys and without.

    python -m benchmarks.srtp [--short]

"Unprotect" and "protect" are the calls of `rtp.srtp` on slots, 160 bytes of payload each; "refuse" is a
packet that does not pass. "Beat" is one packet in and out of two hundred legs on 8 ports with all the engine
does (`benchmarks.packets`): CPU time of user and kernel, the peers' own not counted.
"""

import argparse
import secrets
import statistics
import sys
import time
from typing import Any, Final

import numpy as np
from pylibsrtp import Policy, Session

from benchmarks import host, results
from benchmarks.packets import LEGS, STEAL, Peers, measure_engine
from media.messages import Srtp
from rtp import mmsg
from rtp import srtp as sealing
from rtp.datagrams import Inbox, Outbox

PORTS: Final = 8
BATCH: Final = 200
SIZE: Final = 172


class SecurePeers(Peers):
    """Peers with keys of their own each."""

    def __init__(self, ports: int, suite: str) -> None:
        super().__init__(ports)
        profile, size = sealing.SUITES[suite]
        self.keys = [Srtp(suite, secrets.token_bytes(size), secrets.token_bytes(size)) for _ in range(LEGS)]
        self._sessions = [
            Session(Policy(keys.receive, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
            for keys in self.keys
            if keys is not None
        ]

    def sealed(self, place: int, packet: bytes) -> bytes:
        return self._sessions[place].protect(packet)


def measure_packets(suite: str, batches: int) -> dict[str, float]:
    """Microseconds of CPU a packet, each of `BATCH` legs' own."""
    profile, size = sealing.SUITES[suite]
    inbox, outbox = Inbox(BATCH), Outbox(BATCH + 1)
    srtp = sealing.Srtp(np.zeros(BATCH + 1, bool), inbox)
    far = []
    for row in range(1, BATCH + 1):
        theirs = secrets.token_bytes(size)
        srtp.set_keys(row, suite, secrets.token_bytes(size), theirs)
        far.append(Session(Policy(theirs, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)))
    rows, places = np.arange(1, BATCH + 1), np.arange(BATCH)
    times: dict[str, list[int]] = {"unprotect": [], "protect": [], "refuse": []}
    for number in range(batches):
        header = (
            b"\x80\x00" + number.to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + b"\x00\x00\x00\x01"
        )
        for place in range(BATCH):
            packet = np.frombuffer(far[place].protect(header + bytes(160)), np.uint8)
            inbox.slots[place, : len(packet)] = packet
            inbox.length[place] = len(packet)
        outbox.slots[1:, :SIZE] = np.frombuffer(header + bytes(160), np.uint8)
        outbox.lengths[1:] = SIZE
        begun = time.process_time_ns()
        passed = srtp.unprotect(rows, places)
        between = time.process_time_ns()
        srtp.protect(outbox, rows)
        ended = time.process_time_ns()
        if not passed.all():
            raise RuntimeError("what should pass did not: the run measured something else")
        inbox.slots[:, 3] += 1  # another number, and thus not what was sealed
        inbox.length[:] += 10
        again = time.process_time_ns()
        passed = srtp.unprotect(rows, places)
        refused = time.process_time_ns()
        if passed.any():
            raise RuntimeError("what should not pass did: the run measured something else")
        times["unprotect"].append(between - begun)
        times["protect"].append(ended - between)
        times["refuse"].append(refused - again)
    return {name: round(statistics.median(spent) / 1000 / BATCH, 2) for name, spent in times.items()}


def measure_beat(suite: str | None, *, repeats: int, beats: int) -> float:
    """The median of `repeats` runs."""
    runs = []
    for _ in range(repeats):
        peers = Peers(PORTS) if suite is None else SecurePeers(PORTS, suite)
        runs.append(measure_engine(peers, beats)[1])
    return round(statistics.median(runs), 2)


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.srtp", description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--beats", type=int, default=200, help="in each repeat")
    parser.add_argument("--short", action="store_true", help="under 20 s")
    options = parser.parse_args(argv)
    if options.short:
        options.repeats, options.beats = min(options.repeats, 2), min(options.beats, 90)
    return options


def main(argv: list[str] | None = None) -> int:
    """0; 1 on a system without recvmmsg; 3 when the run was void."""
    options = arguments(argv)
    if not mmsg.available():
        sys.stdout.write("srtp: this system has no recvmmsg of 64-bit Linux\n")
        return 1
    share = host.CpuShare()
    plain = measure_beat(None, repeats=options.repeats, beats=options.beats)
    suites: dict[str, Any] = {}
    for suite in sealing.SUITES:
        beat = measure_beat(suite, repeats=options.repeats, beats=options.beats)
        suites[suite] = measure_packets(suite, options.beats) | {"beat": beat, "more": round(beat - plain, 2)}
    steal = share.since().steal
    void = steal > STEAL
    figures = {"legs": LEGS, "plain": plain, "suites": suites, "steal": round(steal, 4), "void": void}
    results.save("srtp", figures)
    sys.stdout.write(f"\nSRTP, 160 bytes of payload, {LEGS} legs: CPU in us\n")
    names = ("unprotect", "protect", "refuse", "beat", "more")
    sys.stdout.write("  " + "".ljust(24) + "".join(name.rjust(10) for name in names) + "\n")
    sys.stdout.write("  " + "none".ljust(24) + " " * 30 + f"{plain:10.2f}\n")
    for suite, measured in suites.items():
        cells = "".join(f"{measured[name]:10.2f}" for name in names)
        sys.stdout.write("  " + suite.ljust(24) + cells + "\n")
    sys.stdout.write(f"  stolen by the host: {steal:.1%}\n")
    return results.verdict(void, "the host stole time")


if __name__ == "__main__":
    raise SystemExit(main())
