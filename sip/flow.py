"""Where messages come from and go to."""

from dataclasses import dataclass, field
from ipaddress import ip_address

Address = tuple[str, int]
"""IP address as text (IPv6 without brackets) and port."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A way between an address of ours and one of a peer."""

    transport: str
    """`udp`, `tcp`, `tls`, `ws` or `wss`."""
    local: Address
    """What a peer at the other end may call us by: the local IP that reaches it, and the port we listen
    at."""
    remote: Address
    """Where the peer's messages come from and ours go to. The host may be a name; the shell then looks it
    up."""
    id: int = 0
    """The connection, for a stream. 0: any connection to `remote`, opened when there is none."""
    name: str = ""
    """What the peer at `remote` was looked up by: what its certificate has to say. Empty: the address."""
    others: tuple["Flow", ...] = field(default=(), compare=False, repr=False)
    """Where a new call is tried when nobody is there (RFC 3263 section 4.3)."""

    @property
    def sound_from(self) -> str:
        """The IP address that the peer's sound may come from without his SDP naming it: that of his messages.
        Who reaches us by a loopback address is on this machine, and his sound comes from there, whichever of
        the machine's addresses he signals from and names."""
        return self.local[0] if ip_address(self.local[0]).is_loopback else self.remote[0]

    @property
    def reliable(self) -> bool:
        """True where the transport itself retransmits."""
        return self.transport != "udp"

    @property
    def streamed(self) -> bool:
        """True where messages have to be cut from a stream; WebSocket's frames are messages."""
        return self.transport in ("tcp", "tls")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to send."""

    data: bytes
    flow: Flow
