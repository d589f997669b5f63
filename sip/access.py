"""Who may call in, and by which trunk a number goes out. Pure: addresses and names in, decisions out.

A source is admitted by a trunk's inbound list or by the allowed networks; another may prove to be a user;
with no users there is nothing to prove, and it is refused.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from sip.digest import Authenticator
from sip.sdp import Srtp

Network = IPv4Network | IPv6Network

_NUMBER = re.compile(r"\+?[0-9]+")


@dataclass(frozen=True)
class Trunk:
    """A way to another telephone system."""

    name: str
    host: str
    """Where calls are sent: a host name or address, with or without a port."""
    transport: str = "udp"
    numbers: tuple[str, ...] = ("*",)
    """Shell patterns of the called numbers that go out here."""
    username: str = ""
    password: str = field(default="", repr=False)
    inbound: tuple[Network, ...] = ()
    """Networks that may send calls in as this trunk."""
    inbound_users: tuple[str, ...] = ()
    """Users who send calls in as this trunk."""
    account: str = ""
    """The account that may use it; empty for any."""
    max_calls: int = 0
    """Its calls at a time, in and out; 0 for no limit."""
    calls_per_second: float = 0.0
    """Calls that go out by it in a second; 0 for no limit."""
    inbound_calls_per_second: float = 0.0
    """Calls that may come in by it in a second; 0 for no limit."""
    trusted: bool = True
    """It belongs to a network in which identities may be asserted (RFC 3324)."""
    strip: str = ""
    """Taken from the front of a called number that begins with it."""
    prefix: str = ""
    """Then put in front of it."""
    caller_strip: str = ""
    """Taken from the front of a calling number that begins with it."""
    caller_prefix: str = ""
    """Then put in front of it."""
    inbound_strip: str = ""
    """What stands in front of the numbers of its own calls, called and calling, and is replaced."""
    inbound_prefix: str = ""
    """By what."""
    health_check: int = 0
    """Seconds between OPTIONS; 0 for none."""
    codecs: tuple[str, ...] = ()
    """Names of codecs in our order; empty for those of all calls."""
    srtp: Srtp | Literal[""] = ""
    """Whether its calls are encrypted; empty for what holds for all."""
    leading_silence: float = 0.0
    """Milliseconds from the answer to the first prompt."""
    delay_floor: float = 0.0
    delay_ceiling: float = 0.0
    """Milliseconds that the quickest packets wait at least and at most; 0 for those of all calls."""
    register: bool = False
    """Whether to register there."""
    register_expires: int = 3600
    """Seconds that a registration asks for."""

    def rewritten(self, number: str) -> str:
        """A called number as this trunk wants it."""
        return self.prefix + number.removeprefix(self.strip)

    def introduced(self, number: str) -> str:
        """A calling number as this trunk wants it; what is no number stays."""
        if not _NUMBER.fullmatch(number):
            return number
        return self.caller_prefix + number.removeprefix(self.caller_strip)

    def understood(self, number: str) -> str:
        """A number as this trunk writes it, as we write it. One that has a + needs nothing, unless that is
        what is to be replaced."""
        strip = self.inbound_strip
        if not _NUMBER.fullmatch(number) or not number.startswith(strip):
            return number
        if number.startswith("+") and not strip:
            return number
        return self.inbound_prefix + number.removeprefix(strip)

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password for a challenge of this trunk, None where it has none."""
        return (self.username, self.password) if self.username else None


@dataclass(frozen=True)
class Admitted:
    """The source may call in without credentials."""

    trunk: str | None = None
    """The trunk it calls in as, None for a source that is merely allowed."""


@dataclass(frozen=True)
class MayAuthenticate:
    """The source is unknown and may prove itself by a user's digest."""


@dataclass(frozen=True)
class Refused:
    """The source is unknown and there is nothing it could prove: 403."""


class Access:
    """The rules. `allow` and `Trunk.inbound` are networks; `users` is password by name."""

    def __init__(
        self,
        *,
        allow: Iterable[str | Network] = (),
        trunks: Iterable[Trunk] = (),
        users: Mapping[str, str] | None = None,
        realm: str = "mixminus",
        algorithms: Iterable[str] = ("MD5",),
    ) -> None:
        """`algorithms`: of digest, in the order in which challenges name them. ValueError for a text in
        `allow` that is no network, and for an unknown algorithm."""
        self._realm, self._algorithms = realm, tuple(algorithms)
        self._users: Mapping[str, str] = {}
        self.trunks: tuple[Trunk, ...] = ()
        self.authenticator: Authenticator | None = None
        """Judges users' credentials; None where there are no users."""
        self._allow = networks(allow)
        self.adopt(trunks, users or {})

    def adopt(self, trunks: Iterable[Trunk], users: Mapping[str, str]) -> None:
        """Other trunks and users from now on. Challenges that are on their way stay good as long as nothing
        has changed for users."""
        self.trunks = tuple(trunks)
        if users != self._users:
            self._users = dict(users)
            self.authenticator = (
                Authenticator(users, realm=self._realm, algorithms=self._algorithms) if users else None
            )

    def admit(self, ip: str) -> Admitted | MayAuthenticate | Refused:
        """Judges a source address, an IPv4 or IPv6 text. A trunk's list counts before the allowed
        networks, so that a trunk's calls are known as such."""
        for trunk in self.trunks:
            if within(ip, trunk.inbound):
                return Admitted(trunk.name)
        if within(ip, self._allow):
            return Admitted()
        return MayAuthenticate() if self.authenticator else Refused()

    def trunk_of(self, user: str) -> str | None:
        """The trunk that a user's calls come in as, None where they are his own."""
        return next((trunk.name for trunk in self.trunks if user in trunk.inbound_users), None)

    def trunks_for(self, number: str, account: str) -> list[Trunk]:
        """The trunks whose pattern matches the called number and which the account may use, in order."""
        return [
            trunk
            for trunk in self.trunks
            if trunk.account in ("", account) and any(fnmatchcase(number, p) for p in trunk.numbers)
        ]


def networks(texts: Iterable[str | Network]) -> tuple[Network, ...]:
    """Networks from texts like `10.0.0.0/8` or `::1`; host bits are ignored. ValueError names the bad one."""
    return tuple(ip_network(text, strict=False) for text in texts)


def within(ip: str, ranges: Iterable[Network]) -> bool:
    """True when the address lies in one of the ranges. `::ffff:a.b.c.d` counts as a.b.c.d; a text that
    is no address lies nowhere."""
    address = _read(ip)
    return address is not None and any(address in network for network in ranges)


@lru_cache(maxsize=4_096)  # a phone's address is looked at several times a call
def _read(ip: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(ip.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
