"""Why an order from outside was not carried out, without saying in which protocol it came."""


class OrderError(Exception):
    """An order that cannot be carried out; its text is for the one who gave it."""


class NotFound(OrderError):
    """No such call, conference or member in this account."""

    def __init__(self, what: str, identifier: str) -> None:
        super().__init__(f"{what} [{identifier}] not found")


class Conflict(OrderError):
    """The call exists, but its state does not allow this any more (or not yet)."""


class Invalid(OrderError):
    """The order itself is wrong; the text names the field and what was expected."""


class LimitReached(OrderError):
    """A limit of the account; `retry_after` seconds from now it may work."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(OrderError):
    """The server cannot take new calls now: it is stopping, or has no room."""


class VerbFailed(Exception):
    """A verb could not be performed; the call ends with application-error and this text."""
