"""Where to listen and where to send, as texts name it."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from sip.access import Network, within
from sip.errors import SipError
from sip.flow import Address
from sip.uri import Uri, default_port, parse_host_port

LISTENED = ("udp", "tcp", "tls", "ws", "wss")
"""Transports on which peers reach us."""
DIALLED = ("udp", "tcp", "tls")
"""Transports on which we reach peers; WebSocket connections are made by them alone (RFC 7118)."""


class Bound(NamedTuple):
    """Where the server listens."""

    transport: str
    host: str
    port: int


class Target(NamedTuple):
    """Where a request is to go, before any name is looked up."""

    host: str
    port: int | None
    """None where it is not named."""
    transport: str | None
    """None where it is not named."""
    secure: bool = False
    """A `sips:` URI: nothing but TLS will do."""

    @property
    def address(self) -> tuple[str, int, str]:
        """Host, port and transport with what is usual where they are not named."""
        transport = self.transport or ("tls" if self.secure else "udp")
        return self.host, self.port or default_port(transport), transport


def parse_listen(entry: str) -> tuple[str, Address]:
    """`udp:127.0.0.1:5060` in its parts. ValueError names what is wrong."""
    transport, _, place = entry.partition(":")
    if transport not in LISTENED:
        expected = " or ".join(f"{name}:ADDRESS:PORT" for name in LISTENED)
        raise ValueError(f"{entry}: expected {expected}")
    host, colon, port = place.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535 or not is_ip(host):
        raise ValueError(f"{entry}: expected an IP address and a port behind {transport}:")
    return transport, (host, int(port))


def parse_target(target: str, transport: str | None = None) -> Target:
    """A URI or `host[:port]` in its parts; the URI's transport counts, then `transport`. ValueError for
    another thing."""
    secure = False
    try:
        if target.lower().startswith(("sip:", "sips:")):
            uri = Uri.parse(target)
            secure = uri.scheme == "sips"
            named = uri.parameter("transport")
            transport = uri.transport if secure else named or transport
            host, port = uri.host, uri.port
        elif target.count(":") > 1 and not target.startswith("["):
            host, port = target, None
        else:
            host, port = parse_host_port(target)
    except SipError as error:
        raise ValueError(f"{target}: {error.reason}") from None
    transport = transport.lower() if transport else None
    if transport is not None and transport not in LISTENED:
        raise ValueError(f"{target}: transport {transport} is not supported")
    return Target(host, port, transport, secure)


@lru_cache(maxsize=4_096)
def is_ip(host: str) -> bool:
    """True for an address, False for a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_private_elsewhere(host: str, source: str) -> bool:
    """True for a private address that is not where its sender's packets come from: he sits behind a NAT. A
    name and a public address may well be his."""
    return host != source and is_ip(host) and not ip_address(host.partition("%")[0]).is_global


def is_wildcard(host: str) -> bool:
    """True for the address that stands for all of ours."""
    return host in ("0.0.0.0", "::")


def our_address(advertised: str, local: str, remote: str = "", beside: Iterable[Network] = ()) -> str:
    """What we call ourselves towards a peer (`remote`, IP) who is reached from the local address: the
    advertised address, where there is one of that family and he is in none of the networks `beside` us."""
    if not advertised or (":" in advertised) != (":" in local) or within(remote, beside):
        return local
    return advertised
