"""Two endpoints over a line that loses messages, and every order in which things can happen."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip.events import CallAnswered, CallCancelled, CallEnded, CallFailed, Event, IncomingCall, MediaOffered
from sip.message import Request, Response
from sip.session import Session
from tests.support.sip_pair import SDP, Packet, Pair, Wire, request_text, response_text

LADDER = ("INVITE", "100 INVITE", "180 INVITE", "200 INVITE", "ACK", "BYE", "200 BYE")
ENDS = (CallFailed, CallCancelled, CallEnded)


def play(pair: Pair, *, caller_hangs_up: bool = True) -> Session:
    """A call that rings at once, is answered after 0.3 s and ended 3 s later; then two minutes of peace."""
    answer_at: list[tuple[float, Session]] = []

    def on_b(event: Event) -> None:
        if isinstance(event, IncomingCall):
            pair.b.endpoint.ring(event.session, pair.now)
            answer_at.append((pair.now + 0.3, event.session))

    pair.b.on_event = on_b
    session = pair.a.endpoint.invite(
        to="sip:b@192.0.2.10", from_uri="sip:a@192.0.2.1", sdp=SDP, flow=pair.a.flow, now=pair.now
    )
    answered_at: float | None = None
    while pair.now < 60:
        pair.run(0.1)
        for when, called in list(answer_at):
            if when <= pair.now:
                answer_at.remove((when, called))
                pair.b.endpoint.answer(called, SDP, pair.now)
        if answered_at is None and any(isinstance(e, CallAnswered) for e in pair.a.events):
            answered_at = pair.now
        if answered_at is not None and pair.now >= answered_at + 3:
            break
    side = pair.a if caller_hangs_up else pair.b
    call = (
        session if caller_hangs_up else next(e.session for e in pair.b.events if isinstance(e, IncomingCall))
    )
    side.endpoint.hang_up(call, pair.now)
    pair.run(140)
    return session


def ended(events: list[Event]) -> int:
    return sum(isinstance(event, ENDS) for event in events)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_call_survives_the_loss_of_any_messages_of_the_ladder(times: int) -> None:
    """All 2^7 patterns: the first (two, three) of each chosen kind never arrive."""
    for lost in itertools.product((False, True), repeat=len(LADDER)):
        victims = {name for name, chosen in zip(LADDER, lost, strict=True) if chosen}
        counts: dict[str, int] = dict.fromkeys(LADDER, 0)

        def lose(packet: Packet, victims: set[str] = victims, counts: dict[str, int] = counts) -> bool:
            if packet.name not in victims:
                return False
            counts[packet.name] += 1
            return counts[packet.name] <= times

        pair = Pair(lose=lose)
        play(pair)
        assert pair.a.told().count("CallAnswered") == 1, victims
        assert [n for n in pair.b.told() if n != "CallAcknowledged"] == ["IncomingCall", "CallEnded"], victims
        assert ended(pair.a.events) == 0, victims
        for side in (pair.a, pair.b):
            assert not any(side.endpoint.size().values()), (victims, side.endpoint.size())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("caller", [True, False])
def test_a_call_without_loss_needs_seven_messages(transport: str, caller: bool) -> None:
    pair = Pair(transport=transport)
    play(pair, caller_hangs_up=caller)
    assert pair.names() == list(LADDER)


def test_a_call_over_a_line_of_900_ms_is_one_call() -> None:
    """Longer than T1: everything is said more than once."""
    pair = Pair(delay=0.9)
    play(pair)
    assert pair.b.told() == ["IncomingCall", "CallAcknowledged", "CallEnded"]
    assert pair.names().count("INVITE") > 1 and pair.names().count("BYE") > 1


@pytest.mark.parametrize("name", ["ACK", "200 INVITE", "BYE", "200 BYE"])
def test_a_kind_of_message_that_never_arrives_leaves_nothing_behind(name: str) -> None:
    pair = Pair(lose=lambda packet: packet.name == name)
    play(pair)
    for side in (pair.a, pair.b):
        assert ended(side.events) <= 1
        if side is pair.a or name != "BYE":
            assert not any(side.endpoint.size().values()), side.endpoint.size()


INBOUND = ["invite", "cancel", "ack", "bye", "reinvite", "update", "options", "info", "stray"]
OUTBOUND = ["call", "call_180", "call_200", "call_200_fork", "call_486", "call_401", "call_bye"]
OFFER = ["offer_100", "offer_200", "offer_491"]
VERBS = ["ring", "progress", "answer", "reject", "hang_up", "offer", "accept", "refuse"]
ACTIONS = [*INBOUND, *OUTBOUND, *OFFER, *VERBS, "second", "minute", "flow_lost"]


class Play:
    """One endpoint driven by whatever order of messages, verbs and time."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.events: list[Event] = []
        self.inbound: Session | None = None
        self.outbound: Session | None = None
        self.cseq = 1
        self.count = 0

    def act(self, action: str) -> None:
        self.count += 1
        getattr(self, f"do_{action}")()
        self.wire.heard()
        for event in self.wire.events():
            self.events.append(event)
            if isinstance(event, IncomingCall):
                self.inbound = event.session

    def say(self, method: str, *, branch: str = "", cseq: int | None = None, body: bytes = b"") -> None:
        dialog = self.inbound.dialog if self.inbound else None
        self.wire.say(
            request_text(
                method,
                branch=branch or f"z9hG4bK{self.count}",
                cseq=self.cseq if cseq is None else cseq,
                to_tag="" if method == "CANCEL" or dialog is None else dialog.local.tag,
                body=body,
            )
        )

    def do_invite(self) -> None:
        self.wire.say(request_text("INVITE", body=SDP))

    def do_cancel(self) -> None:
        self.wire.say(request_text("CANCEL"))

    def do_ack(self) -> None:
        self.say("ACK")

    def do_bye(self) -> None:
        self.cseq += 1
        self.say("BYE")

    def do_reinvite(self) -> None:
        self.cseq += 1
        self.say("INVITE", body=SDP)

    def do_update(self) -> None:
        self.cseq += 1
        self.say("UPDATE", body=SDP)

    def do_options(self) -> None:
        self.cseq += 1
        self.say("OPTIONS")

    def do_info(self) -> None:
        self.say("INFO", cseq=1)

    def do_stray(self) -> None:
        self.wire.say(request_text("BYE", to_tag="nobody", branch=f"z9hG4bK{self.count}"))

    def verb(self, name: str, *arguments: object) -> None:
        for session in (self.inbound, self.outbound):
            if session is None:
                continue
            try:
                getattr(self.wire.endpoint, name)(session, *arguments, now=self.wire.now)
            except ValueError as error:
                assert "answered" in str(error) or "inbound" in str(error) or "renegotiated" in str(error)

    def do_ring(self) -> None:
        self.verb("ring")

    def do_progress(self) -> None:
        self.verb("progress", SDP)

    def do_answer(self) -> None:
        self.verb("answer", SDP)

    def do_reject(self) -> None:
        self.verb("reject", 486, "Busy")

    def do_hang_up(self) -> None:
        self.verb("hang_up")

    def do_offer(self) -> None:
        self.verb("reinvite", SDP)

    def do_accept(self) -> None:
        self.verb("accept_media", SDP)

    def do_refuse(self) -> None:
        self.verb("refuse_media", 488)

    def do_call(self) -> None:
        if self.outbound is None:
            self.outbound = self.wire.endpoint.invite(
                to="sip:bob@192.0.2.1",
                from_uri="sip:room@a",
                sdp=SDP,
                flow=self.wire.flow,
                credentials=("a", "b"),
                now=self.wire.now,
            )

    def respond(self, status: int, tag: str = "far", extra: str = "") -> None:
        if self.outbound is not None:
            body = SDP if status == 200 else b""
            self.wire.say(response_text(self.outbound.request, status, tag=tag, extra=extra, body=body))

    def do_call_180(self) -> None:
        self.respond(180)

    def do_call_200(self) -> None:
        self.respond(200)

    def do_call_200_fork(self) -> None:
        self.respond(200, "fork")

    def do_call_486(self) -> None:
        self.respond(486)

    def do_call_401(self) -> None:
        self.respond(401, extra=f'WWW-Authenticate: Digest realm="r", nonce="n{self.count}"\r\n')

    def do_call_bye(self) -> None:
        if self.outbound is not None:
            self.wire.say(
                request_text(
                    "BYE",
                    branch=f"z9hG4bK{self.count}",
                    call_id=self.outbound.call_id,
                    from_tag="far",
                    to_tag=self.outbound.request.from_.tag,
                )
            )

    def respond_to_offer(self, status: int) -> None:
        for session in (self.inbound, self.outbound):
            if session is not None and session.our_offer is not None:
                self.wire.say(response_text(session.our_offer.request, status, body=SDP))

    def do_offer_100(self) -> None:
        self.respond_to_offer(100)

    def do_offer_200(self) -> None:
        self.respond_to_offer(200)

    def do_offer_491(self) -> None:
        self.respond_to_offer(491)

    def do_second(self) -> None:
        self.wire.wait(0.7)

    def do_minute(self) -> None:
        self.wire.wait(61)

    def do_flow_lost(self) -> None:
        self.wire.endpoint.flow_lost(self.wire.flow, self.wire.now)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS), max_size=25))
