"""The command line: `mixminus serve`, `mixminus check`, `mixminus lint`, `mixminus --version`.

What a command needs is imported when it runs: the server takes a second of CPU to import, in which a signal
must already be an orderly end.
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixminus.settings import Config

logger = logging.getLogger(__name__)

_STARTED = time.monotonic()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 1 where the machine refused, 2 for a bad configuration.

    `lint` has only 0 and 1, for a document with errors or one that cannot be read.
    """
    options = _parser().parse_args(arguments)
    if options.command == "lint":
        from mixminus.documents import lint

        return lint(options.file, conference=options.conference)
    if options.command == "serve":
        from mixminus.descriptors import open_standard

        open_standard()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Until the server takes them itself there is nothing to put in order. An exception would be lost
            # in an import that takes any for a library that is not there.
            signal.signal(number, lambda *_: os._exit(0))
        if not sys.stdin.isatty():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the configuration is about to be read as it is
    from mixminus.config import ConfigError, load

    def read() -> "Config":
        return load(options.config, os.environ, address=getattr(options, "address", None))

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
    return _serve(config, read)


def _serve(config: "Config", read: Callable[[], "Config"]) -> int:
    import asyncio

    from mixminus import logs
    from mixminus.config import PASSWORD_FILE, ConfigError, ensure_password
    from mixminus.descriptors import raise_limit
    from mixminus.listening import await_addresses, settle_ports

    logs.configure()
    try:
        await_addresses(config, _STARTED)
        config = settle_ports(config)
        raise_limit()
        for warning in config.warnings:
            logger.warning("configuration", extra={"warning": warning})
        from mixminus.serving import serve

        note = ""
        if config.needs_password:
            password, made = ensure_password(config.data.directory)
            kept = config.data.directory / PASSWORD_FILE
            note = f", password {password} (kept in {kept})" if made else f", password in {kept}"
            config = config.with_password(password)
        return asyncio.run(serve(config, note, lambda: settle_ports(read(), config)))
    except (OSError, ConfigError) as error:
        logs.settle()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        print(f"Cannot start: {reason}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mixminus", description="A conference server for programmable voice."
    )
    parser.add_argument("--version", action="version", version=f"mixminus {version('mixminus')}")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the server in the foreground")
    serve.add_argument("--address", metavar="IP", help="bind SIP and RTP here, and let its subnet call in")
    check = commands.add_parser("check", help="say what is wrong with a configuration")
    for command in (serve, check):
        command.add_argument("--config", metavar="FILE", type=Path, help="a TOML file; without one, defaults")
    lint = commands.add_parser("lint", help="say what is wrong with a BXML document, by line and column")
    lint.add_argument("file", metavar="FILE", help="its path; - for standard input")
    lint.add_argument("--conference", action="store_true", help="it is to run in a conference")
    return parser


if __name__ == "__main__":
    sys.exit(main())
