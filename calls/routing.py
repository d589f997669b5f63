"""Where an outbound call goes, and how parties are called in events and REST."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bxml.attributes import DIALLED, E164
from sip.access import Access, Trunk
from sip.errors import SipError
from sip.flow import Flow
from sip.headers import NameAddr
from sip.registrar import Binding, Registrar
from sip.registration import believed
from sip.sdp import Srtp
from sip.trunks import Trunks
from sip.uri import Uri, host_port, readable, sip_uri

_NUMBER = re.compile(r"\+[0-9]+")


def is_e164(text: str) -> bool:
    """Whether a text is a telephone number: `+` and up to fifteen digits (ITU-T E.164)."""
    return E164.fullmatch(text) is not None


def party(uri: Uri) -> str:
    """A party as events and REST name it: its number, else `sip:user@host[:port]` and no more."""
    user = uri.user or ""
    if _NUMBER.fullmatch(user):
        return user
    if uri.scheme not in ("sip", "sips"):
        return user or readable(str(uri))
    place = host_port(uri.host, uri.port)
    name = "" if uri.userinfo is None else uri.userinfo.partition(":")[0]  # a password is nobody's to read
    return readable(f"sip:{name}@{place}" if name else f"sip:{place}")


def ordered_party(text: str) -> str:
    """A party as `party` names it, of the text that somebody has ordered a call to or from with; what is no
    SIP URI stays as it is."""
    if not text.lower().startswith(("sip:", "sips:")):
        return text
    try:
        return party(Uri.parse(text))
    except SipError:
        return text


@dataclass(frozen=True)
class Route:
    """Where an INVITE goes.

    `uri`: the Request-URI; `next_hop`: the `host[:port]` that the INVITE is sent to; `flow`: the way
    a registered phone came by, None to find one; `trunk`: the name of the trunk that it leads to;
    `headers`: what else the INVITE says; `srtp`: whether its sound is encrypted, empty where that is not said
    of who is there.
    """

    uri: str
    next_hop: str
    transport: str | None = None
    flow: Flow | None = None
    credentials: tuple[str, str] | None = None
    trunk: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    srtp: Srtp | Literal[""] = ""


Ways = Sequence[Sequence[Route]]
"""How a callee is tried: the routes of a group at once, a group after the one before has failed."""


@dataclass(frozen=True)
class User:
    """A user who registers. `account`: the one that may ring him, empty for any; `srtp`: whether his calls
    are encrypted, empty for what holds for all."""

    account: str = ""
    srtp: Srtp | Literal[""] = ""


class NoWay(Exception):
    """An address that this account cannot call; says why, to follow its name and a colon."""


class Unreachable(Exception):
    """A user who exists but is not registered anywhere."""


class Routing:
    """Numbers to trunks, users to their contacts, other SIP URIs to themselves.

    `users` are those who are configured, by name; `hosts` are the names and addresses by which this server
    is called.
    """

    def __init__(
        self,
        access: Access,
        registrar: Registrar,
        trunks: Trunks,
        *,
        users: Mapping[str, User],
        hosts: frozenset[str],
    ) -> None:
        self._access = access
        self._trunks = trunks
        self._registrar = registrar
        self._users = dict(users)
        self._hosts = hosts

    def adopt(self, users: Mapping[str, User]) -> None:
        """Other users from now on."""
        self._users = dict(users)

    def srtp_of(self, name: str | None, flow: Flow, now: float) -> Srtp | Literal[""]:
        """Whether the sound of a user's call is to be encrypted, empty where that is not said of him. He has
        proved to be `name`; who needs not prove anything is known by where he registered from."""
        if name is not None:
            return self._users.get(name, User()).srtp
        for user, settings in self._users.items():
            if settings.srtp and any(_came_by(each, flow) for each in self._registrar.contacts(user, now)):
                return settings.srtp
        return ""

    def walls_off(self, account: str, *, user: str | None, trunk: str | None) -> bool:
        """Whether a user or a trunk belongs to another account than this one."""
        known = None if user is None else self._users.get(user)
        owners = {each.account for each in self._access.trunks if each.name == trunk}
        if known is not None:
            owners.add(known.account)
        return not owners <= {"", account}

    def ways(self, account: str, to: str, *, now: float) -> Ways:
        """Find the ways to a number or a SIP URI. `now`: the registrar's clock.

        Raises NoWay, Unreachable.
        """
        if is_e164(to):
            return self._by_trunk(account, to, now)
        if not to.lower().startswith(("sip:", "sips:")):
            raise NoWay(f"must be a number in E.164 form or {DIALLED}")
        try:
            uri = Uri.parse(to)
        except SipError as error:
            raise NoWay(error.reason) from error
        secure = uri.scheme == "sips"
        if uri.host in self._hosts and uri.user:
            contacts = self._contacts(account, uri.user, now)
            if contacts is not None:
                return (_secured(contacts, uri.user) if secure else contacts,)
        route = Route(
            uri=str(uri.bare()),
            next_hop=host_port(uri.host, uri.port),
            transport="tls" if secure else uri.parameter("transport"),
        )
        return ((route,),)

    def named(self, account: str, uri: Uri, *, anywhere: bool, now: float) -> str | None:
        """Whom a far end names that wants to be replaced, as `ways` takes it; None where it may not: without
        `anywhere` only users of this server who are registered are left."""
        user, ours = uri.user or "", uri.scheme == "tel" or uri.host in self._hosts
        if uri.scheme != "tel" and ours and self._registrar.contacts(user, now):
            return str(uri)
        if not anywhere:
            return None
        # A number at our own address: a phone says so of whatever it dials.
        if ours and is_e164(user) and self._access.trunks_for(user, account):
            return user
        return None if uri.scheme == "tel" else str(uri)

    def _by_trunk(self, account: str, number: str, now: float) -> Ways:
        found = self._access.trunks_for(number, account)
        if not found:
            raise NoWay("no trunk takes this number")
        trunks = self._trunks.in_order(found, now)
        if not trunks:
            raise Unreachable(f"all trunks that take the number {number} are full")
        return [(_by(trunk, number),) for trunk in trunks]

    def _contacts(self, account: str, user: str, now: float) -> tuple[Route, ...] | None:
        """All phones of a user of ours; None where nobody of that name can be."""
        bindings = self._registrar.contacts(user, now)
        known = self._users.get(user)
        if known is not None and known.account not in ("", account):
            raise NoWay(f"this account may not call the user {user}")
        if not bindings:
            if known is not None:
                raise Unreachable(f"{user} is not registered")
            return None
        srtp = "" if known is None else known.srtp
        return tuple(replace(to_phone(binding), srtp=srtp) for binding in bindings)


def _secured(phones: Sequence[Route], user: str) -> tuple[Route, ...]:
    """Of a user's phones those that are reached as a `sips:` address demands (RFC 3261 section 26.2.2)."""
    left = tuple(each for each in phones if each.transport in ("tls", "wss"))
    if not left:
        raise Unreachable(f"{user} is registered, but not over TLS, as a sips: address demands")
    return left


