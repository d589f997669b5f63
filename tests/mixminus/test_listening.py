"""What is in use, or not of this machine, is known and named before the server is loaded."""

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from mixminus import listening
from mixminus.config import load
from mixminus.settings import Config
from tests.support.free_ports import free_port, free_range

LONG_AGO, NEVER = float("-inf"), float("inf")
"""When we were started: without patience, and with any amount."""


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
        listening.await_addresses(config, LONG_AGO)
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


class Clock:
    """Virtual time, in which something happens after a pause."""

    def __init__(self, then: Callable[[float], None]) -> None:
        self.now = 0.0
        self._then = then

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self._then(self.now)


class Health:
    """Somebody who listens at `http.listen` and answers all that comes with the same."""

    def __init__(self, port: int, answer: bytes) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._answer = answer
        self.asked = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked += 1
                connection.recv(1_000)
                connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


def health(status: str, code: str) -> bytes:
    body = json.dumps({"status": status, "version": "1", "pids": {}})
    return f"HTTP/1.1 {code}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


STOPPING = health("stopping", "503 Service Unavailable")


def test_a_server_that_says_it_is_stopping_is_waited_for_until_its_last_socket_is_closed(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    sip, predecessor = (
        Taken(socket.SOCK_DGRAM, config.sip.endpoints[0].port),
        Health(config.http.listen[1], STOPPING),
    )
    ends = {1.0: predecessor.close, 8.0: sip.socket.close}

    def then(now: float) -> None:
        for when in [when for when in ends if when <= now]:
            ends.pop(when)()

    clock = Clock(then)
    monkeypatch.setattr(listening, "time", clock)
    listening.await_addresses(config, 0.0)
    assert 8.0 <= clock.now < 8.2 and predecessor.asked == 1


def test_a_server_that_never_stops_stopping_is_named_at_last(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    predecessor = Health(config.http.listen[1], STOPPING)
    clock = Clock(lambda _: None)
    monkeypatch.setattr(listening, "time", clock)
    with pytest.raises(OSError, match=r"http\.listen 127\.0\.0\.1:\d+: Address already in use"):
        listening.await_addresses(config, 0.0)
    predecessor.close()
    assert 10.0 <= clock.now < 10.2


@pytest.mark.parametrize(
    "answer",
    [
        health("ok", "200 OK"),
        health("starting", "503 Service Unavailable"),
        health("stopping", "200 OK"),
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n[]",
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n\xff",
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n" + b"[" * 10_000,
        b"SSH-2.0-stranger\r\n",
        b"",
    ],
)
def test_anybody_else_is_named_soon(config: Config, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    somebody = Health(config.http.listen[1], answer)
    clock = Clock(lambda _: None)
    monkeypatch.setattr(listening, "time", clock)
    with pytest.raises(OSError, match="Address already in use"):
        listening.await_addresses(config, 0.0)
    somebody.close()
    assert listening.PATIENCE <= clock.now < listening.PATIENCE + 0.2


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
