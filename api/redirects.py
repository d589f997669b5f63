"""The webhook that an update of a call or conference names. Source: contract, updateCall and others."""

from typing import TYPE_CHECKING

from api.errors import ApiError
from api.models import RedirectFields, revealed
from calls.callbacks import Callback
from calls.order import Redirect

if TYPE_CHECKING:
    from api.webhooks import Courier


def redirect(update: RedirectFields, courier: "Courier", timeout: float, tag: str | None = None) -> Redirect:
    """What an active update asks for. Raises ApiError 400 where the courier may not go there: what is
    replaced goes on, instead of being stopped for a document that cannot come."""
    assert update.redirect_url is not None, "an active update has a redirectUrl: its model sees to that"
    callback = Callback(
        url=update.redirect_url,
        method=update.redirect_method,
        fallback_url=update.redirect_fallback_url,
        fallback_method=update.redirect_fallback_method,
        username=update.username,
        password=revealed(update.password),
        fallback_username=update.fallback_username,
        fallback_password=revealed(update.fallback_password),
        timeout=timeout,
    )
    for field, url, username in (
        ("redirectUrl", callback.url, callback.username),
        ("redirectFallbackUrl", callback.fallback_url, callback.fallback_username),
    ):
        if url is not None and (reason := courier.refuses(url, username or None)) is not None:
            raise ApiError(400, f"Invalid {field}: {reason}")
    return Redirect(callback, tag=tag)
