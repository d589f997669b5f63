"""Which addresses a request out may reach.

URLs come from strangers (a BXML document, a REST body), so the address is judged after the name was resolved,
and the judged address is the one connected to. Public unicast is always allowed. Everything else needs the
operator's word: a network in `allow`, or the host named in the configuration. Cloud metadata services answer
on addresses of their own and give out keys: those need to be named letter by letter.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# IANA IPv4 special-purpose registry: all that is not globally reachable unicast. Spelt out because
# `ipaddress.is_global` differs between the Python versions this runs on.
_SPECIAL_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# Of IPv6 only 2000::/3 is handed out as global unicast, and these parts of it are not that. They include
# Teredo and 6to4, which carry an IPv4 address; IPv4-mapped and NAT64 addresses lie outside 2000::/3.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "192.0.0.192",
        "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
    )
)  # fmt: skip

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")


def embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 transition address leads to (mapped, compatible, 6to4, Teredo, NAT64)."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def is_public(address: Address) -> bool:
    """Is this globally reachable unicast, by IANA's special-purpose address registries?"""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _SPECIAL_V6)


def is_metadata(address: Address) -> bool:
    """Is this, or does it lead to, the metadata service of a cloud?"""
    return address in _METADATA or embedded(address) in _METADATA


def host_key(host: str) -> str:
    """A host as policy compares it: lower case, without brackets and the root's dot."""
    return host.strip("[]").rstrip(".").lower()


class Policy:
    """`allow`: networks that any URL may reach. `named`: "host" or "host:port" as the configuration has them,
    which may resolve to any address. `require_https`: credentials only over https.

    Raises ValueError naming the entry when a network cannot be read.
    """

    def __init__(
        self, allow: Iterable[str | Network] = (), named: Iterable[str] = (), *, require_https: bool = False
    ) -> None:
        self.allow = tuple(ip_network(entry, strict=False) for entry in allow)
        self.require_https = require_https
        self.name(named)

    def name(self, named: Iterable[str]) -> None:
        """Other hosts that the configuration names from now on."""
        self.named = frozenset(entry.lower() for entry in named)

    def names(self, host: str, port: int) -> bool:
        """Is this host, at this port or at any, named in the configuration?"""
        key = host_key(host)
        return not self.named.isdisjoint((key, f"{key}:{port}", f"[{key}]:{port}", f"[{key}]"))

    def refuses_port(self, host: str, port: int) -> str | None:
        """The reason why a port may not be called, or None (ports: contract, webhooks)."""
        if port in (80, 443) or port >= 1024 or self.names(host, port):
            return None
        return f"port {port} may not be called: expected 80, 443 or one from 1024 up"

    def refuses(self, host: str, port: int, address: Address) -> str | None:
        """The reason why `host`, resolved to `address`, may not be reached, or None if it may."""
        if isinstance(address, IPv6Address):
            address = IPv6Address(int(address))  # without its zone, which would make equal addresses differ
        named = self.names(host, port)
        if is_metadata(address):
            literal = host_key(host) == str(address)
            return None if named and literal else f"{address} is a metadata service's address"
        if named or is_public(address) or self._allows(address):
            return None
        return f"{address} is not a public address, and webhooks.allow has no network with it"

    def _allows(self, address: Address) -> bool:
        inner = embedded(address)
        return any(address in network or (inner is not None and inner in network) for network in self.allow)
