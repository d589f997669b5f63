"""Transactions: the four machines of RFC 3261 section 17 as amended by RFC 6026, each a table.

A figure lists, for each state and input, what is done and the state that follows; what is not listed is
ignored. The timers that run in a state are part of the figure too. Time is an argument; a timer of zero
seconds (reliable transports) fires on the spot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from sip.flow import Flow
from sip.message import Request, Response
from sip.timers import TimerQueue, TimerValues


class State(Enum):
    """As named in the figures."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    ACCEPTED = "Accepted"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    TERMINATED = "Terminated"


class Input(Enum):
    """What can happen to a transaction; timers by their letter."""

    REQUEST = "request"
    """A retransmission of the request that began a server transaction."""
    ACK = "ACK"
    PROVISIONAL = "1xx"
    SUCCESS = "2xx"
    FAILURE = "300-699"
    TRANSPORT_ERROR = "transport error"
    A = "A"
    B = "B"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741  the letter is the RFC's
    J = "J"
    K = "K"
    L = "L"
    M = "M"


class Do(Enum):
    """What a transaction does on an input."""

    TELL = "tell the user"
    """Client: passes the response up; server: passes the ACK up."""
    TIME_OUT = "tell the user of a time-out"
    FAIL = "tell the user that the transport failed"
    RESEND = "send the request or the last response again"
    SEND = "send the response"
    ACK = "send the ACK to a non-2xx"


Row = tuple[tuple[Do, ...], State]


@dataclass(frozen=True)
class Figure:
    """One machine: its first state, its table, and the timers that run in each state."""

    name: str
    start: State
    rows: Mapping[tuple[State, Input], Row]
    timers: Mapping[State, tuple[Input, ...]]


_S, _I, _D = State, Input, Do

