"""The command line: `mixminus serve`, `mixminus check`, `mixminus lint`, `mixminus --version`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import bxml
from mixminus import logs
from mixminus.config import PASSWORD_FILE, ConfigError, ensure_password, load
from mixminus.descriptors import raise_limit
from mixminus.kinds import join_port
from mixminus.reload import reload_when
from mixminus.server import VERSION, Server
from mixminus.settings import Config

logger = logging.getLogger(__name__)

# Seconds within which two signals are one request to stop.
_ONE_REQUEST = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 where the machine refused, 2 for a bad configuration.

    `lint` has only 0 and 1, for a document with errors or one that cannot be read.
    """
    options = _parser().parse_args(arguments)
    if options.command == "lint":
        return lint(options.file, conference=options.conference)

    def read() -> Config:
        config = load(options.config, os.environ, address=getattr(options, "address", None))
        check_documents(config)
        return config

    try:
        config = read()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if options.command == "check":
        for warning in config.warnings:
            print(f"Warning: {warning}", file=sys.stderr)
        print("The configuration is good.")
        return 0
    logs.configure()
    raise_limit()
    for warning in config.warnings:
        logger.warning("configuration", extra={"warning": warning})
    try:
        note = ""
        if config.needs_password:
            password, made = ensure_password(config.data.directory)
            kept = config.data.directory / PASSWORD_FILE
            note = f", password {password} (kept in {kept})" if made else f", password in {kept}"
            config = config.with_password(password)
        return asyncio.run(_serve(config, note, read))
    except (OSError, ConfigError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"Cannot start: {reason}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mixminus", description="A conference server for programmable voice."
    )
    parser.add_argument("--version", action="version", version=f"mixminus {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the server in the foreground")
    serve.add_argument("--address", metavar="IP", help="bind SIP and RTP here, and let its subnet call in")
    check = commands.add_parser("check", help="say what is wrong with a configuration")
    for command in (serve, check):
        command.add_argument("--config", metavar="FILE", type=Path, help="a TOML file; without one, defaults")
    lint = commands.add_parser("lint", help="say what is wrong with a BXML document, by line and column")
    lint.add_argument("file", metavar="FILE", type=Path)
    lint.add_argument("--conference", action="store_true", help="it is to run in a conference")
    return parser


def check_documents(config: Config) -> None:
    """Parse every document that an application has on disk. Raises ConfigError naming file and place."""
    problems = []
    for application in config.applications:
        if application.bxml is None:
            continue
        try:
            bxml.parse(application.bxml.read_text("utf-8").replace("{user}", "user"))
        except bxml.BxmlError as error:
            problems.append(f"{application.bxml}:{error.line}:{error.column}: {error.message}")
        except UnicodeDecodeError as error:
            problems.append(f"{application.bxml}: expected text in UTF-8 (byte {error.start} is not)")
    if problems:
        raise ConfigError("\n".join(problems))


def lint(path: Path, *, conference: bool) -> int:
    """Print what is wrong with a document, and what of it is ignored, in its order, one a line."""
    try:
        # `{user}` stands for the called user in a document on disk; the columns stay where they are.
        text = path.read_bytes().replace(b"{user}", b"a_user")
    except OSError as error:
        print(f"{path}: {error.strerror}", file=sys.stderr)
        return 1
    errors, warnings = bxml.lint(text, conference=conference)
    found = [(error, "") for error in errors] + [(warning, "warning: ") for warning in warnings]
    for remark, kind in sorted(found, key=lambda each: (each[0].line, each[0].column)):
        print(f"{path}:{max(remark.line, 1)}:{max(remark.column, 1)}: {kind}{remark.message}")
    return 1 if errors else 0


async def _serve(config: Config, password_note: str, read: Callable[[], Config]) -> int:
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
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    # SIGHUP is also what a closed terminal sends, and nobody is left there to stop the server.
    loop.add_signal_handler(signal.SIGHUP, lambda: (stop if terminal and _closed() else reload).set())
    await server.start()
    _greet(config, password_note)

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
        place = join_port(entry.address, entry.port)
        if entry.transport in ("ws", "wss"):
            print(f"Browsers  {entry.transport}://{place}")
        else:
            transport = "" if entry.transport == "udp" else f";transport={entry.transport}"
            print(f"Dial      sip:NAME@{place}{transport}")
    print(f"API       {config.http.public_url}/api/v2/accounts/{account.id}")
    print(f"Docs      {config.http.public_url}/docs")
    print(f"Account   {account.id}, user {account.username}{password_note}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
