"""Audio files made on the spot."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np


def tone(frequency: float, seconds: float, rate: int, level: float = 0.5) -> np.ndarray:
    """int16[n] of a sine."""
    n = np.arange(int(seconds * rate))
    return np.rint(level * 32767 * np.sin(2 * np.pi * frequency * n / rate)).astype(np.int16)


def written(kind: str, codec: str, channels: list[np.ndarray], rate: int, layout: str | None = None) -> bytes:
    """The channels (int16) as a file of FFmpeg's format `kind` with `codec`."""
    out = BytesIO()
    with av.open(out, mode="w", format=kind) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = layout or ("mono" if len(channels) == 1 else "stereo")
        resampler = av.AudioResampler(format=stream.format.name, layout=stream.layout.name, rate=rate)
        packed = np.ascontiguousarray(np.stack(channels, axis=1).reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=stream.layout.name)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = 0
        for converted in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return out.getvalue()


def wav(*channels: np.ndarray, rate: int = 8000, codec: str = "pcm_s16le") -> bytes:
    return written("wav", codec, list(channels), rate)


def mp3(*channels: np.ndarray, rate: int = 44100) -> bytes:
    return written("mp3", "libmp3lame", list(channels), rate)


def peak(samples: bytes, rate: int = 8000) -> float:
    """The strongest frequency in Hz of int16 little-endian samples."""
    x = np.frombuffer(samples, "<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(x * np.hanning(len(x))))
    return float(spectrum.argmax() * rate / len(x))


def rms(samples: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(samples, "<i2").astype(float) ** 2)))
