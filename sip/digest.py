"""Digest authentication, both sides, without I/O (RFC 3261 section 22, RFC 7616, RFC 8760).

The server side is an `Authenticator`: it makes challenges and judges credentials. The client side is
`read_challenges`, `choose` and `respond`. An algorithm is a row of `ALGORITHMS`, nothing else names a hash.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


ALGORITHMS: Mapping[str, Callable[[bytes], str]] = {"MD5": _md5, "SHA-256": _sha256}
"""Hash by its registered name, weakest first."""

MAX_HEADER = 4096
"""Characters of one header value that are looked at; a longer one is no credentials."""

MAX_PARAMETERS = 32

NONCE_LIFETIME = 300.0
"""Seconds for which a nonce is good."""

MAX_NONCES_IN_USE = 20_000
"""Nonces whose count is remembered; past that all nonces turn stale at once, so memory stays bounded."""

_SPENT = 1 << 32


class DigestError(ValueError):
    """A header value that is not a Digest challenge or credentials; the text says why."""


_MD5_ALONE = re.compile(r"baresip v[0-2]\.")
"""User agents that give up where another algorithm is offered too, instead of passing over it (RFC 8760
section 2.4)."""


@dataclass(frozen=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate value of the Digest scheme."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    """As the server spelled it; `choose` looks it up in `ALGORITHMS` in upper case."""
    opaque: str | None = None
    qop: tuple[str, ...] = ()
    """The protections offered, lower case; empty for a server from before RFC 2617."""
    stale: bool = False

    @classmethod
    def parse(cls, value: str) -> "Challenge":
        """Raises `DigestError`."""
        fields = _parameters(value)
        for name in ("realm", "nonce"):
            if name not in fields:
                raise DigestError(f"a Digest challenge needs {name}")
        return cls(
            realm=fields["realm"],
            nonce=fields["nonce"],
            algorithm=fields.get("algorithm", "MD5"),
            opaque=fields.get("opaque"),
            qop=tuple(q.strip().lower() for q in fields.get("qop", "").split(",") if q.strip()),
            stale=fields.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        parts = [f"realm={_quoted(self.realm)}", f"nonce={_quoted(self.nonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={_quoted(self.opaque)}")
        parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f"qop={_quoted(','.join(self.qop))}")
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True)
class Verdict:
    """What credentials came to."""

    user: str | None
    """The user who proved his password, or None: challenge (again)."""
    stale: bool = False
    """The password was right, the nonce old or spent: say so in the next challenge (RFC 7616 section 3.3)."""


class Authenticator:
    """The server side for one realm. Nonces carry their time and a keyed hash; one is stored when it is used.

    An unknown user costs the same work and gets the same verdict as a wrong password. A nonce counts upwards
    (`nc`); without qop it is good for one request.
    """

    def __init__(
        self,
        users: Mapping[str, str],
        *,
        realm: str = "mixminus",
        algorithms: tuple[str, ...] = ("MD5",),
        lifetime: float = NONCE_LIFETIME,
        key: bytes | None = None,
    ) -> None:
        """`users`: password by name. `key`: signs the nonces; made when None.
        ValueError for an unknown algorithm."""
        for name in algorithms:
            if name not in ALGORITHMS:
                raise ValueError(
                    f"unknown digest algorithm {name!r}, expected one of {', '.join(ALGORITHMS)}"
                )
        self.realm = realm
        self._users = dict(users)
        self._algorithms = algorithms
        self._lifetime = lifetime
        self._key = key if key is not None else secrets.token_bytes(32)
        self._nobody = secrets.token_hex(16)
        self._counts: dict[str, int] = {}
        self._all_stale_until = float("-inf")

    def challenges(self, now: float, *, stale: bool = False, agent: str = "") -> tuple[str, ...]:
        """Header values for a 401 or 407, one for each algorithm, in the order they are to be sent; `agent`
        is the User-Agent that is to read them."""
        algorithms = self._algorithms
        if "MD5" in algorithms and _MD5_ALONE.match(agent):
            algorithms = ("MD5",)
        nonce = self._make_nonce(now)
        return tuple(
            str(Challenge(self.realm, nonce, algorithm, qop=("auth",), stale=stale))
            for algorithm in algorithms
        )

    def verify(self, credentials: Iterable[str], *, method: str, now: float) -> Verdict:
        """Judges the Authorization values of a request; never raises.

        The digest covers the `uri` that the credentials name. It is not compared with the Request-URI: phones
        write it with and without parameters (pyVoIP adds `;transport=UDP`), and method and count prevent a
        replay.
        """
        for value in credentials:
            try:
                fields = _parameters(value)
            except DigestError:
                continue
            if fields.get("realm") == self.realm:
                return self._judge(fields, method, now)
        return Verdict(None)

    def _judge(self, fields: Mapping[str, str], method: str, now: float) -> Verdict:
        algorithm = fields.get("algorithm", "MD5").upper()
        qop = fields.get("qop", "").lower()
        count = fields.get("nc", "")
        needed = ("username", "nonce", "uri", "response", *(("cnonce",) if qop else ()))
        if (
            algorithm not in self._algorithms
            or qop not in ("", "auth")
            or any(name not in fields for name in needed)
            or (qop and not re.fullmatch("[0-9a-fA-F]{1,8}", count))
        ):
            return Verdict(None)
        user, nonce = fields["username"], fields["nonce"]
        expected = _response(
            ALGORITHMS[algorithm],
            user,
            self.realm,
            self._users.get(user, self._nobody),
            method,
            fields["uri"],
            nonce,
            (count, fields["cnonce"], qop) if qop else None,
        )
        right = hmac.compare_digest(_octets(expected), _octets(fields["response"].lower()))
        if not right or user not in self._users:
            return Verdict(None)
        if not self._spend(nonce, int(count, 16) if qop else _SPENT, now):
            return Verdict(None, stale=True)
        return Verdict(user)

    def _make_nonce(self, now: float) -> str:
        stamp = f"{int(now * 1000):x}.{secrets.token_hex(8)}"
        return f"{stamp}.{self._sign(stamp)}"

    def _sign(self, stamp: str) -> str:
        return hmac.digest(self._key, _octets(stamp), "sha256").hex()[:32]

    def _spend(self, nonce: str, count: int, now: float) -> bool:
        """True when the nonce is ours, young, and `count` is above every count it was used with before."""
        stamp, _, signature = nonce.rpartition(".")
        if not hmac.compare_digest(_octets(self._sign(stamp)), _octets(signature)):
            return False
        made = _made_at(stamp)
        if not now - self._lifetime <= made <= now or made <= self._all_stale_until:
            return False
        if count <= self._counts.get(nonce, 0):
            return False
        if nonce not in self._counts and len(self._counts) >= MAX_NONCES_IN_USE:
            self._forget_old(now)
        self._counts[nonce] = count
        return True

    def _forget_old(self, now: float) -> None:
        self._counts = {n: c for n, c in self._counts.items() if _made_at(n) >= now - self._lifetime}
        if len(self._counts) >= MAX_NONCES_IN_USE:
            self._counts = {}
            self._all_stale_until = now


def read_challenges(values: Iterable[str]) -> list[Challenge]:
    """The Digest challenges among header values; other schemes and broken ones are left out."""
    found = []
    for value in values:
        try:
            found.append(Challenge.parse(value))
        except DigestError:
            continue
    return found


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The first challenge of the strongest algorithm that can be answered here."""
    ranks = list(ALGORITHMS)
    answerable = [
        c for c in challenges if c.algorithm.upper() in ALGORITHMS and (not c.qop or "auth" in c.qop)
    ]
    return max(answerable, key=lambda c: ranks.index(c.algorithm.upper()), default=None)