INVITE_CLIENT = Figure(
    "INVITE client, figure 5 with RFC 6026 figure 1",
    _S.CALLING,
    {
        (_S.CALLING, _I.A): ((_D.RESEND,), _S.CALLING),
        (_S.CALLING, _I.B): ((_D.TIME_OUT,), _S.TERMINATED),
        (_S.CALLING, _I.TRANSPORT_ERROR): ((_D.FAIL,), _S.TERMINATED),
        (_S.CALLING, _I.PROVISIONAL): ((_D.TELL,), _S.PROCEEDING),
        (_S.CALLING, _I.SUCCESS): ((_D.TELL,), _S.ACCEPTED),
        (_S.CALLING, _I.FAILURE): ((_D.ACK, _D.TELL), _S.COMPLETED),
        (_S.PROCEEDING, _I.PROVISIONAL): ((_D.TELL,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.SUCCESS): ((_D.TELL,), _S.ACCEPTED),
        (_S.PROCEEDING, _I.FAILURE): ((_D.ACK, _D.TELL), _S.COMPLETED),
        (_S.COMPLETED, _I.FAILURE): ((_D.ACK,), _S.COMPLETED),
        (_S.COMPLETED, _I.D): ((), _S.TERMINATED),
        (_S.COMPLETED, _I.TRANSPORT_ERROR): ((), _S.TERMINATED),
        (_S.ACCEPTED, _I.SUCCESS): ((_D.TELL,), _S.ACCEPTED),
        (_S.ACCEPTED, _I.M): ((), _S.TERMINATED),
    },
    {_S.CALLING: (_I.A, _I.B), _S.COMPLETED: (_I.D,), _S.ACCEPTED: (_I.M,)},
)

CLIENT = Figure(
    "non-INVITE client, figure 6",
    _S.TRYING,
    {
        (_S.TRYING, _I.E): ((_D.RESEND,), _S.TRYING),
        (_S.TRYING, _I.F): ((_D.TIME_OUT,), _S.TERMINATED),
        (_S.TRYING, _I.TRANSPORT_ERROR): ((_D.FAIL,), _S.TERMINATED),
        (_S.TRYING, _I.PROVISIONAL): ((_D.TELL,), _S.PROCEEDING),
        (_S.TRYING, _I.SUCCESS): ((_D.TELL,), _S.COMPLETED),
        (_S.TRYING, _I.FAILURE): ((_D.TELL,), _S.COMPLETED),
        (_S.PROCEEDING, _I.E): ((_D.RESEND,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.F): ((_D.TIME_OUT,), _S.TERMINATED),
        (_S.PROCEEDING, _I.TRANSPORT_ERROR): ((_D.FAIL,), _S.TERMINATED),
        (_S.PROCEEDING, _I.PROVISIONAL): ((_D.TELL,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.SUCCESS): ((_D.TELL,), _S.COMPLETED),
        (_S.PROCEEDING, _I.FAILURE): ((_D.TELL,), _S.COMPLETED),
        (_S.COMPLETED, _I.K): ((), _S.TERMINATED),
    },
    {_S.TRYING: (_I.E, _I.F), _S.PROCEEDING: (_I.E, _I.F), _S.COMPLETED: (_I.K,)},
)

INVITE_SERVER = Figure(
    "INVITE server, figure 7 with RFC 6026 figure 2",
    _S.PROCEEDING,
    {
        (_S.PROCEEDING, _I.REQUEST): ((_D.RESEND,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.PROVISIONAL): ((_D.SEND,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.SUCCESS): ((_D.SEND,), _S.ACCEPTED),
        (_S.PROCEEDING, _I.FAILURE): ((_D.SEND,), _S.COMPLETED),
        (_S.COMPLETED, _I.REQUEST): ((_D.RESEND,), _S.COMPLETED),
        (_S.COMPLETED, _I.G): ((_D.RESEND,), _S.COMPLETED),
        (_S.COMPLETED, _I.H): ((), _S.TERMINATED),
        (_S.COMPLETED, _I.ACK): ((), _S.CONFIRMED),
        (_S.CONFIRMED, _I.I): ((), _S.TERMINATED),
        (_S.ACCEPTED, _I.SUCCESS): ((_D.SEND,), _S.ACCEPTED),
        (_S.ACCEPTED, _I.ACK): ((_D.TELL,), _S.ACCEPTED),
        (_S.ACCEPTED, _I.L): ((), _S.TERMINATED),
    },
    {_S.COMPLETED: (_I.G, _I.H), _S.CONFIRMED: (_I.I,), _S.ACCEPTED: (_I.L,)},
)

SERVER = Figure(
    "non-INVITE server, figure 8",
    _S.TRYING,
    {
        (_S.TRYING, _I.PROVISIONAL): ((_D.SEND,), _S.PROCEEDING),
        (_S.TRYING, _I.SUCCESS): ((_D.SEND,), _S.COMPLETED),
        (_S.TRYING, _I.FAILURE): ((_D.SEND,), _S.COMPLETED),
        (_S.PROCEEDING, _I.REQUEST): ((_D.RESEND,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.PROVISIONAL): ((_D.SEND,), _S.PROCEEDING),
        (_S.PROCEEDING, _I.SUCCESS): ((_D.SEND,), _S.COMPLETED),
        (_S.PROCEEDING, _I.FAILURE): ((_D.SEND,), _S.COMPLETED),
        (_S.COMPLETED, _I.REQUEST): ((_D.RESEND,), _S.COMPLETED),
        (_S.COMPLETED, _I.J): ((), _S.TERMINATED),
    },
    {_S.COMPLETED: (_I.J,)},
)

_REPEATING = (Input.A, Input.E, Input.G)
_NO_RETRANSMISSION = -1.0


def first_interval(timer: Input, values: TimerValues, reliable: bool) -> float:
    """Seconds from the start of a timer to its firing; negative when it does not run on this transport."""
    match timer:
        case Input.A | Input.E | Input.G:
            return _NO_RETRANSMISSION if reliable else values.t1
        case Input.D:
            return 0.0 if reliable else max(32.0, values.give_up)
        case Input.I | Input.K:
            return 0.0 if reliable else values.t4
        case Input.J:
            return 0.0 if reliable else values.give_up
        case _:
            return values.give_up


def next_interval(timer: Input, last: float, state: State, values: TimerValues) -> float:
    """Seconds to the next firing of a timer that retransmits: A doubles without end, E and G up to T2, and
    E is T2 at once after a provisional response."""
    if timer is Input.A:
        return 2 * last
    if timer is Input.E and state is State.PROCEEDING:
        return values.t2
    return min(2 * last, values.t2)


Send = Callable[[bytes, Flow], None]


class Machine:
    """A transaction at work: state, timers and the bytes to repeat."""

    def __init__(
        self, figure: Figure, request: Request, flow: Flow, timers: TimerQueue, values: TimerValues
    ) -> None:
        self.state = figure.start
        self.request = request
        self.flow = flow
        self.on_terminated: Callable[[], None] = _nothing
        self._figure = figure
        self._timers = timers
        self._values = values
        self._intervals: dict[Input, float] = {}

    def _step(self, what: Input, now: float) -> tuple[Do, ...]:
        """Goes to the next state and returns what is to be done."""
        actions, after = self._figure.rows.get((self.state, what), ((), self.state))
        if after is not self.state:
            self._enter(after, now)
        return actions

    def _enter(self, state: State, now: float) -> None:
        wanted = self._figure.timers.get(state, ())
        for timer in [t for t in self._intervals if t not in wanted]:
            self._timers.cancel(self, timer.value)
            del self._intervals[timer]
        self.state = state
        if state is State.TERMINATED:
            told = self.on_terminated
            self._let_go()
            told()
            return
        for timer in wanted:
            if timer in self._intervals:
                continue
            seconds = first_interval(timer, self._values, self.flow.reliable)
            if seconds == 0.0:
                self._fired(timer, now)
            elif seconds > 0:
                self._start(timer, seconds, now)

    def _let_go(self) -> None:
        """What nobody needs after the end: no circle is to be left for the garbage collector, which holds
        everything up while it looks."""
        self.on_terminated = _nothing

    def _start(self, timer: Input, seconds: float, now: float) -> None:
        self._intervals[timer] = seconds
        self._timers.set(self, timer.value, now + seconds, lambda then: self._fired(timer, then))

    def _fired(self, timer: Input, now: float) -> None:
        last = self._intervals.pop(timer, 0.0)
        actions = self._step(timer, now)
        if timer in _REPEATING:
            self._start(timer, next_interval(timer, last, self.state, self._values), now)
        self._perform(actions, None, now)

    def _perform(self, actions: tuple[Do, ...], message: Request | Response | None, now: float) -> None:
        raise NotImplementedError

    def terminate(self) -> None:
        """Ends it at once, whatever the state."""
        if self.state is not State.TERMINATED:
            self._enter(State.TERMINATED, 0.0)


class ClientTransaction(Machine):
    """A request of ours. `on_response(response, now)` gets every response that its user must see; a
    time-out comes as 408 and a transport failure as 503 (section 8.1.3.1), both without headers."""

    def __init__(
        self,
        request: Request,
        flow: Flow,
        timers: TimerQueue,
        values: TimerValues,
        send: Send,
        on_response: Callable[[Response, float], None],
    ) -> None:
        super().__init__(
            INVITE_CLIENT if request.method == "INVITE" else CLIENT, request, flow, timers, values
        )
        self.retransmissions = 0
        self._send = send
        self._data = bytes(request)
        self._on_response = on_response
        self._otherwise: tuple[Request, Flow, Callable[[float], None]] | None = None

    @property
    def size(self) -> int:
        """Bytes of the request."""
        return len(self._data)

    def prefer(self, flow: Flow, on_fall_back: Callable[[float], None]) -> None:
        """To be called before `start`: the request is to go over `flow`, with a Via that says so, and the
        way it was made for when that fails before any response; then `on_fall_back` is called."""
        self._otherwise = (self.request, self.flow, on_fall_back)
        via = self.request.via
        self._point(
            self.request.through(replace(via, transport=flow.transport.upper(), port=flow.local[1])), flow
        )

    @property
    def provisional(self) -> bool:
        """True once a 1xx has come and nothing final: the time when CANCEL may go out (section 9.1)."""
        return self.state is State.PROCEEDING

    @property
    def done(self) -> bool:
        """True once a final response has come, or none will."""
        return self.state in (State.ACCEPTED, State.COMPLETED, State.TERMINATED)

    def start(self, now: float) -> None:
        """Sends the request."""
        self._enter(self.state, now)
        self._send(self._data, self.flow)

    def _point(self, request: Request, flow: Flow) -> None:
        self.request, self.flow, self._data = request, flow, bytes(request)

    def receive(self, response: Response, now: float) -> None:
        """A response that belongs here."""
        self._perform(self._step(kind(response.status), now), response, now)

    def transport_failed(self, now: float) -> None:
        """The request could not be sent."""
        if self._otherwise is not None and self.state is self._figure.start:
            request, flow, on_fall_back = self._otherwise
            self._otherwise = None
            self._point(request, flow)
            on_fall_back(now)
            self.start(now)
            return
        self._perform(self._step(Input.TRANSPORT_ERROR, now), None, now)

    def _perform(self, actions: tuple[Do, ...], message: Request | Response | None, now: float) -> None:
        for action in actions:
            match action:
                case Do.RESEND:
                    self.retransmissions += 1
                    self._send(self._data, self.flow)
                case Do.ACK:
                    assert isinstance(message, Response)
                    self._send(bytes(ack_to_failure(self.request, message)), self.flow)
                case Do.TELL:
                    assert isinstance(message, Response)
                    self._on_response(message, now)
                case Do.TIME_OUT:
                    self._on_response(Response(408, "Request Timeout"), now)
                case Do.FAIL:
                    self._on_response(Response(503, "Transport failed"), now)
                case Do.SEND:
                    raise AssertionError("a client sends no response")


class ServerTransaction(Machine):
    """A request of the peer's. `on_ack(request, now)` gets an ACK to a 2xx that came with the INVITE's
    branch."""

    def __init__(
        self,
        request: Request,
        flow: Flow,
        timers: TimerQueue,
        values: TimerValues,
        send: Send,
        reply_flow: Flow,
    ) -> None:
        super().__init__(
            INVITE_SERVER if request.method == "INVITE" else SERVER, request, flow, timers, values
        )
        self.on_ack: Callable[[Request, float], None] = _nothing
        self.on_cancel: Callable[[Request, float], None] = _nothing
        """Gets the CANCEL of an INVITE that has no final response yet."""
        self.tag = ""
        """The To tag of all its responses; empty until somebody cares."""
        self.reply_flow = reply_flow
        """Where responses go; changes when a connection is lost."""
        self.retransmissions = 0
        self._send = send
        self._last = b""

    def _let_go(self) -> None:
        super()._let_go()
        self.on_ack = self.on_cancel = _nothing

    @property
    def answered(self) -> bool:
        """True once a final response was given."""
        return self.state not in (State.TRYING, State.PROCEEDING)

    def respond(self, response: Response, now: float) -> None:
        """Sends a response; one that the state does not allow is dropped (a final one has been sent)."""
        actions = self._step(kind(response.status), now)
        if actions:
            self._last = bytes(response)
        self._perform(actions, response, now)

    def receive(self, request: Request, reply_flow: Flow, now: float) -> None:
        """A retransmission, or an ACK with this branch. What is said again by another way is answered by that
        one: the first may be gone."""
        if request.method == "ACK":
            self._perform(self._step(Input.ACK, now), request, now)
            return
        self.reply_flow = reply_flow
        self._perform(self._step(Input.REQUEST, now), request, now)

    def _perform(self, actions: tuple[Do, ...], message: Request | Response | None, now: float) -> None:
        for action in actions:
            match action:
                case Do.SEND:
                    self._send(self._last, self.reply_flow)
                case Do.RESEND:
                    if self._last:
                        self.retransmissions += 1
                        self._send(self._last, self.reply_flow)
                case Do.TELL:
                    assert isinstance(message, Request)
                    self.on_ack(message, now)
                case _:
                    raise AssertionError(f"a server does not {action.value}")


def kind(status: int) -> Input:
    """Which input a response is."""
    if status < 200:
        return Input.PROVISIONAL
    return Input.SUCCESS if status < 300 else Input.FAILURE


def ack_to_failure(invite: Request, response: Response) -> Request:
    """The ACK that belongs to the transaction (section 17.1.1.3): one Via, To from the response."""
    kept = []
    for name, value in invite.headers:
        if name == "To":
            value = response.get("To") or value
        elif name == "CSeq":
            value = str(replace(invite.cseq, method="ACK"))
        if name in ("Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Route"):
            kept.append((name, value))
    return Request("ACK", invite.uri, tuple(kept))


def _nothing(*_: object) -> None:
    """Nobody listens."""
