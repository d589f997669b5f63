"""A phone that registers through proxies is called through them (RFC 3327)."""

import pytest

from calls.routing import to_phone
from sip.bindings import dump, load
from sip.flow import Flow
from sip.message import Response
from sip.registrar import Registrar
from sip.registration import OVER_STREAM
from sip.tcp import StreamLimits
from tests.support.sip_pair import SERVER, Wire, config, request_text

EDGE = "<sip:198.51.100.5:5061;transport=tls;lr;r2=on>, <sip:198.51.100.5;lr;r2=on>"
FLOW = Flow("tls", SERVER, ("198.51.100.5", 40_000), 7)


def register(wire: Wire, path: str, extra: str = "Supported: path, outbound\r\n") -> Response:
    text = request_text("REGISTER", extra=f"Path: {path}\r\n{extra}", transport="TLS")
    wire.endpoint.receive(text, FLOW, wire.now)
    (answer,) = wire.heard()
    assert isinstance(answer, Response)
    return answer


def registrar_of(wire: Wire) -> Registrar:
    registrar = wire.endpoint._core.config.registrar
    assert registrar is not None
    return registrar


def test_calls_take_the_path_that_was_registered_and_it_outlives_the_connection_and_us() -> None:
    wire = Wire(config(registrar=Registrar()))
    answer = register(wire, EDGE)
    assert answer.status == 200 and answer.get_list("Path") == EDGE.split(", ")
    wire.endpoint.flow_lost(FLOW, wire.now)
    text = dump(registrar_of(wire), now=wire.now, wall=50.0)
    after = Registrar()
    assert load(after, text, now=wire.now, wall=50.0) == 1
    for registrar in (registrar_of(wire), after):
        (binding,) = registrar.contacts("room", wire.now)
        route = to_phone(binding)
        assert (route.uri, route.next_hop, route.transport) == (
            "sip:alice@192.0.2.1",
            "198.51.100.5:5061",
            "tls",
        )
        assert route.headers == tuple(("Route", value) for value in EDGE.split(", ")) and route.flow is None


def test_a_phone_that_does_not_know_of_paths_is_not_told() -> None:
    answer = register(Wire(config(registrar=Registrar())), EDGE, extra="")
    assert answer.status == 200 and answer.get("Path") is None


@pytest.mark.parametrize(
    ("transport", "path", "seconds"),
    [("tcp", "", 600), ("tls", "", 600), ("tls", EDGE, 3600), ("udp", "", 3600), ("wss", "", 3600)],
)
def test_who_is_reached_over_a_connection_alone_registers_again_before_it_is_idle_for_too_long(
    transport: str, path: str, seconds: int
) -> None:
    wire = Wire(config(registrar=Registrar()))
    extra = f"Path: {path}\r\n" if path else ""
    text = request_text("REGISTER", extra=extra, transport=transport.upper())
    flow = Flow(transport, SERVER, ("198.51.100.5", 40_000), 0 if transport == "udp" else 7)
    (answer,) = wire.say(text, flow)
    assert f"expires={seconds}" in (answer.get("Contact") or "")
    assert StreamLimits.idle > OVER_STREAM


@pytest.mark.parametrize("path", ["nowhere", "<tel:1>", "<sip:", ", ".join(["<sip:198.51.100.5;lr>"] * 9)])
def test_what_is_no_path_is_refused(path: str) -> None:
    wire = Wire(config(registrar=Registrar()))
    assert register(wire, path).status == 400
    assert registrar_of(wire).contacts("room", wire.now) == ()
