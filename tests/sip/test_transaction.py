"""The four machines in virtual time, timer by timer (RFC 3261 section 17, RFC 6026)."""

import pytest

from sip.flow import Flow
from sip.message import Request, Response, parse, respond
from sip.timers import TimerQueue, TimerValues
from sip.transaction import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    ClientTransaction,
    Figure,
    Input,
    ServerTransaction,
    State,
)
from tests.support.sip_pair import request_text


class Line:
    """One transaction and what it sends, in seconds from its start."""

    def __init__(self, transport: str = "udp") -> None:
        self.timers = TimerQueue()
        self.flow = Flow(transport, ("192.0.2.10", 5060), ("192.0.2.1", 5060))
        self.now = 0.0
        self.sent: list[tuple[float, str]] = []
        self.told: list[tuple[float, int]] = []
        self.acks = 0

    def send(self, data: bytes, flow: Flow) -> None:
        message = parse(data)
        name = message.method if isinstance(message, Request) else str(message.status)
        self.sent.append((round(self.now, 3), name))

    def client(self, method: str) -> ClientTransaction:
        def on_response(response: Response, now: float) -> None:
            self.told.append((round(now, 3), response.status))

        made = ClientTransaction(
            request(method), self.flow, self.timers, TimerValues(), self.send, on_response
        )
        made.start(self.now)
        return made

    def server(self, method: str) -> ServerTransaction:
        def on_ack(ack: Request, now: float) -> None:
            self.acks += 1

        made = ServerTransaction(request(method), self.flow, self.timers, TimerValues(), self.send, self.flow)
        made.on_ack = on_ack
        return made

    def until(self, end: float) -> None:
        while (when := self.timers.next()) is not None and when <= end:
            self.now = when
            self.timers.fire(when)
        self.now = end

    def times(self, name: str) -> list[float]:
        return [at for at, sent in self.sent if sent == name]


def request(method: str) -> Request:
    made = parse(request_text(method))
    assert isinstance(made, Request)
    return made


def answer(method: str, status: int) -> Response:
    return respond(request(method), status, tag="far")


def test_timer_a_doubles_and_timer_b_gives_up_at_32_seconds() -> None:
    line = Line()
    client = line.client("INVITE")
    line.until(100)
    assert line.times("INVITE") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert line.told == [(32.0, 408)]
    assert client.state is State.TERMINATED and len(line.timers) == 0


def test_over_a_stream_an_invite_goes_out_once() -> None:
    line = Line("tcp")
    line.client("INVITE")
    line.until(100)
    assert line.times("INVITE") == [0]
    assert line.told == [(32.0, 408)]


def test_a_provisional_response_ends_retransmission_and_timer_b() -> None:
    line = Line()
    client = line.client("INVITE")
    line.until(0.6)
    client.receive(answer("INVITE", 100), line.now)
    line.until(500)
    assert line.times("INVITE") == [0, 0.5]
    assert line.told == [(0.6, 100)]
    assert client.state is State.PROCEEDING and client.provisional


@pytest.mark.parametrize(("transport", "stays"), [("udp", 32.0), ("tcp", 0.0)])
def test_timer_d_keeps_acknowledging_a_failure_and_tells_it_once(transport: str, stays: float) -> None:
    line = Line(transport)
    client = line.client("INVITE")
    client.receive(answer("INVITE", 486), 0.0)
    assert client.state is (State.COMPLETED if stays else State.TERMINATED)
    line.until(31.9)
    client.receive(answer("INVITE", 486), line.now)
    line.until(32.0)
    assert client.state is State.TERMINATED
    assert line.times("ACK") == ([0, 31.9] if stays else [0])
    assert line.told == [(0, 486)]


def test_timer_m_passes_every_2xx_for_32_seconds() -> None:
    for transport in ("udp", "tcp"):
        line = Line(transport)
        client = line.client("INVITE")
        for at in (0.0, 1.0, 31.9):
            line.until(at)
            client.receive(answer("INVITE", 200), line.now)
        line.until(32.0)
        client.receive(answer("INVITE", 200), line.now)
        assert line.told == [(0, 200), (1, 200), (31.9, 200)]
        assert line.times("ACK") == [], "the ACK to a 2xx is not the transaction's"
        assert client.state is State.TERMINATED


def test_timer_e_doubles_up_to_t2_and_timer_f_gives_up_at_32_seconds() -> None:
    line = Line()
    line.client("BYE")
    line.until(100)
    assert line.times("BYE") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert line.told == [(32.0, 408)]


def test_timer_e_runs_at_t2_after_a_provisional_response() -> None:
    line = Line()
    client = line.client("OPTIONS")
    line.until(0.1)
    client.receive(answer("OPTIONS", 100), line.now)
    line.until(100)
    assert line.times("OPTIONS") == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
    assert line.told == [(0.1, 100), (32.0, 408)]


@pytest.mark.parametrize(("transport", "stays"), [("udp", 5.0), ("tcp", 0.0)])
def test_timer_k_absorbs_repeated_answers(transport: str, stays: float) -> None:
    line = Line(transport)
    client = line.client("BYE")
    client.receive(answer("BYE", 200), 0.0)
    client.receive(answer("BYE", 200), 0.0)
    line.until(max(0.0, stays - 0.1))
    assert client.state is (State.COMPLETED if stays else State.TERMINATED)
    line.until(stays)
    assert client.state is State.TERMINATED
    assert line.told == [(0, 200)]


