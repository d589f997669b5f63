"""Recorded speech for listening tests, at 8 kHz, from packages that Debian has; else an artificial voice.

| package | what of it | licence |
| --- | --- | --- |
| codec2-examples | men and women reading, on telephones, on the air | LGPL-2.1 |
| asterisk-core-sounds-en-wav, -it-wav, -fr-wav | announcements, two women and a man | CC-BY-SA-3.0 |
| espeak-ng (only where none of those is installed) | three voices, two sentences | GPL-3.0, the program's |
"""

import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000
LONGEST = 10 * RATE
"""Samples that are used of a recording: PESQ is made for sentences of some ten seconds."""

_LEAD = RATE // 4  # silence before and after
_RAW = Path("/usr/share/codec2/raw")
_WAV = Path("/usr/share/asterisk/sounds")
_RECORDED = (
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
_VOICES = ("en-us", "en-gb+f3", "de+m3")
_SENTENCES = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well. These days a chicken leg is a rare dish.",
)


@dataclass(frozen=True)
class Recording:
    name: str
    samples: NDArray[np.int16]


def recordings() -> list[Recording]:
    """All that is installed; with none, what espeak-ng says (FileNotFoundError where that is missing too)."""
    found = [Recording(f"{file.parent.name}/{file.stem}", _read(file)) for file in _RECORDED if file.exists()]
    return found or [
        Recording(f"espeak-{voice}-{number}", _spoken(voice, sentence))
        for voice in _VOICES
        for number, sentence in enumerate(_SENTENCES)
    ]


def _read(file: Path) -> NDArray[np.int16]:
    if file.suffix == ".raw":
        return _framed(np.fromfile(file, np.int16))
    with wave.open(str(file)) as opened:
        if opened.getframerate() != RATE or opened.getnchannels() != 1 or opened.getsampwidth() != 2:
            raise ValueError(f"{file}: expected 16 bit, mono, {RATE} Hz")
        return _framed(np.frombuffer(opened.readframes(opened.getnframes()), np.int16))


def _spoken(voice: str, sentence: str) -> NDArray[np.int16]:
    """What espeak-ng says, from its rate of 22,050 Hz to ours through the frequency domain."""
    said = subprocess.run(
        ["espeak-ng", "-v", voice, "-s", "150", "--stdout", sentence], capture_output=True, check=True
    )
    samples = np.frombuffer(said.stdout, np.int16, offset=44).astype(np.float64)
    size = samples.size * RATE // 22_050
    spectrum = np.fft.rfft(samples)[: size // 2 + 1]
    converted = np.fft.irfft(spectrum, size) * size / samples.size
    return _framed(np.clip(np.rint(converted), -32768, 32767).astype(np.int16))


def _framed(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    silence = np.zeros(_LEAD, np.int16)
    return np.concatenate([silence, samples[:LONGEST], silence])
