"""An outbound call up to its answer: how long it may ring, and what each failure is called."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from bxml import Document
from calls.call import Call
from calls.errors import Unavailable
from calls.media_session import MediaSession
from calls.order import CallOrder
from calls.routing import Route
from sip.errors import SipError
from sip.sdp import SdpError
from sip.uri import sip_uri

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
        self._sending: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def start(self, address: str, dialled: Callable[["Session"], None]) -> None:
        """Send the INVITE as soon as its next hop is known, which may take a look at the DNS.

        `address` is the one to put into SDP, empty for the one that reaches the peer; `dialled` is
        given the session before anything can happen to it.
        """
        loop = asyncio.get_running_loop()
        self._sending = loop.create_task(self._dial(address, dialled), name=f"dial {self._call.id}")

    async def _dial(self, address: str, dialled: Callable[["Session"], None]) -> None:
        call, route, sip = self._call, self._route, self._call.services.sip
        try:
            flow = route.flow or await sip.reach(route.next_hop, route.transport)
            media = MediaSession(
                call.services.media,
                signalling=flow.remote[0],
                address=address or sip.local_address(flow),
            )
            call.media = media
            session = sip.invite(
                to=route.uri,
                from_uri=_from_uri(self._order.from_, flow.local[0]),
                sdp=media.offer(),
                target=flow,
                credentials=route.credentials,
                display_name=self._order.display_name or "",
            )
        except Unavailable as error:
            call.end("node-capacity-exceeded", str(error))
            return
        except (OSError, ValueError, SipError) as error:
            logger.info("dial_failed", extra={"call_id": call.id, "reason": str(error)})
            call.end("error", f"{route.next_hop} cannot be reached: {error}")
            return
        call.initiate(session)
        dialled(session)
        self._give_up_in(_SECONDS_TO_RINGING)
        logger.info("call_dialled", extra={"call_id": call.id, "to": call.to, "next_hop": route.next_hop})

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
        """Nothing more is sent, and no time-out comes."""
        if self._sending is not None and self._sending is not asyncio.current_task():
            self._sending.cancel()
        if self._patience is not None:
            self._patience.cancel()

    def _give_up_in(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(seconds, self._call.end, "timeout", "No answer")


def _from_uri(from_: str, host: str) -> str:
    """The From of the INVITE: a SIP URI as it is, a number at our address."""
    return from_ if from_.lower().startswith("sip:") else str(sip_uri(from_, host))
