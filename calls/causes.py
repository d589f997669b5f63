"""Why a call ended, in the contract's words (disconnect event), from what SIP and Q.850 say.

Q.850 causes come in Reason headers (RFC 3326), from gateways to the telephone network; where they say
anything they know more than the SIP status, which often stands for many of them (RFC 3398 section 8.2.6).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sip.reason import Reason

# SIP final responses that have a cause of their own; other 4xx and 6xx are a refusal by the callee, and 5xx
# an error on the way.
STATUSES: dict[int, tuple[str, str | None]] = {
    486: ("busy", "Callee is busy"),
    600: ("busy", "Callee is busy"),
    408: ("timeout", "No answer"),
    480: ("timeout", "Callee is temporarily unavailable"),
    487: ("cancel", None),
}


@dataclass(frozen=True)
class Cause:
    """One row of Q.850: its name, and the contract's cause of a call that fails of it, None where it says
    nothing of that."""

    name: str
    fails: str | None


Q850: dict[int, Cause] = {
    1: Cause("unallocated number", "rejected"),
    2: Cause("no route to the network", "rejected"),
    3: Cause("no route to the destination", "rejected"),
    16: Cause("normal call clearing", None),
    17: Cause("user busy", "busy"),
    18: Cause("no user responding", "timeout"),
    19: Cause("no answer from the user", "timeout"),
    20: Cause("subscriber absent", "timeout"),
    21: Cause("call rejected", "rejected"),
    22: Cause("number changed", "rejected"),
    23: Cause("redirection to new destination", "rejected"),
    26: Cause("non-selected user clearing", "rejected"),
    27: Cause("destination out of order", "error"),
    28: Cause("invalid number format", "rejected"),
    29: Cause("facility rejected", "error"),
    31: Cause("normal, unspecified", None),
    34: Cause("no circuit available", "error"),
    38: Cause("network out of order", "error"),
    41: Cause("temporary failure", "error"),
    42: Cause("switching equipment congestion", "error"),
    44: Cause("requested circuit not available", "error"),
    47: Cause("resource unavailable", "error"),
    55: Cause("incoming calls barred", "rejected"),
    57: Cause("bearer capability not authorized", "rejected"),
    58: Cause("bearer capability not available", "error"),
    63: Cause("service not available", "error"),
    65: Cause("bearer capability not implemented", "rejected"),
    70: Cause("only restricted digital information", "rejected"),
    79: Cause("service not implemented", "error"),
    87: Cause("user not member of closed user group", "rejected"),
    88: Cause("incompatible destination", "error"),
    95: Cause("invalid message", "error"),
    102: Cause("recovery on timer expiry", "error"),
    111: Cause("protocol error", "error"),
    127: Cause("interworking, unspecified", None),
}


def failure(status: int, reason: str, reasons: Sequence[Reason] = ()) -> tuple[str, str | None]:
    """The contract's cause and message for a final SIP response that is not a 2xx, with its Reasons."""
    cause, message = STATUSES.get(status, ("error" if 500 <= status < 600 else "rejected", ""))
    told = _q850(reasons)
    if told is None or status == 487:  # it was us who gave up
        return cause, _answered(status, reason) if message == "" else message
    row = Q850.get(told.cause)
    if row is not None and row.fails is not None and row.fails != cause:
        cause, message = row.fails, STATUSES[486][1] if row.fails == "busy" else ""
    return cause, f"{message or _answered(status, reason)} ({_shown(told)})"


def ending(usual: str, reasons: Sequence[Reason]) -> tuple[str, str | None]:
    """The same for a BYE or CANCEL of the far end, which ends a call as `usual` unless it names a fault."""
    for reason in reasons:
        if reason.protocol.upper() == "Q.850":
            row = Q850.get(reason.cause)
            faulty = row is not None and row.fails == "error"
        else:
            faulty = reason.protocol.upper() == "SIP" and (reason.cause == 408 or 500 <= reason.cause < 600)
        if faulty:
            return "error", f"The far end ended the call: {_shown(reason)}"
    return usual, None


def _q850(reasons: Sequence[Reason]) -> Reason | None:
    return next((reason for reason in reasons if reason.protocol.upper() == "Q.850"), None)


def _answered(status: int, reason: str) -> str:
    return f"Callee answered {status} {reason}".rstrip()


def _shown(reason: Reason) -> str:
    """`Q.850 17: user busy`, in the sender's words where the cause has no name here."""
    named = Q850.get(reason.cause) if reason.protocol.upper() == "Q.850" else None
    name = reason.text if named is None else named.name
    return f"{reason.protocol} {reason.cause}: {name}" if name else f"{reason.protocol} {reason.cause}"
