"""One call of a test phone: its dialog, its offers and answers, its line of media."""

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.support import g711
from tests.support.eventually import eventually
from tests.support.rtp_line import Line, MediaSocket
from tests.support.sealing import Sealing
from tests.support.sip_text import Message, address, describe, digest_response, tag
from tests.support.sounds import SILENCE, Sound

if TYPE_CHECKING:
    from tests.support.phone import Phone

_session_ids = iter(range(1000, 1 << 30))


@dataclass(frozen=True)
class Media:
    """How a phone offers, answers and sends. `sound` None: not one packet leaves."""

    sound: Sound | None = SILENCE
    laws: tuple[str, ...] = ("PCMU", "PCMA")
    ptime: int = 20  # of the packets sent
    ptime_line: int | None = 20  # what the SDP asks for; None: no such line
    maxptime_line: int | None = None
    dtmf: int | None = 101
    direction: str = "sendrecv"
    sequence: int | None = None
    timestamp: int | None = None
    ssrc: int | None = None
    sdp_address: tuple[str, int] | None = None  # what the SDP claims, where that is not the truth
    suite: str | None = None  # of SRTP, which is offered and nothing else
    rtcp_mux: bool = False
    socket: MediaSocket | None = None  # shared with others; None: one of its own


class CallRefused(Exception):
    def __init__(self, response: Message) -> None:
        super().__init__(response.start)
        self.status = response.status
        self.response = response


