"""linphone's command line as a phone: headless, its sound from and into files, commanded line by line."""

import asyncio
import os
import re
import tempfile
import wave
from pathlib import Path

import numpy as np

from tests.support.eventually import eventually
from tests.support.free_ports import free_port, free_range
from tests.support.programs import need
from tests.support.sounds import Tone

CONFIG = """\
[sip]
contact="{user}" <sip:{user}@127.0.0.1>
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port=0
guess_hostname=0
use_ipv6=0
root_ca={authority}
media_encryption={encryption}
media_encryption_mandatory={insists:d}
[rtp]
audio_rtp_port={rtp}
[sound]
echocancellation=0
[video]
enabled=0
"""


class Linphone:
    """`async with Linphone("alice", frequency=1130) as phone: await phone.dial(uri)`

    It answers no call by itself. What it heard is in `heard()`. It offers one codec, named as in its own list
    (G722 has a rate of 8000 there); `encryption` is "none" or "srtp", on which it `insists` or not;
    `authority` a PEM file, for TLS.
    """

    def __init__(
        self,
        user: str,
        *,
        frequency: int,
        codec: str = "PCMU",
        rate: int = 8000,
        encryption: str = "none",
        insists: bool = False,
        authority: str = "",
    ) -> None:
        self.program = need("linphonec", "linphone-cli")
        self.user = user
        self.codec = f"{codec} ({rate})"
        self.directory = tempfile.TemporaryDirectory(prefix="linphone-")
        self.folder = Path(self.directory.name)
        (self.folder / ".local/share/linphone").mkdir(parents=True)  # where its database must be
        (self.folder / "linphonerc").write_text(
            CONFIG.format(
                user=user,
                udp=free_port(),
                tcp=free_port(),
                rtp=free_range(4).partition("-")[0],
                encryption=encryption,
                insists=insists,
                authority=authority,
            )
        )
        turns = 2 * np.pi * frequency * np.arange(8000) / 8000
        tone = np.rint(Tone(frequency).amplitude * np.sin(turns)).astype("<i2")
        with wave.open(str(self.folder / "says.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(tone.tobytes() * 60)
        self.log_file = self.folder / "log"
        self.process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Linphone":
        with self.log_file.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *("stdbuf", "-oL", self.program, "-c", str(self.folder / "linphonerc")),
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder)},
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.order("codec disable all")
        codec = re.compile(rf"(\d+): {re.escape(self.codec)} disabled")
        found = await eventually(lambda: codec.search(self.story()), what=self.story)
        self.order(f"codec enable {found[1]}")
        self.order("soundcard use files")
        self.order(f"play {self.folder / 'says.wav'}")
        self.order(f"record {self.folder / 'heard.wav'}")
        return self

    def order(self, line: str) -> None:
        """One command of its prompt."""
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")

    async def said(self, text: str, number: int = 1) -> None:
        """Waits until it has said that so many times."""
        await eventually(lambda: self.story().count(text) >= number, what=self.story)

    async def register(self, server: str, password: str) -> None:
        """With `server`, a host and port."""
        self.order(f"register sip:{self.user}@{server} sip:{server} {password}")

        def registered() -> bool:
            self.order("status register")
            return "registered, identity=" in self.story()

        await eventually(registered, every=0.2, what=self.story)

    async def dial(self, uri: str) -> None:
        self.order(f"call {uri}")
        await self.said("Media streams established")

    def press(self, digits: str) -> None:
        """Each key as an RFC 4733 event of its own: what it reads as digits it sends to its call."""
        self.order(digits)

    @property
    def pressed(self) -> str:
        """The keys that the far end pressed."""
        return "".join(re.findall(r"Receiving tone (.) from", self.log_file.read_text(errors="replace")))

    def heard(self, *, last: float, rate: int = 8000) -> "np.typing.NDArray[np.int16]":
        """At 8 kHz; `rate` is that of the codec's sound. The file is written as fast as it hears."""
        file = self.folder / "heard.wav"
        raw = file.read_bytes()[44:] if file.exists() else b""
        return np.frombuffer(raw[: len(raw) // 2 * 2], "<i2")[-int(last * rate) :: rate // 8000]

    def story(self) -> str:
        return "linphone: " + self.log_file.read_text(errors="replace")[-6000:]

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.returncode is None:
            self.order("quit")
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self.directory.cleanup()
