"""Reads the configuration: a file, the environment over it, the command line over both."""

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar

from mixminus import consistency, kinds
from mixminus.interfaces import subnet
from mixminus.settings import (
    BUILT_IN_APPLICATION,
    DEMO_ACCOUNT,
    Account,
    Application,
    Conference,
    Config,
    Data,
    Http,
    Rtp,
    Server,
    Sip,
    Sound,
    Trunk,
    User,
    Webhooks,
)
from mixminus.sources import PREFIX, ConfigError, Key, Sources
from sip.uri import host_port

__all__ = [
    "ARRAYS", "TABLES", "Account", "Application", "Config", "ConfigError", "Trunk", "User", "ensure_password",
    "load",
]  # fmt: skip

TABLES: Mapping[str, type[Any]] = {
    "sip": Sip,
    "rtp": Rtp,
    "sound": Sound,
    "http": Http,
    "data": Data,
    "conference": Conference,
    "server": Server,
    "webhooks": Webhooks,
}
"""The sections with one value for each key."""

ARRAYS: Mapping[str, type[Any]] = {
    "accounts": Account,
    "applications": Application,
    "users": User,
    "trunks": Trunk,
}
"""The sections that are arrays of tables."""

PASSWORD_FILE = "password"


def load(path: Path | None, environ: Mapping[str, str], *, address: str | None = None) -> Config:
    """The configuration out of a TOML file (None: the defaults) and `environ`.

    `address`: binds SIP and RTP there and lets its subnet call in (HTTP stays where it is). Raises
    `ConfigError` with a line for everything that is wrong: file and line or variable, key, what was expected.
    """
    sources = Sources()
    if path is not None:
        sources.read_file(path)
    sources.read_environment(environ, ARRAYS)
    config = _build(sources)
    if address is not None:
        config = _bound(config, address)
    config = _completed(config, path.parent.resolve() if path is not None else Path.cwd())
    consistency.check(config, sources)
    sources.raise_problems()
    doubts = (*config.warnings, *_overlooked(environ), *consistency.doubts(config))
    return replace(config, warnings=doubts)


def ensure_password(directory: Path) -> tuple[str, bool]:
    """The demo account's password, and whether it has just been made. It is kept in `directory`, readable by
    its owner alone. Raises `ConfigError` when it can be neither read nor written."""
    file = directory / PASSWORD_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(file):
            kept = file.read_text("utf-8").strip()
            if not kept.isprintable() or not kept:
                raise ConfigError(f"{file}: expected one line with a password; remove it and one is made")
            return kept, False
        made = secrets.token_urlsafe(12)
        # Whole or not at all, so that no full disk and no signal leaves an empty one.
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as output:
            output.write(f"{made}\n")
        fresh.replace(file)
        return made, True
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: expected text in UTF-8; remove it and a password is made") from None
    except OSError as error:
        raise ConfigError(f"data.directory: {file} cannot be used: {error.strerror}") from error


def _build(sources: Sources) -> Config:
    """The sections as far as they are sound; what is not is refused at `sources` and has its default here."""
    known = [*TABLES, *ARRAYS]
    for name in sources.values:
        if name not in known:
            sources.refuse((name,), "unknown section" + _suggestion(name, known))
    found: dict[str, Any] = {}
    for name, shape in TABLES.items():
        if name in sources.values:
            found[name] = _section(shape, sources.values[name], (name,), sources)
    for name, shape in ARRAYS.items():
        rows = sources.values.get(name)
        if isinstance(rows, list):
            found[name] = tuple(_section(shape, row, (name, i), sources) for i, row in enumerate(rows))
        elif rows is not None:
            sources.refuse((name,), f"expected an array of tables, each under [[{name}]]")
    accounts = found.get("accounts", (DEMO_ACCOUNT,))
    if not accounts:
        sources.refuse(("accounts",), "expected at least one account")
    elif "applications" not in found:
        found["applications"] = (Application(id=BUILT_IN_APPLICATION, account=accounts[0].id),)
    return Config(**found)


_Shape = TypeVar("_Shape")


