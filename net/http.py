"""HTTP requests out: checked addresses, one deadline, bounded bodies, Basic credentials, no redirects."""

import asyncio
import logging
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from net.body import BadCoding, Body, BodyTooLarge
from net.errors import Malformed, Refused, TimedOut, TooLarge, Unreachable, shown
from net.policy import Policy, host_key
from net.resolver import CheckedResolver, Lookup, system_lookup

logger = logging.getLogger(__name__)

PER_HOST = 64  # connections to one host and port; further requests wait, within their deadline
# Shorter than the common servers keep an idle connection (2 s and up): a POST that meets a connection just
# being closed is lost, and cannot be sent again without the risk of saying it twice.
KEEP_ALIVE = 1.5
CHUNK = 65536


@dataclass(frozen=True, repr=False)
class Reply:
    """An answer, whatever its status.

    `headers` ignores case, `body` is decompressed, `url` is the one requested, query included.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str = field(default="")

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes, {shown(self.url)!r})"


def request_target(url: str) -> str:
    """The path and query of a URL as a request carries them (RFC 9112 section 3.2.1). Raises Refused."""
    try:
        return URL(url).raw_path_qs
    except ValueError:
        raise Refused(url, "not a URL") from None


class HttpClient:
    """One pool of connections under one policy. Make it anywhere, use and close it in one event loop.

    `lookup` and `tls` replace the system's resolver and trust store.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        per_host: int = PER_HOST,
        user_agent: str = "mixminus",
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.policy = policy
        self._per_host = per_host
        self._user_agent = user_agent
        self._lookup = lookup
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None
        self._warned = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: float = 15.0,  # noqa: ASYNC109 - the deadline decides which error is raised
        max_bytes: int = 1 << 20,
    ) -> Reply:
        """Send one request and return the whole answer; redirects come back as they are.

        `timeout` (seconds) covers all: the wait for a free connection, resolving, connecting, the last byte.
        Credentials are sent at once, and once more when the server challenges (contract, webhooks).
        Raises Refused, Unreachable, TimedOut, TooLarge or Malformed.
        """
        target = self._checked(url)
        sent = {"User-Agent": self._user_agent, "Accept-Encoding": "identity", **(headers or {})}
        if username is not None:
            sent["Authorization"] = self._basic(target, url, username, password or "")
        try:
            async with asyncio.timeout(timeout):
                reply = await self._exchange(method, target, url, sent, body, max_bytes)
                if username is not None and _challenges(reply):
                    reply = await self._exchange(method, target, url, sent, body, max_bytes)
                return reply
        except TimeoutError:
            raise TimedOut(url, f"no whole answer within {timeout:g} s") from None

    def check(self, url: str, username: str | None = None) -> None:
        """Raises Refused for what `request` would refuse whatever the host's name resolves to."""
        target = self._checked(url)
        if username is not None:
            self._check_credentials(target, url, username)

    async def close(self) -> None:
        """Close idle connections and break off requests under way."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _checked(self, url: str) -> URL:
        """The parsed URL, with all refused that needs no resolving."""
        try:
            target = URL(url)
            port = target.port
        except ValueError:
            raise Refused(url, "not a URL") from None
        if target.scheme not in ("http", "https") or not target.raw_host or port is None:
            raise Refused(url, "expected an absolute http or https URL")
        if target.raw_user is not None or target.raw_password is not None:
            raise Refused(url, "user and password in a URL are not taken")
        host = host_key(target.raw_host)
        reason = self.policy.refuses_port(host, port)
        if reason is None and (":" in host or host.replace(".", "").isdigit()):
            # aiohttp connects to what looks like an address without asking the resolver.
            try:
                reason = self.policy.refuses(host, port, ip_address(host))
            except ValueError:
                reason = f"{host[:80]!r} is no IP address in its usual form"
        if reason is not None:
            raise Refused(url, reason)
        return target.with_fragment(None)

    def _basic(self, target: URL, url: str, username: str, password: str) -> str:
        """The Authorization header's value (RFC 7617, UTF-8)."""
        self._check_credentials(target, url, username)
        if target.scheme != "https" and not self._warned:
            self._warned = True
            logger.warning("credentials_over_plain_http", extra={"url": shown(url)})
        return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")

    def _check_credentials(self, target: URL, url: str, username: str) -> None:
        if ":" in username:
            raise Refused(url, "a user name for Basic credentials has no colon")
        if target.scheme != "https" and self.policy.require_https:
            raise Refused(url, "credentials are sent over https only (webhooks.require_https)")

    async def _exchange(
        self, method: str, target: URL, url: str, headers: dict[str, str], body: bytes | None, max_bytes: int
    ) -> Reply:
        try:
            async with self._open().request(
                method, target, headers=headers, data=body, allow_redirects=False
            ) as response:
                announced = response.content_length
                if announced is not None and announced > max_bytes and method != "HEAD":
                    raise BodyTooLarge
                collected = Body(max_bytes, response.headers.get("Content-Encoding", ""))
                async for chunk in response.content.iter_chunked(CHUNK):
                    collected.feed(chunk)
                return Reply(response.status, CIMultiDictProxy(response.headers), collected.finish(), url)
        except BodyTooLarge:
            raise TooLarge(url, f"the answer has more than {max_bytes} bytes") from None
        except BadCoding as error:
            raise Malformed(url, str(error)) from None
        except Refused as error:  # by the resolver, which knows only the host
            raise Refused(url, error.reason) from None
        except (aiohttp.ServerTimeoutError, TimeoutError):
            raise
        except aiohttp.ClientConnectorError as error:
            raise Unreachable(url, f"cannot connect: {error.os_error}") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise Unreachable(url, f"the connection broke ({type(error).__name__})") from None
        except aiohttp.InvalidURL:
            raise Refused(url, "not a URL that can be requested") from None
        except aiohttp.ClientError as error:
            raise Malformed(url, f"not an HTTP answer ({type(error).__name__})") from None
        except ValueError:
            raise Refused(url, "a header holds a line break or a NUL") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self.policy, self._lookup),
                limit=0,
                limit_per_host=self._per_host,
                keepalive_timeout=KEEP_ALIVE,
                ssl=self._tls if self._tls is not None else True,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trust_env=False,
                raise_for_status=False,
            )
        return self._session


def _challenges(reply: Reply) -> bool:
    """Is this a 401 that asks for Basic credentials (RFC 7235 section 3.1)?"""
    return reply.status == 401 and reply.headers.get("WWW-Authenticate", "").lower().startswith("basic")