def _by(trunk: Trunk, number: str) -> Route:
    user = sip_uri(trunk.rewritten(number), "").userinfo
    return Route(
        uri=f"sip:{user}@{trunk.host}",
        next_hop=trunk.host,
        transport=trunk.transport,
        credentials=trunk.credentials,
        trunk=trunk.name,
    )


def _came_by(binding: Binding, flow: Flow) -> bool:
    """Whether a phone registered from where a call comes from."""
    source = binding.source
    return isinstance(source, Flow) and (source.transport, source.remote) == (flow.transport, flow.remote)


def to_phone(binding: Binding) -> Route:
    """A registered phone: by the proxies it registered through (RFC 3327), else at the address its Contact
    names, or at the one it came from (see `believed`)."""
    uri, flow = Uri.parse(binding.uri), binding.source
    assert isinstance(flow, Flow), f"the binding of {binding.uri} has no flow"
    if binding.path:
        first = NameAddr.parse(binding.path[0]).uri
        return Route(
            uri=str(uri.bare()),
            next_hop=host_port(*first.address),
            transport=first.transport,
            headers=tuple(("Route", value) for value in binding.path),
        )
    if believed(uri, flow):
        return Route(uri=str(uri.bare()), next_hop=host_port(*uri.address), transport=uri.transport)
    return Route(uri=str(uri.bare()), next_hop=host_port(*flow.remote), transport=flow.transport, flow=flow)
