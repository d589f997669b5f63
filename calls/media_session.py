"""The sound of one call: its leg, and the SDP that was agreed for it.

Both directions of offer and answer end in the same step: what was agreed is handed to the media
process, which sends from then on. Source: RFC 3264.
"""

import logging
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from calls.errors import Unavailable
from calls.terms import Terms
from media.client import Format, LegMedia, NoPort, Srtp
from sip import sdp
from sip.description import Description, family
from sip.sdp import Agreement, Codec, SdpError

if TYPE_CHECKING:
    from media.client import Leg, MediaClient

logger = logging.getLogger(__name__)

# The discard port stands in while an offer is looked at and no port is taken yet.
_NOT_YET = 9


class MediaSession:
    """One call's leg and its offers and answers.

    `signalling`: the address that the far end's SIP comes from (or goes to), None if unknown; the address of
    the `terms` is one that this far end reaches.
    """

    def __init__(self, media: "MediaClient", *, signalling: str | None, terms: Terms) -> None:
        self.leg: Leg | None = None
        self.call_id: str | None = None
        """Whose it is, for the log; None until there is a call."""
        self._media = media
        self._signalling = signalling
        self._terms = terms
        self._session_id = secrets.randbits(31)
        self._version = 0
        self._origin = ""
        self._offer: bytes | None = None
        self._named: tuple[str, int] | None = None
        """Where that wants its sound."""
        self._offered = b""
        self._agreed: Agreement | None = None
        self._late_offer = False
        self._early: bytes | None = None
        self._waits = False
        self._talked = False
        self._lender: MediaSession | None = None
        self.kept_out = False
        """The far end has put us on hold, and what it sends meanwhile is not let in."""

    @property
    def terms(self) -> Terms:
        return self._terms

    @property
    def agreed(self) -> Agreement | None:
        """What the last offer and answer have agreed, None before any did."""
        return self._agreed

    # An inbound call

    def consider(self, offer: bytes | None) -> None:
        """Look at the INVITE's offer, or at what ours would be, before anything is taken. Raises SdpError
        (400, 488)."""
        if offer is None:
            self._our_offer(_NOT_YET)
        else:
            self._meet(offer)
            text, agreed = sdp.answer(offer, self._local(_NOT_YET))
            self._check_family(agreed)
            self._named = agreed.remote
            if not any(line.port for line in Description.parse(text).media):
                raise SdpError(488, "expected an audio line with a port, got none but with port 0")
        self._offer = offer

    def answer(self) -> bytes:
        """The SDP for the 2xx: an answer, or an offer where the INVITE had none.

        Raises Unavailable when no port or row is free.
        """
        if self._early is not None:
            return self._early
        if self._offer is None:
            self._late_offer = True
            text = self.offer()
            self.claim()
            return text
        port = self._open(remote=self._named)
        text, self._agreed = sdp.answer(self._offer, self._local(port))
        if self._lender is not None and self.leg is not None and not self._connect(self._agreed):
            text, self._agreed = sdp.answer(self._offer, self._local(self.leg.port))
        return text

    def preview(self) -> bytes | None:
        """The answer as it is to be said before the call is answered, so that we are heard at once; None
        where the INVITE had no offer. The 2xx says the same. Raises Unavailable."""
        if self._offer is None:
            return None
        self._early = self.answer()
        return self._early

    def begin(self) -> None:
        """Send and let in from now on, which must be before the far end is told where to send; with a late
        offer there is nothing to send to before the ACK."""
        if self.leg is not None and self._agreed is not None:
            self._media.connect(self.leg, self._leg_media(self._agreed))
            self._media.commit()

    def acknowledged(self, answer: bytes | None) -> None:
        """The ACK arrived; it carries the answer where our 2xx made the offer."""
        if not self._late_offer or self.leg is None:
            return
        self._late_offer = False
        if answer is None:
            logger.warning("ack_without_answer", extra={"call_id": self.call_id, "leg": self.leg.id})
            return
        try:
            self._meet(answer)
            self._agreed = sdp.accept(answer, self._offered, self._local(self.leg.port))
            self._media.connect(self.leg, self._leg_media(self._agreed))
        except SdpError as error:
            self._refused(self.leg, error)

    # An outbound call

    def offer(self) -> bytes:
        """The SDP for our INVITE, or for a 2xx to one that has none.

        Raises Unavailable when no port or row is free, SdpError where the terms forbid to offer anything.
        """
        self._our_offer(_NOT_YET)
        self._offered = self._our_offer(self._open(remote=None))
        return self._offered

    def early(self, answer: bytes) -> bool:
        """What the far end says of itself before it answers: what it sends is let in from now on. Of several
        such descriptions, as a forking proxy passes them on, the last counts. False where nothing can be
        heard yet."""
        if self.leg is None or self._lender is not None:
            return False
        try:
            self._meet(answer)
            agreed = sdp.accept(answer, self._offered, self._local(self.leg.port))
            if self._media.connect(self.leg, self._leg_media(agreed)):
                self._agreed = agreed
                return True
        except SdpError as error:
            self._refused(self.leg, error)
        return False

    def accept(self, answer: bytes | None) -> bytes | None:
        """Take the answer to our offer; what is returned, if anything, must go out in a re-INVITE:
        the far end's address is taken on our port by another leg, so ours moves.

        Raises SdpError.
        """
        if self.leg is None or answer is None:
            raise SdpError(488, "the answer has no SDP")
        self._meet(answer)
        self._agreed = sdp.accept(answer, self._offered, self._local(self.leg.port))
        if self._connect(self._agreed):
            return None
        self._waits = True
        return self.restated()

    @property
    def takes_events(self) -> bool:
        """The far end takes telephone events (RFC 4733)."""
        return self._agreed is not None and self._agreed.dtmf is not None

    # Later

    def restated(self) -> bytes | None:
        """The offer of ours that the far end has not answered yet, as it is to be said now: to be asked for
        after each answer to an offer of his, which makes what was said before an older version. None where
        no offer waits."""
        if self.leg is None or not self._waits:
            return None
        self._version += 1
        return sdp.offer(self._local(self.leg.port), self._agreed)

    def reanswered(self, answer: bytes | None, offered: bytes) -> None:
        """The answer to what we `offered` in an established call: in a re-INVITE after a move, or in the 2xx
        to a re-INVITE that had no offer. Where our port is taken towards the address that it names, an offer
        with another one waits (`restated`)."""
        self._waits = False
        if self.leg is None or answer is None:
            return
        try:
            self._meet(answer)
            self._agreed = sdp.accept(answer, offered, self._local(self.leg.port))
            if not self._media.update(self.leg, self._leg_media(self._agreed)):
                self._move(self.leg)
                self._waits = True
        except SdpError as error:
            self._refused(self.leg, error)

    def reoffer(self, offer: bytes | None) -> bytes:
        """The SDP to answer a re-INVITE or UPDATE with; what it agrees holds at once.

        Raises SdpError.
        """
        if self.leg is None:
            raise SdpError(488, "no media yet")
        self._version += 1
        if offer is None:
            return sdp.offer(self._local(self.leg.port), self._agreed)
        try:
            self._meet(offer)
            text, agreed = sdp.answer(offer, self._local(self.leg.port), self._agreed)
        except SdpError:
            # A version that nobody sees would be missed: they go up by one (RFC 3264 section 8).
            self._version -= 1
            raise
        if not self._media.update(self.leg, self._leg_media(agreed)):
            self._move(self.leg)
            text, agreed = sdp.answer(offer, self._local(self.leg.port), self._agreed)
            self._media.update(self.leg, self._leg_media(agreed))
        self._media.commit()
        self._agreed = agreed
        return text

    def rest(self) -> None:
        """Nobody is there for now: nothing is sent, and nothing let in."""
        if self.leg is not None and self._agreed is not None:
            self._media.update(self.leg, replace(self._leg_media(self._agreed), sends=False, receives=False))

    def successor(self, *, signalling: str | None, terms: Terms) -> "MediaSession":
        """One for another far end, which gets this leg when it has answered or is answered: its rows, seats
        and prompts stay what they are. Until then the leg is here, and `close` of the successor leaves it."""
        successor = MediaSession(self._media, signalling=signalling, terms=terms)
        successor.call_id = self.call_id
        successor._lender = self
        return successor

    def close(self) -> None:
        """Give the leg back."""
        if self.leg is not None and self._lender is None:
            self._log_sound(self.leg)
            self._media.close_leg(self.leg)
        self.leg = None

    def _log_sound(self, leg: "Leg") -> None:
        """How it sounded, for whoever looks into a complaint."""
        figures = self._media.leg_statistics(leg)
        if figures is not None and figures.mos_mean is not None:
            names = (
                "mos_mean",
                "received",
                "lost",
                "late",
                "jitter_ms",
                "round_trip_ms",
                "far_lost",
                "drift_ppm",
            )
            sound = {name: getattr(figures, name) for name in names}
            logger.info("call_sound", extra={"call_id": self.call_id, **sound})

    def _connect(self, agreed: Agreement) -> bool:
        """Exchange sound as agreed; False where the leg has got another port for that, which is to be told.
        Raises SdpError."""
        if self.leg is None:
            raise SdpError(488, "no media yet")
        if self._lender is not None:
            self._media.readdress(self.leg, self._signalling)
        stays = self._media.connect(self.leg, self._leg_media(agreed))
        if not stays:
            self._move(self.leg)
        self.claim()
        return stays

    def claim(self) -> None:
        """A successor's leg is its own from now on, whatever the far end answers."""
        if self._lender is not None:
            self._lender.leg = None
            self._lender = None

    def _refused(self, leg: "Leg", error: SdpError) -> None:
        extra = {"call_id": self.call_id, "leg": leg.id, "reason": str(error)}
        logger.warning("answer_refused", extra=extra)

    def _move(self, leg: "Leg") -> None:
        """Another port for the leg. Raises SdpError: without one the address cannot be used."""
        try:
            self._media.move(leg)
        except NoPort as error:
            raise SdpError(488, f"the media address is in use on every port ({error})") from error

    def _open(self, remote: tuple[str, int] | None) -> int:
        if self._lender is not None:
            if self._lender.leg is None:
                raise Unavailable("the call has no leg any more")
            self.leg = self._lender.leg
            return self.leg.port
        try:
            self.leg = self._media.open_leg(signalling=self._signalling, remote=remote)
        except NoPort as error:
            raise Unavailable(str(error)) from error
        terms = self._terms
        if terms.delay_floor is not None or terms.delay_ceiling is not None:
            self._media.treat(self.leg, floor=terms.delay_floor, ceiling=terms.delay_ceiling)
        return self.leg.port

    def _meet(self, description: bytes) -> None:
        """Name our address of the family that the far end names for itself, where we have one: its signalling
        may come over the other. Of two it offers (ANAT) the one that is in use stays."""
        terms = self._terms
        theirs = sdp.addresses(description)
        if terms.reaches is None or any(family(each) == family(terms.address) for each in theirs):
            return
        for address in theirs:
            if self._media.carries(address):
                with suppress(OSError):  # no way there: then that is refused
                    self._terms = replace(terms, address=terms.reaches(address))
                    return

    def _local(self, port: int) -> sdp.Local:
        terms = self._terms
        self._origin = self._origin or terms.address
        return sdp.Local(
            address=terms.address,
            origin=self._origin,
            port=port,
            session_id=self._session_id,
            version=self._version,
            codecs=terms.codecs,
            ours_first=terms.ours_first,
            srtp=terms.srtp,
            private=terms.private,
        )

    def _our_offer(self, port: int) -> bytes:
        if not self._media.carries(self._terms.address):
            raise SdpError(488, f"no RTP at {self._terms.address}: rtp.address is of the other family")
        return sdp.offer(self._local(port))

    def _check_family(self, agreed: Agreement) -> None:
        if agreed.remote is not None and not self._media.carries(agreed.remote[0]):
            raise SdpError(
                488, f"RTP is not carried to {agreed.remote[0]}: rtp.address is of the other family"
            )

    def _leg_media(self, agreed: Agreement) -> LegMedia:
        """What was agreed, as media takes it. Raises SdpError for an address that it cannot send to.

        A far end that takes nothing and sends on, after both have talked, has put us on hold: what comes now
        is its music.
        """
        self._check_family(agreed)
        self.kept_out = self._talked and agreed.receives and not agreed.sends and not self._terms.hold_music
        self._talked = self._talked or agreed.sends
        keys = agreed.keys
        return LegMedia(
            remote=agreed.remote,
            format=_format(agreed.codec),
            payload_type=agreed.codec.payload_type,
            accepts={codec.payload_type: _format(codec) for codec in agreed.accepts},
            dtmf=agreed.dtmf,
            dtmf_clock=agreed.dtmf_clock,
            comfort=agreed.comfort,
            ptime=agreed.ptime,
            sends=agreed.sends,
            receives=agreed.receives and not self.kept_out,
            srtp=None if keys is None else Srtp(keys.suite, keys.send, keys.receive),
            rtcp=agreed.rtcp,
            rtcp_mux=agreed.rtcp_mux,
        )


def _format(codec: Codec) -> Format:
    return Format(
        codec.name,
        codec.rate,
        codec.clock_rate,
        fec=codec.number("useinbandfec") == 1,
        dtx=codec.number("usedtx") == 1,
        bitrate=codec.number("maxaveragebitrate"),
    )
