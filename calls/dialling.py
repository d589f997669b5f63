"""An outbound call up to its answer: where it goes, how long it may ring, what each failure is called."""

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bxml import Document
from calls.call import Call
from calls.media_session import MediaSession
from calls.order import CallOrder
from sip.sdp import SdpError

if TYPE_CHECKING:
    from calls.call import Source

logger = logging.getLogger(__name__)

# Without any ringing a call is given up after this many seconds (contract rest.md 2.1, callTimeout).
_SECONDS_TO_RINGING = 30.0

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")

# SIP final responses that have a cause of their own in callbacks.md 3.3; other 4xx and 6xx are a
# refusal by the callee, and 5xx an error on the way.
_CAUSES = {
    486: ("busy", "Callee is busy"),
    600: ("busy", "Callee is busy"),
    408: ("timeout", "No answer"),
    480: ("timeout", "Callee is temporarily unavailable"),
    487: ("cancel", None),
}


def is_e164(text: str) -> bool:
    """Whether a text is a telephone number in the form `+` and up to fifteen digits."""
    return _E164.fullmatch(text) is not None


@dataclass(frozen=True)
class Route:
    """Where an INVITE goes: the Request-URI, the next hop as `host[:port]` or a registered flow, and
    the credentials for a challenge from there."""

    to: str
    target: object
    transport: str = "udp"
    credentials: tuple[str, str] | None = None
    host: str | None = None
    """The address of the far end's media, as far as it can be known before the answer."""


class Dialling:
    """One outbound call on its way: made by `start`, fed with what SIP says, gone at the answer."""

    def __init__(self, call: Call, order: CallOrder, route: Route) -> None:
        self._call = call
        self._order = order
        self._route = route
        self._ringing: asyncio.TimerHandle | None = None

    def start(self, from_uri: str, address: str) -> None:
        """Send the INVITE. Raises Unavailable when no port or row is free."""
        call, services = self._call, self._call.services
        call.media = MediaSession(services.media, signalling=self._route.host, address=address)
        offer = call.media.offer()
        session = services.sip.invite(
            to=self._route.to,
            from_uri=from_uri,
            sdp=offer,
            target=self._route.target,
            transport=self._route.transport,
            credentials=self._route.credentials,
            display_name=self._order.display_name,
            privacy=self._order.privacy,
        )
        call.initiate(session)
        self._give_up_in(_SECONDS_TO_RINGING)
        logger.info("call_dialled", extra={"call_id": call.id, "to": call.to})

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
        call.begin(self._answer_source())

    def failed(self, status: int, reason: str) -> None:
        """A final refusal, or nothing at all (408)."""
        self.stop()
        cause, message = _CAUSES.get(status, (None, None))
        if cause is None:
            cause = "error" if 500 <= status < 600 else "rejected"
            message = f"Callee answered {status} {reason}"
        self._call.end(cause, message, by_peer=True, sip_response_code=status)

    def stop(self) -> None:
        """No more time-outs."""
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None

    def _give_up_in(self, seconds: float) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        self._ringing = loop.call_later(seconds, self._call.end, "timeout", "No answer")

    def _answer_source(self) -> "Source":
        async def source() -> Document:
            return await self._call.ask(self._order.answer, self._call.event("answer"))

        return source



