"""An outbound call up to its answer: how long it may ring, and what each failure is called."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calls.errors import Unavailable
from calls.media_session import MediaSession
from calls.order import Dial
from calls.routing import Route
from sip.errors import SipError
from sip.sdp import SdpError
from sip.uri import sip_uri

if TYPE_CHECKING:
    from calls.call import Call
    from sip.session import Session

logger = logging.getLogger(__name__)

# Without any ringing a call is given up after this many seconds (contract rest.md 2.1, callTimeout).
_SECONDS_TO_RINGING = 30.0

# The words for a number that the callee must not know (contract bxml.md 4.26, transferCallerId).
_WITHHELD = frozenset({"restricted", "anonymous", "private", "unavailable"})

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


class Listener:
    """Whoever had a call dialled, and is told what becomes of it. Here nothing is done about it."""

    def rings(self, call: "Call") -> None:
        """The callee is being alerted; may be told more than once."""

    def answered(self, call: "Call") -> None:
        """The callee has answered, and media flows."""

    def failed(self, call: "Call") -> None:
        """The call has ended without an answer; why stands in it."""


class Dialling:
    """One outbound call on its way: begun by `start`, fed with what SIP says, over at the answer."""

    def __init__(self, call: "Call", dial: Dial, route: Route, listener: Listener) -> None:
        self._call = call
        self._dial = dial
        self._route = route
        self._listener = listener
        self._sending: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None

    def start(self, address: str, dialled: Callable[["Session"], None]) -> None:
        """Send the INVITE as soon as its next hop is known, which may take a look at the DNS.

        `address` is the one to put into SDP, empty for the one that reaches the peer; `dialled` is
        given the session before anything can happen to it.
        """
        loop = asyncio.get_running_loop()
        self._sending = loop.create_task(self._invite(address, dialled), name=f"dial {self._call.id}")

    async def _invite(self, address: str, dialled: Callable[["Session"], None]) -> None:
        call, route, sip = self._call, self._route, self._call.services.sip
        try:
            flow = route.flow or await sip.reach(route.next_hop, route.transport)
            media = MediaSession(
                call.services.media,
                signalling=flow.remote[0],
                address=address or sip.local_address(flow),
            )
            call.media = media
            caller = identify(self._dial, flow.local[0], trusted=route.trusted)
            session = sip.invite(
                to=route.uri,
                from_uri=caller.uri,
                sdp=media.offer(),
                target=flow,
                headers=(*caller.headers, *self._dial.headers),
                credentials=route.credentials,
                display_name=caller.display_name,
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
        self._give_up_in(self._dial.call_timeout)
        self._listener.rings(self._call)

    def answered(self, sdp: bytes | None) -> None:
        """A 2xx came: media flows."""
        self.stop()
        call = self._call
        if call.media is None or call.session is None:
            raise RuntimeError(f"{call.id} was answered without having been dialled")
        try:
            moved = call.media.accept(sdp)
        except SdpError as error:
            call.end("error", f"The callee's SDP cannot be used: {error}")
            self._listener.failed(call)
            return
        if moved is not None:
            call.services.sip.reinvite(call.session, moved)
        call.connected()
        self._listener.answered(call)

    def failed(self, status: int, reason: str) -> None:
        """A final refusal, or nothing at all (408)."""
        self.stop()
        cause, message = failure(status, reason)
        self._call.end(cause, message, by_peer=True, sip_response_code=status)

    def call_ended(self) -> None:
        """It has come to nothing, whoever ended it."""
        self.stop()
        self._listener.failed(self._call)

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


@dataclass(frozen=True)
class Caller:
    """As whom an INVITE introduces us: its From, and the headers that say more."""

    uri: str
    display_name: str
    headers: tuple[tuple[str, str], ...] = ()


def identify(dial: Dial, host: str, *, trusted: bool) -> Caller:
    """The caller as the callee may know him; `host` is our address, where numbers live.

    Whoever withholds his number appears as RFC 3323 section 4.1.1.3 says. Only a trunk, which is trusted
    to heed Privacy, still learns it, in P-Asserted-Identity (RFC 3325 section 9.1).
    """
    from_ = dial.from_
    uri = from_ if from_.lower().startswith("sip:") else str(sip_uri(from_, host))
    withheld = from_.lower() in _WITHHELD
    if not withheld and not dial.privacy:
        return Caller(uri, dial.display_name)
    headers = [("Privacy", "id")]
    if trusted and not withheld:
        headers.append(("P-Asserted-Identity", f"<{uri}>"))
    return Caller("sip:anonymous@anonymous.invalid", dial.display_name or "Anonymous", tuple(headers))
