"""What a REST client orders: a new call, or another document for one."""

from dataclasses import dataclass

from calls.callbacks import Callback


@dataclass(frozen=True)
class CallOrder:
    """An outbound call as it was ordered. Source: contract rest.md section 2.1.

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


@dataclass(frozen=True)
class Redirect:
    """Another source of BXML for a call or a conference. Source: contract rest.md 2.4 and 3.3.

    `tag`: None leaves the call's tag as it is, "" clears it.
    """

    callback: Callback
    tag: str | None = None
