"""What another phone's listener hears of the same speech on the same networks: baresip, over real sockets.

    python -m benchmarks.peer

Beside `benchmarks.quality`, whose losses and delays are replayed: G.711 mu-law, sent in real time to a
baresip that writes what it decoded and concealed (its `plc` module is loaded, its jitter buffer as it comes).
PESQ narrowband, three recordings, one seed each. Its delay is not measured. A busy machine makes packets
later than they ought to be, for baresip alone.
"""

import asyncio
import statistics
import struct
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from benchmarks.network import fate, through
from benchmarks.quality import MEASURED, NETWORKS, pesq
from benchmarks.recordings import NARROW, Recording, recordings
from mixer import FRAME
from tests.support.baresip import Baresip
from tests.support.studio import Studio

NAMES = ("clean", "5% lost", "10% lost", "5% lost, in bursts", "5% lost, jitter 20 ms", "jitter 60 ms")
_RECORDINGS = 3
_AT_ONCE = 3
_CONFIG = "module plc.so\n"  # behind sndfile.so: filters of what is heard run last to first


async def heard(recording: Recording, name: str, seed: int) -> NDArray[np.int16]:
    """What baresip decodes of a recording that comes through a network, from the first sound on."""
    network = NETWORKS[name]
    packets = MEASURED.packets(recording.samples)
    lost, extra, phase = fate(network, np.random.default_rng(seed), len(packets))
    due = (phase + np.arange(len(packets)) * FRAME + extra) / NARROW
    async with Studio() as studio:
        bob = await studio.phone("bob")
        phone = Baresip("listener", frequency=440)
        config = phone.folder / "config"
        config.write_text(config.read_text() + _CONFIG)
        async with phone:
            await phone.dial(bob.uri)
            call = await bob.incoming()
            line = call.line
            line.sending = False
            sequence, timestamp = line.sequence, line.timestamp
            assert line.remote is not None
            begun = time.monotonic() + 0.1
            for number in np.argsort(due, kind="stable").tolist():
                if lost[number]:
                    continue
                await asyncio.sleep(max(0.0, begun + due[number] - time.monotonic()))
                header = struct.pack(
                    "!BBHII",
                    0x80,
                    0,
                    (sequence + number) & 0xFFFF,
                    (timestamp + number * FRAME) & 0xFFFF_FFFF,
                    line.ssrc,
                )
                call.socket.send(header + packets[number], line.remote)
            await asyncio.sleep(0.5)
            await phone.hang_up()
            played = phone.heard()
    first = int(np.flatnonzero(np.abs(played) > 100)[0])
    lead = int(np.flatnonzero(np.abs(recording.samples) > 100)[0])
    return played[max(0, first - lead) :]


async def measure() -> dict[str, dict[str, float]]:
    """PESQ by network, of what baresip and what a listener of ours hears."""
    spoken = list(enumerate(recordings(NARROW)[:_RECORDINGS]))
    limit = asyncio.Semaphore(_AT_ONCE)

    async def score(number: int, recording: Recording, name: str) -> float:
        async with limit:
            sound = await heard(recording, name, 1000 * number)
        return pesq(recording.samples, sound, NARROW)

    def ours(number: int, recording: Recording, name: str) -> float:
        packets = MEASURED.packets(recording.samples)
        sound = through(NETWORKS[name], MEASURED, packets, np.array([1000 * number])).samples[0]
        return pesq(recording.samples, sound, NARROW)

    scores = {}
    for name in NAMES:
        theirs = await asyncio.gather(*(score(*each, name) for each in spoken))
        scores[name] = {
            "baresip": round(statistics.mean(theirs), 3),
            "ours": round(statistics.mean(ours(*each, name) for each in spoken), 3),
        }
    return scores


def main() -> int:
    """0; 2 where PESQ is not installed."""
    try:
        import pesq as _  # noqa: F401
    except ImportError:
        sys.stdout.write("\npeer: not measured, the extra `quality` (pesq) is not installed\n")
        return 2
    scores = asyncio.run(measure())
    results.save("peer", {"networks": scores})
    results.table(
        "PCMU, PESQ narrow: baresip, ours",
        [(name, f"{score['baresip']:.2f}  {score['ours']:.2f}", "") for name, score in scores.items()],
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
