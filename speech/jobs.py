"""What control asks the worker, and the answers: a length, a header in msgpack, then bytes to the end."""

import struct
from typing import Literal, TypeVar

import msgspec

from speech.engine import Voice

Kind = Literal["wav", "mp3"]

_LENGTH = struct.Struct(">I")
Header = TypeVar("Header")


class Speak(msgspec.Struct, frozen=True, tag="speak"):
    """Speak a document of `speech.ssml.clean`: `seconds` of sound at most, in `deadline` seconds of work."""

    markup: str
    voice: Voice
    rate: int
    seconds: float
    deadline: int


class Decode(msgspec.Struct, frozen=True, tag="decode"):
    """Decode the audio file whose bytes follow. Longer than `seconds` is an error."""

    kind: Kind
    rate: int
    seconds: float
    deadline: int


Job = Speak | Decode


class Done(msgspec.Struct, frozen=True, tag="done"):
    """It worked; `size` bytes follow: int16 little-endian mono at the rate asked for."""

    size: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The input is at fault, for this reason."""

    reason: str


Outcome = Done | Failed


class Ready(msgspec.Struct, frozen=True):
    """The worker's first word: the engine is loaded."""

    version: str


JOBS: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
OUTCOMES: msgspec.msgpack.Decoder[Outcome] = msgspec.msgpack.Decoder(Outcome)
READY = msgspec.msgpack.Decoder(Ready)


def pack(header: msgspec.Struct) -> bytes:
    """The header with its length before it."""
    encoded = msgspec.msgpack.encode(header)
    return _LENGTH.pack(len(encoded)) + encoded


def unpack(data: bytes, decoder: msgspec.msgpack.Decoder[Header]) -> tuple[Header, memoryview]:
    """The header and what follows it. Raises ValueError when `data` is cut short or of another kind."""
    if len(data) < _LENGTH.size:
        raise ValueError("no header")
    end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
    if len(data) < end:
        raise ValueError("half a header")
    view = memoryview(data)
    try:
        return decoder.decode(view[_LENGTH.size : end]), view[end:]
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
