"""What a speech engine is: a class, named as module:Class, that the worker process makes and forks."""

from importlib import import_module
from typing import NamedTuple, Protocol, cast

import msgspec
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]


class Voice(msgspec.Struct, frozen=True):
    """A voice as the contract has it: a name of its list or "", "female" or "male", and its locale."""

    name: str
    gender: str
    locale: str


class Sound(NamedTuple):
    """Mono: int16[n] samples at a rate of the engine's choice."""

    samples: Samples
    rate: int


class Engine(Protocol):
    """Made without arguments, once; then a fresh fork of the process speaks each sentence.

    So an engine may crash, leak or keep state: only the sentence at hand suffers. Loading belongs into the
    constructor, as forks inherit it.
    """

    version: str
    """Name and version. Part of the cache's key: another version speaks anew."""

    def synthesize(self, markup: str, voice: Voice, seconds: float) -> Sound:
        """Speak a document made by `speech.ssml.clean`, and stop after `seconds` of sound.

        Raises SpeechError for a locale or voice that the engine does not have.
        """
        ...


def load(path: str) -> Engine:
    """The engine named by "module:Class". Raises ImportError or AttributeError when there is none."""
    module, _, name = path.partition(":")
    return cast(Engine, getattr(import_module(module), name)())
