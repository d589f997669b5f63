"""Opus through libopus: what is said is heard, what is lost is filled, and nothing from outside breaks it."""

import numpy as np
import pytest

from mixer import opus
from tests.support.tones import level


def sound(hertz: float, rate: int, seconds: float = 1.0, loudness: int = 8000) -> np.ndarray:
    samples = loudness * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)
    return samples.astype(np.int16)


def encoder(rate: int = 16000, *, fec: bool = False, loss: int = 0, dtx: bool = False) -> opus.Encoder:
    return opus.Encoder(rate, bitrate=24000, complexity=5, fec=fec, loss=loss, dtx=dtx)


def encoded(by: opus.Encoder, samples: np.ndarray) -> bytes:
    room = np.zeros(opus.LARGEST, np.uint8)
    samples = np.ascontiguousarray(samples)
    length = by.encode(samples.ctypes.data, samples.size, room.ctypes.data, room.size)
    return room[:length].tobytes()


def packets(by: opus.Encoder, samples: np.ndarray, frame: int) -> list[bytes]:
    return [encoded(by, samples[at : at + frame]) for at in range(0, samples.size - frame + 1, frame)]


def address(packet: bytes) -> tuple[np.ndarray, int]:
    held = np.frombuffer(packet or b"\0", np.uint8)
    return held, held.ctypes.data


def decoded(by: opus.Decoder, packet: bytes, room: int, *, fec: bool = False) -> np.ndarray:
    out = np.zeros(room, np.int16)
    held, at = address(packet)
    verb = by.recover if fec else by.decode
    count = verb(at, len(packet), out.ctypes.data, room)
    del held
    return out[:count]


def concealed(by: opus.Decoder, count: int) -> np.ndarray:
    out = np.zeros(count, np.int16)
    by.conceal(out.ctypes.data, count)
    return out


@pytest.mark.parametrize("heard_at", opus.RATES)
@pytest.mark.parametrize("said_at", opus.RATES)
def test_a_tone_arrives_at_whatever_rates(said_at, heard_at):
    listener = opus.Decoder(heard_at)
    said = packets(encoder(said_at), sound(440, said_at), said_at // 50)
    heard = np.concatenate([decoded(listener, packet, heard_at // 50) for packet in said])
    assert heard.size == heard_at
    assert level(heard[heard_at // 2 :], 440, rate=heard_at) == pytest.approx(8000, rel=0.2)


def test_in_band_fec_brings_back_what_concealment_cannot_know():
    """The tone changes in the packet that is lost, so that only its repetition in the next one tells."""
    said = np.concatenate([sound(400, 16000, 0.5), sound(1000, 16000, 0.02), sound(700, 16000, 0.2)])
    sent = packets(encoder(fec=True, loss=20), said, 320)
    told, guessed = opus.Decoder(16000), opus.Decoder(16000)
    for packet in sent[:25]:
        decoded(told, packet, 320)
        decoded(guessed, packet, 320)
    recovered = decoded(told, sent[26], 320, fec=True)
    guess = concealed(guessed, 320)
    assert level(recovered, 1000, rate=16000) > 3 * level(guess, 1000, rate=16000)
    assert decoded(told, sent[26], 320).size == 320


def test_concealment_goes_on_and_fades_into_noise():
    listener = opus.Decoder(16000)
    for packet in packets(encoder(), sound(440, 16000), 320):
        decoded(listener, packet, 320)
    rest = [concealed(listener, 320) for _ in range(30)]
    assert np.abs(rest[0][:80]).max() > 6000
    assert level(np.concatenate(rest[20:]), 440, rate=16000) < 600
    assert all(frame.any() for frame in rest)


@pytest.mark.parametrize("rate", opus.RATES)
def test_a_copied_encoder_goes_on_bit_for_bit_and_on_its_own(rate):
    said, other = sound(440, rate, 0.4), sound(900, rate, 0.4)
    one = encoder(rate, fec=True, loss=10)
    packets(one, said, rate // 50)
    twin = one.copy()
    alone = packets(one.copy(), said, rate // 50)
    packets(one, other, rate // 50)
    assert packets(twin, said, rate // 50) == alone


def test_silence_with_dtx_is_packets_that_need_not_be_sent():
    sent = packets(encoder(dtx=True), np.zeros(16000, np.int16), 320)
    assert sum(len(packet) > 2 for packet in sent[25:]) <= 3


def test_an_empty_packet_is_refused_and_not_concealed():
    listener = opus.Decoder(16000)
    for fec in (False, True):
        with pytest.raises(opus.BadPacket):
            decoded(listener, b"", 320, fec=fec)


def test_a_packet_longer_than_the_room_is_refused():
    twenty = encoded(encoder(), sound(440, 16000, 0.02))
    with pytest.raises(opus.BadPacket):
        decoded(opus.Decoder(16000), twenty, 160)


def test_garbage_is_sound_or_refused_and_the_decoder_lives_on():
    random = np.random.default_rng(1)
    listeners = {rate: opus.Decoder(rate) for rate in opus.RATES}
    good = encoded(encoder(), sound(440, 16000, 0.02))
    out = np.zeros(5760, np.int16)
    noise = random.integers(0, 256, 1 << 20, dtype=np.uint8)
    base = noise.ctypes.data
    told = np.zeros(20_000, np.int32)
    starts = random.integers(0, noise.size - 64, told.size)
    lengths = random.geometric(0.1, told.size).clip(0, 64).astype(np.int32)
    for number, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
        rate = opus.RATES[number % 3]
        verb = listeners[rate].recover if number % 7 == 0 else listeners[rate].decode
        try:
            told[number] = verb(base + start, length, out.ctypes.data, rate * 120 // 1000) * (48000 // rate)
        except opus.BadPacket:
            told[number] = 0
    once = np.arange(told.size) % 7 != 0
    claimed = opus.duration(noise[starts], noise[starts + 1], lengths)
    assert (claimed[once] >= told[once]).all()
    assert (claimed[once & (told > 0)] == told[once & (told > 0)]).all()
    assert 0.05 < (told > 0).mean() < 0.95
    for rate, listener in listeners.items():
        assert decoded(listener, good, rate // 50).size == rate // 50


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60])
@pytest.mark.parametrize("rate", opus.RATES)
def test_a_packet_tells_how_long_it_is(rate, milliseconds):
    packet = np.frombuffer(encoded(encoder(rate), sound(440, rate, milliseconds / 1000)), np.uint8)
    told = opus.duration(packet[:1], packet[1:2], np.array([packet.size], np.int32))
    assert told.tolist() == [milliseconds * 48]


def test_what_can_be_no_packet_has_no_duration():
    cases = [
        (0x08, 0, 0),  # nothing at all
        (0x0B, 0, 1),  # several frames, but not how many
        (0x0B, 0, 9),  # none
        (0x1B, 3, 9),  # 180 ms
        (0x09, 0, 4),  # two of the same size in three bytes
        (0x0A, 0, 1),  # two, and the size of none
    ]
    toc, count, length = (np.array(column) for column in zip(*cases, strict=True))
    assert not opus.duration(toc.astype(np.uint8), count.astype(np.uint8), length.astype(np.int32)).any()


def test_without_libopus_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(opus, "_in_wheel", list)
    monkeypatch.setattr("ctypes.util.find_library", lambda name: None)
    with pytest.raises(opus.Missing, match="libopus0 on Debian"):
        opus.library.__wrapped__()


def test_the_wheel_of_pyav_brings_libopus():
    assert opus._in_wheel(), "PyAV is a dependency, and its wheel has av.libs/libopus-*.so"
