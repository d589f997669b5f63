"""Kamailio as a carrier (tests/e2e/kamailio) or an edge proxy (examples/kamailio)."""

import asyncio
import json
import os
import signal
import tempfile
from pathlib import Path

from tests.support.certificates import Certificate
from tests.support.eventually import eventually
from tests.support.free_ports import free_port, is_free
from tests.support.programs import need
from tests.support.server import ROOT

CONFIGURATIONS = {
    "carrier": ROOT / "tests" / "e2e" / "kamailio" / "carrier.cfg",
    "edge": ROOT / "examples" / "kamailio" / "edge.cfg",
}


class Kamailio:
    """`async with Kamailio("edge", "127.0.0.43", certificate, authority, SERVER="sip:...") as proxy:`

    It listens on one address, by UDP and TCP at `port` and by TLS at `tls_port`; the values are what its
    configuration is given.
    """

    def __init__(
        self, name: str, address: str, certificate: Certificate, authority: str, **values: str
    ) -> None:
        self.program = need("kamailio", "kamailio-tls-modules")
        self.file = CONFIGURATIONS[name]
        self.address, self.port, self.tls_port = address, free_port(address), free_port(address)
        self.directory = tempfile.TemporaryDirectory(prefix="kamailio-")
        self.log_file = Path(self.directory.name) / "log"
        self.values = {
            **values,
            "CERTIFICATE": certificate.certificate,
            "KEY": certificate.private_key,
            "AUTHORITY": authority,
        }
        self.process: asyncio.subprocess.Process | None = None

    @property
    def udp(self) -> tuple[str, int]:
        return self.address, self.port

    async def __aenter__(self) -> "Kamailio":
        await self.start()
        return self

    async def start(self) -> None:
        listen = [f"{kind}:{self.address}:{self.port}" for kind in ("udp", "tcp")]
        listen.append(f"tls:{self.address}:{self.tls_port}")
        line = [self.program, "-f", str(self.file), "-DD", "-E", "-Y", self.directory.name, "-m", "32"]
        for place in listen:
            line += ["-l", place]
        line += ["-A", f"ADDRESS={self.address}"]
        for name, value in self.values.items():
            line += ["-A", f"{name}={json.dumps(value)}"]
        with self.log_file.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *line,
                cwd=self.directory.name,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # its processes are a group of their own, and end as one
            )
        try:
            await eventually(self._listens, what=self.story)
        except BaseException:
            await self.__aexit__()
            raise

    async def _listens(self) -> bool:
        assert self.process is not None and self.process.returncode is None, "it has ended"
        try:
            _, writer = await asyncio.open_connection(self.address, self.tls_port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    async def kill(self) -> None:
        """All its processes, at once."""
        if self.process is not None and self.process.returncode is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            await self.process.wait()
            # Its children, whom nobody here waits for, hold its sockets until they are gone too.
            await eventually(lambda: all(is_free(port, self.address) for port in (self.port, self.tls_port)))

    def story(self) -> str:
        return "kamailio: " + self.log_file.read_text(errors="replace")[-4000:]

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        self.directory.cleanup()
