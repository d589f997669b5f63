"""What is ordered: a call, by REST or by another call, or another document for one."""

from dataclasses import dataclass, field

from calls.callbacks import Callback, Event
from calls.media_session import MediaSession


@dataclass(frozen=True)
class Dial:
    """Whom to ring, in whose name, and for how long.

    `from_`: a number, a SIP URI, or one of the words for a withheld number; `privacy`: the callee is not
    shown it; `call_timeout`: seconds from ringing; `headers`: of the INVITE, beside its own.
    """

    to: str
    from_: str
    display_name: str = ""
    privacy: bool = False
    call_timeout: float = 30.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class LegOrder:
    """A call that another call has dialled for it. Source: contract, Forward and Transfer.

    `disconnect` gets its transferDisconnect; `fields` are what its events say beside its own, or instead.
    """

    dial: Dial
    tag: str | None = None
    disconnect: Callback | None = None
    fields: Event = field(default_factory=dict)
    lent: MediaSession | None = None
    """Whose leg the call is to take over when it is answered; without, it has one of its own."""


@dataclass(frozen=True)
class CallOrder:
    """An outbound call as it was ordered. Source: contract, createCall.

    `answer` carries the credentials, which are `disconnect`'s too; `call_timeout` counts seconds
    from ringing, `callback_timeout` is that of every webhook of the call.
    """

    application_id: str
    to: str
    from_: str
    answer: Callback
    disconnect: Callback | None = None
    call_timeout: float = 30.0
    callback_timeout: float = 15.0
    priority: int = 5
    tag: str | None = None
    privacy: bool = False
    display_name: str | None = None
    uui: str | None = None

    @property
    def dial(self) -> Dial:
        """What of it concerns the INVITE."""
        return Dial(
            to=self.to,
            from_=self.from_,
            display_name=self.display_name or "",
            privacy=self.privacy,
            call_timeout=self.call_timeout,
            headers=user_to_user(self.uui),
        )


def user_to_user(uui: str | None) -> tuple[tuple[str, str], ...]:
    """The header that takes a `uui` to the callee. Source: RFC 7433."""
    return () if uui is None else (("User-to-User", uui),)


@dataclass(frozen=True)
class Redirect:
    """Another source of BXML for a call or a conference. Source: contract, updateCall and updateConference.

    `tag`: None leaves the call's tag as it is, "" clears it.
    """

    callback: Callback
    tag: str | None = None
