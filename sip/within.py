"""Requests of ours within a call that change nothing of it: what they say, and the final response."""

from collections.abc import Callable

from sip.core import Core
from sip.credentials import authorize
from sip.dialog import Dialog
from sip.flow import Flow
from sip.message import Headers, Request, Response
from sip.session import Session

OnAnswer = Callable[[Response, float], None]
"""Gets the final response and the time; one without headers is ours, for none (408) or no way there (503)."""


def say(
    core: Core,
    session: Session,
    dialog: Dialog,
    method: str,
    headers: Headers,
    body: bytes,
    on_answer: OnAnswer,
    now: float,
) -> None:
    """Sends one, and again with credentials where it is challenged."""
    flow = core.route(dialog)
    agent = ("User-Agent", core.config.user_agent)
    request = dialog.request(method, core.via(flow), headers=(*headers, agent), body=body)
    _send(core, session, dialog, request, flow, on_answer, now)


def _send(
    core: Core,
    session: Session,
    dialog: Dialog,
    request: Request,
    flow: Flow,
    on_answer: OnAnswer,
    now: float,
) -> None:
    def on_response(response: Response, now: float) -> None:
        if response.status < 200:
            return
        again = authorize(core, session, request, response, flow, dialog)
        if again is not None:
            _send(core, session, dialog, again, flow, on_answer, now)
        else:
            on_answer(response, now)

    core.layer.request(request, flow, on_response, now)
