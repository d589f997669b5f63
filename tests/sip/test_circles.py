"""What a call leaves is freed at once: the garbage collector, which holds everything up, finds nothing."""

import gc
import re

from sip.events import IncomingCall
from tests.support.sip_pair import SDP, Wire, request_text


def call(wire: Wire, number: int) -> None:
    names = {"call_id": f"call-{number}"}
    wire.say(request_text("INVITE", body=SDP, branch=f"z9hG4bKi{number}", **names))
    (session,) = [event.session for event in wire.events() if isinstance(event, IncomingCall)]
    wire.endpoint.answer(session, SDP, wire.now)
    found = re.search(r"tag=(\w+)", wire.heard()[-1].get("To") or "")
    assert found is not None
    for method, cseq in (("ACK", 1), ("BYE", 2)):
        branch = f"z9hG4bK{method}{number}"
        wire.say(request_text(method, branch=branch, to_tag=found[1], cseq=cseq, **names))
    wire.events()


def test_an_inbound_call_leaves_no_circle_behind() -> None:
    wire = Wire()
    call(wire, 0)
    wire.wait(64)
    gc.collect()
    gc.disable()
    try:
        for number in range(1, 6):
            call(wire, number)
        wire.wait(64)
        wire.sent.clear()
        assert wire.endpoint.size()["transactions"] == 0
        assert gc.collect() == 0
    finally:
        gc.enable()
