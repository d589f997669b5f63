"""Softphones as their users start them, on a machine of `tests.support.machines`; for a sound card there are
files."""

import re
import signal
import wave
from pathlib import Path

import numpy as np

from tests.support.eventually import eventually
from tests.support.machines import Machine, Running
from tests.support.programs import need
from tests.support.sounds import Tone
from tests.support.tones import FREQUENCIES, level


def _say(file: Path, frequency: int) -> None:
    """A minute of that tone, at 8 kHz."""
    turns = 2 * np.pi * frequency * np.arange(8000) / 8000
    second = np.rint(Tone(frequency).amplitude * np.sin(turns)).astype("<i2").tobytes()
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(second * 60)


class Softphone:
    """One that says a tone, and whose `running` program is the last that was started. `rate`: of its
    sound."""

    rate = 8000

    def __init__(self, machine: Machine, frequency: int) -> None:
        self.machine, self.frequency = machine, frequency
        self.running: Running | None = None
        _say(machine.home / f"says-{frequency}.wav", frequency)

    def heard(self) -> "np.typing.NDArray[np.int16]":
        """The last 0.3 s, at 8 kHz."""
        file = self.recording()
        raw = file.read_bytes()[44:] if file is not None else b""
        samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2")
        return samples[-int(0.3 * self.rate) :: self.rate // 8000]

    def recording(self) -> Path | None:
        raise NotImplementedError

    def story(self) -> str:
        log = "" if self.running is None else self.running.log.replace("\r", "\n")
        lines = [line for line in log.splitlines() if "(bit/s)" not in line]
        return f"{self.machine.namespace}: " + "\n".join(lines)[-2000:]


class Baresip(Softphone):
    """`folder`: of its files, in the home."""

    def __init__(self, machine: Machine, frequency: int, folder: str = ".baresip") -> None:
        super().__init__(machine, frequency)
        need("baresip", "baresip")
        self.folder = machine.home / folder

    async def first_start(self) -> None:
        """Makes its files, as the page says; `~/.baresip`, that is."""
        first = await self.machine.start("baresip")
        await eventually(lambda: "is ready" in first.log, what=lambda: first.log)
        await first.stop(signal.SIGKILL)

    def without_sound_card(self, more: str = "") -> None:
        """`more`: lines for its `config`, such as where it listens."""
        file, home = self.folder / "config", self.machine.seen
        config = re.sub(
            r"(?m)^(audio_player|audio_alert)\s.*$", rf"\1 aufile,{home}/\1.wav", file.read_text()
        )
        config = re.sub(
            r"(?m)^audio_source\s.*$", f"audio_source aufile,{home}/says-{self.frequency}.wav", config
        )
        config = config.replace("alsa.so", "aufile.so\nmodule sndfile.so\n")
        file.write_text(f"{config}\nsnd_path {home}\n{more}\n")

    async def run(self, commands: str) -> None:
        self.running = await self.machine.start(commands)

    async def hang_up(self, key: str) -> None:
        """And forget what was heard."""
        self.press(key)
        await eventually(lambda: "terminated (duration" in self.story(), what=self.story)
        for file in self.machine.home.glob("dump-*.wav"):
            file.unlink()

    def press(self, key: str) -> None:
        assert self.running is not None
        self.running.type(key)

    def recording(self) -> Path | None:
        files = sorted(self.machine.home.glob("dump-*-dec.wav"), key=lambda file: file.stat().st_mtime)
        return files[-1] if files else None


class Linphone(Softphone):
    """Its command line. With this server it agrees on Opus."""

    rate = 48_000

    async def run(self, commands: str) -> None:
        need("linphonec", "linphone-cli")
        self.running = await self.machine.start(f"exec 2>&1; {commands}")
        await self.says("linphonec> ")
        home = self.machine.seen
        for line in (
            "soundcard use files",
            f"play {home}/says-{self.frequency}.wav",
            f"record {home}/heard.wav",
        ):
            self.running.type(f"{line}\n")

    async def type(self, text: str) -> None:
        """Its lines, each when the one before has done what it does."""
        assert self.running is not None
        for line in text.splitlines():
            self.running.type(f"{line}\n")
            if line.startswith("register"):
                await eventually(self._registered, every=0.3, what=self.story)
            elif line.startswith("call"):
                await self.says("Media streams established")

    def _registered(self) -> bool:
        assert self.running is not None
        self.running.type("status register\n")
        return "registered, identity=" in self.story()

    async def says(self, text: str) -> None:
        await eventually(lambda: text in self.story(), what=self.story)

    def recording(self) -> Path | None:
        file = self.machine.home / "heard.wav"
        return file if file.exists() else None


def _sounding(samples: "np.typing.NDArray[np.int16]") -> set[int]:
    """Which tones, an AssertionError where one is neither there nor absent. Phones that follow the far end's
    clock, as linphone does, play up to 3 % faster or slower than they are told."""
    levels = {
        tone: max(level(samples, tone * (1 + percent / 200)) for percent in range(-6, 7))
        for tone in FREQUENCIES
    }
    doubtful = {tone: round(value) for tone, value in levels.items() if 300 <= value < 1000}
    assert not doubtful, f"neither there nor absent: {doubtful}"
    return {tone for tone, value in levels.items() if value >= 1000}


async def hear_each_other(*phones: Softphone) -> None:
    """Each hears the tones of all others, and no other."""
    for phone in phones:
        wanted = {other.frequency for other in phones if other is not phone}

        def now(phone: Softphone = phone, wanted: set[int] = wanted) -> bool:
            heard = _sounding(phone.heard())
            assert heard == wanted, f"{phone.machine.namespace} hears {heard}, not {wanted}"
            return True

        what = "\n".join(each.story() for each in phones)
        await eventually(now, every=0.1, what=what)
