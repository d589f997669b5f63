"""sipp as a peer: scenarios are the XML files in tests/e2e/sipp, its own by name ("uac", "uas"), or XML made
of steps (`sipp_steps`)."""

import asyncio
import tempfile
from pathlib import Path

from tests.support.free_ports import free_port, free_range
from tests.support.programs import need

SCENARIOS = Path(__file__).resolve().parents[1] / "e2e" / "sipp"


class Sipp:
    """One run of sipp. `async with Sipp(...) as sipp:` starts it; `await sipp.done()` wants exit status 0.

    As a client give `remote`; as a server give none. Its RTP is echoed, or played where the scenario says so.
    """

    def __init__(
        self,
        scenario: str,
        *,
        remote: tuple[str, int] | None = None,
        user: str = "service",
        calls: int = 1,
        rate: int = 10,
        transport: str = "u1",
        hold_milliseconds: int = 1000,
        arguments: tuple[str, ...] = (),
        port: int | None = None,
    ) -> None:
        self.program = need("sipp", "sip-tester")
        self.directory = tempfile.TemporaryDirectory(prefix="sipp-")
        self.port = port or free_port()
        self.media_port = int(free_range(4).split("-")[0])
        file = SCENARIOS / f"{scenario}.xml"
        if scenario.startswith("<?xml"):
            file = Path(self.directory.name) / "scenario.xml"
            file.write_text(scenario)
        chosen = ["-sf", str(file)] if file.exists() else ["-sn", scenario]
        self.line = [
            self.program,
            *chosen,
            *("-i", "127.0.0.1", "-p", str(self.port), "-mi", "127.0.0.1", "-mp", str(self.media_port)),
            *("-s", user, "-m", str(calls), "-r", str(rate), "-t", transport, "-d", str(hold_milliseconds)),
            *("-nostdin", "-trace_err", "-trace_msg", "-timeout", "60s"),
            *arguments,
        ]
        if remote is not None:
            self.line.append(f"{remote[0]}:{remote[1]}")
        self.process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    async def __aenter__(self) -> "Sipp":
        self.process = await asyncio.create_subprocess_exec(
            *self.line,
            cwd=self.directory.name,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None:
            if self.process.returncode is None:
                self.process.kill()
            await self.process.communicate()
        self.directory.cleanup()

    async def done(self, within: float = 90.0) -> None:
        assert self.process is not None
        try:
            _, errors = await asyncio.wait_for(self.process.communicate(), within)
        except TimeoutError as late:
            raise AssertionError(f"sipp is not done within {within} s\n{self.story()}") from late
        assert self.process.returncode == 0, (
            f"sipp: exit {self.process.returncode}\n{errors.decode()}\n{self.story()}"
        )

    def _texts(self, suffix: str) -> str:
        files = sorted(Path(self.directory.name).glob(f"*{suffix}"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    def story(self) -> str:
        return self._texts("_errors.log")[-4000:] + self._texts("_messages.log")[-8000:]
