"""Serving until somebody asks to stop: signals, what is said at the start, the configuration read again."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable

from mixminus.config import ensure_password
from mixminus.reload import reload_when
from mixminus.server import Server
from mixminus.settings import Config
from sip.uri import host_port

logger = logging.getLogger(__name__)

# Seconds within which two signals are one request to stop.
_ONE_REQUEST = 1.0


async def serve(config: Config, password_note: str, read: Callable[[], Config]) -> int:
    """Serve until a signal; 0. `read` gives the configuration anew. Raises OSError and ConfigError."""
    server = Server(config)
    stop, reload = asyncio.Event(), asyncio.Event()
    terminal = sys.stdin.isatty()
    loop = asyncio.get_running_loop()
    asked = 0.0

    def ask_to_stop() -> None:
        nonlocal asked
        # A signal to the process group comes twice where make passes its own on: only one that follows
        # later is somebody who does not want to wait.
        if stop.is_set() and loop.time() - asked > _ONE_REQUEST:
            server.hurry()
        asked = asked or loop.time()
        server.expect_stop()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    # SIGHUP is also what a closed terminal sends, and nobody is left there to stop the server.
    loop.add_signal_handler(signal.SIGHUP, lambda: (stop if terminal and _closed() else reload).set())
    await server.start()
    try:
        _greet(config, password_note)
    except OSError as error:  # nobody reads it
        logger.warning("greeting_not_printed", extra={"reason": error.strerror})

    def reread() -> Config:
        again = read()
        if not again.needs_password:
            return again
        return again.with_password(ensure_password(config.data.directory)[0])

    reloading = asyncio.create_task(reload_when(reload, reread, server.adopt), name="reload")
    await stop.wait()
    reloading.cancel()
    await server.stop()
    return 0


def _closed() -> bool:
    """The terminal that we were started from is gone."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return True
    return False


def _greet(config: Config, password_note: str) -> None:
    """Where to dial, where the API is, and which account to use; a password only when it is new."""
    account = config.accounts[0]
    for entry in config.sip.endpoints:
        place = host_port(entry.address, entry.port)
        if entry.transport in ("ws", "wss"):
            print(f"Browsers  {entry.transport}://{place}")
        else:
            transport = "" if entry.transport == "udp" else f";transport={entry.transport}"
            print(f"Dial      sip:NAME@{place}{transport}")
    print(f"API       {config.http.public_url}/api/v2/accounts/{account.id}")
    print(f"Docs      {config.http.public_url}/docs")
    print(f"Account   {account.id}, user {account.username}{password_note}", flush=True)
