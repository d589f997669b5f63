"""Requests of ours outside of calls: OPTIONS and REGISTER, with credentials where the peer asks for them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sip.core import Core
from sip.credentials import authorize
from sip.flow import Flow
from sip.headers import NameAddr
from sip.message import MAX_FORWARDS, Headers, Request, Response
from sip.uri import Uri

OnAnswer = Callable[[Response], None]
"""Gets the final response: of the peer, or 408 for none and 503 for no way there, both without headers."""


@dataclass(eq=False)
class Series:
    """What requests of one kind to one peer have in common: a Call-ID and counting numbers, as a registrar
    wants them (RFC 3261 section 10.2.4), and the credentials."""

    credentials: tuple[str, str] | None = field(default=None, repr=False)
    call_id: str = ""
    cseq: int = 0
    asked: Flow | None = None
    nonces: set[str] = field(default_factory=set, repr=False)


def ask(
    core: Core,
    series: Series,
    method: str,
    *,
    uri: str,
    address: str,
    flow: Flow,
    headers: Headers,
    on_answer: OnAnswer,
    now: float,
) -> None:
    """Sends one request to `uri` over `flow`. `address`: the SIP address it is about, in From and To; our
    Contact has its user. Raises `SipError` for a bad URI."""
    target, about = Uri.parse(uri).bare(), Uri.parse(address).bare()
    series.call_id = series.call_id or f"{core.token()}{core.token()}"
    series.cseq += 1
    series.asked = flow
    series.nonces.clear()
    request = Request(
        method,
        str(target),
        (
            ("Via", core.via(flow)),
            ("Max-Forwards", str(MAX_FORWARDS)),
            ("From", str(NameAddr(about, "", (("tag", core.token()),)))),
            ("To", f"<{about}>"),
            ("Call-ID", series.call_id),
            ("CSeq", f"{series.cseq} {method}"),
            ("Contact", core.contact(flow, about.userinfo)),
            ("Allow", core.allow),
            ("User-Agent", core.config.user_agent),
            *headers,
        ),
    )
    _send(core, series, request, flow, on_answer, now)


def _send(core: Core, series: Series, request: Request, flow: Flow, on_answer: OnAnswer, now: float) -> None:
    def on_response(response: Response, now: float) -> None:
        if response.status < 200:
            return
        again = authorize(core, series, request, response, flow)
        if again is None:
            on_answer(response)
            return
        series.cseq = again.cseq.number
        _send(core, series, again, flow, on_answer, now)

    core.layer.request(request, flow, on_response, now)
