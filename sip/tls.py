"""Certificates for TLS, ours and those we believe (RFC 3261 section 26.3.1, RFC 5922)."""

import errno
import ssl
from asyncio import sslproto
from dataclasses import dataclass

# What asyncio reserves for each connection: a quarter of a megabyte, for a thousand phones that say little.
sslproto.SSLProtocol.max_size = 32 * 1024


@dataclass(frozen=True)
class TlsFiles:
    """PEM files by their paths."""

    certificate: str
    """Ours, followed by those between it and its authority."""
    private_key: str = ""
    """Empty: in the same file."""
    client_authorities: str = ""
    """Who vouches for those who connect to us; empty: nobody has to."""
    authorities: str = ""
    """Who vouches for those we connect to; empty: whom the system believes."""


class Tls:
    """The two contexts made from the files. Raises OSError naming the file that is of no use."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self.server, self.client = _contexts(files)

    def reload(self) -> None:
        """Reads certificate and key anew; connections from now on use them. OSError when they are of no
        use: then the old ones stay."""
        _contexts(self._files)
        for context in (self.server, self.client):
            _load(context, self._files)


def _contexts(files: TlsFiles) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(server, files)
    if files.client_authorities:
        server.verify_mode = ssl.CERT_REQUIRED
        _believe(server, files.client_authorities)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.authorities:
        _believe(client, files.authorities)
    else:
        client.load_default_certs(ssl.Purpose.SERVER_AUTH)
    # A carrier may ask for our certificate as well.
    _load(client, files)
    return server, client


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    for path in (files.certificate, files.private_key or files.certificate):
        _readable(path)
    try:
        # The password is asked for on the terminal unless there is one; no key of ours has one.
        context.load_cert_chain(files.certificate, files.private_key or None, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        both = " and ".join(filter(None, (files.certificate, files.private_key)))
        raise OSError(
            errno.EINVAL, f"{both}: expected a certificate and its private key, without a password ({error})"
        ) from error


def _believe(context: ssl.SSLContext, path: str) -> None:
    _readable(path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise OSError(errno.EINVAL, f"{path}: expected certificates of authorities ({error})") from error


def _readable(path: str) -> None:
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")
