"""Session timers (RFC 4028): what is asked and granted. Pure; `sip.refresh` acts on it."""

from dataclasses import dataclass

from sip.errors import SipError
from sip.headers import number, parse_parameters, split
from sip.message import Message

SHORTEST = 90
"""Seconds below which nobody may ask (section 4)."""
_LONGEST = 2**32 - 1


@dataclass(frozen=True, slots=True)
class TimerPolicy:
    """What we ask for and put up with."""

    expires: int = 1800
    """Seconds that we ask for as a caller; 0: we ask for none."""
    minimum: int = SHORTEST
    """Seconds below which a caller gets 422."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A Session-Expires value."""

    seconds: int
    refresher: str = ""
    """`uac`, `uas`, or empty where that is not said."""

    def __str__(self) -> str:
        return f"{self.seconds};refresher={self.refresher}" if self.refresher else str(self.seconds)

    @property
    def guard(self) -> float:
        """Seconds after which the session counts as expired: before the interval is over by the lesser of
        32 s and a third (section 10)."""
        return self.seconds - min(32.0, self.seconds / 3)


def asked(message: Message) -> Interval | None:
    """The Session-Expires header; None when there is none. Raises `SipError`."""
    value = message.get("Session-Expires")
    if value is None:
        return None
    seconds, *rest = split(value, ";")
    refresher = (dict(parse_parameters(rest)).get("refresher") or "").lower()
    if refresher not in ("", "uac", "uas"):
        raise SipError("Bad Session-Expires header")
    return Interval(number(seconds, "Session-Expires", _LONGEST), refresher)


def least(message: Message) -> int:
    """The Min-SE header, 90 s when there is none. Raises `SipError`."""
    value = message.get("Min-SE")
    return SHORTEST if value is None else number(value.partition(";")[0], "Min-SE", _LONGEST)


def supports(message: Message, option: str) -> bool:
    """True when an option tag stands in Supported or Require. Raises `SipError`."""
    return option in message.get_list("Supported") + message.get_list("Require")


def grant(request: Message, current: Interval | None, policy: TimerPolicy) -> Interval | None:
    """The interval of a 2xx to `request`, None for no timer (section 9, table 2). `current` is what holds so
    far, its refresher named from our answering side: a refresh that forgets the header keeps it.

    Who asks refreshes, unless he wants us to, or does not know the extension: then a proxy has asked.
    Raises `SipError`."""
    known = supports(request, "timer")
    wanted = asked(request)
    if wanted is None:
        if current is None:
            return None
        return current if known else Interval(current.seconds, "uas")
    if wanted.seconds < policy.minimum:
        # `too_brief` has refused those who would understand it.
        return None
    return Interval(wanted.seconds, (wanted.refresher or "uac") if known else "uas")


def too_brief(request: Message, policy: TimerPolicy) -> bool:
    """True for a request that deserves 422 (section 9). Raises `SipError`."""
    wanted = asked(request)
    return wanted is not None and wanted.seconds < policy.minimum and supports(request, "timer")
