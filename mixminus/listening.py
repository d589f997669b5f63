"""Whether the addresses that a configuration names can be had, found out before the server is loaded.

To load it takes a second of CPU, which on a busy machine is several: who starts a second server, or names an
address that is not of this machine, is told before that.
"""

import errno
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

from mixminus.settings import Config
from sip.uri import host_port

PATIENCE = 1.5
"""Seconds for which somebody may still hold an address."""

PATIENCE_WITH_OURS = 10.0
"""The same of a server that says that it is stopping: it waits for phones that do not answer its BYE, and for
the last webhooks."""

_PAUSE = 0.05
_ANSWER = 0.5  # seconds for whoever listens at http.listen to say who he is
_MOST_SAID = 4_096
_MOST_PORTS = 512  # of rtp.ports; no more are used


def await_addresses(config: Config, started: float) -> None:
    """Return when nobody else holds an address of `sip.listen`, `http.listen` and `rtp.ports`.

    `started`: when we were (monotonic). Raises OSError naming the key and the address that cannot be had, or
    is still held after `PATIENCE`; after `PATIENCE_WITH_OURS` where a server has said at `http.listen` that
    it is stopping, which closes that address before its others.
    """
    deadline, ours = started + PATIENCE, False
    for key, kind, host, port, shown in _addresses(config):
        while (error := _refusal(kind, host, port)) is not None:
            if error.errno == errno.EADDRINUSE and not ours and _stopping(config):
                deadline, ours = started + PATIENCE_WITH_OURS, True
            if error.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
                raise OSError(error.errno, f"{key} {shown}: {error.strerror}")
            time.sleep(_PAUSE)


def _stopping(config: Config) -> bool:
    """Whether who answers at `http.listen` is a server of ours that is about to end."""
    host, port = config.http.listen
    if not port:
        return False
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    request = f"GET /healthz HTTP/1.1\r\nHost: {host_port(reachable, port)}\r\nConnection: close\r\n\r\n"
    until, said = time.monotonic() + _ANSWER, b""
    try:
        with socket.create_connection((reachable, port), _ANSWER) as asked:
            asked.sendall(request.encode())
            while len(said) < _MOST_SAID and (left := until - time.monotonic()) > 0:
                asked.settimeout(left)
                if not (part := asked.recv(_MOST_SAID)):
                    break
                said += part
    except OSError:  # nobody is there, or he does not say anything
        return False
    head, _, body = said.partition(b"\r\n\r\n")
    try:
        health = json.loads(body)
    except (ValueError, RecursionError):
        return False
    stops = isinstance(health, dict) and health.get("status") == "stopping"
    return stops and head.split(b" ", 2)[1:2] == [b"503"]


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
