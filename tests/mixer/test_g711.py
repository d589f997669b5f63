"""G.711 in arrays against G.711 bit by bit."""

import numpy as np
import pytest

from mixer import g711
from tests.mixer.itu import reference_alaw, reference_ulaw
from tests.support.oracle import sample


def encoded(samples: np.ndarray, law: int) -> np.ndarray:
    rows = samples.astype(np.int32)[:, None].copy()
    out = np.empty(rows.shape, np.uint8)
    g711.encode(rows, g711.encode_base(np.full(len(rows), law, np.uint8)), out)
    return out[:, 0]


def decoded(codes: np.ndarray, law: int) -> np.ndarray:
    out = np.empty(codes.shape, np.int16)
    g711.decode(codes.astype(np.uint16) | np.uint16(law << 8 | g711.VALID), out)
    return out


@pytest.mark.parametrize(("law", "reference"), [(g711.ULAW, reference_ulaw), (g711.ALAW, reference_alaw)])
def test_every_sample_is_encoded_as_the_itu_does(law, reference):
    samples = np.arange(-32768, 32768)
    assert encoded(samples, law).tolist() == [reference(int(value)) for value in samples]


@pytest.mark.parametrize("law", [g711.ULAW, g711.ALAW])
def test_every_code_is_decoded_as_the_itu_does(law):
    codes = np.arange(256)
    assert decoded(codes, law).tolist() == [sample(code, alaw=law == g711.ALAW) for code in range(256)]


@pytest.mark.parametrize("law", [g711.ULAW, g711.ALAW])
def test_coding_twice_is_coding_once(law):
    codes = np.arange(256)
    once = decoded(codes, law)
    assert (decoded(encoded(once, law), law) == once).all()


def test_the_laws_differ_by_row_in_one_call():
    rows = np.full((2, g711.SILENCE.size), 1000, np.int32)
    out = np.empty(rows.shape, np.uint8)
    g711.encode(rows, g711.encode_base(np.array([g711.ULAW, g711.ALAW], np.uint8)), out)
    assert out[:, 0].tolist() == [reference_ulaw(1000), reference_alaw(1000)]


def test_a_word_that_never_came_is_silence():
    out = np.ones(512, np.int16)
    g711.decode(np.arange(512, dtype=np.uint16), out)
    assert not out.any()


def test_silence_is_the_code_of_zero():
    assert g711.SILENCE.tolist() == [reference_ulaw(0), reference_alaw(0)]
