"""espeak-ng, through the library that the wheel espeakng_loader brings.

Only the worker process imports this: the library is not safe for two threads, can crash on odd input, reads
files that its SSML names, and is under the GPL.
"""

import ctypes

import espeakng_loader
import numpy as np

from speech.engine import Sound, Voice
from speech.errors import SpeechError
from speech.espeak_markup import Pause, pieces
from speech.voices import language, variant

# espeak/speak_lib.h
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_POS_CHARACTER = 1
_UTF8_SSML = 0x01 | 0x10
_VOLUME = 2
_STOP = 1

# Half of the usual loudness: room for emphasis and prosody, which espeak-ng would otherwise limit audibly.
_HEADROOM = 50

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The engine of `speech.engine.Engine`. RuntimeError when the library or its data cannot be loaded."""

    def __init__(self) -> None:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_Info.argtypes = [ctypes.c_void_p]
        library.espeak_Info.restype = ctypes.c_char_p
        library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_SetSynthCallback.argtypes = [_Callback]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        data = espeakng_loader.get_data_path().encode()
        self._rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT))
        if self._rate <= 0:
            raise RuntimeError(f"espeak-ng does not start with the data in {data.decode()}")
        self._library = library
        self._heard: list[bytes] = []
        self._room = 0
        # The library keeps the pointer, so this object keeps the callback.
        self._callback = _Callback(self._hear)
        library.espeak_SetSynthCallback(self._callback)
        library.espeak_SetParameter(_VOLUME, _HEADROOM, 0)
        self.version = f"espeak-ng {library.espeak_Info(None).decode()}"
        # Reading the voices' list and the first language takes longer than a sentence; forks inherit both.
        warm = '<speak>ready <lang xml:lang="fr-FR">oui</lang></speak>'
        self.synthesize(warm, Voice("", "female", "en_US"), 5.0)

    def synthesize(self, markup: str, voice: Voice, seconds: float) -> Sound:
        """See `speech.engine.Engine`."""
        spoken = language(voice.locale)
        name = f"{spoken}+{variant(voice)}"
        self._heard = []
        self._room = int(seconds * self._rate)
        for piece in pieces(markup, spoken, "male" if voice.gender == "male" else "female"):
            if self._room <= 0:
                break
            if isinstance(piece, Pause):
                silence = min(piece.milliseconds * self._rate // 1000, self._room)
                self._heard.append(bytes(2 * silence))
                self._room -= silence
            else:
                self._speak(piece, name)
        return Sound(np.frombuffer(b"".join(self._heard), np.int16), self._rate)

    def _speak(self, piece: str, name: str) -> None:
        # Each time anew: speaking can change what a voice sounds like afterwards.
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            raise SpeechError(f"espeak-ng has no voice {name}")
        text = piece.encode()
        status = self._library.espeak_Synth(text, len(text) + 1, 0, _POS_CHARACTER, 0, _UTF8_SSML, None, None)
        if status != 0:
            raise SpeechError(f"espeak-ng refused the sentence (status {status})")

    def _hear(self, wave: int | None, count: int, _events: int | None) -> int:
        if wave and count > 0:
            count = min(count, self._room)
            self._heard.append(ctypes.string_at(wave, 2 * count))
            self._room -= count
        return _STOP if self._room <= 0 else 0
