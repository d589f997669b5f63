"""FFmpeg's RTP and SRTP as a far end, by its libraries in PyAV's wheel: says a tone, or hears what comes to a
port. `keys` are a suite and a key with its salt, as an a=crypto line has them."""

import asyncio
import tempfile
import time
from pathlib import Path

import av
import numpy as np

from tests.support.sounds import Tone
from tests.support.tones import RATE, Samples

CODECS = {"OPUS": ("libopus", 48000, "opus/48000/2"), "G722": ("g722", 16000, "G722/8000")}
"""Encoder, Hz of the sound, rtpmap."""


Keys = tuple[str, str]


async def says(
    codec: str,
    payload_type: int,
    frequency: int,
    *,
    local_port: int,
    port: int,
    seconds: float,
    keys: Keys | None = None,
) -> None:
    """From `local_port` to `port`, both of 127.0.0.1, in real time."""
    await asyncio.to_thread(_say, codec, payload_type, frequency, local_port, port, seconds, keys)


def _say(
    codec: str,
    payload_type: int,
    frequency: int,
    local_port: int,
    port: int,
    seconds: float,
    keys: Keys | None,
) -> None:
    encoder, rate, _ = CODECS[codec]
    frame = rate // 50
    url = f"rtp://127.0.0.1:{port}?localrtpport={local_port}"
    options = f"f=rtp:payload_type={payload_type}"
    if keys:
        url = f"s{url}"
        options += f":srtp_out_suite={keys[0]}:srtp_out_params={keys[1]}"
    # By way of tee, which hands a protocol its options; PyAV gives them to the muxer alone.
    with av.open(f"[{options}]{url}", "w", format="tee") as out:
        stream = out.add_stream(encoder, rate=rate, layout="mono")
        begun = time.monotonic()
        for number in range(int(seconds * 50)):
            turns = 2 * np.pi * frequency * np.arange(number * frame, (number + 1) * frame) / rate
            samples = np.rint(Tone(frequency).amplitude * np.sin(turns)).astype(np.int16)
            sound = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            sound.sample_rate, sound.pts = rate, number * frame
            for packet in stream.encode(sound):
                out.mux(packet)
            time.sleep(max(0.0, begun + number / 50 - time.monotonic()))


async def hears(
    codec: str, payload_type: int, *, port: int, seconds: float, keys: Keys | None = None
) -> Samples:
    """What comes to `port` of 127.0.0.1, at 8 kHz, so many seconds of it."""
    return await asyncio.to_thread(_hear, codec, payload_type, port, seconds, keys)


def _hear(codec: str, payload_type: int, port: int, seconds: float, keys: Keys | None) -> Samples:
    name = CODECS[codec][2]
    with tempfile.TemporaryDirectory(prefix="ffmpeg-") as folder:
        description = Path(folder) / "heard.sdp"
        description.write_text(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio {port} RTP/{'SAVP' if keys else 'AVP'} {payload_type}\n"
            f"a=rtpmap:{payload_type} {name}\n" + (f"a=crypto:1 {keys[0]} inline:{keys[1]}\n" if keys else "")
        )
        heard: list[Samples] = []
        options = {"protocol_whitelist": "file,udp,rtp", "analyzeduration": "100000", "probesize": "2000"}
        with av.open(str(description), format="sdp", options=options, timeout=30.0) as source:
            for frame in source.decode(audio=0):
                planes = frame.to_ndarray()
                left = planes[0] if frame.format.is_planar else planes[0, :: frame.layout.nb_channels]
                if left.dtype != np.int16:
                    left = np.rint(left * 32767).astype(np.int16)
                heard.append(left[:: frame.sample_rate // RATE])
                if sum(map(len, heard)) >= seconds * RATE:
                    return np.concatenate(heard)
    raise AssertionError(f"{name}: the stream ended")
