"""Networks that lose, delay and reorder, in virtual time: streams of many legs through one mixer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.coders import Codec
from mixer import FRAME, Mixer, Tuning
from mixer.formats import FORMATS
from mixer.jitter import CEILING

_SLOT = 2048


@dataclass(frozen=True)
class Network:
    """What happens to packets. Delays are exponential, each packet's its own: they overtake each other."""

    loss: float = 0.0
    burst: float = 1.0  # mean length of a run of losses; 1: at random
    jitter: float = 0.0  # ms, the mean of the extra delay
    ppm: float = 0.0  # how much faster the sender's clock runs than ours


@dataclass(frozen=True)
class Heard:
    """What came out: per leg, the samples that its listener was given, and delays in ms."""

    samples: NDArray[np.int16]  # (legs, n), at the codec's rate
    lost: NDArray[np.bool_]  # (legs, packets)
    waited: float  # mean, from a packet's arrival to the beat that plays it
    delay: float  # mean, from when it would have arrived without jitter to that beat
    late: float  # share of the packets that came too late


def through(
    network: Network, codec: Codec, sent: list[bytes], seeds: NDArray[np.int64], *, ceiling: int = CEILING
) -> Heard:
    """One leg a seed that sends these packets of 20 ms to a listener of its own; a cold start.

    What is heard is taken before the listener's own codec.
    """
    legs, packets = seeds.size, len(sent)
    payload = np.zeros((packets, _SLOT), np.uint8)
    for line, packet in zip(payload, sent, strict=True):
        line[: len(packet)] = np.frombuffer(packet, np.uint8)
    size = np.array([len(packet) for packet in sent], np.int32)
    fates = [fate(network, np.random.default_rng(seed), packets) for seed in seeds.tolist()]
    lost = np.array([fate[0] for fate in fates])
    extra = np.array([fate[1] for fate in fates])
    phase = np.array([fate[2] for fate in fates])
    at_sender = phase[:, None] + np.arange(packets) * FRAME / (1 + network.ppm * 1e-6)
    arrival = np.floor(at_sender + extra).astype(np.int64)

    mixer = Mixer(2 * legs + 1, ceiling=ceiling)
    speakers = [mixer.open(codec.format) for _ in range(legs)]
    listeners = [mixer.open(codec.format) for _ in range(legs)]
    for speaker in speakers:
        mixer.set_format(speaker, codec.format, Tuning(fec=codec.name == "OPUS"))
    for room, pair in enumerate(zip(speakers, listeners, strict=True)):
        for handle in pair:
            mixer.seat(handle, room)
    speaker_rows = np.array(speakers, np.intp) & 0xFFFF

    leg, number = np.nonzero(~lost)
    at = arrival[leg, number]
    order = np.argsort(at, kind="stable")
    leg, number, at = leg[order], number[order], at[order]
    beats = packets + 40
    edges = np.searchsorted(at, np.arange(-1, beats) * FRAME, side="right")
    heard = np.empty((legs, beats, codec.frame), np.int16)
    clock = FORMATS[codec.format].clock // 50
    waited, delay = [], []
    for beat in range(beats):
        batch = slice(edges[beat], edges[beat + 1])
        who, which = leg[batch], number[batch]
        count = who.size
        mixer.push(
            speaker_rows[who],
            which.astype(np.uint16),
            (which * clock).astype(np.uint32),
            who.astype(np.uint32),
            np.full(count, codec.format, np.uint8),
            (beat * FRAME - at[batch]).astype(np.int32),
            payload[which],
            np.zeros(count, np.int32),
            size[which],
        )
        mixer.tick()
        for line, listener in enumerate(listeners):
            heard[line, beat] = np.clip(mixer.bus(listener), -32768, 32767)
        newest = np.full(legs, -1)
        np.maximum.at(newest, who, which)
        spoke = np.flatnonzero(newest >= 0)
        waited.append(mixer.delay[speaker_rows[spoke]])
        delay.append(waited[-1] + extra[spoke, newest[spoke]])
    return Heard(
        samples=heard.reshape(legs, -1),
        lost=lost,
        waited=float(np.concatenate(waited).mean()) / 8,
        delay=float(np.concatenate(delay).mean()) / 8,
        late=float(mixer.late.sum() / lost.size),
    )


def fate(
    network: Network, random: np.random.Generator, packets: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64], float]:
    """Which packets of one leg are lost, what extra delay each has, and the phase of its clock, in samples.

    Losses in bursts are a chain of two states (Gilbert): all is lost in the one, nothing in the other.
    """
    phase = float(random.uniform(0, FRAME))
    extra = random.exponential(network.jitter * 8, packets) if network.jitter else np.zeros(packets)
    if network.burst <= 1:
        return random.random(packets) < network.loss, extra, phase
    lost = np.zeros(packets, np.bool_)
    leave = 1 / network.burst
    enter = network.loss * leave / (1 - network.loss)
    bad = False
    for packet, drawn in enumerate(random.random(packets)):
        bad = drawn >= leave if bad else drawn < enter
        lost[packet] = bad
    return lost, extra, phase
