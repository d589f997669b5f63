"""What is in use, or not of this machine, is known and named before the server is loaded."""

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mixminus import listening
from mixminus.config import load
from mixminus.settings import Config
from tests.support.free_ports import free_port, free_range

PAST, NEVER = 0.0, float("inf")


class Taken:
    """A socket of somebody else's."""

    def __init__(self, kind: socket.SocketKind, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            self.socket.listen()


@pytest.fixture
def environment() -> dict[str, str]:
    rtp = free_range(4)
    sip, http = free_port(), free_port()
    return {
        "MIXMINUS_SIP__LISTEN": f'["udp:127.0.0.1:{sip}", "tcp:127.0.0.1:{sip}"]',
        "MIXMINUS_HTTP__LISTEN": f'"127.0.0.1:{http}"',
        "MIXMINUS_RTP__PORTS": f'"{rtp}"',
    }


@pytest.fixture
def config(environment: dict[str, str]) -> Config:
    return load(None, environment)


@pytest.fixture(params=["udp", "tcp", "http", "rtp"])
def taken(request: pytest.FixtureRequest, config: Config) -> Iterator[tuple[Taken, str]]:
    """An address that is in use, and how it is named."""
    sip = config.sip.endpoints[0].port
    if request.param in ("udp", "tcp"):
        port, named = sip, f"sip.listen {request.param}:127.0.0.1:{sip}"
    elif request.param == "http":
        port = config.http.listen[1]
        named = f"http.listen 127.0.0.1:{port}"
    else:
        port = int(config.rtp.ports.partition("-")[2])
        named = f"rtp.ports 127.0.0.1:{port}"
    kind = socket.SOCK_DGRAM if request.param in ("udp", "rtp") else socket.SOCK_STREAM
    found = Taken(kind, port)
    yield found, named
    found.socket.close()


def test_an_address_in_use_is_named_with_its_key(config: Config, taken: tuple[Taken, str]) -> None:
    with pytest.raises(OSError, match="Address already in use") as refused:
        listening.await_addresses(config, PAST)
    assert taken[1] in str(refused.value)


def test_a_predecessor_that_is_ending_is_waited_for(
    config: Config, taken: tuple[Taken, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            taken[0].socket.close()

    monkeypatch.setattr(listening.time, "sleep", pause)
    listening.await_addresses(config, NEVER)
    assert len(pauses) == 3


def test_an_address_of_another_machine_is_not_waited_for(environment: dict[str, str]) -> None:
    environment["MIXMINUS_RTP__ADDRESS"] = '"192.0.2.1"'
    with pytest.raises(OSError, match=r"rtp\.address 192\.0\.2\.1: "):
        listening.await_addresses(load(None, environment), NEVER)


def test_a_family_that_this_machine_does_not_have_is_named_with_its_key(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(listening.socket, "socket", refuse)
    with pytest.raises(OSError, match=r"sip\.listen udp:127\.0\.0\.1:\d+: Address family not supported"):
        listening.await_addresses(config, NEVER)


def test_what_cannot_start_says_so_before_the_server_is_loaded(
    environment: dict[str, str], config: Config
) -> None:
    port = config.http.listen[1]
    taken = Taken(socket.SOCK_STREAM, port)
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mixminus", "serve"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    taken.socket.close()
    assert found.returncode == 1
    said = [line for line in found.stderr.splitlines() if not line.startswith("import time:")]
    assert said == [f"Cannot start: http.listen 127.0.0.1:{port}: Address already in use"]
    assert "mixminus.listening" in found.stderr and "mixminus.server" not in found.stderr


def test_a_free_port_is_known_before_anything_listens(environment: dict[str, str]) -> None:
    environment["MIXMINUS_SIP__LISTEN"] = '["udp:127.0.0.1:0", "tcp:[::1]:0", "udp:127.0.0.1:5999"]'
    environment["MIXMINUS_HTTP__LISTEN"] = '"127.0.0.1:0"'
    config = listening.settle_ports(load(None, environment))
    udp, tcp, given = config.sip.endpoints
    assert udp.port and tcp.port and given.port == 5999
    assert config.http.public_url == f"http://127.0.0.1:{config.http.listen[1]}" != "http://127.0.0.1:0"
    again = listening.settle_ports(load(None, environment), config)
    assert (again.sip, again.http) == (config.sip, config.http), "a reload changes nothing"


def test_a_public_url_that_was_given_stays(environment: dict[str, str]) -> None:
    environment["MIXMINUS_HTTP__LISTEN"] = '"127.0.0.1:0"'
    environment["MIXMINUS_HTTP__PUBLIC_URL"] = '"https://mix.example"'
    assert listening.settle_ports(load(None, environment)).http.public_url == "https://mix.example"
