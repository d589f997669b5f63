"""The server as its users start it: a process of its own, a TOML file, free ports, its own data folder.

Nothing here imports the server; what is known of it is in its command line, its configuration and /healthz.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.free_ports import free_port, free_range

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "9900000"
APPLICATION = "3f1d4c4e-7b1b-4d0c-8f7e-000000000001"
USER, PASSWORD = "demo", "secret-of-the-tests"

Section = Mapping[str, Any]


def toml(config: Mapping[str, Section | list[Section]]) -> str:
    """Sections and arrays of sections with plain values; JSON's scalars and lists are TOML's."""
    lines: list[str] = []
    for name, content in config.items():
        for section in content if isinstance(content, list) else [content]:
            lines.append(f"[[{name}]]" if isinstance(content, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in section.items()]
            lines.append("")
    return "\n".join(lines)


def command() -> list[str]:
    """The console script beside this interpreter, else the package as a module."""
    script = Path(sys.executable).with_name("mixminus")
    return [str(script)] if script.exists() else [sys.executable, "-m", "mixminus"]


class Server:
    """`sections` are merged over what a test needs: free ports, a data folder, one account, one application
    that asks `application_url` (None: no such section, so the built-in document answers).

    `bare`: no file at all; ports and folder come through the environment, as for one who configures nothing.
    """

    def __init__(
        self,
        application_url: str | None = None,
        *,
        sections: Mapping[str, Any] | None = None,
        numbers: Sequence[str] = ("*",),
        callback_timeout: int = 15,
        listen: str | Sequence[str] = "127.0.0.1",
        rtp_ports: int = 64,
        environment: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        bare: bool = False,
    ) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="mixminus-test-")
        self.rtp_ports = free_range(rtp_ports)
        self.sip_port = free_port()
        self.http_port = free_port()
        self.bare = bare
        self.numbers = list(numbers)
        self.callback_timeout = callback_timeout
        self.listen = [listen] if isinstance(listen, str) else list(listen)
        self.arguments = arguments
        self.environment = {**os.environ, **(environment or {})}
        self.log_file = Path(self.directory.name) / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.config = {} if bare else self._config(application_url, sections or {})
        if bare:
            self.environment |= {
                "MIXMINUS_SIP__LISTEN": json.dumps(self._listen()),
                "MIXMINUS_RTP__PORTS": json.dumps(self.rtp_ports),
                "MIXMINUS_HTTP__LISTEN": json.dumps(f"127.0.0.1:{self.http_port}"),
                "MIXMINUS_HTTP__PUBLIC_URL": json.dumps(self.http),
                "MIXMINUS_DATA__DIRECTORY": json.dumps(str(self.data)),
            }

    def _listen(self) -> list[str]:
        return [f"{transport}:{host}:{self.sip_port}" for host in self.listen for transport in ("udp", "tcp")]

    def _config(self, application_url: str | None, sections: Mapping[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = {
            "sip": {"listen": self._listen()},
            "rtp": {"address": "127.0.0.1", "ports": self.rtp_ports},
            "http": {"listen": f"127.0.0.1:{self.http_port}", "public_url": self.http},
            "data": {"directory": str(self.data)},
            "accounts": [{"id": ACCOUNT, "username": USER, "password": PASSWORD}],
        }
        if application_url is not None:
            config["applications"] = [
                {
                    "id": APPLICATION,
                    "account": ACCOUNT,
                    "numbers": self.numbers,
                    "call_initiated_url": f"{application_url}/initiate",
                    "call_status_url": f"{application_url}/status",
                    "callback_timeout": self.callback_timeout,
                }
            ]
        for name, content in sections.items():
            if isinstance(content, Mapping) and isinstance(config.get(name), dict):
                config[name] = {**config[name], **content}
            else:
                config[name] = content
        return config

    @property
    def data(self) -> Path:
        return Path(self.directory.name) / "data"

    @property
    def sip(self) -> tuple[str, int]:
        return "127.0.0.1", self.sip_port

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def api(self) -> str:
        return f"{self.http}/api/v2/accounts/{ACCOUNT}"

    def uri(self, user: str) -> str:
        return f"sip:{user}@127.0.0.1:{self.sip_port}"

    # --- life

    def spawn(self) -> "Server":
        line = [*command(), "serve"]
        if not self.bare:
            file = Path(self.directory.name) / "mixminus.toml"
            file.write_text(toml(self.config))
            line += ["--config", str(file)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*line, *self.arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own: signals of the test run do not reach it
            )
        return self

    def start(self, within: float = 60.0) -> "Server":
        """Up means that /healthz says so."""
        self.spawn()
        deadline = time.monotonic() + within
        while not self.healthy():
            assert self.process is not None
            assert self.process.poll() is None, f"exit {self.process.returncode} at the start\n{self.log}"
            assert time.monotonic() < deadline, f"not up within {within} s\n{self.log}"
            time.sleep(0.05)
        return self

    def healthy(self) -> bool:
        return self.health()[0] == 200

    def health(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /healthz; status 0 while nobody listens."""
        try:
            return self._health()
        except OSError:
            return 0, {}

    def _health(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.http}/healthz", timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    @property
    def pids(self) -> dict[str, Any]:
        return dict(self.health()[1]["pids"])

    def stop(self, *, within: float = 60.0, expect_clean: bool = True) -> int:
        """SIGTERM to the whole group, as a terminal or a service manager does; the exit status."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            status = process.wait(within)
        except subprocess.TimeoutExpired as late:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise AssertionError(f"not stopped within {within} s\n{self.tail()}") from late
        finally:
            self.process = None
        if expect_clean:
            assert status == 0, f"exit {status}\n{self.tail()}"
            problems = self.problems()
            assert not problems, "in its log:\n" + "\n".join(problems)
        return status

    def kill(self) -> None:
        """Whatever is left of it, at once: for the end of a test that has failed already."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def close(self) -> None:
        self.kill()
        self.directory.cleanup()

    # --- what it says

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.splitlines()[-lines:])

    def records(self) -> list[dict[str, Any]]:
        """The log's JSON lines."""
        return [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def problems(self) -> list[str]:
        """Lines that a healthy run does not write."""
        pattern = re.compile(
            r'Traceback|"level": ?"(error|critical)"|^(ERROR|CRITICAL)\b|never (retrieved|awaited)'
        )
        return [line for line in self.log.splitlines() if pattern.search(line)]

    def metrics(self) -> dict[str, float]:
        """/metrics as name, labels included, to value."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def descriptors(self) -> dict[int, int]:
        """Open file descriptors of each of its processes."""
        pids = self.pids
        processes = [pids["control"], *pids["media"], *pids["speech"]]
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in processes}
