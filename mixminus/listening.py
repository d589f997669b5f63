"""Whether the addresses that a configuration names can be had, found out before the server is loaded.

To load it takes a second of CPU, which on a busy machine is several: who starts a second server, or names an
address that is not of this machine, is told before that.
"""

import errno
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

from mixminus.settings import Config
from sip.uri import host_port

PATIENCE = 1.5
"""Seconds for which a predecessor that has just been told to end may still hold its addresses."""

_PAUSE = 0.05
_MOST_PORTS = 512  # of rtp.ports; no more are used


def await_addresses(config: Config, deadline: float) -> None:
    """Return when nobody else holds an address of `sip.listen`, `http.listen` and `rtp.ports`.

    Raises OSError naming the key and the address that cannot be had, or not by the deadline (monotonic).
    """
    for key, kind, host, port, shown in _addresses(config):
        while (error := _refusal(kind, host, port)) is not None:
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise OSError(error.errno, f"{key} {shown}: {error.strerror}")
            time.sleep(_PAUSE)


def _addresses(config: Config) -> Iterator[tuple[str, socket.SocketKind, str, int, str]]:
    """Key, kind of socket, address, port, and how the configuration writes it."""
    for entry, place in zip(config.sip.listen, config.sip.endpoints, strict=True):
        kind = socket.SOCK_DGRAM if place.transport == "udp" else socket.SOCK_STREAM
        yield "sip.listen", kind, place.address, place.port, entry
    host, port = config.http.listen
    yield "http.listen", socket.SOCK_STREAM, host, port, host_port(host, port)
    first, last = config.rtp.first_and_last
    address = config.rtp.address
    yield "rtp.address", socket.SOCK_DGRAM, address, 0, address
    for port in range(first, min(last + 1, first + _MOST_PORTS)):
        yield "rtp.ports", socket.SOCK_DGRAM, address, port, host_port(address, port)


def _refusal(kind: socket.SocketKind, host: str, port: int) -> OSError | None:
    """Why an address cannot be bound now, None where it can."""
    six = ":" in host
    try:
        with socket.socket(socket.AF_INET6 if six else socket.AF_INET, kind) as probe:
            if six:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def settle_ports(config: Config, before: Config | None = None) -> Config:
    """The configuration with a free port for each 0, or the one that it had `before`: so that what is said of
    addresses, in events too, is known before anything listens."""
    listen = []
    for index, place in enumerate(config.sip.endpoints):
        if not place.port:
            known = before.sip.endpoints if before is not None else ()
            kind = socket.SOCK_DGRAM if place.transport == "udp" else socket.SOCK_STREAM
            port = known[index].port if index < len(known) else _free_port(kind, place.address)
            place = place._replace(port=port)
        listen.append(str(place))
    host, port = config.http.listen
    http = config.http
    if not port:
        port = before.http.listen[1] if before is not None else _free_port(socket.SOCK_STREAM, host)
        url = http.public_url
        url = f"{url[:-1]}{port}" if url.endswith(":0") else url
        http = replace(http, listen=(host, port), public_url=url)
    return replace(config, sip=replace(config.sip, listen=tuple(listen)), http=http)


def _free_port(kind: socket.SocketKind, host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
