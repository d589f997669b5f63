"""Opus (RFC 6716) through libopus: one decoder or encoder per leg, mono, one library call per packet.

Sound and packets are named by their addresses (`array.ctypes.data`), so that a call costs what libopus costs
and one microsecond. Whoever gives an address keeps the memory alive and is right about its size. Sound is
int16 at the codec's own rate: 8000, 16000 or 48000 Hz, whatever the other side chose; libopus converts.
"""

import ctypes
import ctypes.util
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

RATES: Final = (8000, 16000, 48000)

BITRATE: Final = {8000: 26000, 16000: 32000, 48000: 40000}
COMPLEXITY: Final = 0
EXPECTED_LOSS: Final = 10
"""What to encode with by default: bit/s by rate, effort, percent. At these bitrates the least effort sounds
as good as effort 5 does at three quarters of them, for a third of the CPU. And there is room for in-band FEC,
which libopus leaves out at lower bitrates, and where it is told to expect less loss."""

LARGEST: Final = 1275
"""Bytes of one frame at most (RFC 6716, section 3.4, R2)."""

_OK: Final = 0
_VOIP: Final = 2048  # OPUS_APPLICATION_VOIP
_VOICE: Final = 3001  # OPUS_SIGNAL_VOICE
_BANDWIDTH: Final = {8000: 1101, 16000: 1103, 48000: 1105}  # narrow-, wide-, fullband
_SET_BITRATE: Final = 4002
_SET_MAX_BANDWIDTH: Final = 4004
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_SET_DTX: Final = 4016
_SET_SIGNAL: Final = 4024


class Missing(Exception):
    """No libopus on this machine."""


class BadPacket(ValueError):
    """What came is no Opus packet, or holds more than there is room for."""


@cache
def library() -> ctypes.CDLL:
    """libopus: the one that PyAV's wheel brings, else the system's. Raises `Missing`."""
    for place in (*_in_wheel(), ctypes.util.find_library("opus")):
        if place is not None:
            return _declared(ctypes.CDLL(str(place)))
    raise Missing(
        "libopus was not found: install it (libopus0 on Debian and Ubuntu, opus on Fedora, Alpine and "
        "Homebrew), or the wheel of PyAV (pip install av), which brings it"
    )


def _in_wheel() -> list[Path]:
    """Where PyAV's wheel keeps its copy: `av.libs` on Linux, `av/.dylibs` on macOS. PyAV is not imported."""
    av = importlib.util.find_spec("av")
    if av is None or av.origin is None:
        return []
    package = Path(av.origin).parent
    return [*package.with_name("av.libs").glob("libopus-*.so*"), *package.glob(".dylibs/libopus.*dylib")]


def _declared(opus: ctypes.CDLL) -> ctypes.CDLL:
    address, number = ctypes.c_void_p, ctypes.c_int32
    for name in ("opus_encoder_get_size", "opus_decoder_get_size"):
        getattr(opus, name).argtypes = [number]
    opus.opus_encoder_init.argtypes = [address, number, number, number]
    opus.opus_decoder_init.argtypes = [address, number, number]
    opus.opus_encode.argtypes = [address, address, number, address, number]
    opus.opus_decode.argtypes = [address, address, number, address, number, number]
    for name in ("opus_encoder_ctl", "opus_decoder_ctl"):
        getattr(opus, name).argtypes = [address, number]  # and what varies by request
    opus.opus_packet_parse.argtypes = [address, number, address, address, address, address]
    opus.opus_packet_get_samples_per_frame.argtypes = [address, number]
    opus.opus_strerror.argtypes = [number]
    opus.opus_strerror.restype = ctypes.c_char_p
    opus.opus_get_version_string.restype = ctypes.c_char_p
    return opus


def _text(code: int) -> str:
    text: bytes = library().opus_strerror(code)
    return text.decode()