class PhoneCall:
    def __init__(self, phone: "Phone", media: Media, *, call_id: str, outgoing: bool) -> None:
        self.phone = phone
        self.media = media
        self.outgoing = outgoing
        self.call_id = call_id
        self.local_tag = secrets.token_hex(6)
        self.local = ""  # From value of our requests, tag included
        self.remote = ""  # To value of our requests
        self.target = ""  # Request-URI of our requests within the dialog
        self.route: list[str] = []
        self.cseq = secrets.randbelow(1000) + 1
        self.state = "new"  # new, calling, ringing, answered, ended
        self.provisional: list[Message] = []
        self.invite: Message | None = None  # the latest INVITE, ours or theirs
        self.final: Message | None = None
        self.goodbye: Message | None = None  # the other side's BYE or CANCEL
        self.acked = asyncio.Event()  # incoming: our 2xx was acknowledged
        self.offers: list[Message] = []  # re-INVITEs and UPDATEs received
        self.refuse_offers: int | None = None  # answer those with this status
        self.referred: list[Message] = []  # REFERs received
        self.answers_refer = 202
        self.told: list[str] = []  # what NOTIFYs said of our REFER
        self.ended_at: float | None = None
        self.answered_at: float | None = None
        self._version = 1
        self._session_id = next(_session_ids)
        self._task: asyncio.Task[None] | None = None
        self.socket = media.socket or MediaSocket(phone.host)
        self.line = Line(
            self.socket,
            sound=media.sound,
            ptime=media.ptime,
            sequence=media.sequence,
            timestamp=media.timestamp,
            ssrc=media.ssrc,
        )
        self.line.sealing = Sealing(media.suite) if media.suite is not None else None
        self.line.laws = {g711.STATIC_TYPES[law]: law for law in media.laws}
        self.line.law = media.laws[0]
        self.line.payload_type = g711.STATIC_TYPES[media.laws[0]]
        phone.studio.clock.add(self.line)

    def __repr__(self) -> str:
        return f"<PhoneCall of {self.phone.user} {self.state}>"

    # --- SDP

    def offer(self, direction: str | None = None, *, held_address: bool = False) -> bytes:
        """`held_address`: the hold of RFC 2543, c= 0.0.0.0."""
        host, port = self.media.sdp_address or self.socket.address
        types = [str(g711.STATIC_TYPES[law]) for law in self.media.laws]
        lines = [f"a=rtpmap:{g711.STATIC_TYPES[law]} {law}/8000" for law in self.media.laws]
        if self.media.dtmf is not None:
            types.append(str(self.media.dtmf))
            lines += [f"a=rtpmap:{self.media.dtmf} telephone-event/8000", f"a=fmtp:{self.media.dtmf} 0-15"]
        return self._sdp(host, port, types, lines, direction or self.media.direction, held_address)

    def _sdp(
        self,
        host: str,
        port: int,
        types: list[str],
        lines: list[str],
        direction: str,
        held_address: bool = False,
    ) -> bytes:
        family = "IP6" if ":" in host else "IP4"
        shown = "0.0.0.0" if held_address else host
        text = [
            "v=0",
            f"o=phone {self._session_id} {self._version} IN {family} {host}",
            "s=-",
            f"c=IN {family} {shown}",
            "t=0 0",
            f"m=audio {port} RTP/{'AVP' if self.line.sealing is None else 'SAVP'} {' '.join(types)}",
            *lines,
        ]
        if self.line.sealing is not None:
            text.append(self.line.sealing.line())
        if self.media.rtcp_mux:
            text.append("a=rtcp-mux")
        if self.media.ptime_line is not None:
            text.append(f"a=ptime:{self.media.ptime_line}")
        if self.media.maxptime_line is not None:
            text.append(f"a=maxptime:{self.media.maxptime_line}")
        text.append(f"a={direction}")
        self._version += 1
        return ("\r\n".join(text) + "\r\n").encode()

    def answer_to(self, body: bytes) -> bytes:
        """Our answer to an offer; the line follows it."""
        offered = describe(body)
        mirrored = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(offered.direction, offered.direction)
        self.adopt(body, ours=mirrored)
        types = [str(self.line.payload_type)]
        lines = [f"a=rtpmap:{self.line.payload_type} {self.line.law}/8000"]
        if self.media.dtmf is not None and offered.dtmf is not None:
            types.append(str(offered.dtmf))
            lines += [f"a=rtpmap:{offered.dtmf} telephone-event/8000", f"a=fmtp:{offered.dtmf} 0-15"]
        host, port = self.media.sdp_address or self.socket.address
        return self._sdp(host, port, types, lines, mirrored)

    def adopt(self, body: bytes, *, ours: str) -> None:
        """The other side's SDP is known: talk to it as agreed. `ours` is the direction on our side."""
        theirs = describe(body)
        if self.line.sealing is not None:
            self.line.sealing.adopt(theirs.text)
        agreed = [(law, number) for law, number in theirs.laws if law in self.media.laws]
        assert agreed, f"no codec in common:\n{theirs.text}"
        self.line.law, self.line.payload_type = agreed[0]
        self.line.laws |= {number: law for law, number in agreed}
        self.line.dtmf = theirs.dtmf
        self.line.remote = (theirs.address, theirs.port) if theirs.port else None
        sends = ours in ("sendrecv", "sendonly") and theirs.direction in ("sendrecv", "recvonly")
        self.line.sending = sends and theirs.address != "0.0.0.0"

    @property
    def server_media(self) -> tuple[str, int]:
        assert self.line.remote is not None
        return self.line.remote

    # --- outgoing

    def start(self, to: str, body: bytes | None, headers: tuple[tuple[str, str], ...]) -> None:
        self.local = f"{self.phone.from_value};tag={self.local_tag}"
        self.remote = f"<{to}>"
        self.target = to
        self.state = "calling"
        self._task = asyncio.get_running_loop().create_task(self._invite(body, headers))

    async def _invite(self, body: bytes | None, headers: tuple[tuple[str, str], ...]) -> None:
        request = self.request("INVITE", body or b"", headers)
        response = await self._final(request)
        challenge = response.get("www-authenticate") or response.get("proxy-authenticate")
        if response.status in (401, 407) and challenge and self.phone.password is not None:
            name = "Authorization" if response.status == 401 else "Proxy-Authorization"
            proof = digest_response(
                challenge, "INVITE", self.target, self.phone.auth_user, self.phone.password
            )
            request = self.request("INVITE", body or b"", (*headers, (name, proof)))
            response = await self._final(request)
        self.final = response
        if response.status >= 300:
            self._over()
            return
        self.answered_at = self.phone.now()
        self._dialog_from(response)
        await eventually(lambda: self.phone.acks_when(self), every=0.005, what=self.story)
        if body is None:  # the offer came in the 200: the answer goes in the ACK
            self._ack(response, self.answer_to(response.body))
        else:
            self.adopt(response.body, ours=self.media.direction)
            self._ack(response)
        if self.state != "ended":
            self.state = "answered"

    async def _final(self, request: Message) -> Message:
        self.invite = request
        response = await self.phone.transact(request, self._on_provisional)
        if response.status >= 300:
            self._ack_failure(request, response)
        return response

    def _on_provisional(self, response: Message) -> None:
        self.provisional.append(response)
        if response.status > 100:
            self.state = "ringing"
        if response.body and self.media.sound is not None and self.line.remote is None:
            self.line.remote = (describe(response.body).address, describe(response.body).port)

    def _dialog_from(self, response: Message) -> None:
        self.remote = response["to"]
        self.target = address(response["contact"])
        self.route = list(reversed(response.all("record-route")))

    def _ack(self, response: Message, body: bytes = b"") -> None:
        ack = self.request("ACK", body, cseq=response.cseq[0])
        self.phone.send(ack)
        self.phone.acks[self.call_id, response.cseq[0]] = ack

    def _ack_failure(self, request: Message, response: Message) -> None:
        """RFC 3261 17.1.1.3: the ACK to a refusal belongs to the INVITE's transaction."""
        headers = [("Via", request["via"]), ("From", request["from"]), ("To", response["to"])]
        headers += [("Call-ID", self.call_id), ("CSeq", f"{request.cseq[0]} ACK"), ("Max-Forwards", "70")]
        headers += [("Route", route) for route in request.all("route")]
        ack = Message(f"ACK {request.uri} SIP/2.0", headers)
        self.phone.send(ack)
        self.phone.acks[self.call_id, request.cseq[0]] = ack

    async def answered(self) -> "PhoneCall":
        await eventually(lambda: self.state in ("answered", "ended"), what=self.story)
        if self.state == "ended" and self.final is not None and self.final.status >= 300:
            raise CallRefused(self.final)
        return self

    async def refused(self) -> int:
        """The status that refused this call."""
        try:
            await self.answered()
        except CallRefused as refusal:
            return refusal.status
        raise AssertionError(f"answered, not refused\n{self.story()}")

    async def cancel(self) -> Message:
        assert self.invite is not None
        invite = self.invite
        headers = [("Via", invite["via"]), ("From", invite["from"]), ("To", invite["to"])]
        headers += [("Call-ID", self.call_id), ("CSeq", f"{invite.cseq[0]} CANCEL"), ("Max-Forwards", "70")]
        return await self.phone.transact(Message(f"CANCEL {invite.uri} SIP/2.0", headers))

    # --- incoming

    def ring(self) -> None:
        self.state = "ringing"
        self._respond(180)

    def progress(self, *, body: bytes | None = None) -> None:
        """183 with our answer: what we say is to be heard already."""
        assert self.invite is not None
        self.state = "ringing"
        self._respond(183, body or self.answer_to(self.invite.body))

    def accept(self, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """200, repeated until the ACK."""
        assert self.invite is not None
        if self.invite.body:
            body = self.answer_to(self.invite.body)
        else:
            body = self.offer()
        self.state = "answered"
        self.answered_at = self.phone.now()
        self._task = asyncio.get_running_loop().create_task(self._repeat_answer(body, headers))

    async def _repeat_answer(self, body: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        wait = 0.5
        for _ in range(8):
            self._respond(200, body, headers)
            try:
                await asyncio.wait_for(self.acked.wait(), wait)
                return
            except TimeoutError:
                wait = min(wait * 2, 4.0)

    def refuse(self, status: int, reason: str = "Refused", headers: tuple[tuple[str, str], ...] = ()) -> None:
        self._respond(status, b"", headers, reason)
        self._over()

    def _respond(
        self, status: int, body: bytes = b"", headers: tuple[tuple[str, str], ...] = (), reason: str = ""
    ) -> None:
        assert self.invite is not None
        self.phone.respond(self.invite, status, body, headers, reason=reason, to_tag=self.local_tag)

    # --- both

    def request(
        self,
        method: str,
        body: bytes = b"",
        headers: tuple[tuple[str, str], ...] = (),
        cseq: int | None = None,
    ) -> Message:
        if cseq is None:
            self.cseq += 1
        all_headers = [
            ("Via", self.phone.via()),
            ("Max-Forwards", "70"),
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq or self.cseq} {method}"),
            ("Contact", f"<{self.phone.contact}>"),
            ("User-Agent", "mixminus-test-phone"),
            ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"),
            *(("Route", route) for route in self.route),
            *headers,
        ]
        if body:
            all_headers.append(("Content-Type", "application/sdp"))
        return Message(f"{method} {self.target} SIP/2.0", all_headers, body)

    async def reoffer(
        self, direction: str, *, held_address: bool = False, body: bytes | None = None
    ) -> Message:
        """The answer to a re-INVITE: "sendonly" or "inactive" hold, "sendrecv" takes up again."""
        request = self.request("INVITE", body or self.offer(direction, held_address=held_address))
        response = await self._final(request)
        if response.status < 300:
            self._ack(response)
            self.adopt(response.body, ours="inactive" if held_address else direction)
        return response

    async def move_media(self) -> Message:
        """A re-INVITE from a fresh RTP port, as after a change of network."""
        old = self.socket
        self.socket = MediaSocket(self.phone.host)
        self.line.close()
        self.line.media = self.socket
        self.socket.lines.append(self.line)
        response = await self.reoffer("sendrecv")
        if old is not self.media.socket:
            old.close()
        return response

    async def bye(self) -> Message:
        response = await self.phone.transact(self.request("BYE"))
        self._over()
        return response

    async def refer(self, to: str) -> Message:
        """The response to a REFER to that address."""
        return await self.phone.transact(self.request("REFER", headers=(("Refer-To", f"<{to}>"),)))

    async def tell_of_refer(self, status: str, state: str = "terminated;reason=noresource") -> int:
        """The NOTIFY to a REFER received, `status` like "200 OK"; what answers it."""
        headers = (
            ("Event", "refer"),
            ("Subscription-State", state),
            ("Content-Type", "message/sipfrag;version=2.0"),
        )
        notify = replace(self.request("NOTIFY", headers=headers), body=f"SIP/2.0 {status}\r\n".encode())
        return (await self.phone.transact(notify)).status

    async def ended(self) -> "PhoneCall":
        """Waits for the other side's BYE, CANCEL or refusal."""
        await eventually(lambda: self.state == "ended", what=self.story)
        return self

    def vanish(self) -> None:
        """No BYE, no more packets, nothing listens: the cable was pulled."""
        self._over()
        if self.socket is not self.media.socket:
            self.socket.close()

    def _over(self) -> None:
        self.state = "ended"
        if self.ended_at is None:
            self.ended_at = self.phone.now()
        self.line.sending = False
        self.phone.studio.clock.remove(self.line)

    async def close(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._over()
        self.line.close()
        if self.socket is not self.media.socket:
            self.socket.close()

    async def failed_in_background(self) -> None:
        """Raises what broke the INVITE's task, if anything did."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            await self._task

    def story(self) -> str:
        return self.phone.ladder_text(self.call_id)

    # --- requests of the other side within this dialog

    def receive(self, message: Message) -> None:
        if message.method == "ACK":
            self.acked.set()
            if message.body and self.line.remote is None:
                self.adopt(message.body, ours=self.media.direction)
        elif message.method == "BYE":
            self.goodbye = message
            self.phone.respond(message, 200)
            self._over()
        elif message.method == "CANCEL":
            self.phone.respond(message, 200)
            if self.state in ("new", "ringing"):
                self.goodbye = message
                self._respond(487, reason="Request Terminated")
                self._over()
        elif message.method in ("INVITE", "UPDATE"):
            self._reoffered(message)
        elif message.method in ("OPTIONS", "INFO"):
            self.phone.respond(message, 200)
        elif message.method == "NOTIFY":
            self.told.append(message.body.decode().strip())
            self.phone.respond(message, 200)
        elif message.method == "REFER":
            self.referred.append(message)
            self.phone.respond(message, self.answers_refer, to_tag=self.local_tag)
        else:
            self.phone.respond(message, 501)

    def _reoffered(self, message: Message) -> None:
        if message.method == "INVITE":
            self.invite = message
        self.offers.append(message)
        if self.refuse_offers is not None:
            self.phone.respond(message, self.refuse_offers)
            return
        self.acked.clear()
        body = self.answer_to(message.body) if message.body else self.offer()
        self.phone.respond(message, 200, body, to_tag=self.local_tag)

    @classmethod
    def incoming(cls, phone: "Phone", invite: Message, media: Media) -> "PhoneCall":
        call = cls(phone, replace(media), call_id=invite["call-id"], outgoing=False)
        call.invite = invite
        call.local = f"{invite['to']};tag={call.local_tag}"
        call.remote = invite["from"]
        call.target = address(invite["contact"])
        call.route = invite.all("record-route")
        assert tag(invite["from"]), f"no From tag:\n{invite}"
        return call
