"""Certificates for tests, made by the openssl program: an authority of one's own and what it vouches for."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import need


@dataclass(frozen=True)
class Certificate:
    """PEM files."""

    certificate: str
    private_key: str


class Authority:
    """Vouches for names and addresses; everybody who has its `certificate` believes it."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._openssl = need("openssl", "openssl")
        self._folder = folder
        self._made = 0
        self._own = self._paths(name)
        self._run(
            *("req", "-x509", *_KEY, "-keyout", self._own.private_key, "-out", self._own.certificate),
            *("-subj", f"/CN={name}", "-days", "30", "-addext", "keyUsage=critical,keyCertSign"),
        )
        self.certificate = self._own.certificate

    def issue(self, *names: str, into: str = "") -> Certificate:
        """For these subject alternative names, like `DNS:sip.example.com` or `IP:127.0.0.1`; one issued
        `into` the same name before is written over."""
        self._made += 1
        paths = self._paths(into or f"issued-{self._made}")
        self._run(
            *("req", "-x509", *_KEY, "-keyout", paths.private_key, "-out", paths.certificate),
            *("-CA", self._own.certificate, "-CAkey", self._own.private_key, "-days", "30"),
            *("-subj", f"/CN=test-{self._made}", "-addext", f"subjectAltName={','.join(names)}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        )
        return paths

    def _paths(self, name: str) -> Certificate:
        return Certificate(str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key"))

    def _run(self, *arguments: str) -> None:
        subprocess.run([self._openssl, *arguments], check=True, capture_output=True, timeout=60)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
