"""What a payload can be: the codec, the rate of its sound, and the clock of its timestamps.

A format is named by its number, its place in `FORMATS`. Time in the mixer is counted in units of 1/8000 s,
whatever the rate: a tick is FRAME units, 160 samples at 8 kHz, 960 at 48.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixer import opus
from mixer.rows import FRAME

PIECE: Final = FRAME // 2
"""Units of 10 ms: payload of whole pieces is laid piece by piece."""


class Format(NamedTuple):
    """One of the payloads that are known."""

    codec: str
    rate: int
    """Samples a second."""
    clock: int
    """RTP timestamps a second; G.722's are not its samples (RFC 3551 section 4.5.2)."""
    piece: int
    """Bytes of 10 ms; 0 where packets cannot be cut."""


FORMATS: Final = (
    Format("PCMU", 8000, 8000, 80),
    Format("PCMA", 8000, 8000, 80),
    Format("L16", 8000, 8000, 160),
    Format("L16", 16000, 16000, 320),
    Format("G722", 16000, 8000, 80),
    Format("OPUS", 48000, 48000, 0),
    Format("OPUS", 16000, 48000, 0),
    Format("OPUS", 8000, 48000, 0),
)

ULAW: Final = 0
ALAW: Final = 1
PLAIN: Final = ALAW
"""Formats up to here are G.711, whose bytes are samples; all others are *packed*: decoded one by one."""

RATE: Final[NDArray[np.int32]] = np.array([f.rate for f in FORMATS], np.int32)
SCALE: Final[NDArray[np.int32]] = np.array([f.clock // 8000 for f in FORMATS], np.int32)
"""Timestamps in a unit, by format."""

_PIECES: Final[NDArray[np.int32]] = np.array([f.piece for f in FORMATS], np.int32)
_OPUS: Final[NDArray[np.bool_]] = _PIECES == 0
_LINEAR: Final[NDArray[np.bool_]] = np.array([f.codec == "L16" for f in FORMATS])
_G722: Final[NDArray[np.bool_]] = np.array([f.codec == "G722" for f in FORMATS])


def number(codec: str, rate: int) -> int:
    """The format of a codec at a rate. Raises LookupError."""
    for place, known in enumerate(FORMATS):
        if (known.codec, known.rate) == (codec, rate):
            return place
    raise LookupError(f"expected a known codec, got {codec} at {rate} Hz")


def is_opus(format: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which of these are Opus."""
    opus: NDArray[np.bool_] = _OPUS[format]
    return opus


def is_plain(format: NDArray[np.uint8], rate: int) -> NDArray[np.bool_]:
    """Which of these are G.711 at its rate."""
    plain: NDArray[np.bool_] = (format <= PLAIN) & (RATE[format] == rate)
    return plain


def is_linear(format: NDArray[np.uint8], rate: int) -> NDArray[np.bool_]:
    """Which of these are L16 at a rate."""
    linear: NDArray[np.bool_] = _LINEAR[format] & (RATE[format] == rate)
    return linear


def is_g722(format: NDArray[np.uint8], rate: int) -> NDArray[np.bool_]:
    """Which of these are G.722 at its rate."""
    g722: NDArray[np.bool_] = _G722[format] & (RATE[format] == rate)
    return g722


def units(format: NDArray[np.uint8], size: NDArray[np.int32], first: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Units of sound in payloads of `size` bytes; 0 for what cannot be played: packed payloads that are no
    whole pieces, and Opus packets of less than 10 ms. `first`: each payload's first two bytes, (n, 2)."""
    piece = _PIECES[format]
    whole = size // np.maximum(piece, 1)
    exact = (format <= PLAIN) | (whole * piece == size)
    counted = np.where(format <= PLAIN, size, whole * PIECE * exact)
    spoken = opus.duration(first[:, 0], first[:, 1], size) // (48_000 // 8_000)
    return np.where(piece == 0, np.where(spoken >= PIECE, spoken, 0), counted).astype(np.int32)
