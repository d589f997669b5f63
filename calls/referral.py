"""A REFER of ours, from its sending to what came of it."""

import asyncio
from collections.abc import Callable

from calls.callbacks import Event


class Referral:
    """Waits for the outcome, as the fields of the referComplete event.

    `succeeded` takes those of a success, at once, since the far end's BYE may be next.
    """

    def __init__(self, succeeded: Callable[[Event], None]) -> None:
        self.failed: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        """Those of a failure; a success ends the call instead."""
        self._succeeded = succeeded

    def settled(self, succeeded: bool, status: int | None, outcome: int | None) -> None:
        """What came of it, in SIP codes: of the answer to the REFER, and of the call that came of it."""
        codes = {"referSipResponseCode": status, "notifySipResponseCode": outcome}
        fields: Event = {"referCallStatus": "success" if succeeded else "failure"}
        fields |= {name: code for name, code in codes.items() if code is not None}
        if succeeded:
            self._succeeded(fields)
        elif not self.failed.done():
            self.failed.set_result(fields)
