"""Where users can be reached: the bindings that REGISTER makes (RFC 3261 section 10.3), in memory.

Pure: the caller has authenticated the request, parsed its headers and passes the time. A binding keeps the
flow that the REGISTER came by, so that a call to the user goes back that way whatever host his Contact names.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

DEFAULT_EXPIRES = 3600
"""Seconds for a contact that asks for no time."""
MIN_EXPIRES = 60
"""Seconds; a shorter time is refused with 423."""
MAX_EXPIRES = 86_400
"""Seconds; a longer time is cut to this."""
MAX_CONTACTS = 10
"""Bindings per user; a further one takes the place of the one that was refreshed the longest ago."""
MAX_USERS = 10_000
"""Users with bindings, where any name may register."""


@dataclass(frozen=True)
class Contact:
    """One Contact value of a REGISTER."""

    uri: str
    """The URI without brackets and header parameters; `*` means all bindings."""
    expires: int | None = None
    """Its expires parameter in seconds, None when it has none."""
    q: float = 1.0
    parameters: str = ""
    """Its other header parameters as written, each behind a semicolon: q, the device's name and the like."""


@dataclass(frozen=True)
class Binding:
    """A place where a user can be reached."""

    uri: str
    source: object
    """The flow that the REGISTER came by, as the caller gave it."""
    expires_at: float
    call_id: str
    cseq: int
    q: float = 1.0
    path: tuple[str, ...] = ()
    """The proxies that a call to it takes, as Route values (RFC 3327)."""
    parameters: str = ""
    """As in `Contact`; told to whoever asks what is bound."""

    def expires(self, now: float) -> int:
        """Whole seconds left, at least 0: the expires parameter of the answer."""
        return max(0, round(self.expires_at - now))