def respond(
    challenge: Challenge, *, method: str, uri: str, user: str, password: str, cnonce: str, nc: int = 1
) -> str:
    """The Authorization value that answers `challenge`; `nc` counts the requests made with its nonce, from 1.

    ValueError for a challenge that `choose` would not have returned.
    """
    if choose([challenge]) is None:
        raise ValueError(f"no answer to algorithm {challenge.algorithm!r}, qop {challenge.qop!r}")
    count = f"{nc:08x}"
    response = _response(
        ALGORITHMS[challenge.algorithm.upper()],
        user,
        challenge.realm,
        password,
        method,
        uri,
        challenge.nonce,
        (count, cnonce, "auth") if challenge.qop else None,
    )
    parts = [
        f"username={_quoted(user)}",
        f"realm={_quoted(challenge.realm)}",
        f"nonce={_quoted(challenge.nonce)}",
        f"uri={_quoted(uri)}",
        f'response="{response}"',
        f"algorithm={challenge.algorithm}",
    ]
    if challenge.qop:
        parts += ["qop=auth", f"nc={count}", f"cnonce={_quoted(cnonce)}"]
    if challenge.opaque is not None:
        parts.append(f"opaque={_quoted(challenge.opaque)}")
    return "Digest " + ", ".join(parts)


def _response(
    digest: Callable[[bytes], str],
    user: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    protection: tuple[str, str, str] | None,
) -> str:
    """RFC 7616 section 3.4.1; `protection` is (nc, cnonce, qop), None for the form without qop."""
    secret = digest(_octets(f"{user}:{realm}:{password}"))
    request = digest(_octets(f"{method}:{uri}"))
    return digest(_octets(":".join((secret, nonce, *(protection or ()), request))))


_PARAMETER = re.compile(
    r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?:,|$)'
)


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a Digest header value by lower-case name, unquoted. Raises `DigestError`."""
    if len(value) > MAX_HEADER:
        raise DigestError("header value too long")
    if any((c < " " and c != "\t") or c == "\x7f" for c in value):
        raise DigestError("control character in header value")
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise DigestError(f"expected the Digest scheme, got {scheme[:40]!r}")
    fields: dict[str, str] = {}
    rest, position = rest.strip(), 0
    while position < len(rest):
        found = _PARAMETER.match(rest, position)
        if found is None:
            raise DigestError(f"expected name=value at {rest[position : position + 20]!r}")
        name = found[1].lower()
        if name in fields:
            raise DigestError(f"{name} occurs twice")
        if len(fields) == MAX_PARAMETERS:
            raise DigestError("too many parameters")
        fields[name] = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
        position = found.end()
    return fields


def _quoted(text: str) -> str:
    if any(c < " " or c == "\x7f" for c in text):
        raise ValueError("control character in a quoted string")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _made_at(nonce: str) -> float:
    """Seconds at which a nonce of ours, or its stamp, was made."""
    return int(nonce.partition(".")[0], 16) / 1000
