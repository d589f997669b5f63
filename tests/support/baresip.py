"""baresip as a second, independent phone: headless, its folder made on the fly, commanded over TCP."""

import asyncio
import json
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.eventually import eventually
from tests.support.free_ports import free_port, free_range
from tests.support.programs import missing, need
from tests.support.sounds import Tone

MODULES = Path("/usr/lib/baresip/modules")
CONFIG = """\
module_path {modules}
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
rtp_ports {rtp}
audio_player aufile,{folder}/player.wav
audio_source aufile,{folder}/source.wav
audio_alert aufile,{folder}/alert.wav
ausrc_format s16
snd_path {folder}
{modules_of_its_own}
module g711.so
module aufile.so
module sndfile.so
module ctrl_tcp.so
module_app account.so
module_app contact.so
module_app menu.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


CODECS = {  # by its own name: module, Hz and channels of its sound
    "PCMU": ("g711", 8000, 1),
    "PCMA": ("g711", 8000, 1),
    "L16/16000/1": ("l16", 16000, 1),
    "G722/16000/1": ("g722", 16000, 1),
    "opus/48000/2": ("opus", 48000, 2),
}


class Baresip:
    """`async with Baresip("alice", frequency=1130) as phone: await phone.dial(uri)`

    It offers one of `CODECS`, and SRTP or no call with `encrypted`, SRTP where the other side can with
    `keys_offered`. It answers no call by itself. What it decoded is in `heard()`, written by its sndfile
    module.
    """

    def __init__(
        self,
        user: str,
        *,
        frequency: int,
        password: str = "",
        registrar: str = "",
        codec: str = "PCMU",
        transport: str = "udp",
        encrypted: bool = False,
        keys_offered: bool = False,
    ) -> None:
        wanted = "srtp-mand" if encrypted else "srtp" if keys_offered else ""
        self.program = need("baresip", "baresip")
        module, self.rate, self.channels = CODECS[codec]
        own = {module} - {"g711"} | ({"srtp"} if wanted else set())
        for module in ("g711", "aufile", "sndfile", "ctrl_tcp", "menu", "account", "contact", *own):
            if not (MODULES / f"{module}.so").exists():
                missing(f"baresip lacks {module}.so; install it with: sudo apt-get install baresip")
        self.directory = tempfile.TemporaryDirectory(prefix="baresip-")
        folder = Path(self.directory.name)
        self.folder = folder
        self.port, self.control_port = free_port(), free_port()
        (folder / "config").write_text(
            CONFIG.format(
                modules=MODULES,
                sip=self.port,
                rtp=free_range(20),
                folder=folder,
                control=self.control_port,
                modules_of_its_own="\n".join(f"module {name}.so" for name in sorted(own)),
            )
        )
        secret = f";auth_pass={password}" if password else ""
        secret += f";mediaenc={wanted}" if wanted else ""
        (folder / "accounts").write_text(
            f"<sip:{user}@{registrar or '127.0.0.1'};transport={transport}>;regint={60 if registrar else 0}"
            f";audio_codecs={codec}{secret}\n"
        )
        (folder / "contacts").touch()
        self._write_source(folder / "source.wav", frequency)
        self.log_file = folder / "log"
        self.events: list[dict[str, Any]] = []
        self.process: asyncio.subprocess.Process | None = None
        self._control: asyncio.StreamWriter | None = None
        self._reader: asyncio.Task[None] | None = None

    def _write_source(self, file: Path, frequency: int) -> None:
        tone = Tone(frequency)
        turns = 2 * np.pi * frequency * np.arange(self.rate) / self.rate
        second = np.rint(tone.amplitude * np.sin(turns)).astype("<i2").repeat(self.channels)
        with wave.open(str(file), "wb") as out:
            out.setnchannels(self.channels)
            out.setsampwidth(2)
            out.setframerate(self.rate)
            out.writeframes(second.tobytes() * 30)

    async def __aenter__(self) -> "Baresip":
        with self.log_file.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(self.program, "-f", str(self.folder), "-v"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        await eventually(self._connect, what=self.story)
        return self

    async def _connect(self) -> bool:
        try:
            reader, self._control = await asyncio.open_connection("127.0.0.1", self.control_port)
        except ConnectionRefusedError:
            return False
        self._reader = asyncio.get_running_loop().create_task(self._read(reader))
        return True

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Netstrings of JSON: "17:{...},"."""
        try:
            while True:
                length = int((await reader.readuntil(b":"))[:-1])
                self.events.append(json.loads(await reader.readexactly(length)))
                await reader.readexactly(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def _command(self, name: str, parameters: str = "") -> None:
        assert self._control is not None
        text = json.dumps({"command": name, "params": parameters}).encode()
        self._control.write(b"%d:%s," % (len(text), text))
        await self._control.drain()

    def _count(self, event: str) -> int:
        return sum(1 for entry in self.events if entry.get("type") == event)

    async def dial(self, uri: str) -> None:
        await self._command("dial", uri)
        await eventually(lambda: self._count("CALL_ESTABLISHED"), what=self.story)

    async def answer(self) -> None:
        """The call that rings, as soon as one does."""
        await eventually(lambda: self._count("CALL_INCOMING"), what=self.story)
        await self._command("accept")

    async def registered(self) -> None:
        """Its registration, which it makes at the start where it is given a registrar, has been accepted."""
        await eventually(lambda: "200 OK" in self.story(), what=self.story)

    async def hold(self) -> None:
        await self._command("hold")

    async def resume(self) -> None:
        await self._command("resume")

    async def transfer(self, uri: str) -> None:
        """Blindly: a REFER in its call."""
        await self._command("transfer", uri)

    async def press(self, digits: str) -> None:
        """Each key as an RFC 4733 event of its own."""
        for digit in digits:
            await self._command("sndcode", digit)

    @property
    def pressed(self) -> str:
        """The keys that the far end pressed."""
        return "".join(str(entry["param"]) for entry in self.events if entry.get("type") == "CALL_DTMF_START")

    async def hang_up(self) -> None:
        await self._command("hangup")
        await eventually(lambda: self._count("CALL_CLOSED"), what=self.story)

    def heard(self, *, last: float | None = None) -> "np.typing.NDArray[np.int16]":
        """At 8 kHz whatever the codec's rate: samples are left out, of which a low tone loses nothing."""
        files = sorted(self.folder.glob("dump-*-dec.wav"))
        if not files:
            return np.zeros(0, np.int16)
        raw = files[-1].read_bytes()[44:]
        samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2")[:: self.rate // 8000 * self.channels]
        return samples[-int(last * 8000) :] if last is not None else samples

    def story(self) -> str:
        text = self.log_file.read_text(errors="replace")
        lines = [line for line in text.replace("\r", "\n").split("\n") if "(bit/s)" not in line]
        return "baresip: " + "\n".join(lines)[-3000:]

    async def __aexit__(self, *_: object) -> None:
        if self._control is not None:
            self._control.close()
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self._reader is not None:
            await self._reader
        self.directory.cleanup()
