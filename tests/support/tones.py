"""What a recording holds: tones, silence, speech, a prompt. int16 samples at 8 kHz in, plain answers out."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

RATE = 8000
Samples = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]

# A member's tone is sent at 3000. One that is really there loses nothing on the way; what G.711's rounding
# and the products of several tones put at another member's frequency stays below 1 % of it.
PRESENT = 1500.0
ABSENT = 150.0

EDGE = 40  # samples beside a gap that are not what was said

# Far from each other's harmonics up to the third and from each other's sums; multiples of 10 Hz.
FREQUENCIES = (410, 530, 670, 830, 970, 1130, 1370, 1550, 1790, 2030, 2270, 2530)


def level(samples: Samples, frequency: float, *, rate: int = RATE) -> float:
    """Amplitude of the sine at `frequency` (Hann window: over 0.2 s a neighbour 20 Hz off is quiet)."""
    if len(samples) < rate // 100:
        return 0.0
    window = np.hanning(len(samples))
    turns = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / rate)
    return float(2 * abs(np.sum(samples * window * turns)) / np.sum(window))


def levels(samples: Samples, frequencies: Iterable[int], there: Mask | None = None) -> dict[int, float]:
    """The amplitude of each. `there`: of which samples the recording says anything; with gaps in it, those of
    the sum of sines that comes nearest to the others."""
    frequencies = list(frequencies)
    if there is None or there.all() or there.sum() < 4 * EDGE:
        return {frequency: level(samples, frequency) for frequency in frequencies}
    there = np.convolve(~there, np.ones(2 * EDGE + 1), "same") < 0.5  # what is beside a gap is faded
    weight = np.sqrt(np.hanning(len(samples)) * there)
    turns = 2 * np.pi * np.outer(np.arange(len(samples)) / RATE, frequencies)
    waves = np.concatenate((np.cos(turns), np.sin(turns)), axis=1)
    found = np.linalg.lstsq(waves * weight[:, None], samples * weight, rcond=None)[0]
    return dict(zip(frequencies, np.hypot(*found.reshape(2, -1)).tolist(), strict=True))


def tones(samples: Samples, candidates: Iterable[int] = FREQUENCIES, there: Mask | None = None) -> set[int]:
    """Which of the candidates sound. A level between there and not there is an AssertionError, no guess."""
    found = levels(samples, candidates, there)
    doubtful = {f: round(value) for f, value in found.items() if ABSENT <= value < PRESENT}
    assert not doubtful, f"neither there nor absent: {doubtful}"
    return {frequency for frequency, value in found.items() if value >= PRESENT}


def once_heard(samples: Samples, wanted: set[int]) -> bool:
    """Whether in some 0.2 s exactly the wanted tones sound: of a recording by a program that fills what it
    misses with something of its own."""
    for begin in range(0, len(samples) - 1599, 400):
        found = levels(samples[begin : begin + 1600], FREQUENCIES)
        if (
            {tone for tone, value in found.items() if value >= ABSENT}
            == wanted
            == {tone for tone, value in found.items() if value >= PRESENT}
        ):
            return True
    return False


def longest_whole(there: Mask) -> slice:
    """The longest stretch without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    return slice(int(edges[2 * longest]), int(edges[2 * longest + 1]))


def loudest_moment(samples: Samples, frequency: float, *, window: int = 160) -> float:
    """The highest level of `frequency` in any window of 20 ms, by half steps: one leaked frame shows.

    Only of use where nothing else sounds, or what sounds lies far off: 20 ms tell 100 Hz apart, not 20.
    """
    starts = range(0, max(1, len(samples) - window + 1), window // 2)
    return max((level(samples[start : start + window], frequency) for start in starts), default=0.0)


def is_silent(samples: Samples, *, tolerance: int = 8) -> bool:
    """Both laws' zero decodes to at most 8 in magnitude."""
    return len(samples) == 0 or int(np.abs(samples.astype(np.int32)).max()) <= tolerance


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0


def has_speech(samples: Samples) -> bool:
    """Loud parts and quiet parts, energy below 4 kHz spread over many bands: neither silence nor a tone."""
    if len(samples) < RATE // 4:
        return False
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(np.float64)
    energy = np.sqrt((frames**2).mean(axis=1))
    loud = energy > 200
    if loud.sum() < 8:
        return False
    spectrum = np.abs(np.fft.rfft(frames[loud] * np.hanning(160), axis=1)) ** 2
    share = spectrum.mean(axis=0) / spectrum.mean(axis=0).sum()
    return float(share.max()) < 0.5 and float(energy[loud].std() / energy[loud].mean()) > 0.1


def loud_span(samples: Samples, *, above: int = 100) -> tuple[int, int]:
    """First and one past the last sample whose magnitude passes `above`; (0, 0) when none does."""
    places = np.flatnonzero(np.abs(samples.astype(np.int32)) > above)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def find(prompt: Samples, recording: Samples, there: Mask | None = None) -> tuple[float, int]:
    """How well and where the whole prompt stands in the recording.

    The best normalised correlation over all lags at which the prompt fits entirely, and that lag in samples.
    (0.0, 0) when the recording is shorter than the prompt: a prompt that was cut is not there. `there`: of
    which samples the recording says anything; of a prompt that is found, they are a quarter or more.
    """
    if len(recording) < len(prompt) or not len(prompt):
        return 0.0, 0
    wanted = prompt.astype(np.float64)
    got = recording.astype(np.float64)
    sums = np.concatenate(([0.0], np.cumsum(got**2)))
    power = sums[len(wanted) :] - sums[: -len(wanted)]
    energy = np.full(len(power), np.sum(wanted**2))
    if there is not None and not there.all():
        said = _products(there.astype(np.float64), wanted**2)
        energy = np.where(said >= energy / 4, said, np.inf)
    scores = _products(got, wanted) / np.sqrt(np.maximum(power, 1.0) * energy)
    best = int(np.argmax(scores))
    return float(scores[best]), best


def _products(long: npt.NDArray[np.float64], short: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The scalar product of `short` with `long` at every lag at which it fits entirely."""
    size = 1 << (len(short) + len(long)).bit_length()
    products = np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size)), size)
    fitting: npt.NDArray[np.float64] = products[: len(long) - len(short) + 1]
    return fitting


def matches_throughout(
    prompt: Samples, recording: Samples, there: Mask | None = None, *, pieces: int = 8
) -> float:
    """The lowest correlation of any of `pieces` equal parts at the lag that is best for the whole.

    Parts in which the prompt is as good as silent, or of which the recording says nothing, are left out.
    """
    score, lag = find(prompt, recording, there)
    if score == 0.0:
        return 0.0
    lowest = score
    heard = recording[lag : lag + len(prompt)].astype(np.float64)
    said = prompt.astype(np.float64)
    if there is not None:
        said *= there[lag : lag + len(prompt)]
    for wanted, had in zip(np.array_split(said, pieces), np.array_split(heard, pieces), strict=True):
        if np.sqrt(np.mean(wanted**2)) < 100:
            continue
        scale = np.sqrt(np.sum(wanted**2) * max(np.sum(had**2), 1.0))
        lowest = min(lowest, float(np.sum(wanted * had) / scale))
    return lowest
