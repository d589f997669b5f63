"""The Refer verb: the far end is asked to call somebody else, and leaves when it does.

Source: contract, Refer; referComplete event.
"""

from urllib.parse import quote

from bxml import Document, verbs
from calls.call import Call
from calls.callbacks import Event, named
from calls.errors import VerbFailed
from calls.referral import Referral
from sip.errors import SipError


async def refer(call: Call, verb: verbs.Refer) -> Document | None:
    """Returns what `call` performs next when it was not taken elsewhere, None for its next verb. Raises
    VerbFailed for a call that was not made by the far end."""
    if call.direction != "inbound" or call.session is None:
        raise VerbFailed("Refer: only an inbound call can be referred")
    (destination,) = verb.destinations
    callback = named(verb, "refer_complete", call.callback_timeout)

    def succeeded(fields: Event) -> None:
        if callback is not None:
            # Its answer is of no use: the call is over.
            call.services.courier.tell(callback, call.event("referComplete", **fields))
        call.end("hangup")

    call.referral = referral = Referral(succeeded)
    try:
        call.services.sip.refer(call.session, _target(destination))
        fields = await referral.failed
    except SipError as error:
        raise VerbFailed(f"Refer: {destination.uri} cannot be called: {error.reason}") from error
    finally:
        call.referral = None
    if callback is None:
        return None
    return await call.ask(callback, call.event("referComplete", **fields))


def _target(destination: verbs.SipUri) -> str:
    """The address for Refer-To; what the one called there is to get as User-to-User stands in it (RFC 7433
    section 4.1)."""
    if destination.uui is None:
        return destination.uri
    joint = "&" if "?" in destination.uri else "?"
    return f"{destination.uri}{joint}User-to-User={quote(destination.uui, safe='')}"
