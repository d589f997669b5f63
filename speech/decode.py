"""Audio files to mono PCM, in the worker process: FFmpeg's decoders are large, and the files are strangers'.

Taken are exactly the contract's kinds (PlayAudio): WAV with 16-bit PCM, mu-law or A-law, and MP3,
in mono or stereo.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from speech.engine import Samples
from speech.errors import AudioError
from speech.jobs import Kind

_CODECS = {"wav": ("pcm_s16le", "pcm_mulaw", "pcm_alaw"), "mp3": ("mp3", "mp3float")}
_EXPECTED = {"wav": "16-bit PCM, mu-law or A-law", "mp3": "MPEG layer 3"}
_RATES = range(4000, 192_001)
# PyAV before 19 reads tags as strict UTF-8 unless told otherwise; from 19 on it cannot be told, nor need it
# be.
_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
# Writers that cannot go back put a number about this, or 0, where the length of the data stands.
_UNKNOWN_LENGTH = 0xFFFFFF00


def decode(data: bytes, kind: Kind, rate: int, seconds: float) -> Samples:
    """The whole file as int16[n] mono at `rate`. AudioError says what is wrong with it."""
    if not data:
        raise AudioError("the file is empty")
    options = {"format_whitelist": "wav,mp3", "codec_whitelist": ",".join(_CODECS["wav"] + _CODECS["mp3"])}
    try:
        with av.open(BytesIO(data), mode="r", format=kind, options=options, **_TAGS) as container:
            stream = _stream(container, kind)
            samples = _samples(container, stream, rate, seconds)
            expected = _announced(data) if kind == "wav" else 0
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(f"not a readable {kind.upper()} file: {_text(error)}") from None
    if len(samples) == 0:
        raise AudioError(f"the {kind.upper()} file holds no sound")
    if expected > len(data):
        raise AudioError(f"the WAV file is cut short: {len(data)} bytes of {expected}")
    return samples


def _stream(container: InputContainer, kind: Kind) -> AudioStream:
    """The file's audio stream, once its kind, rate and channels are known to be good."""
    if not container.streams.audio:
        raise AudioError(f"the {kind.upper()} file holds no sound")
    stream = container.streams.audio[0]
    codec = stream.codec_context
    name = getattr(codec, "name", "an unknown codec")  # of which PyAV gives no context
    if name not in _CODECS[kind]:
        raise AudioError(f"the {kind.upper()} file holds {name}: expected {_EXPECTED[kind]}")
    if not codec.channels or not codec.sample_rate:
        raise AudioError(f"not a readable {kind.upper()} file: no frame of it makes sense")
    if codec.channels > 2:
        raise AudioError(f"{codec.channels} channels: expected mono or stereo")
    if codec.sample_rate not in _RATES:
        raise AudioError(f"{codec.sample_rate} samples a second: expected {_RATES[0]} to {_RATES[-1]}")
    codec.thread_count = 1
    return stream


def _samples(container: InputContainer, stream: AudioStream, rate: int, seconds: float) -> Samples:
    parts: list[Samples] = []
    room = int(seconds * rate)
    for frame in _converted(_frames(container, stream), rate):
        parts.append(np.frombuffer(bytes(frame.planes[0]), np.int16, frame.samples))
        room -= frame.samples
        if room < 0:
            raise AudioError(f"the file is longer than {seconds:g} seconds")
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _converted(frames: Iterator[AudioFrame], rate: int) -> Iterator[AudioFrame]:
    """The frames as s16 mono at `rate`.

    Joined MP3 files change their rate or layout on the way: each stretch of one shape has its own resampler.
    """
    resampler: AudioResampler | None = None
    shape: tuple[str, str, int] | None = None
    for frame in frames:
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            if resampler is not None:
                yield from resampler.resample(None)
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = AudioResampler(format="s16", layout="mono", rate=rate)
        assert resampler is not None
        frame.pts = None  # gaps and jumps in the file's clock are no silence
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decoded frames. A damaged MP3 frame is left out, as players do; a file of them is no MP3."""
    good = bad = 0
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                good += 1
                yield frame
        except av.InvalidDataError:
            bad += 1
            if bad > 10 + good:
                raise
    if bad > good:
        raise AudioError("the file is damaged: most of it cannot be decoded")


def _announced(data: bytes) -> int:
    """How many bytes the WAV file should have by its data chunk's length; 0 where the writer did not know."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"data":
            return 0 if size == 0 or size >= _UNKNOWN_LENGTH else at + 8 + size
        at += 8 + size + size % 2
    return 0


def _text(error: Exception) -> str:
    return error.strerror if isinstance(error, av.FFmpegError) and error.strerror else str(error)
