"""An outbound call up to its answer: how long it may ring, and what each failure is called."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from bxml import Document
from calls.call import Call
from calls.media_session import MediaSession
from calls.order import CallOrder
from calls.routing import Route
from sip.sdp import SdpError

if TYPE_CHECKING:
    from sip.session import Session

logger = logging.getLogger(__name__)

# Without any ringing a call is given up after this many seconds (contract rest.md 2.1, callTimeout).
_SECONDS_TO_RINGING = 30.0

# SIP final responses that have a cause of their own in callbacks.md 3.3; other 4xx and 6xx are a
# refusal by the callee, and 5xx an error on the way.
_CAUSES: dict[int, tuple[str, str | None]] = {
    486: ("busy", "Callee is busy"),
    600: ("busy", "Callee is busy"),
    408: ("timeout", "No answer"),
    480: ("timeout", "Callee is temporarily unavailable"),
    487: ("cancel", None),
}


def failure(status: int, reason: str) -> tuple[str, str | None]:
    """The contract's cause and message for a final SIP response that is not a 2xx."""
    if status in _CAUSES:
        return _CAUSES[status]
    cause = "error" if 500 <= status < 600 else "rejected"
    return cause, f"Callee answered {status} {reason}".rstrip()


class Dialling:
    """One outbound call on its way: begun by `start`, fed with what SIP says, over at the answer."""

    def __init__(self, call: Call, order: CallOrder, route: Route) -> None:
        self._call = call
        self._order = order
        self._route = route
        self._patience: asyncio.TimerHandle | None = None

    def start(self, address_to: Callable[[Route], str]) -> "Session":
        """Send the INVITE; `address_to` tells which address of ours the far end reaches.

        Raises Unavailable when no port or row is free.
        """
        call, route = self._call, self._route
        media = MediaSession(call.services.media, signalling=route.host, address=address_to(route))
        call.media = media
        session = call.services.sip.invite(
            to=route.uri,
            from_party=self._order.from_,
            sdp=media.offer(),
            next_hop=route.next_hop,
            transport=route.transport,
            flow=route.flow,
            credentials=route.credentials,
            display_name=self._order.display_name,
        )
        call.initiate(session)
        self._give_up_in(_SECONDS_TO_RINGING)
        logger.info("call_dialled", extra={"call_id": call.id, "to": call.to, "next_hop": route.next_hop})
        return session

    def rings(self) -> None:
        """A 180 or 183 came: from here the call's own time-out counts."""
        self._give_up_in(self._order.call_timeout)

    def answered(self, sdp: bytes | None) -> None:
        """A 2xx came: media flows, and the `answer` event asks for the first document."""
        self.stop()
        call = self._call
        if call.media is None or call.session is None:
            raise RuntimeError(f"{call.id} was answered without having been dialled")
        try:
            moved = call.media.accept(sdp)
        except SdpError as error:
            call.end("error", f"The callee's SDP cannot be used: {error}")
            return
        if moved is not None:
            call.services.sip.reinvite(call.session, moved)
        call.connected()

        async def source() -> Document:
            return await call.ask(self._order.answer, call.event("answer"))

        call.begin(source)

    def failed(self, status: int, reason: str) -> None:
        """A final refusal, or nothing at all (408)."""
        self.stop()
        cause, message = failure(status, reason)
        self._call.end(cause, message, by_peer=True, sip_response_code=status)

    def stop(self) -> None:
        """No more time-outs."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up_in(self, seconds: float) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(seconds, self._call.end, "timeout", "No answer")
