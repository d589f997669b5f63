"""The subnets of this machine's network interfaces, as the system knows them."""

import socket
import struct
import sys
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

from mixminus.kinds import Network

# linux/sockios.h
_SIOCGIFADDR = 0x8915
_SIOCGIFNETMASK = 0x891B

_IF_INET6 = Path("/proc/net/if_inet6")


def subnet(address: str) -> Network | None:
    """The subnet of the interface that has this address; None when none has it or the system does not say."""
    if sys.platform != "linux":
        return None
    host = ip_address(address)
    return _subnet_v4(host) if isinstance(host, IPv4Address) else _subnet_v6(address)


def _subnet_v4(address: IPv4Address) -> Network | None:
    """Asks each interface for its address beside ours (netdevice(7)): the kernel answers for ours where the
    interface has it, else for its first, so the mask is only asked for where ours came back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("16sHH4s16x", name.encode(), socket.AF_INET, 0, address.packed)
            if _ask(asked, _SIOCGIFADDR, request) == address.packed:
                mask = IPv4Address(_ask(asked, _SIOCGIFNETMASK, request))
                return ip_network(f"{address}/{mask}", strict=False)
    return None


def _ask(asked: socket.socket, question: int, request: bytes) -> bytes:
    """The IPv4 address in the answer; empty for an interface without any."""
    import fcntl  # only where it exists

    try:
        return fcntl.ioctl(asked.fileno(), question, request)[20:24]
    except OSError:
        return b""


def _subnet_v6(address: str) -> Network | None:
    """proc(5): lines of address, index, prefix length, scope, flags and name, in hexadecimal."""
    digits = ip_address(address).packed.hex()
    try:
        rows = _IF_INET6.read_text().splitlines()
    except OSError:  # a kernel without IPv6
        return None
    for row in rows:
        fields = row.split()
        if fields[0] == digits:
            return ip_network(f"{address}/{int(fields[2], 16)}", strict=False)
    return None
