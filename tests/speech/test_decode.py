import os
import struct

import numpy as np
import pytest

from speech.decode import decode
from speech.errors import AudioError
from tests.speech.files import mp3, peak, rms, tone, wav


def decoded(data: bytes, kind="wav", seconds: float = 60.0, rate: int = 8000) -> bytes:
    return decode(data, kind, rate, seconds).astype("<i2").tobytes()


def riff(
    data: bytes,
    *,
    channels: int = 1,
    rate: int = 8000,
    bits: int = 16,
    code: int = 1,
    size: int | None = None,
) -> bytes:
    """A WAV file that says whatever it likes."""
    fmt = struct.pack(
        "<HHIIHH", code, channels, rate, rate * channels * bits // 8 & 0xFFFFFFFF, channels * 2, bits
    )
    length = len(data) if size is None else size
    head = b"RIFF" + struct.pack("<I", (36 + len(data)) & 0xFFFFFFFF) + b"WAVEfmt " + struct.pack("<I", 16)
    return head + fmt + b"data" + struct.pack("<I", length) + data


TONE = tone(1000, 1, 8000).tobytes()


def test_pcm_of_the_lines_rate_comes_back_bit_for_bit():
    assert decoded(riff(TONE)) == TONE


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_mulaw", "pcm_alaw"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_wav_keeps_pitch_level_and_length(codec, rate):
    sound = decoded(wav(tone(1000, 2, rate), rate=rate, codec=codec))
    assert peak(sound) == pytest.approx(1000, abs=1)
    assert rms(sound) == pytest.approx(0.5 * 32767 / 2**0.5, rel=0.02)
    assert len(sound) // 2 == pytest.approx(16000, abs=16)


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000])
def test_mp3_of_every_mpeg_version_keeps_pitch_and_length(rate):
    sound = decoded(mp3(tone(1000, 2, rate), rate=rate), "mp3")
    assert peak(sound) == pytest.approx(1000, abs=1)
    assert len(sound) // 2 == pytest.approx(16000, rel=0.1)


@pytest.mark.parametrize("make", [wav, mp3])
def test_stereo_is_mixed_to_mono(make):
    kind = "wav" if make is wav else "mp3"
    both = decoded(make(tone(1000, 2, 44100, 0.4), tone(2000, 2, 44100, 0.4), rate=44100), kind)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(both, "<i2")[:16000].astype(float)))
    assert sorted(np.argsort(spectrum)[-2:] // 2) == [1000, 2000]
    same = decoded(make(tone(1000, 2, 44100), tone(1000, 2, 44100), rate=44100), kind)
    assert rms(same) == pytest.approx(0.5 * 32767 / 2**0.5, rel=0.1)


def test_another_rate_may_be_asked_for():
    sound = decoded(wav(tone(1000, 1, 44100), rate=44100), rate=16000)
    assert peak(sound, 16000) == pytest.approx(1000, abs=1)


def test_what_a_line_cannot_carry_does_not_fold_back():
    assert rms(decoded(wav(tone(7000, 1, 44100), rate=44100))[1600:-1600]) < 30


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"", "wav", "the file is empty"),
        (b"", "mp3", "the file is empty"),
        (b"<html>404</html>", "wav", "not a readable WAV file"),
        (b"<html>404</html>", "mp3", "not a readable MP3 file"),
        (np.random.default_rng(1).bytes(200_000), "wav", "not a readable WAV file"),
        (np.random.default_rng(2).bytes(200_000), "mp3", "not a readable MP3 file|cannot be decoded"),
        (bytes(100_000), "mp3", "not a readable MP3 file"),
        (riff(b""), "wav", "not a readable WAV file|no sound"),
        (riff(TONE)[:20], "wav", "not a readable WAV file"),
        (riff(TONE)[:5000], "wav", "cut short: 5000 bytes of 16044"),
        (riff(TONE, size=0x7FFFFFFF), "wav", "cut short"),
        (riff(TONE, channels=32), "wav", "32 channels: expected mono or stereo"),
        (riff(TONE, channels=0), "wav", "not a readable WAV file"),
        (riff(TONE, rate=0), "wav", "not a readable WAV file"),
        (riff(TONE, rate=300_000), "wav", "300000 samples a second: expected 4000 to 192000"),
        (riff(TONE, rate=4_000_000_000), "wav", "not a readable WAV file"),
        (riff(TONE, rate=1), "wav", "1 samples a second"),
        (riff(TONE, bits=24), "wav", "pcm_s24le: expected 16-bit PCM, mu-law or A-law"),
        (riff(TONE, bits=8), "wav", "pcm_u8: expected"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "wav", "not a readable WAV file"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "mp3", "not a readable MP3 file"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_the_reason(data, kind, reason):
    with pytest.raises(AudioError, match=reason):
        decode(data, kind, 8000, 60.0)


def test_one_kind_is_not_taken_for_the_other():
    with pytest.raises(AudioError, match="WAV"):
        decoded(mp3(tone(1000, 1, 44100)), "wav")
    with pytest.raises(AudioError, match="MP3"):
        decoded(wav(tone(1000, 1, 8000)), "mp3")


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_whose_writer_did_not_know_the_length_plays(size):
    assert decoded(riff(TONE, size=size)) == TONE


def test_a_damaged_mp3_plays_what_is_whole():
    data = mp3(tone(1000, 5, 44100))
    hole = decoded(data[:20000] + os.urandom(4000) + data[24000:], "mp3")
    assert peak(hole) == pytest.approx(1000, abs=5)
    assert len(hole) / 16000 > 3
    assert len(decoded(data[: len(data) // 2 + 77], "mp3")) / 16000 == pytest.approx(2.5, abs=0.1)


def test_joined_mp3s_of_different_shape_play_one_after_the_other():
    joined = mp3(tone(1000, 2, 44100)) + mp3(tone(2000, 2, 48000), tone(2000, 2, 48000), rate=48000)
    sound = decoded(joined, "mp3")
    assert len(sound) / 16000 == pytest.approx(4, abs=0.2)
    assert peak(sound[:24000]) == pytest.approx(1000, abs=1)
    assert peak(sound[-24000:]) == pytest.approx(2000, abs=1)


def test_a_tag_that_is_no_unicode_does_no_harm():
    named = (
        riff(TONE, size=len(TONE))
        + b"LIST"
        + struct.pack("<I", 18)
        + b"INFOIART"
        + struct.pack("<I", 6)
        + b"Bj\xf6rn"
    )
    assert decoded(named)[: len(TONE)] == TONE


def test_a_file_longer_than_allowed_is_refused():
    assert len(decoded(riff(TONE), seconds=1.0)) == 16000
    with pytest.raises(AudioError, match="longer than 1 seconds"):
        decoded(riff(TONE + TONE), seconds=1.0)


@pytest.mark.parametrize("seed", range(20))
def test_noise_in_the_header_never_does_more_than_fail(seed):
    random = np.random.default_rng(seed)
    data = bytearray(riff(TONE))
    for at in random.integers(0, 44, 6):
        data[at] = random.integers(0, 256)
    try:
        assert len(decoded(bytes(data))) <= 60 * 16000
    except AudioError as error:
        assert str(error)
