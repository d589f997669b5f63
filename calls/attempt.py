"""One INVITE of an outbound call: as whom it introduces us, its leg, its session.

A call has several when its callee is tried in several ways; see `calls.dialling`.
"""

from typing import TYPE_CHECKING

from calls.call import Call
from calls.identity import introduced
from calls.media_session import MediaSession
from calls.order import Dial
from calls.routing import Route
from calls.terms import Terms

if TYPE_CHECKING:
    from sip.session import Session
    from sip.trunks import Line


class Attempt:
    """One way to the callee, from `send` to its answer, its failure or `abandon`."""

    def __init__(self, call: Call, route: Route, lent: MediaSession | None = None) -> None:
        """`lent`: whose leg it takes over when it is answered."""
        self.route = route
        self._lent = lent
        self.session: Session | None = None
        self._call = call
        self._media: MediaSession | None = None
        self.line: Line | None = None
        """Its place on a trunk; who takes the call over takes this too."""
        self.unheard = False
        """Nothing listens where its INVITE went."""

    @property
    def media(self) -> MediaSession:
        assert self._media is not None, f"an attempt of {self._call.id} has not been sent"
        return self._media

    @property
    def left_open(self) -> bool:
        """Whether to encrypt was left to the callee, by an offer of RTP/AVP with keys."""
        return self.media.terms.srtp == "optional" and self.media.terms.private

    @property
    def progressing(self) -> bool:
        """The callee's side has said anything at all."""
        return self.session is not None and self.session.progressing

    async def send(self, dial: Dial) -> "Session":
        """Find the next hop, take a leg, send the INVITE. Raises Unavailable (no leg), OSError, ValueError
        and SipError (no way there)."""
        route, services = self.route, self._call.services
        flow = route.flow or await services.sip.reach(route.next_hop, route.transport)
        # From here on nothing is waited for: who is cancelled while he waits has nothing to give back.
        if route.trunk is not None:
            self.line = services.trunks.seize(route.trunk)
        trunk = None if route.trunk is None else services.trunks[route.trunk].trunk
        terms = services.terms_towards(flow, route.trunk, route.srtp)
        self._media = sound(self._call, self._lent, signalling=flow.sound_from, terms=terms)
        caller = introduced(dial, flow.local[0], trunk=trunk)
        self.session = services.sip.invite(
            to=route.uri,
            from_uri=caller.uri,
            sdp=self._media.offer(),
            target=flow,
            headers=(*route.headers, *caller.headers, *dial.headers),
            credentials=route.credentials,
            display_name=caller.display_name,
            max_forwards=self._call.forwards,
        )
        return self.session

    def abandon(self) -> None:
        """Let it ring no more."""
        if self.session is not None:
            self._call.services.sip.hang_up(self.session)
        self.close()

    def close(self) -> None:
        """Give its leg and its place on a trunk back."""
        if self._media is not None:
            self._media.close()
        if self.line is not None:
            self.line.release()


def sound(call: Call, lent: MediaSession | None, *, signalling: str, terms: Terms) -> MediaSession:
    """For somebody who may come to be the far end of a call that is dialled; `lent`: whose leg he gets."""
    if lent is not None:
        media = lent.successor(signalling=signalling, terms=terms)
    else:
        media = MediaSession(call.services.media, signalling=signalling, terms=terms)
    media.call_id = call.id
    return media
