"""Who calls: Basic credentials, or the bearer tokens that are lent for them.

Source: contract, rules of REST, RFC 7617 (Basic), RFC 6749 sections 2.3.1 and 4.4 (client credentials),
RFC 6750 (bearer).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from api.errors import ApiError

TOKEN_SECONDS = 3600

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="mixminus", charset="UTF-8"'}


@dataclass(frozen=True)
class Account:
    """One account of the API with its only user."""

    id: str
    username: str
    password: str = field(repr=False)


class Credentials:
    """Tells accounts by an Authorization header, without telling by its timing which part was wrong."""

    def __init__(self, accounts: Sequence[Account], clock: Callable[[], float] = time.time) -> None:
        self._accounts = tuple(accounts)
        self._clock = clock
        # Tokens live no longer than the process: whoever holds one asks for another after a restart.
        self._key = secrets.token_bytes(32)

    def adopt(self, accounts: Sequence[Account]) -> set[str]:
        """Other accounts from now on; the ids of those whose credentials are good no more. If anything about
        them is different, neither are tokens: they were lent for credentials that may be gone."""
        gone = {account.id for account in self._accounts if account not in accounts}
        if tuple(accounts) != self._accounts:
            self._accounts = tuple(accounts)
            self._key = secrets.token_bytes(32)
        return gone

    def account(self, authorization: str | None) -> Account:
        """The account that an Authorization header speaks for. Raises ApiError 401."""
        scheme, _, rest = (authorization or "").partition(" ")
        match scheme.lower():
            case "basic":
                return self._of_basic(rest.strip())
            case "bearer":
                return self._of_token(rest.strip())
            case "":
                raise unauthorized("Credentials are required")
            case _:
                raise unauthorized("Authorization must be Basic or Bearer")

    def client(self, authorization: str | None, form: Mapping[str, Sequence[str]]) -> Account:
        """The account of a client that wants a token: by Basic, or by `client_id` and `client_secret` in its
        form (RFC 6749 section 2.3.1). A token lends no other. Raises ApiError 401."""
        try:
            if authorization is None and "client_id" in form:
                (username,), (password,) = form["client_id"], form.get("client_secret", ("",))
                return self._known(username, password)
            if (authorization or "basic").partition(" ")[0].lower() != "basic":
                raise unauthorized("Authorization must be Basic")
            return self.account(authorization)
        except ApiError as error:
            raise unauthorized(str(error), more={"error": "invalid_client"}) from error

    def lend_token(self, account: Account) -> str:
        """A bearer token for an account, good for TOKEN_SECONDS."""
        claim = f"{account.id}:{int(self._clock()) + TOKEN_SECONDS}"
        return f"{base64.urlsafe_b64encode(claim.encode()).decode()}.{self._signature(claim)}"

    def _of_basic(self, token: str) -> Account:
        try:
            username, colon, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise unauthorized("The Basic credentials cannot be decoded") from error
        if not colon:
            raise unauthorized("The Basic credentials cannot be decoded")
        return self._known(username, password)

    def _known(self, username: str, password: str) -> Account:
        found = None
        for account in self._accounts:
            same_name = hmac.compare_digest(account.username.encode(), username.encode())
            same_password = hmac.compare_digest(account.password.encode(), password.encode())
            if same_name & same_password:
                found = account
        if found is None:
            raise unauthorized("The credentials are not valid")
        return found

    def _of_token(self, token: str) -> Account:
        encoded, _, signature = token.partition(".")
        try:
            claim = base64.b64decode(encoded, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise unauthorized("The token is not valid") from error
        if not hmac.compare_digest(self._signature(claim).encode(), signature.encode()):
            raise unauthorized("The token is not valid")
        identifier, _, expiry = claim.rpartition(":")
        if self._clock() >= int(expiry):
            raise unauthorized("The token has expired")
        return next(account for account in self._accounts if account.id == identifier)

    def _signature(self, claim: str) -> str:
        return hmac.new(self._key, claim.encode(), hashlib.sha256).hexdigest()


def unauthorized(description: str, *, more: Mapping[str, str] | None = None) -> ApiError:
    """The refusal of who does not say, or prove, who he is."""
    return ApiError(401, description, headers=_CHALLENGE, more=more)
