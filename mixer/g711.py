"""G.711, both laws, by lookup: a whole tick of rows in one call.

Samples are linear at 16 bit, the scale of ITU-T G.191's reference (14-bit mu-law times 4, 13-bit A-law times
8). Both encoders look at 14 bits at most, so one table of 2 x 16384 bytes serves both and stays in the first
cache.
"""

import numpy as np
from numpy.typing import NDArray

from mixer.formats import ALAW, ULAW

VALID = 0x200
"""Ring words are VALID | law << 8 | payload byte. Without VALID the sample never came; it decodes to 0."""

_LEVELS = 1 << 14


def _decode_ulaw(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """G.711 table 2: inverted bits; segments double in step; 33 is the bias that makes them powers of two."""
    inverted = ~codes & 0xFF
    magnitude = ((((inverted & 0x0F) << 1) + 33) << ((inverted >> 4) & 7)) - 33
    signed: NDArray[np.int32] = np.where(inverted & 0x80, -magnitude, magnitude)
    return signed * 4


def _decode_alaw(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """G.711 table 1: even bits inverted; the first two segments share a step."""
    toggled = codes ^ 0x55
    segment = (toggled >> 4) & 7
    step = ((toggled & 0x0F) << 1) + 1
    magnitude = np.where(segment == 0, step, (step + 32) << np.maximum(segment - 1, 0))
    signed: NDArray[np.int32] = np.where(toggled & 0x80, magnitude, -magnitude)
    return signed * 8


def _segment(magnitude: NDArray[np.int32], lowest: int) -> NDArray[np.int32]:
    """Which power of two a magnitude lies in, counted from 2**lowest, and 0 below it."""
    exponent = np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32)
    return np.maximum(exponent - lowest, 0)


def _encode_ulaw(levels: NDArray[np.int32]) -> NDArray[np.int32]:
    """14-bit levels to codes. One's complement mirrors the negative (G.191): each sign has its own zero."""
    biased = np.minimum(np.where(levels < 0, ~levels, levels) + 33, 0x1FFF)
    segment = _segment(biased, 5)
    code = (segment << 4) | ((biased >> (segment + 1)) & 0x0F)
    signed: NDArray[np.int32] = np.where(levels < 0, code | 0x80, code)
    return ~signed & 0xFF


def _encode_alaw(levels: NDArray[np.int32]) -> NDArray[np.int32]:
    """14-bit levels to codes; A-law looks at 12 bits and the sign. Two segments share the first step."""
    magnitude = np.where(levels < 0, ~levels, levels) >> 2
    segment = _segment(magnitude, 4)
    code = np.where(magnitude < 16, magnitude, (segment + 1 << 4) + ((magnitude >> segment) & 0x0F))
    signed: NDArray[np.int32] = np.where(levels < 0, code, code | 0x80)
    return signed ^ 0x55


_CODES = np.arange(256, dtype=np.int32)
_DECODED = (_decode_ulaw(_CODES), _decode_alaw(_CODES))

_SAMPLES = np.zeros(2 * VALID, np.int16)
_SAMPLES[VALID : VALID + 256] = _DECODED[ULAW]
_SAMPLES[VALID + 256 :] = _DECODED[ALAW]

_LINEAR = np.arange(-_LEVELS // 2, _LEVELS // 2, dtype=np.int32)
_PAYLOADS = np.concatenate([_encode_ulaw(_LINEAR), _encode_alaw(_LINEAR)]).astype(np.uint8)

SILENCE = np.array([0xFF, 0xD5], np.uint8)
"""What zero encodes to, per law."""


def decode(words: NDArray[np.uint16], out: NDArray[np.int16]) -> None:
    """Ring words to samples, any shape; missing words become 0."""
    np.take(_SAMPLES, words, out=out, mode="clip")


def encode_base(law: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Where each row's law begins in the encoder's table; shape (n,) to (n, 1), for `encode`."""
    return (law.astype(np.int32) * _LEVELS + _LEVELS // 2)[:, None]


def encode(samples: NDArray[np.int32], base: NDArray[np.int32], out: NDArray[np.uint8]) -> None:
    """Samples within 16 bits, (n, FRAME), to payload bytes, each row by its law. Overwrites `samples`."""
    np.right_shift(samples, 2, out=samples)
    np.add(samples, base, out=samples)
    np.take(_PAYLOADS, samples, out=out, mode="clip")
