"""The Refer verb: the far end is asked to call somebody else, and leaves when it does.

Source: contract bxml.md section 4.13, callbacks.md section 3.13.
"""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import quote

from bxml import Document, verbs
from calls.callbacks import Callback, Event, named
from calls.errors import VerbFailed
from sip.errors import SipError

if TYPE_CHECKING:
    from calls.call import Call


class Referral:
    """One REFER from its sending to what came of it."""

    def __init__(self, call: "Call", callback: Callback | None) -> None:
        self.callback = callback
        self.failed: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        """The fields of a failure; a success ends the call instead."""
        self._call = call

    def settled(self, succeeded: bool, status: int | None, outcome: int | None) -> None:
        """What came of it, in SIP's codes: of the answer to the REFER, and of the call that the far end made.

        Nothing here waits, as the far end's BYE may be next.
        """
        codes = {"referSipResponseCode": status, "notifySipResponseCode": outcome}
        fields: Event = {"referCallStatus": "success" if succeeded else "failure"}
        fields |= {name: code for name, code in codes.items() if code is not None}
        if not succeeded:
            if not self.failed.done():
                self.failed.set_result(fields)
            return
        if self.callback is not None:
            # Its answer is of no use: the call is over.
            self._call.services.courier.tell(self.callback, self._call.event("referComplete", **fields))
        self._call.end("hangup")


async def refer(call: "Call", verb: verbs.Refer) -> Document | None:
    """Returns what `call` performs next when it was not taken elsewhere, None for its next verb. Raises
    VerbFailed for a call that was not made by the far end."""
    if call.direction != "inbound" or call.session is None:
        raise VerbFailed("Refer: only an inbound call can be referred")
    (destination,) = verb.destinations
    callback = named(verb, "refer_complete", call.callback_timeout)
    call.referral = referral = Referral(call, callback)
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
