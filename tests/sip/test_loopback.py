"""What loopback says about a source address."""

import pytest

from sip.access import Access
from sip.core import Core, EndpointConfig
from sip.flow import Flow
from sip.gate import Refusal, Sender, identify
from sip.message import Request, parse

OPTIONS = (
    b"OPTIONS sip:room@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\n"
    b"From: <sip:a@b.test>;tag=1\r\nTo: <sip:room@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def identified(source: str, *, local: str, allow: list[str]) -> Sender | Refusal:
    request = parse(OPTIONS)
    assert isinstance(request, Request)
    core = Core(EndpointConfig(access=Access(allow=allow)))
    return identify(core, request, Flow("udp", (local, 5060), (source, 5060)), 0.0)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_an_allowed_source_may_call_in(source: str) -> None:
    assert identified(source, local="127.0.0.1", allow=["127.0.0.0/8"]) == Sender()


def test_this_machines_other_address_counts_as_loopback_where_only_loopback_is_reached() -> None:
    assert identified("192.0.2.9", local="127.0.0.1", allow=["127.0.0.0/8"]) == Sender()


@pytest.mark.parametrize(
    ("source", "local", "allow"),
    [
        ("192.0.2.9", "192.0.2.1", ["127.0.0.0/8"]),
        ("127.0.0.2", "127.0.0.1", ["10.0.0.0/8"]),
        ("192.0.2.9", "127.0.0.1", ["10.0.0.0/8"]),
        ("127.0.0.2", "127.0.0.1", ["127.0.0.1/32"]),
    ],
)
def test_any_other_is_refused(source: str, local: str, allow: list[str]) -> None:
    refusal = identified(source, local=local, allow=allow)
    assert isinstance(refusal, Refusal) and refusal.status == 403