def test_in_every_order_each_call_ends_once_and_leaves_nothing(actions: list[str]) -> None:
    play = Play()
    for action in actions:
        play.act(action)
    for session in play.wire.endpoint.sessions:
        play.wire.endpoint.hang_up(session, play.wire.now)
    for _ in range(4):
        play.act("minute")
    assert not any(play.wire.endpoint.size().values()), play.wire.endpoint.size()
    sessions = {event.session for event in play.events} | ({play.outbound} if play.outbound else set())
    for session in sessions:
        told = [e for e in play.events if e.session is session]
        ends = [e for e in told if isinstance(e, ENDS)]
        assert len(ends) <= 1
        assert not ends or told[-1] is ends[0], "nothing is told after the end"
        if session is play.outbound:
            answered = any(isinstance(e, CallAnswered) for e in told)
            assert answered or len(ends) == 1, "an unanswered call always tells of its end"


def test_offers_and_hang_ups_in_both_directions_meet() -> None:
    """Both owners act at the same moment, for each pair of acts."""
    for first, second in itertools.product(("hang_up", "reinvite"), repeat=2):
        pair = Pair()
        called: list[Session] = []

        def on_b(event: Event, pair: Pair = pair, called: list[Session] = called) -> None:
            if isinstance(event, IncomingCall):
                called.append(event.session)
                pair.b.endpoint.answer(event.session, SDP, pair.now)
            elif isinstance(event, MediaOffered):
                pair.b.endpoint.accept_media(event.session, SDP, pair.now)

        def on_a(event: Event, pair: Pair = pair) -> None:
            if isinstance(event, MediaOffered):
                pair.a.endpoint.accept_media(event.session, SDP, pair.now)

        pair.a.on_event, pair.b.on_event = on_a, on_b
        session = pair.a.endpoint.invite(
            to="sip:b@192.0.2.10", from_uri="sip:a@192.0.2.1", sdp=SDP, flow=pair.a.flow, now=0.0
        )
        pair.run(1)
        for side, act, call in ((pair.a, first, session), (pair.b, second, called[0])):
            if act == "hang_up":
                side.endpoint.hang_up(call, pair.now)
            else:
                side.endpoint.reinvite(call, SDP, pair.now)
        pair.run(20)
        over = "hang_up" in (first, second)
        assert session.ended is over and called[0].ended is over
        pair.run(100)
        assert not over or not any((pair.a.endpoint.size() | pair.b.endpoint.size()).values())
        finals = [
            p.message.status for p in pair.log if isinstance(p.message, Response) and p.message.status >= 200
        ]
        assert all(status in (200, 481, 487, 491) for status in finals), finals
        requests = [p.message for p in pair.log if isinstance(p.message, Request)]
        assert sum(r.method == "BYE" for r in requests) <= 2
