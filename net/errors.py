"""What can go wrong with a request out.

Each error names the URL without its query and userinfo, for both carry secrets.
"""

from yarl import URL


def shown(url: str) -> str:
    """The URL as it may stand in a log: scheme, host, port and path, without userinfo, query and fragment."""
    try:
        parsed = URL(url)
        if not parsed.raw_host:
            return "(not a URL)"
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "(not a URL)"


class HttpError(Exception):
    """A request that brought no answer. `url` may be shown; `reason` says what happened."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = shown(url)
        self.reason = reason
        super().__init__(f"{self.url}: {reason}")


class Refused(HttpError):
    """The policy, or the URL itself, forbids the request. Nothing was sent."""


class Unreachable(HttpError):
    """The name does not resolve, the connection could not be made, or it broke before the answer was whole.

    The one error after which an asynchronous event may be sent again (contract, webhooks).
    """


class TimedOut(HttpError):
    """The deadline passed before the answer was whole."""


class TooLarge(HttpError):
    """The answer's body, as sent or once decompressed, is larger than the caller takes."""


class Malformed(HttpError):
    """What came back is no HTTP answer, or its body cannot be decompressed."""
