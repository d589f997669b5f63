"""A speech engine that does as it is told, for the worker process to suffer under."""

import os
import time

import numpy as np

from speech.engine import Sound, Voice
from speech.errors import SpeechError


class Obedient:
    """The text is an order; anything else becomes a second of noise that differs from fork to fork."""

    version = "obedient 1"

    def synthesize(self, markup: str, voice: Voice, seconds: float) -> Sound:
        if "crash" in markup:
            os.abort()
        if "chat" in markup:
            os.write(2, b"a library's remark")
        if "raise" in markup:
            raise LookupError("an error of the engine's own")
        if "refuse" in markup:
            raise SpeechError("that I do not say")
        if "hang" in markup:
            time.sleep(60)
        while "spin" in markup:
            pass
        if "eat" in markup:
            np.ones(1 << 40, np.uint8)
        noise = np.random.default_rng(os.getpid()).integers(-3000, 3000, 8000, dtype=np.int16)
        return Sound(noise, 8000)


class Broken:
    """An engine that cannot be loaded."""

    def __init__(self) -> None:
        raise OSError("no library")
