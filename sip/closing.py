"""Our BYE, whoever sends it: the owner's hang-up, an ACK that never came, a fork or a late 2xx that nobody
wants."""

from sip.core import Core
from sip.credentials import authorize
from sip.dialog import Dialog
from sip.flow import Flow
from sip.message import Headers, Request, Response
from sip.session import Session


def send_bye(core: Core, session: Session, dialog: Dialog, now: float, headers: Headers = ()) -> None:
    """Sends BYE; a challenge is answered, and the dialog knows its peer until the transaction is over, so
    that a BYE that crosses ours gets its 200."""
    core.add_dialog(session, dialog)
    flow = core.route(dialog)
    request = dialog.request(
        "BYE", core.via(flow), headers=(*headers, ("User-Agent", core.config.user_agent))
    )
    _send(core, session, dialog, request, flow, now)


def _send(core: Core, session: Session, dialog: Dialog, request: Request, flow: Flow, now: float) -> None:
    def on_response(response: Response, now: float) -> None:
        if response.status < 200:
            return
        again = authorize(core, session, request, response, flow, dialog)
        if again is not None:
            _send(core, session, dialog, again, flow, now)
        elif core.dialogs.get(dialog.key) == (session, dialog):
            del core.dialogs[dialog.key]

    core.layer.request(request, flow, on_response, now)
