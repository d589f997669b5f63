"""G.722 at 64 kbit/s through the package `G722`: one decoder or encoder per leg, one call per packet.

A sample of G.722 depends on all that came before it: a decoder that is handed over to an encoder with another
past hears it for 100 ms, louder than the speech itself where that begins just then. So a fork copies the
state, bit for bit. Two encoders never come to agree on their own, not even in silence; who is to be handed
over is best so in silence, where the decoder follows the new one within 200 ms.
"""

import ctypes
from typing import Final

import numpy as np
from G722 import G722
from numpy.typing import NDArray

RATE: Final = 16000
"""Hz of the sound; the RTP clock says 8000 (RFC 3551, section 4.5.2). A byte is two samples."""

_BITRATE: Final = 64000
_NUMPY_BACKEND: Final = False  # looking for it takes two hundred times as long as the rest
_STATE: Final = 122  # int: 4 flags, 24 samples of the filter, two bands of 45, 4 buffers
_POINTER: Final = ctypes.sizeof(ctypes.c_void_p)


class Decoder:
    """The sound of one sender."""

    def __init__(self, rate: int = RATE) -> None:
        """`rate`: Hz of what comes out; at 8000 it is the lower band alone, at half the cost."""
        self._codec = G722(rate, _BITRATE, _NUMPY_BACKEND)

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """All samples of a payload, two a byte (at 8000 Hz: one). Any bytes are sound."""
        return np.frombuffer(self._codec.decode(payload), np.int16)


class Encoder:
    """The sound for one listener, or for several who hear the same."""

    def __init__(self) -> None:
        self._codec = G722(RATE, _BITRATE, _NUMPY_BACKEND)

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """A payload of an even number of samples, contiguous, at 16 kHz."""
        assert samples.size % 2 == 0
        payload: bytes = self._codec.encode(samples)
        return payload

    def copy(self) -> "Encoder":
        """Another one in the same state: from here on each goes its own way, and nobody hears a seam."""
        twin = Encoder()
        _state(twin._codec)[...] = _state(self._codec)
        return twin


def _state(codec: G722) -> NDArray[np.intc]:
    """The encoder's state, in place and while `codec` lives; no call of the package copies it."""
    address = ctypes.c_void_p.from_address(id(codec) + object.__basicsize__ + _POINTER).value
    assert address is not None
    return np.ctypeslib.as_array((ctypes.c_int * _STATE).from_address(address))


def _is_as_known() -> bool:
    """Whether the installed package keeps its state as the version does that this was written for."""
    if G722.__basicsize__ != object.__basicsize__ + 4 * _POINTER + 16:
        return False
    fresh = np.zeros(_STATE, np.intc)
    fresh[[3, 72, 117]] = 8, 32, 8  # bits in a code, the smallest step of either band
    codec = G722(RATE, _BITRATE, _NUMPY_BACKEND)
    return bool((_state(codec) == fresh).all())


if not _is_as_known():
    raise ImportError("mixer.g722 copies encoders of G722 1.2.8, and the installed one is laid out otherwise")
