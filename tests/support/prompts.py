"""What a sentence should sound like: the server's own speech package, asked apart from any server."""

import io
import tempfile
import wave
from pathlib import Path

import numpy as np

from net.http import HttpClient
from net.policy import Policy
from speech.speech import Speech

Samples = np.typing.NDArray[np.int16]


async def spoken(sentence: str) -> Samples:
    """int16 at 8 kHz, with the voice a SpeakSentence without attributes has."""
    with tempfile.TemporaryDirectory() as folder:
        speech = Speech(Path(folder), HttpClient(Policy()))
        await speech.start()
        try:
            prompt = await speech.speak(sentence, voice=None, gender="female", locale="en_US")
        finally:
            await speech.close()
    return np.frombuffer(prompt.samples, np.int16)


def wav(samples: Samples, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()