def test_over_a_stream_a_request_goes_out_once() -> None:
    line = Line("tcp")
    line.client("BYE")
    line.until(100)
    assert line.times("BYE") == [0] and line.told == [(32.0, 408)]


@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_a_transport_failure_is_503_at_once(method: str) -> None:
    line = Line()
    client = line.client(method)
    client.transport_failed(0.0)
    assert line.told == [(0, 503)] and client.state is State.TERMINATED and len(line.timers) == 0


def test_timer_g_repeats_a_failure_up_to_t2_and_timer_h_gives_up() -> None:
    line = Line()
    server = line.server("INVITE")
    server.respond(answer("INVITE", 486), 0.0)
    line.until(100)
    assert line.times("486") == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert server.state is State.TERMINATED and len(line.timers) == 0


def test_over_a_stream_a_failure_goes_out_once_and_waits_for_its_ack() -> None:
    line = Line("tcp")
    server = line.server("INVITE")
    server.respond(answer("INVITE", 486), 0.0)
    line.until(31.9)
    assert line.times("486") == [0] and server.state is State.COMPLETED
    line.until(32.0)
    assert server.state is State.TERMINATED


@pytest.mark.parametrize(("transport", "stays"), [("udp", 5.0), ("tcp", 0.0)])
def test_timer_i_absorbs_repeated_acks(transport: str, stays: float) -> None:
    line = Line(transport)
    server = line.server("INVITE")
    server.respond(answer("INVITE", 486), 0.0)
    line.until(0.1)
    server.receive(request("ACK"), server.reply_flow, line.now)
    assert server.state is (State.CONFIRMED if stays else State.TERMINATED)
    server.receive(request("ACK"), server.reply_flow, line.now)
    server.receive(request("INVITE"), server.reply_flow, line.now)
    line.until(0.1 + stays)
    assert server.state is State.TERMINATED
    assert line.times("486") == [0] and line.acks == 0


@pytest.mark.parametrize(("transport", "stays"), [("udp", 32.0), ("tcp", 0.0)])
def test_timer_j_repeats_the_answer_to_repeated_requests(transport: str, stays: float) -> None:
    line = Line(transport)
    server = line.server("BYE")
    server.receive(request("BYE"), server.reply_flow, 0.0)
    assert line.sent == [], "nothing to repeat before there is an answer"
    server.respond(answer("BYE", 200), 0.0)
    line.until(max(0.0, stays - 0.1))
    server.receive(request("BYE"), server.reply_flow, line.now)
    assert len(line.times("200")) == (2 if stays else 1)
    line.until(stays)
    assert server.state is State.TERMINATED


def test_timer_l_hands_up_acks_and_absorbs_invites_after_a_2xx() -> None:
    for transport in ("udp", "tcp"):
        line = Line(transport)
        server = line.server("INVITE")
        server.respond(answer("INVITE", 200), 0.0)
        server.receive(request("INVITE"), server.reply_flow, 0.0)
        server.receive(request("ACK"), server.reply_flow, 0.0)
        assert line.times("200") == [0], "repeating a 2xx is its user's business"
        assert line.acks == 1
        server.respond(answer("INVITE", 200), 1.0)
        assert len(line.times("200")) == 2
        line.until(31.9)
        assert server.state is State.ACCEPTED
        line.until(32.0)
        assert server.state is State.TERMINATED


def test_a_repeated_invite_gets_the_last_provisional_response() -> None:
    line = Line()
    server = line.server("INVITE")
    for status in (100, 180):
        server.respond(answer("INVITE", status), 0.0)
        server.receive(request("INVITE"), server.reply_flow, 0.0)
    assert [name for _, name in line.sent] == ["100", "100", "180", "180"]


def test_only_the_first_final_response_goes_out() -> None:
    line = Line()
    server = line.server("INVITE")
    server.respond(answer("INVITE", 486), 0.0)
    for status in (180, 200, 603):
        server.respond(answer("INVITE", status), 0.0)
    assert [name for _, name in line.sent] == ["486"]


@pytest.mark.parametrize(
    "figure", [INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER], ids=lambda figure: figure.name
)
def test_every_timer_of_a_figure_has_its_row_and_every_row_can_be_reached(figure: Figure) -> None:
    for state, timers in figure.timers.items():
        for timer in timers:
            assert (state, timer) in figure.rows
    reached = {figure.start} | {after for _, after in figure.rows.values()}
    assert {state for state, _ in figure.rows} <= reached
    assert State.TERMINATED in reached
    letters = [i for i in Input if len(i.value) == 1]
    assert all(timer in letters for timers in figure.timers.values() for timer in timers)


def test_a_terminated_transaction_does_nothing_more() -> None:
    line = Line()
    client, server = line.client("BYE"), line.server("BYE")
    before = len(line.sent)
    for machine in (client, server):
        machine.terminate()
        machine.terminate()
    client.receive(answer("BYE", 200), 0.0)
    server.receive(request("BYE"), line.flow, 0.0)
    line.until(100)
    assert len(line.sent) == before and not line.told
