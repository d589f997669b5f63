"""G.711 written a second time, from its segments, so that phones do not share the server's tables."""

import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]


def _ulaw_values() -> Pcm:
    values = np.zeros(256, np.int16)
    for code in range(256):
        inverted = code ^ 0xFF
        segment, step = (inverted >> 4) & 7, inverted & 15
        magnitude = ((2 * step + 33) << (segment + 2)) - 132
        values[code] = -magnitude if inverted & 0x80 else magnitude
    return values


def _alaw_values() -> Pcm:
    values = np.zeros(256, np.int16)
    for code in range(256):
        even = code ^ 0x55
        segment, step = (even >> 4) & 7, even & 15
        magnitude = (2 * step + 1) << 3 if segment == 0 else (2 * step + 33) << (segment + 2)
        values[code] = magnitude if even & 0x80 else -magnitude
    return values


def _codes(values: Pcm, decisions: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """The code of each of the 65,536 samples: the interval of decision values in which its magnitude lies."""
    positive = [
        int(code) for code in np.argsort(np.abs(values.astype(np.int32)), kind="stable") if code & 0x80
    ]
    samples = np.arange(-32768, 32768)
    interval = np.searchsorted(decisions, np.abs(samples), side="right") - 1
    codes = np.array(positive, np.uint8)[interval]
    codes[samples < 0] ^= 0x80
    return np.roll(codes, -32768)  # indexed by the sample as an unsigned 16-bit number


def _decisions(law: str) -> npt.NDArray[np.int64]:
    """Least magnitude of each of the 128 intervals, on the 16-bit scale.

    Where the step doubles it is not half way between two values: G.711 keeps the smaller step's edge there.
    """
    segments, steps = np.divmod(np.arange(128), 16)
    if law == "PCMU":
        return np.asarray((((steps + 16) << (segments + 1)) - 33) * 4)
    return np.asarray(np.where(segments == 0, steps * 16, ((steps + 16) << segments) * 8))


VALUES: dict[str, Pcm] = {"PCMU": _ulaw_values(), "PCMA": _alaw_values()}
_CODES = {law: _codes(values, _decisions(law)) for law, values in VALUES.items()}
STATIC_TYPES = {"PCMU": 0, "PCMA": 8}
SILENT_BYTE = {"PCMU": b"\xff", "PCMA": b"\xd5"}


def encode(law: str, samples: npt.ArrayLike) -> bytes:
    return bytes(_CODES[law][np.asarray(samples, np.int16).view(np.uint16)])


def decode(law: str, payload: bytes) -> Pcm:
    return VALUES[law][np.frombuffer(payload, np.uint8)]
