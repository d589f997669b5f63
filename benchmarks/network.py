"""Networks that lose, delay and reorder, in virtual time: streams of many legs through one mixer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixer import ALAW, FRAME, ULAW, Mixer, g711


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

    samples: NDArray[np.int16]  # (legs, n)
    lost: NDArray[np.bool_]  # (legs, packets)
    waited: float  # mean, from a packet's arrival to the beat that plays it
    delay: float  # mean, from when it would have arrived without jitter to that beat
    late: float  # share of the packets that came too late


def through(network: Network, speech: NDArray[np.int16], seeds: NDArray[np.int64]) -> Heard:
    """Legs that say `speech` (legs, n) in packets of 20 ms, each to a listener of his own; a cold start."""
    legs, packets = speech.shape[0], speech.shape[1] // FRAME
    payload = coded(speech[:, : packets * FRAME]).reshape(legs, packets, FRAME)
    fates = [_fate(network, np.random.default_rng(seed), packets) for seed in seeds.tolist()]
    lost = np.array([fate[0] for fate in fates])
    extra = np.array([fate[1] for fate in fates])
    phase = np.array([fate[2] for fate in fates])
    sent = phase[:, None] + np.arange(packets) * FRAME / (1 + network.ppm * 1e-6)
    arrival = np.floor(sent + extra).astype(np.int64)

    mixer = Mixer(2 * legs + 1)
    speakers = [mixer.open(ULAW) for _ in range(legs)]
    listeners = [mixer.open(ULAW) for _ in range(legs)]
    for room, pair in enumerate(zip(speakers, listeners, strict=True)):
        for handle in pair:
            mixer.seat(handle, room)
    speaker_rows, listener_rows = (np.array(h, np.intp) & 0xFFFF for h in (speakers, listeners))

    leg, number = np.nonzero(~lost)
    at = arrival[leg, number]
    order = np.argsort(at, kind="stable")
    leg, number, at = leg[order], number[order], at[order]
    beats = packets + 40
    edges = np.searchsorted(at, np.arange(-1, beats) * FRAME, side="right")
    heard = np.empty((legs, beats, FRAME), np.int16)
    waited, delay = [], []
    for beat in range(beats):
        batch = slice(edges[beat], edges[beat + 1])
        who, which = leg[batch], number[batch]
        count = who.size
        mixer.push(
            speaker_rows[who],
            which.astype(np.uint16),
            (which * FRAME).astype(np.uint32),
            who.astype(np.uint32),
            np.full(count, ULAW, np.uint8),
            (beat * FRAME - at[batch]).astype(np.int32),
            np.ascontiguousarray(payload[who, which]),
            np.zeros(count, np.int32),
            np.full(count, FRAME, np.int32),
        )
        mixer.tick()
        heard[:, beat] = decoded(mixer.heard[listener_rows])
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


def silenced(speech: NDArray[np.int16], lost: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The same speech through the codec, silence for the packets that the network lost; none is late."""
    packets = lost.shape[1]
    heard = decoded(coded(speech[:, : packets * FRAME])).reshape(-1, packets, FRAME)
    heard[lost] = 0
    return heard.reshape(-1, packets * FRAME)


def coded(samples: NDArray[np.int16], law: int = ULAW) -> NDArray[np.uint8]:
    """Samples of any shape as G.711."""
    wide = samples.astype(np.int32).reshape(1, -1)
    out = np.empty(wide.shape, np.uint8)
    g711.encode(wide, g711.encode_base(np.array([law], np.uint8)), out)
    return out.reshape(samples.shape)


def decoded(payload: NDArray[np.uint8], law: int = ULAW) -> NDArray[np.int16]:
    """G.711 of any shape as samples."""
    assert law in (ULAW, ALAW)
    out = np.empty(payload.shape, np.int16)
    g711.decode(payload.astype(np.uint16) | (law << 8 | g711.VALID), out)
    return out


def _fate(
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