class Decoder:
    """The sound of one sender. Packets in order, each once; what is missing is `recover`ed or `conceal`ed."""

    def __init__(self, rate: int) -> None:
        """`rate`: Hz of what comes out, one of `RATES`. Raises `Missing`."""
        assert rate in RATES
        opus = library()
        self._state = np.zeros(opus.opus_decoder_get_size(1), np.uint8)
        self._at = self._state.ctypes.data
        self._rate = rate
        code = opus.opus_decoder_init(self._at, rate, 1)
        assert code == _OK, _text(code)
        self._decode = opus.opus_decode

    def decode(self, packet: int, length: int, out: int, samples: int) -> int:
        """Decode `length` bytes at `packet` to `out`, which has room for `samples`; how many they are.

        Raises `BadPacket`; the decoder is as good as before.
        """
        if length <= 0:
            raise BadPacket("empty")  # to libopus this means that a packet is missing
        decoded: int = self._decode(self._at, packet, length, out, samples, 0)
        if decoded < 0:
            raise BadPacket(_text(decoded))
        return decoded

    def recover(self, packet: int, length: int, out: int, samples: int) -> int:
        """The `samples` missing right before `packet`, out of its in-band FEC; concealed where it has none.

        `samples` is a multiple of 2.5 ms. `packet` itself is to be decoded afterwards. Raises `BadPacket`.
        """
        if length <= 0:
            raise BadPacket("empty")
        decoded: int = self._decode(self._at, packet, length, out, samples, 1)
        if decoded < 0:
            raise BadPacket(_text(decoded))
        return decoded

    def repeated(self, packet: int, length: int) -> int:
        """Samples right before `packet` that its in-band FEC says again; 0 where it has none.

        Source: RFC 6716, sections 4.2.3 and 4.2.4: the bits before the first one that says so are known.
        """
        opus = library()
        sizes, offset = np.empty(_MOST_FRAMES, np.int16), ctypes.c_int()
        frames = opus.opus_packet_parse(packet, length, None, None, sizes.ctypes.data, ctypes.byref(offset))
        toc = ctypes.c_uint8.from_address(packet).value if frames > 0 else _CELT_ONLY
        if toc & _CELT_ONLY or not sizes[0]:
            return 0
        samples: int = opus.opus_packet_get_samples_per_frame(packet, self._rate)
        activities = max(samples * 50 // self._rate, 1)
        flags = ctypes.c_uint8.from_address(packet + offset.value).value << activities
        if toc & _STEREO:
            flags |= flags << activities + 1
        return samples if flags & 0x80 else 0

    def conceal(self, out: int, samples: int) -> int:
        """Go on without a packet for `samples`, a multiple of 2.5 ms.

        Speech fades within 100 ms or so, into noise that never ends: whoever calls has to end it.
        """
        decoded: int = self._decode(self._at, None, 0, out, samples, 0)
        assert decoded == samples, _text(decoded)
        return decoded


class Encoder:
    """The sound for one listener, or for several who hear the same."""

    def __init__(self, rate: int, *, bitrate: int, complexity: int, fec: bool, loss: int, dtx: bool) -> None:
        """`rate`: Hz of what goes in, one of `RATES`; `bitrate`: bit/s on average; `complexity`: 0 to 10.

        `fec`: each packet repeats the one before it, coarsely, where `loss` (the share of packets that is
        expected to get lost, in percent) makes that worth its bits. `dtx`: packets of one or two bytes in
        silence, which need not be sent. Raises `Missing`.
        """
        assert rate in RATES
        opus = library()
        self._state = np.zeros(opus.opus_encoder_get_size(1), np.uint8)
        self._at = self._state.ctypes.data
        code = opus.opus_encoder_init(self._at, rate, 1, _VOIP)
        assert code == _OK, _text(code)
        self._encode = opus.opus_encode
        for request, value in (
            (_SET_SIGNAL, _VOICE),
            (_SET_MAX_BANDWIDTH, _BANDWIDTH[rate]),
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, fec),
            (_SET_PACKET_LOSS_PERC, loss),
            (_SET_DTX, dtx),
        ):
            code = opus.opus_encoder_ctl(self._at, request, ctypes.c_int32(value))
            assert code == _OK, f"{request}, {value}: {_text(code)}"

    def encode(self, samples: int, count: int, out: int, room: int) -> int:
        """Encode `count` samples (2.5 to 60 ms) into at most `room` bytes at `out`; how many they are."""
        written: int = self._encode(self._at, samples, count, out, room)
        assert written > 0, _text(written)
        return written

    def copy(self) -> "Encoder":
        """Another one in the same state: from here on each goes its own way, and nobody hears a seam."""
        twin = object.__new__(Encoder)
        twin._state = self._state.copy()  # flat by contract: see opus_encoder_get_size in opus.h
        twin._at = twin._state.ctypes.data
        twin._encode = self._encode
        return twin


_CELT_ONLY, _STEREO = 0x80, 0x04
_MOST_FRAMES = 48

_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)
_FRAME_SIZES = np.repeat(np.array([*_SILK * 3, *_HYBRID * 2, *_CELT * 4], np.int32), 8)
_FRAMES = np.tile(np.array([1, 2, 2, 0], np.int32), 64)
_COUNTED = 3
_LONGEST = 5760


def duration(
    toc: NDArray[np.uint8], count: NDArray[np.uint8], length: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Samples at 48 kHz in each of n packets (RFC 6716, sections 3.1 and 3.2); 0 where it can be no packet.

    `toc`, `count`: their first and second bytes, the latter anything where there is none; `length`: bytes.
    """
    code = toc & 3
    counted = code == _COUNTED
    frames = np.where(counted, count & 0x3F, _FRAMES[toc])
    samples = _FRAME_SIZES[toc] * frames
    wrong = (length < 1 + counted) | (code == 1) & (length % 2 == 0) | (code == 2) & (length < 2)
    samples[wrong | (samples > _LONGEST)] = 0
    return samples
