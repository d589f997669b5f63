"""What a recording holds: tones, silence, speech, a prompt. int16 samples at 8 kHz in, plain answers out."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

RATE = 8000
Samples = npt.NDArray[np.int16]

# A member's tone is sent at 3000. One that is really there loses nothing on the way; what G.711's rounding
# and the products of several tones put at another member's frequency stays below 1 % of it.
PRESENT = 1500.0
ABSENT = 150.0

# Far from each other's harmonics up to the third and from each other's sums; multiples of 10 Hz.
FREQUENCIES = (410, 530, 670, 830, 970, 1130, 1370, 1550, 1790, 2030, 2270, 2530)


def level(samples: Samples, frequency: float, *, rate: int = RATE) -> float:
    """Amplitude of the sine at `frequency` (Hann window: over 0.2 s a neighbour 20 Hz off is quiet)."""
    if len(samples) < rate // 100:
        return 0.0
    window = np.hanning(len(samples))
    turns = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / rate)
    return float(2 * abs(np.sum(samples * window * turns)) / np.sum(window))


def tones(samples: Samples, candidates: Iterable[int] = FREQUENCIES) -> set[int]:
    """Which of the candidates sound. A level between there and not there is an AssertionError, no guess."""
    levels = {frequency: level(samples, frequency) for frequency in candidates}
    doubtful = {f: round(value) for f, value in levels.items() if ABSENT <= value < PRESENT}
    assert not doubtful, f"neither there nor absent: {doubtful}"
    return {frequency for frequency, value in levels.items() if value >= PRESENT}


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


def find(prompt: Samples, recording: Samples) -> tuple[float, int]:
    """How well and where the whole prompt stands in the recording.

    The best normalised correlation over all lags at which the prompt fits entirely, and that lag in samples.
    (0.0, 0) when the recording is shorter than the prompt: a prompt that was cut is not there.
    """
    if len(recording) < len(prompt) or not len(prompt):
        return 0.0, 0
    wanted = prompt.astype(np.float64)
    got = recording.astype(np.float64)
    size = 1 << (len(wanted) + len(got)).bit_length()
    products = np.fft.irfft(np.fft.rfft(got, size) * np.conj(np.fft.rfft(wanted, size)), size)
    products = products[: len(got) - len(wanted) + 1]
    sums = np.concatenate(([0.0], np.cumsum(got**2)))
    power = sums[len(wanted) :] - sums[: -len(wanted)]
    scores = products / np.sqrt(np.maximum(power, 1.0) * np.sum(wanted**2))
    best = int(np.argmax(scores))
    return float(scores[best]), best


def matches_throughout(prompt: Samples, recording: Samples, *, pieces: int = 8) -> float:
    """The lowest correlation of any of `pieces` equal parts at the lag that is best for the whole.

    Parts in which the prompt is as good as silent say nothing and are left out.
    """
    score, lag = find(prompt, recording)
    if score == 0.0:
        return 0.0
    lowest = score
    heard = recording[lag : lag + len(prompt)]
    for part, got in zip(np.array_split(prompt, pieces), np.array_split(heard, pieces), strict=True):
        wanted, had = part.astype(np.float64), got.astype(np.float64)
        if np.sqrt(np.mean(wanted**2)) < 100:
            continue
        scale = np.sqrt(np.sum(wanted**2) * max(np.sum(had**2), 1.0))
        lowest = min(lowest, float(np.sum(wanted * had) / scale))
    return lowest
