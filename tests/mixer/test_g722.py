"""G.722: what is said is heard, any bytes are sound, and a copied encoder is the same encoder."""

import importlib

import numpy as np
import pytest

from mixer import g722
from tests.support.tones import level

FRAME = 320


def sound(hertz: float, seconds: float = 1.0, loudness: int = 8000) -> np.ndarray:
    samples = loudness * np.sin(2 * np.pi * hertz * np.arange(int(16000 * seconds)) / 16000)
    return samples.astype(np.int16)


@pytest.mark.parametrize("hertz", [440, 3000, 6000])
def test_a_tone_arrives_in_either_band(hertz):
    payload = g722.Encoder().encode(sound(hertz))
    heard = g722.Decoder().decode(payload)
    assert (len(payload), heard.size) == (8000, 16000)
    assert level(heard[8000:], hertz, rate=16000) == pytest.approx(8000, rel=0.1)


def test_at_8_khz_the_lower_band_is_heard():
    payload = g722.Encoder().encode(sound(440) + sound(6000))
    heard = g722.Decoder(8000).decode(payload)
    assert heard.size == 8000
    assert level(heard[4000:], 440) == pytest.approx(8000, rel=0.1)
    assert level(heard[4000:], 2000) < 100  # where 6 kHz would alias to


@pytest.mark.parametrize("size", [0, 1, 79, 80, 160, 480, 960])
def test_any_bytes_are_sound(size):
    payload = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    assert g722.Decoder().decode(payload).size == 2 * size


def test_packets_are_one_stream():
    said = sound(440)
    whole = g722.Encoder().encode(said)
    encoder, decoder = g722.Encoder(), g722.Decoder()
    payloads = [encoder.encode(said[at : at + FRAME]) for at in range(0, said.size, FRAME)]
    assert b"".join(payloads) == whole
    heard = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert (heard == g722.Decoder().decode(whole)).all()


def test_a_copied_encoder_goes_on_bit_for_bit_and_on_its_own():
    random = np.random.default_rng(3)
    said = (random.normal(0, 3000, 16000)).astype(np.int16)
    one = g722.Encoder()
    one.encode(said)
    twin = one.copy()
    alone = one.copy().encode(said)
    one.encode(sound(900))
    assert twin.encode(said) == alone != g722.Encoder().encode(said)


def test_another_layout_of_the_package_is_refused_when_the_server_starts(monkeypatch):
    monkeypatch.setattr("G722.G722", type("G722", (), {}))
    with pytest.raises(ImportError, match=r"1\.2\.8"):
        importlib.reload(g722)
    monkeypatch.undo()
    importlib.reload(g722)
