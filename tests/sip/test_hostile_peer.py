"""A peer who says anything at any time, and an owner who does too: nothing breaks, nothing is left behind.

What is said is well formed and drawn from few names, so that it often meets a call, a branch or a
transaction; bytes that are no SIP are `test_torture`'s.
"""

from collections.abc import Callable, Sequence
from random import Random

import pytest

from sip.events import MediaOffered, ReferRequested
from sip.message import Request, Response
from sip.session import Session, State
from tests.support.sip_pair import SDP, Wire, config, request_text, response_text

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY", "REFER")
STATUSES = (100, 180, 183, 200, 202, 302, 401, 407, 408, 420, 422, 481, 486, 487, 491, 500, 503, 600)
TAGS = ("phone", "far", "one", "two")


class Fight:
    """One endpoint and what is known of it; `Random` says what comes next."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.wire = Wire(config(random=Random(seed)))
        self.sessions: list[Session] = []
        self.heard: list[Request] = []

    def goes_on(self) -> None:
        moves: Sequence[Callable[[], list[Request | Response]]] = (
            self.dials,
            *[self.is_asked] * 4,
            *[self.is_answered] * 3,
            *[self.acts] * 2,
            self.waits,
        )
        self.takes(self.random.choice(moves)())

    def dials(self) -> list[Request | Response]:
        wire = self.wire
        to, from_ = "sip:bob@192.0.2.1", "sip:room@mixminus.example"
        self.sessions.append(
            wire.endpoint.invite(to=to, from_uri=from_, sdp=SDP, flow=wire.flow, now=wire.now)
        )
        return wire.heard()

    def is_asked(self) -> list[Request | Response]:
        ours = [session.dialog.local.tag for session in self.sessions if session.dialog is not None]
        ours += [request.from_.tag for request in self.heard[-5:]]
        calls = ["call-1", "call-2", *(session.call_id for session in self.sessions)]
        text = request_text(
            self.random.choice((*METHODS, *["INVITE"] * 4, *["ACK"] * 3)),
            call_id=self.random.choice(calls),
            from_tag=self.random.choice(TAGS),
            to_tag=self.random.choice(["", *ours]),
            cseq=self.random.randint(1, 4),
            branch=f"z9hG4bK{self.random.randint(1, 6)}",
            body=self.random.choice((SDP, b"")),
            extra=self.some(
                "Require: 100rel",
                f"RAck: {self.random.randint(0, 3)} {self.random.randint(1, 3)} INVITE",
                f"Session-Expires: {self.random.choice((30, 90, 1800))}",
                f"Replaces: {self.random.choice(calls)};to-tag={(ours or ['x'])[-1]};from-tag=far",
                "Refer-To: <sip:carol@192.0.2.50>",
                f"Event: refer\r\nSubscription-State: {self.random.choice(('active', 'terminated'))}",
                f"Expires: {self.random.randint(0, 5)}",
            ),
        )
        return self.wire.say(text)

    def is_answered(self) -> list[Request | Response]:
        asked = [request for request in self.heard[-6:] if request.method != "ACK"]
        if not asked:
            return []
        status = self.random.choice(STATUSES)
        challenge = f'WWW-Authenticate: Digest realm="x", nonce="{self.random.randint(1, 3)}"'
        extra = self.some(
            f"Require: 100rel\r\nRSeq: {self.random.randint(1, 3)}",
            f"Session-Expires: 90;refresher={self.random.choice(('uac', 'uas'))}",
            "Record-Route: <sip:192.0.2.77;lr>",
            f"Min-SE: {self.random.choice((90, 2000, 10**9))}",
            challenge,
        )
        tag, body = self.random.choice(TAGS[1:]), self.random.choice((SDP, b""))
        return self.wire.say(
            response_text(self.random.choice(asked), status, tag=tag, extra=extra, body=body)
        )

    def acts(self) -> list[Request | Response]:
        if not self.sessions:
            return []
        endpoint, now, session = self.wire.endpoint, self.wire.now, self.random.choice(self.sessions)
        acts = [lambda: endpoint.hang_up(session, now)]
        if session.direction == "inbound" and session.state is State.EARLY:
            acts += [
                lambda: endpoint.ring(session, now),
                lambda: endpoint.progress(session, SDP, now),
                lambda: endpoint.answer(session, SDP, now),
                lambda: endpoint.reject(session, 486, "", now),
            ]
        if session.state is State.ESTABLISHED:
            acts += [
                lambda: endpoint.reinvite(session, SDP, now),
                lambda: endpoint.refer(session, "sip:carol@192.0.2.50", now),
                lambda: endpoint.tell_refer(session, self.random.choice((180, 200, 486)), "", now),
            ]
        self.random.choice(acts)()
        return self.wire.heard()

    def waits(self) -> list[Request | Response]:
        if self.random.random() < 0.1:
            self.wire.endpoint.flow_lost(self.wire.flow, self.wire.now)
        return self.wire.wait(self.random.choice((0.1, 0.6, 2.0, 5.0, 33.0)))

    def takes(self, messages: list[Request | Response]) -> None:
        self.heard += [message for message in messages if isinstance(message, Request)]
        endpoint, now = self.wire.endpoint, self.wire.now
        for event in self.wire.events():
            if event.session not in self.sessions:
                self.sessions.append(event.session)
            match event:
                case MediaOffered(session) if self.random.random() < 0.7:
                    endpoint.accept_media(session, SDP, now)
                case ReferRequested(session) if self.random.random() < 0.6:
                    endpoint.accept_refer(session, now)
                case ReferRequested(session):
                    endpoint.refuse_refer(session, 403, now)

    def ends(self) -> None:
        for _ in range(6):
            for session in self.sessions:
                self.wire.endpoint.hang_up(session, self.wire.now)
            self.takes(self.wire.wait(60))
        self.takes(self.wire.wait(400))

    def some(self, *lines: str) -> str:
        """Each with a chance of one in five."""
        return "".join(f"{line}\r\n" for line in lines if self.random.random() < 0.2)


@pytest.mark.parametrize("first", range(0, 24, 8))
def test_whatever_is_said_in_whatever_order_nothing_is_left(first: int) -> None:
    for seed in range(first, first + 8):
        fight = Fight(seed)
        for _ in range(100):
            fight.goes_on()
        fight.ends()
        left = {kind: count for kind, count in fight.wire.endpoint.size().items() if count}
        assert not left, f"seed {seed}"
        assert all(session.ended and not session.requests for session in fight.sessions), f"seed {seed}"
