"""Recorded speech for listening tests, from packages that Debian has; else an artificial voice.

| package | what of it | licence |
| --- | --- | --- |
| codec2-examples | 8 kHz: men and women reading, on telephones, on the air | LGPL-2.1 |
| asterisk-core-sounds-en-wav, -it-wav, -fr-wav | 8 kHz: announcements, two women and a man | CC-BY-SA-3.0 |
| pocketsphinx-testdata | 16 kHz: a woman reading a novel, a man dictating | public domain, BSD-2-Clause |
| none, where none of those is installed | three voices of the server's own engine, two sentences | |
"""

import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech.engine import Voice
from speech.espeak import Espeak

NARROW, WIDE = 8000, 16000
"""Hz."""

LONGEST = 10
"""Seconds that are used of a recording: PESQ is made for sentences of some ten seconds."""

_RAW = Path("/usr/share/codec2/raw")
_WAV = Path("/usr/share/asterisk/sounds")
_SPHINX = Path("/usr/share/pocketsphinx/test/data")
_NARROW = (
    _RAW / "cq_ref.raw",
    _RAW / "hts.raw",
    _RAW / "kristoff.raw",
    _RAW / "mmt1.raw",
    _RAW / "ve9qrp_10s.raw",
    _RAW / "vk5qi.raw",
    _WAV / "en_US_f_Allison/demo-congrats.wav",
    _WAV / "fr_CA_f_June/demo-congrats.wav",
    _WAV / "it_IT_m_Carlo/demo-congrats.wav",
)
_WIDE = (
    _SPHINX / "librivox/sense_and_sensibility_01_austen_64kb-0870.wav",
    _SPHINX / "librivox/sense_and_sensibility_01_austen_64kb-0890.wav",
    _SPHINX / "librivox/sense_and_sensibility_01_austen_64kb-0920.wav",
    _SPHINX / "numbers.raw",
    _SPHINX / "something.raw",
)
_VOICES = (Voice("", "male", "en_US"), Voice("", "female", "en_GB"), Voice("", "male", "de_DE"))
_SENTENCES = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well. These days a chicken leg is a rare dish.",
)


@dataclass(frozen=True)
class Recording:
    name: str
    samples: NDArray[np.int16]


def recordings(rate: int = NARROW, *, recorded: bool = True) -> list[Recording]:
    """All that is installed of one rate; with none, or without `recorded`, what the server's engine says."""
    files = {NARROW: _NARROW, WIDE: _WIDE}[rate]
    found = [
        Recording(f"{file.parent.name}/{file.stem}", _read(file, rate))
        for file in files
        if recorded and file.exists()
    ]
    return found or [
        Recording(f"espeak-{voice.locale}-{number}", _spoken(voice, sentence, rate))
        for voice in _VOICES
        for number, sentence in enumerate(_SENTENCES)
    ]


def converted(samples: NDArray[np.int16], rate: int, other: int) -> NDArray[np.int16]:
    """The same sound at another rate, along the last axis, through the frequency domain."""
    length = samples.shape[-1]
    size = length * other // rate
    spectrum = np.fft.rfft(samples.astype(np.float64))[..., : size // 2 + 1]
    sound = np.fft.irfft(spectrum, size) * size / length
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


def voices() -> dict[str, list[NDArray[np.int16]]]:
    """All that is installed, by whose voice it is: everything the announcers say, not just sentences."""
    folders = {folder.name: sorted(folder.rglob("*.wav")) for folder in sorted(_WAV.glob("*_*"))}
    found = {name: [_read(file, NARROW) for file in files] for name, files in folders.items()}
    found |= {each.name: [each.samples] for each in recordings() if not each.name.startswith(tuple(folders))}
    return found


def _read(file: Path, rate: int) -> NDArray[np.int16]:
    if file.suffix == ".raw":
        return _framed(np.fromfile(file, np.int16), rate)
    with wave.open(str(file)) as opened:
        if opened.getframerate() != rate or opened.getnchannels() != 1 or opened.getsampwidth() != 2:
            raise ValueError(f"{file}: expected 16 bit, mono, {rate} Hz")
        return _framed(np.frombuffer(opened.readframes(opened.getnframes()), np.int16), rate)


@cache
def _engine() -> Espeak:
    return Espeak()


def _spoken(voice: Voice, sentence: str, rate: int) -> NDArray[np.int16]:
    """A sentence at the loudness of recordings: the engine speaks at half of it."""
    said, own = _engine().synthesize(f"<speak>{sentence}</speak>", voice, float(LONGEST))
    louder = np.clip(2 * said.astype(np.int32), -32768, 32767).astype(np.int16)
    return _framed(converted(louder, own, rate), rate)


def _framed(samples: NDArray[np.int16], rate: int) -> NDArray[np.int16]:
    """With a quarter of a second of silence before and after."""
    silence = np.zeros(rate // 4, np.int16)
    return np.concatenate([silence, samples[: LONGEST * rate], silence])