class RegisterError(Exception):
    """A REGISTER that is refused: a status, its reason, and headers that the response must carry."""

    def __init__(self, status: int, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers


class Registrar:
    """The bindings of all users, by user name. With no users given, any name may register."""

    def __init__(
        self,
        users: Collection[str] = (),
        *,
        default: int = DEFAULT_EXPIRES,
        minimum: int = MIN_EXPIRES,
        maximum: int = MAX_EXPIRES,
    ) -> None:
        self._users = frozenset(users)
        self._default = default
        self._minimum = minimum
        self._maximum = maximum
        self._bindings: dict[str, dict[str, Binding]] = {}
        self.changes = 0
        """Counts what has changed, for whoever keeps a copy."""

    def register(
        self,
        user: str,
        contacts: Sequence[Contact],
        *,
        expires: int | None = None,
        call_id: str,
        cseq: int,
        source: object,
        path: tuple[str, ...] = (),
        longest: int | None = None,
        now: float,
    ) -> tuple[Binding, ...]:
        """Carries out a REGISTER and returns the user's bindings, the preferred first.

        `expires` is the Expires header, `longest` the seconds that nothing of this REGISTER outlives. No
        contacts: a query. All of the request is done or, with `RegisterError`, none of it.
        """
        if self._users and user not in self._users:
            raise RegisterError(404, "No such user")
        held = self._live(user, now)
        wanted = self._wanted(held, contacts, expires)
        for key in wanted:
            old = held.get(key)
            if old is not None and old.call_id == call_id and cseq <= old.cseq:
                raise RegisterError(500, "CSeq out of order")
        for key, (contact, seconds) in wanted.items():
            held.pop(key, None)
            if seconds > 0:
                until = now + min(seconds, longest or seconds)
                held[key] = Binding(
                    contact.uri, source, until, call_id, cseq, contact.q, path, contact.parameters
                )
        while len(held) > MAX_CONTACTS:
            del held[next(iter(held))]
        if wanted:
            self._keep(user, held, now)
        return _ordered(held)

    def contacts(self, user: str, now: float) -> tuple[Binding, ...]:
        """The user's live bindings, the preferred first; empty when he is not registered."""
        return _ordered(self._live(user, now))

    def all(self, now: float) -> Iterator[tuple[str, Binding]]:
        """Every live binding with its user; each user's the longest ago refreshed first."""
        for user in list(self._bindings):
            for binding in self._live(user, now).values():
                yield user, binding

    def restore(self, user: str, binding: Binding, now: float) -> bool:
        """Puts a binding back that `all` gave before a restart; False where it has expired or its user may
        not register any more, or has no room."""
        held = self._live(user, now)
        known = not self._users or user in self._users
        if not known or not now < binding.expires_at <= now + self._maximum or len(held) >= MAX_CONTACTS:
            return False
        if user not in self._bindings and len(self._bindings) >= MAX_USERS:
            return False
        held.setdefault(_key(binding.uri), binding)
        self._keep(user, held, now)
        return True

    def admit(self, users: Collection[str]) -> None:
        """Other users from now on. Who is none of them any more is reached no longer."""
        self._users = frozenset(users)
        if self._users:
            self._bindings = {name: held for name, held in self._bindings.items() if name in self._users}
            self.changes += 1

    def forget(self, source: object) -> None:
        """Removes what was registered over a flow that is lost (a closed connection reaches nobody)."""
        for user in list(self._bindings):
            left = {k: b for k, b in self._bindings[user].items() if b.source != source}
            self.changes += len(self._bindings[user]) - len(left)
            if left:
                self._bindings[user] = left
            else:
                del self._bindings[user]

    def _live(self, user: str, now: float) -> dict[str, Binding]:
        return {k: b for k, b in self._bindings.get(user, {}).items() if b.expires_at > now}

    def _wanted(
        self, held: dict[str, Binding], contacts: Sequence[Contact], expires: int | None
    ) -> dict[str, tuple[Contact, int]]:
        """What the request asks for: (contact, seconds) by binding key; 0 seconds removes."""
        if any(c.uri == "*" for c in contacts):
            if len(contacts) != 1 or expires != 0:
                raise RegisterError(400, "Contact * needs Expires: 0 and no other contact")
            return {key: (Contact(b.uri), 0) for key, b in held.items()}
        return {_key(c.uri): (c, self._seconds(c, expires)) for c in contacts}

    def _seconds(self, contact: Contact, header: int | None) -> int:
        asked = contact.expires if contact.expires is not None else header
        if asked is None:
            return self._default
        if 0 < asked < self._minimum:
            raise RegisterError(423, "Interval Too Brief", (("Min-Expires", str(self._minimum)),))
        return min(asked, self._maximum)

    def _keep(self, user: str, held: dict[str, Binding], now: float) -> None:
        self.changes += 1
        if not held:
            self._bindings.pop(user, None)
            return
        if user not in self._bindings and len(self._bindings) >= MAX_USERS:
            self._bindings = {name: live for name in self._bindings if (live := self._live(name, now))}
            if len(self._bindings) >= MAX_USERS:
                raise RegisterError(503, "Too many registered users", (("Retry-After", "60"),))
        self._bindings[user] = held


_URI = re.compile(r"(sips?):(?:([^@]*)@)?([^;?]*)([^?]*)", re.IGNORECASE)


def _key(uri: str) -> str:
    """Equal for URIs that name one place: scheme and host without case, user exact, transport kept, other
    parameters dropped (a practical form of RFC 3261 section 19.1.4)."""
    found = _URI.match(uri)
    if found is None:
        return uri
    transport = re.search(r";transport=([^;]*)", found[4], re.IGNORECASE)
    return (
        f"{found[1].lower()}:{found[2] or ''}@{found[3].lower()};{transport[1].lower() if transport else ''}"
    )


def _ordered(held: dict[str, Binding]) -> tuple[Binding, ...]:
    """By q, then the newest first."""
    return tuple(sorted(reversed(list(held.values())), key=lambda binding: -binding.q))
