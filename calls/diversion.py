"""What the callee of a Forward or Transfer is told of the call's way here."""

from calls.call import Call
from sip import diversion


def headers(call: Call, treatment: str, reason: str) -> tuple[tuple[str, str], ...]:
    """Headers for the new INVITE; `treatment` and `reason` are the contract's (Forward). Only an
    inbound call has been diverted."""
    if treatment == "none" or call.direction != "inbound" or call.session is None:
        return ()
    invite = call.session.request
    return diversion.propagated(invite) if treatment == "propagate" else diversion.stacked(invite, reason)