def _section(shape: type[_Shape], table: object, key: Key, sources: Sources) -> _Shape:
    given = table if isinstance(table, dict) else {}
    if given is not table:
        sources.refuse(key, "expected a table of keys and values")
    settings = {setting.name: setting for setting in fields(shape)}  # type: ignore[arg-type]
    for name in given:
        if name not in settings:
            sources.refuse((*key, name), "unknown key" + _suggestion(name, settings))
    values: dict[str, object] = {}
    for name, setting in settings.items():
        if name in given:
            try:
                values[name] = setting.metadata["kind"](given[name])
                continue
            except kinds.WrongEntries as error:
                for index, expected in error.expected.items():
                    got = _shown(given[name][index])
                    sources.refuse((*key, name, index), f"{expected}, got {got}")
            except ValueError as error:
                got = "" if setting.metadata["secret"] else f", got {_shown(given[name])}"
                sources.refuse((*key, name), f"{error}{got}")
        elif setting.default is MISSING and given is table:
            sources.refuse((*key, name), f"is missing ({setting.metadata['doc']})")
        values[name] = "" if setting.default is MISSING else setting.default
    return shape(**values)


def _suggestion(name: str, known: Iterable[str]) -> str:
    for near in get_close_matches(name.lower(), list(known), n=1):
        form = "[[{}]]" if near in ARRAYS else "[{}]" if near in TABLES else "{}"
        return f", did you mean {form.format(near)}?"
    return ""


def _shown(value: object) -> str:
    """A value as a message may quote it: short, and without the password in a URL."""
    text = re.sub(r"//[^/\s]*@", "//***@", json.dumps(value, default=str, ensure_ascii=False))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _bound(config: Config, address: str) -> Config:
    """SIP and RTP bound to one address of this machine, whose neighbours may call in."""
    try:
        host = ip_address(address)
    except ValueError:
        raise ConfigError(
            f'--address: expected an IP address such as "192.168.1.10", got "{address}"'
        ) from None
    if host.is_unspecified or host.is_multicast:
        raise ConfigError(f"--address: expected the address of one interface of this machine, got {host}")
    listen = [str(endpoint._replace(address=str(host))) for endpoint in config.sip.endpoints]
    neighbours = subnet(str(host))
    warnings = config.warnings
    if neighbours is None:
        neighbours = ip_network(host)
        warnings += (
            f"--address: the subnet of {host} is not known, so only {host} itself may call in by it",
        )
    return replace(
        config,
        sip=replace(config.sip, listen=tuple(dict.fromkeys(listen)), allow=(*config.sip.allow, neighbours)),
        rtp=replace(config.rtp, address=str(host)),
        warnings=warnings,
    )


def _completed(config: Config, base: Path) -> Config:
    """Relative paths joined to `base`, the public URL filled in."""
    host, port = config.http.listen
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    public_url = config.http.public_url or f"http://{host_port(reached, port)}"
    applications = [
        replace(application, bxml=base / application.bxml) if application.bxml else application
        for application in config.applications
    ]
    files = {
        name: base / path
        for name in ("certificate", "private_key", "client_authorities", "authorities")
        if (path := getattr(config.sip, name))
    }
    return replace(
        config,
        sip=replace(config.sip, **files),
        http=replace(config.http, public_url=public_url.rstrip("/")),
        data=Data(directory=base / config.data.directory),
        applications=tuple(applications),
    )


def _overlooked(environ: Mapping[str, str]) -> Iterable[str]:
    """Variables that look like a section and a key of it, with one underscore between them instead of two.

    A warning and no error: they may be what Kubernetes makes for a service called mixminus-rtp.
    """
    for variable in sorted(environ):
        section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
        shape = TABLES.get(section, ARRAYS.get(section))
        if not variable.startswith(PREFIX) or shape is None or name.startswith("_"):
            continue
        if near := get_close_matches(name, [setting.name for setting in fields(shape)], n=1, cutoff=0.8):
            right = PREFIX + section.upper() + ("" if section in ARRAYS else f"__{near[0].upper()}")
            yield f"{variable}: has no effect, did you mean {right}?"
